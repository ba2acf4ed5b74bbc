//! `kind = "freeswitch-events"`.

use super::super::base::Base;
use super::super::reader::{Table, Value};
use super::freeswitch::variables;
use crate::sources::freeswitch::leg::Variables;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A source `freeswitch-events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeSwitchEvents {
    /// Where FreeSWITCH listens (TCP).
    pub connect: SocketAddr,
    /// The file with the password of event_socket.conf.xml.
    pub password_file: PathBuf,
    /// Variables of the dialplan.
    pub variables: Variables,
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<FreeSwitchEvents> {
    let connect = table.required("connect", "\"tcp://127.0.0.1:8021\"").and_then(|value| address(&value));
    let password_file = table.required("password_file", "\"event-socket.password\"").and_then(|value| base.secret(&value));
    let variables = variables(&table);
    if connect.is_some_and(|address| !address.ip().is_loopback()) {
        table.warning("the event socket speaks in clear, password and numbers; use a private network, or a tunnel that ends here");
    }
    table.finish();
    Some(FreeSwitchEvents { connect: connect?, password_file: password_file?, variables: variables? })
}

fn address(value: &Value<'_>) -> Option<SocketAddr> {
    let tcp = |text: &str| text.strip_prefix("tcp://").and_then(|address| address.parse().ok());
    value.parsed("\"tcp://\", an address and a port, such as \"tcp://127.0.0.1:8021\"; the event socket knows no TLS", tcp)
}

#[cfg(test)]
mod tests {
    use super::super::super::daemon;
    use super::super::SourceConfig;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Result<(FreeSwitchEvents, usize), Vec<String>> {
        let text = format!(
            "[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n[[source]]\nkind = \"freeswitch-events\"\n{text}"
        );
        let read = daemon::read(Path::new("/etc/taktd/taktd.toml"), &text);
        match read.config.map(|config| config.sources).unwrap_or_default().into_iter().next() {
            Some(SourceConfig::FreeSwitchEvents(config)) => Ok((*config, read.warnings.len())),
            _ => Err(read.problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_can_be_said_and_what_is_wrong() {
        let password = "password_file = \"p\"\n";
        let (least, warnings) = config(&format!("connect = \"tcp://127.0.0.1:8021\"\n{password}")).expect("no problems");
        assert_eq!((least.password_file.as_path(), warnings), (Path::new("/etc/taktd/p"), 0));
        let far = format!("connect = \"tcp://192.0.2.10:8021\"\n{password}ticket_variable = \"case\"\n");
        let (far, warnings) = config(&far).expect("no problems");
        assert_eq!((far.variables.ticket.as_deref(), warnings), (Some("case"), 1), "it speaks in clear");
        for (text, expected) in [
            (password.to_owned(), "connect: it is missing"),
            ("connect = \"tcp://127.0.0.1:8021\"\n".to_owned(), "password_file: it is missing"),
            (format!("connect = \"tls://127.0.0.1:5061\"\n{password}"), "the event socket knows no TLS"),
            (format!("connect = \"127.0.0.1:8021\"\n{password}"), "write \"tcp://\", an address and a port"),
            (format!("connect = \"tcp://127.0.0.1:8021\"\n{password}password = \"ClueCon\"\n"), "password"),
        ] {
            let problems = config(&text).expect_err(&text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        }
    }
}

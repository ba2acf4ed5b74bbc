//! `kind = "asterisk-ami"`.

use super::super::base::{Base, whole};
use super::super::reader::{Table, Value};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio_rustls::rustls::pki_types::ServerName;

/// A source `asterisk-ami`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsteriskAmi {
    /// Where the switch listens (TCP).
    pub connect: SocketAddr,
    /// With TLS: whom to believe.
    pub tls: Option<AmiTls>,
    /// The user in manager.conf.
    pub username: Box<str>,
    /// The file with its secret.
    pub secret_file: PathBuf,
    /// How the secret is shown.
    pub login: AmiLogin,
}

/// Whom to believe that it is the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmiTls {
    /// The certificates of those who vouch for it, PEM.
    pub ca_file: PathBuf,
    /// The name or address in its certificate; by default, the address that is connected to.
    pub server_name: ServerName<'static>,
}

/// How to log in to a manager interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmiLogin {
    /// By a challenge.
    Md5,
    /// With the secret as it is.
    Plain,
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<AsteriskAmi> {
    let connect = table.required("connect", "\"tcp://127.0.0.1:5038\"").and_then(|value| address(&value));
    let username = table.required("username", "\"taktd\"").and_then(|value| value.text().map(Box::from));
    let secret_file = table.required("secret_file", "\"ami.secret\"").and_then(|value| base.secret(&value));
    let logins = [("md5", AmiLogin::Md5), ("plain", AmiLogin::Plain)];
    let login = table.optional("login").map_or(Some(AmiLogin::Md5), |value| value.word(&logins));
    let ca_file = table.optional("ca_file").map(|value| base.path(&value));
    let server_name = table.optional("server_name").map(|value| {
        let name = |text: &str| ServerName::try_from(text.to_owned()).ok();
        value.parsed("the name or address in the certificate of the switch, such as \"pbx.example.org\"", name)
    });
    match connect {
        Some((_, true)) if ca_file.is_none() => {
            table.wrong("`ca_file` is missing: a file with the certificate of the switch, or of who vouches for it (PEM)");
        }
        Some((_, false)) => {
            for value in ["ca_file", "server_name"].into_iter().filter_map(|key| table.optional(key)) {
                value.wrong("only a connection to an address that begins with \"tls://\" is encrypted; write that, or take this away");
            }
        }
        Some((_, true)) | None => {}
    }
    table.finish();
    let (connect, encrypted) = connect?;
    let (ca_file, server_name) = (whole(ca_file)?, whole(server_name)?);
    let tls = match (encrypted, ca_file) {
        (true, Some(ca_file)) => Some(AmiTls { ca_file, server_name: server_name.unwrap_or_else(|| connect.ip().into()) }),
        (true, None) => return None,
        (false, _) => None,
    };
    Some(AsteriskAmi { connect, tls, username: username?, secret_file: secret_file?, login: login? })
}

/// An address, and whether it is spoken to over TLS.
fn address(value: &Value<'_>) -> Option<(SocketAddr, bool)> {
    let read = |text: &str| {
        let (scheme, address) = text.split_once("://")?;
        let encrypted = [("tcp", false), ("tls", true)].into_iter().find(|(known, _)| *known == scheme)?.1;
        Some((address.parse().ok()?, encrypted))
    };
    value.parsed("\"tcp://\" or \"tls://\", an address and a port, such as \"tcp://127.0.0.1:5038\"", read)
}

#[cfg(test)]
mod tests {
    use super::super::super::daemon;
    use super::super::SourceConfig;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Result<AsteriskAmi, Vec<String>> {
        let text = format!(
            "[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n[[source]]\nkind = \"asterisk-ami\"\n\
             username = \"taktd\"\nsecret_file = \"s\"\n{text}"
        );
        let read = daemon::read(Path::new("/etc/taktd/taktd.toml"), &text);
        match read.config.map(|config| config.sources).unwrap_or_default().into_iter().next() {
            Some(SourceConfig::AsteriskAmi(config)) => Ok(config),
            _ => Err(read.problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_can_be_said_and_what_is_wrong() {
        assert_eq!(config("connect = \"tcp://127.0.0.1:5038\"\n").expect("no problems").tls, None);
        let tls = "connect = \"tls://192.0.2.7:5039\"\nca_file = \"ca.pem\"\n";
        let read = config(tls).expect("no problems").tls.expect("encrypted");
        assert_eq!((read.ca_file, read.server_name), ("/etc/taktd/ca.pem".into(), ServerName::try_from("192.0.2.7").expect("an address")));
        let named = config(&format!("{tls}server_name = \"pbx.example.org\"\n")).expect("no problems").tls.expect("encrypted");
        assert_eq!(named.server_name, ServerName::try_from("pbx.example.org").expect("a name"));
        for (text, expected) in [
            ("connect = \"127.0.0.1:5038\"\n", "write \"tcp://\" or \"tls://\""),
            ("connect = \"udp://127.0.0.1:5038\"\n", "write \"tcp://\" or \"tls://\""),
            ("connect = \"tls://127.0.0.1:5039\"\n", "`ca_file` is missing"),
            ("connect = \"tcp://127.0.0.1:5038\"\nca_file = \"ca.pem\"\n", "only a connection to an address that begins with \"tls://\""),
            ("connect = \"tcp://127.0.0.1:5038\"\nserver_name = \"pbx\"\n", "only a connection to an address that begins with \"tls://\""),
            (&format!("{tls}server_name = \"not a name\"\n"), "the name or address in the certificate"),
        ] {
            let problems = config(text).expect_err(text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        }
    }
}

//! `kind = "fritzbox"`.

use super::super::reader::Table;
use super::super::tariff::zone;
use chrono_tz::Tz;
use std::net::SocketAddr;

/// A source `fritzbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FritzBox {
    /// Where the call monitor listens (TCP).
    pub connect: SocketAddr,
    /// The zone of the box's clock.
    pub timezone: Tz,
}

pub(super) fn read(table: Table<'_>) -> Option<FritzBox> {
    let connect = table.required("connect", "\"tcp://192.168.178.1:1012\"").and_then(|value| {
        let tcp = |text: &str| text.strip_prefix("tcp://").and_then(|address| address.parse().ok());
        value.parsed("\"tcp://\", the address of the box and port 1012, such as \"tcp://192.168.178.1:1012\"", tcp)
    });
    let timezone = table.required("timezone", "\"Europe/Berlin\"").and_then(|value| zone(&value));
    table.finish();
    Some(FritzBox { connect: connect?, timezone: timezone? })
}

#[cfg(test)]
mod tests {
    use super::super::super::daemon;
    use super::super::SourceConfig;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Result<FritzBox, Vec<String>> {
        let text =
            format!("[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n[[source]]\nkind = \"fritzbox\"\n{text}");
        let read = daemon::read(Path::new("/etc/taktd/taktd.toml"), &text);
        match read.config.map(|config| config.sources).unwrap_or_default().into_iter().next() {
            Some(SourceConfig::FritzBox(config)) => Ok(config),
            _ => Err(read.problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_can_be_said_and_what_is_wrong() {
        let read = config("connect = \"tcp://192.168.178.1:1012\"\ntimezone = \"Europe/Berlin\"\n").expect("no problems");
        assert_eq!(read, FritzBox { connect: "192.168.178.1:1012".parse().expect("an address"), timezone: Tz::Europe__Berlin });
        // All at once.
        let problems = config("connect = \"fritz.box\"\ntimezone = \"Berlin\"\nport = 1012\n").expect_err("three mistakes");
        for expected in ["connect: \"fritz.box\"", "there is no time zone \"Berlin\"", "port: there is no such key"] {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        }
        assert_eq!(config("").expect_err("two keys are missing").len(), 2);
    }
}

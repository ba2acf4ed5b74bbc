//! `kind = "freeswitch"`.

use super::super::base::{Base, whole};
use super::super::reader::Table;
use crate::sources::freeswitch::leg::Variables;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A source `freeswitch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeSwitch {
    /// Where records are posted, and to which path.
    pub listen: Option<(SocketAddr, Box<str>)>,
    /// Who may post: a user, and the file with the password.
    pub login: Option<(Box<str>, PathBuf)>,
    /// Where the switch leaves what it could not post.
    pub spool: Option<PathBuf>,
    /// Whether files of the spool are taken away once they are kept.
    pub spool_delete: bool,
    /// Variables of the dialplan.
    pub variables: Variables,
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<FreeSwitch> {
    let listen = table.optional("listen").map(|value| {
        let address = |text: &str| {
            let rest = text.strip_prefix("http://")?;
            let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
            let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.'));
            Some((address.parse().ok().filter(|_| plain)?, format!("/{path}").into()))
        };
        value.parsed("\"http://\", an address, a port and perhaps a path, such as \"http://127.0.0.1:9465/cdr\"", address)
    });
    let user = table.optional("user").map(|value| value.text().map(Box::from));
    let password = table.optional("password_file").map(|value| base.secret(&value));
    let spool = table.optional("spool").map(|value| base.path(&value));
    let delete = table.optional("spool_delete").map_or(Some(false), |value| value.flag());
    let variables = variables(&table);
    match (&listen, &spool) {
        (None, None) => table.wrong("one of `listen` and `spool` is missing; write where records are posted, or where they lie"),
        (Some(Some((address, _))), _) if user.is_none() && !SocketAddr::ip(address).is_loopback() => {
            table.warning("whoever reaches this port can post calls; write `user` and `password_file`, or listen on 127.0.0.1");
        }
        _ => {}
    }
    if user.is_some() != password.is_some() {
        table.wrong("`user` and `password_file` belong together; write both or neither");
    }
    table.finish();
    let login = match (whole(user)?, whole(password)?) {
        (Some(user), Some(password)) => Some((user, password)),
        _ => None,
    };
    Some(FreeSwitch { listen: whole(listen)?, login, spool: whole(spool)?, spool_delete: delete?, variables: variables? })
}

/// The names of channel variables that the dialplan sets.
pub(super) fn variables(table: &Table<'_>) -> Option<Variables> {
    let variable = |key| whole(table.optional(key).map(|value| value.text().map(Box::from)));
    let (contract, severity, ticket) = (variable("contract_variable"), variable("severity_variable"), variable("ticket_variable"));
    Some(Variables { contract: contract?, severity: severity?, ticket: ticket? })
}

#[cfg(test)]
mod tests {
    use super::super::super::daemon;
    use super::super::SourceConfig;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Result<(FreeSwitch, usize), Vec<String>> {
        let text =
            format!("[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n[[source]]\nkind = \"freeswitch\"\n{text}");
        let read = daemon::read(Path::new("/etc/taktd/taktd.toml"), &text);
        match read.config.map(|config| config.sources).unwrap_or_default().into_iter().next() {
            Some(SourceConfig::FreeSwitch(config)) => Ok((*config, read.warnings.len())),
            _ => Err(read.problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_can_be_said_and_what_is_wrong() {
        let (least, warnings) = config("spool = \"spool\"\n").expect("no problems");
        assert_eq!((least.spool.as_deref(), least.spool_delete, warnings), (Some(Path::new("/etc/taktd/spool")), false, 0));
        let open = "listen = \"http://0.0.0.0:9465\"\n";
        let (anybody, warnings) = config(open).expect("no problems");
        assert_eq!((anybody.listen, warnings), (Some(("0.0.0.0:9465".parse().expect("an address"), "/".into())), 1), "anybody may post");
        let (login, warnings) =
            config(&format!("{open}user = \"fs\"\npassword_file = \"p\"\ncontract_variable = \"c\"\n")).expect("no problems");
        assert_eq!((login.login, warnings), (Some(("fs".into(), "/etc/taktd/p".into())), 0));
        assert_eq!(login.variables.contract.as_deref(), Some("c"));
        for (text, expected) in [
            ("", "one of `listen` and `spool` is missing"),
            ("listen = \"127.0.0.1:9465\"\n", "write \"http://\", an address, a port"),
            ("listen = \"https://127.0.0.1:9465\"\n", "write \"http://\", an address, a port"),
            ("listen = \"http://127.0.0.1:9465/a?b\"\n", "write \"http://\", an address, a port"),
            ("spool = \"s\"\nuser = \"fs\"\n", "belong together"),
            ("spool = \"s\"\nspool_delete = \"yes\"\n", "expected true or false"),
        ] {
            let problems = config(text).expect_err(text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        }
    }
}

//! `[http]`: where metrics and running calls are shown, and to whom.

use super::base::{Base, whole};
use super::reader::Table;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The file with the token that who asks for more than health must send; `None`: nobody is asked.
    pub token_file: Option<PathBuf>,
    /// The files of the certificate and of its key; `None`: no TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)), token_file: None, tls: None }
    }
}

pub(super) fn read(root: &Table<'_>, base: Base<'_>) -> Option<Http> {
    let usual = Http::default();
    let Some(table) = root.table("http") else { return Some(usual) };
    let address = table.optional("listen");
    let listen = match &address {
        Some(value) => value.parsed("an address and a port, such as \"127.0.0.1:9464\"", |text| text.parse().ok()),
        None => Some(usual.listen),
    };
    let token = table.optional("token_file").map(|value| base.secret(&value));
    let cert = table.optional("cert_file").map(|value| base.path(&value));
    let key = table.optional("key_file").map(|value| base.secret(&value));
    if cert.is_some() != key.is_some() {
        table.wrong("`cert_file` and `key_file` belong together; write both or neither");
    }
    if let Some(value) = address.filter(|_| listen.is_some_and(|listen| !listen.ip().is_loopback())) {
        if token.is_none() {
            value.warning("whoever reaches this port sees the running calls; write `token_file`, or listen on 127.0.0.1");
        } else if cert.is_none() {
            value.warning("the token crosses the network for anybody to read; write `cert_file` and `key_file`, or listen on 127.0.0.1");
        }
    }
    table.finish();
    Some(Http { listen: listen?, token_file: whole(token)?, tls: whole(cert)?.zip(whole(key)?) })
}

#[cfg(test)]
mod tests {
    use super::super::daemon;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Result<(Http, Vec<String>), Vec<String>> {
        let text = format!("[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n{text}");
        let read = daemon::read(Path::new("/etc/taktd/taktd.toml"), &text);
        let said = |problems: &[super::super::problem::Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let warnings = said(&read.warnings);
        read.config.map(|config| (config.http, warnings)).ok_or_else(|| said(&read.problems))
    }

    #[test]
    fn nobody_else_reaches_it_unless_told_so() {
        assert_eq!(config("").expect("no problems"), (Http::default(), Vec::new()));
        assert!(Http::default().listen.ip().is_loopback());
        for (text, warning) in [
            ("listen = \"[::1]:1\"\n", ""),
            ("listen = \"0.0.0.0:9464\"\n", "whoever reaches this port sees the running calls"),
            ("listen = \"0.0.0.0:9464\"\ntoken_file = \"t\"\n", "the token crosses the network"),
            ("listen = \"0.0.0.0:9464\"\ntoken_file = \"t\"\ncert_file = \"c\"\nkey_file = \"k\"\n", ""),
        ] {
            let (_, warnings) = config(&format!("[http]\n{text}")).expect("no problems");
            assert_eq!(warnings.len(), usize::from(!warning.is_empty()), "{text}: {warnings:?}");
            assert!(warnings.iter().all(|said| said.contains(warning)), "{text}: {warnings:?}");
        }
    }

    #[test]
    fn secrets_are_files_or_what_systemd_hands_over() {
        let (http, _) = config("[http]\ntoken_file = \"credential:http\"\ncert_file = \"c\"\nkey_file = \"k\"\n").expect("no problems");
        assert_eq!(http.token_file.as_deref(), Some(Path::new("/run/credentials/taktd.service/http")), "where no credentials are");
        assert_eq!(http.tls, Some(("/etc/taktd/c".into(), "/etc/taktd/k".into())));
        for (text, expected) in [
            ("listen = 9464\n", "expected an address and a port"),
            ("cert_file = \"c\"\n", "belong together"),
            ("token_file = \"credential:\"\n", "it is no credential"),
            ("token_file = \"credential:../shadow\"\n", "it is no credential"),
            ("token = \"secret\"\n", "http.token"),
        ] {
            let problems = config(&format!("[http]\n{text}")).expect_err(text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        }
    }
}

//! `kind = "asterisk-ami"`.

use super::super::base::Base;
use super::super::reader::{Table, Value};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A source `asterisk-ami`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsteriskAmi {
    /// Where the switch listens (TCP).
    pub connect: SocketAddr,
    /// The user in manager.conf.
    pub username: Box<str>,
    /// The file with its secret.
    pub secret_file: PathBuf,
    /// How the secret is shown.
    pub login: AmiLogin,
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
    table.finish();
    Some(AsteriskAmi { connect: connect?, username: username?, secret_file: secret_file?, login: login? })
}

fn address(value: &Value<'_>) -> Option<SocketAddr> {
    if value.as_text().is_some_and(|text| text.starts_with("tls://")) {
        value.wrong("TLS is not built yet; use a private network, or a tunnel that ends here, and write \"tcp://127.0.0.1:5038\"");
        return None;
    }
    let tcp = |text: &str| text.strip_prefix("tcp://").and_then(|address| address.parse().ok());
    value.parsed("\"tcp://\", an address and a port, such as \"tcp://127.0.0.1:5038\"", tcp)
}

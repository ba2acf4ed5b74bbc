//! `kind = "hep"`.

use super::super::base::{Base, whole};
use super::super::reader::Table;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A source `hep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hep {
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// The file with the auth key that every packet must carry.
    pub auth_key_file: Option<PathBuf>,
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<Hep> {
    let listen = table.required("listen", "\"udp://127.0.0.1:9060\"").and_then(|value| {
        let udp = |text: &str| text.strip_prefix("udp://").and_then(|address| address.parse().ok());
        value.parsed("\"udp://\", an address and a port, such as \"udp://127.0.0.1:9060\"", udp)
    });
    let key = table.optional("auth_key_file").map(|value| base.path(&value));
    table.finish();
    Some(Hep { listen: listen?, auth_key_file: whole(key)? })
}

//! `kind = "hep"`.

use super::super::base::{Base, whole};
use super::super::reader::Table;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A source `hep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hep {
    /// Where it listens.
    pub listen: SocketAddr,
    /// By which protocol.
    pub transport: HepTransport,
    /// The file with the auth key that every frame must carry.
    pub auth_key_file: Option<PathBuf>,
    /// What is believed of bare copies of messages.
    pub bare_copies: BareCopies,
}

/// How agents send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HepTransport {
    /// `udp://`: a datagram a frame.
    Udp,
    /// `tcp://`: they connect.
    Tcp,
    /// `tls://`: they connect, and see our certificate.
    Tls {
        /// The certificate and those that vouch for it, PEM.
        cert_file: PathBuf,
        /// Its key, PEM.
        key_file: PathBuf,
    },
}

/// Between whom a bare copy went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareCopies {
    /// As the packet with the copy.
    AsSent,
    /// As the headers `X-Siptrace-*` say that the proxy adds.
    Siptrace,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Udp,
    Tcp,
    Tls,
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<Hep> {
    let listen = table.required("listen", "\"udp://127.0.0.1:9060\"").and_then(|value| {
        let schemes = [("udp://", Scheme::Udp), ("tcp://", Scheme::Tcp), ("tls://", Scheme::Tls)];
        value.parsed("\"udp://\", \"tcp://\" or \"tls://\", an address and a port, such as \"udp://127.0.0.1:9060\"", |text| {
            schemes.iter().find_map(|(prefix, scheme)| Some((*scheme, text.strip_prefix(prefix)?.parse::<SocketAddr>().ok()?)))
        })
    });
    let key = table.optional("auth_key_file").map(|value| base.secret(&value));
    let words = [("as-sent", BareCopies::AsSent), ("x-siptrace", BareCopies::Siptrace)];
    let bare_copies = table.optional("bare_copies").map_or(Some(BareCopies::AsSent), |value| value.word(&words));
    let transport = match listen {
        Some((Scheme::Tls, _)) => {
            let cert_file = table.required("cert_file", "\"hep-cert.pem\"").and_then(|value| base.path(&value));
            let key_file = table.required("key_file", "\"hep-key.pem\"").and_then(|value| base.secret(&value));
            cert_file.zip(key_file).map(|(cert_file, key_file)| HepTransport::Tls { cert_file, key_file })
        }
        other => {
            for name in ["cert_file", "key_file"] {
                if let Some(value) = table.optional(name).filter(|_| other.is_some()) {
                    value.wrong("only a listen address that begins with \"tls://\" has a certificate; write that, or take this away");
                }
            }
            Some(if other.is_some_and(|(scheme, _)| scheme == Scheme::Tcp) { HepTransport::Tcp } else { HepTransport::Udp })
        }
    };
    table.finish();
    Some(Hep { listen: listen?.1, transport: transport?, auth_key_file: whole(key)?, bare_copies: bare_copies? })
}

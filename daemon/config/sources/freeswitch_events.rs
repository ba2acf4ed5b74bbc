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
    let password_file = table.required("password_file", "\"event-socket.password\"").and_then(|value| base.path(&value));
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

//! `kind = "capture"`.

use super::super::reader::{Table, Value};
use crate::sources::capture::MOST_PORTS;

/// A source `capture`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The network interface.
    pub interface: Box<str>,
    /// The ports that SIP is spoken on.
    pub ports: Vec<u16>,
}

pub(super) fn read(table: Table<'_>) -> Option<Capture> {
    // What Linux takes for a name (`dev_valid_name`).
    let is_name = |text: &str| {
        (1..16).contains(&text.len()) && text != "." && text != ".." && !text.contains(['/', ':']) && !text.contains(char::is_whitespace)
    };
    let interface = table
        .required("interface", "\"eth0\"")
        .and_then(|value| value.parsed("the name of a network interface, such as \"eth0\"", |text| is_name(text).then(|| Box::from(text))));
    let ports = table.optional("ports").map_or(Some(vec![5060]), |value| ports(&value));
    table.finish();
    Some(Capture { interface: interface?, ports: ports? })
}

fn ports(value: &Value<'_>) -> Option<Vec<u16>> {
    let list = value.list()?;
    if list.is_empty() || list.len() > MOST_PORTS {
        value.wrong(format!("it names {} ports; write 1 to {MOST_PORTS} of them, such as [5060]", list.len()));
        return None;
    }
    let mut ports = Vec::with_capacity(list.len());
    for item in &list {
        ports.push(u16::try_from(item.integer(1..=65_535)?).ok()?);
    }
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}

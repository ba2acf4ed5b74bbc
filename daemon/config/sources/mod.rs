//! `[[source]]`: a file for each kind, with what it holds and how it is read.

mod asterisk_ami;
mod asterisk_cdr;
mod asterisk_cel;
mod capture;
mod csv;
mod freeswitch;
mod freeswitch_events;
mod fritzbox;
mod hep;

use super::base::Base;
use super::reader::Table;
use crate::calls::Role;
use crate::sources::csv_rows;

pub use asterisk_ami::{AmiLogin, AmiTls, AsteriskAmi};
pub use asterisk_cdr::{AsteriskCdr, Columns};
pub use asterisk_cel::AsteriskCel;
pub use capture::Capture;
pub use freeswitch::FreeSwitch;
pub use freeswitch_events::FreeSwitchEvents;
pub use fritzbox::FritzBox;
pub use hep::{BareCopies, Hep, HepTransport};

/// A `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// Packets on a network interface.
    Capture(Capture),
    /// HEP over UDP, TCP or TLS.
    Hep(Hep),
    /// Rows of Asterisk's cdr_csv or cdr_custom.
    AsteriskCdr(AsteriskCdr),
    /// Asterisk's channel event log, by cel_custom.
    AsteriskCel(AsteriskCel),
    /// Asterisk's manager interface.
    AsteriskAmi(AsteriskAmi),
    /// Rows of any switch, by a mapping of columns.
    Csv(Box<csv_rows::Config>),
    /// Records of FreeSWITCH in JSON.
    FreeSwitch(Box<FreeSwitch>),
    /// FreeSWITCH's event socket.
    FreeSwitchEvents(Box<FreeSwitchEvents>),
    /// The call monitor of a Fritz!Box.
    FritzBox(FritzBox),
}

#[derive(Clone, Copy)]
enum Kind {
    Hep,
    Capture,
    AsteriskCdr,
    AsteriskCel,
    AsteriskAmi,
    Csv,
    FreeSwitch,
    FreeSwitchEvents,
    FritzBox,
}

/// Reads one `[[source]]`.
pub(in crate::config) fn source_of(table: Table<'_>, base: Base<'_>) -> Option<(Role, SourceConfig)> {
    let role =
        table.optional("role").map_or(Some(Role::Meter), |value| value.word(&[("meter", Role::Meter), ("reconcile", Role::Reconcile)]));
    let source = of_kind(table, base);
    Some((role?, source?))
}

fn of_kind(table: Table<'_>, base: Base<'_>) -> Option<SourceConfig> {
    let kinds = [
        ("hep", Kind::Hep),
        ("capture", Kind::Capture),
        ("asterisk-cdr", Kind::AsteriskCdr),
        ("asterisk-cel", Kind::AsteriskCel),
        ("asterisk-ami", Kind::AsteriskAmi),
        ("csv", Kind::Csv),
        ("freeswitch", Kind::FreeSwitch),
        ("freeswitch-events", Kind::FreeSwitchEvents),
        ("fritzbox", Kind::FritzBox),
    ];
    match table.required("kind", "\"hep\"").and_then(|value| value.word(&kinds))? {
        Kind::Hep => hep::read(table, base).map(SourceConfig::Hep),
        Kind::Capture => capture::read(table).map(SourceConfig::Capture),
        Kind::AsteriskCdr => asterisk_cdr::read(table, base).map(SourceConfig::AsteriskCdr),
        Kind::AsteriskAmi => asterisk_ami::read(table, base).map(SourceConfig::AsteriskAmi),
        Kind::AsteriskCel => asterisk_cel::read(table, base).map(SourceConfig::AsteriskCel),
        Kind::FritzBox => fritzbox::read(table).map(SourceConfig::FritzBox),
        Kind::FreeSwitch => freeswitch::read(table, base).map(|config| SourceConfig::FreeSwitch(Box::new(config))),
        Kind::FreeSwitchEvents => freeswitch_events::read(table, base).map(|config| SourceConfig::FreeSwitchEvents(Box::new(config))),
        Kind::Csv => csv::read(table, base).map(|config| SourceConfig::Csv(Box::new(config))),
    }
}

//! `[[source]]`: a file for each kind, with what it holds and how it is read.

mod asterisk_cdr;
mod csv;
mod freeswitch;
mod hep;

use super::base::Base;
use super::reader::Table;
use crate::sources::csv_rows;

pub use asterisk_cdr::{AsteriskCdr, Columns};
pub use freeswitch::FreeSwitch;
pub use hep::Hep;

/// A `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// HEPv3 over UDP.
    Hep(Hep),
    /// Rows of Asterisk's cdr_csv or cdr_custom.
    AsteriskCdr(AsteriskCdr),
    /// Rows of any switch, by a mapping of columns.
    Csv(Box<csv_rows::Config>),
    /// Records of FreeSWITCH in JSON.
    FreeSwitch(Box<FreeSwitch>),
}

#[derive(Clone, Copy)]
enum Kind {
    Hep,
    AsteriskCdr,
    Csv,
    FreeSwitch,
}

/// Reads one `[[source]]`.
pub(in crate::config) fn source_of(table: Table<'_>, base: Base<'_>) -> Option<SourceConfig> {
    let kinds = [("hep", Kind::Hep), ("asterisk-cdr", Kind::AsteriskCdr), ("csv", Kind::Csv), ("freeswitch", Kind::FreeSwitch)];
    match table.required("kind", "\"hep\"").and_then(|value| value.word(&kinds))? {
        Kind::Hep => hep::read(table, base).map(SourceConfig::Hep),
        Kind::AsteriskCdr => asterisk_cdr::read(table, base).map(SourceConfig::AsteriskCdr),
        Kind::FreeSwitch => freeswitch::read(table, base).map(|config| SourceConfig::FreeSwitch(Box::new(config))),
        Kind::Csv => csv::read(table, base).map(|config| SourceConfig::Csv(Box::new(config))),
    }
}

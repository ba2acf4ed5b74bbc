//! `[[source]]`: a file for each kind, with what it holds and how it is read.

mod asterisk_cdr;
mod capture;
mod hep;

use super::base::Base;
use super::reader::Table;

pub use asterisk_cdr::{AsteriskCdr, Columns};
pub use capture::Capture;
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
}

#[derive(Clone, Copy)]
enum Kind {
    Hep,
    Capture,
    AsteriskCdr,
}

/// Reads one `[[source]]`.
pub(in crate::config) fn source_of(table: Table<'_>, base: Base<'_>) -> Option<SourceConfig> {
    let kinds = [("hep", Kind::Hep), ("capture", Kind::Capture), ("asterisk-cdr", Kind::AsteriskCdr)];
    match table.required("kind", "\"hep\"").and_then(|value| value.word(&kinds))? {
        Kind::Hep => hep::read(table, base).map(SourceConfig::Hep),
        Kind::Capture => capture::read(table).map(SourceConfig::Capture),
        Kind::AsteriskCdr => asterisk_cdr::read(table, base).map(SourceConfig::AsteriskCdr),
    }
}

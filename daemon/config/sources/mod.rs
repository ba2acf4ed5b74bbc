//! `[[source]]`: a file for each kind, with what it holds and how it is read.

mod asterisk_ami;
mod asterisk_cdr;
mod asterisk_cel;
mod hep;

use super::base::Base;
use super::reader::Table;

pub use asterisk_ami::{AmiLogin, AsteriskAmi};
pub use asterisk_cdr::{AsteriskCdr, Columns};
pub use asterisk_cel::AsteriskCel;
pub use hep::Hep;

/// A `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// HEPv3 over UDP.
    Hep(Hep),
    /// Rows of Asterisk's cdr_csv or cdr_custom.
    AsteriskCdr(AsteriskCdr),
    /// Asterisk's channel event log, by cel_custom.
    AsteriskCel(AsteriskCel),
    /// Asterisk's manager interface.
    AsteriskAmi(AsteriskAmi),
}

#[derive(Clone, Copy)]
enum Kind {
    Hep,
    AsteriskCdr,
    AsteriskCel,
    AsteriskAmi,
}

/// Reads one `[[source]]`.
pub(in crate::config) fn source_of(table: Table<'_>, base: Base<'_>) -> Option<SourceConfig> {
    let kinds =
        [("hep", Kind::Hep), ("asterisk-cdr", Kind::AsteriskCdr), ("asterisk-cel", Kind::AsteriskCel), ("asterisk-ami", Kind::AsteriskAmi)];
    match table.required("kind", "\"hep\"").and_then(|value| value.word(&kinds))? {
        Kind::Hep => hep::read(table, base).map(SourceConfig::Hep),
        Kind::AsteriskCdr => asterisk_cdr::read(table, base).map(SourceConfig::AsteriskCdr),
        Kind::AsteriskAmi => asterisk_ami::read(table, base).map(SourceConfig::AsteriskAmi),
        Kind::AsteriskCel => asterisk_cel::read(table, base).map(SourceConfig::AsteriskCel),
    }
}

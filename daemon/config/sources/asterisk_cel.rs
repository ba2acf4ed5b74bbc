//! `kind = "asterisk-cel"`.

use super::super::base::Base;
use super::super::reader::Table;
use super::asterisk_cdr::{Columns, columns};
use std::path::PathBuf;

/// A source `asterisk-cel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsteriskCel {
    /// The file that cel_custom writes.
    pub path: PathBuf,
    /// Its columns.
    pub columns: Columns,
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<AsteriskCel> {
    let path = table.required("path", "\"/var/log/asterisk/cel-custom/cel.csv\"").and_then(|value| base.path(&value));
    let columns = table.optional("columns").map_or(Some(Columns::Auto), |value| columns(&value));
    table.finish();
    Some(AsteriskCel { path: path?, columns: columns? })
}

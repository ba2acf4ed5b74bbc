//! JSON Lines: the result of design.md §9, one object a line, each ended by a line feed.

use crate::ledger::result::{Style, write_json};
use crate::meter::Record;

/// One record.
pub(super) fn line(out: &mut Vec<u8>, record: &Record, style: &Style) {
    write_json(out, record, style);
    out.push(b'\n');
}

//! Legs that a switch joined become the calls they were: each caller's own leg is a call, with the legs that were dialed for it
//! or bridged with it.
//!
//! The invariant: rows of one call are never taken apart, and no leg that was dialed for one caller counts for another.

use super::Directory;
use super::parts::way_of;
use super::row::{CallRow, Party, Way};
use std::borrow::Cow;

/// So many times it is asked for whom a leg was dialed that dialed another one.
const MOST_STEPS: usize = 8;

/// The rows of each call among rows that found each other by their names.
pub(super) fn parties<'a>(directory: &Directory, rows: &'a [CallRow]) -> Vec<Cow<'a, [CallRow]>> {
    let is_caller = |row: &&CallRow| row.party == Party::Own && !matches!(way_of(directory, row), Way::Along | Way::Internal);
    let mut callers: Vec<&CallRow> = rows.iter().filter(is_caller).collect();
    // The same leg told twice, otherwise each time, is one.
    callers.sort_by(|one, other| one.key.cmp(&other.key));
    callers.dedup_by(|one, other| one.key == other.key);
    if callers.len() < 2 {
        return vec![Cow::Borrowed(rows)];
    }
    let of =
        |caller: &CallRow| -> Vec<CallRow> { rows.iter().filter(|row| belongs(directory, rows, &callers, row, caller)).cloned().collect() };
    callers.iter().map(|caller| Cow::Owned(of(caller))).collect()
}

/// Whether a leg is of this caller's call: what it was dialed for decides, else with whom it was bridged.
fn belongs(directory: &Directory, rows: &[CallRow], callers: &[&CallRow], row: &CallRow, caller: &CallRow) -> bool {
    if row.party == Party::Shared || row.key == caller.key {
        return true;
    }
    if way_of(directory, row) != Way::Along {
        return false;
    }
    let mut made_for = &row.made_for;
    for _ in 0..MOST_STEPS {
        if callers.iter().any(|one| one.key == *made_for) {
            return *made_for == caller.key;
        }
        match rows.iter().find(|other| other.key == *made_for && !made_for.is_empty()) {
            Some(other) => made_for = &other.made_for,
            None => break,
        }
    }
    row.also.contains(&caller.key) || caller.also.contains(&row.key)
}

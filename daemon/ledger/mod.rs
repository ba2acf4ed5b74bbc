//! The ledger: what sources and operators said (evidence), and what settlement concluded (entries). SQLite, one writer.
//!
//! The one invariant: evidence and entries are only ever added; a change is a reversal and a new entry. All of a [`Batch`]
//! is on disk when `commit` returns, or none of it ever was: kill -9 or a full disk at any moment leaves what the last
//! commit left. Whether a call is known is asked of a unique key here, never of memory. (design.md §7)
//!
//! | file | what it does |
//! |---|---|
//! | `migrations/` | the tables |
//! | `open` | opening for writing (one at a time) and for reading (beside the writer) |
//! | `batch`, `journal`, `operators`, `post` | writing: transactions, evidence, what operators say, entries |
//! | `unsettled` | which contracts are to be settled |
//! | `stands` | what there is already of what will be posted |
//! | `query`, `standing` | reading: what was said, what was concluded |
//! | `verify`, `backup` | checking everything again; a copy |
//! | `chain`, `call_form`, `record_form`, `fields`, `words` | hashes and the stored form |
//! | `numbers`, `prose` | tokens in the place of phone numbers, also inside of texts |
//! | `privacy`, `sweep` | numbers that are held, erased, wiped from the file |
//! | `result` | a record as JSON |

mod backup;
mod batch;
mod call_form;
mod chain;
mod error;
mod fields;
mod journal;
mod json;
mod migrate;
mod numbers;
mod open;
mod operators;
mod post;
mod privacy;
mod prose;
mod query;
mod record_form;
pub mod result;
#[cfg(test)]
pub(crate) mod samples;
mod sightings;
mod standing;
mod stands;
mod sweep;
#[cfg(test)]
mod tests;
mod unsettled;
mod verify;

pub use crate::contracts::Match;
pub use backup::Copy;
pub use batch::{Batch, Document, Snapshot};
pub use chain::{Hash, hex};
pub use error::{LedgerError, Result};
pub use journal::Journaled;
pub use numbers::{NumberKey, Token, is_forgotten};
pub use operators::{Assignment, Decision};
pub use post::{Posted, Scope};
pub use privacy::{Act, Wish};
pub use query::{Closing, Found, Heads, StoredCall};
pub use standing::{HistoryRow, RangeLine};
pub use stands::{Plan, Stands};
pub use sweep::Swept;
pub use unsettled::Dirty;
pub use verify::Finding;

use numbers::{Numbers, Tokens};
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;

/// An open ledger. The writer has a lock on it, and there is one; readers may be many.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
    path: PathBuf,
    head: Head,
    /// `None` in a reader.
    writing: Option<Writing>,
    numbers: RefCell<Numbers>,
}

/// What only the writer has.
#[derive(Debug)]
struct Writing {
    tokens: Tokens,
    /// Contracts known to be marked as unsettled, and for which span.
    unsettled: HashMap<Box<str>, (i64, i64)>,
    /// Held while the ledger is open: see `open`.
    _lock: File,
}

/// Where both chains end, the ledger's time, and the catalogue in force.
#[derive(Clone, Copy, Debug)]
struct Head {
    time: i64,
    evidence: (i64, Hash),
    entry: (i64, Hash),
    catalogue: Option<i64>,
}

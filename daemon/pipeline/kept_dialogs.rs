//! The open dialogs in the ledger: kept in parts, so that what changed is written and not what a hundred thousand calls are.
//!
//! The one invariant: what the ledger holds is one state, of one instant. The parts of a change are committed together, and
//! what is taken as kept is what was handed over.

use super::replay::SIP;
use super::signalling::Signalling;
use crate::ledger::{Ledger, LedgerError, Snapshot};
use crate::units::{Changes, Kept, KeyedState, PartName};

/// What of the open dialogs has to be kept, and what is kept once it is.
pub struct DialogNews {
    /// For the batch.
    pub snapshots: Vec<(String, Snapshot)>,
    kept: Kept,
}

impl Signalling {
    /// What is not yet kept of the open dialogs. Once it is handed over, [`Signalling::is_kept`] has to hear of it.
    #[must_use]
    pub fn not_kept(&self) -> DialogNews {
        let Changes { changed, gone, kept } = self.changes();
        // The head is always written: its age is that of the whole.
        let head = (SIP.to_owned(), Snapshot::default());
        let changed = changed.into_iter().map(|(name, body)| (key(name), Snapshot { position: String::new(), body }));
        let gone = gone.into_iter().map(|name| (key(name), Snapshot::gone()));
        DialogNews { snapshots: std::iter::once(head).chain(changed).chain(gone).collect(), kept }
    }

    /// These were handed over.
    pub fn is_kept(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// The ledger may have let go of what is kept: all of it is written the next time.
    pub fn doubt_kept(&mut self) {
        self.kept.doubt();
    }
}

impl DialogNews {
    /// The snapshots, and what [`Signalling::is_kept`] wants.
    #[must_use]
    pub fn into_parts(self) -> (Vec<(String, Snapshot)>, Kept) {
        (self.snapshots, self.kept)
    }
}

/// The open dialogs as they were kept, in parts or (by a replay, or an earlier version) in one piece; `None` when never.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn kept_dialogs(ledger: &Ledger) -> Result<Option<Snapshot>, LedgerError> {
    let Some(head) = ledger.snapshot(SIP)? else { return Ok(None) };
    let parts = ledger.snapshots_below(SIP)?;
    if parts.is_empty() {
        return Ok(Some(head));
    }
    let mut body = Vec::with_capacity(parts.iter().map(|(_, part)| part.body.len()).sum());
    parts.iter().for_each(|(_, part)| body.extend_from_slice(&part.body));
    Ok(Some(Snapshot { position: head.position, body }))
}

/// The parts that the ledger has: each is written anew, or goes, with the first that is kept.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn kept_names(ledger: &Ledger, key: KeyedState) -> Result<Kept, LedgerError> {
    let parts = ledger.snapshots_below(SIP)?;
    let names = parts.iter().filter_map(|(name, _)| PartName::parse(name.strip_prefix(SIP)?.strip_prefix('/')?));
    Ok(Kept::named(key, names))
}

fn key(name: PartName) -> String {
    format!("{SIP}/{name}")
}

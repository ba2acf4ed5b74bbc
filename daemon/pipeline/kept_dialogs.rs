//! The open dialogs in the ledger: kept in parts, so that what changed is written and not what a hundred thousand calls are.
//!
//! The one invariant: what the ledger holds is one state, of one instant. The parts of a change are committed together, and
//! what is taken as kept is what was handed over.

use super::replay::SIP;
use super::signalling::Signalling;
use crate::ledger::{Ledger, LedgerError, Snapshot};
use crate::units::{Changes, Kept, KeyedState, PartName};

/// What the ledger keeps of the open dialogs.
#[derive(Default)]
pub(super) struct KeptDialogs {
    /// All of it, kept in parts or (by a replay, or an earlier version) in one piece; `None` when never.
    pub whole: Option<Snapshot>,
    /// What its parts are called there.
    pub parts: Vec<String>,
}

impl Signalling {
    /// What is not yet kept of the open dialogs, for the batch; once it is handed over, [`Signalling::is_kept`] has to hear of the rest.
    #[must_use]
    pub fn not_kept(&self) -> (Vec<(String, Snapshot)>, Kept) {
        let Changes { changed, gone, kept } = self.changes();
        // The head is always written: its age is that of the whole.
        let head = (SIP.to_owned(), Snapshot::default());
        let changed = changed.into_iter().map(|(name, body)| (key(name), Snapshot { position: String::new(), body }));
        let gone = gone.into_iter().map(|name| (key(name), Snapshot::gone()));
        (std::iter::once(head).chain(changed).chain(gone).collect(), kept)
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

impl KeptDialogs {
    /// Reads them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn of(ledger: &Ledger) -> Result<Self, LedgerError> {
        let Some(mut whole) = ledger.snapshot(SIP)? else { return Ok(Self::default()) };
        let (parts, bodies): (Vec<String>, Vec<Vec<u8>>) =
            ledger.snapshots_below(SIP)?.into_iter().map(|(name, part)| (name, part.body)).unzip();
        if !parts.is_empty() {
            whole.body = bodies.concat();
        }
        Ok(Self { whole: Some(whole), parts })
    }

    /// Each part is written anew, or goes, with the first that is kept.
    pub fn to_write_anew(&self, key: KeyedState) -> Kept {
        Kept::named(key, self.parts.iter().filter_map(|name| PartName::parse(name.strip_prefix(SIP)?.strip_prefix('/')?)))
    }
}

fn key(name: PartName) -> String {
    format!("{SIP}/{name}")
}

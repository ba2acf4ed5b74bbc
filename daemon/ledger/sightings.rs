//! What each source said of a call, where several see the same ones.
//!
//! The one invariant: a source's report of a call is kept once, under the source's own name for it.

use super::error::Result;
use super::journal::write_call;
use super::query::damaged;
use super::{Batch, Ledger};
use crate::calls::{Role, Sighting, Speaker, Witness};
use crate::contracts::Match;
use crate::units::{CallId, Word};

impl Batch<'_> {
    /// Keeps what a source says of a call, in the place of what it said before.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_sighting(&mut self, name: &CallId, sighting: &Sighting) -> Result<()> {
        self.step(|ledger| {
            let Sighting { by, call } = sighting;
            let begun = call.connected_at().unwrap_or(call.started_at);
            let body = write_call(ledger, call, &Match::Unmatched { reason: "".into() }, begun)?;
            ledger
                .db
                .prepare_cached("INSERT OR REPLACE INTO sighting (witness, own, call, role, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute((code(by.witness), call.id.as_str(), name.as_str(), code(by.role), body))?;
            Ok(())
        })
    }
}

impl Ledger {
    /// Under which name a call that a source calls so stands in the ledger.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn sighted(&self, witness: Witness, own: &CallId) -> Result<Option<CallId>> {
        let mut statement = self.db.prepare_cached("SELECT call FROM sighting WHERE witness = ?1 AND own = ?2")?;
        let mut rows = statement.query((code(witness), own.as_str()))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let name: String = row.get(0)?;
        CallId::new(&name).map(Some).ok_or_else(|| damaged("sighting", 0))
    }

    /// What the sources said of a call; none where there was only one kind of source.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn sightings(&self, name: &CallId) -> Result<Vec<Sighting>> {
        let mut statement = self.db.prepare_cached("SELECT witness, role, body FROM sighting WHERE call = ?1 ORDER BY witness, own")?;
        let mut rows = statement.query([name.as_str()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let body: Vec<u8> = row.get(2)?;
            let (call, _) = self.read_call(0, &body)?;
            let by = Speaker { role: word::<Role>(row.get(1)?)?, witness: word::<Witness>(row.get(0)?)? };
            found.push(Sighting { by, call });
        }
        Ok(found)
    }
}

fn code(word: impl Word) -> i64 {
    i64::try_from(word.code()).unwrap_or(i64::MAX)
}

fn word<T: Word>(code: i64) -> Result<T> {
    u64::try_from(code).ok().and_then(T::from_code).ok_or_else(|| damaged("sighting", 0))
}

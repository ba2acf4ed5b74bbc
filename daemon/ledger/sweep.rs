//! Wiping what was deleted: a row that is gone may still stand in the file, in a free page, in a page it once shared, in the
//! write-ahead log.
//!
//! The one invariant: what has to be wiped is noted in the transaction that deletes it, and stays noted until it is done,
//! whatever happens between. With `secure_delete` SQLite overwrites each page that becomes free, so it is enough to write the
//! few tables that hold numbers anew, and to empty the log; the chains, which hold none, stay where they are.

use super::Ledger;
use super::error::{LedgerError, Result};
use rusqlite::Connection;
use std::time::Duration;

/// As stored in `state.sweep`.
const CLEAN: i64 = 0;
const TABLES: i64 = 1;

/// How long the log waits for readers before it is left for another time: the writer meters meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// What wiping came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// Nothing was to be wiped.
    Nothing,
    /// All is wiped.
    All,
    /// Somebody still reads the state from before: the log could not be emptied. It is to be tried again.
    Later,
}

impl Ledger {
    /// Wipes what was deleted since the last time from the file and from its log.
    ///
    /// # Errors
    /// When the ledger cannot be written; it is to be tried again.
    pub fn sweep(&mut self) -> Result<Swept> {
        if self.writing.is_none() {
            return Err(LedgerError::ReadOnly);
        }
        match self.db.query_row("SELECT sweep FROM state", [], |row| row.get(0))? {
            CLEAN => return Ok(Swept::Nothing),
            TABLES => write_anew(&self.db)?,
            // A ledger of an earlier schema may hold numbers anywhere.
            _ => self.db.execute_batch("VACUUM")?,
        }
        self.db.busy_timeout(PATIENCE)?;
        let emptied = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        self.db.busy_timeout(super::open::PATIENCE)?;
        if emptied? != 0 {
            return Ok(Swept::Later);
        }
        self.db.execute("UPDATE state SET sweep = ?1", [CLEAN])?;
        Ok(Swept::All)
    }
}

/// Notes that rows were deleted from the tables that hold numbers: all those of calls before a day, which come back no more.
pub(super) fn note(db: &Connection, before: i64) -> Result<()> {
    db.prepare_cached("UPDATE state SET sweep = max(sweep, ?1), forgotten = max(forgotten, ?2)")?.execute((TABLES, before))?;
    Ok(())
}

/// Takes all rows out of the tables and puts them back: every page they ever stood in becomes free, and so is overwritten.
fn write_anew(db: &Connection) -> Result<()> {
    let transaction = db.unchecked_transaction()?;
    for table in ["number", "snapshot"] {
        transaction.execute_batch(&format!(
            "CREATE TABLE kept AS SELECT * FROM {table};
             DELETE FROM {table};
             INSERT INTO {table} SELECT * FROM kept;
             DROP TABLE kept;"
        ))?;
    }
    transaction.commit()?;
    Ok(())
}

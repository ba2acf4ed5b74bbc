//! Numbered migrations with checksums. A ledger made by a newer program is refused, never guessed at.

use super::chain::hash_of;
use super::error::{LedgerError, Result};
use rusqlite::Connection;
use std::path::Path;

/// "takt": marks an SQLite file as a ledger of ours (PRAGMA application_id).
const APPLICATION_ID: i64 = 0x7461_6b74;

/// All migrations in order; the first is version 1. What was released is never edited: a change is a new file.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_deadlines.sql"),
    include_str!("migrations/0003_news_through.sql"),
    include_str!("migrations/0004_sightings.sql"),
    include_str!("migrations/0005_privacy.sql"),
];

/// The schema this program writes.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings a ledger to the newest schema, and writes with `begin` how a new one begins, in one transaction: whoever finds tables
/// finds where the ledger stands.
pub(super) fn migrate(db: &mut Connection, path: &Path, begin: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    let found = check(db, path)?;
    let Some(missing) = MIGRATIONS.get(usize::try_from(found).unwrap_or(usize::MAX)..).filter(|missing| !missing.is_empty()) else {
        return Ok(());
    };
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, checksum BLOB NOT NULL) STRICT")?;
    for (version, sql) in (found.saturating_add(1)..).zip(missing) {
        transaction.execute_batch(sql)?;
        transaction.execute("INSERT INTO migration (version, checksum) VALUES (?1, ?2)", (version, checksum(sql)))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", newest())?;
    begin(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// The schema found, 0 of an empty file.
///
/// # Errors
/// When the file is not ours, newer, or made by other migrations than ours.
pub(super) fn check(db: &Connection, path: &Path) -> Result<i64> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let foreign = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => LedgerError::Foreign { path: path.into() },
        _ => error.into(),
    };
    let (id, found) = (pragma("application_id").map_err(foreign)?, pragma("user_version")?);
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id == 0 && found == 0 && tables == 0 {
        return Ok(0);
    }
    if id != APPLICATION_ID {
        return Err(LedgerError::Foreign { path: path.into() });
    }
    if found > newest() {
        return Err(LedgerError::Newer { path: path.into(), found, known: newest() });
    }
    let mut statement = db.prepare("SELECT version, checksum FROM migration ORDER BY version")?;
    let mut rows = statement.query([])?;
    let mut expected = (1i64..).zip(MIGRATIONS);
    while let Some(row) = rows.next()? {
        let (version, stored): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        match expected.next() {
            Some((number, sql)) if number == version && stored == checksum(sql) => {}
            _ => return Err(LedgerError::Migration { path: path.into(), version }),
        }
    }
    Ok(found)
}

fn checksum(sql: &str) -> [u8; 32] {
    hash_of(&[sql.as_bytes()]).0
}

//! Opening: for writing, one at a time, held by a lock file beside the ledger; for reading, beside the writer (WAL).

use super::batch::rewind;
use super::chain::Hash;
use super::error::{LedgerError, Result};
use super::migrate;
use super::numbers::{NumberKey, Numbers, Tokens};
use super::{Head, Ledger, Writing};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the page cache may take, in KiB. It is the ledger's largest piece of memory.
const CACHE_KIB: i64 = 6 * 1024;

/// The same for whoever goes through all of it, which touches every table in an order that is not its own.
const WHOLE_KIB: i64 = 32 * 1024;

/// The same for a second view, which reads in bulk and little of it twice: enough for the upper pages of each table.
const BESIDE_KIB: i64 = 1024;

/// After so many pages (32 MiB) a commit moves the write-ahead log into the file.
const CHECKPOINT_PAGES: i64 = 8_192;

/// The log's file is cut to this after a checkpoint.
const LOG_BYTES: i64 = 64 * 1024 * 1024;

/// How long a statement waits for another process's lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Prepared statements kept: more than there are texts of them.
const STATEMENTS: usize = 64;

impl Ledger {
    /// Opens the ledger for writing; makes it where there is none (mode 0640), and brings an older schema up.
    ///
    /// # Errors
    /// When another process writes to it, it is not ours or newer, the key is another one, or it cannot be opened.
    pub fn open(path: &Path, key: &NumberKey) -> Result<Self> {
        let lock = lock(path)?;
        // SQLite gives the log and its index the mode of the file, so that makes all three private.
        OpenOptions::new().append(true).create(true).mode(0o640).open(path).map_err(|error| named(path, &error))?;
        let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        migrate::check(&db, path)?;
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
        // What is deleted is overwritten: `sweep` relies on it.
        db.pragma_update(None, "secure_delete", true)?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        db.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        migrate::migrate(&mut db, path, |db| remember(db, key))?;
        know_key(&db, path, key)?;
        let head = read_head(&db)?;
        let writing = Writing { tokens: Tokens::new(key.clone()), unsettled: HashMap::new(), _lock: lock };
        Ok(Self { db, path: path.into(), head, writing: Some(writing), numbers: RefCell::new(Numbers::default()) })
    }

    /// Opens the ledger for reading, also while another process writes.
    ///
    /// # Errors
    /// When there is none, it is not ours, newer or older, or cannot be opened.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(LedgerError::Missing { path: path.into() });
        }
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found = match migrate::check(&db, path) {
            // A first start was killed while it made the file: what it had begun is undone, by whoever may write.
            Err(LedgerError::ReadOnly) => migrate::check(&connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?, path),
            found => found,
        };
        match found? {
            0 => return Err(LedgerError::Missing { path: path.into() }),
            found if found < migrate::newest() => {
                return Err(LedgerError::Older { path: path.into(), found, known: migrate::newest() });
            }
            _ => {}
        }
        db.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let head = read_head(&db)?;
        Ok(Self { db, path: path.into(), head, writing: None, numbers: RefCell::new(Numbers::default()) })
    }

    /// A second view of a ledger, for another thread of its writer: what is committed, with a small cache.
    ///
    /// # Errors
    /// When it cannot be opened once more.
    pub fn beside(&self) -> Result<Self> {
        let other = Self::read(&self.path)?;
        other.db.pragma_update(None, "cache_size", -BESIDE_KIB)?;
        Ok(other)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything read inside `work` is of one moment, whatever the writer adds meanwhile.
    ///
    /// # Errors
    /// Those of `work`, and of beginning.
    pub fn at_one_moment<T>(&mut self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        if !self.db.is_autocommit() {
            return work(self);
        }
        self.db.pragma_update(None, "cache_size", -WHOLE_KIB)?;
        self.db.execute_batch("BEGIN DEFERRED")?;
        self.numbers.borrow_mut().forget();
        let done = read_head(&self.db).and_then(|head| {
            self.head = head;
            work(self)
        });
        rewind(&self.db);
        self.db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        done
    }
}

/// Where both chains end.
pub(super) fn read_head(db: &Connection) -> Result<Head> {
    let time = db.query_row("SELECT time FROM state", [], |row| row.get(0))?;
    let last = |sql: &str, table| -> Result<(i64, Hash)> {
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok((0, Hash::START)) };
        let (seq, hash) = (row.get(0)?, Hash::read(row.get_ref(1)?.as_blob().unwrap_or_default()));
        Ok((seq, hash.ok_or(LedgerError::Damaged { table, row: seq, what: "its hash has not 32 bytes" })?))
    };
    let evidence = last("SELECT seq, hash FROM evidence ORDER BY seq DESC LIMIT 1", "evidence")?;
    let entry = last("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1", "entry")?;
    Ok(Head { time, evidence, entry, catalogue: super::batch::catalogue_in_force(db)? })
}

pub(super) fn connect(path: &Path, how: OpenFlags) -> Result<Connection> {
    let flags = how | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|source| LedgerError::Open { path: path.into(), source })?;
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // A statement is planned once: without this, some are compiled again for each new value of a parameter.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(db)
}

/// Takes the lock that makes this process the writer. It goes with the process, however that ends; the file stays.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let cannot = |error: std::io::Error| named(&name, &error);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(&name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who holds it is a courtesy: what cannot be read is left out.
            let _ = Read::by_ref(&mut file).take(64).read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "an unknown process" } else { holder.trim() };
            return Err(LedgerError::Busy { path: path.into(), holder: holder.into() });
        }
        Err(TryLockError::Error(error)) => return Err(cannot(error).into()),
    }
    file.set_len(0).map_err(cannot)?;
    file.rewind().map_err(cannot)?;
    writeln!(file, "process {}", std::process::id()).map_err(cannot)?;
    Ok(file)
}

/// An error of the file system with the name of the file.
pub(super) fn named(path: &Path, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A new ledger remembers its key.
fn remember(db: &Connection, key: &NumberKey) -> Result<()> {
    db.execute("INSERT OR IGNORE INTO state (one, time, evidence, entry, key_check, sweep) VALUES (1, 0, 0, 0, ?1, 0)", [key.check()])?;
    Ok(())
}

/// An old one takes no other; one that was left without, by a start that was killed, takes this.
fn know_key(db: &Connection, path: &Path, key: &NumberKey) -> Result<()> {
    remember(db, key)?;
    let stored: Vec<u8> = db.query_row("SELECT key_check FROM state", [], |row| row.get(0))?;
    if stored == key.check() { Ok(()) } else { Err(LedgerError::WrongKey { path: path.into() }) }
}

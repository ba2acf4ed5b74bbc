//! Why the ledger could not do what was asked.

use std::io;
use std::path::PathBuf;

/// What went wrong; each message says what was found and what would have been right.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened or made.
    #[error("{path}: cannot open the ledger: {source}")]
    Open {
        /// The ledger.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// There is no ledger to read.
    #[error("{path}: there is no ledger here yet; `taktd run` or `taktd replay` makes it")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A copy would take the place of a file.
    #[error("{path}: there is a file of that name; a backup replaces none, give another name")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes.
    #[error("{path}: another taktd is writing to this ledger ({holder}); a ledger has one writer")]
    Busy {
        /// The ledger.
        path: PathBuf,
        /// Who has it, as its lock file says.
        holder: String,
    },
    /// A file that is not ours.
    #[error("{path}: this is no taktd ledger; name another file in [ledger] url")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Made by a program newer than this one.
    #[error("{path}: the ledger has schema {found}, this taktd knows up to {known}; use the newer taktd")]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Older than this program, and opened for reading only.
    #[error("{path}: the ledger has schema {found}, this taktd needs {known}; start `taktd run` or `taktd replay` once to bring it up")]
    Older {
        /// The ledger.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A migration that was applied is not the one we have.
    #[error("{path}: migration {version} of this ledger is another than ours; it was made by a different build of taktd")]
    Migration {
        /// The ledger.
        path: PathBuf,
        /// Which.
        version: i64,
    },
    /// The numbers in it were hashed with another key.
    #[error("{path}: the key in privacy.key_file is not the one this ledger was made with; restore that one from the backup")]
    WrongKey {
        /// The ledger.
        path: PathBuf,
    },
    /// The key file cannot be used.
    #[error("{path}: {what}")]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing more fits on the disk; nothing of the batch was written.
    #[error("the disk of the ledger is full; nothing of this batch was written, free some space")]
    Full,
    /// The ledger was opened for reading, or its file may not be written.
    #[error("the ledger cannot be written: it was opened for reading, or its file or folder is read-only")]
    ReadOnly,
    /// A batch went on after one of its steps had failed.
    #[error("an earlier step of this batch failed, and all of it was undone")]
    Undone,
    /// A call the ledger does not know.
    #[error("the ledger has no call {id:?}")]
    UnknownCall {
        /// The name asked for.
        id: String,
    },
    /// A catalogue version the ledger does not know.
    #[error("entries need a catalogue: the tariffs and contracts in force have not been stored")]
    NoCatalogue,
    /// A row that cannot be read.
    #[error("{table} {row}: {what}; `taktd verify` tells more")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        row: i64,
        /// What is wrong.
        what: &'static str,
    },
    /// SQLite says no.
    #[error("ledger: {0}")]
    Sql(rusqlite::Error),
    /// The file system says no.
    #[error("ledger: {0}")]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(rusqlite::ErrorCode::ReadOnly) => Self::ReadOnly,
            _ => Self::Sql(error),
        }
    }
}

/// What every function of the ledger returns.
pub type Result<T> = std::result::Result<T, LedgerError>;

//! A copy of the ledger as it is at one moment, also while its writer goes on.
//!
//! The one invariant: under its own name a copy is whole and on disk, and it takes the place of no other file. It is made
//! by SQLite's `VACUUM INTO`, which reads one moment and leaves out what was deleted: no page of the copy holds anything
//! that the ledger has forgotten.

use super::Ledger;
use super::error::{LedgerError, Result};
use super::open::{connect, named};
use rusqlite::OpenFlags;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A copy that has no name of its own yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Copy {
    temporary: PathBuf,
    path: PathBuf,
}

impl Copy {
    /// Begins a copy that will be this file: an empty one, readable for its owner only, that none may have been before.
    ///
    /// # Errors
    /// When there is a file of that name, or none can be made beside it.
    pub fn begin(path: &Path) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(LedgerError::Exists { path: path.into() });
        }
        let name = path.file_name().ok_or_else(|| named(path, &io::ErrorKind::IsADirectory.into()))?;
        let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        made.map_err(|error| named(&temporary, &error))?;
        Ok(Self { temporary, path: path.into() })
    }

    /// Where it is being written.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Writes it, of one moment of the ledger.
    ///
    /// # Errors
    /// When the ledger cannot be read, or the disk is full.
    pub fn write(&self, ledger: &Ledger) -> Result<()> {
        // A connection of its own: one that only reads would write no copy either.
        let db = connect(ledger.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.execute("VACUUM INTO ?1", [self.temporary.to_str().ok_or_else(|| named(&self.path, &io::ErrorKind::InvalidFilename.into()))?])?;
        Ok(())
    }

    /// Opens it, to look whether it is good.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(&self) -> Result<Ledger> {
        Ledger::read(&self.temporary)
    }

    /// Puts it on disk and gives it its name.
    ///
    /// # Errors
    /// When there is a file of that name by now, or the file system fails.
    pub fn publish(self) -> Result<()> {
        File::open(&self.temporary).and_then(|file| file.sync_all()).map_err(|error| named(&self.temporary, &error))?;
        // A link fails where a file stands, a renaming would replace it; some file systems have no links.
        match fs::hard_link(&self.temporary, &self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || self.path.symlink_metadata().is_ok() => {
                return Err(LedgerError::Exists { path: self.path.clone() });
            }
            Err(_) => fs::rename(&self.temporary, &self.path).map_err(|error| named(&self.path, &error))?,
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The temporary name goes when this is dropped; that it may come back after a loss of power does no harm.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| named(folder, &error))?;
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // It may have been renamed; the journal is there only while it is written.
        let _ = fs::remove_file(&self.temporary);
        let mut journal = self.temporary.clone().into_os_string();
        journal.push("-journal");
        let _ = fs::remove_file(journal);
    }
}

impl Ledger {
    /// About how many bytes a copy will have.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn bytes_in_use(&self) -> Result<u64> {
        let pragma = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(u64::try_from(pages.saturating_mul(pragma("page_size")?)).unwrap_or(0))
    }
}

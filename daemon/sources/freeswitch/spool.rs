//! The directory into which mod_json_cdr writes what it could not post (`err-log-dir`), or everything (`log-dir`): a file a
//! leg.
//!
//! The invariant: a file is read once it has been still for [`STILL`], and once only, as long as it is what it was; it is
//! never changed, and taken away only when that is configured and what it brought is committed.

use crate::units::codec::{Reader, Writer};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{ErrorKind, Read, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that changed this recently may still be written.
pub const STILL: Duration = Duration::from_secs(2);

/// So many files are remembered; beyond, those whose names come last are read again, which changes nothing.
const MOST_FILES: usize = 100_000;

/// What a file was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    size: u64,
    modified: u64,
}

/// A spool, and what was read of it.
#[derive(Clone, Debug)]
pub struct Spool {
    path: PathBuf,
    read: BTreeMap<Box<str>, Mark>,
}

impl Spool {
    /// A directory, or for a replay a single file, of which nothing was read yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: BTreeMap::new() }
    }

    /// Goes on from what [`Spool::write`] wrote.
    #[must_use]
    pub fn resume(mut self, back: &mut Reader<'_>) -> Option<Self> {
        let read = back.list(|back| Some((back.text()?.into(), Mark { size: back.number()?, modified: back.number()? })))?;
        self.read = read.into_iter().collect();
        Some(self)
    }

    /// Writes which files were read.
    pub fn write(&self, out: &mut Writer) {
        out.list(self.read.iter(), |out, (name, mark)| {
            out.text(name);
            out.number(mark.size);
            out.number(mark.modified);
        });
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Visits at most `most` files that were not read yet, by name; those that changed after `before` wait. Gives how many.
    ///
    /// # Errors
    /// When the directory cannot be read; one that is missing is empty.
    pub fn visit(&mut self, before: SystemTime, longest: usize, most: usize, mut visitor: impl FnMut(&Path, &[u8])) -> Result<usize> {
        let found = match self.files() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        // What is gone need not be remembered.
        self.read.retain(|name, _| found.contains_key(name));
        let mut taken = 0;
        for (name, (path, mark, modified)) in found {
            if taken >= most {
                break;
            }
            if self.read.get(&name) == Some(&mark) || modified > before {
                continue;
            }
            let mut bytes = Vec::new();
            // One octet more shows that it is too long.
            let limit = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
            match std::fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
                Ok(_) => visitor(&path, &bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            taken += 1;
            if self.read.len() < MOST_FILES {
                self.read.insert(name, mark);
            }
        }
        Ok(taken)
    }

    fn files(&self) -> Result<BTreeMap<Box<str>, (PathBuf, Mark, SystemTime)>> {
        let mut found = BTreeMap::new();
        let mut add = |path: PathBuf, metadata: &Metadata| {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let mark = Mark { size: metadata.len(), modified: u64::try_from(since.as_micros()).unwrap_or(0) };
            let name: Box<str> = path.file_name().unwrap_or_default().to_string_lossy().into();
            found.insert(name, (path, mark, modified));
        };
        let own = std::fs::metadata(&self.path)?;
        if own.is_file() {
            add(self.path.clone(), &own);
            return Ok(found);
        }
        for entry in std::fs::read_dir(&self.path)?.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let hidden = entry.file_name().as_encoded_bytes().first() == Some(&b'.');
            if metadata.is_file() && !hidden {
                add(entry.path(), &metadata);
            }
        }
        Ok(found)
    }
}

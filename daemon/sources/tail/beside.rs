//! The files beside one that is followed: where it goes when it is rotated.
//!
//! The invariant: what was there when the file was begun is never taken for what became of it since.

use std::io::Result;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What lies beside a file when it is begun: whatever comes later, and was written later, is a copy of it.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Each by its device and inode.
    known: Vec<(u64, u64)>,
    /// When the file was last written to before it was begun.
    since: Option<SystemTime>,
}

impl Beside {
    /// Looks at what there is.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn of(path: &Path) -> Result<Self> {
        // In this order: what comes in between is looked at once too often.
        let known = siblings(path)?.into_iter().filter_map(|(path, _)| inode(&path)).collect();
        Ok(Self { known, since: std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok() })
    }

    /// The oldest that came since, other than the file itself under a new name. Each is given once.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn take_new(&mut self, path: &Path, own: (u64, u64)) -> Result<Option<PathBuf>> {
        let mut found: Option<(PathBuf, SystemTime, (u64, u64))> = None;
        for (path, modified) in siblings(path)? {
            let Some(inode) = inode(&path).filter(|inode| *inode != own && !self.known.contains(inode)) else { continue };
            // An archive that somebody unpacks is older.
            let older = self.since.is_some_and(|since| modified < since);
            if !older && found.as_ref().is_none_or(|(_, oldest, _)| modified < *oldest) {
                found = Some((path, modified, inode));
            }
        }
        Ok(found.map(|(path, _, inode)| {
            self.known.push(inode);
            path
        }))
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Uncompressed files beside `path` that bear its name and more: `Master.csv.1`, `Master.csv-20260101`.
pub(super) fn siblings(path: &Path) -> Result<Vec<(PathBuf, SystemTime)>> {
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else { return Ok(Vec::new()) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(found) };
    for entry in entries.flatten() {
        let bytes = entry.file_name();
        let rest = bytes.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let packed = [&b".gz"[..], b".bz2", b".xz", b".zst"].iter().any(|end| bytes.as_encoded_bytes().ends_with(end));
        if rest.is_none_or(|rest| !matches!(rest.first(), Some(b'.' | b'-'))) || packed {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file()
            && let Ok(modified) = metadata.modified()
        {
            found.push((entry.path(), modified));
        }
    }
    Ok(found)
}

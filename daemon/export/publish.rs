//! Files that appear whole or not at all.
//!
//! The one invariant: under its final name a file is complete and on disk. What is dropped on the way leaves nothing.

use super::{ExportError, at};
use crate::ledger::hex;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is being written under a temporary name.
pub(super) struct Output {
    name: String,
    temporary: Temporary,
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

/// A file that is complete and synced, still under its temporary name.
pub(super) struct Ready {
    temporary: Temporary,
    summary: Summary,
}

/// What the manifest says about a file.
#[derive(Clone)]
pub(super) struct Summary {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Removes the file it names, unless that was renamed.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It lies under a name that nobody reads; the next export of this process overwrites it.
            let _ = fs::remove_file(path);
        }
    }
}

impl Output {
    /// Begins a file. It is readable for its owner and group only: it holds phone numbers.
    pub fn create(folder: &Path, name: String) -> Result<Self, ExportError> {
        let path = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&path).map_err(at(&path))?;
        Ok(Self { name, temporary: Temporary(Some(path)), file: BufWriter::new(file), hasher: Sha256::new(), bytes: 0 })
    }

    /// Its final name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.file.write_all(bytes).map_err(at(self.temporary.path()))
    }

    /// Completes it and puts it on disk.
    pub fn finish(mut self) -> Result<Ready, ExportError> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(at(self.temporary.path()))?;
        let sha256 = hex(&self.hasher.finalize());
        Ok(Ready { temporary: self.temporary, summary: Summary { name: self.name, bytes: self.bytes, sha256 } })
    }
}

impl Temporary {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }
}

impl Ready {
    /// What the manifest says about it.
    pub fn summary(&self) -> Summary {
        self.summary.clone()
    }
}

/// Removes what exports of processes that are no more left under temporary names.
pub(super) fn clean(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rest = name.strip_prefix(".taktd-").and_then(|rest| rest.strip_suffix(".tmp"));
        let process = rest.and_then(|rest| rest.rsplit_once('.')?.1.parse::<u32>().ok());
        if process.is_some_and(|process| process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists()) {
            // One that stays lies under a name that nobody reads.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Gives all files their names, in this order, and syncs the folder.
pub(super) fn all(files: Vec<Ready>, folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let mut paths = Vec::with_capacity(files.len());
    for mut file in files {
        let path = folder.join(&file.summary.name);
        fs::rename(file.temporary.path(), &path).map_err(at(&path))?;
        file.temporary.0 = None;
        paths.push(path);
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
    Ok(paths)
}

//! Follows a growing file over rotation, truncation and restarts.
//!
//! The invariant: every complete record is visited once, and [`Tail::position`] is just behind the last one visited; what
//! stands there commits together with what came of it. Rotation by rename loses nothing: the old file is read to its end
//! before the new one is begun. Copy-and-truncate can lose what was written between the two, as its manual says; what is in a
//! copy beside it is read from there, however often that was done since we last looked.
//!
//! Nothing here blocks or waits: the caller says when to look again. [`mod@line`] cuts what is read into complete records.

mod beside;
pub mod line;
mod trouble;

pub use trouble::{PollError, Stopped};

use crate::units::codec::{Reader, Writer};
use beside::{Beside, siblings};
use line::{Framed, Quotes, next};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much is read at once, more than the longest record.
const CHUNK: usize = 4 * line::LONGEST;

/// How many octets before the position must be what they were.
const MEMORY: u64 = 64;

/// A place in a file, and what tells that it is still that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    device: u64,
    inode: u64,
    offset: u64,
    lines: u64,
    skipping: bool,
    before: [u8; 16],
}

impl Position {
    /// Writes it, to be committed with what came from before it.
    pub fn write(&self, out: &mut Writer) {
        for number in [self.device, self.inode, self.offset, self.lines] {
            out.number(number);
        }
        out.flag(self.skipping);
        out.bytes(&self.before);
    }

    /// Reads what [`Position::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            device: back.number()?,
            inode: back.number()?,
            offset: back.number()?,
            lines: back.number()?,
            skipping: back.flag()?,
            before: back.bytes()?.try_into().ok()?,
        })
    }
}

/// What became of the file beside growing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailCounts {
    /// It was renamed and begun anew.
    pub rotated: u64,
    /// It became shorter, or other than it was: read again from its beginning.
    pub truncated: u64,
    /// The file of a committed position is gone: what it held behind that position was never read.
    pub lost: u64,
    /// A file ended with a half-written record when the next one was begun.
    pub unfinished: u64,
    /// It was emptied or replaced, or is gone, and nothing beside it holds what was read before: what was written to it in
    /// between may be missing.
    pub gaps: u64,
}

/// A file being followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// Where to go on, until the file has been opened.
    resume: Option<Position>,
    counts: TailCounts,
    buffer: Vec<u8>,
    /// The files beside it when it was begun.
    beside: Beside,
}

#[derive(Debug)]
struct Open {
    file: File,
    at: Position,
}

/// What the visitor of a record wants.
pub type Visit = ControlFlow<(), ()>;

impl Tail {
    /// Follows `path` from a committed position, else from its beginning. The file may be missing still.
    #[must_use]
    pub fn new(path: &Path, resume: Option<Position>) -> Self {
        Self { path: path.to_owned(), open: None, resume, counts: TailCounts::default(), buffer: Vec::new(), beside: Beside::default() }
    }

    /// The file's name, as configured.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Just behind the last record visited.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.open.as_ref().map(|open| open.at).or(self.resume)
    }

    /// What became of the file so far.
    #[must_use]
    pub const fn counts(&self) -> TailCounts {
        self.counts
    }

    /// Whether octets stand behind the position that are no complete record yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_rest(&self) -> Result<bool> {
        self.open.as_ref().map_or(Ok(false), |open| Ok(open.file.metadata()?.len() > open.at.offset))
    }

    /// Visits complete records with the number of their first line, at most `most`. A visitor that breaks leaves its
    /// record for the next time. Gives how many were taken.
    ///
    /// # Errors
    /// When the file cannot be read; a file that is missing is no error.
    pub fn visit(&mut self, quotes: Quotes, most: usize, mut visitor: impl FnMut(u64, Framed<'_>) -> Visit) -> Result<usize> {
        let mut taken = 0;
        while taken < most {
            if self.open.is_none() && !self.start()? {
                break;
            }
            self.fill()?;
            let Some(open) = self.open.as_mut() else { break };
            let (mut rest, mut left) = (&*self.buffer, false);
            let mut skipping = open.at.skipping;
            let mut lines = open.at.lines;
            while taken < most
                && let Some((piece, behind)) = next(rest, quotes, &mut skipping)
            {
                if visitor(lines + 1, piece).is_break() {
                    left = true;
                    break;
                }
                taken += 1;
                let bytes = rest.len() - behind.len();
                lines += rest.iter().take(bytes).filter(|byte| **byte == b'\n').count() as u64;
                rest = behind;
                open.at.skipping = skipping;
            }
            let consumed = self.buffer.len() - rest.len();
            open.at.lines = lines;
            open.advance(consumed)?;
            if left {
                break;
            }
            if consumed == 0 && !self.next_file()? {
                break;
            }
        }
        Ok(taken)
    }

    /// Reads what stands behind the position, after looking whether the file is still the same.
    fn fill(&mut self) -> Result<()> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if !open.is_intact()? {
            self.counts.truncated += 1;
            // Copied and truncated: the copy has what was written since we last looked.
            match copy_of(&self.path, open.at)? {
                Some(copy) => *open = copy,
                None => {
                    self.counts.gaps += 1;
                    open.at = Position { device: open.at.device, inode: open.at.inode, ..Position::default() };
                    self.beside = Beside::of(&self.path)?;
                }
            }
        } else if open.at.offset == 0
            && let Some(path) = self.beside.take_new(&self.path, (open.at.device, open.at.inode))?
        {
            // Filled, copied and truncated again before we looked: of what was never read nothing tells but a new copy.
            match open_beside(&path) {
                Some((file, metadata)) => *open = Open::new(file, &metadata),
                None => self.counts.gaps += 1,
            }
        }
        // No more than is there: to look and find nothing should cost nothing.
        let there = open.file.metadata()?.len().saturating_sub(open.at.offset);
        self.buffer.resize(usize::try_from(there).map_or(CHUNK, |there| there.min(CHUNK)), 0);
        let length = read_at_most(&open.file, &mut self.buffer, open.at.offset)?;
        self.buffer.truncate(length);
        Ok(())
    }

    /// Opens the file of the committed position, else the one of the configured name; `false` when there is none.
    fn start(&mut self) -> Result<bool> {
        self.beside = Beside::of(&self.path)?;
        let Some(position) = self.resume else {
            self.open = open(&self.path)?.map(|(file, metadata)| Open::new(file, &metadata));
            return Ok(self.open.is_some());
        };
        // After a restart the file may bear another name by now, or be a copy in another place.
        let mut paths = vec![self.path.clone()];
        paths.extend(siblings(&self.path)?.into_iter().map(|(path, _)| path));
        for path in paths {
            let Some((file, metadata)) = open_beside(&path) else { continue };
            let candidate = Open { file, at: position };
            if (metadata.dev(), metadata.ino()) == (position.device, position.inode) && candidate.is_intact()? {
                self.open = Some(candidate);
                self.resume = None;
                return Ok(true);
            }
        }
        if let Some(copy) = copy_of(&self.path, position)? {
            self.open = Some(copy);
            self.resume = None;
            return Ok(true);
        }
        let Some((file, metadata)) = open(&self.path)? else { return Ok(false) };
        if position.inode == metadata.ino() && position.device == metadata.dev() {
            self.counts.truncated += 1;
            self.counts.gaps += u64::from(position.offset > 0);
        } else if position.inode != 0 {
            self.counts.lost += 1;
            self.counts.gaps += 1;
        }
        self.open = Some(Open::new(file, &metadata));
        self.resume = None;
        Ok(true)
    }

    /// Goes on to the file that was begun after this one, if there is one and this one has nothing more.
    fn next_file(&mut self) -> Result<bool> {
        let Some(open_file) = self.open.as_ref() else { return Ok(false) };
        let Ok(current) = std::fs::metadata(&self.path) else { return Ok(false) };
        if (current.dev(), current.ino()) == (open_file.at.device, open_file.at.inode) {
            return Ok(false);
        }
        let old = open_file.file.metadata()?;
        // Renamed after we last looked: what was written until then is read before we leave.
        if old.len() > open_file.at.offset + self.buffer.len() as u64 {
            return Ok(true);
        }
        let mut later: Vec<(PathBuf, SystemTime)> = siblings(&self.path)?
            .into_iter()
            .filter(|(path, _)| std::fs::metadata(path).is_ok_and(|other| other.ino() != old.ino()))
            .filter(|(_, modified)| old.modified().is_ok_and(|own| *modified > own))
            .collect();
        later.sort_by_key(|(_, modified)| *modified);
        let next = later.into_iter().next().map_or_else(|| self.path.clone(), |(path, _)| path);
        self.beside = Beside::of(&self.path)?;
        let Some((file, metadata)) = open(&next)? else { return Ok(false) };
        self.counts.unfinished += u64::from(!self.buffer.is_empty());
        self.counts.rotated += 1;
        self.open = Some(Open::new(file, &metadata));
        Ok(true)
    }
}

impl Open {
    fn new(file: File, metadata: &Metadata) -> Self {
        let mut open = Self { file, at: Position { device: metadata.dev(), inode: metadata.ino(), ..Position::default() } };
        open.at.before = hash(&[]);
        open
    }

    fn advance(&mut self, by: usize) -> Result<()> {
        if by > 0 {
            self.at.offset += by as u64;
            self.at.before = self.before()?;
        }
        Ok(())
    }

    /// A hash of the octets just before the position.
    fn before(&self) -> Result<[u8; 16]> {
        let mut bytes = vec![0; usize::try_from(self.at.offset.min(MEMORY)).unwrap_or(0)];
        let from = self.at.offset - bytes.len() as u64;
        let length = read_at_most(&self.file, &mut bytes, from)?;
        bytes.truncate(length);
        Ok(hash(&bytes))
    }

    /// Whether the file still holds before the position what it held.
    fn is_intact(&self) -> Result<bool> {
        Ok(self.at.offset == 0 || (self.file.metadata()?.len() >= self.at.offset && self.before()? == self.at.before))
    }
}

/// The file, or one beside it, that holds the same before the position; `None` at the beginning, where all are alike.
fn copy_of(path: &Path, position: Position) -> Result<Option<Open>> {
    let mut paths = vec![path.to_owned()];
    paths.extend(siblings(path)?.into_iter().map(|(path, _)| path));
    for path in paths.iter().filter(|_| position.offset > 0) {
        let Some((file, metadata)) = open_beside(path) else { continue };
        let copy = Open { file, at: Position { device: metadata.dev(), inode: metadata.ino(), ..position } };
        if copy.is_intact()? {
            return Ok(Some(copy));
        }
    }
    Ok(None)
}

fn hash(bytes: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    for (to, from) in hash.iter_mut().zip(Sha256::digest(bytes)) {
        *to = from;
    }
    hash
}

/// Opens a file that may be the right one. One that cannot be read is none: an old file that is not ours to read stops nothing.
fn open_beside(path: &Path) -> Option<(File, Metadata)> {
    open(path).ok().flatten()
}

/// Opens a regular file; `None` when it is missing. A pipe or device would block, and is refused.
fn open(path: &Path) -> Result<Option<(File, Metadata)>> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(Error::new(ErrorKind::InvalidInput, "not a regular file")),
        Ok(_) => match File::open(path) {
            Ok(file) => {
                let metadata = file.metadata()?;
                Ok(Some((file, metadata)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_at_most(file: &File, buffer: &mut [u8], from: u64) -> Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, from + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{OpenOptions, remove_file, rename, write};
    use std::io::Write as _;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
        file.write_all(text.as_bytes()).expect("writes");
    }

    fn read(tail: &mut Tail, most: usize) -> Vec<String> {
        let mut found = Vec::new();
        tail.visit(Quotes::Hold { delimiter: b',' }, most, |_, piece| {
            if let Framed::Record(record) = piece {
                found.push(String::from_utf8_lossy(record).into_owned());
            }
            ControlFlow::Continue(())
        })
        .expect("reads");
        found
    }

    fn restart(tail: &Tail) -> Tail {
        let mut out = Writer::new();
        tail.position().expect("a position").write(&mut out);
        let bytes = out.finish();
        Tail::new(tail.path(), Position::read(&mut Reader::new(&bytes)))
    }

    #[test]
    fn a_half_written_line_waits_and_a_missing_file_may_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Master.csv");
        let mut tail = Tail::new(&path, None);
        assert!(read(&mut tail, 9).is_empty());
        append(&path, "a\nb\nhal");
        assert_eq!(read(&mut tail, 1), ["a"]);
        assert_eq!(read(&mut tail, 9), ["b"]);
        assert!(read(&mut tail, 9).is_empty() && tail.has_rest().expect("reads"));
        append(&path, "f\n");
        assert_eq!(read(&mut tail, 9), ["half"]);
        assert!(read(&mut tail, 9).is_empty() && !tail.has_rest().expect("reads"));
    }

    #[test]
    fn rotation_finishes_the_old_file_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Master.csv");
        append(&path, "a\n");
        let mut tail = Tail::new(&path, None);
        assert_eq!(read(&mut tail, 9), ["a"]);
        let old = folder.path().join("Master.csv.1");
        rename(&path, &old).expect("renames");
        append(&old, "b\n");
        assert_eq!(read(&mut tail, 9), ["b"]);
        append(&old, "c\n");
        append(&path, "d\ne\n");
        assert_eq!(read(&mut tail, 9), ["c", "d", "e"]);
        assert_eq!(tail.counts(), TailCounts { rotated: 1, ..TailCounts::default() });
    }

    #[test]
    fn a_restart_goes_on_where_the_position_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Master.csv");
        append(&path, "a\nb\nc\n");
        let mut tail = Tail::new(&path, None);
        assert_eq!(read(&mut tail, 2), ["a", "b"]);
        let mut tail = restart(&tail);
        // Rotated twice while nobody looked.
        rename(&path, folder.path().join("Master.csv.2")).expect("renames");
        std::thread::sleep(std::time::Duration::from_millis(20));
        append(&folder.path().join("Master.csv.1"), "d\n");
        std::thread::sleep(std::time::Duration::from_millis(20));
        append(&path, "e\n");
        assert_eq!(read(&mut tail, 9), ["c", "d", "e"]);
        let mut tail = restart(&tail);
        assert!(read(&mut tail, 9).is_empty());
        append(&path, "f\n");
        assert_eq!(read(&mut tail, 9), ["f"]);
        assert_eq!(tail.counts(), TailCounts::default());
    }

    #[test]
    fn a_truncated_or_replaced_file_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Master.csv");
        append(&path, "aaaa\nbbbb\n");
        let mut tail = Tail::new(&path, None);
        assert_eq!(read(&mut tail, 9).len(), 2);
        write(&path, "c\n").expect("writes");
        assert_eq!(read(&mut tail, 9), ["c"]);
        write(&path, "longer than it was\nd\n").expect("writes");
        assert_eq!(read(&mut tail, 9), ["longer than it was", "d"]);
        assert_eq!(tail.counts().truncated, 2);
        let mut tail = restart(&tail);
        remove_file(&path).expect("removes");
        assert!(read(&mut tail, 9).is_empty());
        append(&path, "entirely new and other\n");
        assert_eq!(read(&mut tail, 9), ["entirely new and other"]);
        assert_eq!(tail.counts().lost + tail.counts().truncated, 1);
    }

    #[test]
    fn a_copy_beside_a_truncated_file_is_finished_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Master.csv");
        append(&path, "a\n");
        let mut tail = Tail::new(&path, None);
        assert_eq!(read(&mut tail, 9), ["a"]);
        append(&path, "b\n");
        std::fs::copy(&path, folder.path().join("Master.csv.1")).expect("copies");
        write(&path, "").expect("truncates");
        assert_eq!(read(&mut tail, 9), ["b"]);
        append(&path, "c\n");
        assert_eq!(read(&mut tail, 9), ["c"]);
        assert!(read(&mut tail, 9).is_empty());
    }

    #[test]
    fn two_copies_and_truncations_between_two_looks_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Master.csv");
        append(&path, "a\n");
        let mut tail = Tail::new(&path, None);
        assert_eq!(read(&mut tail, 9), ["a"]);
        let truncate = |copy: &str| {
            std::fs::copy(&path, folder.path().join(copy)).expect("copies");
            write(&path, "").expect("truncates");
        };
        truncate("Master.csv-1");
        assert!(read(&mut tail, 9).is_empty());
        // Nothing of the file was read when it is truncated again.
        append(&path, "b\n");
        truncate("Master.csv-2");
        append(&path, "c\n");
        assert_eq!(read(&mut tail, 9), ["b", "c"]);
        append(&path, "d\n");
        std::thread::sleep(std::time::Duration::from_millis(20));
        truncate("Master.csv-3");
        append(&path, "e\n");
        std::thread::sleep(std::time::Duration::from_millis(20));
        truncate("Master.csv-4");
        append(&path, "f\n");
        assert_eq!(read(&mut tail, 9), ["d", "e", "f"]);
        assert_eq!(tail.counts().gaps, 0);
        write(&path, "").expect("truncates");
        append(&path, "g\n");
        assert_eq!((read(&mut tail, 9), tail.counts().gaps), (vec!["g".to_owned()], 1));
    }

    #[test]
    fn a_visitor_may_leave_a_record_for_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("queue_log");
        append(&path, "1\n\"2\n3\n");
        let mut tail = Tail::new(&path, None);
        let mut seen = Vec::new();
        let mut visit = |line, _: Framed<'_>| {
            seen.push(line);
            if line == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert_eq!(tail.visit(Quotes::Plain, 9, &mut visit).expect("reads"), 1);
        assert_eq!(tail.visit(Quotes::Plain, 9, |_, _| ControlFlow::Continue(())).expect("reads"), 2);
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn a_pipe_is_refused() {
        let mut tail = Tail::new(Path::new("/dev/null"), None);
        assert!(tail.visit(Quotes::Hold { delimiter: b',' }, 1, |_, _| ControlFlow::Continue(())).is_err());
    }
}

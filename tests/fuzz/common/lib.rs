//! What the targets share: calls judged by what no bytes may break, and files in memory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use taktd::calls::{Call, Channels, Directory, Update};
use taktd::config;
use taktd::units::Timestamp;
use taktd::units::codec::{Reader, Writer};

/// Between the pieces of an input that has several.
pub const BETWEEN: &[u8] = b"\n%%\n";

/// The root of the project.
pub const HOUSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The pieces of an input.
pub fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut found) = (data, Vec::new());
    while let Some(at) = rest.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN) {
        found.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    found.push(rest);
    found
}

/// The directory of the configuration that ships.
pub fn directory() -> Directory {
    let (config, _) = config::load(&Path::new(HOUSE).join("config/taktd.toml")).expect("the example is right");
    config.directory
}

/// The noon at which inputs begin.
pub fn noon() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-10T12:00:00+01:00").expect("a time")
}

/// The lab's addresses: provider, switch, desk.
pub fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, [20, 10, 31, 32][usize::from(number % 4)]], 5060))
}

/// Whatever was told, a call that is over is one that can have been. Only a clock that is set back makes talk older than its
/// call; the talk is as long as it was all the same.
pub fn judge(call: &Call) {
    let ended = call.ended_at.expect("a call that is over has an end");
    let began = call.talks.first().map_or(call.started_at, |talk| talk.from.min(call.started_at));
    assert!(began <= ended, "it ended before it began: {call:?}");
    for talk in &call.talks {
        let to = talk.to.expect("the talk of a call that is over has an end");
        assert!(talk.from <= to, "talk of less than nothing: {call:?}");
        assert!(to <= ended, "talk behind the end: {call:?}");
    }
    for pair in call.talks.windows(2) {
        assert!(pair[0].to.is_some_and(|to| to <= pair[1].from), "talk counts twice: {call:?}");
    }
    let talk = call.talk_micros(ended);
    assert!(talk >= 0 && talk <= ended.since(began), "more talk than call: {call:?}");
}

/// What was told of a switch's channels: what is open can be kept and read back, and every call that is over is one that can
/// have been.
pub fn hear(mut channels: Channels, directory: &Directory, mut updates: Vec<Update>) {
    let written = |channels: &Channels| {
        let mut out = Writer::new();
        channels.write(&mut out);
        out.finish()
    };
    let kept = written(&channels);
    let back = Channels::read(directory, &mut Reader::new(&kept)).expect("what was written is read back");
    assert!(written(&back) == kept, "and is the same");
    channels.finish(&mut updates);
    for update in updates.iter().filter(|update| update.call.ended_at.is_some()) {
        judge(&update.call);
    }
}

/// What one reading of a file came to: all that it told, where it stopped, and whether it did so without an error.
pub struct Told<P> {
    /// What was read, as text.
    pub rows: Vec<String>,
    /// Where a later reading goes on.
    pub position: P,
    /// Whether nothing went wrong: a source that stopped because the file is in no layout it knows reads no further.
    pub well: bool,
}

/// Asks a source that follows a file until nothing new comes. `poll` gives what came, and whether to ask again; `None` is an error.
pub fn drain(mut poll: impl FnMut() -> Option<(Vec<String>, bool)>) -> (Vec<String>, bool) {
    let mut rows = Vec::new();
    for _ in 0..10_000 {
        match poll() {
            Some((more, true)) => rows.extend(more),
            Some((last, false)) => {
                rows.extend(last);
                return (rows, true);
            }
            None => return (rows, false),
        }
    }
    panic!("it never comes to an end");
}

/// A file read at once, and by a second reader that goes on from where the first one was while the file was growing: no row
/// twice, none lost.
pub fn survives_a_restart<P>(name: &str, file: &[u8], read: impl Fn(&Path, Option<P>) -> Told<P>) {
    let whole = read(Scratch::new(name, file).path(), None);
    let half = file.len() / 2;
    let growing = Scratch::new(name, &file[..half]);
    let first = read(growing.path(), None);
    growing.append(&file[half..]);
    let second = read(growing.path(), Some(first.position));
    if whole.well && first.well && second.well {
        let parts = [first.rows, second.rows].concat();
        assert!(whole.rows == parts, "a restart changes what is read: {:?} {parts:?}", whole.rows);
    }
}

/// A file in memory, gone with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// With these bytes.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let path = folder.join(format!("taktd-fuzz-{name}-{}", std::process::id()));
        fs::write(&path, bytes).expect("a file in memory");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes more at its end.
    pub fn append(&self, bytes: &[u8]) {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(&self.0).and_then(|mut file| file.write_all(bytes)).expect("a file in memory");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

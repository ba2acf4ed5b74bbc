//! The rules of the house, which hold because this fails when they do not (the map is the table in `daemon/lib.rs`).

mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the tree is.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Lines that a source file may have.
const LINES: usize = 300;

/// Files that are longer, and how long they may be. The list only shrinks: one that got shorter than [`LINES`] has to go.
const LONG: &[(&str, usize)] = &[
    ("daemon/calls/records.rs", 400),
    ("daemon/config/contracts.rs", 350),
    ("daemon/config/daemon.rs", 380),
    ("daemon/config/reader.rs", 420),
    ("daemon/config/tariff.rs", 490),
    ("daemon/ledger/numbers.rs", 340),
    ("daemon/ledger/query.rs", 350),
    ("daemon/ledger/verify.rs", 370),
    ("daemon/pipeline/live.rs", 420),
    ("daemon/pipeline/replay.rs", 440),
    ("daemon/pipeline/writer.rs", 340),
    ("daemon/sip/addr.rs", 380),
    ("daemon/sip/dialogs/dialog.rs", 350),
    ("daemon/sip/dialogs/leg.rs", 320),
    ("daemon/sip/dialogs/script.rs", 660),
    ("daemon/sip/scan.rs", 360),
    ("daemon/sources/asterisk_cdr/layout.rs", 460),
    ("daemon/sources/asterisk_cdr/recordings.rs", 580),
    ("daemon/sources/asterisk_cdr/zone.rs", 370),
    ("daemon/sources/pcap/file.rs", 340),
    ("daemon/sources/tail/mod.rs", 540),
    ("daemon/tariff/bands.rs", 440),
    ("daemon/tariff/calendar.rs", 340),
    ("daemon/tariff/week.rs", 410),
];

/// What no pure room touches, as parts of paths. Random hashing, too: the order would differ from run to run.
const IMPURE: &[&str] = &[
    "tokio",
    "axum",
    "rusqlite",
    "prometheus",
    "tracing",
    "std::fs",
    "std::env",
    "std::io",
    "std::os",
    "std::process",
    "std::thread",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "SystemTime",
    "Instant",
    "Utc::now",
    "Local",
    "RandomState",
    "collections::HashMap",
    "collections::HashSet",
    "println",
    "eprintln",
    "f64",
    "f32",
];

/// The types that a lone `as` could cut a number to.
const NUMBERS: &[&str] = &["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "char"];

/// Words of a room below that a room above translates into: values without any doing.
const WORDS_BELOW: &[(&str, &str, &[&str])] = &[(
    "sources",
    "calls",
    &[
        "Application",
        "CallRow",
        "CdrRow",
        "Change",
        "ChannelEvent",
        "ChannelFacts",
        "DialStatus",
        "Disposition",
        "Lies",
        "NamesAgents",
        "OpenChannel",
        "Outcome",
        "Party",
        "Precision",
        "QueueEvent",
        "QueueLine",
        "Span",
        "Standing",
        "TalkFrom",
        "Way",
    ],
)];

/// A room of the map.
struct Room {
    name: String,
    pure: bool,
}

/// A source file below `daemon/`, in the forms the rules need.
struct Source {
    path: String,
    room: String,
    /// How many modules deep it is: 0 is the crate itself.
    depth: usize,
    text: String,
    /// Without comments, literals and test modules.
    code: String,
}

#[test]
fn pure_rooms_stay_pure() {
    let rooms = rooms();
    let mut faults = Faults::default();
    for source in sources().iter().filter(|source| rooms.iter().any(|room| room.pure && room.name == source.room)) {
        for path in source::paths(&source.code) {
            let said = path.join("::");
            for word in IMPURE {
                let parts: Vec<&str> = word.split("::").collect();
                let found = path.windows(parts.len()).any(|window| window.iter().map(String::as_str).eq(parts.iter().copied()));
                faults.note(found, || format!("{} uses {said}, and pure rooms touch nothing", source.path));
            }
            let socket = path.len() > 2 && path[..2] == ["std", "net"] && !path[2].ends_with("Addr") && !path[2].contains("AddrV");
            faults.note(socket, || format!("{} uses {said}, and pure rooms know addresses only", source.path));
        }
        let words: Vec<&str> =
            source.code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let cast = pair[0] == "as" && NUMBERS.contains(&pair[1]);
            faults.note(cast, || format!("{} says `as {}`: use From or TryFrom", source.path, pair[1]));
        }
    }
    faults.none();
}

#[test]
fn imports_point_up_the_list() {
    let rooms = rooms();
    let place: BTreeMap<&str, usize> = rooms.iter().enumerate().map(|(place, room)| (room.name.as_str(), place)).collect();
    let mut faults = Faults::default();
    for source in sources().iter().filter(|source| !source.room.is_empty()) {
        let Some(&own) = place.get(source.room.as_str()) else {
            faults.note(true, || format!("{} is in no room of the map in daemon/lib.rs", source.path));
            continue;
        };
        for path in paths_in_crate(source) {
            let [used, words @ ..] = path.as_slice() else { continue };
            let Some(&other) = place.get(used.as_str()) else { continue };
            let is_word = WORDS_BELOW.iter().any(|(room, below, list)| {
                (*room, *below) == (source.room.as_str(), used.as_str()) && words.first().is_some_and(|word| list.contains(&word.as_str()))
            });
            let stranger = source.room == "tariff" && !["tariff", "units"].contains(&used.as_str());
            let said = format!("{} imports {}", source.path, path.join("::"));
            faults.note(other > own && !is_word, || format!("{said}, which stands below its own room"));
            faults.note(rooms[own].pure && !rooms[other].pure, || format!("{said}, which is not pure"));
            faults.note(stranger, || format!("{said}: a price list knows nothing but units"));
        }
    }
    faults.none();
}

#[test]
fn what_is_unsafe_stands_in_one_file() {
    let mut faults = Faults::default();
    for source in sources().iter().filter(|source| source.path != "daemon/sources/capture/ring.rs") {
        let found =
            source.code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "unsafe" || word == "unsafe_code");
        faults.note(found, || format!("{} is unsafe: only the ring of packets has to be", source.path));
    }
    faults.none();
}

#[test]
fn only_the_clock_reads_the_clock() {
    let mut faults = Faults::default();
    for source in sources().iter().filter(|source| source.room != "clock") {
        for word in ["SystemTime::now", "Instant::now", "Utc::now", "Local::now"] {
            faults.note(source.code.contains(word), || format!("{} asks {word}: that is what clock.rs is for", source.path));
        }
    }
    faults.none();
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = Faults::default();
    let tests = texts().into_iter().filter(|(path, _)| path.starts_with("tests/") && path.ends_with(".rs"));
    for (path, text) in sources().into_iter().map(|source| (source.path, source.text)).chain(tests) {
        faults.note(!text.starts_with("//! "), || format!("{path} does not open with `//!`: its purpose, its invariant, its source"));
    }
    faults.none();
}

#[test]
fn files_fit_a_reader() {
    let lines: BTreeMap<String, usize> = sources().iter().map(|source| (source.path.clone(), source.text.lines().count())).collect();
    let mut faults = Faults::default();
    for (path, count) in &lines {
        let most = LONG.iter().find(|(long, _)| long == path).map_or(LINES, |(_, most)| *most);
        faults.note(*count > most, || format!("{path} has {count} lines and may have {most}: split it"));
    }
    for (path, most) in LONG {
        let count = lines.get(*path).copied().unwrap_or_default();
        faults.note(count <= LINES, || format!("{path} has {count} lines now: take it off the list"));
        faults.note(count > LINES && *most > count + 50, || format!("{path} has {count} lines now: lower its bound from {most}"));
    }
    faults.none();
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    let mut faults = Faults::default();
    for source in sources() {
        for word in [".unwrap()", ".unwrap_err()", "unreachable!(", "panic!("] {
            let found = source.code.contains(word);
            faults.note(found, || format!("{} has {word}: say with `expect` which invariant holds, or return", source.path));
        }
    }
    faults.none();
}

#[test]
fn the_tree_names_no_place_of_its_making() {
    let words = [
        concat!("/tmp", "/wt"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/home", "/"),
        concat!("../", "shared"),
        concat!("cla", "ude"),
        concat!("anth", "ropic"),
        concat!("chat", "gpt"),
        concat!("co", "pilot"),
    ];
    let mut faults = Faults::default();
    for (path, text) in texts() {
        let text = text.to_ascii_lowercase();
        for word in words {
            faults.note(text.contains(word), || format!("{path} says {word}"));
        }
    }
    faults.none();
}

#[test]
fn what_the_readme_tells_to_type_exists() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).expect("README.md");
    // What stands between backticks, one or three: every other part.
    let typed: Vec<&str> = readme.split('`').skip(1).step_by(2).flat_map(str::lines).collect();
    let mut commands = 0;
    for line in &typed {
        for word in line.split_whitespace().filter(|word| !word.contains('<')) {
            let path = word.trim_matches(|c: char| "\"'`,;()".contains(c));
            let ours = ["tests/", "config/", "systemd/", "daemon/"].iter().any(|folder| path.starts_with(folder));
            assert!(!ours || Path::new(ROOT).join(path).exists(), "README.md names {path}, which is not there");
        }
        let line = line.trim_start_matches("sudo -u taktd ");
        let Some(rest) = line.strip_prefix("taktd ").or_else(|| line.strip_prefix("cargo run --release -- ")) else { continue };
        let command = rest.split_whitespace().next().unwrap_or_default();
        assert!(COMMANDS.contains(&command), "README.md says {line}: there is no command {command}");
        let output = Command::new(env!("CARGO_BIN_EXE_taktd")).args([command, "--help"]).output().expect("it starts");
        assert!(output.status.success(), "README.md says {line}: {}", String::from_utf8_lossy(&output.stderr));
        commands += 1;
    }
    assert!(commands > 5, "only {commands} commands found in README.md");
    for command in ["tests/run", "cargo run --release -- "] {
        assert!(typed.iter().any(|line| line.trim_start().starts_with(command)), "README.md does not show {command}");
    }
}

/// The commands of the program.
const COMMANDS: &[&str] = &[
    "run",
    "check",
    "replay",
    "reconcile",
    "calls",
    "rate",
    "quote",
    "explain",
    "export",
    "balance",
    "assign",
    "decide",
    "simulate",
    "backup",
    "privacy",
    "verify",
];

#[test]
fn the_changelog_tells_an_operator_what_matters() {
    let changelog = std::fs::read_to_string(Path::new(ROOT).join("CHANGELOG.md")).expect("CHANGELOG.md");
    let mut versions = changelog.split("\n## ").skip(1).peekable();
    assert!(versions.peek().is_some(), "CHANGELOG.md has no version");
    for version in versions {
        let name = version.lines().next().unwrap_or_default();
        let sections: Vec<&str> = version.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        assert_eq!(sections, ["Breaking", "Billing", "New", "Fixed"], "the sections of {name}");
    }
}

/// What a rule found, told all at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn note(&mut self, is_fault: bool, say: impl FnOnce() -> String) {
        if is_fault {
            self.0.push(say());
        }
    }

    fn none(mut self) {
        self.0.dedup();
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

/// The rooms in the order of the map.
fn rooms() -> Vec<Room> {
    let map = std::fs::read_to_string(Path::new(ROOT).join("daemon/lib.rs")).expect("daemon/lib.rs");
    let rooms: Vec<Room> = map
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`]"))
        .map(|(name, row)| Room { name: name.to_owned(), pure: row.trim_end().ends_with("pure |") })
        .collect();
    assert!(rooms.iter().filter(|room| room.pure).count() >= 6, "the map in daemon/lib.rs names the pure rooms");
    rooms
}

/// The paths of a file that begin at the crate, by `crate::` or by as many `super::` as lead there; without that beginning.
fn paths_in_crate(source: &Source) -> Vec<Vec<String>> {
    source::paths(&source.code)
        .into_iter()
        .filter_map(|path| {
            let ups = path.iter().take_while(|word| *word == "super").count();
            let from_crate = path.first().is_some_and(|word| word == "crate");
            let drop = if from_crate { 1 } else { ups };
            (from_crate || (ups > 0 && ups >= source.depth)).then(|| path[drop..].to_vec())
        })
        .collect()
}

/// Where the modules are that are declared under `#[cfg(test)]`: the beginnings of their files' paths.
fn test_modules(path: &str, stripped: &str) -> Vec<String> {
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let declared = stripped.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let name = after.trim_start().strip_prefix("mod ")?.split_once(';')?.0;
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
    });
    declared.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]).collect()
}

fn sources() -> Vec<Source> {
    let files: Vec<(String, String, String)> = texts()
        .into_iter()
        .filter(|(path, _)| path.starts_with("daemon/") && path.ends_with(".rs"))
        .map(|(path, text)| {
            let stripped = source::strip(&text);
            (path, text, stripped)
        })
        .collect();
    assert!(files.len() > 10, "the sources are in daemon/");
    let tests: Vec<String> = files.iter().flat_map(|(path, _, stripped)| test_modules(path, stripped)).collect();
    files
        .into_iter()
        .map(|(path, text, stripped)| {
            let inner = path.trim_start_matches("daemon/").trim_end_matches(".rs").trim_end_matches("/mod");
            let (room, depth) = match inner {
                "lib" | "main" => (String::new(), 0),
                _ => (inner.split('/').next().unwrap_or_default().to_owned(), inner.split('/').count()),
            };
            let is_test = tests.iter().any(|beginning| path.starts_with(beginning.as_str()));
            let code = if is_test { String::new() } else { source::without_tests(&stripped) };
            Source { room, depth, code, text, path }
        })
        .collect()
}

/// Every text file of the tree that belongs to it, with its path from the root.
fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the tree").map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().expect("a type").is_dir() {
                if ![".git", "target"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name != ".git"
                && entry.metadata().expect("metadata").len() < 4 * 1024 * 1024
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let inside = path.strip_prefix(ROOT).expect("below the root").to_string_lossy().into_owned();
                found.push((inside, text));
            }
        }
    }
    found.sort();
    found
}

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
    ("daemon/calls/correlator.rs", 560),
    ("daemon/calls/join.rs", 420),
    ("daemon/config/plan.rs", 460),
    ("daemon/config/reader.rs", 470),
    ("daemon/config/tariff.rs", 440),
    ("daemon/meter/machine.rs", 580),
    ("daemon/sources/pcap/tests.rs", 380),
    ("daemon/tariff/bands.rs", 430),
    ("daemon/tariff/calendar.rs", 340),
    ("daemon/tariff/week.rs", 400),
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
    for source in sources().iter().filter(|source| rooms.iter().any(|room| room.pure && room.name == source.room)) {
        for path in source::paths(&source.code) {
            for word in IMPURE {
                let parts: Vec<&str> = word.split("::").collect();
                let found = path.windows(parts.len()).any(|window| window.iter().map(String::as_str).eq(parts.iter().copied()));
                assert!(!found, "{} uses {}, and pure rooms touch nothing", source.path, path.join("::"));
            }
            let socket = path.len() > 2 && path[..2] == ["std", "net"] && !path[2].ends_with("Addr") && !path[2].contains("AddrV");
            assert!(!socket, "{} uses {}, and pure rooms know addresses only", source.path, path.join("::"));
        }
        let words: Vec<&str> =
            source.code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            assert!(pair[0] != "as" || !NUMBERS.contains(&pair[1]), "{} says `as {}`: use From or TryFrom", source.path, pair[1]);
        }
    }
}

#[test]
fn imports_point_up_the_list() {
    let rooms = rooms();
    let place: BTreeMap<&str, usize> = rooms.iter().enumerate().map(|(place, room)| (room.name.as_str(), place)).collect();
    for source in sources().iter().filter(|source| !source.room.is_empty()) {
        let own = *place.get(source.room.as_str()).unwrap_or_else(|| panic!("{} is in no room of the map in daemon/lib.rs", source.path));
        for used in used_rooms(source) {
            let Some(&other) = place.get(used.as_str()) else { continue };
            assert!(other <= own, "{} imports {used}, which stands below its own room", source.path);
            assert!(!rooms[own].pure || rooms[other].pure, "{} is pure and imports {used}, which is not", source.path);
            assert!(source.room != "tariff" || ["tariff", "units"].contains(&used.as_str()), "{} imports {used}", source.path);
        }
    }
}

#[test]
fn only_the_clock_reads_the_clock() {
    for source in sources().iter().filter(|source| source.room != "clock") {
        for word in ["SystemTime::now", "Instant::now", "Utc::now", "Local::now"] {
            assert!(!source.code.contains(word), "{} asks {word}: that is what clock.rs is for", source.path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let tests = texts().into_iter().filter(|(path, _)| path.starts_with("tests/") && path.ends_with(".rs"));
    for (path, text) in sources().into_iter().map(|source| (source.path, source.text)).chain(tests) {
        assert!(text.starts_with("//! "), "{path} does not open with `//!`: its purpose, its invariant, its source");
    }
}

#[test]
fn files_fit_a_reader() {
    let lines: BTreeMap<String, usize> = sources().iter().map(|source| (source.path.clone(), source.text.lines().count())).collect();
    for (path, count) in &lines {
        let most = LONG.iter().find(|(long, _)| long == path).map_or(LINES, |(_, most)| *most);
        assert!(*count <= most, "{path} has {count} lines and may have {most}: split it");
    }
    for (path, most) in LONG {
        let count = lines.get(*path).unwrap_or_else(|| panic!("{path} is gone: take it off the list"));
        assert!(*count > LINES, "{path} has {count} lines now: take it off the list");
        assert!(*most < count + 50, "{path} has {count} lines now: lower its bound from {most}");
    }
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    for source in sources() {
        for word in [".unwrap()", ".unwrap_err()", "unreachable!(", "panic!("] {
            assert!(!source.code.contains(word), "{} has {word}: say with `expect` which invariant holds, or return", source.path);
        }
    }
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
    for (path, text) in texts() {
        let text = text.to_ascii_lowercase();
        for word in words {
            assert!(!text.contains(word), "{path} says {word}");
        }
    }
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
const COMMANDS: &[&str] =
    &["run", "check", "replay", "calls", "rate", "quote", "explain", "export", "balance", "assign", "decide", "verify"];

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

/// The rooms a file imports from, by `crate::` or by as many `super::` as lead out of its own room.
fn used_rooms(source: &Source) -> Vec<String> {
    source::paths(&source.code)
        .into_iter()
        .filter_map(|path| {
            let ups = path.iter().take_while(|word| *word == "super").count();
            let from_crate = path.first().is_some_and(|word| word == "crate");
            if from_crate {
                path.into_iter().nth(1)
            } else if ups >= source.depth && ups > 0 {
                path.into_iter().nth(ups)
            } else {
                None
            }
        })
        .collect()
}

fn sources() -> Vec<Source> {
    let found: Vec<Source> = texts()
        .into_iter()
        .filter(|(path, _)| path.starts_with("daemon/") && path.ends_with(".rs"))
        .map(|(path, text)| {
            let inner = path.trim_start_matches("daemon/").trim_end_matches(".rs").trim_end_matches("/mod");
            let (room, depth) = match inner {
                "lib" | "main" => (String::new(), 0),
                _ => (inner.split('/').next().unwrap_or_default().to_owned(), inner.split('/').count()),
            };
            // A `mod tests;` in a file of its own is under `#[cfg(test)]` where it is declared.
            let code = if path.ends_with("/tests.rs") || path.contains("/tests/") {
                String::new()
            } else {
                source::without_tests(&source::strip(&text))
            };
            Source { room, depth, code, text, path: path.clone() }
        })
        .collect();
    assert!(found.len() > 10, "the sources are in daemon/");
    found
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

//! The program from outside, as its users, its accountant and its attackers meet it.

mod backup;
mod channels;
mod check;
mod decide;
mod explain;
mod faults;
mod fritzbox;
mod hostile;
mod privacy;
mod rate;
mod readme;
mod reconcile;
mod records;
mod replay;
mod rows;
mod simulate;
mod standing;
mod traps;
mod verify;

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The example that ships; its contracts have the numbers of the recordings.
const EXAMPLE: &str = "config/taktd.toml";

/// What a command did.
struct Answer {
    status: i32,
    out: String,
    err: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { status: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What it printed, if it did its work.
    #[track_caller]
    fn fine(self) -> String {
        assert_eq!(self.status, 0, "{}\n{}", self.out, self.err);
        self.out
    }

    /// What it complained about, if it gave up with this status.
    #[track_caller]
    fn failed(self, status: i32) -> String {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

/// Somebody at a terminal, with a folder and a configuration.
struct Desk {
    folder: TempDir,
    config: PathBuf,
}

impl Desk {
    fn new() -> Self {
        Self::with(EXAMPLE)
    }

    fn with(config: &str) -> Self {
        Self { folder: TempDir::new().expect("a folder"), config: config.into() }
    }

    /// One whose configuration is the example with pieces exchanged; its files stay where they are.
    fn changed(pieces: &[(&str, &str)]) -> Self {
        let mut desk = Self::new();
        let folder = std::env::current_dir().expect("a folder").join("config").display().to_string();
        let mut text = std::fs::read_to_string(EXAMPLE).expect("it ships");
        let here = [("\"tariffs/", format!("\"{folder}/tariffs/")), ("\"contracts.csv\"", format!("\"{folder}/contracts.csv\""))];
        for (piece, other) in here.iter().map(|(piece, other)| (*piece, other.as_str())).chain(pieces.iter().copied()) {
            assert!(text.contains(piece), "the example does not say {piece}");
            text = text.replace(piece, other);
        }
        desk.config = desk.path("taktd.toml");
        std::fs::write(&desk.config, text).expect("it is written");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One whose callers' contract sells support by the minute at any time, so that the recordings use minutes.
    fn by_the_minute() -> Self {
        let mut desk = Self::new();
        let write = |name: &str, text: &str| std::fs::write(desk.path(name), text).expect("it is written");
        write(
            "tariff.toml",
            "name = \"minutes\"\ncurrency = \"EUR\"\nprices = \"net\"\ntimezone = \"Europe/Berlin\"\n\
             vat = [{ from = 2007-01-01, percent = 19 }]\n[bands]\ngeneral = \"24/7\"\n\
             [[service]]\nname = \"support\"\nbands = [\"general\"]\n[[service]]\nname = \"emergency\"\nbands = [\"general\"]\n\
             [[service]]\nname = \"technician\"\nbands = [\"general\"]\n\
             [[plan]]\nid = \"minutes\"\nvalid_from = 2019-01-01\nfee = \"none\"\ncallers = \"any\"\n\
             [[plan.allowance]]\nid = \"monthly-15\"\ntime = \"15m\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"support\", \"emergency\"]\n\
             [[plan.rate]]\nservice = \"support\"\nsteps = [{ from = \"0s\", increment = \"1m\", price = 0.50 }]\n\
             [[plan.rate]]\nservice = \"emergency\"\nsteps = [{ from = \"0s\", increment = \"1m\", price = 0.50 }]\n",
        );
        write(
            "contracts.csv",
            "contract_id,customer,plans,starts_on,cancelled_on,ends_on,activated_on,stations,numbers,authorised,partner\n\
             K-1009,All,minutes,2026-01-01,,,,,+49 171 3920021|+49 171 3920022|+49 172 9925904,,\n",
        );
        let config = std::fs::read_to_string(EXAMPLE).expect("it ships");
        let (before, rest) = config.split_once("tariffs = [").expect("it names tariffs");
        let (_, after) = rest.split_once(']').expect("the list ends");
        write("taktd.toml", &format!("{before}tariffs = [\"tariff.toml\"]{after}"));
        desk.config = desk.path("taktd.toml");
        desk
    }

    /// The command with the desk's configuration and its ledger.
    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taktd"));
        command.args(words).arg("--config").arg(&self.config).arg("--ledger").arg(self.path("ledger.db"));
        command.env_remove("SUDO_USER").env("USER", "kasse").stdin(Stdio::null());
        command
    }

    fn taktd<S: AsRef<OsStr>>(&self, words: &[S]) -> Answer {
        Answer::of(self.command(words).output().expect("it starts"))
    }

    fn replay(&self, file: impl AsRef<Path>) -> Answer {
        self.taktd(&[OsStr::new("replay"), file.as_ref().as_os_str()])
    }

    /// Every line of JSON that a command prints.
    #[track_caller]
    fn json(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.taktd(&words).fine().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn calls(&self) -> Vec<Value> {
        self.json(&["calls"])
    }

    /// The files of an export of the whole period, by name.
    #[track_caller]
    fn export(&self, words: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let folder = TempDir::new().expect("a folder");
        let directory = folder.path().display().to_string();
        let words: Vec<&str> = ["export", "--directory", &directory].into_iter().chain(words.iter().copied()).collect();
        self.taktd(&words).fine();
        let files = std::fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry"));
        files.map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("a file"))).collect()
    }

    #[track_caller]
    fn verified(&self) {
        let said = self.taktd(&["verify"]).fine();
        assert!(said.contains("findings: 0"), "{said}");
    }
}

const YEAR: &[&str] = &["--from", "2026-01-01", "--to", "2027-01-01"];

fn recording(name: &str) -> PathBuf {
    Path::new("tests/recordings").join(name)
}

/// A member of a result as text; empty where it is null.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    assert!(value.get(key).is_some(), "{value} has no {key}");
    value[key].as_str().unwrap_or_default()
}

/// Cents of a member such as `"1.50"`.
fn cents(value: &Value, key: &str) -> i64 {
    text(value, key).replace('.', "").parse().expect("an amount with two decimals")
}

/// The calls are those expected; tells only those that are not.
#[track_caller]
fn same(found: &[Value], expected: &[Value], what: &str) {
    let by_id = |calls: &[Value]| calls.iter().map(|call| (text(call, "call_id").to_owned(), call.clone())).collect::<BTreeMap<_, _>>();
    let (mine, theirs) = (by_id(found), by_id(expected));
    assert_eq!((mine.len(), theirs.len()), (found.len(), expected.len()), "{what}: each call once");
    let mut wrong = String::new();
    for id in mine.keys().chain(theirs.keys().filter(|id| !mine.contains_key(*id))) {
        let show = |call: Option<&Value>| call.map_or_else(|| "nothing".to_owned(), Value::to_string);
        if mine.get(id) != theirs.get(id) {
            wrong += &format!("found    {}\nexpected {}\n", show(mine.get(id)), show(theirs.get(id)));
        }
    }
    assert!(wrong.is_empty(), "{what}\n{wrong}");
    assert_eq!(found, expected, "{what}: the order");
}

//! What operators ask of a running daemon, which alone may write: requests as files beside the ledger.
//!
//! The one invariant: a request is done once. It is written under a temporary name and renamed; the daemon journals it and
//! removes the file; one that cannot be done is kept beside, with the reason, for the operator to see.
//!
//! Whoever may write into the folder may ask, so it is its owner's alone (mode 0700): the daemon makes it. Only plain files
//! are read, and none is written through a link.

use super::requests::Request;
use crate::ledger::{Act, Assignment, Decision, Token, Wish};
use crate::tariff::Verdict;
use crate::units::{CallId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How long the asking command waits for the daemon.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest request that is read.
const LARGEST: u64 = 1024 * 1024;
/// So many decisions are asked for at once: the daemon goes on metering between two requests.
const DECISIONS_AT_ONCE: usize = 200;

/// An assignment as its file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAssignment {
    assign: String,
    contract: String,
    who: String,
    why: String,
    at: i64,
}

/// Decisions as their file has them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDecisions {
    decide: Vec<WrittenDecision>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDecision {
    call: String,
    decision: String,
    who: String,
    why: String,
    at: i64,
}

/// What is asked about a number, as its file has it: the number itself stands in none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWish {
    privacy: String,
    tokens: Vec<String>,
    until: Option<i64>,
    who: String,
    why: String,
    at: i64,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon did not take it in time; it is taken when it runs.
    #[error("{}: the daemon has not taken the request yet; it will when it runs, or remove the file", path.display())]
    NotTaken {
        /// The request.
        path: PathBuf,
    },
    /// The daemon refused it.
    #[error("the daemon refused: {0}")]
    Refused(String),
}

/// The folder of requests beside a ledger.
#[must_use]
pub fn folder(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".inbox");
    name.into()
}

/// Makes the folder where there is none.
///
/// # Errors
/// When it cannot be made.
pub fn prepare(ledger: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder(ledger)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Leaves a request for the daemon that writes this ledger, and waits until it is done; many decisions are several requests.
///
/// # Errors
/// When it cannot be left, is refused, or is not taken in time.
pub fn ask(ledger: &Path, request: &Request) -> Result<(), InboxError> {
    match request {
        Request::Assign { .. } | Request::Privacy(_) => ask_one(ledger, request, 0),
        Request::Decide(decisions) => {
            let mut parts = (0..).zip(decisions.chunks(DECISIONS_AT_ONCE));
            parts.try_for_each(|(part, decisions)| ask_one(ledger, &Request::Decide(decisions.to_vec()), part))
        }
    }
}

fn ask_one(ledger: &Path, request: &Request, part: u32) -> Result<(), InboxError> {
    let folder = folder(ledger);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| InboxError::Io { path, source }
    };
    prepare(ledger).map_err(failed(&folder))?;
    let (at, text) = write(request);
    // In the order of names they are taken.
    let name = format!("{}-{}-{part:06}.json", at.micros(), std::process::id());
    let (temporary, path) = (folder.join(format!(".{name}")), folder.join(&name));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary).map_err(failed(&temporary))?;
    // The daemon may be another user than who asks (root, mostly); the folder keeps everybody else out.
    file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed(&temporary))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed(&temporary))?;
    fs::rename(&temporary, &path).map_err(failed(&path))?;
    let refused = refusal(&path);
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        // A refusal is written before the request is removed, so it is looked for afterwards.
        if !path.exists() {
            let Ok(why) = fs::read_to_string(&refused) else { return Ok(()) };
            let _ = fs::remove_file(&refused);
            return Err(InboxError::Refused(why));
        }
        sleep(step);
        waited += step;
    }
    Err(InboxError::NotTaken { path })
}

/// The requests that wait, oldest first, each with its file; files that are none are refused at once.
#[must_use]
pub fn waiting(ledger: &Path) -> Vec<(PathBuf, Request)> {
    let Ok(entries) = fs::read_dir(folder(ledger)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_request(path)).collect();
    paths.sort();
    let mut requests = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(request) => requests.push((path, request)),
            Err(why) => refuse(&path, &why),
        }
    }
    requests
}

fn is_request(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".json") && !name.starts_with('.')
}

fn read(path: &Path) -> Result<Request, String> {
    let text = plain(path).map_err(|error| error.to_string())?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let name = |key: &str, text: &str| CallId::new(text).ok_or_else(|| format!("{key}: is empty"));
    if value.get("privacy").is_some() {
        return wish(serde_json::from_value(value).map_err(|error| error.to_string())?).map(Request::Privacy);
    }
    if value.get("decide").is_none() {
        let WrittenAssignment { assign, contract, who, why, at } = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let assignment = Assignment { contract: contract.into(), who: who.into(), why: why.into(), at: Timestamp::from_micros(at) };
        return Ok(Request::Assign { call: name("assign", &assign)?, assignment });
    }
    let WrittenDecisions { decide } = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let mut decisions = Vec::with_capacity(decide.len());
    for WrittenDecision { call, decision, who, why, at } in decide {
        let verdict = Verdict::parse(&decision).ok_or_else(|| format!("decision: \"{decision}\" is none"))?;
        let decision = Decision { verdict, who: who.into(), reason: why.into(), at: Timestamp::from_micros(at) };
        decisions.push((name("call", &call)?, decision));
    }
    Ok(Request::Decide(decisions))
}

fn wish(written: WrittenWish) -> Result<Wish, String> {
    let WrittenWish { privacy, tokens, until, who, why, at } = written;
    let act = match (privacy.as_str(), until) {
        ("hold", until) => Act::Hold { until: until.map_or(Timestamp::MAX, Timestamp::from_micros) },
        ("release", None) => Act::Release,
        ("erase", None) => Act::Erase,
        _ => return Err(format!("privacy: \"{privacy}\" is none; hold, release and erase are")),
    };
    let token = |text: &String| Token::parse(text).ok_or_else(|| "tokens: one is none".to_owned());
    let tokens = tokens.iter().map(token).collect::<Result<_, _>>()?;
    Ok(Wish { tokens, act, who: who.into(), reason: why.into(), at: Timestamp::from_micros(at) })
}

fn written(Wish { tokens, act, who, reason, at }: &Wish) -> WrittenWish {
    let until = match act {
        Act::Hold { until } => (*until != Timestamp::MAX).then(|| until.micros()),
        Act::Release | Act::Erase => None,
    };
    let (who, why, tokens) = (who.to_string(), reason.to_string(), tokens.iter().map(ToString::to_string).collect());
    WrittenWish { privacy: act.word().to_owned(), tokens, until, who, why, at: at.micros() }
}

/// When a request was made, and its text.
fn write(request: &Request) -> (Timestamp, Vec<u8>) {
    let (at, text) = match request {
        Request::Assign { call, assignment: Assignment { contract, who, why, at } } => {
            let (assign, contract, who, why) = (call.to_string(), contract.to_string(), who.to_string(), why.to_string());
            (*at, serde_json::to_vec(&WrittenAssignment { assign, contract, who, why, at: at.micros() }))
        }
        Request::Privacy(wish) => (wish.at, serde_json::to_vec(&written(wish))),
        Request::Decide(decisions) => {
            let write = |(call, Decision { verdict, who, reason, at }): &(CallId, Decision)| WrittenDecision {
                call: call.to_string(),
                decision: verdict.to_string(),
                who: who.to_string(),
                why: reason.to_string(),
                at: at.micros(),
            };
            let at = decisions.first().map_or(Timestamp::default(), |(_, decision)| decision.at);
            (at, serde_json::to_vec(&WrittenDecisions { decide: decisions.iter().map(write).collect() }))
        }
    };
    (at, text.unwrap_or_default())
}

/// What a plain file holds; links, pipes and what is too large are refused before they are opened or read.
fn plain(path: &Path) -> io::Result<Vec<u8>> {
    let refused = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return refused("is no plain file");
    }
    if meta.len() > LARGEST {
        return refused("too large for a request");
    }
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// It is done.
pub fn done(path: &Path) {
    let removed = fs::remove_file(path).or_else(|error| if path.is_dir() { fs::remove_dir(path) } else { Err(error) });
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "a request that is done cannot be removed; it will be tried again and change nothing");
    }
}

/// It cannot be done.
pub fn refuse(path: &Path, why: &str) {
    tracing::warn!(path = %path.display(), why, "a request was refused");
    let answer = refusal(path);
    // A link that stands there is replaced, never followed.
    let _ = fs::remove_file(&answer);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o644).open(&answer).and_then(|mut file| file.write_all(why.as_bytes()));
    if let Err(error) = written {
        tracing::warn!(path = %answer.display(), %error, "why a request was refused cannot be written");
    }
    done(path);
}

fn refusal(path: &Path) -> PathBuf {
    path.with_extension("refused")
}

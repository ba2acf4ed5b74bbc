//! What `taktd.toml` says, as values (design.md §9).

use super::http::Http;
use super::sources::SourceConfig;
use crate::calls::{Directory, Role};
use crate::tariff::Period;
use chrono::NaiveTime;
use chrono_tz::Tz;
use std::path::PathBuf;

/// What `taktd.toml` says, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file itself.
    pub file: PathBuf,
    /// The files with tariffs and contracts.
    pub catalogue: CatalogueFiles,
    /// Hotlines, agents, whom to believe.
    pub directory: Directory,
    /// The ledger; `None` where no command needs one.
    pub ledger: Option<Ledger>,
    /// What is read, in file order.
    pub sources: Vec<SourceConfig>,
    /// What each of them is there for, in the same order.
    pub roles: Vec<Role>,
    /// Where metrics and running calls are shown.
    pub http: Http,
    /// Exports; `None` when nothing is exported.
    pub export: Option<Export>,
    /// How long numbers are kept.
    pub privacy: Privacy,
    /// How is logged.
    pub log: Log,
}

/// The files with tariffs and contracts, as written and as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueFiles {
    /// Tariffs: the name in the configuration, and the path.
    pub tariffs: Vec<(Box<str>, PathBuf)>,
    /// Contracts.
    pub contracts: Vec<(Box<str>, PathBuf)>,
}

/// `[ledger]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The SQLite file.
    pub path: PathBuf,
    /// How long after its end a month is closed.
    pub close_after: Period,
}

/// `[export]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Where the files go.
    pub directory: PathBuf,
    /// When each night; `None`: on demand only.
    pub at: Option<NaiveTime>,
    /// The zone of `at`.
    pub timezone: Tz,
    /// Which files, in the order written.
    pub formats: Vec<ExportFormat>,
    /// The dialect of CSV.
    pub dialect: CsvDialect,
}

/// A file format of exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportFormat {
    /// Comma-separated.
    Csv,
    /// JSON Lines.
    JsonLines,
}

/// How CSV is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvDialect {
    /// RFC 4180: comma, point.
    Rfc4180,
    /// What German spreadsheets open: semicolon, decimal comma.
    German,
}

/// `[privacy]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// How many last digits of numbers exports leave out.
    pub mask_digits: u8,
    /// After which time numbers are anonymised.
    pub keep: Period,
    /// The key of their hashes; `None` without a ledger.
    pub key_file: Option<PathBuf>,
}

/// `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least level shown.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For journald: priorities as prefixes, no times.
    Journald,
    /// For people.
    Text,
}

/// The least level shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Money or data at risk.
    Error,
    /// Something is off.
    Warn,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
    /// Every step.
    Trace,
}

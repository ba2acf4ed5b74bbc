//! What `taktd.toml` says, as values (design.md §9).

use crate::calls::Directory;
use crate::tariff::Period;
use chrono::NaiveTime;
use chrono_tz::Tz;
use std::net::SocketAddr;
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
    /// Where metrics and running calls are shown.
    pub http: SocketAddr,
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

/// A `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// HEPv3 over UDP.
    Hep(Hep),
    /// Rows of Asterisk's cdr_csv or cdr_custom.
    AsteriskCdr(AsteriskCdr),
}

/// A source `hep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hep {
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// The file with the auth key that every packet must carry.
    pub auth_key_file: Option<PathBuf>,
}

/// A source `asterisk-cdr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsteriskCdr {
    /// Master.csv.
    pub path: PathBuf,
    /// The zone of the times in it.
    pub timezone: Tz,
    /// Its columns.
    pub columns: Columns,
    /// The queue application's log.
    pub queue_log: Option<PathBuf>,
    /// The column in which the PBX hands over a contract reference.
    pub contract_column: Option<Box<str>>,
}

/// The columns of a CDR file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// One of the layouts of cdr_csv.
    Auto,
    /// These, in order (cdr_custom); `-` for one that is not read.
    Named(Vec<Box<str>>),
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

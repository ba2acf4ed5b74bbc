//! What commands share: the configuration in force, the ledger, times as people write them, results as JSON.

use super::{Common, Failure, Result};
use crate::config::suggestion;
use crate::config::{self, Config, SourceConfig};
use crate::ledger::result::{Style, write_json};
use crate::ledger::{Found, Ledger, LedgerError, NumberKey, StoredCall};
use crate::meter::{self, Deadline, Record, midnight};
use crate::pipeline::books::Books;
use crate::pipeline::catalogue::InForce;
use crate::pipeline::inbox;
use crate::pipeline::requests::Request;
use crate::pipeline::roles::Roles;
use crate::units::Timestamp;
use anyhow::Context;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration and what it puts in force.
pub struct Office {
    /// The configuration.
    pub config: Config,
    /// Tariffs, contracts, directory.
    pub in_force: Arc<InForce>,
    ledger: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Office {
    /// What each source is there for.
    pub fn roles(&self) -> Roles {
        let config = &self.config;
        let signalling = |source: &SourceConfig| matches!(source, SourceConfig::Hep(_) | SourceConfig::Capture(_));
        Roles::new(config.sources.iter().zip(&config.roles).map(|(source, role)| (signalling(source), *role)))
    }

    /// Loads everything; all mistakes at once.
    pub fn load(common: &Common) -> Result<Self> {
        let (config, catalogue) =
            config::load(&common.config).map_err(|problems| Failure::Usage(with_hint(&problems.to_string(), common)))?;
        // Tariffs come first; what a file is named says nothing.
        let tariffs = catalogue.tariffs.len();
        let kind = |place: usize| if place < tariffs { "tariff" } else { "contracts" };
        let documents = catalogue.documents.into_iter().enumerate();
        let documents = documents.map(|(place, (name, text))| (kind(place), name.into(), text)).collect();
        let in_force = Arc::new(InForce::new(catalogue.tariffs, catalogue.contracts, config.directory.clone(), documents));
        let (ledger, key_file) = match &common.ledger {
            Some(url) => {
                let path = PathBuf::from(url.strip_prefix("sqlite:").unwrap_or(url));
                if url.starts_with("postgres") {
                    return Err(Failure::Usage("--ledger: postgres:// is not built; name an SQLite file".into()));
                }
                (Some(path.clone()), Some(beside(&path)))
            }
            None => {
                let path = config.ledger.as_ref().map(|ledger| ledger.path.clone());
                let key = config.privacy.key_file.clone().or_else(|| path.as_deref().map(beside));
                (path, key)
            }
        };
        Ok(Self { config, in_force, ledger, key_file })
    }

    /// That a contract is in no file, with the one that was perhaps meant.
    pub fn no_contract(&self, name: &str) -> Failure {
        let known: Vec<&str> = self.in_force.contracts().ids().collect();
        Failure::Usage(format!("no contract is named \"{name}\"; {}", suggestion(name, known)))
    }

    /// Until when a call waits for a decision, if its plan says so.
    pub fn deadline(&self, record: &Record) -> Option<Deadline> {
        let terms = self.in_force.terms(record.contract.as_deref()?)?;
        meter::deadline(&terms, record)
    }

    /// The file of the ledger.
    pub fn ledger_path(&self) -> Result<&Path> {
        self.ledger.as_deref().ok_or_else(|| {
            let file = self.config.file.display();
            Failure::Usage(format!("{file}: [ledger] is missing; this command needs `url = \"sqlite:/var/lib/taktd/ledger.db\"`"))
        })
    }

    /// The file with the key of the ledger's numbers.
    pub fn key_file(&self) -> Result<PathBuf> {
        let path = self.ledger_path()?;
        Ok(self.key_file.clone().unwrap_or_else(|| beside(path)))
    }

    /// The key of the ledger's numbers; made at first use.
    pub fn key(&self) -> Result<NumberKey> {
        let key_file = self.key_file()?;
        if let Some(folder) = key_file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
        }
        Ok(NumberKey::from_file(&key_file)?)
    }

    /// The key, if it was made already.
    pub fn known_key(&self) -> Result<Option<NumberKey>> {
        if self.key_file()?.exists() { self.key().map(Some) } else { Ok(None) }
    }

    /// The ledger, to write.
    pub fn writer(&self) -> Result<Ledger> {
        let path = self.ledger_path()?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
        }
        Ok(Ledger::open(path, &self.key()?)?)
    }

    /// The ledger, to read.
    pub fn reader(&self) -> Result<Ledger> {
        Ok(Ledger::read(self.ledger_path()?)?)
    }

    /// Does what an operator asks: here, or by the daemon that has the ledger.
    pub fn carry_out(&self, request: &Request) -> Result<()> {
        match self.writer() {
            Ok(ledger) => {
                Books::open(ledger, self.in_force.clone())?.serve(request)?;
                Ok(())
            }
            Err(Failure::Work(error)) if matches!(error.downcast_ref(), Some(LedgerError::Busy { .. })) => {
                Ok(inbox::ask(self.ledger_path()?, request)?)
            }
            Err(error) => Err(error),
        }
    }

    /// The ledger, to read, if there is one.
    pub fn reader_if_any(&self) -> Result<Option<Ledger>> {
        let Some(path) = self.ledger.as_deref() else { return Ok(None) };
        match Ledger::read(path) {
            Ok(ledger) => Ok(Some(ledger)),
            Err(LedgerError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn beside(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

fn with_hint(problems: &str, common: &Common) -> String {
    let mistakes = problems.lines().count();
    let what = if mistakes == 1 { "a mistake".to_owned() } else { format!("{mistakes} mistakes") };
    format!("{what} in the configuration; `taktd check --config {}` shows the lines\n{problems}", common.config.display())
}

/// Who is at the terminal: behind sudo, who called it.
pub fn who() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|who| !who.is_empty());
    named("SUDO_USER").or_else(|| named("USER")).or_else(|| named("LOGNAME")).unwrap_or_else(|| "unknown".to_owned())
}

/// An instant: RFC 3339 with an offset, or a day (its first instant in `zone`).
pub fn instant(text: &str, zone: Tz) -> Result<Timestamp> {
    let day = || text.parse::<NaiveDate>().ok().map(|day| midnight(day, zone));
    Timestamp::parse_rfc3339(text)
        .or_else(day)
        .ok_or_else(|| Failure::Usage(format!("\"{text}\" is no time; 2026-11-01 or 2026-11-01T09:30:00+01:00 would be right")))
}

/// A span given as `--from` and `--to`; open ends reach as far as there is anything.
pub fn span(from: Option<&str>, to: Option<&str>, zone: Tz) -> Result<(Timestamp, Timestamp)> {
    let from = from.map_or(Ok(Timestamp::default()), |text| instant(text, zone))?;
    let to = to.map_or(Ok(Timestamp::from_micros(i64::MAX)), |text| instant(text, zone))?;
    if to <= from {
        return Err(Failure::Usage("--to should be later than --from".into()));
    }
    Ok((from, to))
}

/// Writes a record as one line of JSON.
pub fn json_line(out: &mut impl Write, record: &Record) -> Result<()> {
    let mut line = Vec::with_capacity(1_024);
    write_json(&mut line, record, &Style::PLAIN);
    line.push(b'\n');
    out.write_all(&line)?;
    Ok(())
}

/// A record as JSON.
pub fn record_json(record: &Record) -> String {
    let mut object = Vec::with_capacity(1_024);
    write_json(&mut object, record, &Style::PLAIN);
    String::from_utf8_lossy(&object).into_owned()
}

/// The call of that name, or of which this is the beginning.
pub fn one_call(ledger: &Ledger, text: &str) -> Result<StoredCall> {
    match ledger.find_call(text)? {
        Found::One(call) => Ok(*call),
        Found::None => Err(anyhow::anyhow!("no call is named \"{text}\"; `taktd calls --json` shows each with its call_id").into()),
        Found::Several(names) => {
            Err(anyhow::anyhow!("several calls begin with \"{text}\": {}; give more of the name", names.join(", ")).into())
        }
    }
}

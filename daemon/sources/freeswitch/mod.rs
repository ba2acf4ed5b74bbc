//! FreeSWITCH's records in JSON (mod_json_cdr, mod_format_cdr): one for each leg at its end, posted over HTTP or left in a
//! spool.
//!
//! | file | does |
//! |---|---|
//! | [`body`] | what was posted becomes JSON |
//! | [`leg`] | a leg becomes a [`CallRow`] |
//! | [`spool`] | reads a directory of them, each file once |
//!
//! The invariant: what is no record is refused and counted; the same record twice is one.

pub mod body;
pub mod leg;
pub mod spool;
#[cfg(test)]
mod tests;

use crate::calls::CallRow;
use crate::units::codec::{Reader, Writer};
use leg::Variables;
use spool::Spool;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// So many files of a spool are read at once.
const MOST_FILES: usize = 256;

/// Later than any file.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How records are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// A directory in which records lie, or a single one.
    pub spool: Option<PathBuf>,
    /// Variables of the dialplan.
    pub variables: Variables,
}

/// Why a record was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is in no known form.
    #[error(transparent)]
    Body(#[from] body::BodyError),
    /// It tells of no leg.
    #[error(transparent)]
    Leg(#[from] leg::LegError),
}

/// The records of one FreeSWITCH.
#[derive(Clone, Debug)]
pub struct FreeSwitch {
    variables: Variables,
    spool: Option<Spool>,
    /// Files that have just been written are read, too.
    at_once: bool,
    refused: u64,
    first_aside: Option<String>,
}

impl FreeSwitch {
    /// Goes on from what [`FreeSwitch::write`] wrote; without it, the whole spool is new.
    #[must_use]
    pub fn new(config: &Config, kept: Option<&mut Reader<'_>>) -> Self {
        let fresh = config.spool.as_deref().map(Spool::new);
        let resumed = kept.and_then(|back| fresh.clone()?.resume(back));
        Self { variables: config.variables.clone(), spool: resumed.or(fresh), at_once: false, refused: 0, first_aside: None }
    }

    /// The same, for a replay: nothing is being written any more.
    #[must_use]
    pub const fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// Writes which files of the spool were read.
    pub fn write(&self, out: &mut Writer) {
        if let Some(spool) = &self.spool {
            spool.write(out);
        }
    }

    /// Reads what was posted.
    ///
    /// # Errors
    /// Why it is no record: it is counted.
    pub fn post(&mut self, posted: &[u8]) -> Result<CallRow, Refused> {
        let row = row_of(posted, &self.variables);
        if let Err(error) = &row {
            self.refused += 1;
            self.first_aside.get_or_insert_with(|| format!("a posted record: {error}"));
        }
        row
    }

    /// Reads files of the spool that were not read yet and have been still for a while, at `now`. Gives the rows, the files
    /// they came from, and how many files were read.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn poll(&mut self, now: SystemTime) -> std::io::Result<(Vec<CallRow>, Vec<PathBuf>, usize)> {
        let (mut rows, mut files) = (Vec::new(), Vec::new());
        let before = if self.at_once { now + FAR } else { now - spool::STILL };
        let Self { variables, spool, refused, first_aside, .. } = self;
        let Some(spool) = spool else { return Ok((rows, files, 0)) };
        let count = spool.visit(before, body::LONGEST, MOST_FILES, |path, bytes| match row_of(bytes, variables) {
            Ok(row) => {
                rows.push(row);
                files.push(path.to_owned());
            }
            Err(error) => {
                *refused += 1;
                first_aside.get_or_insert_with(|| format!("{}: {error}", path.display()));
            }
        })?;
        Ok((rows, files, count))
    }

    /// How many records were refused.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// The first record refused since this was last asked: where, and why.
    pub const fn take_aside(&mut self) -> Option<String> {
        self.first_aside.take()
    }
}

fn row_of(posted: &[u8], variables: &Variables) -> Result<CallRow, Refused> {
    Ok(leg::read(&body::decode(posted)?, variables)?)
}

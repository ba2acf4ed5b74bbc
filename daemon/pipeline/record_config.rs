//! How files of records are read: what the configuration says of each kind.

use crate::calls::Witness;
use crate::metrics::SourceKind;
use crate::sources::{asterisk_cdr, csv_rows, freeswitch};
use std::path::Path;

/// How files are read, by their kind.
#[derive(Clone, Debug)]
pub enum FileConfig {
    /// Asterisk's.
    AsteriskCdr(asterisk_cdr::Config),
    /// Those of any switch, by a mapping of columns.
    Csv(Box<csv_rows::Config>),
    /// FreeSWITCH's spool of records.
    FreeSwitch(freeswitch::Config),
}

impl FileConfig {
    /// Its kind, as metrics name it.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::AsteriskCdr(_) => SourceKind::AsteriskCdr,
            Self::Csv(_) => SourceKind::Csv,
            Self::FreeSwitch(_) => SourceKind::FreeSwitch,
        }
    }

    /// What it is as a witness of calls.
    #[must_use]
    pub const fn witness(&self) -> Witness {
        match self {
            Self::AsteriskCdr(_) => Witness::AsteriskCdr,
            Self::Csv(_) => Witness::Csv,
            Self::FreeSwitch(_) => Witness::FreeSwitch,
        }
    }

    /// The file that grows.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::AsteriskCdr(config) => &config.path,
            Self::Csv(config) => &config.path,
            Self::FreeSwitch(config) => config.spool.as_deref().unwrap_or(Path::new("")),
        }
    }
}

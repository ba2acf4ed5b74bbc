//! Which column is what: the default line of cel_custom and ours told apart by themselves, any other as configured.
//!
//! | columns | line |
//! |---|---|
//! | 20 | the sample of cel_custom.conf: eventtype, eventtime, cid_name, cid_num, ani, rdnis, dnid, exten, context, channel, appname, appdata, amaflags, accountcode, uniqueid, linkedid, peer, userfield, userdeftype, eventextra |
//! | 18 | the same without amaflags and userdeftype: `config/sources/asterisk/cel_custom.conf` |
//!
//! The invariant: a layout is known or refused, never guessed.

use crate::sources::column_names::{NameError, columns_of};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `eventtype`
    EventType,
    /// `eventtime`: seconds since the epoch, with a fraction.
    EventTime,
    /// `cid_num`
    Number,
    /// `exten`
    Exten,
    /// `channel`
    Channel,
    /// `appname`
    AppName,
    /// `appdata`
    AppData,
    /// `uniqueid`
    UniqueId,
    /// `linkedid`
    LinkedId,
    /// `eventextra`: JSON.
    Extra,
    /// `sip_call_id`: the leg's Call-ID, written by the dialplan.
    SipCallId,
    /// `contract`: a contract reference that the dialplan found.
    Contract,
    /// `severity`
    Severity,
    /// `ticket`
    Ticket,
    /// Any other column of Asterisk's, and `-`: not used.
    Skip,
}

const NAMES: &[(&str, Column)] = &[
    ("eventtype", Column::EventType),
    ("eventtime", Column::EventTime),
    ("cid_num", Column::Number),
    ("exten", Column::Exten),
    ("channel", Column::Channel),
    ("appname", Column::AppName),
    ("appdata", Column::AppData),
    ("uniqueid", Column::UniqueId),
    ("linkedid", Column::LinkedId),
    ("eventextra", Column::Extra),
    ("sip_call_id", Column::SipCallId),
    ("contract", Column::Contract),
    ("severity", Column::Severity),
    ("ticket", Column::Ticket),
    ("cid_name", Column::Skip),
    ("ani", Column::Skip),
    ("rdnis", Column::Skip),
    ("dnid", Column::Skip),
    ("context", Column::Skip),
    ("amaflags", Column::Skip),
    ("accountcode", Column::Skip),
    ("peer", Column::Skip),
    ("userfield", Column::Skip),
    ("userdeftype", Column::Skip),
    ("-", Column::Skip),
];

const SKIP: Column = Column::Skip;

/// The sample's line.
const SAMPLE: &[Column] = &[
    Column::EventType,
    Column::EventTime,
    SKIP,
    Column::Number,
    SKIP,
    SKIP,
    SKIP,
    Column::Exten,
    SKIP,
    Column::Channel,
    Column::AppName,
    Column::AppData,
    SKIP,
    SKIP,
    Column::UniqueId,
    Column::LinkedId,
    SKIP,
    SKIP,
    SKIP,
    Column::Extra,
];

/// The line of `config/sources/asterisk/cel_custom.conf`.
const OURS: &[Column] = &[
    Column::EventType,
    Column::EventTime,
    SKIP,
    Column::Number,
    SKIP,
    SKIP,
    SKIP,
    Column::Exten,
    SKIP,
    Column::Channel,
    Column::AppName,
    Column::AppData,
    SKIP,
    Column::UniqueId,
    Column::LinkedId,
    SKIP,
    SKIP,
    Column::Extra,
];

/// How the columns of a file are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `columns = "auto"`: each record is recognized by itself.
    Auto,
    /// A configured list.
    Columns(Columns),
}

/// A list of columns that suffices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Box<[Column]>);

/// Why a list or a record has no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The configured list.
    #[error(transparent)]
    Names(#[from] NameError),
    /// A name that is needed and is not there.
    #[error("{0} is missing: an event without it cannot be metered")]
    Missing(&'static str),
    /// A record with another number of columns than configured.
    #[error("{found} columns, where {expected} are configured")]
    Count {
        /// In the record.
        found: usize,
        /// In the configuration.
        expected: usize,
    },
    /// A record that is none of the layouts known.
    #[error(
        "{0} columns; the sample of cel_custom has 20, ours 18: copy config/sources/asterisk/cel_custom.conf, or list the names in `columns`"
    )]
    Unrecognized(usize),
}

impl Columns {
    /// From the configured names.
    ///
    /// # Errors
    /// When a name is unknown or listed twice, or what an event needs is missing.
    pub fn parse(names: &[&str]) -> Result<Self, LayoutError> {
        let columns = columns_of(names, NAMES, Column::Skip)?;
        for (name, column) in NAMES.iter().take(10) {
            if !columns.contains(column) {
                return Err(LayoutError::Missing(name));
            }
        }
        Ok(Self(columns.into()))
    }
}

impl Layout {
    /// The columns of a record.
    ///
    /// # Errors
    /// When it has none of the layouts known, or not the configured one.
    pub fn columns(&self, record: &csv::StringRecord) -> Result<&[Column], LayoutError> {
        let found = record.len();
        match self {
            Self::Auto if found == SAMPLE.len() => Ok(SAMPLE),
            Self::Auto if found == OURS.len() => Ok(OURS),
            Self::Auto => Err(LayoutError::Unrecognized(found)),
            Self::Columns(Columns(columns)) if columns.len() == found => Ok(columns),
            Self::Columns(Columns(columns)) => Err(LayoutError::Count { found, expected: columns.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_suffice_says_why() {
        let needed: Vec<&str> = NAMES.iter().take(10).map(|(name, _)| *name).collect();
        assert!(Columns::parse(&needed).is_ok());
        for (change, expected) in [
            (("exten", "extension"), "no column is called \"extension\"; there are eventtype, "),
            (("exten", "channel"), "column \"channel\" is listed twice"),
            (("eventextra", "-"), "eventextra is missing"),
        ] {
            let names: Vec<&str> = needed.iter().map(|name| if *name == change.0 { change.1 } else { name }).collect();
            let error = Columns::parse(&names).expect_err("refused").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}

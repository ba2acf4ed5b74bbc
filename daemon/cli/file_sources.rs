//! The configured sources that are files, as their rooms want them: for following, and for replaying.

use super::office::Office;
use super::{Failure, Result};
use crate::config::{Columns, SourceConfig};
use crate::pipeline::event_files::EventConfig;
use crate::pipeline::record_files::FileConfig;
use crate::pipeline::replay::Recording;
use crate::sources::asterisk_cdr::layout::Layout;
use crate::sources::{asterisk_cdr, asterisk_cel, csv_rows, freeswitch, fritzbox};
use std::path::{Path, PathBuf};

/// The kind of Asterisk's call detail records.
pub const CDR: &str = "asterisk-cdr";
/// The kind of Asterisk's channel event log.
pub const CEL: &str = "asterisk-cel";
/// The kind of rows of any switch.
pub const CSV: &str = "csv";
/// The kind of FreeSWITCH's records.
pub const FREESWITCH: &str = "freeswitch";
/// The kind of lines of a Fritz!Box's call monitor.
pub const FRITZBOX: &str = "fritzbox";

/// A configured source of files.
pub struct FileSource<'a> {
    /// Its number.
    pub place: usize,
    /// The word of its kind.
    pub kind: &'static str,
    /// Where they are.
    pub path: &'a Path,
    /// As it is configured.
    pub config: &'a SourceConfig,
}

/// All of them.
pub fn file_sources(office: &Office) -> Vec<FileSource<'_>> {
    let mut found = Vec::new();
    for (place, config) in office.config.sources.iter().enumerate() {
        let (kind, path) = match config {
            SourceConfig::AsteriskCdr(source) => (CDR, source.path.as_path()),
            SourceConfig::Csv(source) => (CSV, source.path.as_path()),
            SourceConfig::FreeSwitch(source) => (FREESWITCH, source.spool.as_deref().unwrap_or(Path::new(""))),
            SourceConfig::AsteriskCel(source) => (CEL, source.path.as_path()),
            SourceConfig::FritzBox(_) => (FRITZBOX, Path::new("")),
            SourceConfig::Hep(_) | SourceConfig::Capture(_) | SourceConfig::AsteriskAmi(_) | SourceConfig::FreeSwitchEvents(_) => continue,
        };
        found.push(FileSource { place, kind, path, config });
    }
    found
}

/// What a configured source left in files, as its room wants it; read from another file, when one is named. `None` if it has
/// none: what was live cannot be replayed.
pub fn as_configured(place: usize, source: &SourceConfig, file: Option<&Path>) -> Result<Option<Recording>> {
    Ok(match source {
        SourceConfig::AsteriskCel(source) => {
            Some(Recording::Events(place, Box::new(EventConfig::AsteriskCel(events_config(source, file)?))))
        }
        SourceConfig::FritzBox(source) => {
            let recording = |file: &Path| fritzbox::Recording { path: file.to_owned(), zone: source.timezone };
            file.map(|file| Recording::Events(place, Box::new(EventConfig::FritzBox(recording(file)))))
        }
        _ => file_config(source, file)?.map(|config| Recording::Records(place, Box::new(config))),
    })
}

/// A configured source of files of records as its room wants it; read from another file, when one is named. `None` for
/// another source.
pub fn file_config(source: &SourceConfig, file: Option<&Path>) -> Result<Option<FileConfig>> {
    Ok(match source {
        SourceConfig::AsteriskCdr(source) => Some(FileConfig::AsteriskCdr(records_config(source, file)?)),
        SourceConfig::Csv(source) => {
            let path = file.map_or_else(|| source.path.clone(), Path::to_owned);
            Some(FileConfig::Csv(Box::new(csv_rows::Config { path, ..(**source).clone() })))
        }
        SourceConfig::FreeSwitch(source) => {
            let spool = file.map(Path::to_owned).or_else(|| source.spool.clone());
            let config = freeswitch::Config { spool, variables: source.variables.clone() };
            Some(FileConfig::FreeSwitch(config)).filter(|config| !config.path().as_os_str().is_empty())
        }
        SourceConfig::Hep(_)
        | SourceConfig::Capture(_)
        | SourceConfig::AsteriskAmi(_)
        | SourceConfig::AsteriskCel(_)
        | SourceConfig::FritzBox(_)
        | SourceConfig::FreeSwitchEvents(_) => None,
    })
}

/// A configured source as its room wants it; read from another file, when one is named.
fn records_config(source: &crate::config::AsteriskCdr, file: Option<&Path>) -> Result<asterisk_cdr::Config> {
    let layout = match &source.columns {
        Columns::Auto => Layout::Auto,
        Columns::Named(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            asterisk_cdr::layout::Columns::parse(&names)
                .map(Layout::Columns)
                .map_err(|error| Failure::Usage(format!("source.columns: {error}")))?
        }
    };
    let path = file.map_or_else(|| source.path.clone(), Path::to_owned);
    let beside = |queue_log: &PathBuf| match (file, queue_log.file_name()) {
        // A file from elsewhere has its queue log beside it, or none.
        (Some(file), Some(name)) if file != source.path => Some(file.with_file_name(name)).filter(|log| log.exists()),
        _ => Some(queue_log.clone()),
    };
    let queue_log = source.queue_log.as_ref().and_then(beside);
    Ok(asterisk_cdr::Config { path, zone: source.timezone, layout, queue_log })
}

/// The same for a channel event log.
pub fn events_config(source: &crate::config::AsteriskCel, file: Option<&Path>) -> Result<asterisk_cel::Config> {
    use asterisk_cel::layout::{Columns as Known, Layout};
    let layout = match &source.columns {
        Columns::Auto => Layout::Auto,
        Columns::Named(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            Known::parse(&names).map(Layout::Columns).map_err(|error| Failure::Usage(format!("source.columns: {error}")))?
        }
    };
    Ok(asterisk_cel::Config { path: file.map_or_else(|| source.path.clone(), Path::to_owned), layout })
}

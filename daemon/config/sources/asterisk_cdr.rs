//! `kind = "asterisk-cdr"`.

use super::super::base::{Base, whole};
use super::super::reader::{Table, Value};
use super::super::tariff::zone;
use chrono_tz::Tz;
use std::path::PathBuf;

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

/// The columns of a file of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// One of the layouts that Asterisk writes by itself.
    Auto,
    /// These, in order (cdr_custom, cel_custom); `-` for one that is not read.
    Named(Vec<Box<str>>),
}

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<AsteriskCdr> {
    let path = table.required("path", "\"/var/log/asterisk/cdr-csv/Master.csv\"").and_then(|value| base.path(&value));
    let timezone = table.required("timezone", "\"Europe/Berlin\"").and_then(|value| zone(&value));
    let columns = table.required("columns", "\"auto\"").and_then(|value| columns(&value));
    let queue_log = table.optional("queue_log").map(|value| base.path(&value));
    let contract_column = table.optional("contract_column").map(|value| value.text().map(Box::from));
    table.finish();
    Some(AsteriskCdr {
        path: path?,
        timezone: timezone?,
        columns: columns?,
        queue_log: whole(queue_log)?,
        contract_column: whole(contract_column)?,
    })
}

pub(super) fn columns(value: &Value<'_>) -> Option<Columns> {
    if let Some(text) = value.as_text() {
        if text != "auto" {
            value.wrong(format!("\"{text}\" is not known; write \"auto\", or the names of the columns in [ ]"));
            return None;
        }
        return Some(Columns::Auto);
    }
    let mut names: Vec<Box<str>> = Vec::new();
    for (text, item) in value.texts()? {
        if text != "-" && names.iter().any(|known| **known == *text) {
            item.wrong(format!("\"{text}\" stands here twice; write \"-\" for a column that is not read"));
        }
        names.push(text.into());
    }
    if names.is_empty() {
        value.wrong("it names no column; write \"auto\", or the names of the columns");
        return None;
    }
    Some(Columns::Named(names))
}

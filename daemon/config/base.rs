//! Paths as the configuration names them, and parts of it that may be missing.

use super::problem::Problem;
use super::reader::{Table, Value};
use std::path::{Path, PathBuf};

/// Where systemd puts the credentials of the service; it is told where by `$CREDENTIALS_DIRECTORY`, others are not.
const CREDENTIALS: &str = "/run/credentials/taktd.service";

/// A section that is there and could not be read is none at all.
pub(super) fn whole<T>(section: Option<Option<T>>) -> Option<Option<T>> {
    match section {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

/// The directory that relative paths start from.
#[derive(Clone, Copy)]
pub(super) struct Base<'a>(pub(super) &'a Path);

impl Base<'_> {
    pub(super) fn path(self, value: &Value<'_>) -> Option<PathBuf> {
        value.text().map(|text| self.0.join(text))
    }

    /// The file of a secret: a path, or `credential:NAME` for what systemd hands over (`LoadCredential=NAME:PATH`).
    pub(super) fn secret(self, value: &Value<'_>) -> Option<PathBuf> {
        let Some(name) = value.text()?.strip_prefix("credential:") else { return self.path(value) };
        if name.is_empty() || name.contains('/') {
            value.wrong("it is no credential; write \"credential:\" and the name that `LoadCredential=` of the unit gives it");
            return None;
        }
        let handed_over = std::env::var_os("CREDENTIALS_DIRECTORY").map_or_else(|| CREDENTIALS.into(), PathBuf::from);
        Some(handed_over.join(name))
    }

    pub(super) fn files(self, table: &Table<'_>, key: &'static str, example: &str) -> (Vec<(Box<str>, PathBuf)>, Vec<Problem>) {
        let mut places = Vec::new();
        let mut files: Vec<(Box<str>, PathBuf)> = Vec::new();
        for (text, value) in table.required(key, example).and_then(|value| value.texts()).unwrap_or_default() {
            if files.iter().any(|(known, _)| **known == *text) {
                value.wrong(format!("\"{text}\" stands here twice; take one away"));
            } else {
                files.push((text.into(), self.0.join(text)));
                places.push(value.problem(""));
            }
        }
        (files, places)
    }
}

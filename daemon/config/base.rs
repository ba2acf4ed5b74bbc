//! Paths as the configuration names them, and parts of it that may be missing.

use super::problem::Problem;
use super::reader::{Table, Value};
use std::path::{Path, PathBuf};

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

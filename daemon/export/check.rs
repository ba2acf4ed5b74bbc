//! An export held against its manifest, by whoever has the files and nothing else: no ledger, no configuration.
//!
//! The one invariant: what the manifest says is compared with what is counted and added up anew from the bytes of each file;
//! nothing is taken from one file for another. Memory does not grow with the lines.

use crate::ledger::hex;
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// What a manifest and its files come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Lines, as the manifest has them.
    pub lines: u64,
    /// Hash of the last entry of the range, by which the ledger is held against the export.
    pub last_hash: Option<String>,
    /// What does not agree; nothing, when all is well.
    pub findings: Vec<String>,
}

/// Why an export could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The manifest cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error("{path}: {what}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Lines, and what they come to by currency and VAT rate: lines, net, VAT, gross.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    lines: u64,
    reversals: u64,
    fees: u64,
    totals: BTreeMap<(String, Decimal), (u64, Decimal, Decimal, Decimal)>,
}

/// What of a line is added up.
struct Line<'a> {
    kind: &'a str,
    line: &'a str,
    currency: &'a str,
    vat_percent: &'a str,
    net: &'a str,
    vat: &'a str,
    gross: &'a str,
}

/// Checks the files that stand beside a manifest.
///
/// # Errors
/// When the manifest cannot be read, or is none. What is wrong with the files it names is a finding.
pub fn check(manifest: &Path) -> Result<Checked, CheckError> {
    let text = std::fs::read(manifest).map_err(|source| CheckError::File { path: manifest.into(), source })?;
    let wrong = |what: &str| CheckError::Manifest { path: manifest.into(), what: what.to_owned() };
    let value: Value = serde_json::from_slice(&text).map_err(|error| wrong(&format!("is no JSON: {error}")))?;
    if value["version"] != 1 {
        return Err(wrong("is no manifest of an export, or of another version; `version` should be 1"));
    }
    let expected = promised(&value).ok_or_else(|| wrong("lacks counts or totals, or says them in another form"))?;
    let files = value["files"].as_array().ok_or_else(|| wrong("names no files"))?;
    let mut checked = Checked { lines: expected.lines, last_hash: value["last_hash"].as_str().map(Into::into), ..Checked::default() };
    for file in files {
        let (Some(name), Some(bytes), Some(sha256)) = (file["name"].as_str(), file["bytes"].as_u64(), file["sha256"].as_str()) else {
            return Err(wrong("names a file without its length or its checksum"));
        };
        if name.contains('/') || name.starts_with('.') {
            return Err(wrong("names a file in another folder"));
        }
        let path = manifest.with_file_name(name);
        match one(&path, (bytes, sha256), &expected) {
            Ok(found) => checked.findings.extend(found),
            Err(error) => checked.findings.push(format!("{name}: {error}")),
        }
        checked.files.push(path);
    }
    Ok(checked)
}

fn one(path: &Path, (bytes, sha256): (u64, &str), expected: &Sums) -> io::Result<Vec<String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (mut found, mut hasher, mut length, mut buffer) = (Vec::new(), Sha256::new(), 0, vec![0; 64 * 1024]);
    let mut file = File::open(path)?;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        length += u64::try_from(read).unwrap_or(u64::MAX);
    }
    if length != bytes {
        found.push(format!("{name}: has {length} bytes, and the manifest says {bytes}"));
    }
    if hex(&hasher.finalize()) != sha256 {
        found.push(format!("{name}: its checksum (SHA-256) is not that of the manifest: it was changed"));
    }
    let counted = if name.ends_with(".csv") { of_csv(path)? } else { of_jsonl(path)? };
    match counted {
        None => found.push(format!("{name}: has a line that cannot be read")),
        Some(counted) if counted != *expected => {
            found.push(format!("{name}: its lines and sums are not those of the manifest; it has {} lines", counted.lines));
        }
        Some(_) => {}
    }
    Ok(found)
}

/// What the manifest says.
fn promised(value: &Value) -> Option<Sums> {
    let mut sums =
        Sums { lines: value["lines"].as_u64()?, reversals: value["reversals"].as_u64()?, fees: value["fees"].as_u64()?, ..Sums::default() };
    for total in value["totals"].as_array()? {
        let money = |name: &str| Decimal::from_str_exact(total[name].as_str()?).ok();
        let key = (total["currency"].as_str()?.to_owned(), percent(&total["vat_percent"].to_string())?);
        sums.totals.insert(key, (total["lines"].as_u64()?, money("net")?, money("vat")?, money("gross")?));
    }
    Some(sums)
}

fn percent(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).ok().map(|percent| percent.normalize())
}

impl Sums {
    fn add(&mut self, line: &Line<'_>) -> Option<()> {
        let amount = |text: &str| Decimal::from_str_exact(text).ok();
        let total = self.totals.entry((line.currency.to_owned(), percent(line.vat_percent)?)).or_default();
        total.0 += 1;
        for (sum, text) in [(&mut total.1, line.net), (&mut total.2, line.vat), (&mut total.3, line.gross)] {
            *sum = sum.checked_add(amount(text)?)?;
        }
        self.lines += 1;
        self.reversals += u64::from(line.line == "reversal");
        self.fees += u64::from(line.kind == "fee");
        Some(())
    }
}

fn of_jsonl(path: &Path) -> io::Result<Option<Sums>> {
    let mut sums = Sums::default();
    for text in BufReader::new(File::open(path)?).lines() {
        let Ok(value) = serde_json::from_str::<Value>(&text?) else { return Ok(None) };
        let text = |name: &str| value[name].as_str().unwrap_or_default();
        let percent = value["vat_percent"].to_string();
        let line = Line {
            kind: text("kind"),
            line: text("line"),
            currency: text("currency"),
            vat_percent: &percent,
            net: text("net"),
            vat: text("vat"),
            gross: text("gross"),
        };
        if sums.add(&line).is_none() {
            return Ok(None);
        }
    }
    Ok(Some(sums))
}

fn of_csv(path: &Path) -> io::Result<Option<Sums>> {
    let mut from = BufReader::new(File::open(path)?);
    // The German dialect begins with a byte order mark, and separates by semicolons.
    let german = from.fill_buf()?.starts_with("\u{feff}".as_bytes());
    if german {
        from.consume("\u{feff}".len());
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(if german { b';' } else { b',' }).from_reader(from);
    let Ok(head) = reader.headers().cloned() else { return Ok(None) };
    let place = |name: &str| head.iter().position(|column| column == name);
    let places: Option<Vec<usize>> = ["kind", "line", "currency", "vat_percent", "net", "vat", "gross"].into_iter().map(place).collect();
    let Some(places) = places else { return Ok(None) };
    let (mut sums, mut record) = (Sums::default(), csv::StringRecord::new());
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(Some(sums)),
            Err(_) => return Ok(None),
        }
        let cells: Vec<String> = places
            .iter()
            .map(|place| record.get(*place).unwrap_or_default())
            .map(|cell| if german { cell.replace(',', ".") } else { cell.to_owned() })
            .collect();
        let [kind, line, currency, vat_percent, net, vat, gross] = cells.as_slice() else { return Ok(None) };
        if sums.add(&Line { kind, line, currency, vat_percent, net, vat, gross }).is_none() {
            return Ok(None);
        }
    }
}

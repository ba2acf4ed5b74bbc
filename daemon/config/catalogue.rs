//! Tariffs and contracts, loaded together with the configuration that names them.

use super::across;
use super::contract_numbers::Numbers;
use super::contracts::{self, ContractFile};
use super::daemon;
use super::problem::{Problem, Problems, suggestion};
use super::settings::{CatalogueFiles, Config};
use super::tariff;
use crate::contracts::Contract;
use crate::tariff::Tariff;
use crate::units::DialPlan;
use std::fs;
use std::path::Path;

/// The largest file that is read, in bytes: what is larger is no price list.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// All tariffs and contracts, and the texts they were read from.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The tariffs, in the order of the configuration.
    pub tariffs: Vec<Tariff>,
    /// The contracts, in the order of their files.
    pub contracts: Vec<Contract>,
    /// The name of each file in the configuration, and its text: what the ledger keeps.
    pub documents: Vec<(Box<str>, String)>,
}

/// All that was read, with everything that is wrong or looks wrong.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) config: Option<Config>,
    pub(super) tariffs: Vec<Tariff>,
    pub(super) contracts: Vec<Contract>,
    pub(super) documents: Vec<(Box<str>, String)>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// Loads a configuration with its tariffs and contracts.
///
/// # Errors
/// All mistakes of all files.
pub fn load(path: &Path) -> Result<(Config, Catalogue), Problems> {
    let loaded = everything(path);
    match loaded.config.filter(|_| loaded.problems.is_empty()) {
        Some(config) => Ok((config, Catalogue { tariffs: loaded.tariffs, contracts: loaded.contracts, documents: loaded.documents })),
        None => Err(loaded.problems.into()),
    }
}

impl Config {
    /// Loads a configuration file, without the files it names.
    ///
    /// # Errors
    /// All its mistakes.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = read_file(path).map_err(|why| vec![Problem::of_file(&path.display().to_string(), "", why)])?;
        let read = daemon::read(path, &text);
        read.config.ok_or_else(|| read.problems.into())
    }
}

impl Catalogue {
    /// Loads the tariffs and contracts that a configuration names.
    ///
    /// # Errors
    /// All mistakes of all these files.
    pub fn load(config: &Config) -> Result<Self, Problems> {
        let mut loaded = Loaded::default();
        let place = |key| Problem::of_file(&config.file.display().to_string(), key, "");
        let tariffs = vec![place("catalogue.tariffs"); config.catalogue.tariffs.len()];
        let contracts = vec![place("catalogue.contracts"); config.catalogue.contracts.len()];
        loaded.catalogue(&config.catalogue, (tariffs, contracts), Some(&config.directory.dial_plan));
        if loaded.problems.is_empty() {
            Ok(Self { tariffs: loaded.tariffs, contracts: loaded.contracts, documents: loaded.documents })
        } else {
            Err(loaded.problems.into())
        }
    }
}

impl Catalogue {
    /// From texts that were in force once, as a ledger keeps them: kind (`tariff` or `contracts`), name, text.
    ///
    /// # Errors
    /// Their mistakes: those this program finds in them, whatever an older one thought.
    pub fn of_texts(texts: Vec<(String, String, String)>, dial_plan: &DialPlan) -> Result<Self, Problems> {
        let mut loaded = Loaded::default();
        let mut whole = true;
        for (_, name, text) in texts.iter().filter(|(kind, ..)| kind == "tariff") {
            let read = tariff::read(name, text);
            loaded.problems.extend(read.problems);
            match read.tariff {
                Some(tariff) => loaded.tariff(Tariff { file: name.as_str().into(), ..tariff }, Path::new(name), text),
                None => whole = false,
            }
        }
        if whole {
            let files: Vec<_> = texts
                .iter()
                .filter(|(kind, ..)| kind == "contracts")
                .map(|(_, name, text)| ContractFile { file: name, name, text, numbers: Numbers::Kept })
                .collect();
            let (contracts, problems, _) = contracts::read(&files, &loaded.tariffs, dial_plan);
            loaded.contracts = contracts;
            loaded.problems.extend(problems);
        }
        if loaded.problems.is_empty() {
            let documents = texts.into_iter().map(|(_, name, text)| (name.into(), text)).collect();
            Ok(Self { tariffs: loaded.tariffs, contracts: loaded.contracts, documents })
        } else {
            Err(loaded.problems.into())
        }
    }
}

/// Reads all files, and goes on after every mistake.
pub(super) fn everything(path: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    let name = path.display().to_string();
    let text = match read_file(path) {
        Ok(text) => text,
        Err(why) => {
            loaded.problems.push(Problem::of_file(&name, "", why));
            return loaded;
        }
    };
    let read = daemon::read(path, &text);
    loaded.problems = read.problems;
    loaded.warnings = read.warnings;
    loaded.config = read.config;
    let places = (read.tariff_places, read.contract_places);
    let all_read = loaded.catalogue(&read.catalogue, places, read.dial_plan.as_ref());
    if all_read {
        let sold: Vec<&str> = loaded.tariffs.iter().flat_map(|tariff| &tariff.services).map(|service| &*service.name).collect();
        let (known, unknown): (Vec<_>, Vec<_>) = read.services.into_iter().partition(|(service, _)| sold.contains(&&**service));
        for (service, problem) in unknown {
            let right = suggestion(&service, sold.iter().copied());
            loaded.problems.push(problem.saying(format!("no tariff sells the service \"{service}\"; {right}")));
        }
        loaded.warnings.extend(across::of_hotlines(&loaded.tariffs, known, read.severities));
    }
    loaded
}

impl Loaded {
    /// Reads tariffs, then contracts; whether every tariff could be read.
    fn catalogue(&mut self, files: &CatalogueFiles, places: (Vec<Problem>, Vec<Problem>), dial_plan: Option<&DialPlan>) -> bool {
        let mut whole = true;
        for ((name, path), place) in files.tariffs.iter().zip(places.0) {
            let Some(text) = self.read(path, place) else {
                whole = false;
                continue;
            };
            let read = tariff::read(&path.display().to_string(), &text);
            self.problems.extend(read.problems);
            self.warnings.extend(read.warnings);
            match read.tariff {
                Some(tariff) => self.tariff(Tariff { file: name.clone(), ..tariff }, path, &text),
                None => whole = false,
            }
            self.documents.push((name.clone(), text));
        }
        let texts: Vec<(String, &str, String)> = files
            .contracts
            .iter()
            .zip(places.1)
            .filter_map(|((name, path), place)| Some((path.display().to_string(), &**name, self.read(path, place)?)))
            .collect();
        // Without all plans, every row would be said to name an unknown one.
        if let Some(dial_plan) = dial_plan.filter(|_| whole) {
            let files: Vec<_> =
                texts.iter().map(|(file, name, text)| ContractFile { file, name, text, numbers: Numbers::Written }).collect();
            let (contracts, problems, warnings) = contracts::read(&files, &self.tariffs, dial_plan);
            self.contracts = contracts;
            self.problems.extend(problems);
            self.warnings.extend(warnings);
        }
        self.documents.extend(texts.into_iter().map(|(_, name, text)| (name.into(), text)));
        whole
    }

    /// Takes a tariff; its name and its plans are its own.
    pub(super) fn tariff(&mut self, tariff: Tariff, path: &Path, text: &str) {
        let file = path.display().to_string();
        for known in &self.tariffs {
            if known.name == tariff.name {
                let message = format!("\"{}\" is the name of {} too; give each tariff its own", tariff.name, known.file);
                self.problems.push(Problem::of_file(&file, "name", message));
            }
            if let Some(twice) = tariff.plans.iter().find(|plan| known.plans.iter().any(|other| other.id == plan.id)) {
                let message = format!("the plan \"{}\" stands in {} already; a plan belongs to one tariff", twice.id, known.file);
                self.problems.push(Problem::on_line(&file, text, twice.line, "plan", message));
            }
        }
        self.tariffs.push(tariff);
    }

    fn read(&mut self, path: &Path, place: Problem) -> Option<String> {
        read_file(path).map_err(|why| self.problems.push(place.saying(why))).ok()
    }
}

pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}; write the path of a file that can be read", path.display());
    match fs::metadata(path) {
        Ok(about) if !about.is_file() => return Err(cannot(&"it is no file")),
        Ok(about) if about.len() > LARGEST_FILE => return Err(cannot(&"it is larger than 256 MiB")),
        Ok(_) => {}
        Err(error) => return Err(cannot(&error)),
    }
    let bytes = fs::read(path).map_err(|error| cannot(&error))?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or(&[]).iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{} is not UTF-8, first on line {line}; save it as UTF-8", path.display())
    })
}

//! What looks wrong between the files: plans, contracts, hotlines and agents that do not meet. Warnings.
//!
//! The one invariant: nothing here refuses a configuration, and what day it is only decides whether something is said.

use super::catalogue::Loaded;
use super::check::Standing;
use super::problem::{Problem, suggestion};
use crate::tariff::{Level, PlanVersion, Tariff};
use std::collections::{BTreeMap, BTreeSet};

/// The texts of the catalogue by their configured names: the name for messages, and the text.
type Texts<'l> = BTreeMap<&'l str, (String, &'l str)>;

/// Looks at everything that was loaded; only where no file has a mistake.
pub(super) fn warnings(loaded: &Loaded, standing: &Standing) -> Vec<Problem> {
    let Some(config) = loaded.config.as_ref().filter(|_| loaded.problems.is_empty()) else { return Vec::new() };
    let files = config.catalogue.tariffs.iter().chain(&config.catalogue.contracts);
    let texts: Texts<'_> = files
        .filter_map(|(name, path)| {
            let (_, text) = loaded.documents.iter().find(|(known, _)| known == name)?;
            Some((&**name, (path.display().to_string(), text.as_str())))
        })
        .collect();
    let at = |file: &str, line: u32, key: &str, message: String| {
        let (path, text) = texts.get(file)?;
        Some(Problem::on_line(path, text, line, key, message))
    };
    let mut found = Vec::new();
    for (tariff, line, message) in plans_nobody_has(loaded).into_iter().chain(begun(loaded, standing)).chain(levels_nobody_has(loaded)) {
        found.extend(at(&tariff.file, line, "plan", message));
    }
    for (file, line, message) in hotlines_of_customers(loaded) {
        found.extend(at(file, line, "numbers", message));
    }
    found
}

/// A plan that no contract has, and none of another includes.
fn plans_nobody_has(loaded: &Loaded) -> Vec<(&Tariff, u32, String)> {
    let held = loaded.contracts.iter().flat_map(|contract| &contract.plans);
    let included = loaded.tariffs.iter().flat_map(|tariff| &tariff.plans).flat_map(|plan| &plan.includes);
    let mut known: BTreeSet<&str> = held.chain(included).map(AsRef::as_ref).collect();
    let mut found = Vec::new();
    for (tariff, plan) in versions(&loaded.tariffs) {
        if known.insert(&plan.id) {
            found.push((tariff, plan.line, format!("no contract has the plan \"{}\"", plan.id)));
        }
    }
    found
}

/// A version that begins in the past changes what was billed since.
fn begun<'l>(loaded: &'l Loaded, standing: &Standing) -> Vec<(&'l Tariff, u32, String)> {
    let mut found = Vec::new();
    for (tariff, plan) in versions(&loaded.tariffs) {
        let (id, from, today) = (&plan.id, plan.valid_from, tariff.local_date(standing.now));
        let same = |other: &&PlanVersion| other.id == plan.id;
        match &standing.billed {
            _ if from > today => {}
            Some(billed) => {
                let mut known = versions(billed).map(|(_, other)| other).filter(same).peekable();
                if known.peek().is_some() && !known.any(|other| other.valid_from == from) {
                    found.push((
                        tariff,
                        plan.line,
                        format!(
                            "this version of \"{id}\" begins on {from}, in the past, and the ledger was settled without it: calls since then \
                             are settled anew, and their bills change; `taktd simulate` shows by how much"
                        ),
                    ));
                }
            }
            // Without a ledger, only the newest that has begun is worth a word: what came before was news once.
            None => {
                let mut others = tariff.plans.iter().filter(same);
                let before = tariff.plans.iter().filter(same).filter(|other| other.valid_from < from).max_by_key(|other| other.valid_from);
                let newest = !others.any(|other| other.valid_from > from && other.valid_from <= today);
                if let Some(before) = before.filter(|_| newest) {
                    let line = before.line;
                    found.push((
                        tariff,
                        plan.line,
                        format!(
                            "this version of \"{id}\" begins on {from}, in the past: what was billed since then by the version on line {line} \
                             is settled anew; a price that changes gets a version from a day to come"
                        ),
                    ));
                }
            }
        }
    }
    found
}

/// A rate, an allowance or a surcharge for a level that no agent has.
fn levels_nobody_has(loaded: &Loaded) -> Vec<(&Tariff, u32, String)> {
    let agents = loaded.config.as_ref().map_or(&[][..], |config| &config.directory.agents);
    let known: BTreeSet<Level> = agents.iter().filter_map(|agent| agent.level).collect();
    let mut found = Vec::new();
    for (tariff, plan) in versions(&loaded.tariffs) {
        let rates = plan.rates.iter().map(|rate| (rate.line, &rate.levels));
        let allowances = plan.allowances.iter().map(|one| (one.line, &one.levels));
        let surcharges = plan.surcharges.iter().map(|one| (one.line, &one.levels));
        for (line, levels) in rates.chain(allowances).chain(surcharges) {
            for level in levels.iter().filter(|level| !known.contains(level)) {
                found.push((tariff, line, format!("no [[agent]] of the configuration has level {level}")));
            }
        }
    }
    found
}

/// A customer who calls from the number of a hotline is a slip of the pen.
fn hotlines_of_customers(loaded: &Loaded) -> Vec<(&str, u32, String)> {
    let hotlines = loaded.config.as_ref().map_or(&[][..], |config| &config.directory.hotlines);
    let mut found = Vec::new();
    for contract in &loaded.contracts {
        let (file, line) = &contract.place;
        for number in contract.numbers.iter().chain(&contract.authorised) {
            if let Some(hotline) = hotlines.iter().find(|hotline| hotline.number == *number) {
                let message = format!("{number} is the hotline \"{}\"; write the number that the customer calls from", hotline.name);
                found.push((&**file, *line, message));
            }
        }
    }
    found
}

/// What hotlines name and no plan knows: a service that a tariff has and no plan sells, a severity.
pub(super) fn of_hotlines(tariffs: &[Tariff], services: Vec<(Box<str>, Problem)>, severities: Vec<(Box<str>, Problem)>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (service, place) in services {
        if !versions(tariffs).any(|(_, plan)| super::slips::sells(plan, &service)) {
            found.push(place.saying(format!("no plan sells the service \"{service}\"; every call of this hotline will be uncovered")));
        }
    }
    let known: BTreeSet<&str> = versions(tariffs)
        .flat_map(|(tariff, plan)| {
            let rates = plan.rates.iter().flat_map(|rate| &rate.severities);
            let others = plan.allowances.iter().flat_map(|one| &one.severities);
            let responses = plan.responses.iter().flat_map(|one| &one.severities);
            rates.chain(others).chain(responses).chain(&tariff.default_severity)
        })
        .map(AsRef::as_ref)
        .collect();
    for (severity, place) in severities.into_iter().filter(|(severity, _)| !known.contains(&**severity)) {
        let right = suggestion(&severity, known.iter().copied());
        found.push(place.saying(format!("no plan makes a difference for the severity \"{severity}\"; {right}")));
    }
    found
}

fn versions(tariffs: &[Tariff]) -> impl Iterator<Item = (&Tariff, &PlanVersion)> {
    tariffs.iter().flat_map(|tariff| tariff.plans.iter().map(move |plan| (tariff, plan)))
}

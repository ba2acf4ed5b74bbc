//! What `taktd check` shows: every mistake of every file, what looks like one, what each plan says, and the week of each
//! service.

use super::across;
use super::catalogue::{self, Loaded};
use super::plan_text;
use super::problem::Problem;
use super::slips::sells;
use super::week_text::table;
use crate::contracts::Contract;
use crate::tariff::{BandId, PlanVersion, Service, Tariff};
use crate::units::Timestamp;
use chrono::NaiveDate;
use std::collections::BTreeSet;
use std::path::Path;

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Report {
    /// What must be mended before anything starts.
    pub problems: Vec<Problem>,
    /// What looks wrong, and works.
    pub warnings: Vec<Problem>,
    /// What each plan says, in file order; only of tariffs without problems.
    pub terms: Vec<PlanTerms>,
    /// The weeks, by tariff and service; only of tariffs without problems.
    pub weeks: Vec<WeekTable>,
    /// How many contracts there are; `None` where there are problems.
    pub contracts: Option<Contracts>,
}

/// What a version of a plan says beside its prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanTerms {
    /// The tariff's file, as configured.
    pub file: Box<str>,
    /// The plan.
    pub plan: Box<str>,
    /// The first day of this version of it.
    pub valid_from: NaiveDate,
    /// Lines for people.
    pub lines: Vec<String>,
}

/// The week of a service as some plans sell it, all in the same hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekTable {
    /// The tariff's file, as configured.
    pub file: Box<str>,
    /// The service.
    pub service: Box<str>,
    /// The plans.
    pub plans: PlanNames,
    /// Lines for people: hours, bands, gaps.
    pub text: String,
    /// Lines about prices, by band; each with the plans that have them.
    pub prices: Vec<(PlanNames, Vec<String>)>,
}

/// Versions of plans: name, first day.
pub type PlanNames = Vec<(Box<str>, NaiveDate)>;

/// How many contracts there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contracts {
    /// Those in force.
    pub in_force: usize,
    /// Those whose first day is to come.
    pub to_come: usize,
    /// Those that are over, with the first day no longer covered.
    pub over: Vec<(Box<str>, NaiveDate)>,
}

/// What is so while a configuration is checked, beside its files: decides only what is warned of.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The time.
    pub now: Timestamp,
    /// The tariffs by which the ledger was settled last; `None` without a ledger.
    pub billed: Option<Vec<Tariff>>,
}

/// Checks a configuration and all files it names.
#[must_use]
pub fn report(path: &Path, standing: &Standing) -> Report {
    let loaded = catalogue::everything(path);
    let across = across::warnings(&loaded, standing);
    let Loaded { tariffs, contracts, problems, mut warnings, .. } = loaded;
    warnings.extend(across);
    let terms = tariffs.iter().flat_map(terms).collect();
    let weeks = tariffs.iter().flat_map(weeks).collect();
    let contracts = problems.is_empty().then(|| count(&contracts, &tariffs, standing.now));
    Report { problems, warnings, terms, weeks, contracts }
}

fn terms(tariff: &Tariff) -> impl Iterator<Item = PlanTerms> + '_ {
    tariff.plans.iter().map(|plan| PlanTerms {
        file: tariff.file.clone(),
        plan: plan.id.clone(),
        valid_from: plan.valid_from,
        lines: plan_text::terms(tariff, plan),
    })
}

/// The tables of a tariff by service; plans that sell one in the same hours share it.
fn weeks(tariff: &Tariff) -> Vec<WeekTable> {
    let mut tables: Vec<WeekTable> = Vec::new();
    for service in &tariff.services {
        let first = tables.len();
        let mut drawn: Vec<(NaiveDate, Vec<BandId>, String)> = Vec::new(); // to look for gaps over decades takes a while
        for plan in &tariff.plans {
            let sources = offers(tariff, plan);
            if !sources.iter().any(|plan| sells(plan, &service.name)) {
                continue;
            }
            let name = (plan.id.clone(), plan.valid_from);
            let sold: Vec<BandId> = service.bands.iter().filter(|band| sells_in(&sources, service, **band)).copied().collect();
            let known = drawn.iter().find(|(from, bands, _)| *from == plan.valid_from && *bands == sold);
            let text = known.map_or_else(|| table(tariff, &sold, service, plan.valid_from), |(.., text)| text.clone());
            drawn.push((plan.valid_from, sold, text.clone()));
            let prices = plan_text::prices(tariff, &sources, &service.name, &service.bands);
            let found = tables.iter_mut().skip(first).find(|known| known.text == text);
            let Some(known) = found else {
                let (file, plans) = (tariff.file.clone(), vec![name]);
                tables.push(WeekTable { file, service: service.name.clone(), plans: plans.clone(), text, prices: vec![(plans, prices)] });
                continue;
            };
            known.plans.push(name.clone());
            match known.prices.iter_mut().find(|(_, lines)| *lines == prices) {
                Some((plans, _)) => plans.push(name),
                None => known.prices.push((vec![name], prices)),
            }
        }
    }
    tables
}

/// Whether one of the plans has a price or something included in a band.
fn sells_in(plans: &[&PlanVersion], service: &Service, band: BandId) -> bool {
    let within = |bands: &[BandId]| bands.is_empty() || bands.contains(&band);
    plans.iter().any(|plan| {
        plan.rates.iter().any(|rate| rate.service == service.name && within(&rate.bands))
            || plan.allowances.iter().any(|one| one.services.contains(&service.name) && within(&one.bands))
    })
}

/// Contracts by name: one with a row for the day is in force, whatever its other rows say.
fn count(contracts: &[Contract], tariffs: &[Tariff], now: Timestamp) -> Contracts {
    let mut counted = Contracts::default();
    let Some(today) = tariffs.first().map(|tariff| tariff.local_date(now)) else { return counted };
    let ids: BTreeSet<&str> = contracts.iter().map(|contract| &*contract.id).collect();
    for id in ids {
        let rows = || contracts.iter().filter(move |contract| *contract.id == *id);
        let ends = |contract: &Contract| contract.ends_on.filter(|end| *end <= today);
        if rows().any(|row| row.starts_on <= today && ends(row).is_none()) {
            counted.in_force += 1;
        } else if rows().any(|row| row.starts_on > today) {
            counted.to_come += 1;
        } else if let Some(end) = rows().filter_map(ends).max() {
            counted.over.push((id.into(), end));
        }
    }
    counted
}

/// The plan, and those it includes, in the version of its first day.
fn offers<'t>(tariff: &'t Tariff, plan: &'t PlanVersion) -> Vec<&'t PlanVersion> {
    let mut all = vec![plan];
    let mut open: Vec<&str> = plan.includes.iter().map(AsRef::as_ref).collect();
    let mut known = BTreeSet::new();
    while let Some(id) = open.pop() {
        if let Some(found) = tariff.plan(id, plan.valid_from).filter(|_| known.insert(id)) {
            all.push(found);
            open.extend(found.includes.iter().map(AsRef::as_ref));
        }
    }
    all
}

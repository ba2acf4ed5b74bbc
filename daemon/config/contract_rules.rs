//! What a contract's plans demand of it, and what its rows demand of one another.

use super::problem::quoted;
use super::reader::Source;
use super::rows::Column;
use crate::contracts::Contract;
use crate::tariff::period::end_of_contract;
use crate::tariff::{Callers, FeePer, PlanVersion, Tariff, Validity};
use crate::units::NumberPattern;
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How a rule notes what it found: the column it is about, and the message.
type Note<'n> = &'n dyn Fn(Column, String);

/// The plans of all tariffs, by name.
pub(super) struct Plans<'t> {
    by_id: BTreeMap<&'t str, Vec<(&'t Tariff, &'t PlanVersion)>>,
}

impl<'t> Plans<'t> {
    pub(super) fn new(tariffs: &'t [Tariff]) -> Self {
        let mut by_id: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (tariff, plan) in tariffs.iter().flat_map(|tariff| tariff.plans.iter().map(move |plan| (tariff, plan))) {
            by_id.entry(&plan.id).or_default().push((tariff, plan));
        }
        for versions in by_id.values_mut() {
            versions.sort_by_key(|(_, plan)| plan.valid_from);
        }
        Self { by_id }
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &'t str> + Clone {
        self.by_id.keys().copied()
    }

    /// The version in force on a day, else the first.
    fn version(&self, id: &str, on: NaiveDate) -> Option<(&'t Tariff, &'t PlanVersion)> {
        let versions = self.by_id.get(id)?;
        versions.iter().rev().find(|(_, plan)| plan.valid_from <= on).or(versions.first()).copied()
    }

    /// All plans whose offers a contract has: those it holds, and what they include.
    fn offers(&self, contract: &Contract) -> BTreeSet<&str> {
        let mut open: Vec<&str> = contract.plans.iter().filter_map(|id| Some(&*self.version(id, contract.starts_on)?.1.id)).collect();
        let mut all = BTreeSet::new();
        while let Some(id) = open.pop() {
            if all.insert(id)
                && let Some((_, plan)) = self.version(id, contract.starts_on)
            {
                open.extend(plan.includes.iter().map(AsRef::as_ref));
            }
        }
        all
    }

    /// Holds a contract against its plans, and computes its end; `None` when it breaks a rule.
    pub(super) fn check(&self, mut contract: Contract, stations: Option<u32>, wrong: Note<'_>, warn: Note<'_>) -> Option<Contract> {
        let held: Vec<(&Tariff, &PlanVersion)> = contract.plans.iter().filter_map(|id| self.version(id, contract.starts_on)).collect();
        let broken = std::cell::Cell::new(false);
        let refuse = |column, message: String| {
            broken.set(true);
            wrong(column, message);
        };
        self.requirements(&contract, &held, &refuse, warn);
        stations_fit(&held, stations, &refuse);
        one_market(&held, &refuse);
        if let Some(end) = contract.ends_on.filter(|end| *end <= contract.starts_on) {
            refuse(Column::EndsOn, format!("{end} is not after starts_on, {}; write the first day no longer covered", contract.starts_on));
        }
        for (_, plan) in held.iter().filter(|(_, plan)| plan.valid_from > contract.starts_on) {
            let (from, id) = (plan.valid_from, &plan.id);
            warn(Column::StartsOn, format!("the plan \"{id}\" is valid from {from} only; calls before that day are uncovered"));
        }
        if contract.numbers.is_empty() && contract.authorised.is_empty() {
            warn(Column::Numbers, "no number leads to this contract; only a reference by the PBX finds it".to_owned());
        } else if contract.authorised.is_empty() && held.iter().any(|(_, plan)| plan.callers == Callers::Authorised) {
            warn(
                Column::Authorised,
                "nobody is authorised, and a plan of this contract asks for it; every call will be refused".to_owned(),
            );
        }
        self.dates(&contract, &held, warn);
        if !contract.authorised.is_empty() && held.iter().all(|(_, plan)| plan.callers == Callers::Any) {
            warn(
                Column::Authorised,
                "anybody may call on the plans of this contract, so these are numbers like its others; write them under `numbers`"
                    .to_owned(),
            );
        }
        contract.ends_on =
            contract.ends_on.or_else(|| end_of_contract(held.iter().map(|(_, plan)| *plan), contract.starts_on, contract.cancelled_on));
        (!broken.get()).then_some(contract)
    }

    /// Days that do not go together.
    fn dates(&self, contract: &Contract, held: &[(&Tariff, &PlanVersion)], warn: Note<'_>) {
        let (starts_on, ends_on) = (contract.starts_on, contract.ends_on);
        if let Some(day) = contract.activated_on {
            let offers = self.offers(contract);
            let offers = offers.iter().filter_map(|id| self.version(id, starts_on)).chain(held.iter().copied());
            let granted = offers.flat_map(|(_, plan)| &plan.allowances).any(|one| matches!(one.per, Validity::Activation(_)));
            if !granted {
                warn(Column::ActivatedOn, "no plan of this contract grants anything after activation; the day changes nothing".to_owned());
            } else if day < starts_on {
                warn(Column::ActivatedOn, format!("{day} is before starts_on, {starts_on}; is that the day of another contract?"));
            } else if ends_on.is_some_and(|end| day >= end) {
                warn(Column::ActivatedOn, format!("{day} is after the contract's end; nothing is granted in its time"));
            }
        }
        if let Some(day) = contract.cancelled_on {
            if day < starts_on {
                warn(Column::CancelledOn, format!("{day} is before starts_on, {starts_on}; is that the day of another contract?"));
            } else if let Some(end) = ends_on.filter(|end| day >= *end) {
                warn(Column::CancelledOn, format!("{day} is not before ends_on, {end}, which counts; the contract is over by then"));
            }
        }
    }

    fn requirements(&self, contract: &Contract, held: &[(&Tariff, &PlanVersion)], wrong: Note<'_>, warn: Note<'_>) {
        let needy = held.iter().any(|(_, plan)| !plan.requires.is_empty() || !plan.includes.is_empty());
        if !needy {
            return;
        }
        let offers = self.offers(contract);
        for (_, plan) in held {
            for missing in plan.requires.iter().filter(|required| !offers.contains(&***required)) {
                wrong(Column::Plans, format!("\"{}\" requires \"{missing}\"; add it, or take \"{}\" away", plan.id, plan.id));
            }
            let included = offers.iter().filter(|id| !contract.plans.iter().any(|held| **held == ***id));
            for (_, other) in included.filter_map(|id| self.version(id, contract.starts_on)) {
                for missing in other.requires.iter().filter(|required| !offers.contains(&***required)) {
                    wrong(Column::Plans, format!("\"{}\", which comes with another plan, requires \"{missing}\"; add it", other.id));
                }
            }
            for twice in plan.includes.iter().filter(|included| contract.plans.contains(included)) {
                warn(Column::Plans, format!("\"{}\" includes \"{twice}\" already, whose fee is due all the same", plan.id));
            }
        }
    }
}

fn stations_fit(held: &[(&Tariff, &PlanVersion)], stations: Option<u32>, wrong: Note<'_>) {
    for (_, plan) in held {
        let per_station =
            plan.fee.is_some_and(|fee| fee.per == FeePer::YearAndStation) || plan.allowances.iter().any(|one| one.per_station);
        match (stations, plan.stations) {
            (None, range) if per_station || range.is_some() => {
                wrong(Column::Stations, format!("the plan \"{}\" counts stations; write how many", plan.id));
            }
            (Some(0), None) if per_station => {
                wrong(Column::Stations, format!("the plan \"{}\" counts stations, and with none nothing is due; write 1 or more", plan.id));
            }
            (Some(stations), Some((from, to))) if !(from..=to).contains(&stations) => {
                wrong(
                    Column::Stations,
                    format!("the plan \"{}\" covers {from} to {to} stations, and here are {stations}; take a plan that fits", plan.id),
                );
            }
            _ => {}
        }
    }
}

/// Plans of one contract share currency and zone: else a month, or a sum, would mean two things.
fn one_market(held: &[(&Tariff, &PlanVersion)], wrong: Note<'_>) {
    let mut pairs = held.iter().zip(held.iter().skip(1));
    if let Some(((_, one), (_, other))) =
        pairs.find(|((one, _), (other, _))| one.currency != other.currency || one.zone != other.zone || one.prices != other.prices)
    {
        let plans = quoted([&*one.id, &*other.id]);
        wrong(Column::Plans, format!("{plans} differ in currency, time zone, or net and gross prices; write a contract for each"));
    }
}

/// The rows of all files, with where they stand.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<Placed>,
}

/// A row, its file, and where its start and its numbers stand.
struct Placed {
    contract: Contract,
    file: usize,
    starts_on: Range<usize>,
    numbers: Range<usize>,
}

impl Rows {
    /// Takes a row of a file.
    pub(super) fn push(&mut self, contract: Contract, file: usize, starts_on: Range<usize>, numbers: Range<usize>) {
        self.rows.push(Placed { contract, file, starts_on, numbers });
    }

    /// Checks the rows against one another, and gives the contracts in file order.
    pub(super) fn finish(self, sources: &[Source<'_>]) -> Vec<Contract> {
        self.histories(sources);
        self.shared_numbers(sources);
        self.rows.into_iter().map(|row| row.contract).collect()
    }

    /// Rows of one contract are its history: they must not cover the same day.
    fn histories(&self, sources: &[Source<'_>]) {
        let mut order: Vec<&Placed> = self.rows.iter().collect();
        order.sort_by_key(|row| (&row.contract.id, row.contract.starts_on));
        for pair in order.windows(2) {
            let [one, other] = pair else { continue };
            let (first, second) = (&one.contract, &other.contract);
            if first.id == second.id && first.ends_on.is_none_or(|end| second.starts_on < end) {
                let ((file, line), id, day) = (&first.place, &first.id, second.starts_on);
                let message =
                    format!("the row of \"{id}\" in {file}, line {line}, covers {day} too; give that row an ends_on of {day} or before");
                if let Some(source) = sources.get(other.file) {
                    source.problem(other.starts_on.clone(), Column::StartsOn.name(), message);
                }
            } else if let (true, Some(end)) = (first.id == second.id, first.ends_on.filter(|end| *end < second.starts_on)) {
                let ((file, line), id) = (&first.place, &first.id);
                let message = format!(
                    "from {end} until this day \"{id}\" is not in force: the row before ends then ({file}, line {line}); calls between find no \
                     contract"
                );
                if let Some(source) = sources.get(other.file) {
                    source.warning(other.starts_on.clone(), Column::StartsOn.name(), message);
                }
            }
        }
    }

    /// Two contracts with the same number at the same time: their calls are ambiguous.
    fn shared_numbers(&self, sources: &[Source<'_>]) {
        let mut owners: Vec<(NumberPattern, usize)> = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            owners.extend(row.contract.numbers.iter().chain(&row.contract.authorised).map(|number| (*number, index)));
        }
        owners.sort_unstable();
        owners.dedup();
        for pair in owners.windows(2) {
            let [(number, one), (same, other)] = pair else { continue };
            let (Some(one), Some(placed)) = (self.rows.get(*one), self.rows.get(*other)) else { continue };
            let (one, other) = (&one.contract, &placed.contract);
            let together = one.ends_on.is_none_or(|end| other.starts_on < end) && other.ends_on.is_none_or(|end| one.starts_on < end);
            if number == same && one.id != other.id && together {
                let (id, (file, line)) = (&one.id, &one.place);
                let message = format!("{number} belongs to \"{id}\" ({file}, line {line}) too; its calls will be ambiguous");
                if let Some(source) = sources.get(placed.file) {
                    source.warning(placed.numbers.clone(), Column::Numbers.name(), message);
                }
            }
        }
    }
}

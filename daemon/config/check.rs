//! What `taktd check` shows: every mistake of every file, what looks like one, and the week of each service of each plan.

use super::across;
use super::bands::{YEARS_AHEAD, moment};
use super::catalogue::{self, Loaded};
use super::problem::Problem;
use crate::tariff::{BandId, PlanVersion, Service, Stretch, Tariff, monday_of};
use crate::units::Timestamp;
use chrono::{Datelike, Days, NaiveDate};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Report {
    /// What must be mended before anything starts.
    pub problems: Vec<Problem>,
    /// What looks wrong, and works.
    pub warnings: Vec<Problem>,
    /// The weeks, by tariff, plan and service; only of tariffs without problems.
    pub weeks: Vec<WeekTable>,
}

/// The week of a service as a plan sells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekTable {
    /// The tariff's file, as configured.
    pub file: Box<str>,
    /// The plan.
    pub plan: Box<str>,
    /// The first day of this version of it.
    pub valid_from: NaiveDate,
    /// The service.
    pub service: Box<str>,
    /// Lines for people.
    pub text: String,
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
    let Loaded { tariffs, problems, mut warnings, .. } = loaded;
    warnings.extend(across);
    let weeks = tariffs.iter().flat_map(weeks).collect();
    Report { problems, warnings, weeks }
}

fn weeks(tariff: &Tariff) -> Vec<WeekTable> {
    let mut tables = Vec::new();
    for plan in &tariff.plans {
        let sources = offers(tariff, plan);
        for service in &tariff.services {
            if sources.iter().any(|plan| sells(plan, service)) {
                tables.push(WeekTable {
                    file: tariff.file.clone(),
                    plan: plan.id.clone(),
                    valid_from: plan.valid_from,
                    service: service.name.clone(),
                    text: table(tariff, &sources, service, plan.valid_from),
                });
            }
        }
    }
    tables
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

fn sells(plan: &PlanVersion, service: &Service) -> bool {
    plan.rates.iter().any(|rate| rate.service == service.name) || plan.allowances.iter().any(|one| one.services.contains(&service.name))
}

fn table(tariff: &Tariff, plans: &[&PlanVersion], service: &Service, from: NaiveDate) -> String {
    let mut text = String::new();
    let week = &service.week;
    let shown = |day: NaiveDate| day_line(tariff, plans, service, day);
    for (days, line) in ordinary_days(tariff, from, shown) {
        let _ = writeln!(text, "  {days:<9} {line}");
    }
    if week.names_holidays() {
        let mut known = BTreeSet::new();
        let days = from.iter_days().take(366).filter(|day| tariff.calendar.is_holiday(*day));
        for (day, line) in days.map(|day| (day, shown(day))).filter(|(_, line)| known.insert(line.clone())) {
            let _ = writeln!(text, "  {:<9} {line}  (as on {day})", "PH");
        }
    }
    let mut gaps: Vec<(Stretch, NaiveDate, BTreeSet<u32>)> = Vec::new();
    for gap in week.gaps(&tariff.calendar, from, YEARS_AHEAD) {
        let weekday = gap.on.weekday().num_days_from_monday();
        match gaps.iter_mut().find(|(at, _, _)| *at == gap.at) {
            Some((_, _, days)) => {
                days.insert(weekday);
            }
            None => gaps.push((gap.at, gap.on, BTreeSet::from([weekday]))),
        }
    }
    for (at, on, days) in gaps {
        let names: Vec<&str> = days.iter().filter_map(|day| DAYS.get(usize::try_from(*day).ok()?)).copied().collect();
        let _ = writeln!(text, "  gap       {} on {}, first {}: uncovered, not billed", clock(at), names.join(", "), moment(on, at));
    }
    text
}

const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// The days of an ordinary week, those alike and next to each other on one line.
fn ordinary_days(tariff: &Tariff, from: NaiveDate, shown: impl Fn(NaiveDate) -> String) -> Vec<(String, String)> {
    // The first week without a holiday, its Sunday before included: there nothing spills in from one.
    let quiet = |monday: &NaiveDate| {
        let before = monday.pred_opt().unwrap_or(*monday);
        !before.iter_days().take(8).any(|day| tariff.calendar.is_holiday(day))
    };
    let mondays = monday_of(from).iter_weeks().skip(1).take(520);
    let monday = mondays.into_iter().find(quiet).unwrap_or(from);
    let mut runs: Vec<(usize, usize, String)> = Vec::new();
    for index in 0..7usize {
        let day = monday.checked_add_days(Days::new(index as u64)).unwrap_or(monday);
        let line = shown(day);
        match runs.last_mut() {
            Some((_, last, known)) if *known == line => *last = index,
            _ => runs.push((index, index, line)),
        }
    }
    let label = |first: usize, last: usize| match (DAYS.get(first), DAYS.get(last)) {
        (Some(first), Some(last)) if first != last => format!("{first}-{last}"),
        (Some(first), _) => (*first).to_owned(),
        _ => String::new(),
    };
    runs.into_iter().map(|(first, last, line)| (label(first, last), line)).collect()
}

/// `08:00-09:30 day · 09:30-12:30 general`; a band without a price says so.
fn day_line(tariff: &Tariff, plans: &[&PlanVersion], service: &Service, day: NaiveDate) -> String {
    let priced = |band: BandId| {
        plans.iter().any(|plan| {
            plan.rates.iter().any(|rate| rate.service == service.name && (rate.bands.is_empty() || rate.bands.contains(&band)))
                || plan
                    .allowances
                    .iter()
                    .any(|one| one.services.contains(&service.name) && (one.bands.is_empty() || one.bands.contains(&band)))
        })
    };
    let parts: Vec<String> = service
        .week
        .day(&tariff.calendar, day)
        .into_iter()
        .map(|(at, band)| {
            let name = tariff.band_name(band);
            if priced(band) { format!("{} {name}", clock(at)) } else { format!("{} {name} (not sold)", clock(at)) }
        })
        .collect();
    if parts.is_empty() { "uncovered".to_owned() } else { parts.join(" · ") }
}

fn clock(at: Stretch) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", at.from / 60, at.from % 60, at.to / 60, at.to % 60)
}

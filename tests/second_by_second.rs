//! Settlement beside a second reading of design.md §6 that is slow and obvious, over the five tariffs that ship: whatever the
//! two do not agree on is a mistake of one of them.

mod charging;
mod documents;
mod included;
mod slowly;
mod stories;
mod world;

use crate::generated::stories::Told;
use crate::generated::{self, Case};
use crate::settlement;
use chrono::{Days, NaiveDate, NaiveDateTime};
use documents::{begins_month, begins_year};
use included::Left;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rust_decimal::{Decimal, RoundingStrategy};
use slowly::{Sum, slowly};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use stories::{Story, story};
use taktd::contracts::Contract;
use taktd::meter::{Input, Outcome, Record, Rule, Settlement, Terms, fees, settle};
use taktd::tariff::{FeePer, Tariff};
use taktd::units::Timestamp;
use world::World;

static TARIFFS: LazyLock<Vec<Tariff>> = LazyLock::new(|| {
    let names = ["support-level", "support-hours", "cash-desk", "work-units", "incident-plans"];
    names.into_iter().map(settlement::tariff).collect()
});

fn tariff(name: &str) -> &'static Tariff {
    TARIFFS.iter().find(|tariff| *tariff.name == *name).expect("it ships")
}

fn contract(story: &Story) -> Contract {
    Contract { starts_on: story.starts_on, activated_on: story.activated_on, stations: story.stations, ..settlement::contract(story.plans) }
}

fn quickly(terms: &Terms<'_>, story: &Story) -> Settlement {
    let input = |told| {
        let Told { call, authorised, verdict, timing }: &Told = told;
        Input { call, authorised: *authorised, reason: None, verdict: *verdict, timing: *timing }
    };
    let inputs: Vec<Input<'_>> = story.told.iter().map(input).collect();
    settle(terms, &inputs, story.until)
}

/// A record in the words of the slow reading.
fn told(record: &Record) -> Sum {
    let mut begun = Vec::new();
    let mut beside: BTreeMap<String, u64> = BTreeMap::new();
    for line in &record.lines {
        let (band, length) = (line.band.as_deref().unwrap_or_default(), line.increment.map_or(0, |length| length.get()));
        let what = match (line.rule, &line.allowance) {
            // What is waived, raised, cut and rounded shows in the sum.
            (Rule::Goodwill | Rule::Rounding | Rule::Minimum | Rule::Cap | Rule::Rounded, None) => continue,
            (Rule::Connect, None) => {
                *beside.entry(format!("connect {band} {}", line.unit_price.normalize())).or_default() += line.count;
                continue;
            }
            (Rule::Surcharge, None) => {
                *beside.entry(format!("surcharge {band} {length}s {}", line.unit_price.normalize())).or_default() += line.count;
                continue;
            }
            (Rule::Tolerance, Some(id)) => format!("beyond-{id}"),
            (Rule::Free, None) => "free".to_owned(),
            (Rule::Allowance, Some(id)) => id.to_string(),
            (Rule::Step, None) => "step".to_owned(),
            (Rule::TopUp, None) => "top-up".to_owned(),
            (Rule::Incident, None) => "incident".to_owned(),
            (Rule::Flat, None) => "flat".to_owned(),
            odd => panic!("{odd:?}: {record:#?}"),
        };
        for _ in 0..line.count {
            begun.push(format!("{what} {band} {length}s {}", line.unit_price.normalize()));
        }
    }
    let covered = !matches!(record.outcome, Outcome::Uncovered | Outcome::Missed);
    Sum {
        outcome: record.outcome,
        plan: record.plan.as_deref().filter(|_| covered).unwrap_or_default().to_owned(),
        incident: record.incident.as_ref().map(ToString::to_string),
        billed: record.billed.get(),
        used: record.allowances.iter().map(|one| (one.id.to_string(), one.used)).collect(),
        begun,
        beside,
        net: record.charge.net,
        vat: record.charge.vat,
    }
}

/// Every fee that is due, by walking through the days: plan, first and last day, quantity, net, VAT.
fn fees_by_day(tariff: &Tariff, contract: &Contract, until: Timestamp) -> Vec<(String, NaiveDate, NaiveDate, u32, Decimal, Decimal)> {
    let mut due = Vec::new();
    for plan in tariff.plans.iter().filter(|plan| contract.plans.contains(&plan.id)) {
        let Some(fee) = plan.fee else { continue };
        let begins = |day: NaiveDate| match fee.per {
            FeePer::Month => begins_month(contract.starts_on, day),
            FeePer::Year | FeePer::YearAndStation => begins_year(contract.starts_on, day),
        };
        let today = until.utc().with_timezone(&tariff.zone).date_naive();
        for from in contract.starts_on.iter_days().take_while(|day| *day <= today).filter(|day| begins(*day)) {
            let to = from.iter_days().find(|day| begins(*day + Days::new(1))).expect("it ends");
            let quantity = if fee.per == FeePer::YearAndStation { contract.stations } else { 1 };
            let net = fee.amount * Decimal::from(quantity);
            let vat = net * documents::vat(to) / Decimal::ONE_HUNDRED;
            let vat = vat.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
            due.push((plan.id.to_string(), from, to, quantity, net, vat));
        }
    }
    due.sort();
    due
}

/// Holds the two readings of a story against each other; an error says where they differ.
fn compare(story: &Story) -> Result<Vec<Sum>, TestCaseError> {
    let (tariff, contract) = (tariff(story.tariff), contract(story));
    let rows = [contract.clone()];
    let hours = |service: &str, at| documents::band(story.tariff, service, at);
    let world = World { tariff, rows: &rows, until: story.until, hours: &hours, vat: &documents::vat };
    let (slow, left) = slowly(&world, &story.told);
    let slow: Vec<Sum> = slow.into_iter().map(without_plan).collect();
    let terms = Terms::new(std::slice::from_ref(tariff), vec![&contract], chrono_tz::Europe::Berlin);
    let quick = quickly(&terms, story);
    for ((quick, slow), told_of) in quick.calls.iter().zip(&slow).zip(&story.told) {
        prop_assert_eq!(&told(&quick.record), slow, "left: the meter; {:?}\n{:#?}", story.plans, told_of);
        let lines: Decimal = quick.record.lines.iter().map(|line| line.amount).sum();
        prop_assert_eq!(lines, slow.net, "lines add up");
        prop_assert_eq!(quick.record.charge.gross, slow.net + slow.vat);
    }
    prop_assert_eq!(rests(&quick, &left), left);
    let mut due: Vec<_> = fees(&terms, story.until)
        .into_iter()
        .map(|fee| {
            let period = fee.fee.expect("a fee has a period");
            let plan = fee.plan.expect("a plan").to_string();
            (plan, period.from, period.to, period.quantity, fee.charge.net, fee.charge.vat)
        })
        .collect();
    due.sort();
    prop_assert_eq!(due, fees_by_day(tariff, &contract, story.until));
    Ok(slow)
}

/// Without the plan where nobody sells it.
fn without_plan(mut sum: Sum) -> Sum {
    if matches!(sum.outcome, Outcome::Uncovered | Outcome::Missed) {
        sum.plan.clear();
    }
    sum
}

/// The same for a case of a generated tariff, whose bands stand in its tables.
fn compare_generated(case: &Case) -> Result<(), TestCaseError> {
    let hours = |service: &str, at: NaiveDateTime| {
        let (_, bands) = case.written.services.iter().find(|(name, _)| *name == service)?;
        let is_holiday = |day| case.tariff.calendar.is_holiday(day);
        let on = |name: &&String| case.written.hours.iter().any(|(known, hours)| known == *name && hours.has(at, is_holiday));
        bands.iter().find(on).map(String::as_str)
    };
    let vat = |day| case.tariff.vat_percent(day).expect("from 1990 on");
    let world = World { tariff: case.tariff, rows: &case.rows, until: case.until, hours: &hours, vat: &vat };
    let (slow, left) = slowly(&world, &case.told);
    let quick = case.settle(&case.told, case.until);
    for (quick, slow) in quick.calls.iter().zip(slow) {
        prop_assert_eq!(told(&quick.record), without_plan(slow), "left: the meter; {:#?}\n{}", quick.record, case.tell());
    }
    prop_assert_eq!(rests(&quick, &left), left, "{}", case.tell());
    Ok(())
}

/// The meter's balances of what was used; all others must be full.
fn rests(settled: &Settlement, used: &Left) -> Left {
    let mut rests = Left::new();
    for balance in &settled.balances {
        let key = |owner: &str| (owner.to_owned(), balance.allowance.to_string(), balance.from);
        match [key(&balance.plan), key("")].into_iter().find(|key| used.contains_key(key)) {
            Some(key) => drop(rests.insert(key, balance.left)),
            None => assert_eq!(balance.left, balance.granted, "{balance:?} is not full, and nobody used it"),
        }
    }
    rests
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn two_readings_of_the_rules_agree(story in story()) {
        compare(&story)?;
    }
}

proptest! {
    #![proptest_config(generated::cases(3_000))]
    #[test]
    fn two_readings_agree_on_generated_tariffs(case in generated::case(1..10)) {
        compare_generated(&case)?;
    }
}

/// The stories get everywhere: each outcome and each kind of charge of each tariff is among a thousand of them.
#[test]
fn the_stories_get_everywhere() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..1_000 {
        let story = story().new_tree(&mut runner).expect("a story").current();
        for sum in compare(&story).expect("the two agree") {
            *met.entry(format!("{} {:?}", story.tariff, sum.outcome).to_lowercase()).or_default() += 1;
            for begun in &sum.begun {
                let words: Vec<&str> = begun.split(' ').collect();
                *met.entry(format!("{} {} {}", story.tariff, words[0], words[1])).or_default() += 1;
            }
        }
    }
    for expected in [
        "support-level missed",
        "support-level uncovered",
        "support-level included",
        "support-level charged",
        "support-level monthly-15 general",
        "support-level monthly-30 general",
        "support-level monthly-90 general",
        "support-level activation-60 general",
        "support-level step general",
        "support-level step day",
        "support-level step night",
        "support-level step weekend",
        "support-hours uncovered",
        "support-hours hours-8 hours",
        "support-hours hours-4 hours",
        "support-hours top-up hours",
        "support-hours step hours",
        "cash-desk unauthorised",
        "cash-desk flat always",
        "work-units held",
        "work-units charged",
        "work-units included",
        "work-units step always",
        "work-units incident always",
        "incident-plans uncovered",
        "incident-plans incident business",
        "incident-plans incident outside",
        "incident-plans incidents-2 business",
        "incident-plans incidents-5 outside",
        "incident-plans incidents-25 outside",
        "incident-plans incidents-10 business",
        "incident-plans premier-1 business",
        "incident-plans callbacks-5 business",
        "incident-plans callbacks-25 outside",
    ] {
        assert!(met.contains_key(expected), "no story has {expected}: {met:#?}");
    }
}

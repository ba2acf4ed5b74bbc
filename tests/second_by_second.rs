//! Settlement beside a second reading of design.md §6 that is slow and obvious, over the five tariffs that ship: whatever the
//! two do not agree on is a mistake of one of them.

mod documents;
mod included;
mod slowly;
mod stories;

use crate::settlement;
use chrono::{Days, NaiveDate};
use documents::{begins_month, begins_year, clock};
use included::Left;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rust_decimal::{Decimal, RoundingStrategy};
use slowly::{Sum, World, slowly};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use stories::{Story, story};
use taktd::contracts::Contract;
use taktd::meter::{Input, Outcome, Record, Rule, Settlement, Terms, Timing, fees, settle};
use taktd::tariff::{FeePer, Tariff};
use taktd::units::Timestamp;

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
        let slowly::Told { call, authorised, verdict }: &slowly::Told = told;
        Input { call, authorised: *authorised, reason: None, verdict: *verdict, timing: Timing::InTime }
    };
    let inputs: Vec<Input<'_>> = story.told.iter().map(input).collect();
    settle(terms, &inputs, story.until)
}

/// A record in the words of the slow reading.
fn told(record: &Record) -> Sum {
    let mut begun = Vec::new();
    for line in record.lines.iter().filter(|line| !matches!(line.rule, Rule::Goodwill | Rule::Rounding)) {
        let what = match (line.rule, &line.allowance) {
            (Rule::Allowance, Some(id)) => id.to_string(),
            (Rule::Step, None) => "step".to_owned(),
            (Rule::TopUp, None) => "top-up".to_owned(),
            (Rule::Incident, None) => "incident".to_owned(),
            (Rule::Flat, None) => "flat".to_owned(),
            odd => panic!("{odd:?}: {record:#?}"),
        };
        let (band, length) = (line.band.as_deref().expect("a band"), line.increment.map_or(0, |length| length.get()));
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
        let today = clock(until).date();
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
    let world = World { tariff, contract: &contract, until: story.until };
    let (mut slow, left) = slowly(&world, &story.told);
    for sum in slow.iter_mut().filter(|sum| matches!(sum.outcome, Outcome::Uncovered | Outcome::Missed)) {
        sum.plan.clear();
    }
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

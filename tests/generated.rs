//! What holds for all calls of all contracts under all tariffs there could be (design.md §6): over random tariffs, written as
//! text and read by the real reader, random contracts and random calls.
//!
//! `TAKTD_CASES=20000 cargo test --test all generated` runs as many cases of each property.

mod dice;
pub(crate) mod hours;
mod instants;
mod ledgers;
mod plans;
pub(crate) mod stories;
mod tariffs;

use chrono::NaiveDate;
pub(crate) use dice::Dice;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use stories::Told;
use taktd::calls::{Call, Talk};
use taktd::contracts::Contract;
use taktd::meter::{Input, Outcome, Record, Settlement, Terms, Timing, settle};
use taktd::tariff::Tariff;
use taktd::units::{PriceKind, Seconds, Timestamp};
pub(crate) use tariffs::Written;

/// A tariff, a contract of it, and its calls.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) written: &'static Written,
    pub(crate) tariff: &'static Tariff,
    pub(crate) rows: Vec<Contract>,
    pub(crate) told: Vec<Told>,
    pub(crate) until: Timestamp,
}

/// How many cases of each property: `TAKTD_CASES`, or as many as are settled in a few seconds.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let cases = wanted().unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn wanted() -> Option<u32> {
    std::env::var("TAKTD_CASES").ok().map(|cases| cases.parse().expect("TAKTD_CASES is a number"))
}

/// The tariffs of this run, others each time, each with a day at which something may change. To read one takes much longer
/// than to settle a few calls, so they are shared.
static TARIFFS: LazyLock<Vec<(Written, Tariff, NaiveDate)>> = LazyLock::new(|| {
    let mut runner = proptest::test_runner::TestRunner::default();
    let mut tariff = || {
        let drawn = numbers(280).new_tree(&mut runner).expect("numbers").current();
        let dice = Dice::new(&drawn);
        let near = stories::day(&dice);
        let written = tariffs::tariff(&dice, near);
        let tariff = read(&written);
        (written, tariff, near)
    };
    let wanted = wanted().map_or(64, |cases| 64.max(cases / 20));
    (0..wanted).map(|_| tariff()).collect()
});

pub(crate) fn numbers(count: usize) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), count)
}

/// A tariff, a contract of it, and so many calls.
pub(crate) fn case(calls: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    (any::<prop::sample::Index>(), numbers(24), prop::collection::vec(numbers(40), calls)).prop_map(|(place, contract, calls)| {
        let (written, tariff, near) = &TARIFFS[place.index(TARIFFS.len())];
        let dice = Dice::new(&contract);
        let rows = stories::rows(&dice, written, *near);
        let told = stories::calls(&calls, written, *near);
        let last = told.iter().filter_map(|told| told.call.ended_at).max().expect("a call");
        let until = last.plus(Seconds::new(dice.below(40) as u64 * 86_400));
        Case { written, tariff, rows, told, until }
    })
}

/// Reads a tariff: what is drawn is right.
fn read(written: &Written) -> Tariff {
    taktd::config::tariff::parse("generated.toml", &written.text).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(|problem| problem.with_excerpt()).collect();
        panic!("{}\n{}", written.text, told.join("\n"));
    })
}

impl Case {
    pub(crate) fn settle(&self, told: &[Told], until: Timestamp) -> Settlement {
        let terms = Terms::new(std::slice::from_ref(self.tariff), self.rows.iter().collect(), self.tariff.zone);
        let input = |told| {
            let Told { call, authorised, verdict, timing }: &Told = told;
            Input { call, authorised: *authorised, reason: None, verdict: *verdict, timing: *timing }
        };
        let inputs: Vec<Input<'_>> = told.iter().map(input).collect();
        settle(&terms, &inputs, until)
    }

    /// For messages: all that is needed to see a mistake.
    pub(crate) fn tell(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            format!("{:?} {}..{:?} activated {:?}, {} stations", row.plans, row.starts_on, row.ends_on, row.activated_on, row.stations)
        });
        let call = |told: &Told| {
            let Call { id, direction, service, severity, ticket, caller_raw, talks, .. } = &told.call;
            let talk = |talk: &Talk| {
                format!("{} + {} s", talk.from.rfc3339(self.tariff.zone), talk.to.map_or(-1, |to| to.since(talk.from)) as f64 / 1e6)
            };
            let talks: Vec<String> = talks.iter().map(talk).collect();
            let (level, talks) = (told.call.level(), talks.join(", "));
            format!(
                "{} {direction:?} {service} {severity:?} {ticket:?} {caller_raw:?} level {level:?} authorised {} {:?} {:?}: {talks}",
                id.as_str(),
                told.authorised,
                told.verdict,
                told.timing
            )
        };
        let lines: Vec<String> = rows.chain(self.told.iter().map(call)).collect();
        format!("{}\n{}\nuntil {}", self.written.text, lines.join("\n"), self.until.rfc3339(self.tariff.zone))
    }
}

fn by_key(settled: &Settlement) -> BTreeMap<String, Record> {
    settled.calls.iter().map(|settled| (format!("{:?}", settled.record.key), settled.record.clone())).collect()
}

proptest! {
    #![proptest_config(cases(1_500))]

    /// Whatever order they come in, calls come to the same.
    #[test]
    fn the_order_of_calls_makes_no_difference(case in case(1..9), turn in any::<prop::sample::Index>()) {
        let mut turned = case.told.clone();
        turned.reverse();
        let middle = turn.index(turned.len());
        turned.rotate_left(middle);
        let (one, other) = (case.settle(&case.told, case.until), case.settle(&turned, case.until));
        prop_assert_eq!(by_key(&one), by_key(&other), "{}", case.tell());
        prop_assert_eq!(one.balances, other.balances, "{}", case.tell());
    }

    #[test]
    fn lines_add_up_and_what_is_used_was_granted(case in case(1..9)) {
        let settled = case.settle(&case.told, case.until);
        let mut used: BTreeMap<&str, u64> = BTreeMap::new();
        for record in settled.calls.iter().map(|settled| &settled.record) {
            let sum: Decimal = record.lines.iter().map(|line| line.amount).sum();
            let due = if case.tariff.prices == PriceKind::Net { record.charge.net } else { record.charge.gross };
            prop_assert_eq!(sum, due, "{:#?}\n{}", record, case.tell());
            prop_assert_eq!(record.charge.net + record.charge.vat, record.charge.gross);
            prop_assert!(due >= Decimal::ZERO);
            prop_assert_eq!(record.charge.net > Decimal::ZERO, record.outcome == Outcome::Charged, "{:#?}\n{}", record, case.tell());
            for one in &record.allowances {
                *used.entry(&one.id).or_default() += one.used;
            }
        }
        let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
        for balance in &settled.balances {
            prop_assert!(balance.left <= balance.granted, "{:?}\n{}", balance, case.tell());
            *taken.entry(&balance.allowance).or_default() += balance.granted - balance.left;
        }
        taken.retain(|_, taken| *taken > 0);
        prop_assert_eq!(taken, used, "{}", case.tell());
    }

    /// A running call shows what it would come to if it ended now, at any instant; nothing later makes a difference.
    #[test]
    fn live_is_settlement_cut_at_any_instant(case in case(1..9), of in any::<prop::sample::Index>(), after in 0..9_000_i64) {
        let inside = &case.told[of.index(case.told.len())].call;
        let now = Timestamp::from_micros(inside.connected_at().unwrap_or(inside.started_at).micros() + after % 6_000 * 100_000);
        let begun: Vec<&Told> = case.told.iter().filter(|told| told.call.connected_at().is_some_and(|at| at <= now)).collect();
        let (live, cut): (Vec<Told>, Vec<Told>) = begun.iter().map(|told| (at(told, now, None), at(told, now, Some(now)))).unzip();
        let (live, cut) = (case.settle(&live, now), case.settle(&cut, now));
        for (live, cut) in live.calls.iter().zip(&cut.calls) {
            let told = |record: &Record| (record.outcome, record.charge, record.talk, record.billed, record.lines.clone(), record.allowances.clone(), record.incident.clone());
            prop_assert_eq!(told(&live.record), told(&cut.record), "now {}\n{}", now.rfc3339(case.tariff.zone), case.tell());
        }
        prop_assert_eq!(live.balances, cut.balances, "now {}\n{}", now.rfc3339(case.tariff.zone), case.tell());
    }

    /// What a call costs never falls as it goes on. (The calls before are over: to two at once, whoever is first matters.)
    #[test]
    fn a_charge_never_falls_as_talk_grows(case in case(1..6), more in prop::collection::vec(1..4_000_i64, 1..4)) {
        let last = case.told.iter().max_by_key(|told| told.call.connected_at()).expect("a call");
        let Some(begun) = last.call.connected_at() else { return Ok(()) };
        let mut told: Vec<Told> = case.told.iter().filter(|told| told.call.ended_at.is_some_and(|ended| ended < begun)).cloned().collect();
        told.push(last.clone());
        // What is late is settled after all others, whenever it began.
        told.iter_mut().for_each(|told| told.timing = Timing::InTime);
        let until = case.until.plus(Seconds::new(100 * 86_400));
        let net = |told: &[Told]| -> (Decimal, Decimal) {
            let settled = case.settle(told, until);
            let nets: Vec<Decimal> = settled.calls.iter().map(|settled| settled.record.charge.gross).collect();
            (*nets.last().expect("a call"), nets.iter().sum())
        };
        let mut before = net(&told);
        for more in &more {
            let call = &mut told.last_mut().expect("a call").call;
            let end = Timestamp::from_micros(call.ended_at.expect("it ended").micros() + more * 100_000);
            (call.ended_at, call.talks.last_mut().expect("it talks").to) = (Some(end), Some(end));
            let after = net(&told);
            prop_assert!(before.0 <= after.0 && before.1 <= after.1, "{:?} fell to {:?}\n{}", before, after, case.tell());
            before = after;
        }
    }
}

/// A call as it is at an instant: what comes later is not known, and what goes on ends as said.
fn at(told: &Told, now: Timestamp, end: Option<Timestamp>) -> Told {
    let call = &told.call;
    let talks =
        call.talks.iter().filter(|talk| talk.from <= now).map(|talk| Talk { to: talk.to.filter(|to| *to <= now).or(end), ..talk.clone() });
    let call = Call { talks: talks.collect(), ended_at: call.ended_at.filter(|ended| *ended <= now).or(end), ..call.clone() };
    Told { call, ..told.clone() }
}

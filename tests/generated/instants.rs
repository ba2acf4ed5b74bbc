//! Through the calls of a contract as a live meter sees them: from instant to instant at which an increment begins, a call is
//! answered, goes on, or ends.

use super::{Case, at, case, cases};
use crate::generated::stories::Told;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use taktd::meter::{Record, Settlement};
use taktd::units::{Seconds, Timestamp};

/// So many instants of a case are looked at.
const INSTANTS: usize = 60;

impl Case {
    /// What a live meter shows at an instant.
    fn live(&self, now: Timestamp) -> (Vec<&Told>, Settlement) {
        let begun: Vec<&Told> = self.told.iter().filter(|told| told.call.connected_at().is_some_and(|at| at <= now)).collect();
        let live: Vec<Told> = begun.iter().map(|told| at(told, now, None)).collect();
        let settled = self.settle(&live, now);
        (begun, settled)
    }

    /// When somebody is answered, waits, talks on, or hangs up, after an instant.
    fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        let turns = self.told.iter().flat_map(|told| {
            let talks = told.call.talks.iter().flat_map(|talk| [Some(talk.from), talk.to]);
            talks.chain([told.call.ended_at]).flatten()
        });
        turns.filter(|turn| *turn > now).min()
    }

    /// Talk that several running calls add up to a length is charged before any of them would have filled it alone.
    fn adds_up(&self) -> bool {
        ["day", "month", "incident"].iter().any(|per| self.written.text.contains(&format!("round = {{ per = \"{per}\"")))
    }
}

/// By allowance, what is gone of what was granted or bought, and what records say they used.
fn balanced(settled: &Settlement, tell: &dyn Fn() -> String) -> Result<(), TestCaseError> {
    let (mut gone, mut used): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = Default::default();
    for balance in &settled.balances {
        prop_assert!(balance.left <= balance.granted, "{:?}\n{}", balance, tell());
        *gone.entry(&balance.allowance).or_default() += balance.granted - balance.left;
    }
    for one in settled.calls.iter().flat_map(|settled| &settled.record.allowances) {
        *used.entry(&one.id).or_default() += one.used;
    }
    gone.retain(|_, gone| *gone > 0);
    prop_assert_eq!(gone, used, "{}", tell());
    Ok(())
}

fn due(settled: &Settlement) -> Vec<(Decimal, u64)> {
    let used = |record: &Record| record.allowances.iter().map(|one| one.used).sum();
    settled.calls.iter().map(|settled| (settled.record.charge.gross, used(&settled.record))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1_500).cases / 10, ..cases(1) })]

    /// At each of them, balances are what was granted without what was used; live is settlement cut then; and until the next
    /// increment that was announced, nothing more is due.
    #[test]
    fn at_every_instant(case in case(1..7)) {
        let Some(mut now) = case.told.iter().filter_map(|told| told.call.connected_at()).min() else { return Ok(()) };
        for _ in 0..INSTANTS {
            let tell = || format!("now {}\n{}", now.rfc3339(case.tariff.zone), case.tell());
            let (begun, live) = case.live(now);
            balanced(&live, &tell)?;
            let cut: Vec<Told> = begun.iter().map(|told| at(told, now, Some(now))).collect();
            let cut = case.settle(&cut, now);
            for (live, cut) in live.calls.iter().zip(&cut.calls) {
                let told = |record: &Record| (record.outcome, record.charge, record.billed, record.lines.clone(), record.allowances.clone(), record.incident.clone());
                prop_assert_eq!(told(&live.record), told(&cut.record), "{}", tell());
            }
            prop_assert_eq!(&live.balances, &cut.balances, "{}", tell());
            let announced = live.calls.iter().filter_map(|settled| settled.live?.next_increment_at).min();
            let turn = case.next_turn(now);
            let before = [announced, turn].into_iter().flatten().min().map(|next| next.plus_micros(-1)).filter(|before| *before > now);
            // Decisions fall due by themselves.
            if let Some(before) = before.filter(|_| !case.adds_up() && !case.written.text.contains("[plan.decision]")) {
                let (_, later) = case.live(before);
                prop_assert_eq!(due(&live), due(&later), "up to {}; {}", before.rfc3339(case.tariff.zone), tell());
            }
            // It has begun when a whole second of it has passed.
            let begins = announced.map(|next| next.plus(Seconds::new(1))).filter(|next| *next > now);
            let Some(next) = [begins, turn].into_iter().flatten().min() else { break };
            now = next;
        }
    }
}

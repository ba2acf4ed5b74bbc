//! News of a contract's calls, again and again, settled from quiet instant to quiet instant as the ledger does: whatever is
//! passed by, records and balances are those of all calls settled at once (design.md §6.10).

use crate::generated::stories::Told;
use crate::generated::{Dice, case, cases, numbers};
use crate::properties::{CALLERS, IN_FORCE, calls, drawn};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use taktd::meter::{Input, Quiet, Record, RecordKey, Settled, Settlement, Terms, Timing, settle, settle_between, walk};
use taktd::tariff::{Grant, Tariff};
use taktd::units::{Seconds, Timestamp};

/// What a ledger would know of a contract.
struct Desk<'a> {
    terms: &'a Terms<'a>,
    told: &'a [Told],
    until: Timestamp,
    /// Which of the calls are the contract's so far.
    there: Vec<bool>,
    quiets: Vec<Quiet>,
    records: BTreeMap<RecordKey, Record>,
    /// Calls that were passed by.
    passed: usize,
}

fn begin(told: &Told) -> Timestamp {
    told.call.connected_at().unwrap_or(told.call.started_at)
}

fn at(record: &Record) -> Timestamp {
    record.connected_at.unwrap_or(record.started_at)
}

fn keyed(calls: Vec<Settled>) -> impl Iterator<Item = (RecordKey, Record)> {
    calls.into_iter().map(|settled| (settled.record.key.clone(), settled.record))
}

impl<'a> Desk<'a> {
    fn new(terms: &'a Terms<'a>, told: &'a [Told], until: Timestamp, there: Vec<bool>) -> Self {
        let mut desk = Self { terms, told, until, there, quiets: Vec::new(), records: BTreeMap::new(), passed: 0 };
        desk.settle_whole();
        desk
    }

    /// The calls that begin in a span.
    fn between(&self, from: Timestamp, to: Timestamp) -> Vec<usize> {
        let inside = |place: &usize| self.there[*place] && from <= begin(&self.told[*place]) && begin(&self.told[*place]) < to;
        (0..self.told.len()).filter(inside).collect()
    }

    fn inputs(&self, places: &[usize]) -> Vec<Input<'a>> {
        let input = |place: &usize| {
            let Told { call, authorised, verdict, timing } = &self.told[*place];
            Input { call, authorised: *authorised, reason: None, verdict: *verdict, timing: *timing }
        };
        places.iter().map(input).collect()
    }

    fn whole(&self) -> Settlement {
        settle(self.terms, &self.inputs(&self.between(Timestamp::default(), Timestamp::MAX)), self.until)
    }

    fn settle_whole(&mut self) {
        let settled = self.whole();
        self.records = keyed(settled.calls).collect();
        self.quiets = settled.quiet;
    }

    /// Calls that were not there come, and those that were go to somebody else.
    fn hear(&mut self, news: &[usize]) {
        for place in news {
            self.there[*place] = !self.there[*place];
        }
        let begun = || news.iter().map(|place| begin(&self.told[*place]));
        let (since, through) = (begun().min().expect("some"), begun().max().expect("some"));
        let Some(first) = self.quiets.iter().rposition(|quiet| quiet.at <= since) else { return self.settle_whole() };
        let around = self.quiets.iter().enumerate().filter(|(place, quiet)| *place == first || quiet.at > through);
        let around: Vec<Quiet> = around.map(|(_, quiet)| quiet.clone()).collect();
        let mut settled_again: Vec<usize> = Vec::new();
        let walked = walk(self.terms, &around, |from, to| {
            let places = self.between(from.at, to);
            let settled = settle_between(self.terms, from, &self.inputs(&places), self.until, to);
            // What is settled a second time, because it is not over where the walk thought, counts once.
            settled_again.retain(|place| !places.contains(place));
            settled_again.extend(places);
            Ok::<_, std::convert::Infallible>(settled)
        });
        let walked = walked.expect("no error").expect("a quiet instant");
        if settled_again.iter().any(|place| self.told[*place].timing != Timing::InTime) {
            return self.settle_whole();
        }
        self.passed += self.between(walked.from, walked.to).len() - settled_again.len();
        for part in walked.parts {
            self.records.retain(|_, record| at(record) < part.from || part.to <= at(record));
            self.records.extend(keyed(part.calls));
        }
        self.quiets.retain(|quiet| quiet.at < walked.from || walked.to <= quiet.at);
        let place = self.quiets.partition_point(|quiet| quiet.at < walked.from);
        self.quiets.splice(place..place, walked.quiet);
    }

    /// Lets go of a quiet instant; what is known of the calls behind it is known of those before, too.
    fn forget(&mut self, place: usize) {
        if 0 < place && place < self.quiets.len() {
            let gone = self.quiets.remove(place);
            let before = &mut self.quiets[place - 1];
            before.ahead = before.ahead.take().zip(gone.ahead).and_then(|(one, other)| one.and_then(gone.at, other));
        }
    }

    /// All is what settlement of all calls says.
    fn check(&self) -> Result<(), TestCaseError> {
        let expected: BTreeMap<RecordKey, Record> = keyed(self.whole().calls).collect();
        prop_assert_eq!(self.records.len(), expected.len());
        for (record, expected) in self.records.values().zip(expected.values()) {
            prop_assert_eq!(record, expected);
        }
        prop_assert!(self.quiets.is_sorted_by(|one, other| one.at < other.at));
        for quiet in &self.quiets {
            let before = self.inputs(&self.between(Timestamp::default(), quiet.at));
            let (_, state) = settle_between(self.terms, &Quiet::beginning(), &before, self.until, quiet.at);
            prop_assert_eq!(Some(&quiet.state), state.as_ref(), "at {}", quiet.at.rfc3339(self.terms.zone()));
        }
        Ok(())
    }
}

/// Some calls are there, others come and go in a few rounds; how many were passed by.
fn rounds(terms: &Terms<'_>, told: &[Told], until: Timestamp, whims: &[u32]) -> Result<usize, TestCaseError> {
    let dice = Dice::new(whims);
    let mut there = vec![true; told.len()];
    for _ in 0..12 {
        there[dice.below(told.len())] = false;
    }
    let mut desk = Desk::new(terms, told, until, there);
    for _ in 0..4 {
        let near = dice.below(told.len());
        let news: Vec<usize> = (0..=dice.below(3)).map(|_| (near + dice.below(9)) % told.len()).collect();
        desk.hear(&news);
        desk.check()?;
        if dice.once_in(2) {
            desk.forget(1 + dice.below(desk.quiets.len().max(1)));
        }
    }
    Ok(desk.passed)
}

/// So much later, call by call: weeks of calls, which leave quiet instants.
fn spread(told: &mut [Told], seconds: u64) {
    for (place, Told { call, .. }) in told.iter_mut().enumerate() {
        let later = |at: Timestamp| at.plus(Seconds::new(place as u64 * seconds));
        call.started_at = later(call.started_at);
        call.ended_at = call.ended_at.map(later);
        for talk in &mut call.talks {
            (talk.from, talk.to) = (later(talk.from), talk.to.map(later));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (cases(1_500).cases / 40).max(8), max_shrink_iters: 60, ..cases(1) })]

    #[test]
    fn under_generated_tariffs(case in case(150..260), apart in 0..14_400_u64, whims in numbers(80)) {
        let mut case = case;
        spread(&mut case.told, apart);
        // One late call, and the ledger goes on from no quiet instant.
        let mut late = whims[0] % 8 == 0;
        for told in case.told.iter_mut().filter(|told| told.timing != Timing::InTime) {
            if !std::mem::take(&mut late) {
                told.timing = Timing::InTime;
            }
        }
        let until = case.until.plus(Seconds::new(apart * 260));
        let terms = Terms::new(std::slice::from_ref(case.tariff), case.rows.iter().collect(), case.tariff.zone);
        let passed = rounds(&terms, &case.told, until, &whims);
        prop_assert!(passed.is_ok(), "{:?}\n{}", passed, case.tell());
    }
}

/// The five tariffs as they ship, and with so many times as much included: what runs out at once, later, or never.
static TARIFFS: LazyLock<Vec<Vec<Tariff>>> = LazyLock::new(|| {
    let times = |factor: u32| {
        let mut tariffs = IN_FORCE.tariffs().to_vec();
        for allowance in tariffs.iter_mut().flat_map(|tariff| &mut tariff.plans).flat_map(|plan| &mut plan.allowances) {
            allowance.grant = match allowance.grant {
                Grant::Time { quantity, increment } => {
                    Grant::Time { quantity: Seconds::new(quantity.get() * u64::from(factor)), increment }
                }
                Grant::Incidents(count) => Grant::Incidents(count * factor),
                Grant::Callbacks(count) => Grant::Callbacks(count * factor),
            };
        }
        tariffs
    };
    [1, 12, 60, 400].map(times).into()
});

/// Calls of one of the example's contracts, and which of the tariffs.
type OfTheExample = (usize, Vec<Told>, usize);

fn of_the_example() -> impl Strategy<Value = OfTheExample> {
    let drawn = prop::collection::vec(drawn(), 150..400);
    (0..CALLERS.len() - 1, drawn, 0..7_200_u64, 0..TARIFFS.len()).prop_map(|(contract, drawn, apart, factor)| {
        let drawn: Vec<_> = drawn.into_iter().map(|(_, emergency, at, wait, talk)| (contract, emergency, at, wait, talk)).collect();
        let told = |call| Told { call, authorised: true, verdict: None, timing: Timing::InTime };
        let mut told: Vec<Told> = calls(&drawn).into_iter().map(told).collect();
        spread(&mut told, apart);
        (contract, told, factor)
    })
}

fn passed_by((contract, told, factor): &OfTheExample, whims: &[u32]) -> Result<usize, TestCaseError> {
    let until = told.iter().filter_map(|told| told.call.ended_at).max().expect("some").plus(Seconds::new(40 * 86_400));
    let (id, contracts) = (CALLERS[*contract].0, IN_FORCE.contracts());
    let terms = Terms::new(&TARIFFS[*factor], contracts.history(id), contracts.zone(id).expect("it is in the example"));
    rounds(&terms, told, until, whims)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (cases(1_500).cases / 40).max(8), max_shrink_iters: 60, ..cases(1) })]

    #[test]
    fn under_the_five_tariffs(drawn in of_the_example(), whims in numbers(80)) {
        passed_by(&drawn, &whims)?;
    }
}

/// The properties would hold where all is settled each time, too: calls are passed by.
#[test]
fn calls_are_passed_by() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut passed: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..60 {
        let (drawn, whims) = (of_the_example(), numbers(80)).new_tree(&mut runner).expect("drawn").current();
        *passed.entry(CALLERS[drawn.0].0).or_default() += passed_by(&drawn, &whims).expect("all is alike");
    }
    let contracts = passed.values().filter(|passed| **passed > 0).count();
    assert!(contracts > 4, "{passed:?}");
}

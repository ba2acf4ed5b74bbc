//! The pipeline on virtual time: the same dialogs, calls, books and ledger that `run` uses, told by a seed what is lost,
//! delayed, sent twice, out of order, and when the program dies and comes back. Nothing waits, so there are thousands of runs.
//!
//! `TAKTD_CASES=20000 cargo test --test all simulation` runs as many. Seeds that once failed stand in
//! `tests/cases/simulation.txt` and are run first.

mod world;

use crate::faults::{Dice, PHONE_APART};
use std::sync::atomic::{AtomicU64, Ordering};
use taktd::meter::Record;
use taktd::units::Timestamp;
use world::{Outcome, World};

/// Seeds run when none are asked for.
const USUAL: u64 = 1_000;

/// What befalls a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Of a thousand datagrams so many are never delivered.
    pub lost: u64,
    /// So many are delivered twice.
    pub twice: u64,
    /// How late they are delivered at most, in microseconds: more than lies between two of them.
    pub late: i64,
    /// Of a thousand datagrams so many are the last that a life of the program hears.
    pub deaths: u64,
}

impl Faults {
    /// By turns: only order and doubles; deaths as well; losses as well; all of it.
    fn of(seed: u64, dice: &mut Dice) -> Self {
        let (dies, loses) = (seed % 2 == 1, seed % 4 >= 2);
        Self {
            lost: if loses { 20 + dice.below(150) } else { 0 },
            twice: dice.below(300),
            late: dice.between(1, 4_500),
            deaths: if dies { 10 + dice.below(60) } else { 0 },
        }
    }
}

/// How often something was tried, over all seeds.
#[derive(Default)]
struct Sum {
    runs: AtomicU64,
    deaths: AtomicU64,
    lost: AtomicU64,
    exact: AtomicU64,
    calls: AtomicU64,
}

fn kept() -> Vec<u64> {
    let text = std::fs::read_to_string("tests/cases/simulation.txt").expect("the seeds that failed once");
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn no_seed_bills_twice_or_loses_what_was_told() {
    let wanted = std::env::var("TAKTD_CASES").ok().map(|cases| cases.parse::<u64>().expect("TAKTD_CASES is a number"));
    let seeds: Vec<u64> = kept().into_iter().chain(0..wanted.unwrap_or(USUAL)).collect();
    let (world, next, sum) = (World::new(), AtomicU64::new(0), Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Ok(place) = usize::try_from(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(seed) = seeds.get(place)
                {
                    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&world, *seed)));
                    let Ok(Outcome { deaths, lost, exact, calls }) = ran else {
                        panic!("seed {seed} failed: write it into tests/cases/simulation.txt, and mend what it shows");
                    };
                    let numbers = [(&sum.runs, 1), (&sum.deaths, deaths), (&sum.lost, lost), (&sum.exact, exact), (&sum.calls, calls)];
                    for (sum, number) in numbers {
                        sum.fetch_add(number, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let [runs, deaths, lost, exact, calls] =
        [&sum.runs, &sum.deaths, &sum.lost, &sum.exact, &sum.calls].map(|number| number.load(Ordering::Relaxed));
    println!("fault| simulation: loss, delay, doubles, order, crash and restart (seeds) | {runs} | {calls} | 0 | 0 |");
    println!("{deaths} deaths, {lost} datagrams lost; {exact} of {calls} calls exact before the capture was read");
    assert!(runs < 20 || (deaths > runs / 2 && lost > runs && exact * 10 > calls * 6), "the seeds try what they should");
}

/// One seed: what is told while faults happen is never too much; a capture of all of it makes it whole.
fn run(world: &World, seed: u64) -> Outcome {
    let mut dice = Dice::new(seed);
    let faults = Faults::of(seed, &mut dice);
    let script = world::script(seed);
    let mut disturbed = world.begin(seed);
    let mut outcome = disturbed.play(&script, faults, &mut dice);
    outcome.exact = disturbed.compare(&script, faults);
    let mut calm = world.begin(seed);
    let quiet = Faults { lost: 0, twice: 0, late: 0, deaths: 0 };
    calm.play(&script, quiet, &mut dice);
    assert_eq!(calm.compare(&script, quiet), outcome.calls, "seed {seed}: undisturbed");
    let capture = script.capture();
    disturbed.replay(&capture);
    calm.replay(&capture);
    let (ours, theirs) = (disturbed.records(), calm.records());
    assert_eq!(ours.len(), theirs.len(), "seed {seed}: records");
    let whole = faults.lost + faults.deaths == 0;
    for (mine, other) in ours.iter().zip(&theirs) {
        let same = if whole { mine == other } else { same_bill(mine, other) };
        assert!(same, "seed {seed} {faults:?}\n{mine:#?}\nnot {other:#?}");
    }
    disturbed.verify();
    outcome
}

/// The same bill, also where messages were lost for ever to whoever was first told of the call: then the answer to a BYE,
/// or the phone's own, stands for its time, a moment later, and the mark of a lost party stays.
fn same_bill(mine: &Record, other: &Record) -> bool {
    let near = |one: Option<Timestamp>, other: Option<Timestamp>| match (one, other) {
        (Some(one), Some(other)) => one.since(other).abs() <= 2 * PHONE_APART,
        (one, other) => one == other,
    };
    let facts = |record: &Record| {
        let Record { key, contract, plan, hotline, outcome, charge, lines, allowances, started_at, .. } = record;
        format!("{key:?} {contract:?} {plan:?} {hotline:?} {outcome:?} {charge:?} {lines:?} {allowances:?} {started_at:?}")
    };
    facts(mine) == facts(other) && near(mine.connected_at, other.connected_at) && near(mine.ended_at, other.ended_at)
}

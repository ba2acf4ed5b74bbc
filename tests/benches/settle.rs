//! The settlement core: increments a second on one core, and what a call costs that comes late into a full contract.
//!
//!     cargo bench --bench settle                       # for people: wall time
//!     cargo bench --bench settle -- count              # one run of each, for callgrind: instructions are the gate
//!
//! `valgrind --tool=callgrind target/release/deps/settle-* count` repeats to the digit on one machine.

#[path = "../sample.rs"]
mod sample;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use taktd::calls::Call;
use taktd::meter::{Input, Quiet, Terms, Timing, settle, settle_between, walk};
use taktd::tariff::{Grant, Tariff, Validity};
use taktd::units::{E164, Seconds, Timestamp};

const CALLS: usize = 10_000;

fn main() {
    let count = std::env::args().any(|argument| argument == "count");
    for (plan, service, minutes, included) in [
        ("support-level-1", "support", 5, "15m"),
        ("support-level-1", "support", 5, "2000h"), // which never runs out
        ("support-level-1", "emergency", 20, "15m"),
        ("support-flat", "support", 5, ""),
    ] {
        let (tariffs, contract) = (tariffs(included), sample::contract(&[plan]));
        let terms = Terms::new(&tariffs, vec![&contract], chrono_tz::Europe::Berlin);
        let calls: Vec<Call> = (0..CALLS).map(|number| call(number, service, minutes)).collect();
        let inputs: Vec<Input<'_>> = calls.iter().map(input).collect();
        let until = calls.last().and_then(|call| call.ended_at).expect("there are some").plus(Seconds::new(1));
        let runs = if count { 1 } else { 15 };
        let (mut best, mut increments) = (f64::MAX, 0);
        for _ in 0..runs {
            let begun = Instant::now();
            let settled = black_box(settle(&terms, black_box(&inputs), until));
            best = best.min(begun.elapsed().as_secs_f64());
            increments = settled.calls.iter().flat_map(|settled| &settled.record.lines).map(|line| line.count).sum::<u64>();
        }
        let million = |amount: f64| amount / best / 1e6;
        println!(
            "{plan:<16} {included:<6} {service:<10} {CALLS} calls, {increments:>6} increments: {:>6.2} ms, {:.2} M increments/s, {:.2} M calls/s",
            best * 1e3,
            million(increments as f64),
            million(CALLS as f64)
        );
        for (name, place) in [("last", CALLS - 1), ("middle", CALLS / 2), ("first", 0)] {
            late(&terms, &inputs, place, (name, until, runs));
        }
    }
}

/// The call at a place comes when all others are settled: from the last quiet instant before it to the first after it at which
/// as much is left as without it.
fn late(terms: &Terms<'_>, inputs: &[Input<'_>], place: usize, (name, until, runs): (&str, Timestamp, usize)) {
    let without: Vec<Input<'_>> = inputs.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, input)| *input).collect();
    let quiet = settle(terms, &without, until).quiet;
    let since = inputs[place].call.started_at;
    let first = quiet.iter().rposition(|quiet| quiet.at <= since).expect("the beginning is quiet");
    let around: Vec<Quiet> = quiet.into_iter().skip(first).collect();
    let place_of = |time| inputs.partition_point(|input| input.call.started_at < time);
    let (mut best, mut settled) = (f64::MAX, 0);
    for _ in 0..runs {
        let begun = Instant::now();
        let walked = walk(terms, &around, |from, to| {
            let calls = black_box(&inputs[place_of(from.at)..place_of(to)]);
            Ok::<_, std::convert::Infallible>(settle_between(terms, from, calls, until, to))
        });
        settled = black_box(walked).expect("no error").map_or(0, |walked| walked.parts.iter().map(|part| part.calls.len()).sum());
        best = best.min(begun.elapsed().as_secs_f64());
    }
    println!("    late, the {name:<7} call: {settled:>5} of {CALLS} calls settled again in {:.3} ms", best * 1e3);
}

/// The price lists that ship; level 1 includes so much a month.
fn tariffs(included: &str) -> Vec<Tariff> {
    let (_, catalogue) = taktd::config::load(Path::new("config/taktd.toml")).expect("the example is right");
    let mut tariffs = catalogue.tariffs;
    if let Some(quantity) = Seconds::parse(included) {
        let plans = tariffs.iter_mut().flat_map(|tariff| &mut tariff.plans).filter(|plan| &*plan.id == "support-level-1");
        for allowance in plans.flat_map(|plan| &mut plan.allowances).filter(|allowance| allowance.per == Validity::Month) {
            allowance.grant = Grant::Time { quantity, increment: Seconds::new(60) };
        }
    }
    tariffs
}

/// Calls of the four whole weeks of January 2026, 500 a working day, in the hours of general support (with a break at noon)
/// or in the evening: several at once, and no quiet instant but at noon and by night.
fn call(number: usize, service: &str, minutes: u64) -> Call {
    let number = number as u64;
    let (day, of_day) = (number / 500, number % 500);
    let midnight = Timestamp::parse_rfc3339("2026-01-05T00:00:00+01:00").expect("a time").plus(Seconds::new((day + day / 5 * 2) * 86_400));
    let second = match (service, of_day) {
        ("emergency", _) => 61_200 + of_day * 34,
        (_, 0..250) => 34_200 + of_day * 42,
        (_, _) => 48_600 + (of_day - 250) * 49,
    };
    let at = midnight.plus(Seconds::new(second));
    let ended = at.plus(Seconds::new(minutes * 60 - 7));
    let (caller, called) = (E164::from_digits(b"491713920021"), E164::from_digits(b"4989555010"));
    Call { caller, called, ..sample::call(&format!("call-{number:05}"), service, at, ended) }
}

fn input(call: &Call) -> Input<'_> {
    Input { call, authorised: true, reason: None, verdict: None, timing: Timing::InTime }
}

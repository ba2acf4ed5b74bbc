//! Settlement beside a second reading of design.md §6 that is slow and obvious: it walks through the month second by second
//! and charges whatever begins. Time allowances and steps only, over the tariff that ships.

use crate::settlement::{call, contract, local, tariff};
use chrono::{Datelike, NaiveDateTime, TimeDelta, Timelike, Weekday};
use proptest::prelude::*;
use rust_decimal::Decimal;
use taktd::calls::{Call, Talk};
use taktd::meter::{Input, Terms, Timing, settle};
use taktd::tariff::Tariff;
use taktd::units::Seconds;

/// A call of the story: seconds after its beginning, then lengths of talk, wait, talk, wait and so on.
#[derive(Clone, Debug)]
struct Story {
    begins: u64,
    emergency: bool,
    parts: Vec<u64>,
}

/// What a call comes to: outcome, seconds from allowances, seconds begun, and the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    covered: bool,
    used: u64,
    billed: u64,
    amount: Decimal,
}

/// The first second of the story: Friday 2026-03-27, 06:00, before the weekend on which the clock is changed.
const BEGIN: &str = "2026-03-27 06:00:00";

fn clock(second: u64) -> NaiveDateTime {
    let at = local(BEGIN).plus(Seconds::new(second));
    at.utc().with_timezone(&chrono_tz::Europe::Berlin).naive_local()
}

/// The band of an instant, read off the document: general, day, night, weekend.
fn band(second: u64) -> &'static str {
    let at = clock(second);
    let minute = at.hour() * 60 + at.minute();
    let within = |spans: &[(u32, u32)]| spans.iter().any(|(from, to)| (*from..*to).contains(&minute));
    match at.weekday() {
        Weekday::Sat | Weekday::Sun => "weekend",
        _ if within(&[(570, 750), (810, 1_020)]) => "general",
        _ if within(&[(480, 570), (750, 810), (1_020, 1_320)]) => "day",
        _ => "night",
    }
}

/// Walks through every second, with everything that is left of the month in one variable for each allowance.
fn slowly(stories: &[Story], monthly_seconds: u64, activation_seconds: u64) -> Vec<Sum> {
    let nothing =
        |story: &Story| Sum { covered: story.emergency || band(story.begins) == "general", used: 0, billed: 0, amount: Decimal::ZERO };
    let mut sums: Vec<Sum> = stories.iter().map(nothing).collect();
    let mut order: Vec<usize> = (0..stories.len()).collect();
    order.sort_by_key(|place| (stories[*place].begins, *place));
    let mut talked = vec![0u64; stories.len()];
    let mut last_band: Vec<&str> = stories.iter().map(|story| band(story.begins)).collect();
    let (mut month, mut activation) = ([monthly_seconds; 13], activation_seconds);
    let end = stories.iter().map(|story| story.begins + story.parts.iter().sum::<u64>()).max().unwrap_or(0);
    for second in 0..end {
        for place in order.iter().copied() {
            let (story, sum) = (&stories[place], &mut sums[place]);
            let mut from = story.begins;
            let talks = story.parts.iter().enumerate().any(|(index, length)| {
                let inside = index % 2 == 0 && (from..from + length).contains(&second);
                from += length;
                inside
            });
            if !talks || !sum.covered {
                continue;
            }
            if sum.billed <= talked[place] {
                let here = band(second);
                let here = if story.emergency || here == "general" { here } else { last_band[place] };
                last_band[place] = here;
                let started_in = usize::try_from(clock(story.begins).month()).expect("a month");
                let minute = 60;
                let length = if here == "general" && month[started_in] > 0 {
                    let length = minute.min(month[started_in]);
                    month[started_in] -= length;
                    sum.used += length;
                    length
                } else if here == "general" && activation > 0 {
                    let length = minute.min(activation);
                    activation -= length;
                    sum.used += length;
                    length
                } else {
                    let first = talked[place] < 300;
                    let (price, length) = match (here, first) {
                        ("general", _) => (50, minute),
                        ("day", true) => (3_000, 300),
                        ("day", false) => (2_500, 300),
                        (_, true) => (3_600, 300),
                        (_, false) => (3_000, 300),
                    };
                    sum.amount += Decimal::new(price, 2);
                    length
                };
                sum.billed += length;
            }
            talked[place] += 1;
        }
    }
    sums
}

fn quickly(tariff: &Tariff, plan: &str, activated: bool, stories: &[Story]) -> Vec<Sum> {
    let mut contract = contract(&[plan]);
    contract.activated_on = activated.then_some(contract.starts_on);
    let terms = Terms::new(std::slice::from_ref(tariff), vec![&contract], chrono_tz::Europe::Berlin);
    let calls: Vec<Call> = stories.iter().enumerate().map(|(place, story)| spoken(place, story)).collect();
    let inputs: Vec<Input<'_>> =
        calls.iter().map(|call| Input { call, authorised: true, reason: None, verdict: None, timing: Timing::InTime }).collect();
    let settled = settle(&terms, &inputs, local("2026-12-31 00:00:00"));
    let sum = |record: &taktd::meter::Record| Sum {
        covered: record.outcome != taktd::meter::Outcome::Uncovered,
        used: record.allowances.iter().map(|one| one.used).sum(),
        billed: record.billed.get(),
        amount: record.charge.net,
    };
    settled.calls.iter().map(|settled| sum(&settled.record)).collect()
}

fn spoken(place: usize, story: &Story) -> Call {
    let service = if story.emergency { "emergency" } else { "support" };
    let mut call = call(&format!("{place:03}"), service, BEGIN, 0);
    let mut clock = local(BEGIN).plus(Seconds::new(story.begins));
    (call.started_at, call.talks) = (clock, Vec::new());
    for (index, length) in story.parts.iter().enumerate() {
        let to = clock.plus(Seconds::new(*length));
        if index % 2 == 0 {
            call.talks.push(Talk { agent: "201".into(), level: None, from: clock, to: Some(to) });
        }
        clock = to;
    }
    call.ended_at = Some(clock);
    call
}

fn story() -> impl Strategy<Value = Story> {
    // Near the edges of bands, of the weekend and of the night on which an hour is skipped, or anywhere in six days, of which the last is in April.
    let edges = prop::sample::select(vec![7_200u64, 12_600, 23_400, 27_000, 39_600, 57_600, 64_800, 158_400, 234_000, 406_800]);
    let near = (edges, 0u64..900).prop_map(|(edge, before)| edge - before);
    let begins = prop_oneof![near, 0u64..500_000];
    let parts = prop::collection::vec(prop_oneof![1u64..20, 55u64..65, 290u64..310, 1u64..1_500], 1..5);
    (begins, any::<bool>(), parts).prop_map(|(begins, emergency, parts)| Story { begins, emergency, parts })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn two_readings_of_the_rules_agree(stories in prop::collection::vec(story(), 1..9), activated in any::<bool>(), level in 1usize..4) {
        let tariff = tariff("support-level");
        let plan = ["support-level-1", "support-level-2", "support-level-3"][level - 1];
        let monthly = [15, 30, 90][level - 1] * 60;
        let slow = slowly(&stories, monthly, if activated { 3_600 } else { 0 });
        prop_assert_eq!(quickly(&tariff, plan, activated, &stories), slow, "{:#?}", stories);
    }
}

#[test]
fn the_story_begins_on_a_friday_morning() {
    assert_eq!(clock(0).weekday(), Weekday::Fri);
    assert_eq!(clock(0) + TimeDelta::days(1), clock(86_400));
    assert_eq!(
        ["night", "day", "general", "day", "general", "day", "night", "weekend"],
        [0, 7_200, 12_600, 23_400, 27_000, 39_600, 57_600, 64_800].map(band)
    );
}

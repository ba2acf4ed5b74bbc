//! Stories: a contract of one of the five tariffs, and calls that come where it hurts: near the edges of bands, months,
//! years and contract years, when the clock is changed, and at the same moment.

use crate::generated::stories::Told;
use chrono::{Months, NaiveDate, TimeDelta, TimeZone};
use chrono_tz::Europe::Berlin;
use proptest::prelude::*;
use taktd::calls::{Call, MissedReason, Talk};
use taktd::meter::Timing;
use taktd::tariff::Verdict;
use taktd::units::{Direction, E164, RawNumber, Seconds, Timestamp};

/// What a contract may hold, by tariff.
const HELD: [(&str, &[&[&str]]); 5] = [
    (
        "support-level",
        &[
            &["support-level-1"],
            &["support-level-1", "support-level-2"],
            &["support-level-2", "support-level-3"],
            &["support-level-1", "support-level-2", "support-level-3"],
            &["enterprise"],
            &["enterprise", "support-level-3"],
        ],
    ),
    ("support-hours", &[&["model-l"], &["model-m"], &["model-s"]]),
    ("cash-desk", &[&["support-flat"], &["second-level"], &["second-level", "support-flat"]]),
    ("work-units", &[&["work-units"]]),
    (
        "incident-plans",
        &[
            &["dehosted-basic"],
            &["dehosted-basic-plus"],
            &["dehosted-standard"],
            &["dehosted-professional"],
            &["m365-basic"],
            &["m365-basic-plus"],
            &["m365-basic-plus-advanced"],
            &["m365-standard"],
            &["m365-professional"],
            &["dehosted-standard", "m365-professional"],
        ],
    ),
];

/// First days: the clock goes forward, and Easter; back, and All Saints; a year ends; VAT falls, and rises; a leap day; Corpus
/// Christi. Each story is of twelve days.
const FIRST_DAYS: [&str; 7] = ["2026-03-26", "2025-10-23", "2025-12-29", "2020-06-26", "2020-12-28", "2024-02-26", "2026-05-29"];

/// A contract, its calls, and what time it is.
#[derive(Clone, Debug)]
pub struct Story {
    pub tariff: &'static str,
    pub plans: &'static [&'static str],
    pub starts_on: NaiveDate,
    pub activated_on: Option<NaiveDate>,
    pub stations: u32,
    pub told: Vec<Told>,
    pub until: Timestamp,
}

pub fn story() -> impl Strategy<Value = Story> {
    let held = (prop::sample::select(&[0_usize, 0, 1, 1, 2, 3, 4, 4, 4, 4][..]), any::<prop::sample::Index>(), 0..FIRST_DAYS.len());
    let first = held.prop_map(|(tariff, plans, day)| {
        let (tariff, sets) = HELD[tariff];
        (tariff, sets[plans.index(sets.len())], FIRST_DAYS[day].parse::<NaiveDate>().expect("a date"))
    });
    first.prop_flat_map(|(tariff, plans, first)| {
        // Some contract years begin within the story, some on a leap day, most in January.
        let starts = prop_oneof![
            Just(NaiveDate::from_ymd_opt(2020, 1, 1).expect("a date")),
            Just(NaiveDate::from_ymd_opt(2020, 2, 29).expect("a date")),
            (0..6_i64).prop_map(move |day| (first + TimeDelta::days(day)).checked_sub_months(Months::new(12)).expect("a date")),
        ];
        let activated = prop::option::of((0..12_i64).prop_map(move |day| first + TimeDelta::days(day)));
        // A few calls of any length, some long ones, or many short ones: so that each kind of allowance runs out.
        let (long_ones, many_ones, scale) = match tariff {
            "support-hours" => (5, 1, 12),
            "incident-plans" => (1, 5, 6),
            _ => (1, 1, 6),
        };
        let few = prop::collection::vec(told(tariff, first, 1), 1..9);
        let long = prop::collection::vec(told(tariff, first, scale), 1..9);
        let many = prop::collection::vec(told(tariff, first, 0), 15..60);
        let told = prop_oneof![5 => few, long_ones => long, many_ones => many];
        (starts, activated, 1..9_u32, told, prop::collection::vec(after(), 60), 0..20_u64).prop_map(
            move |(starts_on, activated_on, stations, mut told, after, days)| {
                for (place, after) in after.into_iter().enumerate().take(told.len()).skip(1) {
                    let (earlier, rest) = told.split_at_mut(place);
                    after.apply(earlier, &mut rest[0].call);
                }
                for (place, told) in told.iter_mut().enumerate() {
                    told.call.id = taktd::units::CallId::new(&format!("{place:03}")).expect("not empty");
                }
                let last = told.iter().filter_map(|told| told.call.ended_at).max().expect("a call");
                let until = last.plus(Seconds::new(days * 86_400));
                Story { tariff, plans, starts_on, activated_on, stations, told, until }
            },
        )
    })
}

/// That a call is the same caller's as an earlier one, and begins so many tenths of a second after that one's end: about a day
/// after, as long as an incident is open, or while it goes on.
#[derive(Clone, Debug)]
struct After(Option<(prop::sample::Index, i64)>);

fn after() -> impl Strategy<Value = After> {
    let edge = prop_oneof![2 => 863_999..=864_001_i64, 1 => -600..0_i64];
    prop_oneof![3 => Just(After(None)), 1 => (any::<prop::sample::Index>(), edge).prop_map(|link| After(Some(link)))]
}

impl After {
    fn apply(self, earlier: &[Told], call: &mut Call) {
        let Some((place, tenths)) = self.0 else { return };
        let Told { call: other, .. } = &earlier[place.index(earlier.len())];
        let begins = call.connected_at().unwrap_or(call.started_at);
        let by = other.ended_at.expect("it ended").micros() + tenths * 100_000 - begins.micros();
        let moved = |at: Timestamp| Timestamp::from_micros(at.micros() + by);
        for talk in &mut call.talks {
            (talk.from, talk.to) = (moved(talk.from), talk.to.map(moved));
        }
        (call.started_at, call.ended_at) = (moved(call.started_at), call.ended_at.map(moved));
        (call.caller, call.caller_raw, call.ticket) = (other.caller, other.caller_raw.clone(), other.ticket.clone());
    }
}

/// When talk begins, in tenths of a second after a local minute of a day: near an edge, at a round moment, or anywhere.
fn begins(tariff: &str, first: NaiveDate) -> impl Strategy<Value = Timestamp> {
    let (edges, round): (Vec<i64>, Vec<i64>) = match tariff {
        "support-level" => (vec![0, 120, 480, 570, 750, 810, 1_020, 1_320], vec![600, 845, 1_100]),
        "support-hours" => (vec![545, 720, 1_020], vec![560, 600, 660]),
        _ => (vec![0, 120, 180, 480, 1_080, 1_439], vec![500, 600]),
    };
    let often = if tariff == "incident-plans" { 9 } else { 3 };
    let near = (prop::sample::select(edges), -9_000..600_i64);
    let round = (prop::sample::select(round), (0..8_i64).prop_map(|step| step * 300));
    let anywhere = (0..1_440_i64, 0..600_i64);
    (0..12_i64, prop_oneof![3 => near, often => round, 1 => anywhere], any::<bool>()).prop_map(move |(day, (minute, tenths), whole)| {
        let local = (first + TimeDelta::days(day)).and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(minute);
        // An hour that is skipped has no 02:00: the next there is.
        let at =
            Berlin.from_local_datetime(&local).earliest().or_else(|| Berlin.from_local_datetime(&(local + TimeDelta::hours(1))).earliest());
        let tenths = if whole { tenths / 10 * 10 } else { tenths };
        Timestamp::from_micros(at.expect("it exists").timestamp_micros() + tenths * 100_000)
    })
}

/// Lengths of talk, wait, talk and so on, in tenths of a second; `scale` 0: one short talk.
fn parts(scale: i64) -> BoxedStrategy<Vec<i64>> {
    let length = prop_oneof![1..200_i64, 550..650_i64, 2_900..3_100_i64, 8_900..9_100_i64, 1..15_000_i64];
    match scale {
        0 => prop::collection::vec(0..900_i64, 1..2).boxed(),
        1 => (prop::collection::vec(length, 1..5), any::<bool>())
            .prop_map(|(parts, whole)| parts.into_iter().map(|part| if whole { part / 10 * 10 } else { part }).collect())
            .boxed(),
        _ => prop::collection::vec(length.prop_map(move |length| length * scale), 1..3).boxed(),
    }
}

fn verdict() -> impl Strategy<Value = Option<Verdict>> {
    prop_oneof![
        12 => Just(None),
        1 => Just(Some(Verdict::Customer)),
        1 => Just(Some(Verdict::Provider)),
        1 => (0..=1_000_u32).prop_map(|tenths| Some(Verdict::GoodwillPercent(rust_decimal::Decimal::new(tenths.into(), 1)))),
        1 => (0..1_500_u64).prop_map(|seconds| Some(Verdict::GoodwillTime(Seconds::new(seconds)))),
    ]
}

fn told(tariff: &'static str, first: NaiveDate, scale: i64) -> impl Strategy<Value = Told> {
    let services: &[&str] = match tariff {
        "support-level" => &["support", "emergency"],
        "work-units" => &["support", "technician"],
        "incident-plans" => &["support", "support", "support", "callback"],
        _ => &["support", "support", "callback"],
    };
    let service = prop_oneof![40 => prop::sample::select(services), 1 => Just("none of these")];
    let caller = prop_oneof![9 => (1..25_u8).prop_map(|last| format!("+49301{last:02}")), 1 => Just("anonymous".to_owned())];
    let who = (caller, prop::bool::weighted(0.7));
    let marks = (
        prop::option::of(prop::sample::select(&["A", "B", "C"][..])),
        prop_oneof![1 => Just(None), 1 => (1..3_u8).prop_map(Some), 2 => Just(Some(3))],
        prop_oneof![4 => Just(None), 1 => prop::sample::select(&["T1", "T2"][..]).prop_map(Some)],
        verdict(),
    );
    let way = prop_oneof![6 => Just(Direction::In), 1 => Just(Direction::Out)];
    let late = (prop::bool::weighted(0.06), 0..u64::MAX);
    let talk = prop_oneof![1 => Just(Vec::new()), 15 => parts(scale)];
    (service, who, marks, way, begins(tariff, first), talk, 0..40_i64, late).prop_map(
        |(service, (caller, authorised), marks, way, begins, talk, wait, (late, late_as))| {
            let (severity, level, ticket, verdict) = marks;
            let mut call = crate::settlement::call("later", service, "2026-03-10 10:00:00", 0);
            // An agent's own call is a callback, whatever it is about.
            (call.direction, call.service) = (way, if way == Direction::Out { "callback".into() } else { call.service });
            call.caller_raw = RawNumber::from_bytes(caller.as_bytes());
            call.caller = E164::from_digits(caller.trim_start_matches('+').as_bytes());
            (call.severity, call.ticket) = (severity.map(Into::into), ticket.map(Into::into));
            call.started_at = Timestamp::from_micros(begins.micros() - wait * 1_000_000);
            told_talk(&mut call, begins, &talk, level);
            Told { call, authorised, verdict, timing: if late { Timing::Late(late_as) } else { Timing::InTime } }
        },
    )
}

fn told_talk(call: &mut Call, begins: Timestamp, parts: &[i64], level: Option<u8>) {
    let (mut clock, mut talks) = (begins, Vec::new());
    for (place, tenths) in parts.iter().enumerate() {
        let to = Timestamp::from_micros(clock.micros() + tenths * 100_000);
        if place % 2 == 0 {
            talks.push(Talk { agent: "201".into(), level, from: clock, to: Some(to) });
        }
        clock = to;
    }
    call.missed = talks.is_empty().then_some(MissedReason::Abandoned);
    (call.talks, call.ended_at) = (talks, Some(clock));
}

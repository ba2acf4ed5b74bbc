//! Random contracts and calls where it hurts: months and years that begin on a day others lack, the edges of bands, midnight,
//! the ends of months and years, both changes of the clock of any year from 2000 to 2040, and several calls at once.

use super::dice::Dice;
use super::tariffs::Written;
use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use taktd::calls::{Call, MissedReason, Talk};
use taktd::contracts::Contract;
use taktd::meter::Timing;
use taktd::tariff::Verdict;
use taktd::units::{Direction, E164, RawNumber, Timestamp};

/// The day on which something happens.
pub fn day(dice: &Dice<'_>) -> NaiveDate {
    let year = i32::try_from(dice.between(2_000, 2_041)).expect("a year");
    let date = |month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a date");
    let last = |month| date(month, 1) + Months::new(1) - Days::new(1);
    match dice.below(8) {
        0 => date(2, 28),
        1 => last(2),
        2 => date(12, 31),
        3 => last(u32::try_from(dice.between(1, 13)).expect("a month")),
        4 => changes(year, chrono_tz::Europe::Berlin)[0],
        5 => changes(year, chrono_tz::Europe::Berlin)[1],
        6 => {
            if year % 2 == 0 {
                date(3, 8)
            } else {
                date(11, 1)
            }
        } // New York, about then
        _ => date(1, 1) + Days::new(dice.below(365) as u64),
    }
}

/// The days of a year on which the clock is changed.
pub fn changes(year: i32, zone: Tz) -> Vec<NaiveDate> {
    let offset = |day: NaiveDate| zone.offset_from_utc_datetime(&day.and_time(NaiveTime::MIN)).fix();
    let first = NaiveDate::from_ymd_opt(year, 1, 1).expect("a date");
    first.iter_days().take_while(|day| day.year() == year).filter(|day| offset(*day) != offset(*day + Days::new(1))).collect()
}

/// A contract's history, by start: some begin on a day that most months lack, some change their plans in the story.
pub fn rows(dice: &Dice<'_>, written: &Written, near: NaiveDate) -> Vec<Contract> {
    let long_ago = near.checked_sub_months(Months::new(u32::try_from(dice.between(1, 30)).expect("small"))).expect("a date");
    let starts_on = match dice.below(5) {
        0 => (long_ago + Months::new(1)).with_day(1).expect("a date") - Days::new(1),
        1 => long_ago.with_day(28).expect("a date") + Days::new(dice.below(3) as u64),
        2 => leap_day(near.year() - 1),
        3 => near,
        _ => long_ago + Days::new(dice.below(9) as u64),
    };
    let plans = |dice: &Dice<'_>| {
        let mut plans: Vec<Box<str>> = dice.some(&written.plans).into_iter().map(Into::into).collect();
        if dice.once_in(2) {
            plans.reverse();
        }
        plans
    };
    let activated_on = (!dice.once_in(3)).then(|| near - Days::new(dice.below(40) as u64) + Days::new(dice.below(5) as u64));
    let row = |dice: &Dice<'_>, starts_on| Contract {
        plans: plans(dice),
        starts_on,
        activated_on,
        stations: 1 + u32::try_from(dice.below(4)).expect("small"),
        ..crate::settlement::contract(&[])
    };
    let mut rows = vec![row(dice, starts_on)];
    if dice.once_in(3) {
        let change = near.max(starts_on) + Days::new(1 + dice.below(6) as u64);
        rows[0].ends_on = Some(change);
        rows.push(row(dice, change));
    }
    if dice.once_in(6) {
        let last = rows.last_mut().expect("one or two");
        last.ends_on = Some(last.starts_on.max(near) + Days::new(1 + dice.below(9) as u64));
    }
    rows
}

/// The last 29 February that is not after a year.
fn leap_day(year: i32) -> NaiveDate {
    (0..8).find_map(|back| NaiveDate::from_ymd_opt(year - back, 2, 29)).expect("there is one in eight years")
}

/// A call, and what was said about it.
#[derive(Clone, Debug)]
pub struct Told {
    pub call: Call,
    pub authorised: bool,
    pub verdict: Option<Verdict>,
    /// Some come after their month was closed.
    pub timing: Timing,
}

/// Calls in the days around one; each is drawn from numbers of its own. Instants are whole tenths of a second.
pub fn calls(drawn: &[Vec<u32>], written: &Written, near: NaiveDate) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    for (place, numbers) in drawn.iter().enumerate() {
        let one = call(&Dice::new(numbers), written, near, place, &told);
        told.push(one);
    }
    told
}

fn call(dice: &Dice<'_>, written: &Written, near: NaiveDate, place: usize, earlier: &[Told]) -> Told {
    let services: Vec<&str> = written.services.iter().map(|(name, _)| *name).collect();
    let service = match dice.below(4) {
        0 | 1 => "support",
        2 => dice.pick(&services),
        _ => {
            if dice.once_in(12) {
                "none of these"
            } else {
                dice.pick(&services)
            }
        }
    };
    let begins = begins(dice, written, near, earlier);
    let caller = if dice.once_in(10) { "anonymous".to_owned() } else { format!("+49301{}", dice.below(4)) };
    let mut call = crate::settlement::call(&format!("{place:03}"), service, "2026-03-10 10:00:00", 0);
    call.direction = if dice.once_in(6) { Direction::Out } else { Direction::In };
    call.caller_raw = RawNumber::from_bytes(caller.as_bytes());
    call.caller = E164::from_digits(caller.trim_start_matches('+').as_bytes());
    call.severity = dice.pick(&[None, None, Some("A"), Some("B"), Some("C")]).map(Into::into);
    call.ticket = dice.pick(&[None, None, None, None, Some("T1"), Some("T2")]).map(Into::into);
    call.started_at = Timestamp::from_micros(begins - dice.between(0, 40) * 1_000_000);
    let level = dice.pick(&[None, Some(1), Some(2), Some(3)]);
    let parts = dice.pick(&[1_usize, 1, 1, 1, 3, 3, 5, 0]);
    let (mut clock, mut talks, whole) = (begins, Vec::new(), !dice.once_in(3));
    for part in 0..parts {
        let tenths = match dice.below(8) {
            0 | 1 => dice.pick(&[300, 600, 610, 3_000, 9_000, 9_010, 290, 1_200]),
            2 | 3 => dice.between(0, 700),
            4 => dice.between(0, 200),
            7 => dice.between(0, 30_000),
            _ => dice.between(0, 6_000),
        };
        let to = clock + if whole { tenths / 10 * 10 } else { tenths } * 100_000;
        if part % 2 == 0 {
            let (from, to) = (Timestamp::from_micros(clock), Some(Timestamp::from_micros(to)));
            talks.push(Talk { agent: if part == 0 { "201" } else { "202" }.into(), level, from, to });
        }
        clock = to;
    }
    call.missed = talks.is_empty().then_some(MissedReason::Abandoned);
    (call.talks, call.ended_at) = (talks, Some(Timestamp::from_micros(clock)));
    let (authorised, verdict) = (!dice.once_in(4), verdict(dice));
    let timing = if dice.once_in(12) { Timing::Late((dice.below(9) * 1_000 + place) as u64) } else { Timing::InTime };
    Told { call, authorised, verdict, timing }
}

fn verdict(dice: &Dice<'_>) -> Option<Verdict> {
    match dice.below(16) {
        12 => Some(Verdict::Customer),
        13 => Some(Verdict::Provider),
        14 => Some(Verdict::GoodwillPercent(rust_decimal::Decimal::new(dice.between(0, 1_001), 1))),
        15 => Some(Verdict::GoodwillTime(taktd::units::Seconds::new(dice.below(900) as u64))),
        _ => None,
    }
}

/// When talk begins, in microseconds: with an earlier call, or near an edge of a day.
fn begins(dice: &Dice<'_>, written: &Written, near: NaiveDate, earlier: &[Told]) -> i64 {
    if !earlier.is_empty() && dice.once_in(3) {
        let other = &earlier[dice.below(earlier.len())].call;
        let (begun, ended) = (other.connected_at().unwrap_or(other.started_at), other.ended_at.expect("it ended"));
        return match dice.below(5) {
            0 => begun.micros(),
            1 => begun.micros() + dice.between(0, 4) * 30_000_000,
            2 => ended.micros() + dice.between(-20, 21) * 100_000,
            3 => ended.micros() + 86_400_000_000 + dice.between(-1, 2) * 100_000,
            _ => begun.micros() + dice.between(0, 9_000) * 100_000,
        };
    }
    let edges: Vec<i64> = written
        .hours
        .iter()
        .flat_map(|(_, hours)| hours.week[1].iter().flat_map(|(from, to)| [*from, *to % 1_440]))
        .map(i64::from)
        .collect();
    let minute = match dice.below(8) {
        0..=3 if !edges.is_empty() => dice.pick(&edges),
        4 => 0,
        5 => dice.pick(&[60, 120, 180]), // where clocks are changed
        _ => dice.between(0, 1_440),
    };
    let day = match dice.below(8) {
        0 => near + Days::new(dice.below(40) as u64),
        1 => near,
        _ => near + Days::new(dice.below(8) as u64),
    };
    let local = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(minute);
    let zone = written.zone;
    // What is skipped is met as the time it would have been; what is repeated, the first or the second time.
    let at = match zone.from_local_datetime(&local) {
        chrono::LocalResult::Single(at) => at.timestamp_micros(),
        chrono::LocalResult::Ambiguous(first, second) => if dice.once_in(2) { first } else { second }.timestamp_micros(),
        chrono::LocalResult::None => zone.from_utc_datetime(&local).timestamp_micros(),
    };
    at + match dice.below(3) {
        0 => 0,
        1 => dice.between(-120, 30) * 1_000_000,
        _ => dice.between(-6_000, 600) * 100_000,
    }
}

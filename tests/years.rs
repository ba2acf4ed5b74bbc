//! The calendar, day by day from 2000 to 2040: every change of the clock, every leap day, and contracts that begin on a day that
//! most months lack, each beside plain arithmetic (design.md §4, §6.5).

use crate::sample;
use chrono::{Datelike, Days, NaiveDate, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use taktd::calls::Call;
use taktd::contracts::Contract;
use taktd::meter::{Input, Record, Settlement, Terms, Timing, fees, settle};
use taktd::tariff::{Tariff, Verdict};
use taktd::units::{Seconds, Timestamp};

const YEARS: std::ops::RangeInclusive<i32> = 2000..=2040;

/// Clocks that go by an hour in the night, at midnight, in the other half of the year, and by half an hour.
const ZONES: [Tz; 6] = [
    chrono_tz::Europe::Berlin,
    chrono_tz::America::New_York,
    chrono_tz::Atlantic::Azores,
    chrono_tz::America::Sao_Paulo,
    chrono_tz::Australia::Sydney,
    chrono_tz::Australia::Lord_Howe,
];

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// How far the clock is ahead of UTC, in seconds.
fn offset(zone: Tz, second: i64) -> i64 {
    let utc = chrono::DateTime::from_timestamp(second, 0).expect("an instant").naive_utc();
    zone.offset_from_utc_datetime(&utc).fix().local_minus_utc().into()
}

fn midnight_utc(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("a date")
}

/// The seconds of a year at which the clock is changed.
fn changes(zone: Tz, year: i32) -> Vec<i64> {
    let quarters = (midnight_utc(date(year, 1, 1))..midnight_utc(date(year + 1, 1, 1))).step_by(900);
    quarters.filter(|second| offset(zone, second - 1) != offset(zone, *second)).collect()
}

/// The last Sunday of a month at 01:00 UTC, as Europe has it.
fn last_sunday(year: i32, month: u32) -> i64 {
    let last = date(year, month, 31);
    midnight_utc(last - Days::new(last.weekday().num_days_from_sunday().into())) + 3_600
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn run(tariff: &Tariff, contract: &Contract, calls: &[Call], verdict: Option<Verdict>) -> Settlement {
    let terms = Terms::new(std::slice::from_ref(tariff), vec![contract], tariff.zone);
    let input = |call| Input { call, authorised: true, reason: None, verdict, timing: Timing::InTime };
    let inputs: Vec<Input<'_>> = calls.iter().map(input).collect();
    let last = calls.iter().filter_map(|call| call.ended_at).max().expect("a call");
    settle(&terms, &inputs, last.plus(Seconds::new(3_600)))
}

/// Bands of four hours that each have a price of their own, in increments of seven minutes.
fn by_the_clock(zone: Tz) -> Tariff {
    let mut text = format!(
        "name = \"t\"\ncurrency = \"EUR\"\nprices = \"net\"\ntimezone = \"{zone}\"\nvat = [{{ from = 1990-01-01, percent = 19 }}]\n[bands]\n"
    );
    for band in 0..24 {
        text += &format!("h{band} = \"Mo-Su {band:02}:00-{:02}:00\"\n", band + 1);
    }
    let bands: Vec<String> = (0..24).map(|band| format!("\"h{band}\"")).collect();
    text += &format!("[[service]]\nname = \"support\"\nbands = [{}]\n", bands.join(", "));
    text += "[[plan]]\nid = \"p\"\nvalid_from = 1999-01-01\nfee = \"none\"\ncallers = \"any\"\n";
    for band in 0..24 {
        text += &format!(
            "[[plan.rate]]\nservice = \"support\"\nbands = [\"h{band}\"]\nsteps = [{{ from = \"0s\", increment = \"7m\", price = {band}.25 }}]\n"
        );
    }
    taktd::config::tariff::parse("t.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Each run of increments in one hour of the clock: the hour, and how many.
fn hours(record: &Record) -> Vec<(i64, u64)> {
    let hour = |band: &str| band[1..].parse().expect("an hour");
    record.lines.iter().map(|line| (hour(line.band.as_deref().expect("a band")), line.count)).collect()
}

#[test]
fn every_change_of_the_clock() {
    let mut met = 0;
    for zone in ZONES {
        let tariff = by_the_clock(zone);
        let contract = Contract { starts_on: date(1999, 1, 1), ..sample::contract(&["p"]) };
        for (year, change) in YEARS.flat_map(|year| changes(zone, year).into_iter().map(move |change| (year, change))) {
            met += 1;
            // Into it, over it, within the hour that comes again, and after it.
            for (place, (before, talk)) in [(95, 6_000), (37, 4_201), (60, 3_600), (1, 60), (0, 7_200), (-30, 61)].into_iter().enumerate() {
                let (from, talk): (i64, i64) = (change - before * MINUTE - i64::from(year % 7), talk + i64::from(year % 5));
                let call = sample::call(&format!("c{place}"), "support", at(from), at(from + talk));
                let settled = run(&tariff, &contract, &[call], None);
                let record = &settled.calls[0].record;
                let mut expected: Vec<(i64, u64)> = Vec::new();
                let mut net = Decimal::ZERO;
                for begun in (from..from + talk).step_by(7 * 60) {
                    let hour = (begun + offset(zone, begun)).rem_euclid(DAY) / 3_600;
                    net += Decimal::new(hour * 100 + 25, 2);
                    match expected.last_mut().filter(|(last, _)| *last == hour) {
                        Some((_, count)) => *count += 1,
                        None => expected.push((hour, 1)),
                    }
                }
                let told = format!("{zone}: {} + {talk} s", at(from).rfc3339(zone));
                assert_eq!(hours(record), expected, "{told}");
                assert_eq!((record.talk.get(), record.charge.net), (talk.unsigned_abs(), net), "{told}");
                assert_eq!(record.billed.get(), talk.unsigned_abs().div_ceil(420) * 420, "{told}");
            }
        }
    }
    // Berlin alone has two a year.
    assert!(met > 6 * 41, "{met}");
    for year in YEARS {
        assert_eq!(changes(chrono_tz::Europe::Berlin, year), [last_sunday(year, 3), last_sunday(year, 10)], "{year}");
        assert_eq!(changes(chrono_tz::Australia::Lord_Howe, year).len(), 2, "{year}");
    }
}

/// The five tariffs, from the year on for which they have plans.
#[test]
fn every_change_of_the_clock_under_the_five_tariffs() {
    // Tariff, plan, service, net and billed seconds of so many seconds of talk.
    type Expected = fn(i64) -> (i64, i64);
    let all: [(&str, &str, &str, Expected); 5] = [
        ("support-level", "support-level-1", "emergency", |talk| (36 + 30 * ((talk + 299) / 300 - 1), (talk + 299) / 300 * 300)),
        ("support-hours", "model-s", "support", |_| (0, 0)), // not on Sundays
        ("cash-desk", "support-flat", "support", |talk| (0, talk)),
        ("work-units", "work-units", "support", |talk| ((talk + 899) / 900 * 20, (talk + 899) / 900 * 900)),
        ("incident-plans", "dehosted-basic", "support", |_| (169, 0)),
    ];
    for (name, plan, service, expected) in all {
        let tariff = crate::settlement::tariff(name);
        let contract = Contract { starts_on: date(2019, 1, 1), ..sample::contract(&[plan]) };
        for (place, change) in (2019..=2040).flat_map(|year| changes(tariff.zone, year)).enumerate() {
            let talk = 3_000 + 613 * i64::try_from(place).expect("small");
            let from = change - 25 * MINUTE;
            let call = sample::call("c", service, at(from), at(from + talk));
            let settled = run(&tariff, &contract, &[call], Some(Verdict::Customer));
            let record = &settled.calls[0].record;
            let (net, billed) = expected(talk);
            let found = (record.talk.get(), record.charge.net, record.billed.get());
            assert_eq!(
                found,
                (talk.unsigned_abs(), net.into(), billed.unsigned_abs()),
                "{name}: {} + {talk} s",
                at(from).rfc3339(tariff.zone)
            );
        }
    }
}

/// How many days a month has.
fn days_of(year: i32, month: u32) -> u32 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A day of a month, or its last.
fn day_or_last(year: i32, month: u32, day: u32) -> NaiveDate {
    date(year, month, day.min(days_of(year, month)))
}

/// Ten minutes a year and six a month, and a fee a month.
fn by_the_calendar() -> Tariff {
    let text = "name = \"t\"\ncurrency = \"EUR\"\nprices = \"net\"\ntimezone = \"Europe/Berlin\"\nvat = [{ from = 1990-01-01, percent = 19 }]\n\
        [bands]\nalways = \"24/7\"\n[[service]]\nname = \"support\"\nbands = [\"always\"]\n[[service]]\nname = \"emergency\"\nbands = [\"always\"]\n\
        [[plan]]\nid = \"p\"\nvalid_from = 1999-01-01\nfee = { amount = 10.00, per = \"month\" }\ncallers = \"any\"\n\
        [[plan.allowance]]\nid = \"y\"\ntime = \"10m\"\nincrement = \"1m\"\nper = \"contract-year\"\nservices = [\"support\"]\n\
        [[plan.allowance]]\nid = \"m\"\ntime = \"6m\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"emergency\"]\n\
        [[plan.rate]]\nservice = \"support\"\nsteps = [{ from = \"0s\", increment = \"1m\", price = 1.00 }]\n\
        [[plan.rate]]\nservice = \"emergency\"\nsteps = [{ from = \"0s\", increment = \"1m\", price = 1.00 }]\n";
    taktd::config::tariff::parse("t.toml", text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Two calls of six minutes, one that begins just before the first minute of a day, and one with it: what each is charged.
fn around_midnight(tariff: &Tariff, contract: &Contract, service: &str, day: NaiveDate) -> (Vec<Decimal>, Vec<(NaiveDate, u64)>) {
    let midnight = tariff.zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).single().expect("no clock is changed then").timestamp();
    let call = |id: &str, from: i64| sample::call(id, service, at(from), at(from + 360));
    let settled = run(tariff, contract, &[call("before", midnight - 60), call("after", midnight)], None);
    let used = settled.balances.iter().filter(|balance| balance.left < balance.granted);
    let used = used.map(|balance| (balance.from, balance.granted - balance.left)).collect();
    (settled.calls.iter().map(|settled| settled.record.charge.net).collect(), used)
}

#[test]
fn contract_years_and_months_from_every_late_day_of_a_month() {
    let tariff = by_the_calendar();
    let starts = [2000, 2003, 2023]
        .into_iter()
        .flat_map(|year| (1..=12).flat_map(move |month| (28..=days_of(year, month)).map(move |day| date(year, month, day))));
    for starts_on in starts {
        let contract = Contract { starts_on, ..sample::contract(&["p"]) };
        let (year, month, day) = (starts_on.year(), starts_on.month(), starts_on.day());
        let begins = |count: i32| day_or_last(year + count, month, day);
        for count in 1..=9 {
            // Each talks in its own year, of which ten minutes cover six; the first goes on into the next.
            let (nets, used) = around_midnight(&tariff, &contract, "support", begins(count));
            assert_eq!(nets, [Decimal::ZERO, Decimal::ZERO], "from {starts_on}: year {count}");
            assert_eq!(used, [(begins(count - 1), 360), (begins(count), 360)], "from {starts_on}");
            // A day later both are in the same year.
            let (nets, used) = around_midnight(&tariff, &contract, "support", begins(count) + Days::new(1));
            assert_eq!(nets, [Decimal::ZERO, Decimal::TWO], "from {starts_on}: a day into year {count}");
            assert_eq!(used, [(begins(count), 600)], "from {starts_on}");
        }
        let terms = Terms::new(std::slice::from_ref(&tariff), vec![&contract], tariff.zone);
        let months = |count: i32| {
            day_or_last(year + (month.cast_signed() - 1 + count).div_euclid(12), (month - 1 + count.unsigned_abs()) % 12 + 1, day)
        };
        let due = fees(&terms, at(midnight_utc(date(year + 5, 6, 15))));
        assert!(due.len() > 48);
        for (count, fee) in (0..).zip(&due) {
            let period = fee.fee.expect("a period");
            assert_eq!((period.from, period.to), (months(count), months(count + 1) - Days::new(1)), "from {starts_on}");
        }
    }
}

#[test]
fn every_leap_day_and_every_end_of_a_month() {
    let tariff = by_the_calendar();
    let contract = Contract { starts_on: date(1999, 6, 1), ..sample::contract(&["p"]) };
    for (year, month) in YEARS.flat_map(|year| (1..=12).map(move |month| (year, month))) {
        // The last day of a month is in it, the leap day among them, and the next day is not.
        let last = date(year, month, days_of(year, month));
        let (nets, used) = around_midnight(&tariff, &contract, "emergency", last + Days::new(1));
        assert_eq!(nets, [Decimal::ZERO, Decimal::ZERO], "{last}");
        assert_eq!(used, [(date(year, month, 1), 360), (last + Days::new(1), 360)]);
        let (nets, used) = around_midnight(&tariff, &contract, "emergency", last);
        // Minute by minute, six for both: four for the one that began first.
        assert_eq!(nets, [Decimal::TWO, Decimal::from(4)], "the day before {last}");
        assert_eq!(used, [(date(year, month, 1), 360)]);
    }
}

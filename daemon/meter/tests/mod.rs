//! Settlement by tables: a tariff, a contract and calls as text in, what each call comes to as text out.
//!
//! A call is `ID SERVICE BEGIN TALK [key=value…]`; BEGIN is local time in Berlin, TALK is `m:ss`, or several of `m:ss` with
//! the waits between them: `1:00+0:30+2:00`. Every table is also settled with its calls the other way round, at the same
//! instant with every later talk cut off by hand, and each record must add up.

mod allowances;
mod decisions;
mod fees;
mod going_on;
mod incidents;
mod market;
mod rounding;
mod time;
mod versions;

use super::*;
use crate::calls::{BilledFrom, Call, Correlation, End, MissedReason, Talk, Withheld};
use crate::contracts::Contract;
use crate::tariff::{Tariff, Verdict};
use crate::units::{CallId, Direction, E164, PriceKind, RawNumber, Seconds, Timestamp};
use chrono::{NaiveDate, TimeZone};
use chrono_tz::Europe::Berlin;
use rust_decimal::Decimal;
use std::fmt::Write as _;

/// A price list without plans: support in three bands, callbacks in one.
const HEAD: &str = r#"
name = "t"
currency = "EUR"
prices = "net"
timezone = "Europe/Berlin"
vat = [{ from = 2007-01-01, percent = 19 }, { from = 2020-07-01, percent = 16 }, { from = 2021-01-01, percent = 19 }]
severities = ["A", "B", "C"]
default_severity = "C"
[bands]
open = "Mo-Fr 08:00-18:00"
late = "Mo-Fr 18:00-22:00"
weekend = "Sa-Su 00:00-24:00"
always = "24/7"
[[service]]
name = "support"
bands = ["open", "late", "weekend"]
outside = "uncovered"
[[service]]
name = "callback"
bands = ["always"]
"#;

/// The start of a plan without a fee.
const PLAN: &str = r#"
[[plan]]
id = "p"
valid_from = 2019-01-01
fee = "none"
callers = "any"
"#;

/// One euro a minute, at any time.
const MINUTES: &str = r#"
[[plan.rate]]
service = "support"
steps = [{ from = "0s", increment = "1m", price = 1.00 }]
"#;

fn tariff(name: &str, text: &str) -> Tariff {
    crate::config::tariff::parse(name, text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|problem| problem.with_excerpt()).collect::<Vec<_>>().join("\n"));
    })
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn at(text: &str) -> Timestamp {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").expect("a time");
    Timestamp::from_micros(Berlin.from_local_datetime(&time).earliest().expect("it exists").timestamp_micros())
}

fn seconds(text: &str) -> Seconds {
    let (minutes, rest) = text.split_once(':').expect("m:ss");
    Seconds::new(minutes.parse::<u64>().expect("minutes") * 60 + rest.parse::<u64>().expect("seconds"))
}

/// `START plan,plan key=value…`
fn row(text: &str) -> Contract {
    let mut words = text.split_whitespace();
    let starts_on = date(words.next().expect("a start"));
    let plans = words.next().expect("plans").split(',').map(Into::into).collect();
    let rest: Vec<&str> = words.collect();
    let value = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    Contract {
        id: "K".into(),
        customer: "".into(),
        plans,
        starts_on,
        cancelled_on: None,
        ends_on: value("ends").map(date),
        activated_on: value("activated").map(date),
        stations: value("stations").map_or(1, |count| count.parse().expect("a count")),
        numbers: Vec::new(),
        authorised: Vec::new(),
        partner: None,
        place: ("contracts.csv".into(), 2),
    }
}

/// A call, and what was said about it.
#[derive(Clone)]
struct Said {
    call: Call,
    authorised: bool,
    verdict: Option<Verdict>,
    timing: Timing,
}

fn verdict(text: &str) -> Verdict {
    match text.strip_prefix("goodwill:") {
        None if text == "customer" => Verdict::Customer,
        None => Verdict::Provider,
        Some(share) => match share.strip_suffix('%') {
            Some(percent) => Verdict::GoodwillPercent(percent.parse().expect("percent")),
            None => Verdict::GoodwillTime(Seconds::parse(share).expect("a time")),
        },
    }
}

fn said(line: &str) -> Said {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("too short: {line}"));
    let (id, service, begin, talk) = (word(), word(), at(word()), word());
    let rest: Vec<&str> = words.collect();
    let value = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let (mut talks, mut clock) = (Vec::new(), begin);
    for (place, part) in talk.split('+').enumerate().filter(|_| talk != "missed") {
        let to = clock.plus(seconds(part));
        if place % 2 == 0 {
            let level = value("level").map(|level| level.parse().expect("a level"));
            talks.push(Talk { agent: "201".into(), level, from: clock, to: Some(to) });
        }
        clock = to;
    }
    if rest.contains(&"running") {
        talks.last_mut().expect("a talk").to = None;
    }
    let caller = value("from").unwrap_or("+49301");
    let called = value("to").unwrap_or("+4989555010");
    let number = |text: &str| text.strip_prefix('+').and_then(|digits| E164::from_digits(digits.as_bytes()));
    let call = Call {
        id: CallId::new(id).expect("not empty"),
        direction: if rest.contains(&"out") { Direction::Out } else { Direction::In },
        hotline: None,
        service: service.into(),
        caller_raw: RawNumber::from_bytes(caller.as_bytes()),
        caller: number(caller),
        withheld: Withheld::No,
        called_raw: RawNumber::from_bytes(called.as_bytes()),
        called: number(called),
        contract: None,
        started_at: value("setup").map_or(begin, at),
        answered_at: None,
        ended_at: (!rest.contains(&"running")).then_some(clock),
        missed: talks.is_empty().then_some(MissedReason::NoAnswer),
        talks,
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        severity: value("severity").map(Into::into),
        ticket: value("ticket").map(Into::into),
        correlation: Correlation::Explicit,
        marks: Vec::new(),
    };
    let timing = value("late").map_or(Timing::InTime, |place| Timing::Late(place.parse().expect("a place")));
    Said { call, authorised: !rest.contains(&"stranger"), verdict: value("verdict").map(verdict), timing }
}

/// What is settled: price lists, a contract's history, and up to when.
struct Case {
    tariffs: Vec<Tariff>,
    rows: Vec<Contract>,
    until: Timestamp,
}

/// A contract from 2026-01-01 with the plan `p` of this price list, settled at the end of the year.
fn case(text: &str) -> Case {
    Case { tariffs: vec![tariff("t.toml", text)], rows: vec![row("2026-01-01 p")], until: at("2026-12-31T23:59:59") }
}

impl Case {
    fn rows(mut self, rows: &[&str]) -> Self {
        self.rows = rows.iter().map(|text| row(text)).collect();
        self
    }

    fn until(mut self, until: &str) -> Self {
        self.until = at(until);
        self
    }

    fn terms(&self) -> Terms<'_> {
        Terms::new(&self.tariffs, self.rows.iter().collect(), Berlin)
    }

    fn settle(&self, calls: &[Said]) -> Settlement {
        let input = |said| {
            let Said { call, authorised, verdict, timing }: &Said = said;
            Input { call, authorised: *authorised, reason: None, verdict: *verdict, timing: *timing }
        };
        let inputs: Vec<Input<'_>> = calls.iter().map(input).collect();
        settle(&self.terms(), &inputs, self.until)
    }

    /// What each call comes to, and what is left of allowances afterwards.
    fn told(&self, calls: &[Said]) -> (Vec<String>, String) {
        let settled = self.settle(calls);
        let mut told: Vec<String> = settled.calls.iter().map(|settled| tell(&settled.record)).collect();
        for settled in &settled.calls {
            let tariff = self.tariffs.first().expect("one");
            let sum: Decimal = settled.record.lines.iter().map(|line| line.amount).sum();
            let due = if tariff.prices == PriceKind::Net { settled.record.charge.net } else { settled.record.charge.gross };
            assert_eq!(sum, due, "lines add up: {:#?}", settled.record);
            assert_eq!(settled.record.charge.net + settled.record.charge.vat, settled.record.charge.gross);
        }
        told.sort();
        let balance = |one: &Balance| format!("{} {} {}/{}", one.allowance, one.from, one.left, one.granted);
        (told, settled.balances.iter().map(balance).collect::<Vec<_>>().join("; "))
    }

    /// Settles calls and compares each with its expected line; `balances` too, if it is not empty.
    fn check(&self, calls: &[&str], expected: &[&str], balances: &str) {
        let mut calls: Vec<Said> = calls.iter().map(|line| said(line)).collect();
        let (told, left) = self.told(&calls);
        assert_eq!(told, expected);
        if !balances.is_empty() {
            assert_eq!(left, balances);
        }
        calls.reverse();
        assert_eq!(self.told(&calls), (told.clone(), left.clone()), "the order of arrival makes a difference");
        for said in &mut calls {
            // What a live meter would have seen at this instant.
            said.call.talks.retain(|talk| talk.from <= self.until || talk.to.is_none_or(|to| to <= talk.from));
            for talk in &mut said.call.talks {
                talk.to = talk.to.filter(|to| *to <= self.until);
            }
        }
        assert_eq!(self.told(&calls), (told, left), "talk after the instant makes a difference");
    }
}

/// `ID outcome net billed_s[ incident]: lines[ (used)]`
fn tell(record: &Record) -> String {
    let RecordKey::Call(id) = &record.key else { panic!("a fee") };
    let incident = record.incident.as_ref().map(|incident| format!(" {incident}")).unwrap_or_default();
    let late = if record.late { " late" } else { "" };
    let mut text = format!("{id} {:?} {} {}{incident}{late}", record.outcome, record.charge.net, record.billed.get());
    for (place, line) in record.lines.iter().enumerate() {
        let length = line.increment.map(|length| format!("/{length}")).unwrap_or_default();
        let band = line.band.as_ref().map(|band| format!("@{band}")).unwrap_or_default();
        let rule = line.allowance.as_ref().map_or_else(|| format!("{:?}", line.rule).to_lowercase(), |id| format!("[{id}]"));
        let price = if line.unit_price.is_zero() { String::new() } else { format!("x{}", line.unit_price) };
        let sign = if place == 0 { ":" } else { "," };
        write!(text, "{sign} {rule}{band} {}{length}{price}", line.count).expect("writing to a string");
    }
    text
}

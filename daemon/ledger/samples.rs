//! Calls and records for tests of this room and of `export`.

use super::{Document, Ledger, Match, NumberKey};
use crate::calls::{BilledFrom, Call, Correlation, End, Mark, MissedReason, Talk, Withheld};
use crate::meter::{AllowanceUse, Charge, FeePeriod, Line, Outcome, Party, Record, RecordKey, Rule};
use crate::units::{CallId, Currency, Direction, E164, RawNumber, Seconds, Timestamp};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use tempfile::TempDir;

/// Tuesday, 2026-03-10 10:00:00 in Berlin.
pub(crate) fn tuesday() -> Timestamp {
    Timestamp::from_micros(1_773_133_200_000_000)
}

pub(crate) fn key() -> NumberKey {
    NumberKey::new([7; 32])
}

/// A new ledger with a catalogue in force.
pub(crate) fn ledger() -> (TempDir, Ledger) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = Ledger::open(&folder.path().join("ledger.db"), &key()).expect("a new ledger");
    let mut batch = ledger.batch().expect("a batch");
    batch.use_catalogue(&[Document { kind: "tariff", name: "support-level.toml", text: "[[plan]]", numbers: &[] }]).expect("stored");
    batch.commit().expect("committed");
    (folder, ledger)
}

pub(crate) fn id(name: &str) -> CallId {
    CallId::new(name).expect("a name")
}

pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

pub(crate) fn number(digits: &str) -> Option<E164> {
    E164::from_digits(digits.as_bytes())
}

pub(crate) fn raw(text: &str) -> RawNumber {
    RawNumber::from_bytes(text.as_bytes())
}

pub(crate) fn matched(contract: &str) -> Match {
    Match::Contract { id: contract.into(), authorised: true, reason: None }
}

/// A call that begins so many minutes after Tuesday, waits 12.5 s and talks two minutes.
pub(crate) fn call(name: &str, minutes: u64) -> Call {
    let started_at = tuesday().plus(Seconds::new(minutes * 60));
    let connected = started_at.plus_micros(12_500_000);
    let ended = connected.plus(Seconds::new(120));
    Call {
        id: id(name),
        direction: Direction::In,
        hotline: Some("Support".into()),
        service: "support".into(),
        caller_raw: raw("089 1234567"),
        caller: number("49891234567"),
        withheld: Withheld::No,
        called_raw: raw("+4989555010"),
        called: number("4989555010"),
        contract: None,
        started_at,
        answered_at: Some(started_at.plus(Seconds::new(1))),
        talks: vec![Talk { agent: "201".into(), level: Some(1), from: connected, to: Some(ended) }],
        ended_at: Some(ended),
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        missed: None,
        severity: Some("C".into()),
        ticket: None,
        correlation: Correlation::Numbers,
        marks: vec![Mark::Transfer],
    }
}

/// A call with everything else that a call can have.
pub(crate) fn odd_call(name: &str) -> Call {
    Call {
        direction: Direction::Out,
        hotline: None,
        service: "callback".into(),
        caller_raw: raw("201"),
        caller: None,
        withheld: Withheld::Unknown,
        called_raw: raw("anna.muster"),
        called: None,
        contract: Some("K-7".into()),
        answered_at: None,
        talks: vec![
            Talk { agent: "+491700000001".into(), level: None, from: tuesday(), to: Some(tuesday().plus(Seconds::new(5))) },
            Talk { agent: "".into(), level: Some(3), from: tuesday().plus(Seconds::new(6)), to: None },
        ],
        ended_at: None,
        end: End::SessionTimer,
        billed_from: BilledFrom::Answer,
        missed: Some(MissedReason::Declined),
        severity: None,
        ticket: Some("T-1".into()),
        correlation: Correlation::Guess,
        marks: vec![Mark::ClickToCall, Mark::Guessed],
        ..call(name, 0)
    }
}

/// What a call comes to: minutes of an allowance, and a step that costs `net`.
pub(crate) fn record(call: &Call, contract: &str, net: &str) -> Record {
    let net = decimal(net);
    let vat = crate::units::round_half_away(net * decimal("0.19"), 2);
    let line = |rule, allowance: Option<&str>, unit_price: &str, amount| Line {
        rule,
        band: Some("support".into()),
        allowance: allowance.map(Into::into),
        count: 1,
        increment: Some(Seconds::new(60)),
        unit_price: decimal(unit_price),
        amount,
    };
    Record {
        key: RecordKey::Call(call.id.clone()),
        contract: Some(contract.into()),
        plan: Some("support-level-1".into()),
        hotline: call.hotline.clone(),
        service: call.service.clone(),
        direction: Some(call.direction),
        caller: call.caller.map_or_else(|| Party::Raw(call.caller_raw.clone()), Party::Number),
        called: call.called.map_or_else(|| Party::Raw(call.called_raw.clone()), Party::Number),
        agent: call.talks.first().map(|talk| talk.agent.clone()),
        severity: call.severity.clone(),
        incident: None,
        started_at: call.started_at,
        connected_at: call.connected_at(),
        ended_at: call.ended_at,
        end: Some(call.end),
        billed_from: Some(call.billed_from),
        wait: Seconds::new(12),
        talk: Seconds::new(120),
        billed: Seconds::new(120),
        outcome: if net.is_zero() { Outcome::Included } else { Outcome::Charged },
        reason: None,
        late: false,
        charge: Charge { net, vat_percent: decimal("19"), vat, gross: net + vat, currency: Currency::EUR },
        allowances: vec![AllowanceUse { id: "minutes".into(), used: 60 }],
        lines: vec![line(Rule::Allowance, Some("minutes"), "0.00", decimal("0.00")), line(Rule::Step, None, "0.50", net)],
        fee: None,
        correlation: Some(call.correlation),
        marks: call.marks.clone(),
        zone: chrono_tz::Europe::Berlin,
    }
}

/// A fee for March 2026.
pub(crate) fn fee(contract: &str, net: &str) -> Record {
    let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).expect("a day");
    let net = decimal(net);
    let vat = crate::units::round_half_away(net * decimal("0.19"), 2);
    let begun = Timestamp::parse_rfc3339("2026-03-01T00:00:00+01:00").expect("a time");
    Record {
        key: RecordKey::Fee { contract: contract.into(), plan: "support-level-1".into(), from: day(1) },
        contract: Some(contract.into()),
        plan: Some("support-level-1".into()),
        hotline: None,
        service: "".into(),
        direction: None,
        caller: Party::Raw(raw("")),
        called: Party::Raw(raw("")),
        agent: None,
        severity: None,
        incident: None,
        started_at: begun,
        connected_at: None,
        ended_at: None,
        end: None,
        billed_from: None,
        wait: Seconds::ZERO,
        talk: Seconds::ZERO,
        billed: Seconds::ZERO,
        outcome: Outcome::Charged,
        reason: None,
        late: false,
        charge: Charge { net, vat_percent: decimal("19"), vat, gross: net + vat, currency: Currency::EUR },
        allowances: vec![],
        lines: vec![Line { rule: Rule::Fee, band: None, allowance: None, count: 1, increment: None, unit_price: net, amount: net }],
        fee: Some(FeePeriod { from: day(1), to: day(31), quantity: 1 }),
        correlation: None,
        marks: vec![],
        zone: chrono_tz::Europe::Berlin,
    }
}

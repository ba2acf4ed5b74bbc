//! A contract and a call of it, for tests and benchmarks that change what matters to them.

use chrono::NaiveDate;
use taktd::calls::{BilledFrom, Call, Correlation, End, Talk, Withheld};
use taktd::contracts::Contract;
use taktd::units::{CallId, Direction, RawNumber, Timestamp};

/// A contract from 2026-01-01 on.
pub(crate) fn contract(plans: &[&str]) -> Contract {
    Contract {
        id: "K-1".into(),
        customer: "Beispiel GmbH".into(),
        plans: plans.iter().map(|plan| (*plan).into()).collect(),
        starts_on: NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date"),
        cancelled_on: None,
        ends_on: None,
        activated_on: None,
        stations: 1,
        numbers: Vec::new(),
        authorised: Vec::new(),
        partner: None,
        place: ("contracts.csv".into(), 2),
    }
}

/// An inbound call with one talk, at once and to its end.
pub(crate) fn call(id: &str, service: &str, from: Timestamp, to: Timestamp) -> Call {
    Call {
        id: CallId::new(id).expect("not empty"),
        direction: Direction::In,
        hotline: Some("Hotline".into()),
        service: service.into(),
        caller_raw: RawNumber::from_bytes(b"+491713920021"),
        caller: None,
        withheld: Withheld::No,
        called_raw: RawNumber::from_bytes(b"+4989555010"),
        called: None,
        contract: None,
        started_at: from,
        answered_at: Some(from),
        talks: vec![Talk { agent: "201".into(), level: Some(1), from, to: Some(to) }],
        ended_at: Some(to),
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        missed: None,
        severity: None,
        ticket: None,
        correlation: Correlation::Explicit,
        marks: Vec::new(),
    }
}

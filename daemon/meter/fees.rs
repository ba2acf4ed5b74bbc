//! Fees: each due in full at the start of its period, never pro rata, none after the contract's end (design.md §5).

use super::finish::totals;
use super::record::{Charge, FeePeriod, Line, Outcome, Party, Record, RecordKey, Rule};
use super::terms::{FeeDue, Terms, fee_periods};
use crate::contracts::Contract;
use crate::tariff::{FeePer, Tariff};
use crate::units::{RawNumber, Seconds, Timestamp};
use chrono::{NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// Every fee of a contract that has fallen due by `until`; derived, so that none is missed while nobody looked.
#[must_use]
pub fn fees(terms: &Terms<'_>, until: Timestamp) -> Vec<Record> {
    let today = terms.day(until);
    let mut records = Vec::new();
    let mut seen: BTreeSet<(&str, NaiveDate)> = BTreeSet::new();
    for (place, row) in terms.rows().iter().enumerate() {
        for plan in &row.plans {
            // A plan that goes on from the row before has its periods from there.
            let before = place.checked_sub(1).and_then(|before| terms.rows().get(before));
            if before.is_some_and(|before| before.ends_on == Some(row.starts_on) && before.plans.contains(plan)) {
                continue;
            }
            let end = end_of_stretch(terms.rows().get(place..).unwrap_or_default(), plan);
            let per =
                terms.plan(plan, row.starts_on.max(first_version(terms, plan))).and_then(|(_, version)| version.fee).map(|fee| fee.per);
            let Some(per) = per else { continue };
            for (from, to) in fee_periods(per, row.starts_on, end, today) {
                if seen.insert((plan, from))
                    && let Some(record) = fee(terms, plan, from, to)
                {
                    records.push(record);
                }
            }
        }
    }
    records
}

fn first_version(terms: &Terms<'_>, plan: &str) -> NaiveDate {
    let latest = terms.plan(plan, NaiveDate::MAX).map(|(tariff, _)| tariff);
    latest
        .and_then(|tariff| tariff.plans.iter().filter(|version| *version.id == *plan).map(|version| version.valid_from).min())
        .unwrap_or(NaiveDate::MAX)
}

/// The first day a plan is no longer held, over consecutive rows.
fn end_of_stretch(rows: &[&Contract], plan: &str) -> Option<NaiveDate> {
    let mut end = rows.first()?.ends_on;
    for row in rows.get(1..)? {
        if end != Some(row.starts_on) || !row.plans.iter().any(|held| **held == *plan) {
            break;
        }
        end = row.ends_on;
    }
    end
}

fn fee(terms: &Terms<'_>, plan: &str, from: NaiveDate, to: NaiveDate) -> Option<Record> {
    let offer = terms.offers(from).into_iter().find(|offer| *offer.plan.id == *plan && offer.fee == FeeDue::Yes)?;
    let fee = offer.plan.fee.filter(|fee| !fee.amount.is_zero())?;
    let quantity = match fee.per {
        FeePer::Month | FeePer::Year => 1,
        FeePer::YearAndStation => terms.stations(from),
    };
    let amount = fee.amount.checked_mul(Decimal::from(quantity))?;
    let line =
        Line { rule: Rule::Fee, band: None, allowance: None, count: quantity.into(), increment: None, unit_price: fee.amount, amount };
    let mut lines = vec![line];
    let percent = offer.tariff.vat_percent(to).unwrap_or(Decimal::ZERO);
    let charge = totals(offer.tariff, amount, percent, &mut lines)?;
    let contract = terms.row(from)?.id.clone();
    let key = RecordKey::Fee { contract: contract.clone(), plan: plan.into(), from };
    let outcome = if charge.net > Decimal::ZERO { Outcome::Charged } else { Outcome::Included };
    Some(record(offer.tariff, key, contract, plan, FeePeriod { from, to, quantity }, charge, outcome, lines))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one record, named at the only call")]
fn record(
    tariff: &Tariff,
    key: RecordKey,
    contract: Box<str>,
    plan: &str,
    period: FeePeriod,
    charge: Charge,
    outcome: Outcome,
    lines: Vec<Line>,
) -> Record {
    Record {
        key,
        contract: Some(contract),
        plan: Some(plan.into()),
        hotline: None,
        service: "".into(),
        direction: None,
        caller: Party::Raw(RawNumber::from_bytes(b"")),
        called: Party::Raw(RawNumber::from_bytes(b"")),
        agent: None,
        severity: None,
        incident: None,
        started_at: midnight(period.from, tariff.zone),
        connected_at: None,
        ended_at: None,
        end: None,
        billed_from: None,
        wait: Seconds::ZERO,
        talk: Seconds::ZERO,
        billed: Seconds::ZERO,
        outcome,
        reason: None,
        late: false,
        charge,
        allowances: Vec::new(),
        lines,
        fee: Some(period),
        correlation: None,
        marks: Vec::new(),
        zone: tariff.zone,
    }
}

/// The first instant of a local day (where a clock change skips midnight, the first there is).
pub fn midnight(day: NaiveDate, zone: Tz) -> Timestamp {
    let local = day.and_time(NaiveTime::MIN);
    let at = zone
        .from_local_datetime(&local)
        .earliest()
        .or_else(|| zone.from_local_datetime(&local.checked_add_signed(chrono::TimeDelta::hours(1))?).earliest());
    at.map_or(Timestamp::default(), |at| Timestamp::from_micros(at.timestamp_micros()))
}

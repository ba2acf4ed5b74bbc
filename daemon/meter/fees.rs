//! Fees: each due in full at the start of its period, never pro rata, none after the contract's end (design.md §5).

use super::finish::totals;
use super::record::{Charge, FeePeriod, Line, Outcome, Party, Record, RecordKey, Rule};
use super::terms::{FeeDue, Terms};
use crate::contracts::Contract;
use crate::tariff::{FeePer, Period, Tariff};
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
            for (from, to) in periods(terms, plan, row.starts_on, end, today) {
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

/// The periods of a plan's fees that began by `today` and before `end`, each as its first and last day. They run from the
/// plan's start; a version that has another period begins it where the last one that is paid ends.
fn periods(terms: &Terms<'_>, plan: &str, start: NaiveDate, end: Option<NaiveDate>, today: NaiveDate) -> Vec<(NaiveDate, NaiveDate)> {
    let mut found = Vec::new();
    let (mut from, mut anchor, mut count, mut length) = (start, start, 0u32, None);
    while from <= today && end.is_none_or(|end| from < end) {
        let Some(wanted) = length_on(terms, plan, from) else { break };
        if length != Some(wanted) {
            (anchor, count, length) = (from, 0, Some(wanted));
        }
        count = count.saturating_add(1);
        let Some((next, to)) = wanted.after(anchor, count).and_then(|next| Some((next, next.pred_opt()?))) else { break };
        found.push((from, to));
        from = next;
    }
    found
}

/// The period of a plan's fee on a day; while there is no fee, that of the next version that has one. `None`: there is no
/// fee from this day on.
fn length_on(terms: &Terms<'_>, plan: &str, day: NaiveDate) -> Option<Period> {
    let (now, tariff) = match terms.plan(plan, day) {
        Some((tariff, version)) => (version.fee, tariff),
        None => (None, terms.plan(plan, NaiveDate::MAX)?.0),
    };
    let later = tariff.plans.iter().filter(|version| *version.id == *plan && version.valid_from > day && version.fee.is_some());
    let fee = now.or_else(|| later.min_by_key(|version| version.valid_from).and_then(|version| version.fee))?;
    Some(match fee.per {
        FeePer::Month => Period::MONTH,
        FeePer::Year | FeePer::YearAndStation => Period::YEAR,
    })
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

//! From a settled call to its record: wait, charge, rounding, and the lines that add up to it.

use super::due::amount;
use super::record::{AllowanceUse, Charge, Line, Outcome, Party, Record, RecordKey, Rule};
use super::running::{Item, Running};
use super::settlement::{Origin, Timing};
use super::terms::Terms;
use crate::calls::{Call, Mark, MissedReason};
use crate::contracts::Match;
use crate::tariff::{Tariff, Verdict, rounding};
use crate::units::{Currency, E164, PriceKind, RawNumber, Seconds, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;

/// Where the lines of a record are written, and when they began.
type Origins = Vec<Option<(Origin, Timestamp)>>;

/// The record of a call that ran on the machine, and where its lines are written.
pub(super) fn record(terms: &Terms<'_>, running: Running<'_>, until: Timestamp) -> (Record, Origins) {
    let call = running.input.call;
    let tariff = running.offer.map(|offer| offer.tariff);
    let zone = tariff.map_or(terms.zone(), |tariff| tariff.zone);
    let at = call.connected_at().unwrap_or(call.started_at);
    let (mut lines, mut origins) = lines(&running);
    let (charge, outcome) = match tariff {
        Some(tariff) => charge(tariff, terms.minute(tariff.zone, at).0, running.input.verdict, &mut lines, running.outcome),
        None => (nothing(Currency::EUR, Decimal::ZERO), running.outcome.unwrap_or(Outcome::Uncovered)),
    };
    origins.resize(lines.len(), None);
    let row = terms.row(running.day).or(terms.rows().first().copied());
    let record = Record {
        contract: (outcome != Outcome::Ambiguous).then(|| row.map(|row| row.id.clone())).flatten(),
        plan: running.offer.map(|offer| offer.plan.id.clone()),
        severity: running.severity.map(Into::into),
        incident: running.incident,
        billed: running.billed,
        outcome,
        reason: running.reason,
        late: running.input.timing != Timing::InTime,
        charge,
        allowances: running.uses.iter().map(|(id, used)| AllowanceUse { id: (*id).into(), used: *used }).collect(),
        lines,
        ..plain(call, zone, until)
    };
    (record, origins)
}

/// The breakdown: increments in their order, what goes beside them, minimum and cap.
fn lines(running: &Running<'_>) -> (Vec<Line>, Origins) {
    let Some(offer) = running.offer else { return (Vec::new(), Vec::new()) };
    let items = running.items.iter().chain(&running.due.beside);
    let written = items.map(|item| {
        let Item { rule, band, allowance, count, increment, unit_price, origin, begins } = *item;
        let band = band.map(|band| offer.tariff.band_name(band).into());
        let line = Line { rule, band, allowance: allowance.map(Into::into), count, increment, unit_price, amount: amount(item) };
        (line, Some((origin, begins)))
    });
    let raised = running.due.raised().map(|(more, at)| (line(Rule::Minimum, more), Some((offer.origin(at), running.now))));
    let cut = running.due.cut().map(|(less, at)| (line(Rule::Cap, -less), Some((offer.origin(at), running.now))));
    written.chain(raised).chain(cut).unzip()
}

/// The record of a call nobody pays: unmatched or ambiguous; missed, if no agent answered. `tariff` gives zone and currency.
#[must_use]
pub fn unbilled(call: &Call, found: &Match, zone: Tz, currency: Currency, until: Timestamp) -> Record {
    let (outcome, reason): (Outcome, Box<str>) = match found {
        _ if call.talks.is_empty() && call.marks.contains(&Mark::Ambiguous) => (Outcome::Ambiguous, SEVERAL_CALLERS.into()),
        _ if call.talks.is_empty() && call.ended_at.is_some() => (Outcome::Missed, missed_reason(call).into()),
        Match::Ambiguous { candidates } => (Outcome::Ambiguous, candidates.join(", ").into()),
        Match::Unmatched { reason } => (Outcome::Unmatched, reason.clone()),
        Match::Contract { .. } => (Outcome::Uncovered, "no tariff is in force".into()),
    };
    Record { outcome, reason: (!reason.is_empty()).then_some(reason), charge: nothing(currency, Decimal::ZERO), ..plain(call, zone, until) }
}

/// What every record says about its call.
fn plain(call: &Call, zone: Tz, until: Timestamp) -> Record {
    let talk = call.talk_seconds(until);
    let over = call.ended_at.unwrap_or(until);
    let wait = over.since(call.started_at).saturating_sub(call.talk_micros(until));
    Record {
        key: RecordKey::Call(call.id.clone()),
        contract: None,
        plan: None,
        hotline: call.hotline.clone(),
        service: call.service.clone(),
        direction: Some(call.direction),
        caller: party(call.caller, &call.caller_raw),
        called: party(call.called, &call.called_raw),
        agent: call.talks.first().map(|talk| talk.agent.clone()).filter(|agent| !agent.is_empty()),
        severity: call.severity.clone(),
        incident: None,
        started_at: call.started_at,
        connected_at: call.connected_at(),
        ended_at: call.ended_at,
        end: call.ended_at.map(|_| call.end),
        billed_from: (!call.talks.is_empty()).then_some(call.billed_from),
        wait: Seconds::new(u64::try_from(wait).unwrap_or(0) / 1_000_000),
        talk,
        billed: Seconds::ZERO,
        outcome: Outcome::Included,
        reason: None,
        late: false,
        charge: nothing(Currency::EUR, Decimal::ZERO),
        allowances: Vec::new(),
        lines: Vec::new(),
        fee: None,
        correlation: Some(call.correlation),
        marks: call.marks.clone(),
        zone,
    }
}

fn party(number: Option<E164>, raw: &RawNumber) -> Party {
    // An agent's own outside number is kept as received; with its plus it is a number all the same.
    let written = || raw.as_str().strip_prefix('+').and_then(|digits| E164::from_digits(digits.as_bytes()));
    number.or_else(written).map_or_else(|| Party::Raw(raw.clone()), Party::Number)
}

/// Rounds the sum of the lines once; the rest becomes a line of its own, so that lines add up exactly (§6.9).
fn charge(tariff: &Tariff, day: NaiveDate, verdict: Option<Verdict>, lines: &mut Vec<Line>, outcome: Option<Outcome>) -> (Charge, Outcome) {
    let percent = tariff.vat_percent(day).unwrap_or(Decimal::ZERO);
    if outcome.is_some_and(|outcome| outcome != Outcome::Included) {
        lines.clear();
    }
    if let Some(Verdict::GoodwillPercent(waived)) = verdict {
        let share = sum(lines).and_then(|sum| sum.checked_mul(waived)).and_then(|sum| sum.checked_div(Decimal::ONE_HUNDRED));
        if let Some(share) = share.filter(|share| !share.is_zero()) {
            lines.push(line(Rule::Goodwill, -share));
        }
    }
    let charged = sum(lines).and_then(|sum| totals(tariff, sum, percent, lines));
    match charged {
        Some(charge) => (charge, outcome.unwrap_or(if charge.net > Decimal::ZERO { Outcome::Charged } else { Outcome::Included })),
        // Sums beyond 28 digits: no call is worth that, and a guess would be worse than a visible refusal.
        None => (nothing(tariff.currency, percent), Outcome::Uncovered),
    }
}

/// Net, VAT and gross of a sum, with the rounding line added.
pub(super) fn totals(tariff: &Tariff, sum: Decimal, percent: Decimal, lines: &mut Vec<Line>) -> Option<Charge> {
    let (net, vat, gross, rest) = rounding::charge(sum, percent, tariff.prices, tariff.currency)?;
    if !rest.is_zero() {
        lines.push(line(Rule::Rounding, rest));
    }
    let due = match tariff.prices {
        PriceKind::Net => net,
        PriceKind::Gross => gross,
    };
    debug_assert_eq!(self::sum(lines), Some(due), "lines add up");
    Some(Charge { net, vat_percent: percent, vat, gross, currency: tariff.currency })
}

fn sum(lines: &[Line]) -> Option<Decimal> {
    lines.iter().try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.amount))
}

fn line(rule: Rule, amount: Decimal) -> Line {
    Line { rule, band: None, allowance: None, count: 1, increment: None, unit_price: amount, amount }
}

fn nothing(currency: Currency, percent: Decimal) -> Charge {
    Charge { net: Decimal::ZERO, vat_percent: percent, vat: Decimal::ZERO, gross: Decimal::ZERO, currency }
}

/// Why a call is ambiguous although its contract may be known.
pub(super) const SEVERAL_CALLERS: &str = "an agent's leg could belong to several callers";

/// Why nobody talked, in the words of results.
pub(super) fn missed_reason(call: &Call) -> &'static str {
    match call.missed {
        Some(MissedReason::Abandoned) => "abandoned in queue",
        Some(MissedReason::Canceled) => "cancelled",
        Some(MissedReason::Busy) => "busy",
        Some(MissedReason::NoAnswer) => "no answer",
        Some(MissedReason::Declined) => "declined",
        Some(MissedReason::Failed) | None => "failed",
    }
}

//! What goes with prices: rounding, free window, connect fee, minimum, tolerance, surcharges, caps.

use super::offers::{Filter, MANY, filter, services_of};
use super::problem::quoted;
use super::reader::{Table, Value};
use super::tariff::Names;
use crate::tariff::{BandId, Cap, CapPer, Conditions, Grant, Price, Rate, Round, RoundMode, RoundPer, Surcharge, Tolerance};
use crate::units::Seconds;
use rust_decimal::Decimal;

/// The most that a surcharge may add, in percent: more is a slip.
const MOST_PERCENT: Decimal = Decimal::from_parts(1_000, 0, 0, false, 0);

/// `free_under`, `connect`, `minimum` and `round` of a rate.
pub(super) fn conditions(table: &Table<'_>, price: Option<&Price>) -> Conditions {
    let timed = matches!(price, None | Some(Price::Steps(_) | Price::TopUp { .. }));
    let free_under = table.optional("free_under").and_then(|value| match price {
        Some(Price::Flat) => refuse(&value, "what is flat costs nothing anyway; leave it out"),
        _ => value.seconds(),
    });
    let money = |key: &'static str| {
        let value = table.optional(key)?;
        if timed { value.decimal() } else { refuse(&value, "it goes with `steps` and `top_up`; leave it out here") }
    };
    let (connect, minimum) = (money("connect"), money("minimum"));
    let round = table.optional("round").and_then(|value| match price {
        None | Some(Price::Steps(_)) => round(&value, price),
        Some(_) => refuse(&value, "it goes with `steps`; leave it out here"),
    });
    Conditions { free_under, connect, minimum, round }
}

fn refuse<T>(value: &Value<'_>, why: &str) -> Option<T> {
    value.wrong(why);
    None
}

/// `round = { per = "day", to = "15m", mode = "up" }`.
fn round(value: &Value<'_>, price: Option<&Price>) -> Option<Round> {
    let table = value.table()?;
    let words = [
        ("increment", RoundPer::Increment),
        ("call", RoundPer::Call),
        ("incident", RoundPer::Incident),
        ("day", RoundPer::Day),
        ("month", RoundPer::Month),
    ];
    let per = table.required("per", "\"call\"").and_then(|value| value.word(&words));
    let modes = [("up", RoundMode::Up), ("down", RoundMode::Down), ("half", RoundMode::Half)];
    let mode = table.required("mode", "\"up\"").and_then(|value| value.word(&modes));
    let to = match per {
        Some(RoundPer::Increment) => {
            if let Some(to) = table.optional("to") {
                to.wrong("an increment is rounded to itself; leave it out, or write per = \"call\"");
            }
            Some(None)
        }
        None => {
            table.optional("to");
            None
        }
        Some(_) => table.required("to", "\"15m\"").and_then(|to| {
            let length = to.seconds()?;
            let steps = if let Some(Price::Steps(steps)) = price { steps.as_slice() } else { &[] };
            match steps.iter().find(|step| !length.get().is_multiple_of(step.increment.get())) {
                Some(step) => {
                    let (of, next) = (step.increment, step.increment.get().saturating_mul(length.get().div_ceil(step.increment.get())));
                    refuse(&to, &format!("{length} is no multiple of the increment {of}; write for example {}", Seconds::new(next)))
                }
                None => Some(Some(length)),
            }
        }),
    };
    table.finish();
    Some(Round { per: per?, to: to?, mode: mode? })
}

/// `tolerance = "10%"`, or a quantity of what is granted.
pub(super) fn tolerance(table: &Table<'_>, grant: Option<Grant>) -> Option<Tolerance> {
    let value = table.optional("tolerance")?;
    if let Some(percent) = value.as_text().and_then(|text| text.strip_suffix('%')) {
        let percent = Decimal::from_str_exact(percent.trim()).ok();
        return match percent.filter(|percent| *percent > Decimal::ZERO && *percent <= Decimal::ONE_HUNDRED) {
            Some(percent) => Some(Tolerance::Percent(percent)),
            None => refuse(&value, "it must be more than 0% and at most 100%; write for example \"10%\""),
        };
    }
    if value.as_text().is_none() && matches!(grant, Some(Grant::Time { .. })) {
        return refuse(&value, "it is neither a part nor a time; write for example \"10%\" or \"6m\"");
    }
    Some(Tolerance::Quantity(match grant? {
        Grant::Time { .. } => value.seconds()?.get(),
        Grant::Incidents(_) | Grant::Callbacks(_) => u64::from(value.integer(1..=MANY)?),
    }))
}

/// The `[[plan.surcharge]]` tables.
pub(super) fn surcharges(plan: &Table<'_>, names: &Names) -> Vec<Surcharge> {
    let mut surcharges: Vec<Surcharge> = Vec::new();
    for table in plan.tables("surcharge") {
        let services = some_services(&table, names);
        table.required("bands", "[\"night\"]");
        let Filter { bands, severities, levels, whole } = filter(&table, names);
        let percent = table.required("percent", "50").and_then(|value| {
            let percent = value.decimal()?;
            let fits = percent > Decimal::ZERO && percent <= MOST_PERCENT;
            if fits {
                Some(percent)
            } else {
                refuse(&value, &format!("it must be more than 0 and at most {MOST_PERCENT}; write for example 50"))
            }
        });
        let line = table.line();
        if let (Some(services), Some(percent), false) = (services, percent, bands.is_empty() || !whole) {
            unsold(&table, names, &services, &bands);
            let new = Surcharge { line, services, bands, severities, levels, percent };
            match surcharges.iter().find(|before| hides(before, &new)) {
                Some(before) => {
                    let line = before.line;
                    table.wrong(format!("it never applies, the surcharge on line {line} always does before; write the special one first"));
                }
                None => surcharges.push(new),
            }
        }
        table.finish();
    }
    surcharges
}

/// A band that no service of the surcharge has would never count.
fn unsold(table: &Table<'_>, names: &Names, services: &[Box<str>], bands: &[BandId]) {
    let sold = |band| names.services.iter().any(|service| concerns(services, &service.name) && service.bands.contains(band));
    let missing = bands.iter().filter(|band| !sold(band)).filter_map(|band| names.bands.get(usize::from(band.0)));
    let missing: Vec<&str> = missing.map(AsRef::as_ref).collect();
    if let (false, Some(value)) = (missing.is_empty(), table.optional("bands")) {
        value.wrong(format!("none of its services has the band {}; add it to a service, or take it away here", quoted(missing)));
    }
}

/// Whether the later of two surcharges can never be reached.
fn hides(before: &Surcharge, later: &Surcharge) -> bool {
    covers(&before.services, &later.services)
        && covers(&before.bands, &later.bands)
        && covers(&before.severities, &later.severities)
        && covers(&before.levels, &later.levels)
}

/// Whether a list, empty for all, holds everything that another does.
pub(super) fn covers<T: PartialEq>(earlier: &[T], later: &[T]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|item| earlier.contains(item)))
}

/// The `[[plan.cap]]` tables.
pub(super) fn caps(plan: &Table<'_>, names: &Names, rates: &[Rate]) -> Vec<Cap> {
    let mut caps: Vec<Cap> = Vec::new();
    for table in plan.tables("cap") {
        let services = some_services(&table, names);
        let amount = table.required("amount", "100.00").and_then(|value| Some((value.decimal()?, value)));
        let amount = amount.and_then(|(amount, value)| match amount > Decimal::ZERO {
            true => Some((amount, value)),
            false => refuse(&value, "nothing would ever be due; write an amount, or rates with `flat = true` for what is included"),
        });
        let words = [("call", CapPer::Call), ("incident", CapPer::Incident), ("month", CapPer::Month)];
        let per = table.required("per", "\"month\"").and_then(|value| value.word(&words));
        if let (Some(services), Some((amount, value)), Some(per)) = (services, amount, per) {
            let less = |rate: &&Rate| concerns(&services, &rate.service) && rate.conditions.minimum.is_some_and(|least| least > amount);
            if let Some(rate) = rates.iter().find(less) {
                value.wrong(format!("it is less than the `minimum` of the rate on line {}; write that or more", rate.line));
            }
            let both = |before: &&Cap| {
                before.per == per
                    && (before.services.is_empty() || services.is_empty() || before.services.iter().any(|one| services.contains(one)))
            };
            match caps.iter().find(both) {
                Some(before) => table.wrong(format!("the cap on line {} holds for the same already; write one of them", before.line)),
                None => caps.push(Cap { line: table.line(), services, amount, per }),
            }
        }
        table.finish();
    }
    caps
}

/// Whether a list of services, empty for all, has this one.
fn concerns(services: &[Box<str>], service: &str) -> bool {
    services.is_empty() || services.iter().any(|one| **one == *service)
}

/// `services`, all where it is left out.
fn some_services(table: &Table<'_>, names: &Names) -> Option<Vec<Box<str>>> {
    table.optional("services").map_or(Some(Vec::new()), |value| services_of(&value, names))
}

//! Allowances and rates of a plan: what is included, and what the rest costs.

use super::bands::bands_of;
use super::conditions::{conditions, tolerance};
use super::hidden::hidden;
use super::problem::suggestion;
use super::reader::{Table, Value};
use super::tariff::{Names, known_severity};
use crate::tariff::{Allowance, BandId, Grant, Level, Period, Price, Rate, Step, Validity};
use crate::units::{Direction, Seconds};

/// The most of a thing that is counted: incidents, stations.
pub(super) const MANY: u32 = 1_000_000;

/// The `[[plan.allowance]]` tables.
pub(super) fn allowances(plan: &Table<'_>, names: &Names) -> Vec<Allowance> {
    let mut allowances: Vec<Allowance> = Vec::new();
    for table in plan.tables("allowance") {
        let id = table.optional("id");
        if let Some(allowance) = allowance(&table, names) {
            match id.filter(|_| allowances.iter().any(|known| known.id == allowance.id)) {
                Some(id) => id.wrong(format!("an allowance \"{}\" stands above already; give each its name", allowance.id)),
                None => allowances.push(allowance),
            }
        }
        table.finish();
    }
    allowances
}

fn allowance(table: &Table<'_>, names: &Names) -> Option<Allowance> {
    let id = table.required("id", "\"monthly\"").and_then(|value| value.text());
    let grant = table.one_of(&["time", "incidents", "callbacks"]).and_then(|(kind, value)| match kind {
        "time" => {
            let quantity = value.seconds();
            let increment = table.required("increment", "\"1m\"").and_then(|value| increment(&value, quantity));
            Some(Grant::Time { quantity: quantity?, increment: increment? })
        }
        "incidents" => value.integer(1..=MANY).map(Grant::Incidents),
        _ => value.integer(1..=MANY).map(Grant::Callbacks),
    });
    if grant.is_none() {
        table.optional("increment"); // whatever was meant, it is no unknown key
    }
    let per = validity(table);
    let tolerance = tolerance(table, grant);
    let carry_over = table.table("carry_over").and_then(|table| carry_over(table, grant));
    if let (Some(Validity::Activation(None)), Some(value)) = (per, table.optional("carry_over")) {
        value.wrong("what never lapses leaves no rest to carry over; leave it out, or say when the allowance lapses");
    }
    let per_station = table.optional("per_station").map_or(Some(false), |value| value.flag());
    let services = table.required("services", "[\"support\"]").and_then(|value| services_of(&value, names));
    let filter = filter(table, names);
    if let (Some(value), Some(services)) = (table.optional("bands"), &services) {
        let sold = |band: &BandId| names.services.iter().any(|known| services.contains(&known.name) && known.bands.contains(band));
        for band in filter.bands.iter().filter(|band| !sold(band)) {
            let name = names.bands.get(usize::from(band.0)).map_or("", |name| name);
            value.wrong(format!("none of its services has the band \"{name}\"; add it to a service, or take it away here"));
        }
    }
    Some(Allowance {
        id: id?.into(),
        line: table.line(),
        grant: grant?,
        per: per?,
        carry_over,
        tolerance,
        per_station: per_station?,
        services: services?,
        bands: filter.bands,
        severities: filter.severities,
        levels: filter.levels,
    })
}

/// The length in which a quantity is used up: not longer than it.
fn increment(value: &Value<'_>, quantity: Option<Seconds>) -> Option<Seconds> {
    let increment = value.seconds()?;
    match quantity {
        Some(quantity) if increment > quantity => {
            value.wrong(format!("it is longer than the whole, {quantity}; write {quantity} or less"));
            None
        }
        _ => Some(increment),
    }
}

/// `per`, and after activation `lapses`.
fn validity(table: &Table<'_>) -> Option<Validity> {
    let words = [("month", Validity::Month), ("contract-year", Validity::ContractYear), ("activation", Validity::Activation(None))];
    let per = table.required("per", "\"month\"").and_then(|value| value.word(&words))?;
    if let Validity::Activation(_) = per {
        let lapses = table.required("lapses", "\"never\"")?;
        return match lapses.as_text() {
            Some("never") => Some(Validity::Activation(None)),
            _ => lapses.period().map(|period| Validity::Activation(Some(period))),
        };
    }
    if let Some(value) = table.optional("lapses") {
        value.wrong("only what is granted once, `per = \"activation\"`, says when it lapses; the others lapse with their period");
        return None;
    }
    Some(per)
}

/// `carry_over = { at_most = "30m", lapses = "1 month" }`: how much of a rest goes on, and for how long.
fn carry_over(table: Table<'_>, grant: Option<Grant>) -> Option<(u64, Period)> {
    let most = table.required("at_most", "\"30m\"").and_then(|value| {
        let (most, granted, said) = match grant? {
            Grant::Time { quantity, .. } => (value.seconds()?.get(), quantity.get(), quantity.to_string()),
            Grant::Incidents(count) | Grant::Callbacks(count) => (u64::from(value.integer(1..=MANY)?), u64::from(count), count.to_string()),
        };
        if most > granted {
            value.wrong(format!("more than was granted, {said}, cannot be left; write {said} or less"));
        }
        Some(most)
    });
    let lapses = table.required("lapses", "\"1 month\"").and_then(|value| value.period());
    table.finish();
    Some((most?, lapses?))
}

/// To what an allowance, a rate or a surcharge is limited; empty: not at all.
pub(super) struct Filter {
    pub(super) bands: Vec<BandId>,
    pub(super) severities: Vec<Box<str>>,
    pub(super) levels: Vec<Level>,
    /// Whether all that it names was understood: else it would be taken for less limited than it is.
    pub(super) whole: bool,
}

pub(super) fn filter(table: &Table<'_>, names: &Names) -> Filter {
    let bands = table.optional("bands").and_then(|value| {
        not_empty(&value, &value.list()?);
        bands_of(&value, names.bands.iter().map(AsRef::as_ref))
    });
    let severities = severities_of(table, names);
    let levels = table.optional("levels").and_then(|value| {
        let list = value.list()?;
        not_empty(&value, &list);
        let mut levels: Vec<Level> = Vec::new();
        for (item, level) in list.iter().filter_map(|item| Some((item, Level::try_from(item.integer(1..=9)?).ok()?))) {
            if levels.contains(&level) {
                item.wrong(format!("level {level} stands here twice; take one away"));
            } else {
                levels.push(level);
            }
        }
        Some(levels)
    });
    let (bands, levels) = (bands.unwrap_or_default(), levels.unwrap_or_default());
    let named = |key| table.optional(key).and_then(|value| value.list()).map_or(0, |list| list.len());
    let whole = [(named("bands"), bands.len()), (named("severities"), severities.len()), (named("levels"), levels.len())];
    Filter { bands, severities, levels, whole: whole.iter().all(|(named, found)| named == found) }
}

/// The severities a table names; none: all.
pub(super) fn severities_of(table: &Table<'_>, names: &Names) -> Vec<Box<str>> {
    let Some(value) = table.optional("severities") else { return Vec::new() };
    let list = value.list().unwrap_or_default();
    not_empty(&value, &list);
    let mut severities: Vec<Box<str>> = Vec::new();
    for item in &list {
        match known_severity(item, &names.severities) {
            Some(text) if severities.iter().any(|known| **known == *text) => {
                item.wrong(format!("\"{text}\" stands here twice; take one away"));
            }
            Some(text) => severities.push(text.into()),
            None => {}
        }
    }
    severities
}

fn not_empty<T>(value: &Value<'_>, list: &[T]) {
    if list.is_empty() {
        value.wrong("it names none; name at least one, or leave the key out where it holds for all");
    }
}

/// A list of services by name.
pub(super) fn services_of(value: &Value<'_>, names: &Names) -> Option<Vec<Box<str>>> {
    let mut services: Vec<Box<str>> = Vec::new();
    let texts = value.texts()?;
    not_empty(value, &texts);
    for (text, item) in texts {
        if services.iter().any(|known| **known == *text) {
            item.wrong(format!("\"{text}\" stands here twice; take one away"));
        } else if let Some(service) = service_of(text, &item, names) {
            services.push(service);
        }
    }
    (!services.is_empty()).then_some(services)
}

/// A service by name.
pub(super) fn service_of(text: &str, value: &Value<'_>, names: &Names) -> Option<Box<str>> {
    let found = names.services.iter().find(|service| *service.name == *text);
    if found.is_none() {
        let known = names.services.iter().map(|service| &*service.name);
        value.wrong(format!("no service is named \"{text}\"; {}", suggestion(text, known)));
    }
    found.map(|service| service.name.clone())
}

/// The `[[plan.rate]]` tables.
pub(super) fn rates(plan: &Table<'_>, names: &Names) -> Vec<Rate> {
    let mut rates: Vec<Rate> = Vec::new();
    for table in plan.tables("rate") {
        if let Some(rate) = rate(&table, names) {
            match hidden(&rates, &rate, names).as_slice() {
                [] => rates.push(rate),
                lines => table.wrong(format!(
                    "it never applies, the {} {} always {} before; write the special one first",
                    if lines.len() == 1 { "rate on line" } else { "rates on lines" },
                    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                    if lines.len() == 1 { "does" } else { "do" },
                )),
            }
        }
        table.finish();
    }
    rates
}

fn rate(table: &Table<'_>, names: &Names) -> Option<Rate> {
    let service = table.required("service", "\"support\"").and_then(|value| service_of(value.text()?, &value, names));
    let filter = filter(table, names);
    if let (Some(value), Some(service)) = (table.optional("bands"), &service) {
        let own = names.services.iter().find(|known| known.name == *service).map_or(&[][..], |known| &known.bands);
        for band in filter.bands.iter().filter(|band| !own.contains(band)) {
            let name = names.bands.get(usize::from(band.0)).map_or("", |name| name);
            value.wrong(format!("the service \"{service}\" has no band \"{name}\"; add it to the service, or take it away here"));
        }
    }
    let direction = table.optional("direction").and_then(|value| value.word(&[("in", Direction::In), ("out", Direction::Out)]));
    let price = table.one_of(&["steps", "top_up", "incident", "flat"]).and_then(|(kind, value)| match kind {
        "steps" => steps(&value).map(Price::Steps),
        "top_up" => top_up(value.table()?),
        "incident" => value.decimal().map(Price::Incident),
        _ => value.only_true().map(|()| Price::Flat),
    });
    let conditions = conditions(table, price.as_ref());
    filter.whole.then_some(())?;
    Some(Rate {
        service: service?,
        line: table.line(),
        bands: filter.bands,
        severities: filter.severities,
        levels: filter.levels,
        direction,
        price: price?,
        conditions,
    })
}

fn steps(value: &Value<'_>) -> Option<Vec<Step>> {
    let list = value.list()?;
    if list.is_empty() {
        value.wrong("it names no step; write for example [{ from = \"0s\", increment = \"1m\", price = 0.50 }]");
    }
    let mut steps: Vec<Step> = Vec::new();
    for item in &list {
        let Some(table) = item.table() else { continue };
        let from = table.required("from", "\"0s\"").and_then(|value| Some((value.parsed("a time such as \"5m\"", Seconds::parse)?, value)));
        let increment = table.required("increment", "\"1m\"").and_then(|value| value.seconds());
        let price = table.required("price", "0.50").and_then(|value| value.decimal());
        table.finish();
        let (Some((from, place)), Some(increment), Some(price)) = (from, increment, price) else { continue };
        match steps.last() {
            None if from > Seconds::ZERO => place.wrong("the first step begins at \"0s\"; write that, or a step before this one"),
            Some(before) if from <= before.from => {
                place.wrong(format!("it does not begin after the step before, {}; write steps in order", before.from));
            }
            Some(before) if !(from.get() - before.from.get()).is_multiple_of(before.increment.get()) => {
                let length = before.increment;
                let begun = from.get() - (from.get() - before.from.get()) % length.get();
                let (last, next) = (Seconds::new(begun), Seconds::new(begun.saturating_add(length.get())));
                let right = if last > before.from { format!("{last} or {next}") } else { next.to_string() };
                place.wrong(format!(
                    "{from} is inside an increment of {length} of the step before, which is charged in full; write {right}"
                ));
            }
            _ => {}
        }
        steps.push(Step { from, increment, price });
    }
    (!steps.is_empty() && steps.len() == list.len()).then_some(steps)
}

fn top_up(table: Table<'_>) -> Option<Price> {
    let quantity = table.required("quantity", "\"1h\"").and_then(|value| value.seconds());
    let price = table.required("price", "89.00").and_then(|value| value.decimal());
    let increment = table.required("increment", "\"15m\"").and_then(|value| increment(&value, quantity));
    let per = validity(&table);
    table.finish();
    Some(Price::TopUp { quantity: quantity?, price: price?, increment: increment?, per: per? })
}

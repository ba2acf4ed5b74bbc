//! The plans of a tariff file: fee, allowances, rates, conditions (design.md §5).

use super::problem::{quoted, suggestion};
use super::reader::{Table, Value};
use super::tariff::{Names, bands_of, known_severity};
use crate::tariff::{
    Allowance, BandId, Callers, DecisionRule, Fee, FeePer, Grant, Level, Period, PlanVersion, Price, Rate, Resolved, Response, Step,
    Validity,
};
use crate::units::{Direction, Seconds};
use std::collections::BTreeSet;

/// The most of a thing that is counted: incidents, stations.
const MANY: u32 = 1_000_000;

/// Every `[[plan]]` of a file, with the rules between them checked.
pub(super) fn plans(root: &Table<'_>, names: &Names) -> Vec<PlanVersion> {
    let tables = root.tables("plan");
    if tables.is_empty() {
        root.wrong("there is no [[plan]]; write at least one");
    }
    let ids: Vec<&str> = tables.iter().filter_map(|table| table.optional("id")?.as_text()).collect();
    let mut read: Vec<(Table<'_>, PlanVersion)> = Vec::new();
    for table in tables {
        let Some(plan) = plan(&table, names, &ids) else {
            table.finish();
            continue;
        };
        match read.iter().find(|(_, known)| known.id == plan.id && known.valid_from == plan.valid_from) {
            Some((_, known)) => {
                let (id, day, line) = (&plan.id, plan.valid_from, known.line);
                table.wrong(format!("a version of \"{id}\" from {day} stands on line {line} already; give each version its day"));
                table.finish();
            }
            None => read.push((table, plan)),
        }
    }
    circles(&read);
    for (table, plan) in &read {
        unpriced(table, names, plan, &read);
    }
    read.into_iter()
        .map(|(table, plan)| {
            table.finish();
            plan
        })
        .collect()
}

fn plan(table: &Table<'_>, names: &Names, ids: &[&str]) -> Option<PlanVersion> {
    let id = table.required("id", "\"support-level-1\"").and_then(|value| value.text());
    let valid_from = table.required("valid_from", "2019-01-01").and_then(|value| value.date());
    let fee = table.required("fee", "\"none\"").and_then(|value| fee(&value));
    let allowances = allowances(table, names);
    let rates = rates(table, names);
    let decision = table.table("decision").and_then(|table| decision(table, names));
    let responses = table.tables("response").into_iter().filter_map(|table| response(table, names)).collect();
    let callers =
        table.required("callers", "\"any\"").and_then(|value| value.word(&[("any", Callers::Any), ("authorised", Callers::Authorised)]));
    let stations = table.table("stations").and_then(stations);
    let term = table.optional("term").and_then(|value| value.period());
    let renewal = table.optional("renewal");
    if let (Some(renewal), None) = (&renewal, table.optional("term")) {
        renewal.wrong("a plan without a `term` has nothing to renew; write `term` too, or leave it out");
    }
    let renewal = renewal.and_then(|value| value.period());
    let notice = table.optional("notice").and_then(|value| value.period());
    let others = |key| other_plans(table, key, id, ids);
    let (requires, includes, supersedes) = (others("requires"), others("includes"), others("supersedes"));
    Some(PlanVersion {
        id: id?.into(),
        valid_from: valid_from?,
        line: table.line(),
        fee: fee?,
        allowances,
        rates,
        decision,
        responses,
        callers: callers?,
        stations,
        term,
        renewal,
        notice,
        requires,
        includes,
        supersedes,
    })
}

fn fee(value: &Value<'_>) -> Option<Option<Fee>> {
    if value.as_text() == Some("none") {
        return Some(None);
    }
    if !value.is_table() {
        value.wrong("it is no fee; write \"none\", or for example { amount = 39.00, per = \"month\" }");
        return None;
    }
    let table = value.table()?;
    let amount = table.required("amount", "39.00").and_then(|value| value.decimal());
    let periods = [("month", FeePer::Month), ("year", FeePer::Year), ("year-and-station", FeePer::YearAndStation)];
    let per = table.required("per", "\"month\"").and_then(|value| value.word(&periods));
    table.finish();
    Some(Some(Fee { amount: amount?, per: per? }))
}

fn stations(table: Table<'_>) -> Option<(u32, u32)> {
    let from = table.required("from", "1").and_then(|value| value.integer(0..=MANY));
    let to = table.required("to", "5").and_then(|value| Some((value.integer(0..=MANY)?, value)));
    if let (Some(from), Some((to, value))) = (from, &to)
        && *to < from
    {
        value.wrong(format!("it is less than `from`; write {from} or more"));
    }
    table.finish();
    Some((from?, to?.0))
}

fn other_plans(table: &Table<'_>, key: &'static str, own: Option<&str>, ids: &[&str]) -> Vec<Box<str>> {
    let mut others: Vec<Box<str>> = Vec::new();
    for (text, value) in table.optional(key).and_then(|value| value.texts()).unwrap_or_default() {
        if own == Some(text) {
            value.wrong("a plan cannot name itself; name another, or leave it out");
        } else if others.iter().any(|known| **known == *text) {
            value.wrong(format!("\"{text}\" stands here twice; take one away"));
        } else if ids.contains(&text) {
            others.push(text.into());
        } else {
            value.wrong(format!("no plan of this tariff is named \"{text}\"; {}", suggestion(text, ids.iter().copied())));
        }
    }
    others
}

/// A plan that requires or includes itself through others could never be held.
fn circles(read: &[(Table<'_>, PlanVersion)]) {
    for key in ["requires", "includes"] {
        let next = |plan: &PlanVersion| if key == "requires" { plan.requires.clone() } else { plan.includes.clone() };
        for (table, plan) in read {
            let reached = reached(read, next(plan), next);
            if reached.contains(&plan.id)
                && let Some(value) = table.optional(key)
            {
                value.wrong(format!("\"{}\" {key} itself in a circle; break it", plan.id));
            }
        }
    }
}

/// All plans that can be reached from some, through all versions of each.
fn reached(read: &[(Table<'_>, PlanVersion)], from: Vec<Box<str>>, next: impl Fn(&PlanVersion) -> Vec<Box<str>>) -> BTreeSet<Box<str>> {
    let (mut reached, mut open) = (BTreeSet::new(), from);
    while let Some(id) = open.pop() {
        if reached.insert(id.clone()) {
            open.extend(read.iter().filter(|(_, other)| other.id == id).flat_map(|(_, other)| next(other)));
        }
    }
    reached
}

fn allowances(plan: &Table<'_>, names: &Names) -> Vec<Allowance> {
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
    let per = validity(table);
    let carry_over = table.table("carry_over").and_then(|table| carry_over(table, grant));
    let per_station = table.optional("per_station").map_or(Some(false), |value| value.flag());
    let services = table.required("services", "[\"support\"]").and_then(|value| services_of(&value, names));
    let filter = filter(table, names);
    Some(Allowance {
        id: id?.into(),
        line: table.line(),
        grant: grant?,
        per: per?,
        carry_over,
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
    let most = table.required("at_most", "\"30m\"").and_then(|value| match grant? {
        Grant::Time { .. } => value.seconds().map(Seconds::get),
        Grant::Incidents(_) | Grant::Callbacks(_) => value.integer(1..=MANY).map(u64::from),
    });
    let lapses = table.required("lapses", "\"1 month\"").and_then(|value| value.period());
    table.finish();
    Some((most?, lapses?))
}

#[derive(Default)]
struct Filter {
    bands: Vec<BandId>,
    severities: Vec<Box<str>>,
    levels: Vec<Level>,
}

fn filter(table: &Table<'_>, names: &Names) -> Filter {
    let bands = table.optional("bands").and_then(|value| {
        let bands = bands_of(&value, names.bands.iter().map(AsRef::as_ref))?;
        not_empty(&value, &bands);
        Some(bands)
    });
    let severities = severities_of(table, names);
    let levels = table.optional("levels").and_then(|value| {
        let levels: Vec<Level> =
            value.list()?.iter().filter_map(|item| item.integer(1..=9)).filter_map(|level| Level::try_from(level).ok()).collect();
        not_empty(&value, &levels);
        Some(levels)
    });
    Filter { bands: bands.unwrap_or_default(), severities, levels: levels.unwrap_or_default() }
}

fn severities_of(table: &Table<'_>, names: &Names) -> Vec<Box<str>> {
    let Some(value) = table.optional("severities") else { return Vec::new() };
    let list = value.list().unwrap_or_default();
    not_empty(&value, &list);
    list.iter().filter_map(|item| known_severity(item, &names.severities)).map(Into::into).collect()
}

fn not_empty<T>(value: &Value<'_>, list: &[T]) {
    if list.is_empty() {
        value.wrong("it names none; name at least one, or leave the key out where it holds for all");
    }
}

fn services_of(value: &Value<'_>, names: &Names) -> Option<Vec<Box<str>>> {
    let mut services: Vec<Box<str>> = Vec::new();
    for (text, item) in value.texts()? {
        if services.iter().any(|known| **known == *text) {
            item.wrong(format!("\"{text}\" stands here twice; take one away"));
        } else if let Some(service) = service_of(text, &item, names) {
            services.push(service);
        }
    }
    not_empty(value, &services);
    (!services.is_empty()).then_some(services)
}

fn service_of(text: &str, value: &Value<'_>, names: &Names) -> Option<Box<str>> {
    let found = names.services.iter().find(|service| *service.name == *text);
    if found.is_none() {
        let known = names.services.iter().map(|service| &*service.name);
        value.wrong(format!("no service is named \"{text}\"; {}", suggestion(text, known)));
    }
    found.map(|service| service.name.clone())
}

fn rates(plan: &Table<'_>, names: &Names) -> Vec<Rate> {
    let mut rates: Vec<Rate> = Vec::new();
    for table in plan.tables("rate") {
        if let Some(rate) = rate(&table, names) {
            match rates.iter().find(|earlier| hides(earlier, &rate)) {
                Some(earlier) => {
                    table.wrong(format!(
                        "it never applies, the rate on line {} always does before; write the special one first",
                        earlier.line
                    ));
                }
                None => rates.push(rate),
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
    Some(Rate {
        service: service?,
        line: table.line(),
        bands: filter.bands,
        severities: filter.severities,
        levels: filter.levels,
        direction,
        price: price?,
    })
}

/// Whether the later of two rates can never be reached.
fn hides(earlier: &Rate, later: &Rate) -> bool {
    fn covers<T: PartialEq>(earlier: &[T], later: &[T]) -> bool {
        earlier.is_empty() || (!later.is_empty() && later.iter().all(|item| earlier.contains(item)))
    }
    earlier.service == later.service
        && covers(&earlier.bands, &later.bands)
        && covers(&earlier.severities, &later.severities)
        && covers(&earlier.levels, &later.levels)
        && (earlier.direction.is_none() || earlier.direction == later.direction)
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
                place.wrong(format!("it begins inside an increment of {} of the step before; begin it where one ends", before.increment));
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

fn decision(table: Table<'_>, names: &Names) -> Option<DecisionRule> {
    let services = table.optional("services").map_or(Some(Vec::new()), |value| services_of(&value, names));
    let default = table.optional("default");
    let after = table.optional("after");
    if let (Some(one), None) | (None, Some(one)) = (&default, &after) {
        one.wrong("`default` and `after` belong together; write both, or neither where a call waits for ever");
    }
    let words = [("customer", Resolved::Customer), ("provider", Resolved::Provider)];
    let default = match (default, after) {
        (Some(default), Some(after)) => {
            let (default, after) = (default.word(&words), after.period());
            Some((after?, default?))
        }
        _ => None,
    };
    table.finish();
    Some(DecisionRule { services: services?, default })
}

fn response(table: Table<'_>, names: &Names) -> Option<Response> {
    let severities = severities_of(&table, names);
    let within = table.required("within", "\"4h\"").and_then(|value| value.seconds());
    let bands = match table.optional("bands") {
        Some(value) => bands_of(&value, names.bands.iter().map(AsRef::as_ref)),
        None => Some(Vec::new()),
    };
    table.finish();
    Some(Response { severities, within: within?, bands: bands? })
}

/// `[[plan.uncovered]]`: bands in which the plan does not sell a service it else prices.
fn uncovered(plan: &Table<'_>, names: &Names) -> Vec<(Box<str>, Vec<BandId>)> {
    let mut all = Vec::new();
    for table in plan.tables("uncovered") {
        let service = table.required("service", "\"emergency\"").and_then(|value| service_of(value.text()?, &value, names));
        let bands = table.required("bands", "[\"night\"]").and_then(|value| bands_of(&value, names.bands.iter().map(AsRef::as_ref)));
        table.finish();
        all.extend(service.zip(bands));
    }
    all
}

/// A plan that prices a service in some of its bands, by itself or through plans it includes, must say that it does not in
/// the others.
fn unpriced(table: &Table<'_>, names: &Names, plan: &PlanVersion, read: &[(Table<'_>, PlanVersion)]) {
    let uncovered = uncovered(table, names);
    let included = reached(read, plan.includes.clone(), |plan| plan.includes.clone());
    let others = read.iter().filter(|(_, other)| included.contains(&other.id)).flat_map(|(_, other)| &other.rates);
    let rates: Vec<&Rate> = plan.rates.iter().chain(others).collect();
    for service in names.services.iter().filter(|service| plan.rates.iter().any(|rate| rate.service == service.name)) {
        let own: Vec<&&Rate> = rates.iter().filter(|rate| rate.service == service.name).collect();
        if own.iter().any(|rate| rate.bands.is_empty()) {
            continue;
        }
        let declared = |band: &BandId| uncovered.iter().any(|(name, bands)| *name == service.name && bands.contains(band));
        let priced = |band: &BandId| own.iter().any(|rate| rate.bands.contains(band));
        let missing: Vec<&str> = service
            .bands
            .iter()
            .filter(|band| !priced(band) && !declared(band))
            .filter_map(|band| names.bands.get(usize::from(band.0)).map(AsRef::as_ref))
            .collect();
        if !missing.is_empty() {
            let (name, bands) = (&service.name, quoted(missing.iter().copied()));
            table.wrong(format!(
                "no rate prices the service \"{name}\" in {bands}; add one, or declare it with `[[plan.uncovered]]`, `service` and `bands`"
            ));
        }
    }
}

//! The plans of a tariff file: fee, allowances, rates, conditions (design.md §5).

use super::bands::bands_of;
use super::conditions::{caps, covers, surcharges};
use super::offers::{MANY, allowances, rates, service_of, services_of, severities_of};
use super::problem::{quoted, suggestion};
use super::reader::{Table, Value};
use super::slips;
use super::tariff::Names;
use crate::tariff::{BandId, Callers, DecisionRule, Fee, FeePer, PlanVersion, Rate, Resolved, Response};
use std::collections::BTreeSet;

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
            uncovered(&table, names); // asked for, so that it is no unknown key
            table.finish();
            continue;
        };
        match read.iter().find(|(_, known)| known.id == plan.id && known.valid_from == plan.valid_from) {
            Some((_, known)) => {
                let (id, day, line) = (&plan.id, plan.valid_from, known.line);
                table.wrong(format!("a version of \"{id}\" from {day} stands on line {line} already; give each version its day"));
                uncovered(&table, names);
                table.finish();
            }
            None => read.push((table, plan)),
        }
    }
    circles(&read);
    for (table, plan) in &read {
        let included = reached(&read, plan.includes.clone(), |plan| plan.includes.clone());
        let others = read.iter().filter(|(_, other)| included.contains(&other.id)).map(|(_, other)| other);
        let offers: Vec<&PlanVersion> = [plan].into_iter().chain(others).collect();
        unpriced(table, names, &offers);
        slips::of_plan(table, names, &offers);
    }
    slips::of_versions(read.iter().map(|(table, plan)| (table, plan)));
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
    let surcharges = surcharges(table, names);
    let caps = caps(table, names, &rates);
    let decision = table.table("decision").and_then(|table| decision(table, names));
    let responses = responses(table, names);
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
        surcharges,
        caps,
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
            let right = suggestion(text, ids.iter().copied());
            value.wrong(format!("no plan of this tariff is named \"{text}\", and those of other files cannot be named here; {right}"));
        }
    }
    others
}

/// A plan that requires or includes itself through others could never be held.
fn circles(read: &[(Table<'_>, PlanVersion)]) {
    for key in ["requires", "includes", "supersedes"] {
        let next = |plan: &PlanVersion| match key {
            "requires" => plan.requires.clone(),
            "includes" => plan.includes.clone(),
            _ => plan.supersedes.clone(),
        };
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

/// The `[[plan.response]]` tables: of each severity the first counts.
fn responses(plan: &Table<'_>, names: &Names) -> Vec<Response> {
    let mut responses: Vec<Response> = Vec::new();
    for table in plan.tables("response") {
        let Some(new) = response(&table, names) else {
            table.finish();
            continue;
        };
        if responses.iter().any(|before| covers(&before.severities, &new.severities)) {
            table.wrong("it never counts, one above always does before; write one for each severity, and one for the others last");
        } else {
            responses.push(new);
        }
        table.finish();
    }
    responses
}

fn response(table: &Table<'_>, names: &Names) -> Option<Response> {
    let severities = severities_of(table, names);
    let within = table.required("within", "\"4h\"").and_then(|value| value.seconds());
    let bands = match table.optional("bands") {
        Some(value) => bands_of(&value, names.bands.iter().map(AsRef::as_ref)),
        None => Some(Vec::new()),
    };
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
/// the others, and only there.
fn unpriced(table: &Table<'_>, names: &Names, offers: &[&PlanVersion]) {
    let uncovered = uncovered(table, names);
    let Some(plan) = offers.first().filter(|plan| table.tables("rate").len() == plan.rates.len()) else {
        return; // a rate that could not be read prices something
    };
    let rates: Vec<&Rate> = offers.iter().flat_map(|plan| &plan.rates).collect();
    for service in names.services.iter().filter(|service| plan.rates.iter().any(|rate| rate.service == service.name)) {
        let severities: Vec<Option<&str>> = match names.severities.as_slice() {
            [] => vec![None],
            some => some.iter().map(|severity| Some(&**severity)).collect(),
        };
        let declared = |band: &BandId| uncovered.iter().any(|(name, bands)| *name == service.name && bands.contains(band));
        let priced = |band: &BandId, severity: Option<&str>| {
            let own = rates.iter().filter(|rate| rate.service == service.name);
            let mut own = own.filter(|rate| severity.is_none_or(|severity| holds(&rate.severities, severity)));
            own.any(|rate| rate.bands.is_empty() || rate.bands.contains(band))
        };
        let named = |bands: Vec<BandId>| quoted(bands.iter().filter_map(|band| names.bands.get(usize::from(band.0))).map(AsRef::as_ref));
        let missing =
            |severity| -> Vec<BandId> { service.bands.iter().filter(|band| !priced(band, severity) && !declared(band)).copied().collect() };
        if let Some((severity, bands)) = severities.iter().map(|one| (*one, missing(*one))).find(|(_, bands)| !bands.is_empty()) {
            let (name, all) = (&service.name, severities.iter().all(|other| missing(*other) == bands));
            let of = severity.filter(|_| !all).map_or(String::new(), |severity| format!(" of severity \"{severity}\""));
            table.wrong(format!(
                "no rate prices the service \"{name}\"{of} in {}; add one, or declare it with `[[plan.uncovered]]`, `service` and `bands`",
                named(bands)
            ));
        }
        let sold: Vec<BandId> = service.bands.iter().filter(|band| declared(band)).copied().collect();
        let sold: Vec<BandId> = sold.into_iter().filter(|band| severities.iter().all(|severity| priced(band, *severity))).collect();
        if !sold.is_empty() {
            let (name, bands) = (&service.name, named(sold));
            table.wrong(format!(
                "the service \"{name}\" is declared uncovered in {bands}, and a rate prices it there; take one of them away"
            ));
        }
    }
}

/// Whether a list of severities, empty for all, has this one.
fn holds(severities: &[Box<str>], severity: &str) -> bool {
    severities.is_empty() || severities.iter().any(|known| **known == *severity)
}

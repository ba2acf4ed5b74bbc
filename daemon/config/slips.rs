//! What works in a plan, and is probably not meant: warnings.
//!
//! The one invariant: nothing here refuses a tariff; each warning says what happens as it stands.

use super::problem::quoted;
use super::reader::Table;
use super::tariff::Names;
use crate::tariff::{Allowance, BandId, CapPer, Grant, PlanVersion, Price, Rate, RoundPer, Validity};
use rust_decimal::Decimal;

/// Looks at a plan; of `offers` the first is the plan itself, the others those it includes.
pub(super) fn of_plan(table: &Table<'_>, names: &Names, offers: &[&PlanVersion]) {
    let whole =
        |plan: &&&PlanVersion| table.tables("rate").len() == plan.rates.len() && table.tables("allowance").len() == plan.allowances.len();
    let Some(plan) = offers.first().filter(whole) else { return }; // what could not be read is no slip
    fee_and_term(table, plan);
    others(table, plan);
    severities_and_levels(table, plan, names);
    for (own, allowance) in table.tables("allowance").iter().zip(&plan.allowances).filter(|(own, one)| own.line() == one.line) {
        never_used(own, allowance, names, offers);
        tolerance(own, allowance);
    }
    for (own, rate) in table.tables("rate").iter().zip(&plan.rates).filter(|(own, rate)| own.line() == rate.line) {
        rate_conditions(own, rate, plan, offers);
    }
    conditions(table, plan, names, offers);
}

/// Versions are easier to read in the order in which they hold.
pub(super) fn of_versions<'t, 'a: 't>(versions: impl Iterator<Item = (&'t Table<'a>, &'t PlanVersion)>) {
    let mut last: Vec<&PlanVersion> = Vec::new();
    for (table, plan) in versions {
        match last.iter_mut().find(|before| before.id == plan.id) {
            Some(before) if before.valid_from > plan.valid_from => {
                if let Some(value) = table.optional("valid_from") {
                    let (line, from) = (before.line, before.valid_from);
                    value.warning(format!("the version on line {line} is valid from {from}, later than this one; write versions in order"));
                }
            }
            Some(before) => *before = plan,
            None => last.push(plan),
        }
    }
}

fn fee_and_term(table: &Table<'_>, plan: &PlanVersion) {
    if let (Some(fee), Some(value)) = (plan.fee, table.optional("fee"))
        && fee.amount.is_zero()
    {
        value.warning("a record of 0.00 is posted each period; write \"none\" where no fee is due");
    }
    if let (Some(_), None, Some(value)) = (plan.term, plan.renewal, table.optional("notice")) {
        value.warning("without a `renewal` the contract ends with its term, whether anybody gives notice or not");
    }
}

/// What it says about other plans and does not come to anything.
fn others(table: &Table<'_>, plan: &PlanVersion) {
    if let Some(value) = table.optional("requires") {
        for twice in plan.requires.iter().filter(|id| plan.includes.contains(id)) {
            value.warning(format!("\"{twice}\" comes with this plan, as `includes` says, so every contract has it; take it away here"));
        }
    }
}

/// Calls without a severity, or with an agent of another level, that no rate is for.
fn severities_and_levels(table: &Table<'_>, plan: &PlanVersion, names: &Names) {
    let mut said: Vec<&str> = Vec::new();
    for service in plan.rates.iter().map(|rate| &*rate.service) {
        if said.contains(&service) {
            continue;
        }
        said.push(service);
        let own = || plan.rates.iter().filter(move |rate| *rate.service == *service);
        if !names.default_severity && own().all(|rate| !rate.severities.is_empty()) {
            table.warning(format!(
                "calls of \"{service}\" without a severity are uncovered: every rate names some; write a `default_severity`"
            ));
        }
        if own().all(|rate| !rate.levels.is_empty()) {
            table.warning(format!("calls of \"{service}\" with agents of no level, or of another, are uncovered: every rate names some"));
        }
    }
}

/// Time and incidents are used only where there is a rate; elsewhere calls are uncovered.
fn never_used(own: &Table<'_>, allowance: &Allowance, names: &Names, offers: &[&PlanVersion]) {
    if matches!(allowance.grant, Grant::Callbacks(_)) {
        return; // they are sold by being counted
    }
    let serves = |band: &BandId| allowance.bands.is_empty() || allowance.bands.contains(band);
    let priced = |service: &str, band: &BandId| {
        let mut rates = offers.iter().flat_map(|plan| &plan.rates);
        rates.any(|rate| *rate.service == *service && (rate.bands.is_empty() || rate.bands.contains(band)))
    };
    let unused = names.services.iter().filter(|service| allowance.services.contains(&service.name));
    let unused = unused.filter(|service| !service.bands.iter().any(|band| serves(band) && priced(&service.name, band)));
    let unused: Vec<&str> = unused.map(|service| &*service.name).collect();
    if !unused.is_empty() {
        let where_ = if allowance.bands.is_empty() { "" } else { " in its bands" };
        own.warning(format!(
            "it is never used for {}: no rate prices that{where_}, so such calls are uncovered; add a rate (`flat = true` costs nothing)",
            quoted(unused)
        ));
    }
}

fn tolerance(own: &Table<'_>, allowance: &Allowance) {
    let (Some(tolerance), Some(value)) = (allowance.tolerance, own.optional("tolerance")) else { return };
    let granted = match allowance.grant {
        Grant::Time { quantity, .. } => quantity.get(),
        Grant::Incidents(count) | Grant::Callbacks(count) => u64::from(count),
    };
    match tolerance.of(granted) {
        0 => value.warning("of what is granted it comes to nothing; write a number of what is granted"),
        free if free > granted => value.warning("it is more than what is granted; is the allowance itself meant to be larger?"),
        _ => {}
    }
}

fn rate_conditions(own: &Table<'_>, rate: &Rate, plan: &PlanVersion, offers: &[&PlanVersion]) {
    if let Price::TopUp { per, .. } = &rate.price {
        let other = plan.allowances.iter().find(|one| {
            one.per != *per
                && !matches!(one.per, Validity::Activation(_))
                && matches!(one.grant, Grant::Time { .. })
                && one.services.contains(&rate.service)
        });
        if let (Some(one), Some(value)) = (other, own.optional("top_up")) {
            let word = |per: Validity| match per {
                Validity::Month => "month",
                Validity::ContractYear => "contract-year",
                Validity::Activation(_) => "activation",
            };
            value.warning(format!(
                "what is bought lasts for the {}, the allowance \"{}\" on line {} for the {}; is that meant?",
                word(*per),
                one.id,
                one.line,
                word(one.per)
            ));
        }
    }
    if rate.conditions.round.is_some_and(|round| round.per == RoundPer::Incident)
        && !forms_incidents(offers, std::slice::from_ref(&rate.service))
        && let Some(value) = own.optional("round")
    {
        value.warning("this service has neither prices per incident nor included incidents, so its calls form none; round per \"call\"");
    }
    for (key, amount) in [("connect", rate.conditions.connect), ("minimum", rate.conditions.minimum)] {
        if let (Some(true), Some(value)) = (amount.map(|amount: Decimal| amount.is_zero()), own.optional(key)) {
            value.warning("it is nothing; leave it out");
        }
    }
}

/// Surcharges, caps and decisions that concern nothing the plan sells.
fn conditions(table: &Table<'_>, plan: &PlanVersion, names: &Names, offers: &[&PlanVersion]) {
    let rates = || offers.iter().flat_map(|plan| &plan.rates);
    let concerns = |services: &[Box<str>], name: &str| services.is_empty() || services.iter().any(|one| **one == *name);
    for (own, surcharge) in table.tables("surcharge").iter().zip(&plan.surcharges).filter(|(own, one)| own.line() == one.line) {
        let costs = |rate: &Rate| {
            let sold = names.services.iter().find(|service| service.name == rate.service).map_or(&[][..], |service| &service.bands);
            let bands = if rate.bands.is_empty() { sold } else { &rate.bands };
            rate.price != Price::Flat
                && concerns(&surcharge.services, &rate.service)
                && bands.iter().any(|band| surcharge.bands.contains(band))
        };
        if !rates().any(costs) {
            own.warning("nothing has a price in its bands, so it adds nothing");
        }
    }
    for (own, cap) in table.tables("cap").iter().zip(&plan.caps).filter(|(own, one)| own.line() == one.line) {
        if !rates().any(|rate| rate.price != Price::Flat && concerns(&cap.services, &rate.service)) {
            own.warning("nothing it holds for has a price in this plan, so it limits nothing");
        } else if cap.per == CapPer::Incident && !forms_incidents(offers, &cap.services) {
            own.warning(
                "what it holds for has neither prices per incident nor included incidents, so its calls form none; limit it per \"call\"",
            );
        }
    }
    if let (Some(rule), Some(own)) = (&plan.decision, table.table("decision")) {
        let sold = |name: &str| offers.iter().any(|plan| sells(plan, name));
        for service in rule.services.iter().filter(|service| !sold(service)) {
            own.warning(format!("this plan does not sell \"{service}\", so no call of it waits for a decision"));
        }
    }
}

/// Whether calls of one of these services (empty: of any) form incidents.
fn forms_incidents(offers: &[&PlanVersion], services: &[Box<str>]) -> bool {
    let concerns = |name: &str| services.is_empty() || services.iter().any(|one| **one == *name);
    offers.iter().any(|plan| {
        plan.rates.iter().any(|rate| matches!(rate.price, Price::Incident(_)) && concerns(&rate.service))
            || plan.allowances.iter().any(|one| matches!(one.grant, Grant::Incidents(_)) && one.services.iter().any(|name| concerns(name)))
    })
}

/// Whether a plan has a price for a service, or something included.
pub(super) fn sells(plan: &PlanVersion, service: &str) -> bool {
    plan.rates.iter().any(|rate| *rate.service == *service)
        || plan.allowances.iter().any(|one| one.services.iter().any(|name| **name == *service))
}

//! What a plan says, in the words of an accountant: for `taktd check`.
//!
//! The one invariant: every key of a plan that touches a bill or a promise is told; nothing is computed here.

use super::problem::quoted;
use crate::tariff::{
    Allowance, BandId, Callers, Cap, CapPer, FeePer, Grant, Level, Period, PlanVersion, Price, Rate, Resolved, Response, RoundMode,
    RoundPer, Step, Surcharge, Tariff, Tolerance, Validity,
};
use crate::units::{Direction, Seconds};

/// Fee, term, who may call, what is included, what goes with prices: a line each.
pub(super) fn terms(tariff: &Tariff, plan: &PlanVersion) -> Vec<String> {
    let mut lines = vec![[fee(plan), callers(plan), term(plan)].concat()];
    for (word, plans) in [("requires", &plan.requires), ("includes", &plan.includes), ("supersedes", &plan.supersedes)] {
        if !plans.is_empty() {
            lines.push(format!("{word:<9} {}", plans.join(", ")));
        }
    }
    lines.extend(plan.allowances.iter().map(|one| format!("included  {}", allowance(tariff, one))));
    lines.extend(plan.surcharges.iter().map(|one| format!("surcharge {}", surcharge(tariff, one))));
    lines.extend(plan.caps.iter().map(|one| format!("at most   {}", cap(one))));
    if let Some(rule) = &plan.decision {
        let of = if rule.services.is_empty() { String::new() } else { format!(" of {}", rule.services.join(", ")) };
        let then = match rule.default {
            Some((after, Resolved::Customer)) => format!("without one the customer pays after {}", length(after)),
            Some((after, Resolved::Provider)) => format!("without one it is free after {}", length(after)),
            None => "without one it is never billed".to_owned(),
        };
        lines.push(format!("decision  a call{of} is held until someone says whose fault it was; {then}"));
    }
    lines.extend(plan.responses.iter().map(|one| format!("response  {}", response(tariff, one))));
    lines
}

fn fee(plan: &PlanVersion) -> String {
    match plan.fee {
        None => "no fee".to_owned(),
        Some(fee) => {
            let per = match fee.per {
                FeePer::Month => "month",
                FeePer::Year => "year",
                FeePer::YearAndStation => "year and station",
            };
            format!("fee {} per {per}", fee.amount)
        }
    }
}

fn callers(plan: &PlanVersion) -> String {
    let who = match plan.callers {
        Callers::Any => "; any of the contract's numbers may call",
        Callers::Authorised => "; only authorised numbers may call",
    };
    let stations = plan.stations.map_or(String::new(), |(from, to)| format!("; for {from} to {to} stations"));
    format!("{who}{stations}")
}

fn term(plan: &PlanVersion) -> String {
    let term = match (plan.term, plan.renewal) {
        (None, _) => "; no fixed term".to_owned(),
        (Some(term), None) => format!("; ends after {}", length(term)),
        (Some(term), Some(renewal)) => format!("; term {}, then {} again and again", length(term), length(renewal)),
    };
    let notice = plan.notice.map_or(String::new(), |notice| format!(", notice {}", length(notice)));
    term + &notice
}

fn allowance(tariff: &Tariff, one: &Allowance) -> String {
    let (what, used) = match one.grant {
        Grant::Time { quantity, increment } => (format!("{quantity} of talk"), format!(", used in increments of {increment}")),
        Grant::Incidents(count) => (counted(count, "incident"), String::new()),
        Grant::Callbacks(count) => (counted(count, "callback"), String::new()),
    };
    let station = if one.per_station { " and station" } else { "" };
    let per = match one.per {
        Validity::Month => format!("per month{station}"),
        Validity::ContractYear => format!("per contract year{station}"),
        Validity::Activation(lapses) => {
            let each = if one.per_station { " for each station" } else { "" };
            format!("once after activation{each}, {}", lapses.map_or("never lapsing".to_owned(), |after| format!("for {}", length(after))))
        }
    };
    let carried = one.carry_over.map_or(String::new(), |(most, period)| {
        let most = if matches!(one.grant, Grant::Time { .. }) { Seconds::new(most).to_string() } else { most.to_string() };
        format!("; of the rest at most {most} for {} more", length(period))
    });
    let tolerance = match one.tolerance {
        None => String::new(),
        Some(Tolerance::Percent(percent)) => format!("; {percent} % beyond it are free"),
        Some(Tolerance::Quantity(most)) if matches!(one.grant, Grant::Time { .. }) => {
            format!("; {} beyond it are free", Seconds::new(most))
        }
        Some(Tolerance::Quantity(most)) => format!("; {most} beyond it are free"),
    };
    let limits = limits(tariff, &one.bands, &one.severities, &one.levels);
    format!("{what} {per}{used}, for {}{limits}{carried}{tolerance} ({})", one.services.join(", "), quoted([&*one.id]))
}

fn surcharge(tariff: &Tariff, one: &Surcharge) -> String {
    let services = if one.services.is_empty() { String::new() } else { format!(", for {}", one.services.join(", ")) };
    format!("{} % on top{services}{}", one.percent, limits(tariff, &one.bands, &one.severities, &one.levels))
}

fn cap(one: &Cap) -> String {
    let per = match one.per {
        CapPer::Call => "call",
        CapPer::Incident => "incident",
        CapPer::Month => "month",
    };
    let services = if one.services.is_empty() { String::new() } else { format!(", for {} together", one.services.join(", ")) };
    format!("{} per {per}{services}", one.amount)
}

/// A promise, not a price: what is shown is all that is done with it.
fn response(tariff: &Tariff, one: &Response) -> String {
    let severities = if one.severities.is_empty() { String::new() } else { format!(", severity {}", one.severities.join(", ")) };
    let clock = if one.bands.is_empty() { "at any time".to_owned() } else { format!("counted in the band {}", bands(tariff, &one.bands)) };
    format!("a call back within {}, {clock}{severities}", one.within)
}

/// The prices of a service by band, in the order in which they are asked: `night, weekend  5m 36.00, then each 5m 30.00`.
pub(super) fn prices(tariff: &Tariff, plans: &[&PlanVersion], service: &str, sold: &[BandId]) -> Vec<String> {
    let rates: Vec<&Rate> = plans.iter().flat_map(|plan| &plan.rates).filter(|rate| *rate.service == *service).collect();
    let mut lines: Vec<(Vec<BandId>, Vec<String>)> = Vec::new();
    for band in sold {
        let mut texts = Vec::new();
        for rate in rates.iter().filter(|rate| rate.bands.is_empty() || rate.bands.contains(band)) {
            texts.push(format!("{}{}", price(rate), qualified(tariff, rate)));
            if rate.severities.is_empty() && rate.levels.is_empty() && rate.direction.is_none() {
                break; // nothing is left for those that follow
            }
        }
        match lines.iter_mut().find(|(_, known)| *known == texts) {
            Some((bands, _)) => bands.push(*band),
            None => lines.push((vec![*band], texts)),
        }
    }
    let all = lines.len() == 1;
    let mut shown = Vec::new();
    for (found, texts) in lines.into_iter().filter(|(_, texts)| !texts.is_empty()) {
        let head = if all && found.len() > 1 { "always".to_owned() } else { bands(tariff, &found) };
        shown.push(format!("{head}: {}", texts.join(" | ")));
    }
    if shown.is_empty() {
        shown.push("none: only what is included, beyond that calls are `uncovered`".to_owned());
    }
    shown
}

fn qualified(tariff: &Tariff, rate: &Rate) -> String {
    let direction = match rate.direction {
        None => "",
        Some(Direction::In) => ", of calls in",
        Some(Direction::Out) => ", of calls out",
    };
    format!("{direction}{}", limits(tariff, &[], &rate.severities, &rate.levels))
}

fn price(rate: &Rate) -> String {
    let mut text = match &rate.price {
        Price::Steps(list) => steps(list),
        Price::TopUp { quantity, price, increment, per } => {
            let until = match per {
                Validity::Month => "the month".to_owned(),
                Validity::ContractYear => "the contract year".to_owned(),
                Validity::Activation(None) => "it is used up".to_owned(),
                Validity::Activation(Some(after)) => format!("{} after activation", length(*after)),
            };
            format!("{quantity} for {price}, used in increments of {increment} until {until} ends").replace("used up ends", "used up")
        }
        Price::Incident(price) => format!("{price} per incident"),
        Price::Flat => "0.00, included".to_owned(),
    };
    let with = &rate.conditions;
    if let Some(round) = with.round {
        let mode = match round.mode {
            RoundMode::Up => "up",
            RoundMode::Down => "down",
            RoundMode::Half => "half up",
        };
        let per = match round.per {
            RoundPer::Increment => "increment",
            RoundPer::Call => "call",
            RoundPer::Incident => "incident",
            RoundPer::Day => "day",
            RoundPer::Month => "month",
        };
        text += &format!(", rounded {mode} per {per}{}", round.to.map_or(String::new(), |to| format!(" to {to}")));
    }
    text += &with.connect.map_or(String::new(), |amount| format!(", plus {amount} per call"));
    text += &with.minimum.map_or(String::new(), |amount| format!(", at least {amount} per call"));
    text += &with.free_under.map_or(String::new(), |under| format!(", free under {under}"));
    text
}

/// `5m 30.00, then each 5m 25.00`; a step of more than one increment says from when the next counts.
fn steps(list: &[Step]) -> String {
    let mut text = String::new();
    for (index, step) in list.iter().enumerate() {
        let next = list.get(index.saturating_add(1));
        let once = next.is_some_and(|next| next.from.get().checked_sub(step.from.get()) == Some(step.increment.get()));
        let before = index.checked_sub(1).and_then(|before| list.get(before));
        let single = before.is_some_and(|before| step.from.get().checked_sub(before.from.get()) == Some(before.increment.get()));
        match before {
            None => {}
            Some(_) if single => text += ", then ",
            Some(_) => text += &format!(", from {} on ", step.from),
        }
        text += &format!("{}{} {}", if once { "" } else { "each " }, step.increment, step.price);
    }
    text
}

fn limits(tariff: &Tariff, in_bands: &[BandId], severities: &[Box<str>], levels: &[Level]) -> String {
    let mut text = String::new();
    if !in_bands.is_empty() {
        text += &format!(", in {}", bands(tariff, in_bands));
    }
    if !severities.is_empty() {
        text += &format!(", severity {}", severities.join(", "));
    }
    if !levels.is_empty() {
        let levels: Vec<String> = levels.iter().map(ToString::to_string).collect();
        text += &format!(", agents of level {}", levels.join(", "));
    }
    text
}

fn bands(tariff: &Tariff, bands: &[BandId]) -> String {
    let names: Vec<&str> = bands.iter().map(|band| tariff.band_name(*band)).collect();
    names.join(", ")
}

fn counted(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `14 days`, `1 month`, `2 years`.
fn length(period: Period) -> String {
    match period {
        Period::Days(days) => counted(days, "day"),
        Period::Months(months) if months % 12 == 0 => counted(months / 12, "year"),
        Period::Months(months) => counted(months, "month"),
    }
}

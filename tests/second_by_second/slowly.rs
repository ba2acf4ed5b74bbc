//! design.md §6 as a reader would carry it out with a stopwatch: through every second of talk, in the order in which they
//! begin, and whatever begins is charged. It shares the prices of the tariff files, and nothing of the meter.

use super::documents::{band, clock, vat};
use super::included::Left;
use chrono::{Days, NaiveDate};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;
use taktd::calls::Call;
use taktd::contracts::Contract;
use taktd::meter::Outcome;
use taktd::tariff::{BandId, Callers, Grant, PlanVersion, Price, Tariff, Verdict};
use taktd::units::{Direction, Seconds, Timestamp};

/// A call, and what was said about it.
#[derive(Clone, Debug)]
pub struct Told {
    pub call: Call,
    pub authorised: bool,
    pub verdict: Option<Verdict>,
}

/// What a call comes to. `begun`: each increment, incident or quantity as `what band length price`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub outcome: Outcome,
    pub plan: String,
    pub incident: Option<String>,
    pub billed: u64,
    pub used: BTreeMap<String, u64>,
    pub begun: Vec<String>,
    pub net: Decimal,
    pub vat: Decimal,
}

/// The contract, its price list, and what time it is.
pub struct World<'a> {
    pub tariff: &'a Tariff,
    pub contract: &'a Contract,
    pub until: Timestamp,
}

/// A call with its stopwatch.
pub struct Watch<'a> {
    pub told: &'a Told,
    pub day: NaiveDate,
    plan: Option<&'a PlanVersion>,
    pub severity: Option<&'a str>,
    pub band: &'static str,
    /// The instant at which each second of its talk begins.
    seconds: Vec<Timestamp>,
    talked: usize,
    /// So many seconds of talk may begin increments; goodwill takes some away.
    chargeable: u64,
    /// Its price is known, and nothing more begins.
    done: bool,
    amount: Decimal,
    pub sum: Sum,
}

struct Incident {
    service: String,
    ticket: Option<String>,
    caller: Option<String>,
    end: Timestamp,
    name: String,
}

/// What every call comes to, in the order given, and what is left of everything that was used.
pub fn slowly(world: &World<'_>, told: &[Told]) -> (Vec<Sum>, Left) {
    let mut watches: Vec<Watch<'_>> = told.iter().map(|told| world.watch(told)).collect();
    let mut ties: Vec<usize> = (0..told.len()).collect();
    ties.sort_by_key(|place| {
        let call = &told[*place].call;
        (call.connected_at(), call.started_at, call.caller_raw.as_str(), call.called_raw.as_str(), call.id.as_str())
    });
    let (mut left, mut incidents) = (Left::new(), Vec::new());
    loop {
        // Of equal instants, the first counts: the calls are asked in the order of their ties.
        let waiting = ties.iter().filter(|place| !watches[**place].done && watches[**place].talked < watches[**place].seconds.len());
        let Some(next) = waiting.min_by_key(|place| watches[**place].seconds[watches[**place].talked]).copied() else { break };
        let watch = &mut watches[next];
        if watch.talked as u64 == watch.sum.billed {
            world.begin(watch, watch.seconds[watch.talked], &mut left, &mut incidents);
        }
        watch.talked += 1;
    }
    (watches.into_iter().map(Watch::charge).collect(), left)
}

impl<'a> World<'a> {
    /// The contract's plans, each followed by those it includes, without those that another supersedes.
    pub fn plans(&self) -> Vec<&'a PlanVersion> {
        let named = |id: &str| self.tariff.plans.iter().find(|plan| *plan.id == *id).expect("the plan is there");
        let mut plans: Vec<&PlanVersion> = Vec::new();
        for id in &self.contract.plans {
            for plan in std::iter::once(named(id)).chain(named(id).includes.iter().map(|id| named(id))) {
                if !plans.iter().any(|known| known.id == plan.id) {
                    plans.push(plan);
                }
            }
        }
        let superseded: Vec<_> = plans.iter().flat_map(|plan| &plan.supersedes).collect();
        plans.retain(|plan| !superseded.contains(&&plan.id));
        plans
    }

    fn watch(&self, told: &'a Told) -> Watch<'a> {
        let call = &told.call;
        let begins = call.connected_at().unwrap_or(call.started_at);
        let tenths = |talk: &taktd::calls::Talk| talk.from.micros() / 100_000..talk.to.expect("it ended").micros() / 100_000;
        let whole = call.talks.iter().map(|talk| tenths(talk).count()).sum::<usize>() / 10;
        let seconds: Vec<Timestamp> =
            call.talks.iter().flat_map(tenths).step_by(10).take(whole).map(|tenth| Timestamp::from_micros(tenth * 100_000)).collect();
        let severity = call.severity.as_deref().or(self.tariff.default_severity.as_deref());
        let band = band(&self.tariff.name, &call.service, begins);
        let sold: Vec<_> = self.plans().into_iter().filter(|plan| self.sells(plan, call, severity, band)).collect();
        let may_call = |plan: &&&PlanVersion| call.direction == Direction::Out || plan.callers == Callers::Any || told.authorised;
        let plan = sold.iter().find(may_call).or(sold.first()).copied();
        let held = || {
            let rule = plan?.decision.as_ref()?;
            assert!(rule.services.is_empty(), "work-units holds every call");
            let over = clock(call.ended_at?).date() + Days::new(14) <= clock(self.until).date();
            (told.verdict.is_none() && !over).then_some(Outcome::Held)
        };
        let outcome = match plan {
            _ if call.talks.is_empty() => Some(Outcome::Missed),
            None => Some(Outcome::Uncovered),
            Some(plan) if !may_call(&&plan) => Some(Outcome::Unauthorised),
            Some(_) => held(),
        };
        let chargeable = match told.verdict {
            Some(Verdict::GoodwillTime(waived)) => (whole as u64).saturating_sub(waived.get()),
            _ => whole as u64,
        };
        Watch {
            told,
            day: clock(begins).date(),
            plan,
            severity,
            band: band.unwrap_or("-"),
            seconds,
            talked: 0,
            chargeable,
            done: outcome.is_some() || told.verdict == Some(Verdict::Provider),
            amount: Decimal::ZERO,
            sum: Sum {
                outcome: outcome.unwrap_or(Outcome::Included),
                plan: plan.map(|plan| plan.id.to_string()).unwrap_or_default(),
                incident: None,
                billed: 0,
                used: BTreeMap::new(),
                begun: Vec::new(),
                net: Decimal::ZERO,
                vat: Decimal::ZERO,
            },
        }
    }

    /// Whether a plan has a price for the call in a band, or a number of callbacks of its service.
    fn sells(&self, plan: &PlanVersion, call: &Call, severity: Option<&str>, band: Option<&str>) -> bool {
        let callbacks = plan.allowances.iter().any(|one| matches!(one.grant, Grant::Callbacks(_)) && one.services.contains(&call.service));
        band.is_some_and(|band| callbacks || self.price(plan, call, severity, band).is_some())
    }

    /// The first rate that applies.
    fn price<'p>(&self, plan: &'p PlanVersion, call: &Call, severity: Option<&str>, band: &str) -> Option<&'p Price> {
        let rates = plan.rates.iter().filter(|rate| rate.service == call.service && self.names(&rate.bands, band));
        let rates = rates.filter(|rate| rate.severities.is_empty() || rate.severities.iter().any(|one| Some(&**one) == severity));
        let rates = rates.filter(|rate| rate.levels.is_empty() || call.level().is_some_and(|level| rate.levels.contains(&level)));
        rates.filter(|rate| rate.direction.is_none_or(|way| way == call.direction)).map(|rate| &rate.price).next()
    }

    pub fn names(&self, bands: &[BandId], band: &str) -> bool {
        bands.is_empty() || bands.iter().any(|one| self.tariff.band_name(*one) == band)
    }

    /// Something begins with this second of talk.
    fn begin(&self, watch: &mut Watch<'a>, at: Timestamp, left: &mut Left, incidents: &mut Vec<Incident>) {
        let (call, plan) = (&watch.told.call, watch.plan.expect("it is sold"));
        // What leaves all bands goes on in its last.
        if let Some(now) = band(&self.tariff.name, &call.service, at).filter(|now| self.sells(plan, call, watch.severity, Some(now))) {
            watch.band = now;
        }
        let price = self.price(plan, call, watch.severity, watch.band);
        if watch.talked == 0 {
            let callback = call.direction == Direction::Out || &*call.service == "callback";
            if callback && self.take(watch, left, |grant| matches!(grant, Grant::Callbacks(_))).is_some() {
                watch.done = true;
                return;
            }
            if callback && price.is_none() {
                (watch.done, watch.sum.outcome) = (true, Outcome::Uncovered);
                return;
            }
            let of_incidents = |price: &Price| matches!(price, Price::Incident(_));
            let forms = plan.rates.iter().any(|rate| rate.service == call.service && of_incidents(&rate.price));
            if forms && call.direction == Direction::In {
                watch.done = true;
                if self.opens(watch, at, incidents) && self.take(watch, left, |grant| matches!(grant, Grant::Incidents(_))).is_none() {
                    match price {
                        Some(Price::Incident(price)) => watch.pay("incident", 0, *price),
                        _ => watch.sum.outcome = Outcome::Uncovered,
                    }
                }
                return;
            }
        }
        if price == Some(&Price::Flat) {
            watch.sum.begun.push(format!("flat {} 0s 0", watch.band));
            (watch.done, watch.sum.billed) = (true, watch.seconds.len() as u64);
            return;
        }
        if watch.talked as u64 >= watch.chargeable {
            watch.done = true;
            return;
        }
        if let Some(taken) = self.take(watch, left, |grant| matches!(grant, Grant::Time { .. })) {
            watch.sum.billed += taken;
            return;
        }
        match price {
            Some(Price::Steps(steps)) => {
                let step = steps.iter().rfind(|step| step.from.get() <= watch.talked as u64).expect("the first is from 0");
                watch.pay("step", step.increment.get(), step.price);
                watch.sum.billed += step.increment.get();
            }
            Some(Price::TopUp { quantity, price, increment, per }) => {
                let (first, _) = self.period(*per, watch.day).expect("the contract has begun");
                let rest = left.entry((plan.id.to_string(), "top-up".to_owned(), first)).or_insert(0);
                if *rest == 0 {
                    *rest = quantity.get();
                    watch.pay("top-up", quantity.get(), *price);
                }
                let taken = increment.get().min(*rest);
                *rest -= taken;
                *watch.sum.used.entry("top-up".to_owned()).or_default() += taken;
                watch.sum.begun.push(format!("top-up {} {taken}s 0", watch.band));
                watch.sum.billed += taken;
            }
            other => panic!("{other:?} is no price of time"),
        }
    }

    /// Whether a call opens an incident; joins it to the one it belongs to otherwise.
    fn opens(&self, watch: &mut Watch<'_>, at: Timestamp, incidents: &mut Vec<Incident>) -> bool {
        let call = &watch.told.call;
        let ticket = call.ticket.as_ref().map(ToString::to_string);
        let digits = call.caller_raw.as_str();
        let caller = digits.contains(|one: char| one.is_ascii_digit()).then(|| digits.to_owned());
        let window = Seconds::new(24 * 3_600);
        let end = call.ended_at.expect("it ended");
        let mine = |one: &&mut Incident| {
            *one.service == *call.service
                && one.ticket == ticket
                && (ticket.is_some() || (one.caller.is_some() && one.caller == caller && at <= one.end.plus(window)))
        };
        if let Some(known) = incidents.iter_mut().find(mine) {
            known.end = known.end.max(end);
            watch.sum.incident = Some(known.name.clone());
            return false;
        }
        let name = ticket.as_ref().map_or_else(|| call.id.to_string(), |ticket| format!("ticket:{ticket}"));
        watch.sum.incident = Some(name.clone());
        incidents.push(Incident { service: call.service.to_string(), ticket, caller, end, name });
        true
    }
}

impl Watch<'_> {
    fn pay(&mut self, what: &str, length: u64, price: Decimal) {
        self.amount += price;
        self.sum.begun.push(format!("{what} {} {length}s {}", self.band, price.normalize()));
    }

    /// Net rounded once, half away from zero, VAT from that likewise.
    fn charge(mut self) -> Sum {
        let waived = match self.told.verdict {
            Some(Verdict::GoodwillPercent(percent)) => self.amount * percent / Decimal::ONE_HUNDRED,
            _ => Decimal::ZERO,
        };
        let cents = |amount: Decimal| amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        self.sum.net = cents(self.amount - waived);
        self.sum.vat = cents(self.sum.net * vat(self.day) / Decimal::ONE_HUNDRED);
        if self.sum.outcome == Outcome::Included && self.sum.net > Decimal::ZERO {
            self.sum.outcome = Outcome::Charged;
        }
        self.sum
    }
}

//! design.md §6 as a reader would carry it out with a stopwatch: through every second of talk, in the order in which they
//! begin, and whatever begins is charged. It shares the prices of the tariff files, and nothing of the meter.

use super::charging::{Books, Due};
use super::included::{Key, Left};
use super::world::World;
use crate::generated::stories::Told;
use chrono::NaiveDate;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use taktd::calls::Call;
use taktd::meter::{Outcome, Timing};
use taktd::tariff::{CapPer, Grant, PlanVersion, Price, Rate, Resolved, RoundPer, Verdict};
use taktd::units::{Direction, Seconds, Timestamp};

/// What a call comes to. `begun`: each increment, incident or quantity as `what band length price`; `beside`: what goes with
/// them, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub outcome: Outcome,
    pub plan: String,
    pub incident: Option<String>,
    pub billed: u64,
    pub used: BTreeMap<String, u64>,
    pub begun: Vec<String>,
    pub beside: BTreeMap<String, u64>,
    pub net: Decimal,
    pub vat: Decimal,
}

/// A call with its stopwatch.
pub struct Watch<'a> {
    pub told: &'a Told,
    pub day: NaiveDate,
    pub plan: Option<&'a PlanVersion>,
    pub severity: Option<&'a str>,
    pub band: &'a str,
    /// The instant at which each second of its talk begins.
    seconds: Vec<Timestamp>,
    pub talked: u64,
    /// What has begun lasts up to here.
    pub covered: u64,
    /// So many seconds of talk may begin increments; goodwill takes some away.
    pub chargeable: u64,
    verdict: Option<Verdict>,
    /// Its price is known, and nothing more begins.
    pub done: bool,
    pub due: Due,
    pub sum: Sum,
}

#[derive(Clone)]
struct Incident {
    service: String,
    ticket: Option<String>,
    caller: Option<String>,
    begun: Timestamp,
    end: Timestamp,
    name: String,
}

/// What every call comes to, in the order given, and what is left of everything that was used: first of all calls that came in
/// time, then of each that came late, one after another.
pub fn slowly<'a>(world: &World<'a>, told: &'a [Told]) -> (Vec<Sum>, Left) {
    let timings: BTreeSet<Timing> = told.iter().map(|told| told.timing).collect();
    let mut known = Known::default();
    let mut sums: BTreeMap<usize, Sum> = BTreeMap::new();
    for timing in timings {
        let places: Vec<usize> = (0..told.len()).filter(|place| told[*place].timing == timing).collect();
        let watches = through_all_seconds(world, places.iter().map(|place| &told[*place]).collect(), &mut known);
        sums.extend(places.into_iter().zip(watches.into_iter().map(|watch| watch.charge(world))));
    }
    let left = known.books.left.into_iter().map(|(key, rest)| (key, rest.left)).collect();
    (sums.into_values().collect(), left)
}

/// What all calls share.
#[derive(Clone, Default)]
struct Known {
    books: Books,
    incidents: Vec<Incident>,
}

/// Carries out some calls. Where usage goes beyond what is tolerated, all of them are carried out again, knowing that.
fn through_all_seconds<'a>(world: &World<'a>, told: Vec<&'a Told>, known: &mut Known) -> Vec<Watch<'a>> {
    let before = known.clone();
    loop {
        let watches = through_each_second(world, &told, known);
        let books = &known.books;
        let exceeded = |(key, (used, tolerated)): &(&Key, &(u64, u64))| used > tolerated && !books.exceeded.contains(*key);
        let more: Vec<Key> = books.beyond.iter().filter(exceeded).map(|(key, _)| key.clone()).collect();
        if more.is_empty() {
            return watches;
        }
        let exceeded = books.exceeded.iter().cloned().chain(more).collect();
        *known = before.clone();
        known.books.exceeded = exceeded;
    }
}

fn through_each_second<'a>(world: &World<'a>, told: &[&'a Told], known: &mut Known) -> Vec<Watch<'a>> {
    let Known { books, incidents } = known;
    let mut watches: Vec<Watch<'_>> = told.iter().map(|told| world.watch(told)).collect();
    let mut ties: Vec<usize> = (0..told.len()).collect();
    ties.sort_by_key(|place| {
        let call = &told[*place].call;
        // Who has no number comes before all who have one.
        let caller = (call.caller.is_some(), call.caller_raw.as_str());
        (call.connected_at(), call.started_at, caller, call.called_raw.as_str(), call.id.as_str())
    });
    let next = |watch: &Watch<'_>| watch.seconds.get(usize::try_from(watch.talked).expect("small")).copied();
    loop {
        // Of equal instants, the first counts: the calls are asked in the order of their ties.
        let waiting = ties.iter().filter(|place| !watches[**place].done && next(&watches[**place]).is_some());
        let Some(place) = waiting.min_by_key(|place| next(&watches[**place])).copied() else { break };
        let watch = &mut watches[place];
        if watch.talked == watch.covered {
            let at = next(watch).expect("it talks");
            world.begin(watch, at, books, incidents);
        }
        watch.talked += 1;
    }
    watches
}

impl<'a> World<'a> {
    fn watch(&self, told: &'a Told) -> Watch<'a> {
        let call = &told.call;
        let begins = call.connected_at().unwrap_or(call.started_at);
        let day = self.clock(begins).date();
        let tenths = |talk: &taktd::calls::Talk| talk.from.micros() / 100_000..talk.to.expect("it ended").micros() / 100_000;
        let whole = call.talks.iter().map(|talk| tenths(talk).count()).sum::<usize>() / 10;
        let seconds: Vec<Timestamp> =
            call.talks.iter().flat_map(tenths).step_by(10).take(whole).map(|tenth| Timestamp::from_micros(tenth * 100_000)).collect();
        let whole = whole as u64;
        let severity = call.severity.as_deref().or(self.tariff.default_severity.as_deref());
        let band = self.band(&call.service, begins);
        let sold: Vec<_> = self.plans(day).into_iter().filter(|plan| self.sells(plan, call, severity, band)).collect();
        let plan = sold.iter().find(|plan| may_call(plan, told)).or(sold.first()).copied();
        let (mut verdict, mut free) = (told.verdict, None);
        let outcome = match plan {
            _ if call.talks.is_empty() => Some(Outcome::Missed),
            None => Some(Outcome::Uncovered),
            Some(plan) if !may_call(plan, told) => Some(Outcome::Unauthorised),
            Some(plan) => {
                let rate = band.and_then(|band| self.rate(plan, call, severity, band));
                free = rate.and_then(|rate| rate.conditions.free_under).filter(|under| 0 < whole && whole < under.get());
                self.decided(plan, told, &mut verdict).filter(|_| free.is_none())
            }
        };
        let mut watch = Watch {
            told,
            day,
            plan,
            severity,
            band: band.unwrap_or("-"),
            seconds,
            talked: 0,
            covered: 0,
            chargeable: match verdict {
                Some(Verdict::GoodwillTime(waived)) => whole.saturating_sub(waived.get()),
                _ => whole,
            },
            verdict,
            done: outcome.is_some() || verdict == Some(Verdict::Provider) || free.is_some(),
            due: Due::default(),
            sum: Sum {
                outcome: outcome.unwrap_or(Outcome::Included),
                plan: plan.map(|plan| plan.id.to_string()).unwrap_or_default(),
                incident: None,
                billed: 0,
                used: BTreeMap::new(),
                begun: Vec::new(),
                beside: BTreeMap::new(),
                net: Decimal::ZERO,
                vat: Decimal::ZERO,
            },
        };
        if free.is_some() {
            watch.begins("free", whole, Decimal::ZERO);
        }
        watch
    }

    /// `held`, unless somebody decided, or the tariff does because its time has come.
    fn decided(&self, plan: &PlanVersion, told: &Told, verdict: &mut Option<Verdict>) -> Option<Outcome> {
        let rule = plan.decision.as_ref().filter(|rule| rule.services.is_empty() || rule.services.contains(&told.call.service))?;
        let ended = self.clock(told.call.ended_at?).date();
        if let (None, Some((wait, by_default))) = (&verdict, rule.default)
            && wait.after(ended, 1)? <= self.clock(self.until).date()
        {
            *verdict = Some(if by_default == Resolved::Customer { Verdict::Customer } else { Verdict::Provider });
        }
        verdict.is_none().then_some(Outcome::Held)
    }

    /// Something begins with this second of talk.
    fn begin(&self, watch: &mut Watch<'a>, at: Timestamp, books: &mut Books, incidents: &mut Vec<Incident>) {
        let (call, plan) = (&watch.told.call, watch.plan.expect("it is sold"));
        // What leaves all bands goes on in its last.
        if let Some(now) = self.band(&call.service, at).filter(|now| self.sells(plan, call, watch.severity, Some(now))) {
            watch.band = now;
        }
        let rate = self.rate(plan, call, watch.severity, watch.band);
        if watch.talked == 0 && self.counts(watch, plan, rate, at, books, incidents) {
            watch.done = true;
            return;
        }
        let price = rate.map(|rate| &rate.price);
        // What is flat from the first second on has no increments that could be waived.
        if watch.talked >= watch.chargeable && !(watch.talked == 0 && price == Some(&Price::Flat)) {
            watch.done = true;
            return;
        }
        if let Some(taken) = self.take(watch, books, |grant| matches!(grant, Grant::Time { .. })) {
            watch.sum.billed += taken;
            watch.covered += taken;
            return;
        }
        match (rate, price) {
            (Some(rate), Some(Price::Steps(steps))) => self.step(watch, plan, rate, steps, books),
            (Some(rate), Some(Price::TopUp { quantity, price, increment, per })) => {
                let Some((first, _)) = self.period(*per, watch.day) else {
                    watch.done = true;
                    return;
                };
                self.bought(watch, rate, (*quantity, *price, *increment), first, books);
            }
            (_, Some(Price::Flat)) => {
                watch.begins("flat", 0, Decimal::ZERO);
                (watch.done, watch.sum.billed) = (true, watch.seconds.len() as u64);
            }
            _ => watch.done = true,
        }
    }

    /// Calls that are counted, not timed: whether this one has its price by that.
    fn counts(
        &self,
        watch: &mut Watch<'a>,
        plan: &'a PlanVersion,
        rate: Option<&'a Rate>,
        at: Timestamp,
        books: &mut Books,
        incidents: &mut Vec<Incident>,
    ) -> bool {
        let call = &watch.told.call;
        let callback = call.direction == Direction::Out || &*call.service == "callback";
        if callback && self.take(watch, books, |grant| matches!(grant, Grant::Callbacks(_))).is_some() {
            return true;
        }
        let rates = || plan.rates.iter().filter(|rate| rate.service == call.service);
        let forms = rates().any(|rate| matches!(rate.price, Price::Incident(_)))
            || self.plans(watch.day).iter().filter(|plan| may_call(plan, watch.told)).any(|plan| {
                plan.allowances.iter().any(|one| matches!(one.grant, Grant::Incidents(_)) && one.services.contains(&call.service))
            });
        let caps = plan.caps.iter().filter(|cap| cap.services.is_empty() || cap.services.contains(&call.service));
        let adds_up = caps.map(|cap| cap.per).any(|per| per == CapPer::Incident)
            || rates().any(|rate| rate.conditions.round.is_some_and(|round| round.per == RoundPer::Incident));
        let inbound = call.direction == Direction::In;
        let opens = inbound && (forms || adds_up) && self.opens(watch, at, incidents);
        if !(inbound && forms) {
            if rate.is_none() {
                watch.sum.outcome = Outcome::Uncovered;
            }
            return rate.is_none();
        }
        if !opens || self.take(watch, books, |grant| matches!(grant, Grant::Incidents(_))).is_some() {
            return true;
        }
        match rate {
            Some(Rate { price: Price::Incident(price), .. }) => {
                let rate = rate.expect("it is there");
                watch.pays(self, rate, books, "incident", 0, *price);
                true
            }
            Some(_) => false,
            None => {
                watch.sum.outcome = Outcome::Uncovered;
                true
            }
        }
    }

    /// Whether a call opens an incident; joins it to the one it belongs to otherwise.
    fn opens(&self, watch: &mut Watch<'_>, at: Timestamp, incidents: &mut Vec<Incident>) -> bool {
        let call: &Call = &watch.told.call;
        let ticket = call.ticket.as_ref().map(ToString::to_string);
        let digits = call.caller_raw.as_str();
        let caller = digits.contains(|one: char| one.is_ascii_digit()).then(|| digits.to_owned());
        let window: Seconds = self.tariff.incident_window;
        let end = call.ended_at.expect("it ended");
        let near = |one: &Incident| at <= one.end.plus(window) && one.begun <= end.plus(window);
        let mine = |one: &&mut Incident| {
            *one.service == *call.service
                && one.ticket == ticket
                && (ticket.is_some() || (one.caller.is_some() && one.caller == caller && near(one)))
        };
        // What came late may have been before, and belongs to the latest it was about then.
        if let Some(known) = incidents.iter_mut().rfind(mine) {
            known.end = known.end.max(end);
            watch.sum.incident = Some(known.name.clone());
            return false;
        }
        let name = ticket.as_ref().map_or_else(|| call.id.to_string(), |ticket| format!("ticket:{ticket}"));
        watch.sum.incident = Some(name.clone());
        incidents.push(Incident { service: call.service.to_string(), ticket, caller, begun: at, end, name });
        true
    }
}

/// Whether a plan lets a call in; callbacks are the company's own.
pub fn may_call(plan: &PlanVersion, told: &Told) -> bool {
    told.call.direction == Direction::Out || plan.callers == taktd::tariff::Callers::Any || told.authorised
}

impl Watch<'_> {
    /// Something begins: what, in the band at hand, how long, at what price.
    pub fn begins(&mut self, what: &str, length: u64, price: Decimal) {
        self.sum.begun.push(format!("{what} {} {length}s {}", self.band, price.normalize()));
    }

    /// Rounded once, half away from zero, VAT from that likewise; gross prices are gross, and VAT is inside.
    fn charge(mut self, world: &World<'_>) -> Sum {
        let due = self.due.owed;
        let waived = match self.verdict {
            Some(Verdict::GoodwillPercent(percent)) => due * percent / Decimal::ONE_HUNDRED,
            _ => Decimal::ZERO,
        };
        (self.sum.net, self.sum.vat) = world.net_and_vat(due - waived, self.day);
        if self.sum.outcome == Outcome::Included && self.sum.net > Decimal::ZERO {
            self.sum.outcome = Outcome::Charged;
        }
        self.sum
    }
}

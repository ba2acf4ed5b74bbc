//! The discrete-event machine of one contract: the next increment to begin over all its calls, until none is left.

use super::finish;
use super::incidents::{Incidents, Part};
use super::pools::{PoolKey, Pools, Source, in_band, top_up_period};
use super::record::{AllowanceUse, Line, Outcome, Record, Rule};
use super::talk::TalkClock;
use super::terms::{Deadlines, Offer, Role, Terms};
use crate::calls::{Call, Mark};
use crate::tariff::{Allowance, BandId, Grant, Price, Rate, Resolved, Service, Step, Verdict};
use crate::units::{Direction, Seconds, Timestamp};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A call as it comes to settlement.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The call.
    pub call: &'a Call,
    /// Whether the caller may call on plans for authorised callers.
    pub authorised: bool,
    /// What the match wants said.
    pub reason: Option<&'a str>,
    /// The decision that arrived, if one did.
    pub verdict: Option<Verdict>,
    /// Whether it came in time.
    pub timing: Timing,
}

/// Whether a call was journaled before its month was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    /// In time.
    InTime,
    /// After the closing: settled with what is left, in order of journaling, and touches no other record.
    Late(u64),
}

/// What settlement concludes about one call, in the order of the inputs.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The record; of a running call, what it comes to so far.
    pub record: Record,
    /// Of a running call: what comes next.
    pub live: Option<Live>,
}

/// What the live meter knows of a running call beyond its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// When the next increment begins, if the call goes on as it is.
    pub next_increment_at: Option<Timestamp>,
    /// Seconds left of the allowances that serve it.
    pub allowance_left: Option<Seconds>,
    /// When the first increment began that has a price.
    pub priced_since: Option<Timestamp>,
}

/// An allowance's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The plan.
    pub plan: Box<str>,
    /// The allowance.
    pub allowance: Box<str>,
    /// The first day of its period.
    pub from: NaiveDate,
    /// The first day it is gone.
    pub lapses: Option<NaiveDate>,
    /// Granted (or bought), in seconds or count.
    pub granted: u64,
    /// Left.
    pub left: u64,
    /// Whether it counts seconds.
    pub is_time: bool,
}

/// All a contract's calls come to.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// One for each input, in order.
    pub calls: Vec<Settled>,
    /// Allowances that were asked for, by plan, allowance and period.
    pub balances: Vec<Balance>,
}

/// Settles all calls of one contract as cut at `until` (design.md §6). The order of `inputs` makes no difference.
#[must_use]
pub fn settle(terms: &Terms<'_>, inputs: &[Input<'_>], until: Timestamp) -> Settlement {
    let mut machine = Machine::new(terms, inputs, until);
    machine.run(Timing::InTime);
    let mut late: Vec<Timing> = inputs.iter().map(|input| input.timing).filter(|timing| *timing != Timing::InTime).collect();
    late.sort_unstable();
    late.dedup();
    for timing in late {
        machine.run(timing);
    }
    machine.finish()
}

/// A call on the machine.
pub(super) struct Running<'a> {
    pub(super) input: Input<'a>,
    pub(super) offer: Option<Offer<'a>>,
    pub(super) day: NaiveDate,
    pub(super) severity: Option<&'a str>,
    pub(super) clock: TalkClock,
    /// Talk in which increments may begin: less than all where goodwill waives the end.
    pub(super) chargeable: Seconds,
    pub(super) offset: Seconds,
    pub(super) billed: Seconds,
    pub(super) lines: Vec<Line>,
    pub(super) uses: Vec<AllowanceUse>,
    pub(super) incident: Option<Box<str>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) reason: Option<Box<str>>,
    pub(super) priced_since: Option<Timestamp>,
    service: Option<&'a Service>,
    offers: Vec<Offer<'a>>,
    sources: Vec<Source<'a>>,
    band: Option<BandId>,
}

struct Machine<'a, 't> {
    terms: &'t Terms<'a>,
    until: Timestamp,
    pools: Pools<'a>,
    incidents: Incidents<'a>,
    calls: Vec<Running<'a>>,
    /// Ranks of the calls for ties: connected earlier, then set up earlier, then caller, called, call_id.
    ranks: Vec<usize>,
}

impl<'a, 't> Machine<'a, 't> {
    fn new(terms: &'t Terms<'a>, inputs: &[Input<'a>], until: Timestamp) -> Self {
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_by_key(|place| {
            inputs.get(*place).map(|Input { call, .. }| {
                (call.connected_at(), call.started_at, (call.caller, &call.caller_raw), (call.called, &call.called_raw), &call.id)
            })
        });
        let mut ranks = vec![0; inputs.len()];
        for (rank, place) in order.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(place) {
                *slot = rank;
            }
        }
        let calls = inputs.iter().map(|input| classify(terms, *input, until)).collect();
        Self { terms, until, pools: Pools::default(), incidents: Incidents::default(), calls, ranks }
    }

    /// Runs the events of all calls with this timing.
    fn run(&mut self, timing: Timing) {
        let mut events = BinaryHeap::new();
        for (place, (call, rank)) in self.calls.iter().zip(&self.ranks).enumerate() {
            if call.input.timing == timing
                && call.outcome.is_none()
                && let Some(at) = call.next_event()
            {
                events.push(Reverse((at, *rank, place)));
            }
        }
        while let Some(Reverse((at, rank, place))) = events.pop() {
            let Some(call) = self.calls.get_mut(place) else { continue };
            begin_increment(self.terms, &mut self.pools, &mut self.incidents, call, at, self.until);
            if call.outcome.is_none()
                && let Some(next) = call.next_event()
            {
                events.push(Reverse((next, rank, place)));
            }
        }
    }

    fn finish(mut self) -> Settlement {
        let mut calls = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let record = finish::record(self.terms, call, self.until);
            let live = call.input.call.ended_at.is_none().then(|| self.live(call));
            calls.push(Settled { record, live });
        }
        self.touch_current();
        Settlement { calls, balances: self.balances() }
    }

    fn live(&self, call: &Running<'a>) -> Live {
        let talking = call.input.call.talks.iter().any(|talk| talk.to.is_none() && talk.from <= self.until);
        let so_far = call.input.call.talk_micros(self.until);
        let ahead = i64::try_from(call.offset.get()).unwrap_or(i64::MAX).saturating_mul(1_000_000).saturating_sub(so_far);
        let next = (talking && call.outcome.is_none() && call.offset.get() < u64::MAX).then(|| self.until.plus_micros(ahead.max(0)));
        let left = call.sources.iter().filter(|source| matches!(source.allowance.grant, Grant::Time { .. }));
        let left: Vec<u64> = left.map(|source| self.pools.left(source.key)).collect();
        Live {
            next_increment_at: next,
            allowance_left: (!left.is_empty()).then(|| Seconds::new(left.iter().fold(0, |sum, one| sum.saturating_add(*one)))),
            priced_since: call.priced_since,
        }
    }

    /// Grants the allowances of today, so that balances show those nobody has used yet.
    fn touch_current(&mut self) {
        let day = self.terms.day(self.until);
        for offer in self.terms.offers(day).iter().filter(|offer| offer.role == Role::Active) {
            self.pools.touch(self.terms, offer, day);
        }
    }

    fn balances(&self) -> Vec<Balance> {
        let balance = |(key, pool): (&PoolKey<'a>, &super::pools::Pool)| Balance {
            plan: key.0.into(),
            allowance: key.1.into(),
            from: key.2,
            lapses: pool.lapses,
            granted: pool.granted,
            left: pool.left,
            is_time: pool.is_time,
        };
        self.pools.all().map(balance).collect()
    }
}

/// What can be said of a call before the machine runs: missed, uncovered, unauthorised, held, or none of these.
fn classify<'a>(terms: &Terms<'a>, input: Input<'a>, until: Timestamp) -> Running<'a> {
    let call = input.call;
    let at = call.connected_at().unwrap_or(call.started_at);
    let day = terms.day(at);
    let clock = TalkClock::new(call.talk_until(until));
    let total = clock.total();
    let mut running = Running {
        input,
        offer: None,
        day,
        severity: call.severity.as_deref(),
        chargeable: total,
        clock,
        offset: Seconds::ZERO,
        billed: Seconds::ZERO,
        lines: Vec::new(),
        uses: Vec::new(),
        incident: None,
        outcome: None,
        reason: input.reason.map(Into::into),
        priced_since: None,
        service: None,
        offers: terms.offers(day),
        sources: Vec::new(),
        band: None,
    };
    if call.talks.is_empty() {
        if call.marks.contains(&Mark::Ambiguous) {
            running.conclude(Outcome::Ambiguous, finish::SEVERAL_CALLERS);
        } else if call.ended_at.is_some() {
            running.conclude(Outcome::Missed, finish::missed_reason(call));
        }
        running.offer = running.offers.first().copied();
        return running;
    }
    running.cover(at);
    running.decide(terms.deadlines(), until);
    running
}

impl<'a> Running<'a> {
    /// Ends the call without increments.
    fn conclude(&mut self, outcome: Outcome, why: &str) {
        self.outcome = Some(outcome);
        self.say(why);
    }

    /// Adds a word to the reason.
    fn say(&mut self, why: &str) {
        if !why.is_empty() {
            self.reason = Some(self.reason.take().map_or_else(|| why.into(), |before| format!("{before}; {why}").into()));
        }
    }

    /// Finds the plan that sells the service at the moment talk began, and whether the caller may call on it.
    fn cover(&mut self, at: Timestamp) {
        let call = self.input.call;
        let mut why = "the contract has no plan in force";
        for offer in self.offers.iter().filter(|offer| offer.role == Role::Active) {
            let Some(service) = offer.tariff.service(&call.service) else {
                // Records lose the number dialed when a call is transferred.
                why = if call.service.is_empty() {
                    "the hotline that was called is not known"
                } else {
                    "its plan does not sell this service"
                };
                continue;
            };
            let severity = call.severity.as_deref().or(offer.tariff.default_severity.as_deref());
            let Some(band) = offer.tariff.band_at(service, at) else {
                why = "outside the hours of this service";
                continue;
            };
            if !sells(offer, call, severity, band) {
                why = "its plan has no price for this service";
                continue;
            }
            let lets_call = call.direction == Direction::Out || offer.lets_call(self.input.authorised);
            // Of several plans that sell it, the first one on which this caller may call.
            if self.offer.is_none() || lets_call {
                (self.offer, self.service, self.severity, self.band) = (Some(*offer), Some(service), severity, Some(band));
            }
            if lets_call {
                break;
            }
        }
        match self.offer {
            None => {
                self.offer = self.offers.first().copied();
                self.conclude(Outcome::Uncovered, why);
            }
            Some(offer) if call.direction == Direction::In && !offer.lets_call(self.input.authorised) => {
                self.conclude(Outcome::Unauthorised, "the caller's number is not among the authorised");
            }
            Some(_) => {}
        }
    }

    /// Applies the decision that arrived, or the plan's default after its deadline; holds the call otherwise.
    fn decide(&mut self, deadlines: Deadlines, until: Timestamp) {
        let Some(offer) = self.offer.filter(|_| self.outcome.is_none()) else { return };
        let call = self.input.call;
        let rule = offer.plan.decision.as_ref().filter(|rule| rule.services.is_empty() || rule.services.contains(&call.service));
        let by_default = || {
            let (wait, resolved) = rule?.default.filter(|_| deadlines == Deadlines::Pass)?;
            let day = crate::contracts::local_date(call.ended_at?, offer.tariff.zone);
            let due = wait.after(day, 1)?;
            (crate::contracts::local_date(until, offer.tariff.zone) >= due).then_some(match resolved {
                Resolved::Customer => Verdict::Customer,
                Resolved::Provider => Verdict::Provider,
            })
        };
        match self.input.verdict.or_else(by_default) {
            None if rule.is_some() => self.conclude(Outcome::Held, "waits for a decision"),
            Some(Verdict::Provider) => self.conclude(Outcome::Included, "decided: the provider's fault"),
            Some(Verdict::GoodwillTime(waived)) => {
                self.chargeable = Seconds::new(self.chargeable.get().saturating_sub(waived.get()));
                self.say(&format!("decided: goodwill, the last {waived} begin no increment"));
            }
            Some(Verdict::GoodwillPercent(percent)) => self.say(&format!("decided: goodwill, {percent} % waived")),
            None | Some(Verdict::Customer) => {}
        }
    }

    /// When the next increment begins; `None` when talk ends before. The first instant of talk counts even where goodwill
    /// waives all of it: a price per incident stays whole (§6.8).
    fn next_event(&self) -> Option<Timestamp> {
        let end = if self.offset == Seconds::ZERO { self.clock.total() } else { self.chargeable };
        (self.offset < end).then(|| self.clock.instant(self.offset)).flatten()
    }

    /// No more increments: the call as a whole has its price.
    fn whole(&mut self) {
        self.offset = Seconds::new(u64::MAX);
    }

    fn advance(&mut self, by: Seconds) {
        self.offset = Seconds::new(self.offset.get().saturating_add(by.get()));
        self.billed = Seconds::new(self.billed.get().saturating_add(by.get()));
    }

    fn used(&mut self, id: &str, amount: u64) {
        match self.uses.iter_mut().find(|one| *one.id == *id) {
            Some(one) => one.used = one.used.saturating_add(amount),
            None => self.uses.push(AllowanceUse { id: id.into(), used: amount }),
        }
    }

    /// Adds to the breakdown; increments of the same kind that follow one another make one line.
    fn line(&mut self, rule: Rule, band: Option<BandId>, allowance: Option<&str>, increment: Option<Seconds>, unit_price: Decimal) {
        let band = band.and_then(|band| self.offer.map(|offer| offer.tariff.band_name(band)));
        if let Some(last) = self.lines.last_mut()
            && last.rule == rule
            && last.band.as_deref() == band
            && last.allowance.as_deref() == allowance
            && last.increment == increment
            && last.unit_price == unit_price
        {
            last.count = last.count.saturating_add(1);
            last.amount = unit_price.checked_mul(Decimal::from(last.count)).unwrap_or(last.amount);
            return;
        }
        let line = Line {
            rule,
            band: band.map(Into::into),
            allowance: allowance.map(Into::into),
            count: 1,
            increment,
            unit_price,
            amount: unit_price,
        };
        self.lines.push(line);
    }
}

/// Whether a plan has a price for a call in a band, or counts it among included callbacks.
fn sells(offer: &Offer<'_>, call: &Call, severity: Option<&str>, band: BandId) -> bool {
    let counts = |one: &Allowance| matches!(one.grant, Grant::Callbacks(_)) && one.services.contains(&call.service);
    rate(offer, call, severity, band).is_some() || offer.plan.allowances.iter().any(counts)
}

/// The first rate of a plan that applies.
fn rate<'a>(offer: &Offer<'a>, call: &Call, severity: Option<&str>, band: BandId) -> Option<&'a Rate> {
    let level = call.level();
    offer.plan.rates.iter().find(|rate| {
        rate.service == call.service
            && in_band(&rate.bands, band)
            && (rate.severities.is_empty() || severity.is_some_and(|severity| rate.severities.iter().any(|one| **one == *severity)))
            && (rate.levels.is_empty() || level.is_some_and(|level| rate.levels.contains(&level)))
            && rate.direction.is_none_or(|direction| direction == call.direction)
    })
}

/// Charges the increment that begins at `at` (design.md §6.2): the first allowance with a balance, else the rate's step.
fn begin_increment<'a>(
    terms: &Terms<'a>,
    pools: &mut Pools<'a>,
    incidents: &mut Incidents<'a>,
    call: &mut Running<'a>,
    at: Timestamp,
    until: Timestamp,
) {
    let (Some(offer), Some(service)) = (call.offer, call.service) else { return call.whole() };
    // A running call that leaves all bands of its service, or those its plan sells, stays in its last one (§6.5).
    let sold = offer.tariff.band_at(service, at).filter(|band| sells(&offer, call.input.call, call.severity, *band));
    let Some(band) = sold.or(call.band) else { return call.whole() };
    call.band = Some(band);
    if call.offset == Seconds::ZERO {
        call.sources = pools.sources(terms, &call.offers, &call.input, call.severity, call.day);
        if by_count(pools, incidents, call, offer, band, at, until) {
            return call.whole();
        }
    }
    let price = rate(&offer, call.input.call, call.severity, band).map(|rate| &rate.price);
    if call.offset >= call.chargeable && price != Some(&Price::Flat) {
        return call.whole();
    }
    if by_allowance(pools, call, &offer, band, at) {
        return;
    }
    match price {
        Some(Price::Steps(steps)) => {
            let Some(step) = step_at(steps, call.offset) else { return call.whole() };
            call.line(Rule::Step, Some(band), None, Some(step.increment), step.price);
            if !step.price.is_zero() {
                call.priced_since.get_or_insert(at);
            }
            call.advance(step.increment);
        }
        Some(price @ Price::TopUp { .. }) => top_up(terms, pools, call, band, price, at),
        Some(Price::Flat) => {
            call.line(Rule::Flat, Some(band), None, None, Decimal::ZERO);
            call.billed = call.clock.total();
            call.whole();
        }
        Some(Price::Incident(_)) | None => call.whole(),
    }
}

/// Calls that are counted, not timed: callbacks of a monthly number, and incidents. True when the call has its price.
fn by_count<'a>(
    pools: &mut Pools<'a>,
    incidents: &mut Incidents<'a>,
    call: &mut Running<'a>,
    offer: Offer<'a>,
    band: BandId,
    at: Timestamp,
    until: Timestamp,
) -> bool {
    let own: &'a Call = call.input.call;
    let counted = |grant: &Grant| match grant {
        Grant::Callbacks(_) => true,
        Grant::Incidents(_) | Grant::Time { .. } => false,
    };
    let is_callback = own.direction == Direction::Out || &*own.service == "callback";
    if is_callback && use_one(pools, call, &offer, band, at, counted) {
        return true;
    }
    let price = rate(&offer, own, call.severity, band).map(|rate| &rate.price);
    // It is the service that forms incidents, whatever this call's band and severity cost (§6.7).
    let forms_incidents = offer.plan.rates.iter().any(|rate| rate.service == own.service && matches!(rate.price, Price::Incident(_)))
        || call.sources.iter().any(|source| matches!(source.allowance.grant, Grant::Incidents(_)));
    if !forms_incidents || own.direction == Direction::Out {
        if price.is_none() {
            call.conclude(Outcome::Uncovered, "the included number of callbacks is used up");
            return true;
        }
        return false;
    }
    let end = own.ended_at.unwrap_or(until);
    match incidents.join(own, at, end, offer.tariff.incident_window) {
        Part::Another(incident) => call.incident = Some(incident),
        Part::First(incident) => {
            call.incident = Some(incident);
            if use_one(pools, call, &offer, band, at, |grant| matches!(grant, Grant::Incidents(_))) {
                return true;
            }
            match price {
                Some(Price::Incident(price)) => {
                    call.line(Rule::Incident, Some(band), None, None, *price);
                    call.priced_since.get_or_insert(at);
                }
                Some(_) => return false,
                None => call.conclude(Outcome::Uncovered, "its plan has no price for this incident"),
            }
        }
    }
    true
}

/// Uses one of the first counted allowance with a balance.
fn use_one<'a>(
    pools: &mut Pools<'a>,
    call: &mut Running<'a>,
    offer: &Offer<'a>,
    band: BandId,
    at: Timestamp,
    counts: impl Fn(&Grant) -> bool,
) -> bool {
    let mut counted = call.sources.iter().filter(|source| counts(&source.allowance.grant));
    let found = counted.find(|source| source.serves_in(offer.tariff, &call.input.call.service, band, at) && pools.take(source, 1) == 1);
    let Some(id) = found.map(|source| &source.allowance.id) else { return false };
    call.line(Rule::Allowance, Some(band), Some(id), None, Decimal::ZERO);
    call.used(id, 1);
    true
}

/// Covers the increment from the first time allowance with a balance; as short as the balance, if that is smaller.
fn by_allowance<'a>(pools: &mut Pools<'a>, call: &mut Running<'a>, offer: &Offer<'a>, band: BandId, at: Timestamp) -> bool {
    for place in 0..call.sources.len() {
        let Some(source) = call.sources.get(place) else { break };
        let Grant::Time { increment, .. } = source.allowance.grant else { continue };
        if !source.serves_in(offer.tariff, &call.input.call.service, band, at) {
            continue;
        }
        let taken = Seconds::new(pools.take(source, increment.get()));
        if taken == Seconds::ZERO {
            continue;
        }
        let id = &source.allowance.id;
        call.line(Rule::Allowance, Some(band), Some(id), Some(taken), Decimal::ZERO);
        call.used(id, taken.get());
        call.advance(taken);
        return true;
    }
    false
}

/// The step whose time the call's talk has reached, in whatever band or allowance it was spent.
fn step_at(steps: &[Step], offset: Seconds) -> Option<&Step> {
    steps.iter().rev().find(|step| step.from <= offset)
}

/// Uses what is left of a quantity that was bought in this period; buys another when nothing is.
fn top_up<'a>(terms: &Terms<'a>, pools: &mut Pools<'a>, call: &mut Running<'a>, band: BandId, price: &Price, at: Timestamp) {
    let (Price::TopUp { quantity, price: cost, increment, .. }, Some(offer), Some((from, lapses))) =
        (price, call.offer, top_up_period(terms, price, call.day))
    else {
        return call.whole();
    };
    let key: PoolKey<'a> = (&offer.plan.id, "top-up", from);
    let mut taken = pools.take_bought(key, increment.get());
    if taken == 0 {
        pools.buy(key, *quantity, lapses);
        call.line(Rule::TopUp, Some(band), None, Some(*quantity), *cost);
        call.priced_since.get_or_insert(at);
        taken = pools.take_bought(key, increment.get());
    }
    call.line(Rule::Allowance, Some(band), Some("top-up"), Some(Seconds::new(taken)), Decimal::ZERO);
    call.used("top-up", taken);
    call.advance(Seconds::new(taken.max(1)));
}

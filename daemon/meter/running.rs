//! A call on the machine: what can be said of it before it runs, and what its increments have come to so far.

use super::due::Due;
use super::increment::{rate, sells};
use super::record::{Outcome, Rule};
use super::settlement::{Input, Origin};
use super::sources::Source;
use super::talk::TalkClock;
use super::terms::{Deadlines, Offer, Role, Terms};
use super::{deadline, deadline::Deadline, finish};
use crate::calls::Mark;
use crate::tariff::{BandId, Service, Verdict};
use crate::units::{Direction, Seconds, Timestamp};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use std::rc::Rc;

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
    /// Where the next charge falls, if talk goes on; `None`: at `offset`.
    pub(super) next_charge: Option<Seconds>,
    pub(super) billed: Seconds,
    pub(super) items: Vec<Item<'a>>,
    pub(super) uses: Vec<(&'a str, u64)>,
    pub(super) due: Due<'a>,
    pub(super) incident: Option<Box<str>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) reason: Option<Box<str>>,
    pub(super) priced_since: Option<Timestamp>,
    pub(super) service: Option<&'a Service>,
    pub(super) offers: Rc<[Offer<'a>]>,
    pub(super) sources: Vec<Source<'a>>,
    pub(super) band: Option<BandId>,
    /// When the increment at hand begins.
    pub(super) now: Timestamp,
    /// A later instant may find another outcome by itself: it waits for a deadline.
    pub(super) waits: bool,
}

/// A line of the breakdown in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) rule: Rule,
    pub(super) band: Option<BandId>,
    pub(super) allowance: Option<&'a str>,
    pub(super) count: u64,
    pub(super) increment: Option<Seconds>,
    pub(super) unit_price: Decimal,
    pub(super) origin: Origin,
    /// When the first of them began.
    pub(super) begins: Timestamp,
}

/// What can be said of a call before the machine runs: missed, uncovered, unauthorised, held, or none of these.
pub(super) fn classify<'a>(terms: &Terms<'_>, offers: Rc<[Offer<'a>]>, day: NaiveDate, input: Input<'a>, until: Timestamp) -> Running<'a> {
    let call = input.call;
    let at = call.connected_at().unwrap_or(call.started_at);
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
        next_charge: None,
        items: Vec::new(),
        uses: Vec::new(),
        due: Due::default(),
        incident: None,
        outcome: None,
        reason: input.reason.map(Into::into),
        priced_since: None,
        service: None,
        offers,
        sources: Vec::new(),
        band: None,
        now: at,
        waits: false,
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
    running.cover(terms, at);
    running.be_free();
    running.decide(terms.deadlines(), until);
    if let Some(offer) = running.offer {
        running.due = Due::of(offer.plan, &call.service);
    }
    running
}

impl<'a> Running<'a> {
    /// Ends the call without increments.
    pub(super) fn conclude(&mut self, outcome: Outcome, why: &str) {
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
    fn cover(&mut self, terms: &Terms<'_>, at: Timestamp) {
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
            let Some(band) = offer.tariff.band_in(service, terms.minute(offer.tariff.zone, at)) else {
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

    /// Ends a call that is shorter than what is free. It needs no decision: there is nothing to pay.
    fn be_free(&mut self) {
        let (Some(offer), Some(band), None) = (self.offer, self.band, self.outcome) else { return };
        let Some(rate) = rate(&offer, self.input.call, self.severity, band) else { return };
        let total = self.clock.total();
        if let Some(free) = rate.conditions.free_under.filter(|free| Seconds::ZERO < total && total < *free) {
            self.next_charge = Some(free);
            self.add_free(Rule::Free, band, None, Some(total), offer.origin(rate.line));
            self.conclude(Outcome::Included, "");
        }
    }

    /// Applies the decision that arrived, or the plan's default after its deadline; holds the call otherwise.
    fn decide(&mut self, deadlines: Deadlines, until: Timestamp) {
        let Some(offer) = self.offer.filter(|_| self.outcome.is_none()) else { return };
        let call = self.input.call;
        let rule = offer.plan.decision.as_ref().filter(|rule| rule.services.is_empty() || rule.services.contains(&call.service));
        let due = |due: &Deadline| deadlines == Deadlines::Pass && until >= due.at;
        let by_default = || deadline::due(rule?, call.ended_at?, offer.tariff.zone).filter(due).map(|due| due.verdict);
        match self.input.verdict.or_else(by_default) {
            None if rule.is_some() => {
                self.waits = rule.is_some_and(|rule| rule.default.is_some());
                self.conclude(Outcome::Held, "waits for a decision");
            }
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
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        let end = if self.offset == Seconds::ZERO { self.clock.total() } else { self.chargeable };
        (self.offset < end).then(|| self.clock.instant(self.offset)).flatten()
    }

    /// No more increments: the call as a whole has its price.
    pub(super) fn whole(&mut self) {
        self.offset = Seconds::new(u64::MAX);
    }

    /// Talk that was looked at goes by; what of it is billed is said elsewhere.
    pub(super) fn pass(&mut self, talk: u64) {
        self.offset = Seconds::new(self.offset.get().saturating_add(talk.max(1)));
    }

    /// An increment begins and is billed.
    pub(super) fn advance(&mut self, by: Seconds) {
        self.offset = Seconds::new(self.offset.get().saturating_add(by.get()));
        self.billed = Seconds::new(self.billed.get().saturating_add(by.get()));
    }

    pub(super) fn used(&mut self, id: &'a str, amount: u64) {
        match self.uses.iter_mut().find(|(known, _)| *known == id) {
            Some((_, used)) => *used = used.saturating_add(amount),
            None => self.uses.push((id, amount)),
        }
    }

    /// Adds to the breakdown; increments of the same kind that follow one another make one line.
    pub(super) fn add(&mut self, item: Item<'a>) {
        match self.items.last_mut().filter(|last| last.is_like(&item)) {
            Some(last) => last.count = last.count.saturating_add(item.count),
            None => self.items.push(item),
        }
    }

    /// Something that an allowance covers, or that costs nothing.
    pub(super) fn add_free(&mut self, rule: Rule, band: BandId, allowance: Option<&'a str>, increment: Option<Seconds>, origin: Origin) {
        let begins = self.now;
        self.add(Item { rule, band: Some(band), allowance, count: 1, increment, unit_price: Decimal::ZERO, origin, begins });
    }
}

impl Item<'_> {
    /// Whether the two differ in nothing but their count, and when they begin.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let key = |item: &Self| (item.rule, item.band, item.increment, item.unit_price, item.origin);
        key(self) == key(other) && self.allowance == other.allowance
    }
}

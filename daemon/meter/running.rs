//! A call on the machine: what can be said of it before it runs, and what its increments have come to so far.

use super::increment::sells;
use super::pools::Source;
use super::record::{AllowanceUse, Line, Outcome, Rule};
use super::settlement::Input;
use super::talk::TalkClock;
use super::terms::{Offer, Role, Terms};
use super::{deadline, finish};
use crate::calls::Mark;
use crate::tariff::{BandId, Service, Verdict};
use crate::units::{Direction, Seconds, Timestamp};
use chrono::NaiveDate;
use rust_decimal::Decimal;

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
    pub(super) service: Option<&'a Service>,
    pub(super) offers: Vec<Offer<'a>>,
    pub(super) sources: Vec<Source<'a>>,
    pub(super) band: Option<BandId>,
}

/// What can be said of a call before the machine runs: missed, uncovered, unauthorised, held, or none of these.
pub(super) fn classify<'a>(terms: &Terms<'a>, input: Input<'a>, until: Timestamp) -> Running<'a> {
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
    running.decide(until);
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
    fn decide(&mut self, until: Timestamp) {
        let Some(offer) = self.offer.filter(|_| self.outcome.is_none()) else { return };
        let call = self.input.call;
        let rule = offer.plan.decision.as_ref().filter(|rule| rule.services.is_empty() || rule.services.contains(&call.service));
        let by_default = || deadline::due(rule?, call.ended_at?, offer.tariff.zone).filter(|due| until >= due.at).map(|due| due.verdict);
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
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        let end = if self.offset == Seconds::ZERO { self.clock.total() } else { self.chargeable };
        (self.offset < end).then(|| self.clock.instant(self.offset)).flatten()
    }

    /// No more increments: the call as a whole has its price.
    pub(super) fn whole(&mut self) {
        self.offset = Seconds::new(u64::MAX);
    }

    pub(super) fn advance(&mut self, by: Seconds) {
        self.offset = Seconds::new(self.offset.get().saturating_add(by.get()));
        self.billed = Seconds::new(self.billed.get().saturating_add(by.get()));
    }

    pub(super) fn used(&mut self, id: &str, amount: u64) {
        match self.uses.iter_mut().find(|one| *one.id == *id) {
            Some(one) => one.used = one.used.saturating_add(amount),
            None => self.uses.push(AllowanceUse { id: id.into(), used: amount }),
        }
    }

    /// Adds to the breakdown; increments of the same kind that follow one another make one line.
    pub(super) fn line(
        &mut self,
        rule: Rule,
        band: Option<BandId>,
        allowance: Option<&str>,
        increment: Option<Seconds>,
        unit_price: Decimal,
    ) {
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

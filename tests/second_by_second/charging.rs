//! What goes with a price, from the words of `config/tariffs/README.md`: rounding, connect fee, minimum, surcharge, cap.

use super::included::{Key, Rest};
use super::slowly::Watch;
use super::world::World;
use chrono::{Datelike, NaiveDate};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use taktd::tariff::{CapPer, PlanVersion, Rate, RoundMode, RoundPer, Step};
use taktd::units::Seconds;

/// What all calls of a contract share.
#[derive(Clone, Default)]
pub struct Books {
    /// What is left of what was granted or bought.
    pub left: BTreeMap<Key, Rest>,
    /// How far usage went beyond an allowance, and how far it may.
    pub beyond: BTreeMap<Key, (u64, u64)>,
    /// Allowances of which it is known that usage goes beyond what is tolerated.
    pub exceeded: BTreeSet<Key>,
    /// Seconds in the length that is being filled, of a rate, for a day, a month, an incident, a call.
    lengths: BTreeMap<(u32, String), u64>,
    /// Everything that became due.
    owed: Vec<Owed>,
}

#[derive(Clone)]
struct Owed {
    plan: (String, NaiveDate),
    service: String,
    call: String,
    incident: String,
    month: (i32, u32),
    amount: Decimal,
}

/// What a call owes.
#[derive(Default)]
pub struct Due {
    connected: bool,
    /// The least of the rate that charged first.
    minimum: Option<Option<Decimal>>,
    /// What its lines come to, and with the minimum.
    lines: Decimal,
    with_minimum: Decimal,
    /// What caps leave of that.
    pub owed: Decimal,
}

impl<'a> World<'a> {
    /// An increment of a step, or talk that goes into a length.
    pub fn step(&self, watch: &mut Watch<'a>, plan: &'a PlanVersion, rate: &'a Rate, steps: &[Step], books: &mut Books) {
        let at = |talked: u64| steps.iter().rfind(|step| step.from.get() <= talked).expect("the first is from 0");
        let round = rate.conditions.round.filter(|round| round.per != RoundPer::Increment || round.mode != RoundMode::Up);
        let Some(round) = round else {
            let step = at(watch.talked);
            let length = step.increment.get();
            if !self.is_tolerated(watch, books, length) {
                watch.pays(self, rate, books, "step", length, step.price);
            }
            watch.sum.billed += length;
            watch.covered += length;
            return;
        };
        let length = round.to.unwrap_or(at(watch.talked).increment).get();
        let calls = match round.per {
            RoundPer::Increment => None,
            RoundPer::Call => Some(format!("call {}", watch.told.call.id)),
            RoundPer::Incident => Some(format!("incident {}", watch.incident())),
            RoundPer::Day => Some(format!("day {}", watch.day)),
            RoundPer::Month => Some(format!("month {}-{}", watch.day.year(), watch.day.month())),
        };
        let key = calls.map(|calls| (rate.line, format!("{} {calls}", plan.id)));
        let before = key.as_ref().and_then(|key| books.lengths.get(key)).copied().unwrap_or(0);
        // What begins goes on as long as the length and the talk do.
        let talk = (length - before).min(watch.chargeable - watch.talked);
        if self.is_tolerated(watch, books, talk) {
            watch.covered += talk;
            return;
        }
        let enough = match round.mode {
            RoundMode::Up => 1,
            RoundMode::Half => length.div_ceil(2),
            RoundMode::Down => length,
        };
        if before < enough && enough <= before + talk {
            // The length is priced as talk of that length is.
            let mut priced = 0;
            while priced < length {
                let step = at(watch.talked + priced);
                watch.pays(self, rate, books, "step", step.increment.get(), step.price);
                priced += step.increment.get();
            }
            watch.sum.billed += priced;
        }
        if let Some(key) = key {
            books.lengths.insert(key, (before + talk) % length);
        }
        watch.covered += talk;
    }

    /// Uses what was bought; buys when nothing is left.
    pub fn bought(
        &self,
        watch: &mut Watch<'a>,
        rate: &'a Rate,
        (quantity, price, increment): (Seconds, Decimal, Seconds),
        first: NaiveDate,
        books: &mut Books,
    ) {
        let key = (watch.sum.plan.clone(), "top-up".to_owned(), first);
        if books.left.get(&key).is_none_or(|rest| rest.left == 0) {
            if self.is_tolerated(watch, books, increment.get()) {
                watch.sum.billed += increment.get();
                watch.covered += increment.get();
                return;
            }
            books.left.entry(key.clone()).or_default().left = quantity.get();
            watch.pays(self, rate, books, "top-up", quantity.get(), price);
        }
        let rest = books.left.get_mut(&key).expect("it was bought");
        let taken = increment.get().min(rest.left);
        rest.left -= taken;
        *watch.sum.used.entry("top-up".to_owned()).or_default() += taken;
        watch.begins("top-up", taken, Decimal::ZERO);
        watch.sum.billed += taken;
        watch.covered += taken;
    }
}

impl Watch<'_> {
    /// The incident it belongs to; one of its own otherwise.
    fn incident(&self) -> String {
        self.sum.incident.clone().unwrap_or_else(|| self.told.call.id.to_string())
    }

    /// Something has a price: that, the connect fee with the first of them, the surcharge on both; at least the minimum of
    /// all, and no more than each cap leaves.
    pub fn pays(&mut self, world: &World<'_>, rate: &Rate, books: &mut Books, what: &str, length: u64, price: Decimal) {
        let mut sum = price;
        self.begins(what, length, price);
        let mut priced = vec![(length, price)];
        if !self.due.connected {
            self.due.connected = true;
            if let Some(fee) = rate.conditions.connect {
                *self.sum.beside.entry(format!("connect {} {}", self.band, fee.normalize())).or_default() += 1;
                sum += fee;
                priced.push((0, fee));
            }
        }
        if let Some(percent) = self.surcharge(world) {
            for (length, price) in priced {
                let more = price * percent / Decimal::ONE_HUNDRED;
                if more > Decimal::ZERO {
                    *self.sum.beside.entry(format!("surcharge {} {length}s {}", self.band, more.normalize())).or_default() += 1;
                    sum += more;
                }
            }
        }
        if sum > Decimal::ZERO {
            self.owes(rate, books, sum);
        }
    }

    /// The percentage of the first surcharge that applies.
    fn surcharge(&self, world: &World<'_>) -> Option<Decimal> {
        let (call, plan) = (&self.told.call, self.plan?);
        let applies = |one: &&taktd::tariff::Surcharge| {
            world.names(&one.bands, self.band)
                && (one.services.is_empty() || one.services.contains(&call.service))
                && (one.severities.is_empty() || one.severities.iter().any(|known| Some(&**known) == self.severity))
                && (one.levels.is_empty() || call.level().is_some_and(|level| one.levels.contains(&level)))
        };
        plan.surcharges.iter().find(applies).map(|one| one.percent)
    }

    fn owes(&mut self, rate: &Rate, books: &mut Books, sum: Decimal) {
        let minimum = *self.due.minimum.get_or_insert(rate.conditions.minimum);
        self.due.lines += sum;
        let all = self.due.lines.max(minimum.unwrap_or_default());
        let more = all - self.due.with_minimum;
        self.due.with_minimum = all;
        let plan = self.plan.expect("it is sold");
        let mut new = Owed {
            plan: (plan.id.to_string(), plan.valid_from),
            service: self.told.call.service.to_string(),
            call: self.told.call.id.to_string(),
            incident: self.incident(),
            month: (self.day.year(), self.day.month()),
            amount: more,
        };
        for cap in plan.caps.iter().filter(|cap| cap.services.is_empty() || cap.services.contains(&self.told.call.service)) {
            let of_cap = |owed: &&Owed| {
                owed.plan == new.plan
                    && (cap.services.is_empty() || cap.services.iter().any(|one| **one == *owed.service))
                    && match cap.per {
                        CapPer::Call => owed.call == new.call,
                        CapPer::Incident => owed.incident == new.incident,
                        CapPer::Month => owed.month == new.month,
                    }
            };
            let so_far: Decimal = books.owed.iter().filter(of_cap).map(|owed| owed.amount).sum();
            new.amount = new.amount.min((cap.amount - so_far).max(Decimal::ZERO));
        }
        self.due.owed += new.amount;
        books.owed.push(new);
    }
}

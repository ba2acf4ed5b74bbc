//! What a call owes as its increments begin: surcharges, connect fee, minimum and caps, applied to each charge in the order
//! in which all charges of a contract fall due.

use super::record::Rule;
use super::running::{Item, Running};
use super::settlement::Origin;
use super::state::{Scope, State};
use super::terms::Offer;
use crate::tariff::{BandId, Cap, CapPer, PlanVersion, Rate, Surcharge};
use crate::units::{Seconds, Timestamp};
use rust_decimal::Decimal;

/// A call's charges so far.
#[derive(Default)]
pub(super) struct Due<'a> {
    caps: Vec<&'a Cap>,
    /// The connect fee was charged, or there is none.
    connected: bool,
    /// Something was charged.
    begun: bool,
    /// The minimum of the rate that charged first.
    minimum: Option<(Decimal, u32)>,
    /// The sum of its lines.
    lines: Decimal,
    /// That, or the minimum.
    due: Decimal,
    /// How much of it is beyond caps, and the line of the last cap that was reached.
    cut: Decimal,
    cap_line: u32,
    /// Lines beside the increments: connect fee, surcharges, talk that rounding does not charge.
    pub(super) beside: Vec<Item<'a>>,
}

impl<'a> Due<'a> {
    /// Of a call of a service under a plan.
    pub(super) fn of(plan: &'a PlanVersion, service: &str) -> Self {
        let concerns = |cap: &&Cap| cap.services.is_empty() || cap.services.iter().any(|one| **one == *service);
        Self { caps: plan.caps.iter().filter(concerns).collect(), ..Self::default() }
    }

    /// Whether what it owes depends on its incident.
    pub(super) fn asks_for_incident(&self) -> bool {
        self.caps.iter().any(|cap| cap.per == CapPer::Incident)
    }

    /// What the minimum adds to its lines, and where it stands.
    pub(super) fn raised(&self) -> Option<(Decimal, u32)> {
        let more = self.due.checked_sub(self.lines).filter(|more| *more > Decimal::ZERO)?;
        self.minimum.map(|(_, line)| (more, line))
    }

    /// What caps take from it, and where the last of them stands.
    pub(super) fn cut(&self) -> Option<(Decimal, u32)> {
        (self.cut > Decimal::ZERO).then_some((self.cut, self.cap_line))
    }

    /// Adds a line beside the increments to one like it.
    fn add(&mut self, item: Item<'a>) {
        match self.beside.iter_mut().find(|known| known.is_like(&item)) {
            Some(known) => known.count = known.count.saturating_add(item.count),
            None => self.beside.push(item),
        }
    }

    /// Talk that is counted, and begins nothing that is charged.
    pub(super) fn only_counted(&mut self, band: BandId, talk: Seconds, origin: Origin, begins: Timestamp) {
        match self.beside.iter_mut().find(|known| known.rule == Rule::Rounded && known.origin == origin) {
            Some(known) => known.increment = known.increment.map(|before| Seconds::new(before.get().saturating_add(talk.get()))),
            None => self.beside.push(Item {
                rule: Rule::Rounded,
                band: Some(band),
                allowance: None,
                count: 1,
                increment: Some(talk),
                unit_price: Decimal::ZERO,
                origin,
                begins,
            }),
        }
    }
}

impl<'a> Running<'a> {
    /// Charges something that has a price, with all that goes with it.
    pub(super) fn charge(&mut self, state: &mut State, offer: &Offer<'a>, rate: &'a Rate, item: Item<'a>) {
        let mut sum = amount(&item);
        let connect = if std::mem::replace(&mut self.due.connected, true) { None } else { rate.conditions.connect };
        let fee = connect.map(|price| Item { rule: Rule::Connect, allowance: None, count: 1, increment: None, unit_price: price, ..item });
        if let Some(fee) = fee {
            sum = sum.saturating_add(fee.unit_price);
            self.due.add(fee);
        }
        for priced in fee.iter().chain([&item]) {
            if let Some(more) = surcharge(offer, self, priced) {
                sum = sum.saturating_add(amount(&more));
                self.due.add(more);
            }
        }
        self.add(item);
        if sum > Decimal::ZERO {
            self.priced_since.get_or_insert(item.begins);
            let minimum = rate.conditions.minimum.map(|least| (least, rate.line));
            self.owe(state, offer, sum, minimum);
        }
    }

    /// Adds to what is due: at least the minimum in all, at most what is left under each cap.
    fn owe(&mut self, state: &mut State, offer: &Offer<'a>, sum: Decimal, minimum: Option<(Decimal, u32)>) {
        let due = &mut self.due;
        if !std::mem::replace(&mut due.begun, true) {
            due.minimum = minimum;
        }
        if due.minimum.is_none() && due.caps.is_empty() {
            return; // what its lines come to, as for most
        }
        due.lines = due.lines.saturating_add(sum);
        let wanted = due.minimum.map_or(due.lines, |(least, _)| least.max(due.lines));
        let more = wanted.saturating_sub(due.due);
        let owed_before = due.due.saturating_sub(due.cut);
        due.due = wanted;
        let scope = |cap: &Cap| match cap.per {
            CapPer::Call => None,
            CapPer::Incident => Some(Scope::Incident(self.incident.clone().unwrap_or_else(|| self.input.call.id.as_str().into()))),
            CapPer::Month => Some(Scope::month_of(self.day)),
        };
        let mut fits = more;
        for cap in &due.caps {
            let so_far = scope(cap).map_or(owed_before, |scope| state.charged.get(&offer.plan.id, cap.line, &scope));
            let room = cap.amount.saturating_sub(so_far).max(Decimal::ZERO);
            if room < fits {
                fits = room;
                due.cap_line = cap.line;
            }
        }
        due.cut = due.cut.saturating_add(more.saturating_sub(fits));
        for cap in &due.caps {
            if let Some(scope) = scope(cap) {
                let sum = state.charged.get(&offer.plan.id, cap.line, &scope).saturating_add(fits);
                state.charged.set(&offer.plan.id, cap.line, scope, sum);
            }
        }
    }
}

/// What an item comes to, all decimals kept.
pub(super) fn amount(item: &Item<'_>) -> Decimal {
    if item.count == 1 { item.unit_price } else { item.unit_price.checked_mul(Decimal::from(item.count)).unwrap_or(Decimal::MAX) }
}

/// What the first surcharge that applies adds to an item, in the band in which it began.
fn surcharge<'a>(offer: &Offer<'a>, call: &Running<'a>, item: &Item<'a>) -> Option<Item<'a>> {
    let (band, level) = (item.band?, call.input.call.level());
    let applies = |one: &&Surcharge| {
        one.bands.contains(&band)
            && (one.services.is_empty() || one.services.contains(&call.input.call.service))
            && (one.severities.is_empty() || call.severity.is_some_and(|severity| one.severities.iter().any(|known| **known == *severity)))
            && (one.levels.is_empty() || level.is_some_and(|level| one.levels.contains(&level)))
    };
    let found = offer.plan.surcharges.iter().find(applies)?;
    let unit_price = item.unit_price.checked_mul(found.percent)?.checked_div(Decimal::ONE_HUNDRED)?;
    (!unit_price.is_zero()).then(|| Item { rule: Rule::Surcharge, unit_price, origin: offer.origin(found.line), ..*item })
}

//! The hours of bands beside another reading of OpenStreetMap's opening_hours syntax, the crate `opening-hours`, minute by minute.
//!
//! It evaluates without a place, so that local time is ours to find. Where a span goes on over midnight it lets the rule of the
//! next day end it, and lets it go on from a day that is off; ours belongs to the day it begins on, holiday or not (README of
//! the tariffs). So spans over midnight are compared in expressions of one rule.

use crate::generated::hours::Hours;
use crate::generated::{Dice, cases};
use chrono::{Days, NaiveDate, NaiveTime, TimeDelta, Timelike};
use opening_hours::{Context, ContextHolidays, OpeningHours, RuleKind};
use proptest::prelude::*;
use std::sync::Arc;
use taktd::tariff::{BandId, Calendar, Week, bands};

/// Spans of a day in order, sometimes touching; the last may go on over midnight.
fn spans(dice: &Dice<'_>, over_midnight: bool) -> Vec<(u16, u16)> {
    let mut minutes: Vec<u16> = (0..2 + 2 * dice.below(3)).map(|_| u16::try_from(dice.between(0, 1_441)).expect("of a day")).collect();
    if dice.once_in(2) {
        minutes.iter_mut().for_each(|minute| *minute = *minute / 15 * 15);
    }
    minutes.sort_unstable();
    let mut spans: Vec<(u16, u16)> = minutes.chunks(2).map(|pair| (pair[0], pair[1])).filter(|(from, to)| from < to).collect();
    if over_midnight {
        let from = minutes.last().copied().unwrap_or(0).clamp(1, 1_439);
        spans.retain(|(_, to)| *to <= from);
        spans.push((from, 1_440 + u16::try_from(dice.between(1, from.into())).unwrap_or(1)));
    }
    spans
}

/// A text of our subset.
fn text(dice: &Dice<'_>) -> String {
    let days: Vec<usize> = dice.some(&[0, 1, 2, 3, 4, 5, 6]);
    if dice.once_in(3) {
        return Hours::on(&days, &spans(dice, true), None).text(dice);
    }
    let mut hours = Hours::on(&[], &[], dice.once_in(2).then(|| if dice.once_in(2) { spans(dice, false) } else { Vec::new() }).as_deref());
    for kind in [spans(dice, false), spans(dice, false), spans(dice, false)] {
        for day in dice.some(&days) {
            hours.week[day].clone_from(&kind);
        }
    }
    let mut text = hours.text(dice);
    if dice.once_in(4) && !text.is_empty() {
        // A later rule replaces what earlier ones said of its days.
        text = format!("Mo-Su 07:00-19:30; {text}");
    }
    text
}

proptest! {
    #![proptest_config(cases(400))]
    #[test]
    fn every_minute_is_read_alike(drawn in prop::collection::vec(any::<u32>(), 60), from in 0..15_000_u64) {
        let dice = Dice::new(&drawn);
        let text = text(&dice);
        prop_assume!(!text.is_empty());
        let hours = bands::Hours::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let week = Week::new(vec![(BandId(0), hours)]);
        let first = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date") + Days::new(from);
        let calendar = Calendar::none().with(vec![taktd::tariff::Day::Date(first + Days::new(2)), taktd::tariff::Day::Date(first + Days::new(7))], Vec::new());
        let mut public = ContextHolidays::default().get_public().clone();
        for day in first.iter_days().take(12).filter(|day| calendar.is_holiday(*day)) {
            public.insert(day);
        }
        let context = Context::default().with_holidays(ContextHolidays::new(Arc::new(public), Arc::default()));
        let oracle = text.parse::<OpeningHours>().unwrap_or_else(|error| panic!("{text}: {error}")).with_context(context);
        let (begin, end) = (first.and_time(NaiveTime::MIN), (first + Days::new(10)).and_time(NaiveTime::MIN));
        let mut minutes = 0;
        for stretch in oracle.iter_range(begin, end) {
            let mut at = stretch.range.start;
            while at < stretch.range.end {
                let minute = u16::try_from(at.hour() * 60 + at.minute()).expect("of a day");
                let ours = week.band(&calendar, at.date(), minute).is_some();
                prop_assert_eq!(ours, stretch.kind == RuleKind::Open, "{} at {}, holidays {:?}", text, at, calendar);
                (at, minutes) = (at + TimeDelta::minutes(1), minutes + 1);
            }
        }
        prop_assert_eq!(minutes, 10 * 1_440);
    }
}

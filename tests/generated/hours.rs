//! Bands as tables of spans, and as the text that a tariff has for them.

use super::dice::Dice;
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

/// Minutes of a day, from and to; a span over midnight ends after 1440.
pub type Span = (u16, u16);

/// When a band is: on each weekday from Monday on, and on holidays, where a rule says so.
#[derive(Clone, Debug)]
pub struct Hours {
    pub week: [Vec<Span>; 7],
    pub holidays: Option<Vec<Span>>,
}

const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

impl Hours {
    /// The same spans on some days.
    pub fn on(days: &[usize], spans: &[Span], holidays: Option<&[Span]>) -> Self {
        let week = std::array::from_fn(|day| if days.contains(&day) { spans.to_vec() } else { Vec::new() });
        Self { week, holidays: holidays.map(<[Span]>::to_vec) }
    }

    /// As a tariff writes it: one rule for all days that are alike, and the holidays last.
    pub fn text(&self, dice: &Dice<'_>) -> String {
        let mut rules = Vec::new();
        let mut told: Vec<usize> = Vec::new();
        for (day, name) in DAYS.iter().enumerate() {
            if self.week[day].is_empty() || told.contains(&day) {
                continue;
            }
            let alike: Vec<usize> = (day..7).filter(|other| self.week[*other] == self.week[day]).collect();
            told.extend(&alike);
            let together = alike.len() > 1 && alike.last().is_some_and(|last| last - day + 1 == alike.len()) && !dice.once_in(4);
            let days = match (together, alike.last()) {
                (true, Some(last)) => format!("{name}-{}", DAYS[*last]),
                _ => alike.iter().map(|day| DAYS[*day]).collect::<Vec<_>>().join(","),
            };
            rules.push(format!("{days} {}", spans(&self.week[day])));
        }
        match self.holidays.as_deref() {
            Some([]) => rules.push("PH off".to_owned()),
            Some(some) => rules.push(format!("PH {}", spans(some))),
            None => {}
        }
        rules.join("; ")
    }

    fn begun_on(&self, day: NaiveDate, is_holiday: bool) -> &[Span] {
        let weekday = &self.week[usize::try_from(day.weekday().num_days_from_monday()).expect("small")];
        self.holidays.as_ref().filter(|_| is_holiday).unwrap_or(weekday)
    }

    /// Whether it is on at a local time: by a span of that day, or by one that began on the day before.
    pub fn has(&self, at: NaiveDateTime, is_holiday: impl Fn(NaiveDate) -> bool) -> bool {
        let (today, yesterday) = (at.date(), at.date().pred_opt().expect("there is one"));
        let minute = u16::try_from(at.hour() * 60 + at.minute()).expect("of a day");
        let inside = |spans: &[Span], minute: u16| spans.iter().any(|(from, to)| *from <= minute && minute < *to);
        inside(self.begun_on(today, is_holiday(today)), minute) || inside(self.begun_on(yesterday, is_holiday(yesterday)), minute + 1_440)
    }
}

fn spans(spans: &[Span]) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let span = |(from, to): &Span| format!("{}-{}", time(*from), time(if *to > 1_440 { *to - 1_440 } else { *to }));
    spans.iter().map(span).collect::<Vec<_>>().join(",")
}

/// The bands of a service, which never overlap: names and hours.
pub fn partition(dice: &Dice<'_>, prefix: &str) -> Vec<(String, Hours)> {
    let named = |name: &str, hours: Hours| (format!("{prefix}{name}"), hours);
    let quarter = |from: i64, to: i64| u16::try_from(dice.between(from, to) * 15).expect("of a day");
    let (opens, closes) = (quarter(20, 40), quarter(60, 92));
    let all: Vec<usize> = (0..7).collect();
    let workdays = if dice.once_in(4) { dice.some(&all) } else { vec![0, 1, 2, 3, 4] };
    let others: Vec<usize> = all.iter().copied().filter(|day| !workdays.contains(day)).collect();
    let off = |dice: &Dice<'_>| dice.once_in(2).then_some(&[][..]);
    match dice.below(5) {
        0 => vec![named("always", Hours::on(&all, &[(0, 1_440)], None))],
        1 => {
            // Office hours, and all the rest, holidays among it.
            let open = Hours::on(&workdays, &[(opens, closes)], Some(&[]));
            let mut rest = Hours::on(&workdays, &[(0, opens), (closes, 1_440)], Some(&[(0, 1_440)]));
            for day in others {
                rest.week[day] = vec![(0, 1_440)];
            }
            vec![named("open", open), named("rest", rest)]
        }
        2 => {
            // Nights that belong to the evening they begin on: with days off, some mornings are in no band.
            let day = Hours::on(&all, &[(opens, closes)], off(dice));
            let night = Hours::on(if dice.once_in(2) { &workdays } else { &all }, &[(closes, 1_440 + opens)], off(dice));
            vec![named("day", day), named("night", night)]
        }
        3 => {
            let noon = quarter(46, 54);
            vec![named("hours", Hours::on(&workdays, &[(opens, noon), (noon + 45, closes)], off(dice)))]
        }
        _ => {
            // As of `support-level`: the pauses of one band are another's.
            let noon = quarter(46, 54);
            let general = Hours::on(&workdays, &[(opens, noon), (noon + 30, closes)], off(dice));
            let day = Hours::on(&workdays, &[(opens.saturating_sub(90), opens), (noon, noon + 30)], off(dice));
            let late = Hours::on(&workdays, &[(closes, 1_440)], off(dice));
            vec![named("general", general), named("day", day), named("late", late)]
        }
    }
}

//! The hours of a band: a strict subset of OpenStreetMap's opening_hours syntax.
//!
//! `Mo-Fr 08:00-09:30,12:30-13:30; Sa,Su 00:00-24:00; PH off`, `24/7`. Rules are separated by `;`, and a later one replaces
//! what earlier ones said about the days it names. Without a rule for `PH`, a public holiday is like its weekday. The
//! invariant: a span over midnight (`22:00-08:00`) belongs to the day it begins on, holiday or not. Where the subset would
//! mean something else than the full syntax, or where a reader could be mistaken, it is refused.

use chrono::Weekday;
use std::fmt;

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 1_440;

/// A kind of day: its weekday, and whether it is a public holiday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayClass(u8);

impl DayClass {
    /// How many there are.
    pub const COUNT: usize = 14;

    /// The class of a day.
    #[must_use]
    pub fn new(weekday: Weekday, holiday: bool) -> Self {
        let day = match weekday {
            Weekday::Mon => 0,
            Weekday::Tue => 1,
            Weekday::Wed => 2,
            Weekday::Thu => 3,
            Weekday::Fri => 4,
            Weekday::Sat => 5,
            Weekday::Sun => 6,
        };
        Self(if holiday { 7u8.saturating_add(day) } else { day })
    }

    /// Its place in a table of [`Self::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Whether it is a public holiday.
    #[must_use]
    pub const fn is_holiday(self) -> bool {
        self.0 >= 7
    }
}

/// A piece of a day in minutes since its midnight: `from` < 1440, `from` < `to` ≤ `from` + 1440. What lies beyond 1440 is
/// on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    from: u16,
    to: u16,
}

impl Span {
    /// The first minute.
    #[must_use]
    pub const fn from(self) -> u16 {
        self.from
    }

    /// The first minute after it.
    #[must_use]
    pub const fn to(self) -> u16 {
        self.to
    }
}

/// When a band is, on each kind of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    days: [Vec<Span>; DayClass::COUNT],
    names_holidays: bool,
}

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursError {
    /// The byte at which it is wrong, from 0.
    pub at: usize,
    /// How many bytes are.
    pub len: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Hours {
    /// Reads an expression.
    ///
    /// # Errors
    /// At the first byte that is not in the subset.
    pub fn parse(text: &str) -> Result<Self, HoursError> {
        let mut hours = Self { days: std::array::from_fn(|_| Vec::new()), names_holidays: false };
        let mut cursor = Cursor { text, at: 0 };
        cursor.blanks();
        if cursor.rest().is_empty() {
            return Err(cursor.wrong(0, "it is empty; write for example `Mo-Fr 09:00-17:00; PH off`, or `24/7`"));
        }
        loop {
            let begin = cursor.at;
            let rule = cursor.rule()?;
            if rule.holidays == Named::No && hours.names_holidays {
                return Err(HoursError {
                    at: begin,
                    len: cursor.at.saturating_sub(begin).max(1),
                    message: "a rule for weekdays after one for `PH` would replace it on holidays that fall on them; write the rule with \
                              `PH` last"
                        .to_owned(),
                });
            }
            hours.apply(&rule);
            cursor.blanks();
            if cursor.rest().is_empty() {
                return Ok(hours);
            }
            if !cursor.take(";") {
                return Err(cursor.wrong(1, "expected `;` and another rule, or the end"));
            }
            cursor.blanks();
            if cursor.rest().is_empty() {
                return Err(cursor.wrong(0, "a rule is missing after `;`; write one, or take the `;` away"));
            }
        }
    }

    /// The spans that begin on a day, in order, disjoint.
    #[must_use]
    pub fn on(&self, day: DayClass) -> &[Span] {
        self.days.get(day.index()).map_or(&[], Vec::as_slice)
    }

    /// Whether a rule names `PH`, so that a holiday calendar is needed.
    #[must_use]
    pub const fn names_holidays(&self) -> bool {
        self.names_holidays
    }

    fn apply(&mut self, rule: &RuleLine) {
        self.names_holidays |= rule.holidays == Named::Yes;
        for (index, spans) in self.days.iter_mut().enumerate() {
            let weekday = index.checked_rem(7).unwrap_or(0);
            let by_weekday = rule.weekdays.get(weekday).copied() == Some(Named::Yes);
            let by_holiday = index >= 7 && rule.holidays == Named::Yes;
            if by_weekday || by_holiday {
                spans.clone_from(&rule.spans);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

struct RuleLine {
    weekdays: [Named; 7],
    holidays: Named,
    spans: Vec<Span>,
}

const WEEKDAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn blanks(&mut self) {
        while self.rest().starts_with(' ') {
            self.skip(1);
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.skip(word.len());
        }
        found
    }

    fn wrong(&self, len: usize, message: impl Into<String>) -> HoursError {
        HoursError { at: self.at, len, message: message.into() }
    }

    /// The word at the cursor, for messages.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find([' ', ',', ';', '-']).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest)
    }

    fn rule(&mut self) -> Result<RuleLine, HoursError> {
        let mut rule = RuleLine { weekdays: [Named::No; 7], holidays: Named::No, spans: Vec::new() };
        if self.take("24/7") {
            rule.weekdays = [Named::Yes; 7];
            rule.spans.push(Span { from: 0, to: DAY_MINUTES });
            return Ok(rule);
        }
        loop {
            self.days(&mut rule)?;
            if !self.take(",") {
                break;
            }
            self.blanks();
        }
        if !self.take(" ") {
            return Err(self.wrong(1, "expected a blank and times such as `09:00-17:00`, or `off`, after the days"));
        }
        self.blanks();
        if self.take("off") {
            return Ok(rule);
        }
        loop {
            let span = self.span()?;
            rule.spans.push(span);
            if !self.take(",") {
                break;
            }
            self.blanks();
        }
        rule.spans = merged(rule.spans);
        Ok(rule)
    }

    fn days(&mut self, rule: &mut RuleLine) -> Result<(), HoursError> {
        if self.take("PH") {
            rule.holidays = Named::Yes;
            return Ok(());
        }
        let first = self.weekday()?;
        let last = if self.take("-") { self.weekday()? } else { first };
        let mut day = first;
        loop {
            if let Some(named) = rule.weekdays.get_mut(day) {
                *named = Named::Yes;
            }
            if day == last {
                return Ok(());
            }
            day = day.saturating_add(1).checked_rem(7).unwrap_or(0);
        }
    }

    fn weekday(&mut self) -> Result<usize, HoursError> {
        if let Some(day) = WEEKDAYS.iter().position(|name| self.rest().starts_with(name)) {
            self.skip(2);
            return Ok(day);
        }
        let word = self.word();
        let hint = match word {
            "Di" => "write `Tu` for Tuesday".to_owned(),
            "Mi" => "write `We` for Wednesday".to_owned(),
            "Do" => "write `Th` for Thursday".to_owned(),
            "So" => "write `Su` for Sunday".to_owned(),
            "Feiertag" | "SH" => "write `PH` for public holidays".to_owned(),
            _ if word.starts_with(|first: char| first.is_ascii_digit()) => "write the days first, such as `Mo-Su 09:00-17:00`".to_owned(),
            _ => "write Mo, Tu, We, Th, Fr, Sa, Su or PH".to_owned(),
        };
        let what = if word.is_empty() { "a day is missing".to_owned() } else { format!("`{word}` is no day") };
        Err(self.wrong(word.len(), format!("{what}; {hint}")))
    }

    fn span(&mut self) -> Result<Span, HoursError> {
        if WEEKDAYS.iter().any(|day| self.rest().starts_with(day)) || self.rest().starts_with("PH") {
            return Err(self.wrong(2, "expected a time; a rule for other days begins after `;`"));
        }
        let begin = self.at;
        let from = self.time()?;
        if from == DAY_MINUTES {
            return Err(HoursError { at: begin, len: 5, message: "nothing begins at 24:00; write 00:00 of the next day".to_owned() });
        }
        if !self.take("-") {
            let what = if self.rest().starts_with('–') { "the dash is no plain `-`" } else { "expected `-` and the end" };
            return Err(self.wrong(self.word().len().max(1), format!("{what}; write for example `09:00-17:00`")));
        }
        let to = self.time()?;
        if to == from {
            let len = self.at.saturating_sub(begin);
            let message = "it ends when it begins; write 00:00-24:00 for a whole day".to_owned();
            return Err(HoursError { at: begin, len, message });
        }
        let to = if to < from { to.saturating_add(DAY_MINUTES) } else { to };
        Ok(Span { from, to })
    }

    /// `HH:MM`, 00:00 to 24:00, as minutes.
    fn time(&mut self) -> Result<u16, HoursError> {
        let word = self.word();
        let bytes = self.rest().as_bytes();
        let digit = |index: usize| bytes.get(index).filter(|byte| byte.is_ascii_digit()).map(|byte| u16::from(byte.wrapping_sub(b'0')));
        let two = |index: usize| digit(index)?.checked_mul(10)?.checked_add(digit(index.checked_add(1)?)?);
        let (hours, minutes) = match (two(0), bytes.get(2), two(3), digit(5)) {
            (Some(hours), Some(b':'), Some(minutes), None) => (hours, minutes),
            _ => return Err(self.wrong(word.len(), format!("`{word}` is no time; write HH:MM, such as 09:30"))),
        };
        let total = hours.saturating_mul(60).saturating_add(minutes);
        if hours > 24 || minutes > 59 || total > DAY_MINUTES {
            let message = format!("there is no {hours:02}:{minutes:02}; times go from 00:00 to 24:00");
            return Err(self.wrong(5, message));
        }
        self.skip(5);
        if bytes.get(5) == Some(&b':') {
            return Err(self.wrong(3, "seconds are not known here; write HH:MM"));
        }
        Ok(total)
    }
}

/// Sorted, and joined where they touch.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            _ => out.push(span),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(hours: &Hours, weekday: Weekday, holiday: bool) -> Vec<(u16, u16)> {
        hours.on(DayClass::new(weekday, holiday)).iter().map(|span| (span.from, span.to)).collect()
    }

    #[test]
    fn rules_name_days_and_later_ones_replace() {
        let check = |text: &str, weekday: Weekday, holiday: bool, expected: &[(u16, u16)]| {
            let hours = Hours::parse(text).expect(text);
            assert_eq!(spans(&hours, weekday, holiday), expected, "{text} on {weekday}, holiday: {holiday}");
        };
        let day = "Mo-Fr 08:00-09:30,12:30-13:30,17:00-22:00; PH off";
        check(day, Weekday::Mon, false, &[(480, 570), (750, 810), (1020, 1320)]);
        check(day, Weekday::Mon, true, &[]);
        check(day, Weekday::Sat, false, &[]);
        check("Mo-Fr 09:00-17:00", Weekday::Tue, true, &[(540, 1020)]);
        check("24/7", Weekday::Sun, true, &[(0, 1440)]);
        check("24/7; PH off", Weekday::Sun, true, &[]);
        check("24/7; We 10:00-11:00", Weekday::Wed, false, &[(600, 660)]);
        check("Fr-Mo 22:00-08:00", Weekday::Sun, false, &[(1320, 1920)]);
        check("Fr-Mo 22:00-08:00", Weekday::Tue, false, &[]);
        check("Mo,We 09:00-10:00,10:00-11:00", Weekday::Wed, false, &[(540, 660)]);
        check("Sa,Su,PH 00:00-24:00", Weekday::Wed, true, &[(0, 1440)]);
        check("Mo 22:00-00:00", Weekday::Mon, false, &[(1320, 1440)]);
        check("Mo-Fr 09:00-17:00; Fr 09:00-12:00; PH off", Weekday::Fri, false, &[(540, 720)]);
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        for (text, at, part) in [
            ("", 0, "it is empty"),
            ("Mo-Fr 9-17", 6, "`9` is no time"),
            ("Mo-Fr 9:30-17:00", 6, "`9:30` is no time"),
            ("Di-Fr 09:00-17:00", 0, "write `Tu`"),
            ("Mo-So 09:00-17:00", 3, "write `Su`"),
            ("Mo-Fr 09:00–17:00", 11, "no plain `-`"),
            ("Mo-Fr 09:00-25:00", 12, "no 25:00"),
            ("Mo-Fr 09:00-24:30", 12, "no 24:30"),
            ("Mo-Fr 24:00-08:00", 6, "nothing begins at 24:00"),
            ("Mo-Fr 09:00-09:00", 6, "ends when it begins"),
            ("Mo-Fr 09:00:00-17:00", 11, "seconds"),
            ("Mo-Fr 09:00-17:00;", 18, "rule is missing"),
            ("Mo-Fr 09:00-17:00 Sa 10:00-12:00", 18, "expected `;`"),
            ("Mo-Fr 09:00-17:00, Sa 10:00-12:00", 19, "after `;`"),
            ("PH off; Mo-Fr 09:00-17:00", 8, "with `PH` last"),
            ("09:00-17:00", 0, "the days first"),
            ("Mo", 2, "expected a blank"),
            ("Mo-", 3, "a day is missing"),
        ] {
            let error = Hours::parse(text).expect_err(text);
            assert!(error.message.contains(part), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Err(error) = Hours::parse(&text) {
                proptest::prop_assert!(error.at <= text.len());
            }
        }

        #[test]
        fn nearly_right_texts_are_read_or_refused(text in "[MoTuWeFrPH0-9:,;\\- of/]{0,40}") {
            let _ = Hours::parse(&text);
        }
    }
}

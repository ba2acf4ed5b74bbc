//! Public holidays of the German states, by rule and not by list.
//!
//! The one invariant: a day is a holiday by the law of its year (the states' holiday acts with their changes from 2000 on),
//! plus the days a tariff adds, minus those it removes. Names are ISO 3166-2 (`DE-BY`), with the holidays that only some
//! municipalities have as options (`DE-BY+assumption`).

use chrono::{Datelike, Days, NaiveDate};

/// A state of Germany.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BadenWuerttemberg,
    Bavaria,
    Berlin,
    Brandenburg,
    Bremen,
    Hamburg,
    Hesse,
    LowerSaxony,
    MecklenburgWesternPomerania,
    NorthRhineWestphalia,
    RhinelandPalatinate,
    Saarland,
    Saxony,
    SaxonyAnhalt,
    SchleswigHolstein,
    Thuringia,
}

use State::{
    BadenWuerttemberg, Bavaria, Berlin, Brandenburg, Bremen, Hamburg, Hesse, LowerSaxony, MecklenburgWesternPomerania,
    NorthRhineWestphalia, RhinelandPalatinate, Saarland, Saxony, SaxonyAnhalt, SchleswigHolstein, Thuringia,
};

/// Every calendar there is, by name; `DE` has the days that all states share.
const NAMES: [(&str, Option<State>); 17] = [
    ("DE", None),
    ("DE-BB", Some(Brandenburg)),
    ("DE-BE", Some(Berlin)),
    ("DE-BW", Some(BadenWuerttemberg)),
    ("DE-BY", Some(Bavaria)),
    ("DE-HB", Some(Bremen)),
    ("DE-HE", Some(Hesse)),
    ("DE-HH", Some(Hamburg)),
    ("DE-MV", Some(MecklenburgWesternPomerania)),
    ("DE-NI", Some(LowerSaxony)),
    ("DE-NW", Some(NorthRhineWestphalia)),
    ("DE-RP", Some(RhinelandPalatinate)),
    ("DE-SH", Some(SchleswigHolstein)),
    ("DE-SL", Some(Saarland)),
    ("DE-SN", Some(Saxony)),
    ("DE-ST", Some(SaxonyAnhalt)),
    ("DE-TH", Some(Thuringia)),
];

/// A holiday that only some municipalities of a state have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Municipal {
    /// 15 August, in the mainly Catholic municipalities of Bavaria.
    Assumption,
    /// 8 August, in the city of Augsburg.
    AugsburgPeace,
    /// The Thursday 60 days after Easter, in parts of Saxony and Thuringia.
    CorpusChristi,
}

const MUNICIPAL: [(&str, Municipal, &[State]); 3] = [
    ("assumption", Municipal::Assumption, &[Bavaria]),
    ("augsburg", Municipal::AugsburgPeace, &[Bavaria]),
    ("corpus-christi", Municipal::CorpusChristi, &[Saxony, Thuringia]),
];

/// A day that a tariff adds or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Once.
    Date(NaiveDate),
    /// Every year: month and day.
    Yearly(u32, u32),
}

impl Day {
    /// Reads `2026-12-24`, or `--12-24` for every year; `None` if it is neither or no such day exists.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some(yearly) = text.strip_prefix("--") else {
            return NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10).map(Self::Date);
        };
        let (month, day) = yearly.split_once('-').filter(|(month, day)| month.len() == 2 && day.len() == 2)?;
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        NaiveDate::from_ymd_opt(2000, month, day)?; // a leap year: 29 February is a day
        Some(Self::Yearly(month, day))
    }

    fn is(self, day: NaiveDate) -> bool {
        match self {
            Self::Date(date) => date == day,
            Self::Yearly(month, number) => day.month() == month && day.day() == number,
        }
    }
}

/// Which days are public holidays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    rules: Option<Rules>,
    add: Vec<Day>,
    remove: Vec<Day>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rules {
    state: Option<State>,
    municipal: Vec<Municipal>,
}

/// Why a name is no calendar's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownCalendar {
    /// There is no such place.
    Place,
    /// That place has no such option.
    Option {
        /// The option asked for.
        asked: String,
        /// Those it has.
        known: Vec<&'static str>,
    },
}

impl Calendar {
    /// No holidays at all.
    #[must_use]
    pub const fn none() -> Self {
        Self { rules: None, add: Vec::new(), remove: Vec::new() }
    }

    /// A calendar by name: `DE-BY`, `DE-BY+assumption`, or `DE` for what all states share.
    ///
    /// # Errors
    /// When there is no such place, or no such option there.
    pub fn parse(name: &str) -> Result<Self, UnknownCalendar> {
        let mut parts = name.split('+');
        let place = parts.next().unwrap_or("");
        let (_, state) = NAMES.iter().find(|(known, _)| *known == place).ok_or(UnknownCalendar::Place)?;
        let mut municipal = Vec::new();
        for option in parts {
            let here = |states: &[State]| state.is_some_and(|state| states.contains(&state));
            match MUNICIPAL.iter().find(|(known, _, states)| *known == option && here(states)) {
                Some((_, rule, _)) => municipal.push(*rule),
                None => {
                    let known = MUNICIPAL.iter().filter(|(_, _, states)| here(states)).map(|(name, _, _)| *name).collect();
                    return Err(UnknownCalendar::Option { asked: option.to_owned(), known });
                }
            }
        }
        Ok(Self { rules: Some(Rules { state: *state, municipal }), ..Self::default() })
    }

    /// The names of all calendars.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// This calendar with days added and removed; a day that is both is none.
    #[must_use]
    pub fn with(self, add: Vec<Day>, remove: Vec<Day>) -> Self {
        Self { add, remove, ..self }
    }

    /// Whether a day is a public holiday here.
    #[must_use]
    pub fn is_holiday(&self, day: NaiveDate) -> bool {
        let listed = |days: &[Day]| days.iter().any(|known| known.is(day));
        !listed(&self.remove) && (listed(&self.add) || self.rules.as_ref().is_some_and(|rules| rules.has(day)))
    }
}

impl Rules {
    fn has(&self, day: NaiveDate) -> bool {
        let date = (day.month(), day.day());
        let has = |municipal: Municipal| self.municipal.contains(&municipal);
        let anywhere = match date {
            (1, 1) | (5, 1) | (10, 3) | (12, 25 | 26) => true,
            (8, 15) if has(Municipal::Assumption) => true,
            (8, 8) if has(Municipal::AugsburgPeace) => true,
            (10, 31) => day.year() == 2017, // 500 years of the Reformation
            _ => false,
        };
        anywhere || self.state.is_some_and(|state| fixed(state, date, day)) || self.moveable(day, has(Municipal::CorpusChristi))
    }

    fn moveable(&self, day: NaiveDate, corpus_christi: bool) -> bool {
        let Some(easter) = easter(day.year()) else { return false };
        match day.signed_duration_since(easter).num_days() {
            -2 | 1 | 39 | 50 => true, // Good Friday, Easter Monday, Ascension, Whit Monday
            0 | 49 => self.state == Some(Brandenburg),
            60 => {
                let state = [BadenWuerttemberg, Bavaria, Hesse, NorthRhineWestphalia, RhinelandPalatinate, Saarland];
                corpus_christi || self.state.is_some_and(|here| state.contains(&here))
            }
            _ => false,
        }
    }
}

/// Holidays of a state on the same date each year, some since a year, some once.
fn fixed(state: State, date: (u32, u32), day: NaiveDate) -> bool {
    let year = day.year();
    match date {
        (1, 6) => matches!(state, BadenWuerttemberg | Bavaria | SaxonyAnhalt),
        (3, 8) => match state {
            Berlin => year >= 2019,
            MecklenburgWesternPomerania => year >= 2023,
            _ => false,
        },
        (5, 8) => state == Berlin && matches!(year, 2020 | 2025), // 75 and 80 years of the end of the war
        (6, 17) => state == Berlin && year == 2028,               // 75 years of the uprising of 1953
        (8, 15) => state == Saarland,
        (9, 20) => state == Thuringia && year >= 2019,
        (10, 31) => match state {
            Brandenburg | MecklenburgWesternPomerania | Saxony | SaxonyAnhalt | Thuringia => true,
            Bremen | Hamburg | LowerSaxony | SchleswigHolstein => year >= 2018,
            _ => false,
        },
        (11, 1) => matches!(state, BadenWuerttemberg | Bavaria | NorthRhineWestphalia | RhinelandPalatinate | Saarland),
        // Repentance Day: the Wednesday before 23 November.
        (11, 16..=22) => state == Saxony && day.weekday() == chrono::Weekday::Wed,
        _ => false,
    }
}

/// Easter Sunday of a year in the Gregorian calendar (computus of Gauss with Lichtenberg's correction); `None` outside
/// the years chrono knows.
#[must_use]
pub fn easter(year: i32) -> Option<NaiveDate> {
    let century = year.checked_div_euclid(100)?;
    let moon =
        15i32.checked_add((century.checked_mul(3)?.checked_add(3)?) / 4)?.checked_sub(century.checked_mul(8)?.checked_add(13)? / 25)?;
    let sun = 2i32.checked_sub(century.checked_mul(3)?.checked_add(3)? / 4)?;
    let a = year.checked_rem_euclid(19)?;
    let d = a.checked_mul(19)?.checked_add(moon)?.checked_rem_euclid(30)?;
    let correction = d.checked_add(a / 11)? / 29;
    let full_moon = 21i32.checked_add(d)?.checked_sub(correction)?;
    let first_sunday = 7i32.checked_sub(year.checked_add(year / 4)?.checked_add(sun)?.checked_rem_euclid(7)?)?;
    let wait = 7i32.checked_sub(full_moon.checked_sub(first_sunday)?.checked_rem_euclid(7)?)?;
    let march = u64::try_from(full_moon.checked_add(wait)?.checked_sub(1)?).ok()?;
    NaiveDate::from_ymd_opt(year, 3, 1)?.checked_add_days(Days::new(march))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn every_state_agrees_with_an_independent_list() {
        let mut compared = 0u32;
        for line in include_str!("../../tests/cases/holidays/germany.txt").lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let calendar = Calendar::parse(words.next().expect("a name")).expect("known");
            let year = words.next().expect("a year").parse().expect("a number");
            let listed: Vec<&str> = words.collect();
            let first = NaiveDate::from_ymd_opt(year, 1, 1).expect("a day");
            let ours: Vec<String> = first
                .iter_days()
                .take_while(|day| day.year() == year)
                .filter(|day| calendar.is_holiday(*day))
                .map(|day| day.format("%m%d").to_string())
                .collect();
            assert_eq!(ours, listed, "{line}");
            compared = compared.saturating_add(1);
        }
        assert_eq!(compared, 20 * 51);
    }

    #[test]
    fn easter_is_where_it_was() {
        for text in ["1818-03-22", "1954-04-18", "1981-04-19", "2000-04-23", "2026-04-05", "2038-04-25", "2049-04-18"] {
            assert_eq!(easter(day(text).year()), Some(day(text)));
        }
    }

    #[test]
    fn days_are_added_and_removed() {
        let extra = |text: &str| vec![Day::parse(text).expect("a day")];
        let calendar = Calendar::parse("DE-BY").expect("known").with(extra("--12-24"), extra("2026-01-06"));
        for (text, holiday) in
            [("2026-12-24", true), ("2031-12-24", true), ("2026-01-06", false), ("2027-01-06", true), ("2026-08-15", false)]
        {
            assert_eq!(calendar.is_holiday(day(text)), holiday, "{text}");
        }
        for text in ["--02-30", "--2-3", "2026-02-29", "26-01-01", "12-24", "", "--", "+2026-1-1"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn unknown_places_and_options_are_named() {
        assert_eq!(Calendar::parse("DE-XX"), Err(UnknownCalendar::Place));
        assert_eq!(Calendar::parse("Bayern"), Err(UnknownCalendar::Place));
        assert_eq!(
            Calendar::parse("DE-BY+corpus-christi"),
            Err(UnknownCalendar::Option { asked: "corpus-christi".to_owned(), known: vec!["assumption", "augsburg"] })
        );
    }
}

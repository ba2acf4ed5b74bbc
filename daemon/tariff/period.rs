//! Calendar arithmetic: months and years counted from a day, and the end of a contract (design.md §4).
//!
//! The one invariant: a day that a month lacks (29 February, the 31st) is that month's last day, counted from the original
//! day each time: from 31 January follow 28 February and 31 March.

use super::{Period, PlanVersion};
use chrono::{Days, Months, NaiveDate};

impl Period {
    /// One year.
    pub const YEAR: Self = Self::Months(12);
    /// One month.
    pub const MONTH: Self = Self::Months(1);

    /// The day so many of these periods after `from`; `None` beyond the calendar.
    #[must_use]
    pub fn after(self, from: NaiveDate, times: u32) -> Option<NaiveDate> {
        match self {
            Self::Days(days) => from.checked_add_days(Days::new(u64::from(days).checked_mul(u64::from(times))?)),
            Self::Months(months) => from.checked_add_months(Months::new(months.checked_mul(times)?)),
        }
    }

    /// The periods that follow one another from `start`, each as its first day and the first day after it.
    ///
    /// Ends with the calendar; a period of no length gives none.
    pub fn periods(self, start: NaiveDate) -> impl Iterator<Item = (NaiveDate, NaiveDate)> {
        let length = match self {
            Self::Days(length) | Self::Months(length) => length,
        };
        (0u32..)
            .take_while(move |_| length > 0)
            .map_while(move |count| Some((self.after(start, count)?, self.after(start, count.checked_add(1)?)?)))
    }

    /// The period from `start` that a day lies in, as its first day and the first day after it; `None` before `start`, and
    /// for a period of no length.
    #[must_use]
    pub fn containing(self, start: NaiveDate, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        if day < start {
            return None;
        }
        let count = first(|count| self.after(start, count.saturating_add(1)).is_none_or(|end| end > day))?;
        let (from, to) = (self.after(start, count)?, self.after(start, count.checked_add(1)?)?);
        (from < to).then_some((from, to))
    }
}

/// The first day that a plan no longer covers, as its term says: `None` while nothing ends it.
///
/// `term` from the start, then `renewal` again and again (without one it ends with its term); a cancellation ends it at the
/// first term's end E for which `cancelled_on` + `notice` is not after the day before E. A plan without a term ends, once
/// cancelled, as soon as its notice has run.
#[must_use]
pub fn end_of_plan(plan: &PlanVersion, starts_on: NaiveDate, cancelled_on: Option<NaiveDate>) -> Option<NaiveDate> {
    let notified = |cancelled: NaiveDate| plan.notice.map_or(Some(cancelled), |notice| notice.after(cancelled, 1));
    let Some(term) = plan.term else {
        return Some(notified(cancelled_on?)?.succ_opt()?.max(starts_on));
    };
    let Some(renewal) = plan.renewal else { return term.after(starts_on, 1) };
    let last_day = notified(cancelled_on?)?;
    let end = |count: u32| match (term, renewal) {
        (Period::Months(term), Period::Months(renewal)) => {
            Period::Months(term.checked_add(renewal.checked_mul(count)?)?).after(starts_on, 1)
        }
        (term, renewal) => renewal.after(term.after(starts_on, 1)?, count),
    };
    end(first(|count| end(count).is_none_or(|end| last_day < end))?)
}

/// The end of a contract: the latest of its plans' ends; `None` while one of them goes on, or if it has none.
#[must_use]
pub fn end_of_contract<'a>(
    plans: impl IntoIterator<Item = &'a PlanVersion>,
    starts_on: NaiveDate,
    cancelled_on: Option<NaiveDate>,
) -> Option<NaiveDate> {
    let ends: Option<Vec<NaiveDate>> = plans.into_iter().map(|plan| end_of_plan(plan, starts_on, cancelled_on)).collect();
    ends?.into_iter().max()
}

/// The smallest count for which `enough` holds; it must go on holding from there.
fn first(enough: impl Fn(u32) -> bool) -> Option<u32> {
    let (mut low, mut high) = (0u32, u32::MAX.wrapping_shr(1));
    if !enough(high) {
        return None;
    }
    while low < high {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::Callers;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn a_day_that_a_month_lacks_is_its_last() {
        let check = |period: Period, start: &str, expected: &[&str]| {
            let starts: Vec<_> = period.periods(day(start)).take(expected.len()).map(|(from, _)| from.to_string()).collect();
            assert_eq!(starts, expected, "{period:?} from {start}");
        };
        check(Period::MONTH, "2026-01-31", &["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]);
        check(Period::MONTH, "2024-01-30", &["2024-01-30", "2024-02-29", "2024-03-30"]);
        check(Period::MONTH, "2026-01-29", &["2026-01-29", "2026-02-28", "2026-03-29"]);
        check(Period::YEAR, "2024-02-29", &["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]);
        check(Period::Days(14), "2026-01-01", &["2026-01-01", "2026-01-15", "2026-01-29"]);
        assert_eq!(Period::Days(0).periods(day("2026-01-01")).next(), None);
    }

    #[test]
    fn every_day_lies_in_one_period() {
        let check = |period: Period, start: &str, at: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(from, to)| (day(from), day(to)));
            assert_eq!(period.containing(day(start), day(at)), expected, "{period:?} from {start} at {at}");
        };
        check(Period::MONTH, "2026-01-31", "2026-02-27", Some(("2026-01-31", "2026-02-28")));
        check(Period::MONTH, "2026-01-31", "2026-02-28", Some(("2026-02-28", "2026-03-31")));
        check(Period::YEAR, "2024-02-29", "2025-02-28", Some(("2025-02-28", "2026-02-28")));
        check(Period::YEAR, "2024-02-29", "2028-02-28", Some(("2027-02-28", "2028-02-29")));
        check(Period::YEAR, "2026-01-01", "2026-01-01", Some(("2026-01-01", "2027-01-01")));
        check(Period::YEAR, "2026-01-01", "2025-12-31", None);
        check(Period::Days(0), "2026-01-01", "2026-01-01", None);
    }

    fn plan(term: Option<Period>, renewal: Option<Period>, notice: Option<Period>) -> PlanVersion {
        PlanVersion {
            id: "p".into(),
            valid_from: day("2019-01-01"),
            line: 1,
            fee: None,
            allowances: Vec::new(),
            rates: Vec::new(),
            surcharges: Vec::new(),
            caps: Vec::new(),
            decision: None,
            responses: Vec::new(),
            callers: Callers::Any,
            stations: None,
            term,
            renewal,
            notice,
            requires: Vec::new(),
            includes: Vec::new(),
            supersedes: Vec::new(),
        }
    }

    #[test]
    fn a_contract_ends_with_a_term() {
        let year = Some(Period::YEAR);
        let cash_desk = plan(year, year, Some(Period::Days(14)));
        let check = |plan: &PlanVersion, start: &str, cancelled: Option<&str>, expected: Option<&str>| {
            assert_eq!(end_of_plan(plan, day(start), cancelled.map(day)), expected.map(day), "from {start}, cancelled {cancelled:?}");
        };
        check(&cash_desk, "2026-01-01", None, None);
        // Last covered day 2026-12-31: two weeks before is 2026-12-17, and one day later is too late.
        check(&cash_desk, "2026-01-01", Some("2026-12-17"), Some("2027-01-01"));
        check(&cash_desk, "2026-01-01", Some("2026-12-18"), Some("2028-01-01"));
        check(&cash_desk, "2026-01-01", Some("2026-01-02"), Some("2027-01-01"));
        check(&cash_desk, "2024-02-29", Some("2025-02-13"), Some("2025-02-28"));
        check(&cash_desk, "2024-02-29", Some("2027-12-31"), Some("2028-02-29"));
        let monthly = plan(year, Some(Period::MONTH), Some(Period::MONTH));
        check(&monthly, "2025-08-31", Some("2026-08-31"), Some("2026-10-31")); // + a month is 30 Sep; the term's end 30 Sep is too early
        check(&monthly, "2025-08-31", Some("2026-08-29"), Some("2026-09-30"));
        check(&plan(year, None, None), "2026-01-01", None, Some("2027-01-01"));
        check(&plan(None, None, None), "2026-01-01", None, None);
        check(&plan(None, None, None), "2026-01-01", Some("2026-03-10"), Some("2026-03-11"));
        check(&plan(None, None, Some(Period::Days(14))), "2026-01-01", Some("2026-03-10"), Some("2026-03-25"));
        check(&plan(None, None, None), "2026-01-01", Some("2025-03-10"), Some("2026-01-01"));
        let mixed = plan(Some(Period::Days(10)), Some(Period::MONTH), None);
        check(&mixed, "2026-01-01", Some("2026-02-11"), Some("2026-03-11"));
    }

    #[test]
    fn the_latest_end_of_several_plans_counts() {
        let open = plan(None, None, None);
        let yearly = plan(Some(Period::YEAR), Some(Period::YEAR), None);
        let end = |cancelled: Option<&str>| end_of_contract([&open, &yearly], day("2026-01-01"), cancelled.map(day));
        assert_eq!(end(Some("2026-05-05")), Some(day("2027-01-01")));
        assert_eq!(end(None), None);
        assert_eq!(end_of_contract([], day("2026-01-01"), None), None);
    }

    proptest::proptest! {
        #[test]
        fn periods_meet_without_gap(offset in 0u64..20_000, months in 1u32..25, later in 0u64..20_000) {
            let start = day("1999-12-31").checked_add_days(Days::new(offset)).expect("in range");
            let at = start.checked_add_days(Days::new(later)).expect("in range");
            let by_walking = Period::Months(months).periods(start).find(|(_, to)| at < *to);
            proptest::prop_assert_eq!(Period::Months(months).containing(start, at), by_walking);
        }
    }
}

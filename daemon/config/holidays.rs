//! `holidays` of a tariff: a place, with days of its own added and taken away.

use super::reader::Value;
use crate::tariff::{Calendar, Day, UnknownCalendar};

/// `"DE-BY"`, or `{ calendar = "DE-BY", add = [...], remove = [...] }`.
pub(super) fn calendar(value: &Value<'_>) -> Option<Calendar> {
    if !value.is_table() {
        return calendar_name(value);
    }
    let table = value.table()?;
    let base = table.required("calendar", "\"DE-BY\"").and_then(|value| calendar_name(&value));
    let days = |key| -> Vec<Day> {
        let Some(list) = table.optional(key).and_then(|value| value.list()) else { return Vec::new() };
        list.iter().filter_map(day).collect()
    };
    let (add, remove) = (days("add"), days("remove"));
    let base = base?;
    for value in table.optional("remove").and_then(|value| value.list()).unwrap_or_default() {
        if let Some(day) = value.as_date().filter(|day| !base.is_holiday(*day)) {
            value.warning(format!("{day} is no public holiday there; nothing is taken away"));
        }
    }
    table.finish();
    Some(base.with(add, remove))
}

fn day(value: &Value<'_>) -> Option<Day> {
    match value.as_text() {
        Some(_) => value.parsed("a date such as 2026-12-24, or \"--12-24\" for every year", Day::parse),
        None => value.date().map(Day::Date),
    }
}

fn calendar_name(value: &Value<'_>) -> Option<Calendar> {
    let text = value.text()?;
    match Calendar::parse(text) {
        Ok(calendar) => return Some(calendar),
        Err(UnknownCalendar::Place) => {
            let place = text.split('+').next().unwrap_or("");
            value.wrong(format!("there is no calendar \"{place}\"; write one of {}", Calendar::names().collect::<Vec<_>>().join(", ")));
        }
        Err(UnknownCalendar::Option { asked, known }) if known.is_empty() => {
            value.wrong(format!("this place has no option \"{asked}\"; write it without `+{asked}`, or add the days by `add`"));
        }
        Err(UnknownCalendar::Option { asked, known }) => {
            value.wrong(format!("this place has no option \"{asked}\"; it has {}", known.join(", ")));
        }
    }
    None
}

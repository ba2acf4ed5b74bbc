//! The bands and services of a tariff file: hours, gaps, overlaps.

use super::problem::suggestion;
use super::reader::{Table, Value};
use super::tariff::Names;
use crate::tariff::bands::Hours;
use crate::tariff::{BandId, Calendar, Service, Stretch, Week};
use chrono::{Datelike, NaiveDate};

/// How far ahead gaps and overlaps are looked for: after 28 years weekdays and dates meet as before, and a few more let
/// Easter find its places.
pub(super) const YEARS_AHEAD: u32 = 40;

/// A band's name, its place, and its hours if they could be read.
pub(super) type Band<'a> = (&'a str, Value<'a>, Option<Hours>);

/// The table `[bands]`, in file order.
pub(super) fn bands<'a>(root: &Table<'a>, calendar_named: bool) -> Vec<Band<'a>> {
    let Some(table) = root.required("bands", "{ always = \"24/7\" }").and_then(|value| value.table()) else { return Vec::new() };
    let mut bands = Vec::new();
    for (name, _, value) in table.entries() {
        let hours = value.text().and_then(|text| match Hours::parse(text) {
            Ok(hours) => Some(hours),
            Err(error) => {
                value.wrong_inside(error.at, error.len, error.message);
                None
            }
        });
        if hours.as_ref().is_some_and(Hours::names_holidays) && !calendar_named {
            value.wrong("it names PH, but the tariff has no calendar of public holidays; write for example `holidays = \"DE-BY\"`");
        }
        if bands.len() >= 250 {
            value.wrong("there are more than 250 bands; write fewer");
            break;
        }
        bands.push((name, value, hours));
    }
    bands
}

/// The `[[service]]` tables.
pub(super) fn services(tables: &[Table<'_>], hours: &[Band<'_>]) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for table in tables {
        let name = table.required("name", "\"support\"").and_then(|value| Some((value.text()?, value)));
        let bands = table.required("bands", "[\"always\"]").and_then(|value| some_bands(&value, hours));
        let Some((name, value)) = name else { continue };
        if services.iter().any(|known| *known.name == *name) {
            value.wrong(format!("a service \"{name}\" stands above already; give each one table"));
            continue;
        }
        let bands = bands.unwrap_or_default();
        let compiled = bands.iter().filter_map(|band| Some((*band, hours.get(usize::from(band.0))?.2.clone()?))).collect();
        services.push(Service { name: name.into(), bands, week: Week::new(compiled) });
    }
    services
}

fn some_bands(value: &Value<'_>, hours: &[Band<'_>]) -> Option<Vec<BandId>> {
    let found = bands_of(value, hours.iter().map(|(name, _, _)| *name))?;
    if found.is_empty() {
        value.wrong("it names no band; name at least one");
    }
    Some(found)
}

/// A list of bands by name.
pub(super) fn bands_of<'n>(value: &Value<'_>, names: impl Iterator<Item = &'n str> + Clone) -> Option<Vec<BandId>> {
    let mut found = Vec::new();
    for (text, item) in value.texts()? {
        match names.clone().zip(0u8..).find(|(name, _)| *name == text).map(|(_, id)| BandId(id)) {
            Some(id) if found.contains(&id) => item.wrong(format!("\"{text}\" stands here twice; take one away")),
            Some(id) => found.push(id),
            None => item.wrong(format!("no band is named \"{text}\"; {}", suggestion(text, names.clone()))),
        }
    }
    Some(found)
}

/// The service that a table describes.
pub(super) fn service_of<'n>(table: &Table<'_>, names: &'n Names) -> Option<&'n Service> {
    let name = table.optional("name")?.as_text()?.to_owned();
    names.services.iter().find(|service| *service.name == *name)
}

/// Overlaps are mistakes, gaps must be declared, and a declared gap must be one.
pub(super) fn check_week(table: &Table<'_>, service: &Service, names: &Names, calendar: &Calendar, from: NaiveDate) {
    let outside = table.optional("outside");
    let declared = outside.as_ref().and_then(|value| value.word(&[("uncovered", ())]));
    if service.week.bands().len() < service.bands.len() || service.bands.is_empty() {
        return; // a band that could not be read is no gap
    }
    let name = |band: BandId| names.bands.get(usize::from(band.0)).map_or("", |name| name);
    for overlap in service.week.overlaps(calendar, from, YEARS_AHEAD) {
        let (first, second) = (name(overlap.first), name(overlap.second));
        let on = moment(overlap.on, overlap.at);
        let place = table.optional("bands");
        let message = format!("\"{first}\" and \"{second}\" overlap, first on {on}; a minute may have one band only");
        place.map_or_else(|| table.wrong(message.clone()), |place| place.wrong(message.clone()));
    }
    let gaps = service.week.gaps(calendar, from, YEARS_AHEAD);
    match (gaps.first(), declared, outside) {
        (Some(gap), None, None) => {
            let on = moment(gap.on, gap.at);
            table.wrong(format!("no band covers {on}; cover it, or declare the gap with `outside = \"uncovered\"`"));
        }
        (None, Some(()), Some(value)) => value.warning("there is no gap; the bands cover the whole week"),
        _ => {}
    }
}

/// `Mo 2026-03-09 00:00-09:30`.
pub(super) fn moment(on: NaiveDate, at: Stretch) -> String {
    let day = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"][on.weekday().num_days_from_monday() as usize % 7];
    format!("{day} {on} {:02}:{:02}-{:02}:{:02}", at.from / 60, at.from % 60, at.to / 60, at.to % 60)
}

/// A band that nothing uses is a slip.
pub(super) fn unused_bands(hours: &[Band<'_>], names: &Names, plans: &[crate::tariff::PlanVersion]) {
    for ((name, value, _), id) in hours.iter().zip(0u8..) {
        let id = BandId(id);
        let sold = names.services.iter().any(|service| service.bands.contains(&id));
        let answered = plans.iter().flat_map(|plan| &plan.responses).any(|response| response.bands.contains(&id));
        if !sold && !answered {
            value.warning(format!("no service or response uses the band \"{name}\""));
        }
    }
}

//! A tariff file: TOML → [`Tariff`], every mistake with its place (the keys are described in `config/tariffs/README.md`).
//!
//! The one invariant: no default decides a price. What a plan costs, for whom, when, and where it is not sold, is written.

use super::plan;
use super::problem::{Problem, closest, suggestion};
use super::reader::{Source, Table, Value};
use crate::tariff::bands::Hours;
use crate::tariff::{BandId, Calendar, Day, Service, Stretch, Tariff, UnknownCalendar, Week};
use crate::units::{Currency, PriceKind, Seconds};
use chrono::{Datelike, NaiveDate};
use chrono_tz::{TZ_VARIANTS, Tz};
use rust_decimal::Decimal;

/// How far ahead gaps and overlaps are looked for: after 28 years weekdays and dates meet as before, and a few more let
/// Easter find its places.
pub(super) const YEARS_AHEAD: u32 = 40;

/// What became of a tariff file.
pub(super) struct Read {
    /// The tariff; `None` when there are problems.
    pub(super) tariff: Option<Tariff>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// Reads a tariff from its text; `name` is the file's, for messages.
///
/// # Errors
/// All mistakes of the file.
pub fn parse(name: &str, text: &str) -> Result<Tariff, Vec<Problem>> {
    let read = read(name, text);
    read.tariff.ok_or(read.problems)
}

/// Reads a tariff with its warnings.
pub(super) fn read(file: &str, text: &str) -> Read {
    let source = Source::new(file, text);
    let document = source.parse();
    let tariff = {
        let root = Table::root(&source, &document);
        let tariff = tariff(&root, file);
        root.finish();
        tariff
    };
    let (problems, warnings) = source.finish();
    Read { tariff: tariff.filter(|_| problems.is_empty()), problems, warnings }
}

/// The names that plans may use, and what they mean.
pub(super) struct Names {
    pub(super) bands: Vec<Box<str>>,
    pub(super) services: Vec<Service>,
    pub(super) severities: Vec<Box<str>>,
}

fn tariff(root: &Table<'_>, file: &str) -> Option<Tariff> {
    let name = root.required("name", "\"support-level\"").and_then(|value| value.text());
    let currency = match root.optional("currency") {
        Some(value) => value.parsed("an ISO 4217 code such as \"EUR\"", Currency::parse),
        None => Some(Currency::EUR),
    };
    let prices = root.required("prices", "\"net\"").and_then(|value| value.word(&[("net", PriceKind::Net), ("gross", PriceKind::Gross)]));
    let zone = root.required("timezone", "\"Europe/Berlin\"").and_then(|value| zone(&value));
    let holidays = root.optional("holidays");
    let calendar = holidays.as_ref().map_or_else(|| Some(Calendar::none()), calendar);
    let incident_window = match root.optional("incident_window") {
        Some(value) => value.seconds(),
        None => Some(Seconds::new(86_400)),
    };
    let severities = severities(root);
    let default_severity = root.optional("default_severity").and_then(|value| known_severity(&value, &severities));
    let vat = vat(root);
    let hours = bands(root, holidays.is_some());
    let tables = root.tables("service");
    let services = services(&tables, &hours);
    let names = Names { bands: hours.iter().map(|(name, _, _)| (*name).into()).collect(), services, severities };
    let plans = plan::plans(root, &names);

    let earliest = plans.iter().map(|plan| plan.valid_from).min();
    if let (Some(earliest), Some((first, _))) = (earliest, vat.first())
        && earliest < *first
    {
        root.optional("vat")?
            .wrong(format!("plans are valid from {earliest}, before the first rate ({first}); write the rate of that day"));
    }
    if names.services.is_empty() {
        root.wrong("no [[service]] is sold; write at least one");
    }
    unused_bands(&hours, &names, &plans);
    let calendar = calendar?;
    for (table, service) in tables.iter().filter_map(|table| Some((table, service_of(table, &names)?))) {
        check_week(table, service, &names, &calendar, earliest?);
    }
    tables.into_iter().for_each(Table::finish);
    Some(Tariff {
        name: name?.into(),
        file: file.into(),
        currency: currency?,
        prices: prices?,
        zone: zone?,
        calendar,
        vat,
        incident_window: incident_window?,
        default_severity: default_severity.map(Into::into),
        bands: names.bands,
        services: names.services,
        plans,
    })
}

/// An IANA zone by name.
pub(super) fn zone(value: &Value<'_>) -> Option<Tz> {
    let text = value.text()?;
    let zone = text.parse().ok();
    if zone.is_none() {
        let right = match closest(text, TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(name) => format!("did you mean \"{name}\"?"),
            None => "write an IANA name such as \"Europe/Berlin\"".to_owned(),
        };
        value.wrong(format!("there is no time zone \"{text}\"; {right}"));
    }
    zone
}

fn calendar(value: &Value<'_>) -> Option<Calendar> {
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
    table.finish();
    Some(base?.with(add, remove))
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

fn severities(root: &Table<'_>) -> Vec<Box<str>> {
    let Some(texts) = root.optional("severities").and_then(|value| value.texts()) else { return Vec::new() };
    let mut known: Vec<Box<str>> = Vec::new();
    for (text, value) in texts {
        if known.iter().any(|known| **known == *text) {
            value.wrong(format!("\"{text}\" stands here twice; take one away"));
        } else {
            known.push(text.into());
        }
    }
    known
}

pub(super) fn known_severity<'a>(value: &Value<'a>, severities: &[Box<str>]) -> Option<&'a str> {
    let text = value.text()?;
    if severities.iter().any(|known| **known == *text) {
        return Some(text);
    }
    let names = severities.iter().map(AsRef::as_ref);
    value.wrong(format!("no severity is named \"{text}\" in `severities`; {}", suggestion(text, names)));
    None
}

fn vat(root: &Table<'_>) -> Vec<(NaiveDate, Decimal)> {
    let mut rates: Vec<(NaiveDate, Decimal)> = Vec::new();
    let tables = root.tables("vat");
    if tables.is_empty() {
        root.required("vat", "[{ from = 2007-01-01, percent = 19 }]");
    }
    for table in tables {
        let from = table.required("from", "2007-01-01");
        let percent = table.required("percent", "19").and_then(|value| Some((value.decimal()?, value)));
        if let Some((_, value)) = percent.as_ref().filter(|(percent, _)| *percent > Decimal::ONE_HUNDRED) {
            value.wrong("it is more than 100 percent; write for example 19");
        }
        let day = from.as_ref().and_then(Value::date);
        if let (Some(day), Some((percent, _))) = (day, percent) {
            match rates.last() {
                Some((before, _)) if day <= *before => {
                    if let Some(value) = from {
                        value.wrong(format!("it is not after {before}, the rate before; write rates in order, each day once"));
                    }
                }
                _ => rates.push((day, percent)),
            }
        }
        table.finish();
    }
    rates
}

type Band<'a> = (&'a str, Value<'a>, Option<Hours>);

fn bands<'a>(root: &Table<'a>, calendar_named: bool) -> Vec<Band<'a>> {
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

fn services(tables: &[Table<'_>], hours: &[Band<'_>]) -> Vec<Service> {
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

fn service_of<'n>(table: &Table<'_>, names: &'n Names) -> Option<&'n Service> {
    let name = table.optional("name")?.as_text()?.to_owned();
    names.services.iter().find(|service| *service.name == *name)
}

/// Overlaps are mistakes, gaps must be declared, and a declared gap must be one.
fn check_week(table: &Table<'_>, service: &Service, names: &Names, calendar: &Calendar, from: NaiveDate) {
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

fn unused_bands(hours: &[Band<'_>], names: &Names, plans: &[crate::tariff::PlanVersion]) {
    for ((name, value, _), id) in hours.iter().zip(0u8..) {
        let id = BandId(id);
        let sold = names.services.iter().any(|service| service.bands.contains(&id));
        let answered = plans.iter().flat_map(|plan| &plan.responses).any(|response| response.bands.contains(&id));
        if !sold && !answered {
            value.warning(format!("no service or response uses the band \"{name}\""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::{Callers, Fee, FeePer, Grant, Period, PlanVersion, Price, Response, Step, Validity};
    use crate::units::Timestamp;

    fn support_level() -> Tariff {
        parse("support-level.toml", include_str!("../../config/tariffs/support-level.toml")).expect("no problems")
    }

    fn plan<'t>(tariff: &'t Tariff, id: &str) -> &'t PlanVersion {
        tariff.plan(id, "2026-03-10".parse().expect("a date")).expect("known")
    }

    fn price(text: &str) -> Decimal {
        Decimal::from_str_exact(text).expect("a decimal")
    }

    #[test]
    fn support_level_has_every_price_of_its_document() {
        let tariff = support_level();
        for (id, fee, minutes, response) in [
            ("support-level-1", None, 15, None),
            ("support-level-2", Some("39.00"), 30, Some(24)),
            ("support-level-3", Some("89.00"), 90, Some(4)),
        ] {
            let plan = plan(&tariff, id);
            assert_eq!(plan.fee, fee.map(|amount| Fee { amount: price(amount), per: FeePer::Month }), "{id}");
            let granted: Vec<_> = plan.allowances.iter().map(|allowance| (allowance.grant, allowance.per)).collect();
            let time = |minutes: u64| Grant::Time { quantity: Seconds::new(minutes * 60), increment: Seconds::new(60) };
            assert_eq!(granted, [(time(minutes), Validity::Month), (time(60), Validity::Activation(None))], "{id}");
            let response =
                response.map(|hours| Response { severities: Vec::new(), within: Seconds::new(hours * 3_600), bands: vec![BandId(4)] });
            assert_eq!(plan.responses.first(), response.as_ref(), "{id}");
            let steps: Vec<_> = plan.rates.iter().map(|rate| (&*rate.service, rate.bands.as_slice(), &rate.price)).collect();
            let blocks = |first: &str, then: &str| {
                let block = |from, price_of: &str| Step { from: Seconds::new(from), increment: Seconds::new(300), price: price(price_of) };
                Price::Steps(vec![block(0, first), block(300, then)])
            };
            let minute = Price::Steps(vec![Step { from: Seconds::ZERO, increment: Seconds::new(60), price: price("0.50") }]);
            let expected: [(&str, &[BandId], &Price); 4] = [
                ("support", &[], &minute),
                ("emergency", &[BandId(0)], &minute),
                ("emergency", &[BandId(1)], &blocks("30.00", "25.00")),
                ("emergency", &[BandId(2), BandId(3)], &blocks("36.00", "30.00")),
            ];
            assert_eq!(steps, expected, "{id}");
        }
        assert_eq!(plan(&tariff, "support-level-3").requires, ["support-level-2".into()]);
        assert_eq!(plan(&tariff, "enterprise").includes, ["support-level-2".into()]);
        assert_eq!(plan(&tariff, "enterprise").fee, None);
        let vat = |day: &str| tariff.vat_percent(day.parse().expect("a date")).map(|percent| percent.to_string());
        for (day, percent) in [("2020-06-30", "19"), ("2020-07-01", "16"), ("2020-12-31", "16"), ("2021-01-01", "19")] {
            assert_eq!(vat(day).as_deref(), Some(percent), "{day}");
        }
        let support = tariff.service("support").expect("sold");
        for (at, band) in [("2026-03-10T10:00:00+01:00", Some(BandId(0))), ("2026-03-10T17:30:00+01:00", None)] {
            assert_eq!(tariff.band_at(support, Timestamp::parse_rfc3339(at).expect("a time")), band, "{at}");
        }
    }

    #[test]
    fn cash_desk_has_every_price_of_its_document() {
        let tariff = parse("cash-desk.toml", include_str!("../../config/tariffs/cash-desk.toml")).expect("no problems");
        let (flat, second) = (plan(&tariff, "support-flat"), plan(&tariff, "second-level"));
        assert_eq!(flat.fee, Some(Fee { amount: price("249.00"), per: FeePer::YearAndStation }));
        assert_eq!(second.fee, Some(Fee { amount: price("650.00"), per: FeePer::Year }));
        assert_eq!((flat.callers, second.callers), (Callers::Any, Callers::Authorised));
        assert_eq!((flat.stations, second.stations), (None, Some((1, 5))));
        for plan in [flat, second] {
            let year = Some(Period::Months(12));
            assert_eq!((plan.term, plan.renewal, plan.notice), (year, year, Some(Period::Days(14))));
            assert!(plan.rates.iter().all(|rate| rate.price == Price::Flat) && plan.rates.len() == 2);
        }
        assert!(tariff.service("emergency").is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_damage_is_read_or_refused(at in 0usize..6_000, cut in 0usize..80, with in "\\PC{0,12}") {
            let text = include_str!("../../config/tariffs/support-level.toml");
            let chars: Vec<char> = text.chars().collect();
            let at = at.min(chars.len());
            let rest = chars.get(at.saturating_add(cut)..).unwrap_or(&[]);
            let damaged: String = chars[..at].iter().chain(&with.chars().collect::<Vec<_>>()).chain(rest).collect();
            let _ = parse("t.toml", &damaged);
        }
    }
}

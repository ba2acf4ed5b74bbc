//! A tariff file: TOML → [`Tariff`], every mistake with its place (the keys are described in `config/tariffs/README.md`).
//!
//! The one invariant: no default decides a price. What a plan costs, for whom, when, and where it is not sold, is written.

use super::bands::{bands, check_week, service_of, services, unused_bands};
use super::holidays::calendar;
use super::plan;
use super::problem::{Problem, closest, suggestion};
use super::reader::{Source, Table, Value};
use super::slips::sells;
use crate::tariff::bands::Hours;
use crate::tariff::{Calendar, Service, Tariff};
use crate::units::{Currency, PriceKind, Seconds};
use chrono::NaiveDate;
use chrono_tz::{TZ_VARIANTS, Tz};
use rust_decimal::Decimal;

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
    /// Whether a call without a severity has one.
    pub(super) default_severity: bool,
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
    let names = Names {
        bands: hours.iter().map(|(name, _, _)| (*name).into()).collect(),
        services,
        severities,
        default_severity: default_severity.is_some(),
    };
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
    if let Some(value) = holidays.filter(|_| !hours.iter().any(|(_, _, hours)| hours.as_ref().is_some_and(Hours::names_holidays))) {
        value.warning("no band names PH, so public holidays are like any day; add a rule for PH to the bands, or take `holidays` away");
    }
    let calendar = calendar?;
    for (table, service) in tables.iter().filter_map(|table| Some((table, service_of(table, &names)?))) {
        if !plans.is_empty() && !plans.iter().any(|plan| sells(plan, &service.name)) {
            table.warning("no plan has a rate or an allowance for it, so all its calls are uncovered");
        }
    }
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
        match &percent {
            Some((percent, value)) if *percent > Decimal::ONE_HUNDRED => value.wrong("it is more than 100 percent; write for example 19"),
            Some((percent, value)) if *percent > Decimal::ZERO && *percent < Decimal::ONE => {
                let meant = percent.saturating_mul(Decimal::ONE_HUNDRED).normalize();
                value.wrong(format!("it is less than 1 percent; write {meant} for {meant} percent"));
            }
            Some((percent, value)) if rates.last().is_some_and(|(_, before)| before == percent) => {
                value.warning("it is the percentage of the rate before; nothing changes on that day");
            }
            _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::{BandId, Callers, Fee, FeePer, Grant, Period, PlanVersion, Price, Response, Step, Validity};
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

    /// One of everything that a tariff can say beside what the files under `config/` use.
    const RICH: &str = r#"
        name = "rich"
        prices = "gross"
        currency = "CHF"
        timezone = "Europe/Zurich"
        holidays = { calendar = "DE-BY+assumption", add = ["--12-24", 2026-05-15], remove = [2026-06-04] }
        incident_window = "12h"
        severities = ["A", "B", "C"]
        default_severity = "C"
        vat = [{ from = 2018-01-01, percent = "8.1" }]
        [bands]
        business = "Mo-Fr 08:00-18:00; PH off"
        outside = "Mo-Fr 00:00-08:00,18:00-24:00; Sa-Su 00:00-24:00; PH 00:00-24:00"
        [[service]]
        name = "support"
        bands = ["business", "outside"]
        [[service]]
        name = "callback"
        bands = ["business"]
        outside = "uncovered"
        [[plan]]
        id = "large"
        valid_from = 2019-01-01
        fee = { amount = "899", per = "year" }
        callers = "any"
        [[plan.allowance]]
        id = "hours"
        time = "8h"
        increment = "15m"
        per = "contract-year"
        per_station = true
        carry_over = { at_most = "2h", lapses = "3 months" }
        services = ["support", "callback"]
        [[plan.allowance]]
        id = "free"
        incidents = 2
        per = "month"
        services = ["support"]
        bands = ["business"]
        severities = ["B", "C"]
        levels = [3]
        [[plan.allowance]]
        id = "calls"
        callbacks = 5
        per = "activation"
        lapses = "90 days"
        services = ["callback"]
        [[plan.rate]]
        service = "support"
        severities = ["A"]
        direction = "in"
        incident = 510
        [[plan.rate]]
        service = "support"
        bands = ["business"]
        levels = [1, 2]
        top_up = { quantity = "1h", price = 89.00, increment = "15m", per = "contract-year" }
        [[plan.rate]]
        service = "support"
        bands = ["business"]
        flat = true
        [[plan.uncovered]]
        service = "support"
        bands = ["outside"]
        [[plan.response]]
        severities = ["A"]
        within = "2h"
        [plan.decision]
        services = ["support"]
        default = "customer"
        after = "14 days"
        [[plan]]
        id = "large"
        valid_from = 2026-01-01
        fee = "none"
        callers = "authorised"
        includes = ["small"]
        [[plan.rate]]
        service = "support"
        bands = ["business"]
        steps = [{ from = "0s", increment = "1h", price = 149 }, { from = "1h", increment = "1h", price = 129.00 }]
        [[plan]]
        id = "small"
        valid_from = 2026-01-01
        fee = "none"
        callers = "any"
        [[plan.rate]]
        service = "support"
        flat = true
    "#;

    #[test]
    fn everything_can_be_said() {
        let tariff = parse("rich.toml", RICH).expect("no problems");
        let large = tariff.plan("large", "2025-12-31".parse().expect("a date")).expect("known");
        assert_eq!((tariff.prices, tariff.currency.code(), tariff.incident_window), (PriceKind::Gross, "CHF", Seconds::new(43_200)));
        assert_eq!(tariff.vat_percent("2026-01-01".parse().expect("a date")), Some(price("8.1")));
        let [hours, free, calls] = &large.allowances[..] else { panic!("three allowances") };
        assert_eq!(hours.grant, Grant::Time { quantity: Seconds::new(28_800), increment: Seconds::new(900) });
        assert_eq!((hours.per, hours.per_station, hours.carry_over), (Validity::ContractYear, true, Some((7_200, Period::Months(3)))));
        assert_eq!((free.grant, &free.bands[..], &free.levels[..]), (Grant::Incidents(2), &[BandId(0)][..], &[3][..]));
        assert_eq!((calls.grant, calls.per), (Grant::Callbacks(5), Validity::Activation(Some(Period::Days(90)))));
        let prices: Vec<_> = large.rates.iter().map(|rate| &rate.price).collect();
        let top_up = Price::TopUp {
            quantity: Seconds::new(3_600),
            price: price("89.00"),
            increment: Seconds::new(900),
            per: Validity::ContractYear,
        };
        assert_eq!(prices, [&Price::Incident(price("510")), &top_up, &Price::Flat]);
        assert_eq!(large.decision.as_ref().and_then(|rule| rule.default), Some((Period::Days(14), crate::tariff::Resolved::Customer)));
        let later = tariff.plan("large", "2026-01-01".parse().expect("a date")).expect("known");
        assert_eq!((later.callers, later.rates.len(), &*later.includes), (Callers::Authorised, 1, &["small".into()][..]));
        let support = tariff.service("support").expect("sold");
        for (at, band) in [("2026-12-24T10:00:00+01:00", 1), ("2026-06-04T10:00:00+02:00", 0), ("2026-08-15T10:00:00+02:00", 1)] {
            assert_eq!(tariff.band_at(support, Timestamp::parse_rfc3339(at).expect("a time")), Some(BandId(band)), "{at}");
        }
    }

    #[test]
    fn mistakes_of_plans_are_named() {
        for (right, wrong, expected) in [
            ("incident = 510", "incident = 510\nflat = true", "it cannot stand beside `incident`"),
            ("incident = 510", "incident = 1e3", "1e3 is no amount; write plain digits"),
            ("incident = 510", "incident = \"5,10\"", "write plain digits"),
            ("increment = \"15m\"\n", "increment = \"9h\"\n", "longer than the whole, 8h"),
            ("per = \"contract-year\"\n", "per = \"year\"\n", "write \"month\", \"contract-year\" or \"activation\""),
            ("lapses = \"90 days\"\n", "\n", "allowance[3].lapses: it is missing"),
            ("incidents = 2\n", "incidents = 2\nlapses = \"never\"\n", "only what is granted once"),
            ("incidents = 2\n", "incidents = 2.5\n", "expected a whole number"),
            ("id = \"free\"", "id = \"hours\"", "stands above already"),
            ("levels = [3]", "levels = []", "it names none"),
            (
                "services = [\"support\"]\n        bands = [\"business\"]",
                "services = [\"callback\"]\n        bands = [\"outside\"]",
                "none of its services has the band \"outside\"",
            ),
            ("severities = [\"B\", \"C\"]", "severities = [\"D\"]", "no severity is named \"D\""),
            ("after = \"14 days\"", "", "belong together"),
            (
                "bands = [\"outside\"]\n        [[plan.response]]",
                "bands = []\n        [[plan.response]]",
                "no rate prices the service \"support\" of severity \"B\" in \"outside\"",
            ),
            ("includes = [\"small\"]", "includes = [\"large\"]", "cannot name itself"),
            ("includes = [\"small\"]", "includes = [\"smal\"]", "did you mean \"small\"?"),
            ("id = \"small\"", "id = \"small\"\nincludes = [\"large\"]", "in a circle"),
            ("valid_from = 2026-01-01", "valid_from = 2019-01-01", "stands on line"),
            ("valid_from = 2026-01-01", "valid_from = 2017-01-01", "before the first rate"),
            ("severities = [\"A\"]\n        direction = \"in\"\n", "", "it never applies"),
            ("default_severity = \"C\"", "default_severity = \"c\"", "did you mean \"C\"?"),
            ("2026-05-15]", "\"--02-30\"]", "for every year"),
            ("DE-BY+assumption", "DE-BE+assumption", "this place has no option"),
            ("remove =", "take =", "there is no such key"),
            ("holidays = { calendar", "feiertage = { calendar", "the tariff has no calendar"),
            ("bands = [\"business\"]\n        outside", "bands = [\"busines\"]\n        outside", "did you mean \"business\"?"),
            ("price = 89.00", "price = 12345678901234567890", "write at most"),
            ("percent = \"8.1\"", "percent = 119", "more than 100 percent"),
            ("from = \"1h\"", "from = \"30m\"", "30m is inside an increment of 1h"),
        ] {
            assert!(RICH.contains(right), "{right}");
            let problems = parse("t.toml", &RICH.replacen(right, wrong, 1)).expect_err(wrong);
            let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert!(shown.iter().any(|problem| problem.contains(expected)), "{wrong}: {shown:#?}");
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        let long = (0..5_000).fold(String::new(), |text, n| text + &format!("k{n} = 1\n"));
        for text in ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), format!("a{} = 1", ".a".repeat(100_000)), long] {
            let problems = parse("t.toml", &text).expect_err("no tariff");
            assert!((1..=201).contains(&problems.len()), "{} problems", problems.len());
        }
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

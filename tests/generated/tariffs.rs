//! Random tariffs, written as an accountant would write them: everything `config/tariffs/README.md` knows, in any combination
//! that it allows.

use super::dice::Dice;
use super::hours::{Hours, partition};
use super::plans::plan;
use chrono::NaiveDate;
use std::fmt::Write as _;

/// A tariff as text, and what of it the tests read by themselves.
#[derive(Clone, Debug)]
pub struct Written {
    pub text: String,
    pub zone: chrono_tz::Tz,
    /// Bands by name.
    pub hours: Vec<(String, Hours)>,
    /// Services, each with the names of its bands.
    pub services: Vec<(&'static str, Vec<String>)>,
    /// The plans a contract may hold.
    pub plans: Vec<&'static str>,
}

const PLANS: [&str; 3] = ["basic", "plus", "gold"];

const ZONES: [chrono_tz::Tz; 10] = [
    chrono_tz::Europe::Berlin,
    chrono_tz::Europe::Berlin,
    chrono_tz::Europe::Berlin,
    chrono_tz::Europe::Berlin,
    chrono_tz::America::New_York,
    chrono_tz::Australia::Lord_Howe, // the clock is changed by half an hour
    chrono_tz::Asia::Kathmandu,      // 5:45, and never changed
    chrono_tz::America::Sao_Paulo,   // midnight was skipped, until 2019
    chrono_tz::Atlantic::Azores,     // the change of Europe, at midnight
    chrono_tz::Pacific::Apia,        // a day was skipped, in 2011
];

/// Writes a tariff; `near` is a day at which something may change.
pub fn tariff(dice: &Dice<'_>, near: NaiveDate) -> Written {
    let zone = dice.pick(&ZONES);
    let mut hours = partition(dice, "");
    let mut weeks: Vec<Vec<String>> = vec![hours.iter().map(|(name, _)| name.clone()).collect()];
    if dice.once_in(2) {
        let more = partition(dice, "x-");
        weeks.push(more.iter().map(|(name, _)| name.clone()).collect());
        hours.extend(more);
    }
    let mut services = vec![("support", weeks[0].clone())];
    for name in ["emergency", "callback", "technician"] {
        if dice.once_in(2) {
            services.push((name, weeks[dice.below(weeks.len())].clone()));
        }
    }
    let last = weeks.last().expect("one or two");
    if !services.iter().any(|(_, bands)| bands == last) {
        services.push(("remote", last.clone()));
    }
    let mut text = format!("name = \"generated\"\nprices = \"{}\"\ntimezone = \"{zone}\"\n", dice.pick(&["net", "net", "gross"]));
    let _ = writeln!(text, "currency = \"{}\"", dice.pick(&["EUR", "EUR", "EUR", "JPY"]));
    let _ = match dice.below(3) {
        0 => writeln!(text, "holidays = \"{}\"", dice.pick(&["DE-BY", "DE-BE", "DE-SN+corpus-christi", "DE-BB"])),
        _ => writeln!(
            text,
            "holidays = {{ calendar = \"{}\", add = [\"--12-24\", {}], remove = [{}] }}",
            dice.pick(&["DE-BY+assumption", "DE"]),
            near + chrono::Days::new(dice.below(8) as u64),
            near
        ),
    };
    let _ = writeln!(text, "severities = [\"A\", \"B\", \"C\"]");
    if !dice.once_in(4) {
        let _ = writeln!(text, "default_severity = \"{}\"", dice.pick(&["C", "A"]));
    }
    if dice.once_in(3) {
        let _ = writeln!(text, "incident_window = \"{}\"", dice.pick(&["1h", "90m", "72h"]));
    }
    text += "vat = [{ from = 1990-01-01, percent = 19 }, { from = 2020-07-01, percent = 16 }, { from = 2021-01-01, percent = \"8.1\" }]\n";
    text += "[bands]\n";
    for (name, hours) in &hours {
        let _ = writeln!(text, "{name} = \"{}\"", hours.text(dice));
    }
    for (name, bands) in &services {
        let _ = writeln!(text, "[[service]]\nname = \"{name}\"\nbands = [{}]\noutside = \"uncovered\"", quoted(bands));
    }
    let plans = &PLANS[..1 + dice.below(3)];
    for (place, id) in plans.iter().enumerate() {
        let relation = match (place, dice.below(4)) {
            (1, 1) | (2, 2) => "includes = [\"basic\"]\n",
            (1, 2) | (2, 1) => "supersedes = [\"basic\"]\n",
            (2, 3) => "supersedes = [\"plus\"]\n",
            _ => "",
        };
        let first = format!("[[plan]]\nid = \"{id}\"\nvalid_from = 1999-01-01\n{relation}");
        text += &plan(dice, &services, place, &first);
        if dice.once_in(4) {
            let from = near + chrono::Days::new(dice.below(9) as u64);
            text += &plan(dice, &services, place, &format!("[[plan]]\nid = \"{id}\"\nvalid_from = {from}\n{relation}"));
        }
    }
    Written { text, zone, hours, services, plans: plans.to_vec() }
}

/// A list as TOML has it.
pub fn quoted<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(|text| format!("\"{}\"", text.as_ref())).collect::<Vec<_>>().join(", ")
}

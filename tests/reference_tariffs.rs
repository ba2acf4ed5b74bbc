//! The five reference tariffs beside the documents they come from, line by line: what a document says stands in a comment,
//! and below it what calls come to, or what the file says where no call shows it.

mod cash_desk;
mod incident_plans;
mod support_hours;
mod support_level;
mod work_units;

use crate::settlement::{self, lines, local, tariff};
use chrono::NaiveDate;
use chrono_tz::Europe::Berlin;
use taktd::calls::Call;
use taktd::config::check::report;
use taktd::contracts::Contract;
use taktd::meter::{Input, Terms, Timing, fees, settle};
use taktd::tariff::{PlanVersion, Tariff, Verdict, period::end_of_plan};
use taktd::units::{Direction, RawNumber, Seconds};

/// A contract from 2026-01-01 with these plans of a tariff.
struct Held {
    tariff: Tariff,
    contract: Contract,
}

fn held(name: &str, plans: &[&str]) -> Held {
    Held { tariff: tariff(name), contract: settlement::contract(plans) }
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

/// `SERVICE DAY TIME TALK [key=value…]`, talk in `m:ss`; `out` for an agent's own call, `stranger` for one not authorised.
fn call(place: usize, text: &str) -> (Call, bool, Option<Verdict>) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (minutes, seconds) = words[3].split_once(':').expect("m:ss");
    let talk = minutes.parse::<u64>().expect("minutes") * 60 + seconds.parse::<u64>().expect("seconds");
    let mut call = settlement::call(&format!("{place:03}"), words[0], &format!("{} {}", words[1], words[2]), talk);
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    call.severity = value("severity").map(Into::into);
    call.ticket = value("ticket").map(Into::into);
    call.talks[0].level = value("level").map(|level| level.parse().expect("a level"));
    // Each caller has a number of his own, unless it is said.
    let own = format!("+49301{place:03}");
    call.caller_raw = RawNumber::from_bytes(value("from").unwrap_or(&own).as_bytes());
    if words.contains(&"out") {
        call.direction = Direction::Out;
    }
    let verdict = value("decided").map(|word| match word {
        "customer" => Verdict::Customer,
        "provider" => Verdict::Provider,
        share => match share.strip_suffix('%') {
            Some(percent) => Verdict::GoodwillPercent(percent.parse().expect("percent")),
            None => Verdict::GoodwillTime(Seconds::parse(share).expect("a time")),
        },
    });
    (call, !words.contains(&"stranger"), verdict)
}

impl Held {
    /// What calls come to, each as `Outcome net lines`, at an instant.
    fn at(&self, until: &str, calls: &[&str]) -> Vec<String> {
        let calls: Vec<_> = calls.iter().enumerate().map(|(place, text)| call(place, text)).collect();
        let input = |(call, authorised, verdict): &'_ (Call, bool, Option<Verdict>)| (call.clone(), *authorised, *verdict);
        let calls: Vec<_> = calls.iter().map(input).collect();
        let inputs: Vec<Input<'_>> = calls
            .iter()
            .map(|(call, authorised, verdict)| Input {
                call,
                authorised: *authorised,
                reason: None,
                verdict: *verdict,
                timing: Timing::InTime,
            })
            .collect();
        let terms = Terms::new(std::slice::from_ref(&self.tariff), vec![&self.contract], Berlin);
        let told = |record: &taktd::meter::Record| format!("{:?} {} {}", record.outcome, record.charge.net, lines(record));
        settle(&terms, &inputs, local(until)).calls.iter().map(|settled| told(&settled.record).trim_end().to_owned()).collect()
    }

    #[track_caller]
    fn check(&self, calls: &[&str], expected: &[&str]) {
        assert_eq!(self.at("2027-12-31 00:00:00", calls), expected);
    }

    /// One call, alone in its month.
    #[track_caller]
    fn one(&self, call: &str, expected: &str) {
        assert_eq!(self.at("2027-12-31 00:00:00", &[call]), [expected], "{call}");
    }

    /// Fees due by a day, each as `plan net from-to`.
    fn fees(&self, until: &str) -> Vec<String> {
        let terms = Terms::new(std::slice::from_ref(&self.tariff), vec![&self.contract], Berlin);
        let told = |fee: &taktd::meter::Record| {
            let period = fee.fee.expect("its period");
            format!("{} {} {} to {}", fee.plan.as_deref().unwrap_or_default(), fee.charge.net, period.from, period.to)
        };
        fees(&terms, local(until)).iter().map(told).collect()
    }

    fn plan(&self, id: &str) -> &PlanVersion {
        self.tariff.plan(id, day("2026-03-10")).expect("it is there")
    }

    /// The end of a plan cancelled on a day.
    fn end(&self, id: &str, cancelled_on: Option<&str>) -> Option<NaiveDate> {
        end_of_plan(self.plan(id), self.contract.starts_on, cancelled_on.map(day))
    }

    /// The hours of a band as the file has them: a band of response times alone is of no service's week.
    fn hours(&self, band: &str) -> String {
        let path = format!("config/tariffs/{}.toml", self.tariff.name);
        let table: toml::Table = std::fs::read_to_string(path).expect("it ships").parse().expect("TOML");
        table["bands"][band].as_str().expect("hours").to_owned()
    }

    /// The promised response times of a plan: severities, hours, and bands in which the clock runs.
    fn responses(&self, id: &str) -> Vec<(String, u64, Vec<&str>)> {
        let plan = self.plan(id);
        let told = |one: &taktd::tariff::Response| {
            let bands = one.bands.iter().map(|band| self.tariff.band_name(*band)).collect();
            (one.severities.concat(), one.within.get() / 3_600, bands)
        };
        plan.responses.iter().map(told).collect()
    }
}

/// What the configuration says to a contract of these plans and stations.
fn problems(tariff: &str, plans: &str, stations: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::current_dir().expect("a folder").join(format!("config/tariffs/{tariff}.toml"));
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("written");
    write(
        "contracts.csv",
        format!("contract_id,customer,plans,starts_on,stations,numbers,authorised\nK,K,{plans},2026-01-01,{stations},089 1,089 2\n"),
    );
    write(
        "taktd.toml",
        format!(
            "[catalogue]\ncountry = \"DE\"\narea_code = \"89\"\ntariffs = [{:?}]\ncontracts = [\"contracts.csv\"]\n",
            path.display().to_string()
        ),
    );
    report(&folder.path().join("taktd.toml"), &crate::config::standing()).problems.iter().map(ToString::to_string).collect()
}

/// Prices are net, with the VAT of the day.
#[test]
fn all_prices_are_net_with_the_vat_of_their_day() {
    for name in ["support-level", "support-hours", "cash-desk", "work-units", "incident-plans"] {
        let tariff = tariff(name);
        assert_eq!(tariff.prices, taktd::units::PriceKind::Net, "{name}");
        assert!(tariff.plans.iter().all(|plan| plan.valid_from == day("2019-01-01")), "{name}");
        for (on, percent) in [("2019-01-01", "19"), ("2020-06-30", "19"), ("2020-07-01", "16"), ("2020-12-31", "16"), ("2021-01-01", "19")]
        {
            assert_eq!(tariff.vat_percent(day(on)).map(|percent| percent.to_string()).as_deref(), Some(percent), "{name} on {on}");
        }
    }
}

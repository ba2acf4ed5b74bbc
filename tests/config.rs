//! Configurations as an operator writes them: the example that ships, and mistakes that a message must help with.

mod mistakes;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use taktd::config::check::{Standing, report};
use taktd::config::{Catalogue, Config, load};
use taktd::units::Timestamp;

/// A day in the year of the example, and no ledger.
pub fn standing() -> Standing {
    Standing { now: Timestamp::parse_rfc3339("2026-11-24T12:00:00+01:00").expect("a time"), billed: None }
}

/// Every case under `tests/cases/broken-config/`: what `check` says about it.
#[test]
fn broken_configurations_are_explained() {
    let mut cases: Vec<_> =
        fs::read_dir("tests/cases/broken-config").expect("the cases").map(|case| case.expect("a case").path()).collect();
    cases.sort();
    assert!(cases.len() >= 22, "only {} cases", cases.len());
    let mut shown = String::new();
    for case in cases {
        let report = report(&case.join("taktd.toml"), &standing());
        assert!(!report.problems.is_empty(), "{} has no problem", case.display());
        let _ = writeln!(shown, "## {}", case.file_name().expect("a name").to_string_lossy());
        for problem in &report.problems {
            let _ = writeln!(shown, "{}", problem.with_excerpt());
        }
        shown.push('\n');
    }
    insta::assert_snapshot!(shown.replace("tests/cases/broken-config/", ""));
}

#[test]
fn the_example_loads() {
    let report = report(Path::new("config/taktd.toml"), &standing());
    let shown: Vec<String> = report.problems.iter().chain(&report.warnings).map(|problem| problem.with_excerpt()).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    let (config, catalogue) = load(Path::new("config/taktd.toml")).expect("no problems");
    assert_eq!(config.directory.hotlines.len(), 6);
    assert_eq!(catalogue.tariffs.len(), fs::read_dir("config/tariffs").expect("there").count() - 1); // all but the README
    assert_eq!(catalogue.contracts.len(), 20);
    let names: Vec<&str> = catalogue.documents.iter().map(|(name, _)| &**name).collect();
    let tariffs = ["support-level", "support-hours", "cash-desk", "work-units", "incident-plans"];
    assert_eq!(names[..5], tariffs.map(|name| format!("tariffs/{name}.toml")));
    assert_eq!(names[5..], ["contracts.csv"]);
    assert_eq!(config.ledger.expect("configured").path, Path::new("/var/lib/taktd/ledger.db"));
}

#[test]
fn configuration_and_catalogue_load_apart() {
    let config = Config::load(Path::new("config/taktd.toml")).expect("no problems");
    let catalogue = Catalogue::load(&config).expect("no problems");
    let end = |id: &str| catalogue.contracts.iter().find(|contract| *contract.id == *id).expect(id).ends_on;
    assert_eq!((end("K-1001"), end("K-1006")), (None, None));
    // One month's notice before the year ends, and no term but an end of its own.
    let day = |text: &str| text.parse().ok();
    assert_eq!((end("K-1008"), end("K-1010")), (day("2027-02-01"), day("2027-03-01")));
}

/// What `taktd check` prints about the tariffs that ship.
#[test]
fn the_weeks_of_the_example() {
    let program = env!("CARGO_BIN_EXE_taktd");
    let output = std::process::Command::new(program).args(["check", "--config", "config/taktd.toml"]).output().expect("it runs");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    let tariffs: Vec<&str> = shown.lines().take_while(|line| !line.starts_with("contracts in force")).collect(); // that goes by the day
    insta::assert_snapshot!(tariffs.join("\n"));
}

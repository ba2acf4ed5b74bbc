//! Contracts, as CSV or TOML (the first octet says which), beside the tariffs that ship: read, or their mistakes named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;
use taktd::config::{self, Catalogue};
use taktd::units::DialPlan;
use taktd_fuzz::HOUSE;

struct Known {
    dial_plan: DialPlan,
    tariffs: Vec<(String, String, String)>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let (config, catalogue) = config::load(&Path::new(HOUSE).join("config/taktd.toml")).expect("the example is right");
    let name = |name: &str| if name.contains("contracts") { "contracts" } else { "tariff" }.to_owned();
    let texts = catalogue.documents.iter().map(|(file, text)| (name(file), file.to_string(), text.clone()));
    Known { dial_plan: config.directory.dial_plan, tariffs: texts.filter(|(kind, ..)| kind == "tariff").take(1).collect() }
});

fuzz_target!(|data: &[u8]| {
    let Some((which, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let name = if which % 2 == 0 { "fuzz.csv" } else { "fuzz.toml" };
    let mut texts = KNOWN.tariffs.clone();
    texts.push(("contracts".to_owned(), name.to_owned(), text.to_owned()));
    if let Err(problems) = Catalogue::of_texts(texts, &KNOWN.dial_plan) {
        assert!(problems.to_string().contains(name), "a mistake names its file: {problems}");
    }
});

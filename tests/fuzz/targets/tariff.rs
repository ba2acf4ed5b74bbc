//! Tariffs: mistakes are named, and by what is no mistake calls are settled so that lines add up to charges.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rust_decimal::Decimal;
use std::path::Path;
use std::sync::LazyLock;
use taktd::calls::Call;
use taktd::config::{self, Catalogue};
use taktd::meter::{Input, Terms, Timing, settle};
use taktd::units::{DialPlan, Seconds};
use taktd_fuzz::{HOUSE, noon};

#[path = "../../sample.rs"]
mod sample;

static DIAL_PLAN: LazyLock<DialPlan> = LazyLock::new(|| {
    let (config, _) = config::load(&Path::new(HOUSE).join("config/taktd.toml")).expect("the example is right");
    config.directory.dial_plan
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let texts = vec![("tariff".to_owned(), "fuzz.toml".to_owned(), text.to_owned())];
    let catalogue = match Catalogue::of_texts(texts, &DIAL_PLAN) {
        Ok(catalogue) => catalogue,
        Err(problems) => {
            assert!(problems.to_string().contains("fuzz.toml"), "a mistake names its file: {problems}");
            return;
        }
    };
    for tariff in &catalogue.tariffs {
        for plan in tariff.plans.iter().take(4) {
            let contract = sample::contract(&[&plan.id]);
            let terms = Terms::new(&catalogue.tariffs, vec![&contract], tariff.zone);
            let calls: Vec<Call> = (0..6u64)
                .map(|number| {
                    let from = noon().plus(Seconds::new(number * 40_000));
                    let service = tariff.services.get(usize::try_from(number).unwrap_or(0) % tariff.services.len().max(1));
                    let service = service.map_or("support", |service| &*service.name);
                    sample::call(&format!("call-{number}"), service, from, from.plus(Seconds::new(number * number * 100 + 1)))
                })
                .collect();
            let inputs: Vec<Input<'_>> =
                calls.iter().map(|call| Input { call, authorised: true, reason: None, verdict: None, timing: Timing::InTime }).collect();
            let until = noon().plus(Seconds::new(400_000));
            let settled = settle(&terms, &inputs, until);
            for settled in &settled.calls {
                let record = &settled.record;
                let sum: Decimal = record.lines.iter().map(|line| line.amount).sum();
                assert!(sum == record.charge.net, "lines that do not add up: {record:?}");
                assert!(record.charge.net >= Decimal::ZERO, "a charge below nothing: {record:?}");
            }
        }
    }
});

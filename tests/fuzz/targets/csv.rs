//! Rows of any other switch, as the examples that ship read them: the first octet says which. Read at once, and across a
//! restart while the file was growing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;
use taktd::config::{self, SourceConfig};
use taktd::sources::csv_rows::{Config, CsvRows};
use taktd_fuzz::{HOUSE, Scratch};

/// The sources of the examples.
static EXAMPLES: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let sources = Path::new(HOUSE).join("config/sources");
    let tariff = Path::new(HOUSE).join("config/tariffs/support-level.toml");
    let head = format!("[catalogue]\ncountry = \"DE\"\narea_code = \"89\"\ntariffs = [{tariff:?}]\ncontracts = []\n");
    let read = |name: &str| {
        let text = std::fs::read_to_string(sources.join(name)).expect("an example");
        let file = Scratch::new("config", format!("{head}{text}").as_bytes());
        let (config, _) = config::load(file.path()).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        config.sources.into_iter().find_map(|source| match source {
            SourceConfig::Csv(source) => Some(*source),
            _ => None,
        })
    };
    ["3cx.toml", "swyx.toml", "starface.toml", "avaya-ip-office.toml"].into_iter().filter_map(read).collect()
});

fn drain(source: &mut CsvRows, rows: &mut Vec<String>) -> bool {
    for _ in 0..10_000 {
        match source.poll() {
            Ok(batch) => {
                rows.extend(batch.rows.iter().map(|row| format!("{row:?}")));
                if !batch.more {
                    return true;
                }
            }
            Err(_) => return false,
        }
    }
    panic!("it never comes to an end");
}

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let file = Scratch::new("csv", data);
    let config = Config { path: file.path().into(), ..EXAMPLES[usize::from(*which) % EXAMPLES.len()].clone() };
    let mut whole = Vec::new();
    let well = drain(&mut CsvRows::new(&config, None), &mut whole);
    drop(file);
    let half = data.len() / 2;
    let file = Scratch::new("csv", &data[..half]);
    let mut parts = Vec::new();
    let mut first = CsvRows::new(&config, None);
    let begun = drain(&mut first, &mut parts);
    file.append(&data[half..]);
    let ended = drain(&mut CsvRows::new(&config, Some(first.position())), &mut parts);
    if well && begun && ended {
        assert!(whole == parts, "a restart changes what is read: {whole:?} {parts:?}");
    }
});

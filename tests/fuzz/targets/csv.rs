//! Rows of any other switch, as the examples that ship read them: the first octet says which. Read at once, and across a
//! restart while the file was growing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;
use taktd::config::{self, SourceConfig};
use taktd::sources::csv_rows::{Config, CsvRows};
use taktd_fuzz::{HOUSE, Scratch, Told, drain, survives_a_restart};

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

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let example = &EXAMPLES[usize::from(*which) % EXAMPLES.len()];
    survives_a_restart("csv", data, |path, position| {
        let mut source = CsvRows::new(&Config { path: path.into(), ..example.clone() }, position);
        let (rows, well) = drain(|| {
            let batch = source.poll().ok()?;
            Some((batch.rows.iter().map(|row| format!("{row:?}")).collect(), batch.more))
        });
        Told { rows, position: source.position(), well: well && source.finish().is_ok() }
    });
});

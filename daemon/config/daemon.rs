//! `taktd.toml` → [`Config`] (design.md §9). Paths are relative to the file.

use super::base::{Base, whole};
use super::http;
use super::numbers;
use super::problem::Problem;
use super::reader::{Source, Table};
use super::settings::{CatalogueFiles, Config, CsvDialect, Export, ExportFormat, Ledger, Log, LogFormat, LogLevel, Privacy};
use super::sources::{SourceConfig, source_of};
use super::tariff::zone;
use crate::calls::Role;
use crate::tariff::Period;
use crate::units::DialPlan;
use chrono::NaiveTime;
use std::path::Path;

/// What became of the file.
pub(super) struct Read {
    /// The configuration; `None` when there are problems.
    pub(super) config: Option<Config>,
    /// The files of the catalogue, also when something else is wrong, so that they are checked all the same; each list with
    /// the problem that a file is when it cannot be read.
    pub(super) catalogue: CatalogueFiles,
    pub(super) tariff_places: Vec<Problem>,
    pub(super) contract_places: Vec<Problem>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Services of the hotlines, with where they are named.
    pub(super) services: Vec<(Box<str>, Problem)>,
    /// Severities of the hotlines, with where they are named.
    pub(super) severities: Vec<(Box<str>, Problem)>,
    pub(super) dial_plan: Option<DialPlan>,
}

/// Reads the text of a configuration file.
pub(super) fn read(file: &Path, text: &str) -> Read {
    let name = file.display().to_string();
    let source = Source::new(&name, text);
    let document = source.parse();
    let base = Base(file.parent().unwrap_or(Path::new("")));
    let root = Table::root(&source, &document);
    let mut catalogue = CatalogueFiles { tariffs: Vec::new(), contracts: Vec::new() };
    let mut dial_plan = None;
    let (mut tariff_places, mut contract_places) = (Vec::new(), Vec::new());
    if let Some(table) = root.required("catalogue", "{ country = \"DE\", tariffs = [], contracts = [] }").and_then(|value| value.table()) {
        dial_plan = numbers::dial_plan(&table);
        (catalogue.tariffs, tariff_places) = base.files(&table, "tariffs", "[\"tariffs/support-level.toml\"]");
        (catalogue.contracts, contract_places) = base.files(&table, "contracts", "[\"contracts.csv\"]");
        table.finish();
    }
    let (directory, services, severities) = numbers::directory(&root, dial_plan.as_ref());
    let ledger = root.table("ledger").map(|table| ledger(table, base));
    let sources = sources(&root, base);
    let http = http::read(&root, base);
    let export = root.table("export").map(|table| export(table, base));
    let privacy = privacy(&root, base, ledger.as_ref().and_then(Option::as_ref));
    let log = log(&root);
    root.finish();
    let (problems, warnings) = source.finish();
    let config = || {
        Some(Config {
            file: file.to_owned(),
            catalogue: catalogue.clone(),
            directory: directory.clone()?,
            ledger: whole(ledger)?,
            roles: sources.as_ref()?.iter().map(|(role, _)| *role).collect(),
            sources: sources?.into_iter().map(|(_, source)| source).collect(),
            http: http?,
            export: whole(export)?,
            privacy: privacy?,
            log: log?,
        })
    };
    let config = if problems.is_empty() { config() } else { None };
    Read { config, catalogue, tariff_places, contract_places, problems, warnings, services, severities, dial_plan }
}

/// All sources, each with its role. One of them has to meter.
fn sources(root: &Table<'_>, base: Base<'_>) -> Option<Vec<(Role, SourceConfig)>> {
    let tables = root.tables("source");
    let roles: Vec<_> = tables.iter().filter_map(|table| table.optional("role")).collect();
    let count = tables.len();
    let read: Vec<Option<(Role, SourceConfig)>> = tables.into_iter().map(|table| source_of(table, base)).collect();
    if let Some(role) = roles.last()
        && roles.len() == count
        && read.iter().all(|source| source.as_ref().is_some_and(|(role, _)| *role == Role::Reconcile))
    {
        role.wrong("no source meters; leave `role` out at the one that bills come from");
    }
    read.into_iter().collect()
}

fn ledger(table: Table<'_>, base: Base<'_>) -> Option<Ledger> {
    let path = table.required("url", "\"sqlite:/var/lib/taktd/ledger.db\"").and_then(|value| {
        let url = value.text()?;
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" => return Some(base.0.join(path)),
            Some(("postgres" | "postgresql", _)) => {
                value.wrong(
                    "a ledger in PostgreSQL, for several daemons, is not built yet; write for example \"sqlite:/var/lib/taktd/ledger.db\"",
                );
            }
            _ => value.wrong("it is no ledger; write \"sqlite:\" and the path of a file, such as \"sqlite:/var/lib/taktd/ledger.db\""),
        }
        None
    });
    let close_after = table.optional("close_after").map_or(Some(Period::Days(5)), |value| value.period());
    table.finish();
    Some(Ledger { path: path?, close_after: close_after? })
}

fn export(table: Table<'_>, base: Base<'_>) -> Option<Export> {
    let directory = table.required("directory", "\"/var/lib/taktd/export\"").and_then(|value| base.path(&value));
    let clock = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
    let at = table.optional("at").map(|value| value.parsed("a time of day such as \"02:30\"", clock));
    let timezone = table.required("timezone", "\"Europe/Berlin\"").and_then(|value| zone(&value));
    let words = [("csv", ExportFormat::Csv), ("jsonl", ExportFormat::JsonLines)];
    let formats = match table.optional("formats") {
        Some(value) => value.list().map(|list| {
            if list.is_empty() {
                value.wrong("it names no format; write for example [\"csv\", \"jsonl\"]");
            }
            let mut formats: Vec<_> = list.iter().filter_map(|item| item.word(&words)).collect();
            formats.sort_unstable();
            formats.dedup();
            formats
        }),
        None => Some(vec![ExportFormat::Csv, ExportFormat::JsonLines]),
    };
    let dialects = [("rfc4180", CsvDialect::Rfc4180), ("german", CsvDialect::German)];
    let dialect = table.optional("dialect").map_or(Some(CsvDialect::Rfc4180), |value| value.word(&dialects));
    table.finish();
    Some(Export { directory: directory?, at: whole(at)?, timezone: timezone?, formats: formats?, dialect: dialect? })
}

fn privacy(root: &Table<'_>, base: Base<'_>, ledger: Option<&Ledger>) -> Option<Privacy> {
    let beside_ledger = ledger.map(|ledger| ledger.path.with_file_name("privacy.key"));
    let mut privacy = Privacy { mask_digits: 0, keep: Period::Months(6), key_file: beside_ledger };
    let Some(table) = root.table("privacy") else { return Some(privacy) };
    let mask = table.optional("mask_digits").map_or(Some(0), |value| value.integer(0..=15));
    let keep = table.optional("keep").map_or(Some(privacy.keep), |value| value.period());
    if let Some(value) = table.optional("key_file") {
        privacy.key_file = base.path(&value);
    }
    table.finish();
    Some(Privacy { mask_digits: u8::try_from(mask?).ok()?, keep: keep?, ..privacy })
}

fn log(root: &Table<'_>) -> Option<Log> {
    let mut log = Log { format: LogFormat::Text, level: LogLevel::Info };
    let Some(table) = root.table("log") else { return Some(log) };
    let formats = [("json", LogFormat::Json), ("journald", LogFormat::Journald), ("text", LogFormat::Text)];
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let format = table.optional("format").map_or(Some(log.format), |value| value.word(&formats));
    let level = table.optional("level").map_or(Some(log.level), |value| value.word(&levels));
    table.finish();
    log = Log { format: format?, level: level? };
    Some(log)
}

#[cfg(test)]
mod tests {
    use super::super::sources::Columns;
    use super::*;
    use chrono_tz::Tz;
    use std::path::PathBuf;

    const LEAST: &str = "[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n";

    fn config(more: &str) -> Result<Config, Vec<String>> {
        let read = read(Path::new("/etc/taktd/taktd.toml"), &format!("{LEAST}{more}"));
        read.config.ok_or_else(|| read.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_catalogue_is_required() {
        let config = config("").expect("no problems");
        assert_eq!(config.catalogue.tariffs, [("t.toml".into(), PathBuf::from("/etc/taktd/t.toml"))]);
        assert_eq!((config.ledger, config.export), (None, None));
        assert_eq!(config.privacy, Privacy { mask_digits: 0, keep: Period::Months(6), key_file: None });
        assert_eq!(config.log, Log { format: LogFormat::Text, level: LogLevel::Info });
        let identity = config.directory.identity;
        assert!(identity.trusted_peers.is_empty() && identity.headers.len() == 3);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        for (url, path) in [("sqlite:ledger.db", "/etc/taktd/ledger.db"), ("sqlite:/var/lib/taktd/l.db", "/var/lib/taktd/l.db")] {
            let config = config(&format!("[ledger]\nurl = \"{url}\"\n")).expect("no problems");
            let ledger = config.ledger.expect("configured");
            assert_eq!(ledger, Ledger { path: path.into(), close_after: Period::Days(5) });
            assert_eq!(config.privacy.key_file, Some(Path::new(path).with_file_name("privacy.key")));
        }
    }

    #[test]
    fn everything_can_be_said() {
        let config = config(
            r#"
            [[hotline]]
            number = "089 555*"
            name = "Direct"
            service = "support"
            severity = "C"
            bill_from = "answer"
            max_call = "90m"
            hold = "wait"
            queues = ["a", "b"]
            [[agent]]
            number = "2*"
            [[agent]]
            number = "20*"
            level = 1
            [[agent]]
            number = "201"
            level = 3
            [[agent]]
            number = "0171 3920011"
            [identity]
            headers = ["from"]
            trusted_peers = ["192.0.2.0/24", "2001:db8::/32", "::1"]
            withheld = "use"
            contract_header = "X-Contract"
            leg_headers = ["X-CID"]
            [[source]]
            kind = "hep"
            listen = "udp://[::1]:9060"
            auth_key_file = "hep.key"
            [[source]]
            kind = "asterisk-cdr"
            path = "Master.csv"
            timezone = "UTC"
            columns = ["start", "-", "-", "src"]
            queue_log = "queue_log"
            contract_column = "accountcode"
            [[source]]
            kind = "asterisk-cel"
            path = "cel.csv"
            [http]
            listen = "0.0.0.0:80"
            [export]
            directory = "out"
            at = "02:30"
            timezone = "Europe/Berlin"
            formats = ["jsonl"]
            dialect = "german"
            [privacy]
            mask_digits = 3
            keep = "1 year"
            key_file = "k"
            [log]
            format = "journald"
            level = "warn"
            "#,
        )
        .expect("no problems");
        let agents: Vec<_> = config.directory.agents.iter().map(|agent| (format!("{:?}", agent.number), agent.level)).collect();
        let expected =
            [("Extension(\"201\")", Some(3)), ("Block(\"20\")", Some(1)), ("Block(\"2\")", None), ("Outside(E164(491713920011))", None)];
        assert_eq!(agents, expected.map(|(number, level)| (number.to_owned(), level)));
        let hotline = config.directory.hotlines.first().expect("one");
        assert_eq!((hotline.number.to_string().as_str(), hotline.max_call.get(), hotline.queues.len()), ("+4989555*", 5_400, 2));
        let identity = &config.directory.identity;
        assert!(config.directory.trusts("192.0.2.77".parse().expect("an address")));
        assert_eq!((identity.contract_header.as_deref(), &*identity.leg_headers), (Some("x-contract"), &["x-cid".into()][..]));
        let [SourceConfig::Hep(hep), SourceConfig::AsteriskCdr(cdr), SourceConfig::AsteriskCel(cel)] = &config.sources[..] else {
            panic!("three sources")
        };
        assert_eq!((cel.path.as_path(), &cel.columns), (Path::new("/etc/taktd/cel.csv"), &Columns::Auto));
        assert_eq!(hep.auth_key_file.as_deref(), Some(Path::new("/etc/taktd/hep.key")));
        assert_eq!(cdr.columns, Columns::Named(["start", "-", "-", "src"].map(Into::into).to_vec()));
        assert_eq!((cdr.timezone, cdr.contract_column.as_deref()), (Tz::UTC, Some("accountcode")));
        let export = config.export.expect("configured");
        assert_eq!((export.at, export.dialect), (NaiveTime::from_hms_opt(2, 30, 0), CsvDialect::German));
        assert_eq!(config.privacy, Privacy { mask_digits: 3, keep: Period::Months(12), key_file: Some("/etc/taktd/k".into()) });
        assert_eq!(config.log, Log { format: LogFormat::Journald, level: LogLevel::Warn });
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[ledger]\n", "ledger.url: it is missing"),
            ("[ledger]\nurl = \"sqlite:\"\n", "it is no ledger"),
            ("[ledger]\nurl = \"postgresql://x\"\n", "is not built yet"),
            (
                "[[source]]\nkind = \"hepp\"\n",
                "write \"hep\", \"capture\", \"asterisk-cdr\", \"asterisk-cel\", \"asterisk-ami\", \"csv\", \"freeswitch\", \"freeswitch-events\" or \"fritzbox\"",
            ),
            ("[[source]]\nkind = \"hep\"\nlisten = \"sctp://127.0.0.1:9060\"\n", "write \"udp://\", \"tcp://\" or \"tls://\""),
            ("[[source]]\nkind = \"hep\"\nlisten = \"tls://127.0.0.1:9060\"\ncert_file = \"c\"\n", "source[1].key_file: it is missing"),
            ("[[source]]\nkind = \"hep\"\nlisten = \"tcp://127.0.0.1:9060\"\ncert_file = \"c\"\n", "begins with \"tls://\""),
            (
                "[[source]]\nkind = \"hep\"\nlisten = \"udp://127.0.0.1:9060\"\nbare_copies = \"yes\"\n",
                "write \"as-sent\" or \"x-siptrace\"",
            ),
            ("[[source]]\nkind = \"hep\"\nlisten = \"udp://localhost\"\n", "an address and a port"),
            ("[[source]]\nkind = \"asterisk-cdr\"\npath = \"M\"\ncolumns = \"auto\"\n", "source[1].timezone: it is missing"),
            ("[[source]]\nkind = \"capture\"\n", "source[1].interface: it is missing"),
            ("[[source]]\nkind = \"capture\"\ninterface = \"eth 0\"\n", "the name of a network interface"),
            ("[[source]]\nkind = \"capture\"\ninterface = \"eth0\"\nports = []\n", "write 1 to 32 of them"),
            ("[[source]]\nkind = \"capture\"\ninterface = \"eth0\"\nports = [0]\n", "write 1 to 65535"),
            ("[[source]]\nkind = \"asterisk-cel\"\ncolumns = \"auto\"\n", "source[1].path: it is missing"),
            (
                "[[source]]\nkind = \"asterisk-ami\"\nconnect = \"tls://127.0.0.1:5039\"\nusername = \"t\"\nsecret_file = \"s\"\n",
                "`ca_file` is missing",
            ),
            (
                "[[source]]\nkind = \"asterisk-ami\"\nconnect = \"127.0.0.1\"\nusername = \"t\"\nsecret_file = \"s\"\n",
                "an address and a port",
            ),
            ("[[agent]]\nnumber = 201\n", "expected a text in quotes, found a number"),
            ("[[agent]]\nnumber = \"+49 89 2*\"\n", "a block of extensions"),
            ("[[agent]]\nnumber = \"201\"\n[[agent]]\nnumber = \"201\"\n", "stands above already"),
            ("[[agent]]\nnumber = \"201\"\nlevel = 0\n", "write 1 to 9"),
            ("[hotline]\nnumber = \"1\"\n", "write `[[hotline]]`"),
            ("[identity]\nheaders = []\n", "no caller would be known"),
            ("[identity]\ntrusted_peers = [\"proxy\"]\n", "is no address"),
            ("[identity]\ntrusted_peers = [\"10.0.0.0/33\"]\n", "0 to 32"),
            ("[export]\ndirectory = \"x\"\ntimezone = \"UTC\"\nat = \"2:30\"\n", "a time of day"),
            ("[privacy]\nkeep = \"six months\"\n", "a period such as"),
            ("[log]\nlevel = \"verbose\"\n", "\"debug\" or \"trace\""),
        ] {
            let problems = config(text).expect_err(text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_damage_is_read_or_refused(at in 0usize..4_500, cut in 0usize..80, with in "\\PC{0,12}") {
            let chars: Vec<char> = include_str!("../../config/taktd.toml").chars().collect();
            let at = at.min(chars.len());
            let rest = chars.get(at.saturating_add(cut)..).unwrap_or(&[]);
            let damaged: String = chars[..at].iter().chain(&with.chars().collect::<Vec<_>>()).chain(rest).collect();
            let read = read(Path::new("t.toml"), &damaged);
            proptest::prop_assert!(read.config.is_some() == read.problems.is_empty());
        }
    }
}

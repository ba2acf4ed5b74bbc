//! Numbers after `privacy.keep`, and on request: they are gone from every byte of the ledger's files, and nothing else is.

use super::{Answer, Desk};
use crate::daemon::{Daemon, TAKTD, configure, verify};
use chrono::{Days, NaiveDateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Callers who have not called for seven months: as the switch writes them, and their E.164.
const OLD: [(&str, u64); 6] = [
    ("+491713920021", 491_713_920_021),
    ("01713920022", 491_713_920_022),
    ("00491713920023", 491_713_920_023),
    ("08998765432", 498_998_765_432),
    ("7654321", 49_897_654_321),
    ("+33142685300", 33_142_685_300), // nobody's contract
];
/// Who calls to this day, who asked to be erased, and whom there is a dispute with.
const RECENT: (&str, u64) = ("01729925904", 491_729_925_904);
const ERASED: (&str, u64) = ("+4989777001", 4_989_777_001);
const HELD: (&str, u64) = ("089777002", 4_989_777_002);

/// A house with three years of calls behind it.
struct House {
    desk: Desk,
    config: PathBuf,
}

impl House {
    fn new() -> Self {
        let desk = Desk::by_the_minute();
        let source = "\n[[source]]\nkind = \"asterisk-cdr\"\npath = \"Master.csv\"\ntimezone = \"UTC\"\ncolumns = \"auto\"\n";
        let config = configure(desk.folder.path(), source);
        let mut table: toml::Table = fs::read_to_string(&config).expect("written").parse().expect("TOML");
        let catalogue = table["catalogue"].as_table_mut().expect("a table");
        catalogue.insert("tariffs".into(), vec!["tariff.toml"].into());
        catalogue.insert("contracts".into(), vec!["contracts.csv", "more.toml"].into());
        table["privacy"].as_table_mut().expect("a table").insert("keep".into(), "400 years".into());
        table["hotline"].as_array_mut().expect("a list").iter_mut().for_each(|hotline| {
            hotline.as_table_mut().expect("a table").insert("bill_from".into(), "answer".into());
        });
        fs::write(&config, table.to_string()).expect("written");
        let house = Self { desk, config };
        house.contracts();
        fs::write(house.path("Master.csv"), rows()).expect("written");
        house
    }

    /// The daemon follows the file to its end; from now on, numbers are kept for half a year.
    fn metered(&self) {
        let all = rows().lines().count();
        let daemon = Daemon::start(&self.config);
        let all_read = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            self.json(&["calls"]).len() == all
        });
        assert!(all_read, "{} of {all} calls after two minutes", self.json(&["calls"]).len());
        daemon.end();
        let config = fs::read_to_string(&self.config).expect("written");
        assert!(config.contains("keep = \"400 years\""));
        fs::write(&self.config, config.replace("keep = \"400 years\"", "keep = \"6 months\"")).expect("written");
    }

    /// Every old caller but the last is a customer, in every spelling; one is named in what somebody wrote beside.
    fn contracts(&self) {
        let head = "contract_id,customer,plans,starts_on,cancelled_on,ends_on,activated_on,stations,numbers,authorised,partner\n";
        let csv = format!(
            "{head}K-1,One,minutes,2019-01-01,,,,,0171 3920021|0049 171 3920022,,\nK-2,\"Two (0171/392 0023)\",minutes,2019-01-01,,,,,\
             +49 (0)171 3920023|089 98765432,01729925904,\nK-4,Four,minutes,2019-01-01,,,,,089 777001|777002,,\n"
        );
        let more = "# her mobile: 0171/392 0023\n[[contract]]\ncontract_id = \"K-3\"\nplans = [\"minutes\"]\nstarts_on = 2019-01-01\nnumbers = [\"7654321\"]\n";
        fs::write(self.path("contracts.csv"), csv).expect("written");
        fs::write(self.path("more.toml"), more).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.desk.path(name)
    }

    #[track_caller]
    fn taktd(&self, words: &[&str]) -> Answer {
        let mut command = Command::new(TAKTD);
        command.args(words).arg("--config").arg(&self.config).env("USER", "kasse").env_remove("SUDO_USER");
        Answer::of(command.output().expect("it runs"))
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.taktd(&words).fine().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Every file of the ledger, its log and its requests, and whatever else lies beside it and is not what it was made from.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.desk.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                if path.is_dir() {
                    folders.push(path);
                } else if !["Master.csv", "contracts.csv", "more.toml", "taktd.toml", "tariff.toml"].contains(&name.as_str()) {
                    let bytes = fs::read(&path).expect("a file");
                    found.push((path, bytes));
                }
            }
        }
        found
    }

    /// Where a number stands, in any spelling and as any integer.
    fn traces(&self, number: u64) -> Vec<String> {
        let mut found = Vec::new();
        for (path, bytes) in self.files() {
            for (what, needle) in spellings(number) {
                if memchr::memmem::find(&bytes, &needle).is_some() {
                    found.push(format!("{} as {what}", path.display()));
                }
            }
        }
        found
    }
}

/// The digits that all spellings share, with usual separators too, as UTF-16, and as an integer in the forms of SQLite and ours.
fn spellings(number: u64) -> Vec<(String, Vec<u8>)> {
    let digits = number.to_string();
    let national = digits.strip_prefix("49").unwrap_or(&digits);
    // Local numbers lack the area code.
    let own = national.strip_prefix("89").unwrap_or(national);
    let mut texts = vec![own.to_owned()];
    if own.len() > 7 {
        let (area, rest) = own.split_at(3);
        texts.extend([" ", "/", "-", ") ", "."].map(|between| format!("{area}{between}{rest}")));
        texts.extend([" ", "/"].map(|between| format!("{area}{between}{} {}", &rest[..3], &rest[3..])));
    }
    let mut found: Vec<(String, Vec<u8>)> = texts.iter().map(|text| (text.clone(), text.as_bytes().to_vec())).collect();
    found.push(("UTF-16".into(), own.bytes().flat_map(|byte| [byte, 0]).collect()));
    found.push(("reversed".into(), own.bytes().rev().collect()));
    found.push(("big-endian".into(), number.to_be_bytes()[2..].to_vec()));
    found.push(("little-endian".into(), number.to_le_bytes()[..6].to_vec()));
    let (mut rest, mut varint) = (number, Vec::new());
    while rest > 0 {
        varint.push(u8::try_from(rest & 127).expect("seven bits") | if rest > 127 { 128 } else { 0 });
        rest >>= 7;
    }
    found.push(("a variable length integer".into(), varint));
    found
}

/// Three years of rows; each old caller called every few days until seven months ago.
fn rows() -> String {
    let mut text = String::new();
    let today = Utc::now().date_naive();
    let mut place = 0;
    for age in (1..1_095u64).rev() {
        let day = today - Days::new(age);
        let on = |caller: &str, hour: u32, place: u64| {
            let at: NaiveDateTime = day.and_hms_opt(hour, 15, u32::try_from(place % 60).expect("a second")).expect("a time");
            let later = |seconds: i64| (at + chrono::TimeDelta::seconds(seconds)).format("%Y-%m-%d %H:%M:%S");
            format!(
                "\"\",\"{caller}\",\"+4989555010\",\"did\",\"\"\"\"\" <{caller}>\",\"PJSIP/trunk-{place:08x}\",\"PJSIP/205-{place:08x}\",\"Dial\",\
                 \"PJSIP/205\",\"{}\",\"{}\",\"{}\",130,125,\"ANSWERED\",\"DOCUMENTATION\",\"{}.{place}\",\"\"\n",
                later(0),
                later(5),
                later(130),
                at.and_utc().timestamp(),
            )
        };
        for (caller, (number, _)) in (0u64..).zip(OLD.iter().chain([&HELD])) {
            if age > 214 && (age + caller) % 5 == 0 {
                place += 1;
                text += &on(number, 12 + u32::try_from(caller).expect("few"), place);
            }
        }
        for (number, _) in [RECENT, ERASED] {
            if age % 7 == 0 && (number != ERASED.0 || age > 30) {
                place += 1;
                text += &on(number, 10, place);
            }
        }
    }
    text
}

/// What is left of a record when its numbers are.
fn nameless(records: Vec<Value>) -> BTreeMap<String, Value> {
    let bare = |mut record: Value| {
        let id = record["call_id"].as_str().expect("a name").to_owned();
        let members = record.as_object_mut().expect("an object");
        members.remove("caller");
        members.remove("reason");
        (id, record)
    };
    records.into_iter().map(bare).collect()
}

#[test]
fn three_years_later_no_byte_tells_who_called() {
    let house = House::new();
    house.metered();
    let before = house.json(&["calls"]);
    let of = |calls: &[Value], number: u64| -> Vec<Value> {
        calls.iter().filter(|call| call["caller"] == format!("+{number}")).cloned().collect()
    };
    for (_, number) in OLD.iter().chain([&RECENT, &ERASED, &HELD]) {
        assert!(of(&before, *number).len() > 100, "{number}");
    }
    // What operators write about them holds numbers as well.
    let french = of(&before, OLD[5].1)[0]["call_id"].as_str().expect("a name").to_owned();
    house.taktd(&["assign", &french, "K-1", "--reason", "rang back 0033 1 42685300, then 0171/3920021"]).fine();
    let huber = of(&before, OLD[0].1)[3]["call_id"].as_str().expect("a name").to_owned();
    house.taktd(&["decide", &huber, "provider", "--reason", "she told 0171 3920021 so"]).fine();
    let explained = house.taktd(&["explain", &french]).fine();
    assert!(explained.contains("rang back 0033 1 42685300, then 0171/3920021"), "{explained}");
    house.taktd(&["privacy", "hold", "777002", "--reason", "dispute about 2025"]).fine();
    let refused = house.taktd(&["privacy", "erase", HELD.0, "--reason", "asked"]).failed(1);
    assert!(refused.contains("held until it is released"), "{refused}");

    let before = house.json(&["calls"]);
    verify(&house.config);
    let net = |calls: &[Value]| calls.iter().map(|call| super::cents(call, "net")).sum::<i64>();
    for (_, number) in OLD.iter().chain([&RECENT, &ERASED, &HELD]) {
        assert!(!house.traces(*number).is_empty(), "the search would not find {number}");
    }

    let erased = house.taktd(&["privacy", "erase", "0049 89 777001", "--reason", "asked by letter"]).fine();
    assert!(erased.contains("+4989777001 is erased") && erased.contains("contracts.csv, line 4"), "{erased}");
    assert_eq!(house.traces(ERASED.1), [""; 0]);

    // The daemon does the rest by itself, and its log is searched too while it runs.
    let daemon = Daemon::start(&house.config);
    assert!(daemon.says("numbers were anonymised")["forgotten"].as_u64().is_some_and(|count| count >= 6));
    daemon.says("what was forgotten is wiped from the ledger's file");
    assert!(house.files().iter().any(|(path, _)| path.ends_with("ledger.db-wal")), "the log is among the files");
    for (_, number) in &OLD {
        assert_eq!(house.traces(*number), [""; 0], "{number}");
    }
    for (_, number) in [RECENT, HELD] {
        assert!(!house.traces(number).is_empty(), "{number} is kept");
    }
    let page = daemon.get("/metrics").1;
    assert!(page.contains("taktd_privacy_wipe_pending 0") && !page.contains("taktd_privacy_numbers_forgotten_total 0"), "{page}");
    daemon.end();

    // The chain, the sums and "the same caller" still hold.
    verify(&house.config);
    let after = house.json(&["calls"]);
    assert_eq!((nameless(after.clone()), net(&after)), (nameless(before.clone()), net(&before)));
    assert_eq!(of(&after, RECENT.1), of(&before, RECENT.1));
    for (_, number) in OLD.iter().chain([&ERASED]) {
        assert!(of(&after, *number).is_empty(), "{number}");
        let listed = house.json(&["privacy", "list", &format!("+{number}")]);
        assert_eq!(listed[0]["calls"].as_u64(), Some(of(&before, *number).len() as u64), "{listed:?}");
        assert_eq!(listed[0]["spellings"], serde_json::json!([]));
    }
    let listed = house.taktd(&["privacy", "list", ERASED.0]).fine();
    assert!(listed.contains("by kasse: asked by letter") && listed.contains("taken out of contracts.csv"), "{listed}");

    // The same rows once more are known as what they were: nothing is billed again, and what was erased stays so.
    house.taktd(&["replay"]).fine();
    assert_eq!(nameless(house.json(&["calls"])), nameless(before.clone()));
    for (_, number) in OLD.iter().chain([&ERASED]) {
        assert_eq!(house.traces(*number), [""; 0], "{number}");
    }
    house.taktd(&["privacy", "release", "777002", "--reason", "settled"]).fine();
    let kept = house.json(&["privacy", "keep"]);
    assert!(kept[0]["forgotten"].as_u64().is_some_and(|count| count >= 1) && kept[0]["wiped"] == true, "{kept:?}");
    for (_, number) in OLD.iter().chain([&HELD, &ERASED]) {
        assert_eq!(house.traces(*number), [""; 0], "{number}");
    }
    verify(&house.config);

    // Who called last is in what the source has not concluded, which goes a day later: that is said.
    let erased = house.taktd(&["privacy", "erase", RECENT.0, "--reason", "asked"]).fine();
    assert!(erased.contains("sources have not concluded (records 0)"), "{erased}");
    assert!(house.traces(RECENT.1).iter().all(|trace| trace.contains("ledger.db")), "and it stands nowhere else");

    // Contracts that change are found anew, and who is forgotten stays with whom they were.
    let contracts = fs::read_to_string(house.path("contracts.csv")).expect("read");
    fs::write(house.path("contracts.csv"), contracts + "K-5,Five,minutes,2019-01-01,,,,,089 555555,,\n").expect("written");
    house.taktd(&["replay"]).fine();
    let whose = |calls: &[Value]| -> BTreeMap<String, String> {
        calls.iter().map(|call| (super::text(call, "call_id").to_owned(), super::text(call, "contract").to_owned())).collect()
    };
    let now = whose(&house.json(&["calls"]));
    assert!(whose(&before).iter().all(|(call, contract)| now[call] == *contract));
    verify(&house.config);
}

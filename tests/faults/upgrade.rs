//! The program is updated: a ledger that an earlier one wrote, of each schema there ever was, opens, keeps every hash, exports the
//! same bytes, and calls that ran when it was closed go on.

use super::table::Row;
use crate::daemon::TAKTD;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const LEDGERS: &str = "tests/cases/ledgers";
/// What was exported when the ledger was made: all there was.
const RANGE: &str = "1-64";

/// Runs a command in the folder of the ledger.
fn taktd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(TAKTD).args(arguments).arg("--config").arg(folder.join("taktd.toml")).output().expect("it runs")
}

/// The same, where it has to succeed: what it printed.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let out = taktd(folder, arguments);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// A ledger of this schema, its key and its configuration.
fn unpack(schema: usize) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for name in ["taktd.toml", "contracts.csv", "ledger.db.key", "tariffs/support-level.toml", "tariffs/cash-desk.toml"] {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(Path::new(LEDGERS).join(name), to).expect("copied");
    }
    // Whoever may read the key may say whose number it was: it is refused otherwise.
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.path().join("ledger.db.key"), private).expect("set");
    let packed = fs::File::open(format!("{LEDGERS}/schema-{schema}.db.gz"))
        .unwrap_or_else(|error| panic!("a ledger of schema {schema} is to be kept, as {LEDGERS}/README.md says: {error}"));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("unpacks");
    fs::write(folder.path().join("ledger.db"), bytes).expect("written");
    folder
}

/// Both hash chains, link by link.
fn chains(folder: &Path) -> [Vec<(i64, Vec<u8>)>; 2] {
    let db = rusqlite::Connection::open(folder.join("ledger.db")).expect("the file");
    ["evidence", "entry"].map(|table| {
        let mut links = db.prepare(&format!("SELECT seq, hash FROM {table} ORDER BY seq")).expect("a table");
        let links = links.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("read");
        links.map(|link| link.expect("a link")).collect()
    })
}

/// The names of the calls in lines of JSON. No call is there twice.
fn calls(lines: &str) -> BTreeSet<String> {
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let named: Vec<String> = lines.filter_map(|record| Some(record["call_id"].as_str()?.to_owned())).collect();
    let calls: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(calls.len(), named.len(), "each once");
    calls
}

/// Exports what was exported then: the manifest, and the lines.
fn export(folder: &Path, directory: &str) -> (String, String) {
    let directory = folder.join(directory);
    said(folder, &["export", "--range", RANGE, "--directory", directory.to_str().expect("UTF-8")]);
    let read = |ending| fs::read_to_string(directory.join(format!("taktd-{RANGE}.{ending}"))).expect("exported");
    let manifest = directory.join(format!("taktd-{RANGE}.manifest.json"));
    said(folder, &["verify", "--manifest", manifest.to_str().expect("UTF-8")]);
    (read("manifest.json"), read("jsonl"))
}

#[test]
fn ledgers_of_earlier_schemas_keep_their_hashes() {
    let newest = fs::read_dir("daemon/ledger/migrations").expect("the migrations").count();
    let mut there = 0;
    for schema in 1..newest {
        let folder = unpack(schema);
        let folder = folder.path();
        let before = chains(folder);
        // Whoever only reads says what is to be done, and changes nothing.
        let refused = taktd(folder, &["verify"]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && why.contains(&format!("the ledger has schema {schema}")), "{why}");
        assert_eq!(chains(folder), before, "schema {schema}");

        // The whole recording: new calls, and the ends of those that ran.
        said(folder, &["replay", "tests/recordings/asterisk-16/sip.pcap"]);
        let after = chains(folder);
        for (before, after) in before.iter().zip(&after) {
            assert!(before.len() > 30 && after.len() > before.len(), "schema {schema}: it had some, and has more");
            assert_eq!(before[..], after[..before.len()], "schema {schema}: a hash changed");
        }
        let verified = said(folder, &["verify"]);
        assert!(verified.contains("findings: 0"), "schema {schema}: {verified}");
        let (manifest, lines) = export(folder, "again");
        let then = fs::read_to_string(format!("{LEDGERS}/schema-{schema}.manifest.json")).expect("kept");
        assert_eq!(manifest, then, "schema {schema}: the export of the old range has other bytes");
        let (old, listed) = (calls(&lines), said(folder, &["calls", "--json"]));
        let now = calls(&listed);
        assert!(old.len() == 27 && old.is_subset(&now) && now.len() == 40, "schema {schema}: {} of {}", old.len(), now.len());
        assert!(!listed.contains("\"ended_at\":null"), "schema {schema}: none runs any more");
        there += now.len();
    }
    let fault = "the program is updated: a ledger of each earlier schema";
    Row { fault, tried: newest - 1, calls: there, lost: 0, doubled: 0 }.print();
}

//! Crashes, a full disk, a second writer, files that are not ours.

use super::*;

#[test]
fn a_batch_that_is_dropped_was_never_there() {
    let (_folder, mut ledger) = ledger();
    let heads = ledger.heads();
    let mut batch = ledger.batch().expect("a batch");
    batch.journal_call(&call("a", 0), &matched("K-1")).expect("journaled");
    batch.post(&[record(&call("a", 0), "K-1", "0.50")]).expect("posted");
    batch.put_snapshot("hep", &Snapshot { position: "7".into(), body: vec![1] }).expect("kept");
    assert!(batch.ledger().call(&id("a")).expect("read").is_some());
    drop(batch);
    assert_eq!(ledger.heads(), heads);
    assert!(ledger.call(&id("a")).expect("read").is_none());
    assert_eq!(ledger.snapshot("hep").expect("read"), None);
    // The numbers that were remembered as stored are stored again.
    commit(&mut ledger, |batch| batch.journal_call(&call("a", 0), &matched("K-1")));
    assert_eq!(ledger.call(&id("a")).expect("read").expect("there").call, call("a", 0));
    assert_eq!(ledger.unsettled().expect("read").len(), 1);
}

#[test]
fn there_is_one_writer_and_any_number_of_readers() {
    let (folder, mut ledger) = ledger();
    let path = folder.path().join("ledger.db");
    let error = Ledger::open(&path, &key()).expect_err("a second writer").to_string();
    assert!(error.contains("another taktd is writing") && error.contains(&std::process::id().to_string()), "{error}");
    let mut reader = Ledger::read(&path).expect("a reader");
    let mut batch = ledger.batch().expect("a batch");
    batch.journal_call(&call("a", 0), &matched("K-1")).expect("journaled");
    assert!(reader.call(&id("a")).expect("read").is_none(), "not committed yet");
    batch.commit().expect("committed");
    assert!(reader.call(&id("a")).expect("read").is_some());
    reader
        .at_one_moment(|reader| {
            let before = reader.heads();
            commit(&mut ledger, |batch| batch.journal_call(&call("b", 0), &matched("K-1")));
            assert!(reader.call(&id("b"))?.is_none(), "a moment stands still");
            assert_eq!(reader.heads(), before);
            Ok(())
        })
        .expect("read");
    assert!(matches!(reader.batch(), Err(LedgerError::ReadOnly)));
    drop(ledger);
    Ledger::open(&path, &key()).expect("the next writer");
}

#[test]
fn what_is_not_ours_is_refused() {
    let (folder, ledger) = ledger();
    let path = folder.path().join("ledger.db");
    drop(ledger);
    let refused = |path: &std::path::Path, key: &NumberKey| Ledger::open(path, key).expect_err("refused").to_string();
    assert!(refused(&path, &NumberKey::new([8; 32])).contains("privacy.key_file"));
    let change = |sql: &str| Connection::open(&path).expect("a file").execute_batch(sql).expect("done");
    change("UPDATE migration SET checksum = x'00'");
    assert!(refused(&path, &key()).contains("migration 1"));
    change("PRAGMA user_version = 9");
    assert!(refused(&path, &key()).contains("schema 9, this taktd knows up to 5"));
    assert!(Ledger::read(&path).expect_err("newer").to_string().contains("newer taktd"));
    change("PRAGMA application_id = 5");
    assert!(refused(&path, &key()).contains("no taktd ledger"));
    let text = folder.path().join("text");
    std::fs::write(&text, "contract_id,customer\n".repeat(100)).expect("a file");
    assert!(refused(&text, &key()).contains("no taktd ledger"));
    assert_eq!(std::fs::read(&text).expect("a file").len(), 2_100, "it is left alone");
    let missing = Ledger::read(&folder.path().join("none.db")).expect_err("missing").to_string();
    assert!(missing.contains("there is no ledger here yet"));
}

#[test]
fn a_full_disk_leaves_what_the_last_commit_left() {
    let (_folder, mut ledger) = ledger();
    commit(&mut ledger, |batch| batch.journal_call(&call("kept", 0), &matched("K-1")));
    let heads = ledger.heads();
    let pages: i64 = ledger.db.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a number");
    let bound = |ledger: &Ledger, pages: i64| {
        ledger.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0)).expect("set");
    };
    bound(&ledger, pages + 4);
    let mut batch = ledger.batch().expect("a batch");
    let failed = (0..10_000).find_map(|place| {
        let call = call(&format!("lost-{place}"), place);
        batch.journal_call(&call, &matched("K-1")).err()
    });
    assert!(matches!(failed, Some(LedgerError::Full)), "{failed:?}");
    assert!(matches!(batch.journal_call(&call("after", 0), &matched("K-1")), Err(LedgerError::Undone)));
    assert!(matches!(batch.commit(), Err(LedgerError::Undone)));
    assert_eq!(ledger.heads(), heads);
    assert!(ledger.call(&id("after")).expect("read").is_none());
    assert_eq!(verified(&mut ledger), []);
    bound(&ledger, 1_000_000);
    commit(&mut ledger, |batch| batch.journal_call(&call("more", 0), &matched("K-1")));
    assert_eq!(verified(&mut ledger), []);
}

/// Not a test of its own: the writer that `a_killed_writer_loses_nothing` starts, and kills.
#[test]
#[ignore = "no test of its own: a_killed_writer_loses_nothing starts it, and kills it"]
fn write_until_killed() {
    let Ok(path) = std::env::var("TAKTD_TEST_LEDGER") else { return };
    let mut ledger = Ledger::open(path.as_ref(), &key()).expect("a ledger");
    commit(&mut ledger, |batch| batch.use_catalogue(&[]));
    for number in 0.. {
        commit(&mut ledger, |batch| {
            for part in 0..20 {
                let call = call(&format!("{number}-{part}"), number);
                batch.journal_call(&call, &matched("K-1"))?;
                batch.post(&[record(&call, "K-1", "0.50")])?;
            }
            batch.put_snapshot("hep", &Snapshot { position: number.to_string(), body: vec![0; 20_000] })
        });
        println!("committed {number}");
    }
}

#[test]
fn a_killed_writer_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    for round in [3, 17, 40] {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "ledger::tests::safety::write_until_killed", "--ignored", "--nocapture", "--test-threads=1"])
            .env("TAKTD_TEST_LEDGER", &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let said: Vec<String> = lines.map_while(std::result::Result::ok).filter(|line| line.starts_with("committed")).take(round).collect();
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert_eq!(said.len(), round, "the writer wrote");
        let last: usize = said[round - 1].trim_start_matches("committed ").parse().expect("a number");
        let mut ledger = Ledger::open(&path, &key()).expect("it opens again");
        assert_eq!(verified(&mut ledger), []);
        let (calls, records) = (ledger.calls_of("K-1", Timestamp::default()).expect("read").len(), all_records(&ledger).len());
        assert!(calls >= (last + 1) * 20, "{calls} calls, {last} batches were committed");
        assert_eq!((calls % 20, calls), (0, records), "whole batches only");
        let position: usize = ledger.snapshot("hep").expect("read").expect("there").position.parse().expect("a number");
        assert!(position >= last, "the snapshot is that of its batch");
    }
}

/// A ledger from before deadlines were kept is brought up, and settled once more, so that none is missed.
#[test]
fn a_ledger_of_the_first_schema_is_brought_up() {
    let (_folder, mut ledger) = ledger();
    let path = ledger.path().to_owned();
    commit(&mut ledger, |batch| {
        batch.journal_call(&call("a", 0), &matched("K-1"))?;
        batch.post(&[record(&call("a", 0), "K-1", "0.50")])?;
        batch.mark_settled("K-1", None)
    });
    let back = "DROP TABLE held; DROP TABLE erased; ALTER TABLE snapshot DROP COLUMN at; ALTER TABLE state DROP COLUMN sweep; ALTER TABLE state DROP COLUMN forgotten; DROP TABLE sighting; DROP TABLE deadline; ALTER TABLE unsettled DROP COLUMN through; DELETE FROM migration WHERE version > 1; PRAGMA user_version = 1";
    let kinds = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'AND 6', 'AND 5') WHERE name = 'evidence'; PRAGMA writable_schema = RESET;";
    ledger.db.execute_batch(kinds).and_then(|()| ledger.db.execute_batch(back)).expect("as it was");
    let sixth = "INSERT INTO evidence (seq, kind, at, body, hash) VALUES (9, 6, 0, x'', zeroblob(32))";
    assert!(ledger.db.execute(sixth, []).expect_err("no such kind yet").to_string().contains("CHECK"));
    drop(ledger);
    let error = Ledger::read(&path).expect_err("a reader cannot bring it up");
    assert!(matches!(error, LedgerError::Older { found: 1, .. }), "{error}");
    let mut ledger = Ledger::open(&path, &key()).expect("brought up");
    let unsettled: Vec<String> = ledger.unsettled().expect("read").into_iter().map(|dirty| dirty.contract).collect();
    assert_eq!(unsettled, ["K-1"]);
    assert_eq!(all_records(&ledger).len(), 1);
    assert_eq!(verified(&mut ledger), []);
    // It knows evidence of the kinds there are now, and is wiped as a whole once.
    let erase = Wish { tokens: vec![key().token("+49891234567")], act: Act::Erase, who: "a".into(), reason: "b".into(), at: tuesday() };
    commit(&mut ledger, |batch| batch.journal_wish(&erase));
    assert_eq!((ledger.sweep().expect("swept"), ledger.sweep().expect("swept")), (Swept::All, Swept::Nothing));
    assert_eq!(verified(&mut ledger), []);
}

#[test]
fn a_deadline_waits_until_the_time_reaches_it() {
    let (_folder, mut ledger) = ledger();
    let (noon, later) = (tuesday(), tuesday().plus(Seconds::new(60)));
    commit(&mut ledger, |batch| {
        batch.mark_settled("K-1", Some(noon))?;
        batch.mark_settled("K-2", Some(later))?;
        batch.mark_settled("K-3", Some(noon))?;
        batch.mark_settled("K-3", None)
    });
    assert_eq!((ledger.deadline("K-2").expect("read"), ledger.deadline("K-3").expect("read")), (Some(later), None));
    for (time, due) in [(noon.plus_micros(-1), &[][..]), (noon, &["K-1"]), (later, &["K-1", "K-2"])] {
        commit(&mut ledger, |batch| {
            batch.journal_clock(time)?;
            batch.mark_due()
        });
        let unsettled: Vec<String> = ledger.unsettled().expect("read").into_iter().map(|dirty| dirty.contract).collect();
        assert_eq!(unsettled, due, "{time}");
    }
}

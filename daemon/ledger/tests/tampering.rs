//! Whatever is changed behind the ledger's back is found.

use super::*;

#[test]
fn rows_cannot_be_changed_by_accident() {
    let (_folder, mut ledger) = ledger();
    commit(&mut ledger, |batch| {
        batch.journal_call(&call("a", 0), &matched("K-1"))?;
        batch.post(&[record(&call("a", 0), "K-1", "0.50")])
    });
    for sql in
        ["UPDATE entry SET begun = 0", "DELETE FROM entry", "UPDATE evidence SET at = 0", "DELETE FROM evidence", "DELETE FROM document"]
    {
        assert!(ledger.db.execute(sql, []).expect_err(sql).to_string().contains(" never "), "{sql}");
    }
}

/// A ledger with evidence of every kind, a correction, a fee and a number.
fn rich(ledger: &mut Ledger) {
    let (a, b) = (call("a", 0), call("b", 1));
    let at = tuesday();
    commit(ledger, |batch| {
        batch.journal_call(&a, &matched("K-1"))?;
        batch.journal_call(&b, &matched("K-1"))?;
        batch.post(&[record(&a, "K-1", "0.50"), record(&b, "K-1", "1.00"), fee("K-1", "29.00")])?;
        batch.post(&[record(&b, "K-1", "1.50")])?;
        let assignment = Assignment { contract: "K-2".into(), who: "anna".into(), why: "".into(), at };
        batch.journal_assignment(&a.id, &assignment)?;
        let decision = Decision { verdict: Verdict::GoodwillTime(Seconds::new(600)), who: "anna".into(), reason: "".into(), at };
        batch.journal_decision(&a.id, &decision)?;
        batch.journal_clock(at.plus(Seconds::new(9_000)))?;
        batch.journal_closing(NaiveDate::from_ymd_opt(2026, 2, 1).expect("a day"), at)
    });
}

#[test]
fn any_tampering_is_found() {
    let changes = [
        "SELECT 'nothing'",
        "UPDATE evidence SET kind = 2 WHERE seq = 4",
        "UPDATE evidence SET subject = 2 WHERE seq = 2",
        "UPDATE evidence SET subject = NULL WHERE seq = 2",
        "UPDATE evidence SET previous = 3 WHERE seq = 4",
        "UPDATE evidence SET previous = NULL WHERE seq = 4",
        "UPDATE evidence SET at = at + 1 WHERE seq = 6",
        "UPDATE evidence SET at = -at WHERE seq = 6",
        "UPDATE evidence SET body = x'00' WHERE seq = 7",
        "UPDATE evidence SET body = (SELECT body FROM evidence WHERE seq = 3) WHERE seq = 2",
        "UPDATE evidence SET hash = zeroblob(32) WHERE seq = 3",
        "UPDATE evidence SET seq = 70 WHERE seq = 7",
        "DELETE FROM evidence WHERE seq = 3",
        "DELETE FROM evidence WHERE seq = 7",
        "UPDATE entry SET kind = 1 - kind WHERE seq = 3",
        "UPDATE entry SET kind = 0 WHERE seq = 4",
        "UPDATE entry SET subject = 1 WHERE seq = 2",
        "UPDATE entry SET previous = 1 WHERE seq = 4",
        "UPDATE entry SET previous = NULL WHERE seq = 5",
        "UPDATE entry SET catalogue = 2 WHERE seq = 1",
        "UPDATE entry SET begun = begun + 1 WHERE seq = 1",
        "UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 5) WHERE seq = 2",
        "UPDATE entry SET hash = randomblob(32) WHERE seq = 5",
        "UPDATE entry SET seq = 50 WHERE seq = 5",
        "DELETE FROM entry WHERE seq = 1",
        "DELETE FROM entry WHERE seq = 5",
        "DELETE FROM entry WHERE seq >= 4; UPDATE record SET entry = 2 WHERE subject = 2",
        "UPDATE subject SET key = 'c' WHERE no = 1",
        "UPDATE subject SET key_hash = 0 WHERE no = 1",
        "UPDATE subject SET contract = 'K-1' WHERE no = 1",
        "UPDATE subject SET begun = 0 WHERE no = 1",
        "UPDATE subject SET ended = 0 WHERE no = 1",
        "UPDATE subject SET first = 3 WHERE no = 1",
        "UPDATE subject SET latest = 3 WHERE no = 1",
        "UPDATE subject SET assignment = NULL WHERE no = 1",
        "UPDATE subject SET decision = NULL WHERE no = 1",
        "UPDATE subject SET kind = 1 WHERE no = 1",
        "DELETE FROM subject WHERE no = 2",
        "UPDATE record SET entry = 2 WHERE subject = 2",
        "UPDATE record SET live = 0 WHERE subject = 2",
        "UPDATE record SET moved = 'K-9' WHERE subject = 2",
        "DELETE FROM record WHERE subject = 1",
        "UPDATE number SET number = '+498900' WHERE number = '+49891234567'",
        "UPDATE document SET text = '[[plan]] # cheaper'",
        "UPDATE document SET name = 'other.toml'",
        "DELETE FROM catalogue_document",
        "INSERT INTO catalogue (hash) VALUES (zeroblob(32))",
        "DROP TRIGGER entry_stays",
    ];
    let (folder, mut original) = ledger();
    rich(&mut original);
    assert_eq!(verified(&mut original), []);
    original.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("done");
    drop(original);
    let bytes = std::fs::read(folder.path().join("ledger.db")).expect("a file");
    for (place, change) in changes.iter().enumerate() {
        let path = folder.path().join(format!("{place}.db"));
        std::fs::write(&path, &bytes).expect("a copy");
        let db = Connection::open(&path).expect("a file");
        db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").expect("set");
        let triggers: Vec<(String, String)> = db
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            .and_then(|mut found| found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .expect("read");
        if !change.starts_with("DROP") {
            for (name, _) in &triggers {
                db.execute_batch(&format!("DROP TRIGGER {name}")).expect("dropped");
            }
        }
        db.execute_batch(change).unwrap_or_else(|error| panic!("{change}: {error}"));
        if !change.starts_with("DROP") {
            triggers.iter().for_each(|(_, sql)| db.execute_batch(sql).expect("made again"));
        }
        drop(db);
        let mut tampered = Ledger::read(&path).expect("a reader");
        let findings = verified(&mut tampered);
        assert_eq!(findings.is_empty(), change.starts_with("SELECT"), "{change}: {findings:?}");
    }
}

#[test]
fn one_changed_row_is_one_broken_link() {
    let (_folder, mut ledger) = ledger();
    rich(&mut ledger);
    ledger.db.execute_batch("DROP TRIGGER entry_stays; UPDATE entry SET body = x'01' WHERE seq = 2").expect("done");
    let broken: Vec<_> = verified(&mut ledger).into_iter().filter(|finding| finding.what.contains("hash")).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].to_string(), "entry 2: its hash is not that of its row and the one before: the row was changed");
}

/// What the tables say that `verify` answers for. Not the day of a number's latest call, which only says when it is forgotten.
fn said(path: &std::path::Path) -> rusqlite::Result<Vec<String>> {
    let db = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = Vec::new();
    for table in ["evidence", "entry", "subject", "record", "document", "catalogue", "catalogue_document", "held", "erased", "number"] {
        let columns = if table == "number" { "token, number" } else { "*" };
        let mut statement = db.prepare(&format!("SELECT {columns} FROM {table} NOT INDEXED"))?;
        let count = statement.column_count();
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let cells = (0..count).map(|cell| row.get_ref(cell).map(|value| format!("{value:?}"))).collect::<rusqlite::Result<Vec<_>>>()?;
            rows.push(format!("{table} {}", cells.join(" ")));
        }
    }
    Ok(rows)
}

/// One bit anywhere in the file: it is found, or it lies where nothing is said.
#[test]
fn any_flipped_bit_is_found() {
    let (folder, mut original) = ledger();
    rich(&mut original);
    original.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE").expect("done");
    drop(original);
    let source = folder.path().join("ledger.db");
    let (bytes, expected) = (std::fs::read(&source).expect("a file"), said(&source).expect("read"));
    let path = folder.path().join("flipped.db");
    let (mut found, mut silent) = (0, 0);
    // Where all pages are empty there is little to flip.
    let places = (0..bytes.len()).filter(|place| bytes[*place] != 0).step_by(11);
    for (turn, place) in places.enumerate() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (turn % 8);
        std::fs::write(&path, &flipped).expect("a copy");
        let findings = Ledger::read(&path).and_then(|mut ledger| ledger.verify(Some(&key()), |_, _| {}));
        if findings.is_ok_and(|findings| findings.is_empty()) {
            silent += 1;
            assert_eq!(said(&path).expect("it can be read"), expected, "byte {place}, bit {} of it", turn % 8);
        } else {
            found += 1;
        }
    }
    assert!(found > 3 * silent && found > 200, "{found} were found, {silent} say nothing");
}

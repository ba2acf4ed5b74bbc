//! The stored form: what a released program wrote stays readable, and damaged bytes are an error, never a panic.

use super::super::fields::{Revealing, Unread};
use super::super::numbers::Numbers;
use super::super::{call_form, record_form};
use super::*;

/// The bytes of every kind of row are pinned by the ends of the chains. A new form gets a new version number, the old
/// one goes on being read, and this test keeps a ledger of each.
#[test]
fn the_first_form_is_as_it_was() {
    let (_folder, mut ledger) = ledger();
    let odd = odd_call("odd");
    commit(&mut ledger, |batch| {
        batch.journal_call(&call("a", 0), &matched("K-1"))?;
        batch.journal_call(&odd, &Match::Ambiguous { candidates: vec!["K-1".into(), "K-2".into()] })?;
        batch.post(&[record(&call("a", 0), "K-1", "0.50"), record(&odd, "K-1", "0.00"), fee("K-1", "29.00")])?;
        batch.post(&[record(&call("a", 0), "K-1", "1.00")])
    });
    let heads = ledger.heads();
    assert_eq!((heads.evidence.0, heads.entry.0), (3, 5));
    insta::assert_snapshot!(format!("{}\n{}", heads.evidence.1.hex(), heads.entry.1.hex()));
}

fn bodies() -> (tempfile::TempDir, Ledger, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (folder, mut ledger) = ledger();
    let odd = odd_call("odd");
    commit(&mut ledger, |batch| {
        batch.journal_call(&call("a", 0), &matched("K-1"))?;
        batch.journal_call(&odd, &Match::Unmatched { reason: "withheld".into() })?;
        batch.post(&[record(&call("a", 0), "K-1", "0.50"), record(&odd, "K-1", "0.00"), fee("K-1", "29.00")])
    });
    let read = |sql: &str| -> Vec<Vec<u8>> {
        let mut statement = ledger.db.prepare(sql).expect("a statement");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("read")
    };
    let (calls, records) = (read("SELECT body FROM evidence WHERE kind = 0"), read("SELECT body FROM entry WHERE kind = 0"));
    (folder, ledger, calls, records)
}

#[test]
fn cut_off_or_lengthened_bytes_are_damaged() {
    let (_folder, ledger, calls, records) = bodies();
    let mut numbers = Numbers::default();
    let mut revealing = Revealing { db: &ledger.db, numbers: &mut numbers };
    for body in calls {
        for length in 0..body.len() {
            assert!(matches!(call_form::read(&body[..length], &mut revealing), Err(Unread::Damaged)), "{length}");
        }
        assert!(matches!(call_form::read(&[&body[..], &[0]].concat(), &mut revealing), Err(Unread::Damaged)));
    }
    for body in records {
        for length in 0..body.len() {
            assert!(matches!(record_form::read(&body[..length], &mut revealing), Err(Unread::Damaged)), "{length}");
        }
        assert!(matches!(record_form::read(&[&body[..], &[0]].concat(), &mut revealing), Err(Unread::Damaged)));
    }
}

#[test]
fn any_bytes_can_be_tried() {
    let (_folder, ledger, calls, records) = bodies();
    let ends = |body: &Vec<u8>, place: usize, byte: u8| {
        let mut changed = body.clone();
        let place = place % changed.len();
        changed[place] = byte;
        changed
    };
    proptest!(ProptestConfig::with_cases(2_000), |(kind in 0usize..6, place in any::<usize>(), byte in any::<u8>(), noise: Vec<u8>)| {
        let mut numbers = Numbers::default();
        let mut revealing = Revealing { db: &ledger.db, numbers: &mut numbers };
        let changed = match kind {
            0 | 1 => ends(&calls[kind], place, byte),
            2..=4 => ends(&records[kind - 2], place, byte),
            _ => noise,
        };
        // What reads back can be shown: no value that a damaged row can hold makes a writer fail.
        if let Ok(record) = record_form::read(&changed, &mut revealing) {
            let mut out = Vec::new();
            write_json(&mut out, &record, &Style::PLAIN);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
        let _ = call_form::read(&changed, &mut revealing);
    });
}

//! Numbers: in their own table only, and forgotten without a trace in hashes or charges.

use super::*;

#[test]
fn a_forgotten_number_changes_nothing_else() {
    let (_folder, mut ledger) = ledger();
    let mut call = call("a", 0);
    call.talks[0].agent = "+491700000001".into();
    commit(&mut ledger, |batch| {
        batch.journal_call(&call, &matched("K-1"))?;
        batch.post(&[record(&call, "K-1", "0.50")])
    });
    let heads = ledger.heads();
    assert_eq!(commit(&mut ledger, |batch| batch.forget_numbers(tuesday(), |_| false)), 0);
    assert_eq!(commit(&mut ledger, |batch| batch.forget_numbers(tuesday().plus(Seconds::new(86_400)), |_| false)), 4);
    let stored = ledger.call(&call.id).expect("read").expect("there").call;
    assert_eq!((stored.caller, stored.called), (None, None));
    assert!(is_forgotten(stored.caller_raw.as_str()) && is_forgotten(&stored.talks[0].agent));
    // Settled anew, it comes to the same record: the token stands for the caller.
    let again = record(&stored, "K-1", "0.50");
    assert!(matches!(again.caller, Party::Raw(_)));
    assert_eq!(commit(&mut ledger, |batch| batch.post(std::slice::from_ref(&again))), Posted::default());
    assert_eq!(ledger.heads(), heads);
    let mut json = Vec::new();
    write_json(&mut json, &again, &Style::PLAIN);
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert!(json["caller"].is_null() && json["called"].is_null() && json["agent"].is_null());
    assert_eq!(verified(&mut ledger), []);
}

#[test]
fn numbers_stand_in_their_table_only() {
    let (folder, mut ledger) = ledger();
    let call = Call { caller_raw: raw("08912345"), caller: number("498912345"), ..call("a", 0) };
    commit(&mut ledger, |batch| {
        batch.journal_call(&call, &matched("K-1"))?;
        batch.post(&[record(&call, "K-1", "0.50")])
    });
    commit(&mut ledger, |batch| batch.forget_numbers(Timestamp::from_micros(i64::MAX), |_| false));
    assert_eq!(ledger.sweep().expect("swept"), Swept::All);
    assert_eq!(ledger.sweep().expect("swept"), Swept::Nothing);
    let bytes = std::fs::read(folder.path().join("ledger.db")).expect("a file");
    assert!(!bytes.windows(6).any(|window| window == b"912345"));
    assert!(bytes.windows(3).any(|window| window == b"K-1"), "the search would find it");
}

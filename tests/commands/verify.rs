//! `taktd verify` against somebody who knows how the ledger is made: with the chain whole, a charge that does not follow from its
//! evidence is found.

use super::{Desk, recording};
use rust_decimal::Decimal;
use taktd::ledger::{Ledger, LedgerError, NumberKey};
use taktd::meter::{Record, RecordKey};
use taktd::units::{Seconds, Timestamp};

fn opened(desk: &Desk) -> Ledger {
    let key = NumberKey::from_file(&desk.path("ledger.db.key")).expect("the key");
    Ledger::open(&desk.path("ledger.db"), &key).expect("a ledger")
}

fn records(ledger: &Ledger) -> Vec<Record> {
    let mut found = Vec::new();
    ledger
        .records::<LedgerError>(Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX), |record| {
            found.push(record);
            Ok(())
        })
        .expect("read");
    found
}

/// A change of a record.
type Forgery = fn(&mut Record);

/// Each forgery is posted as taktd itself would post it: every hash is right, and the chain goes on from it.
#[test]
fn a_charge_that_does_not_follow_from_its_evidence_is_found() {
    let forgeries: [(&str, Forgery); 6] = [
        ("net", |record| {
            let charge = &mut record.charge;
            (charge.net, charge.gross) = (charge.net - Decimal::ONE, charge.gross - Decimal::ONE);
        }),
        ("VAT", |record| record.charge.vat += Decimal::new(1, 2)),
        ("talk", |record| record.talk = Seconds::new(record.talk.get() + 1)),
        ("lines", |record| record.lines.clear()),
        ("reason", |record| record.reason = Some("as agreed".into())),
        ("fee", |record| {
            let key = RecordKey::Fee { contract: "K-1002".into(), plan: "gold".into(), from: "2026-11-01".parse().expect("a day") };
            (record.key, record.incident) = (key, None);
        }),
    ];
    for (what, forge) in forgeries {
        let desk = Desk::new();
        desk.replay(recording("asterisk-16/sip.pcap")).fine();
        desk.verified();
        let mut ledger = opened(&desk);
        let mut record =
            records(&ledger).into_iter().find(|record| record.charge.net > Decimal::ONE && record.end.is_some()).expect("a charge");
        forge(&mut record);
        let mut batch = ledger.batch().expect("a batch");
        batch.post(std::slice::from_ref(&record)).expect("posted");
        batch.commit().expect("committed");
        let key = NumberKey::from_file(&desk.path("ledger.db.key")).expect("the key");
        assert_eq!(ledger.verify(Some(&key), |_, _| {}).expect("read"), [], "{what}: the chain is whole");
        drop(ledger);
        let answer = desk.taktd(&["verify"]);
        assert_eq!(answer.status, 1, "{what}: {}", answer.out);
        assert!(answer.out.contains("computed anew") && answer.out.contains("findings: 1"), "{what}: {}", answer.out);
    }
}

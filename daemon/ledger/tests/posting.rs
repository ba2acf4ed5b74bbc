//! Entries: differences to what stands, whatever the order.

use super::*;

#[test]
fn records_read_back_as_they_were_posted() {
    let (_folder, mut ledger) = ledger();
    let odd = odd_call("odd");
    let records = [record(&call("a", 0), "K-1", "1.50"), fee("K-1", "29.00"), record(&odd, "K-1", "0.00")];
    commit(&mut ledger, |batch| {
        batch.journal_call(&call("a", 0), &matched("K-1"))?;
        batch.journal_call(&odd, &matched("K-1"))?;
        batch.post(&records)
    });
    for record in &records {
        assert_eq!(ledger.record(&record.key).expect("read").as_ref(), Some(record));
    }
    let order: Vec<_> = all_records(&ledger).into_iter().map(|record| record.key).collect();
    assert_eq!(order, [records[1].key.clone(), records[2].key.clone(), records[0].key.clone()]);
}

#[test]
fn posting_is_idempotent_and_corrects_by_reversal() {
    let (_folder, mut ledger) = ledger();
    let (a, b) = (call("a", 0), call("b", 1));
    commit(&mut ledger, |batch| {
        batch.journal_call(&a, &matched("K-1"))?;
        batch.journal_call(&b, &matched("K-1"))
    });
    let first = [record(&a, "K-1", "0.50"), record(&b, "K-1", "1.00"), fee("K-1", "29.00")];
    let second = [record(&a, "K-1", "0.50"), record(&b, "K-1", "1.50")];
    let steps: [(&[Record], usize, usize); 6] =
        [(&first, 3, 0), (&first, 0, 0), (&second, 1, 2), (&second, 0, 0), (&first, 2, 1), (&[], 0, 3)];
    for (place, (records, entries, reversals)) in steps.into_iter().enumerate() {
        let posted = commit(&mut ledger, |batch| batch.post_set(&scope("K-1"), records));
        assert_eq!(posted, Posted { entries, reversals }, "step {place}");
        assert_eq!(all_records(&ledger).len(), records.len(), "step {place}");
        assert_eq!(verified(&mut ledger), [], "step {place}");
    }
    let history = ledger.history(&RecordKey::Call(b.id)).expect("read");
    let nets: Vec<_> = history.iter().map(|row| row.record.as_ref().map(|record| record.charge.net.to_string())).collect();
    let net = |text: &str| Some(text.to_owned());
    assert_eq!(nets, [None, net("1.00"), None, net("1.50"), None, net("1.00")]);
}

#[test]
fn a_set_takes_back_only_what_lies_in_its_scope() {
    let (_folder, mut ledger) = ledger();
    let calls = [call("a", 0), call("b", 10), call("c", 20)];
    commit(&mut ledger, |batch| {
        for (call, contract) in calls.iter().zip(["K-1", "K-1", "K-2"]) {
            batch.journal_call(call, &matched(contract))?;
            batch.post(&[record(call, contract, "0.50")])?;
        }
        Ok(())
    });
    let from = tuesday().plus(Seconds::new(300));
    let posted = commit(&mut ledger, |batch| batch.post_set(&Scope { from, ..scope("K-1") }, &[]));
    assert_eq!(posted.reversals, 1);
    let left: Vec<_> = all_records(&ledger).into_iter().map(|record| record.key).collect();
    assert_eq!(left, [RecordKey::Call(id("a")), RecordKey::Call(id("c"))]);
}

/// Whichever of the two contracts is settled first, the record ends with the new one, once.
#[test]
fn an_assigned_call_moves_its_record() {
    for order in [["K-1", "K-2"], ["K-2", "K-1"]] {
        let (_folder, mut ledger) = ledger();
        let call = call("a", 0);
        commit(&mut ledger, |batch| {
            batch.journal_call(&call, &matched("K-1"))?;
            batch.post_set(&scope("K-1"), &[record(&call, "K-1", "0.50")])?;
            batch.mark_settled("K-1", None)
        });
        assert_eq!(ledger.unsettled().expect("read"), []);
        let assignment = Assignment { contract: "K-2".into(), who: "anna".into(), why: "".into(), at: tuesday() };
        commit(&mut ledger, |batch| batch.journal_assignment(&call.id, &assignment));
        let dirty: Vec<_> = ledger.unsettled().expect("read").into_iter().map(|dirty| dirty.contract).collect();
        assert_eq!(dirty, ["K-1", "K-2"]);
        assert_eq!(verified(&mut ledger), [], "between the assignment and its settlement");
        for contract in order {
            let records: Vec<Record> = ledger
                .calls_of(contract, Timestamp::default())
                .expect("read")
                .iter()
                .map(|stored| record(&stored.call, contract, "0.50"))
                .collect();
            commit(&mut ledger, |batch| batch.post_set(&scope(contract), &records));
        }
        let payers: Vec<_> = all_records(&ledger).into_iter().map(|record| record.contract).collect();
        assert_eq!(payers, [Some("K-2".into())], "{order:?}");
        // A changed call keeps its assignment, whatever its numbers match now.
        let longer = Call { ended_at: Some(tuesday().plus(Seconds::new(999))), ..call.clone() };
        commit(&mut ledger, |batch| batch.journal_call(&longer, &matched("K-3")));
        assert_eq!(ledger.call(&call.id).expect("read").expect("there").contract(), Some("K-2"));
        assert_eq!(verified(&mut ledger), []);
    }
}

fn net_of(records: &[Record]) -> Decimal {
    records.iter().map(|record| record.charge.net).sum()
}

fn net_of_range(ledger: &Ledger, first: i64, last: i64) -> Decimal {
    let mut net = Decimal::ZERO;
    ledger
        .range::<LedgerError>((first, last), |line| {
            net += if line.reverses.is_some() { -line.record.charge.net } else { line.record.charge.net };
            Ok(())
        })
        .expect("read");
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However records came to be what they are, the same ones stand; and ranges that meet add up to them.
    #[test]
    fn only_the_last_word_counts(posts in prop::collection::vec((0usize..5, 0u32..4), 1..24), cut in 0usize..100, turn in 0usize..5) {
        let calls: Vec<Call> = (0..5).map(|place| call(&format!("c{place}"), place)).collect();
        let journal = |batch: &mut Batch<'_>| calls.iter().try_for_each(|call| batch.journal_call(call, &matched("K-1")).map(drop));
        let (_one, mut straight) = ledger();
        let (_two, mut winding) = ledger();
        commit(&mut straight, journal);
        commit(&mut winding, journal);
        let mut last: Vec<Option<Record>> = vec![None; 5];
        for (place, cents) in posts {
            let record = record(&calls[place], "K-1", &format!("0.{cents}0"));
            commit(&mut winding, |batch| batch.post(std::slice::from_ref(&record)));
            last[place] = Some(record);
        }
        last.rotate_left(turn);
        let last: Vec<Record> = last.into_iter().flatten().collect();
        commit(&mut straight, |batch| batch.post_set(&scope("K-1"), &last));
        prop_assert_eq!(all_records(&straight), all_records(&winding));
        prop_assert_eq!(verified(&mut winding), vec![]);
        let head = winding.heads().entry.0;
        let cut = i64::try_from(cut).expect("small") % head;
        let halves = net_of_range(&winding, 1, cut) + net_of_range(&winding, cut + 1, head);
        prop_assert_eq!(halves, net_of(&last));
        prop_assert_eq!(net_of_range(&winding, 1, head), net_of(&last));
    }
}

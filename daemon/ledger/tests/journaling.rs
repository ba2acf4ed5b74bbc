//! Evidence: kept as it was said, once, and found again.

use super::*;

#[test]
fn calls_read_back_as_they_were_journaled() {
    let (_folder, mut ledger) = ledger();
    let matches = [
        matched("K-1"),
        Match::Ambiguous { candidates: vec!["K-1".into(), "K-2".into()] },
        Match::Unmatched { reason: "withheld".into() },
        Match::Contract { id: "K-3".into(), authorised: false, reason: Some("K-9 is not in force".into()) },
    ];
    let spellings = ["089 1234567", "+49891234567", "49891234567", "0049891234567", ""];
    let mut calls: Vec<Call> =
        spellings.iter().enumerate().map(|(place, spelling)| Call { caller_raw: raw(spelling), ..call(&format!("c{place}"), 5) }).collect();
    calls.push(odd_call("odd"));
    for (call, matched) in calls.iter().zip(matches.iter().cycle()) {
        let done = commit(&mut ledger, |batch| batch.journal_call(call, matched));
        assert_eq!(done, Journaled::New);
        let stored = ledger.call(&call.id).expect("read").expect("there");
        assert_eq!((&stored.call, &stored.matched), (call, matched));
        assert_eq!(stored.contract(), matched.contract());
    }
    assert_eq!(verified(&mut ledger), []);
}

/// Who missed one party's BYE takes the other's, a little later: a recording that has both is right, whichever was read first.
#[test]
fn who_saw_both_parties_go_knows_better() {
    let whole = call("a", 0);
    let later = |at: Timestamp| at.plus_micros(2_000);
    let mut part = Call { ended_at: whole.ended_at.map(later), ..whole.clone() };
    part.talks.iter_mut().for_each(|talk| talk.to = talk.to.map(later));
    part.mark(Mark::LostParty);
    for order in [[&part, &whole], [&whole, &part]] {
        let (_folder, mut ledger) = ledger();
        for call in order {
            commit(&mut ledger, |batch| batch.journal_call(call, &matched("K-1")));
        }
        assert_eq!(ledger.call(&id("a")).expect("read").expect("there").call, whole);
    }
}

#[test]
fn nothing_is_journaled_twice() {
    let (_folder, mut ledger) = ledger();
    let ended = call("a", 0);
    let running = Call { ended_at: None, talks: vec![], ..ended.clone() };
    let at = tuesday();
    let assignment = Assignment { contract: "K-2".into(), who: "anna".into(), why: "called from home".into(), at };
    let decision = Decision { verdict: Verdict::GoodwillPercent(decimal("40")), who: "anna".into(), reason: "our fault".into(), at };
    let month = NaiveDate::from_ymd_opt(2026, 3, 10).expect("a day");
    type Step<'s> = &'s dyn Fn(&mut Batch<'_>) -> Result<Journaled>;
    let steps: [(Journaled, Step<'_>); 12] = [
        (Journaled::New, &|batch| batch.journal_call(&running, &matched("K-1"))),
        (Journaled::Same, &|batch| batch.journal_call(&running, &matched("K-1"))),
        (Journaled::Changed, &|batch| batch.journal_call(&ended, &matched("K-1"))),
        (Journaled::Same, &|batch| batch.journal_call(&ended, &matched("K-1"))),
        (Journaled::Changed, &|batch| batch.journal_assignment(&id("a"), &assignment)),
        (Journaled::Same, &|batch| batch.journal_assignment(&id("a"), &assignment)),
        (Journaled::Changed, &|batch| batch.journal_decision(&id("a"), &decision)),
        (Journaled::Same, &|batch| batch.journal_decision(&id("a"), &decision)),
        (Journaled::New, &|batch| batch.journal_closing(month, at)),
        (Journaled::Same, &|batch| batch.journal_closing(month, at)),
        (Journaled::New, &|batch| batch.journal_clock(at.plus(Seconds::new(86_400)))),
        (Journaled::Same, &|batch| batch.journal_clock(at.plus(Seconds::new(86_400)))),
    ];
    for (place, (expected, step)) in steps.iter().enumerate() {
        let before = ledger.heads().evidence.0;
        assert_eq!(commit(&mut ledger, |batch| step(batch)), *expected, "step {place}");
        let added = ledger.heads().evidence.0 - before;
        assert_eq!(added, i64::from(*expected != Journaled::Same), "step {place}");
    }
    let stored = ledger.call(&id("a")).expect("read").expect("there");
    assert_eq!((stored.assignment, stored.decision), (Some(assignment), Some(decision)));
    assert_eq!(ledger.closings().expect("read").len(), 1);
    assert_eq!(ledger.time(), at.plus(Seconds::new(86_400)));
    assert_eq!(verified(&mut ledger), []);
}

#[test]
fn what_operators_say_does_not_move_the_time() {
    let (_folder, mut ledger) = ledger();
    let call = call("a", 0);
    commit(&mut ledger, |batch| batch.journal_call(&call, &matched("K-1")));
    assert_eq!(Some(ledger.time()), call.ended_at);
    let at = tuesday().plus(Seconds::new(900_000));
    let assignment = Assignment { contract: "K-2".into(), who: "anna".into(), why: "".into(), at };
    commit(&mut ledger, |batch| batch.journal_assignment(&call.id, &assignment));
    assert_eq!(Some(ledger.time()), call.ended_at);
    commit(&mut ledger, |batch| {
        batch.advance_time(at);
        batch.advance_time(tuesday());
        Ok(())
    });
    assert_eq!(ledger.time(), at);
    let path = ledger.path().to_owned();
    assert_eq!(Ledger::read(&path).expect("a reader").time(), at, "the time is kept without a row of evidence");
}

#[test]
fn an_unknown_call_is_said_and_undoes_nothing() {
    let (_folder, mut ledger) = ledger();
    let mut batch = ledger.batch().expect("a batch");
    batch.journal_call(&call("a", 0), &matched("K-1")).expect("journaled");
    let decision = Decision { verdict: Verdict::Provider, who: "anna".into(), reason: "".into(), at: tuesday() };
    let error = batch.journal_decision(&id("b"), &decision).expect_err("unknown");
    assert_eq!(error.to_string(), "the ledger has no call \"b\"");
    batch.commit().expect("committed");
    assert!(ledger.call(&id("a")).expect("read").is_some());
}

#[test]
fn calls_are_found_by_the_beginning_of_their_name() {
    let (_folder, mut ledger) = ledger();
    commit(&mut ledger, |batch| {
        for name in ["abc-1", "abc-2", "b%d", "abc"] {
            batch.journal_call(&call(name, 0), &matched("K-1"))?;
        }
        Ok(())
    });
    let name = |found: Found| match found {
        Found::One(stored) => stored.call.id.as_str().to_owned(),
        Found::None => "none".to_owned(),
        Found::Several(names) => names.join(" "),
    };
    for (text, expected) in [("abc-1", "abc-1"), ("abc", "abc"), ("ab", "abc abc-1 abc-2"), ("b", "b%d"), ("%", "none"), ("", "none")] {
        assert_eq!(name(ledger.find_call(text).expect("read")), expected, "{text}");
    }
}

#[test]
fn calls_are_listed_by_contract_time_and_state() {
    let (_folder, mut ledger) = ledger();
    let running = Call { ended_at: None, ..call("r", 30) };
    commit(&mut ledger, |batch| {
        batch.journal_call(&call("b", 20), &matched("K-1"))?;
        batch.journal_call(&call("a", 0), &matched("K-1"))?;
        batch.journal_call(&running, &matched("K-2"))?;
        batch.journal_call(&call("n", 40), &Match::Unmatched { reason: "no number".into() })
    });
    let names = |calls: Vec<StoredCall>| calls.iter().map(|stored| stored.call.id.to_string()).collect::<Vec<_>>().join(" ");
    type Each<'e> = &'e mut dyn FnMut(StoredCall) -> Result<()>;
    let gather = |read: &dyn Fn(Each<'_>) -> Result<()>| {
        let mut calls = Vec::new();
        read(&mut |stored| {
            calls.push(stored);
            Ok(())
        })
        .expect("read");
        names(calls)
    };
    let (from, to) = ever();
    let late = tuesday().plus(Seconds::new(600));
    assert_eq!(names(ledger.calls_of("K-1", from).expect("read")), "a b");
    assert_eq!(names(ledger.calls_of("K-1", late).expect("read")), "b");
    assert_eq!(gather(&|each| ledger.calls(from, to, each)), "a b r n");
    assert_eq!(gather(&|each| ledger.calls(late, running.talks[0].from, each)), "b");
    assert_eq!(gather(&|each| ledger.running_calls(each)), "r");
    assert_eq!(gather(&|each| ledger.calls_of_nobody(from, each)), "n");
    assert_eq!(ledger.contracts().expect("read"), ["K-1", "K-2"]);
}

#[test]
fn snapshots_and_documents_are_kept() {
    let (_folder, mut ledger) = ledger();
    let snapshot = |position: &str| Snapshot { position: position.into(), body: position.as_bytes().to_vec() };
    commit(&mut ledger, |batch| batch.put_snapshot("hep", &snapshot("1")));
    commit(&mut ledger, |batch| batch.put_snapshot("hep", &snapshot("2")));
    assert_eq!(ledger.snapshot("hep").expect("read"), Some(snapshot("2")));
    for name in ["hep/1", "hep/20", "hep 2/1", "hep0", "her"] {
        commit(&mut ledger, |batch| batch.put_snapshot(name, &snapshot(name)));
    }
    let below: Vec<String> = ledger.snapshots_below("hep").expect("read").into_iter().map(|(name, _)| name).collect();
    assert_eq!(below, ["hep/1", "hep/20"]);
    commit(&mut ledger, |batch| batch.drop_snapshot("hep"));
    assert_eq!(ledger.snapshot("hep").expect("read"), None);

    let old = Document { kind: "tariff", name: "support-level.toml", text: "[[plan]]", numbers: &[] };
    let new = Document { kind: "contracts", name: "contracts.csv", text: "contract_id\n", numbers: &[] };
    let versions: Vec<i64> = [&[old][..], &[old, new], &[old], &[old]]
        .iter()
        .map(|documents| commit(&mut ledger, |batch| batch.use_catalogue(documents)))
        .collect();
    assert_eq!(versions, [1, 2, 1, 1]);
    assert_eq!(ledger.heads().evidence.0, 3, "evidence says when each set came into force, once");
    let names: Vec<_> = ledger.documents(2).expect("read").into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["support-level.toml", "contracts.csv"]);
    assert_eq!(verified(&mut ledger), []);
}

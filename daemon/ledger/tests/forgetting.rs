//! Holds and erasures: evidence that the tables follow from, and nothing that was forgotten comes back.

use super::*;
use std::ops::Range;

const NUMBER: &str = "+49891234567";

fn wish(ledger: &Ledger, act: Act) -> Wish {
    let token = ledger.token_of(number("49891234567").expect("a number")).expect("a writer");
    Wish { tokens: vec![token], act, who: "anna".into(), reason: "letter of 089 123 45 67".into(), at: tuesday() }
}

fn numbers(ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    ledger.each_number(|_, number, _| found.push(number.to_owned())).expect("read");
    found
}

fn journal(ledger: &mut Ledger) -> Call {
    let call = call("a", 0);
    commit(ledger, |batch| {
        batch.journal_call(&call, &matched("K-1"))?;
        batch.post(&[record(&call, "K-1", "0.50")])
    });
    call
}

#[test]
fn a_held_number_stays_until_then() {
    let (_folder, mut ledger) = ledger();
    journal(&mut ledger);
    let (day, ever) = (Seconds::new(86_400), Timestamp::from_micros(i64::MAX));
    let hold = wish(&ledger, Act::Hold { until: tuesday().plus(day) });
    commit(&mut ledger, |batch| batch.journal_wish(&hold));
    assert_eq!(ledger.held_until(hold.tokens[0]).expect("read"), Some(tuesday().plus(day)));
    commit(&mut ledger, |batch| batch.forget_numbers(ever, |_| false));
    assert_eq!(numbers(&ledger), [NUMBER]);
    assert_eq!(verified(&mut ledger), []);
    // Its time has come: the ledger's, not ours.
    commit(&mut ledger, |batch| batch.journal_clock(tuesday().plus(day)));
    assert_eq!(ledger.held_until(hold.tokens[0]).expect("read"), None);
    commit(&mut ledger, |batch| batch.forget_numbers(ever, |_| false));
    assert_eq!(numbers(&ledger), [""; 0]);
    assert_eq!(verified(&mut ledger), []);
}

#[test]
fn dialogs_that_are_let_go_go_whole_and_no_part_goes_alone() {
    let (_folder, mut ledger) = ledger();
    let put = |ledger: &mut Ledger, name: &str| {
        commit(ledger, |batch| batch.put_snapshot(name, &Snapshot { position: String::new(), body: name.into() }));
    };
    let left = |ledger: &Ledger| ledger.snapshots_below("sip").expect("read").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    ["sip", "sip/1", "sip/2", "sips/1"].iter().for_each(|name| put(&mut ledger, name));
    // A day later one part has changed.
    let later = tuesday().plus(Seconds::new(86_400));
    commit(&mut ledger, |batch| batch.journal_clock(later));
    put(&mut ledger, "sip");
    put(&mut ledger, "sip/2");
    commit(&mut ledger, |batch| batch.forget_numbers(later, |source| source == "sip"));
    assert_eq!(left(&ledger), ["sip/1", "sip/2"]);
    commit(&mut ledger, |batch| batch.forget_numbers(Timestamp::MAX, |source| source == "sip"));
    assert_eq!(left(&ledger), [""; 0]);
    assert!(ledger.snapshot("sip").expect("read").is_none() && ledger.snapshot("sips/1").expect("read").is_some());
}

#[test]
fn what_was_erased_comes_back_with_later_calls_only() {
    let (_folder, mut ledger) = ledger();
    let call = journal(&mut ledger);
    let heads = ledger.heads().entry;
    let (hold, release, erase) =
        (wish(&ledger, Act::Hold { until: Timestamp::MAX }), wish(&ledger, Act::Release), wish(&ledger, Act::Erase));
    for act in [&hold, &release, &erase] {
        commit(&mut ledger, |batch| batch.journal_wish(act));
    }
    assert!(!numbers(&ledger).contains(&NUMBER.to_owned()), "{:?}", numbers(&ledger));
    commit(&mut ledger, |batch| batch.journal_call(&call, &matched("K-1")));
    assert!(!numbers(&ledger).contains(&NUMBER.to_owned()), "the same call again stores nothing");
    assert_eq!(ledger.heads().entry, heads, "no charge has changed");
    let asked = ledger.wishes_about(&erase.tokens).expect("read");
    assert_eq!(asked, [hold, release, erase]);
    assert_eq!(verified(&mut ledger), []);
    let later = Call { id: id("b"), ..super::super::samples::call("b", 0) };
    let shift = |at: Timestamp| at.plus(Seconds::new(10 * 86_400));
    let mut later = Call { started_at: shift(later.started_at), ended_at: later.ended_at.map(shift), ..later };
    later.answered_at = later.answered_at.map(shift);
    later.talks.iter_mut().for_each(|talk| (talk.from, talk.to) = (shift(talk.from), talk.to.map(shift)));
    commit(&mut ledger, |batch| batch.journal_call(&later, &matched("K-1")));
    assert!(numbers(&ledger).contains(&NUMBER.to_owned()), "who calls again is known again");
}

#[test]
fn tables_that_say_otherwise_than_the_evidence_are_found() {
    for change in [
        "UPDATE held SET until = 5",
        "DELETE FROM held",
        "INSERT INTO erased (token, day, evidence) VALUES (zeroblob(16), 1, 1)",
        "UPDATE evidence SET body = x'07' WHERE kind = 6",
    ] {
        let (_folder, mut ledger) = ledger();
        journal(&mut ledger);
        let hold = wish(&ledger, Act::Hold { until: Timestamp::MAX });
        commit(&mut ledger, |batch| batch.journal_wish(&hold));
        assert_eq!(verified(&mut ledger), []);
        ledger.db.execute_batch("DROP TRIGGER evidence_stays").expect("dropped");
        ledger.db.execute_batch(change).expect(change);
        ledger
            .db
            .execute_batch("CREATE TRIGGER evidence_stays BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'never'); END")
            .expect("made again");
        assert!(!verified(&mut ledger).is_empty(), "{change}");
    }
}

#[test]
fn contracts_are_kept_with_tokens_for_numbers() {
    let (_folder, mut ledger) = ledger();
    let text = "contract_id,numbers,customer\nK-1,123 4567|12*,\"Huber, 0171/3920021\"\n";
    let at = |piece: &str| -> Range<usize> { text.find(piece).map(|at| at..at + piece.len()).expect("it is there") };
    let numbers =
        [(at("123 4567"), number("49891234567").expect("one")), (at("12*").start..at("12*").end - 1, number("498912").expect("one"))];
    let contracts = Document { kind: "contracts", name: "c.csv", text, numbers: &numbers };
    let version = commit(&mut ledger, |batch| batch.use_catalogue(&[contracts]));
    let again = commit(&mut ledger, |batch| batch.use_catalogue(&[contracts]));
    assert_eq!(version, again, "the same text is the same text");
    let kept = ledger.documents(version).expect("read").remove(0).2;
    let token = |text: &str| key().token(text).to_string();
    let expected =
        format!("contract_id,numbers,customer\nK-1,{}|{}*,\"Huber, {}\"\n", token("+49891234567"), token("+498912"), token("0171/3920021"));
    assert_eq!(kept, expected);
    assert_eq!(ledger.texts_with(key().token("+49891234567")).expect("read"), [("c.csv".to_owned(), true)]);
    assert_eq!(verified(&mut ledger), []);
    // A tariff is what it is.
    let tariff = Document { kind: "tariff", name: "t.toml", text: "# 0171/3920021", numbers: &[] };
    let version = commit(&mut ledger, |batch| batch.use_catalogue(&[tariff]));
    assert_eq!(ledger.documents(version).expect("read").remove(0).2, "# 0171/3920021");
}

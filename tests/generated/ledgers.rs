//! The same through the books and a ledger on disk: whatever order evidence comes in, in whatever batches, however often the
//! daemon is started anew in between, the records are the same, and so is every byte of an export.

use super::{Case, case, cases};
use crate::settlement::contract;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use taktd::calls::{Call, Directory, Speaker, Stage, Talk, Update};
use taktd::contracts::Contract;
use taktd::export::{Format, Selection, Settings, export};
use taktd::ledger::result::Digits;
use taktd::ledger::{Assignment, Decision, Ledger, LedgerError, NumberKey};
use taktd::meter::Record;
use taktd::pipeline::books::{Books, News};
use taktd::pipeline::catalogue::InForce;
use taktd::pipeline::requests::{Request, Unserved};
use taktd::units::{CallId, E164, NumberPattern, RawNumber, Timestamp};

/// One piece of news.
#[derive(Clone, Debug)]
enum Piece {
    Heard(Box<Update>),
    Asked(Request),
}

const KEY: [u8; 32] = [7; 32];

fn prefix(digits: &str) -> NumberPattern {
    NumberPattern::Prefix(E164::from_digits(digits.as_bytes()).expect("digits"))
}

/// The contract of the case, whose numbers begin with +493010, and another on the same tariff.
fn contracts(case: &Case) -> Vec<Contract> {
    let ours = case.rows.iter().map(|row| Contract { numbers: vec![prefix("493010")], ..row.clone() });
    let other = Contract {
        id: "K-2".into(),
        numbers: vec![prefix("493011")],
        starts_on: case.rows[0].starts_on,
        plans: vec![case.written.plans[0].into()],
        ..contract(&[])
    };
    ours.chain([other]).collect()
}

static DIRECTORY: LazyLock<Directory> =
    LazyLock::new(|| taktd::config::load(Path::new("config/taktd.toml")).expect("the example is right").0.directory);

fn in_force(case: &Case) -> InForce {
    let documents = vec![("tariff", "generated.toml".to_owned(), case.written.text.clone())];
    InForce::new(vec![case.tariff.clone()], contracts(case), DIRECTORY.clone(), documents)
}

/// What is heard and asked of each call, in the order of its own life: perhaps its beginning, its end, what operators say.
fn pieces(case: &Case, whims: &[u32]) -> Vec<Vec<Piece>> {
    let of = |(place, told): (usize, &super::Told)| {
        let mut call = told.call.clone();
        let whim = whims.get(place).copied().unwrap_or(0);
        // Callers end in 0 to 3, or have no number: two contracts', and others that find none until they are assigned.
        call.caller_raw = RawNumber::from_bytes(format!("+49301{}{}", whim % 4 / 2, &call.caller_raw.as_str()[1..]).as_bytes());
        if call.caller_raw.as_str().bytes().skip(1).all(|byte| byte.is_ascii_digit()) {
            call.caller = E164::from_digits(&call.caller_raw.as_str().as_bytes()[1..]);
        }
        let talks = call.talks.first().into_iter().map(|talk| Talk { to: None, ..talk.clone() }).collect();
        let running = Call { talks, ended_at: None, ..call.clone() };
        let mut life = Vec::new();
        if whim % 3 == 0 && !call.talks.is_empty() {
            life.push(Piece::Heard(Box::new(Update { stage: Stage::Connected, call: running })));
        }
        life.push(Piece::Heard(Box::new(Update { stage: Stage::Concluded, call: call.clone() })));
        if whim % 5 == 0 {
            life.push(Piece::Heard(Box::new(Update { stage: Stage::Concluded, call: call.clone() })));
        }
        let at = case.told[0].call.started_at;
        if call.caller.is_none() && whim % 2 == 0 {
            let assignment = Assignment { contract: "K-1".into(), who: "office".into(), why: "he called back".into(), at };
            life.push(Piece::Asked(Request::Assign { call: call.id.clone(), assignment }));
        }
        if let Some(verdict) = told.verdict.filter(|_| call.caller.is_some() && !call.talks.is_empty()) {
            let decision = Decision { verdict, who: "office".into(), reason: "as it is".into(), at };
            life.push(Piece::Asked(Request::Decide(vec![(call.id.clone(), decision)])));
        }
        life
    };
    case.told.iter().enumerate().map(of).collect()
}

/// The lives in one order: who is next is drawn, and each goes on where it was.
fn interleaved(lives: &[Vec<Piece>], drawn: &[u32]) -> Vec<Piece> {
    let mut lives: Vec<std::collections::VecDeque<Piece>> = lives.iter().map(|life| life.iter().cloned().collect()).collect();
    let (mut pieces, mut draw) = (Vec::new(), drawn.iter().cycle());
    while !lives.is_empty() {
        let place = *draw.next().expect("it cycles") as usize % lives.len();
        pieces.extend(lives[place].pop_front());
        if lives[place].is_empty() {
            lives.remove(place);
        }
    }
    pieces
}

fn open(path: &Path, case: &Case) -> Books {
    Books::open(Ledger::open(path, &NumberKey::new(KEY)).expect("a ledger"), Arc::new(in_force(case))).expect("books")
}

/// Records and the files of an export of all of it.
type Kept = (Vec<Record>, BTreeMap<String, Vec<u8>>);

fn kept(mut books: Books, folder: &Path) -> Kept {
    books.settle_all(|_, _| {}).expect("settled");
    let mut records = Vec::new();
    let (from, to) = (Timestamp::default(), Timestamp::from_micros(i64::MAX / 2));
    let keep = |record| {
        records.push(record);
        Ok(())
    };
    books.ledger().records::<LedgerError>(from, to, keep).expect("read");
    let directory = folder.join("export");
    std::fs::create_dir(&directory).expect("a folder");
    let zone = books.in_force().zone();
    let settings = Settings { directory, formats: vec![Format::Csv, Format::Jsonl], digits: Digits::Masked(3), zone };
    let report = export(books.ledger_mut(), Selection::Period { from, to: to.plus_micros(-1) }, &settings).expect("exported");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let files = report.files.iter().map(|path| (name(path), std::fs::read(path).expect("it is there"))).collect();
    (records, files)
}

/// Nothing can be decided where no contract is in force; that is so in any order.
fn serve(books: &mut Books, request: &Request) {
    match books.serve(request) {
        Ok(_) | Err(Unserved::Refused(_)) => {}
        Err(Unserved::Ledger(error)) => panic!("{error}"),
    }
}

/// All calls at once, then what operators say.
fn at_once(case: &Case, lives: &[Vec<Piece>]) -> Kept {
    let folder = tempfile::tempdir().expect("a folder");
    let mut books = open(&folder.path().join("ledger.db"), case);
    let (mut updates, mut requests) = (Vec::new(), Vec::new());
    for piece in lives.iter().flatten().cloned() {
        match piece {
            Piece::Heard(update) if update.stage == Stage::Concluded => updates.push(*update),
            Piece::Heard(_) => {}
            Piece::Asked(request) => requests.push(request),
        }
    }
    books.journal(std::iter::once(News { updates, ..News::default() })).expect("journaled");
    for request in &requests {
        serve(&mut books, request);
    }
    kept(books, folder.path())
}

/// Piece by piece, in batches, the books closed and opened again every so often.
fn in_pieces(case: &Case, pieces: &[Piece], size: usize, restart: usize) -> Kept {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let mut books = open(&path, case);
    for (place, batch) in pieces.chunks(size).enumerate() {
        let heard = |piece: &Piece| if let Piece::Heard(update) = piece { Some((**update).clone()) } else { None };
        books.take(vec![(Speaker::default(), batch.iter().filter_map(heard).collect())], &[], None).expect("taken");
        for piece in batch {
            if let Piece::Asked(request) = piece {
                serve(&mut books, request);
            }
        }
        if place % restart == restart - 1 {
            drop(books);
            books = open(&path, case);
        }
    }
    kept(books, folder.path())
}

/// What the records of one contract say.
fn of<'a>(kept: &'a Kept, contract: &str) -> Vec<&'a Record> {
    kept.0.iter().filter(|record| record.contract.as_deref() == Some(contract)).collect()
}

fn check(case: &Case, drawn: &[u32], size: usize, restart: usize) -> Result<(), TestCaseError> {
    let lives = pieces(case, drawn);
    let expected = at_once(case, &lives);
    let found = in_pieces(case, &interleaved(&lives, drawn), size, restart);
    for (found, expected) in found.0.iter().zip(&expected.0) {
        prop_assert_eq!(found, expected, "left: in pieces; {}", case.tell());
    }
    prop_assert_eq!(found.0.len(), expected.0.len());
    prop_assert_eq!(found.1, expected.1, "the export differs");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1_500).cases / 50, ..cases(1) })]

    #[test]
    fn any_order_any_batches_any_restart(case in case(1..12), drawn in super::numbers(60), size in 1..6_usize, restart in 1..5_usize) {
        check(&case, &drawn, size, restart)?;
    }

    /// No call of a contract changes another's records, in whatever the two have in common.
    #[test]
    fn no_call_changes_another_contract(case in case(2..12), drawn in super::numbers(30)) {
        let lives = pieces(&case, &drawn);
        let all = at_once(&case, &lives);
        let of_other = |life: &Vec<Piece>| matches!(&life[0], Piece::Heard(update) if update.call.caller_raw.as_str().starts_with("+493011"));
        let latest = |life: &Vec<Piece>| matches!(&life[0], Piece::Heard(update) if update.call.id == last(&case));
        // The last call stays: it moves the time of the ledger.
        let others: Vec<Vec<Piece>> = lives.iter().filter(|life| of_other(life) || latest(life)).cloned().collect();
        let alone = at_once(&case, &others);
        prop_assert_eq!(of(&all, "K-2"), of(&alone, "K-2"), "{}", case.tell());
    }
}

/// The call that ends last.
fn last(case: &Case) -> CallId {
    case.told.iter().max_by_key(|told| told.call.ended_at).expect("a call").call.id.clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (cases(1_500).cases / 300).max(4), max_shrink_iters: 40, ..cases(1) })]

    /// With hundreds of calls, news is settled from quiet instant to quiet instant.
    #[test]
    fn hundreds_of_calls_in_any_order(case in case(220..300), drawn in super::numbers(700), size in 5..40_usize, late in 1..20_usize) {
        let lives = pieces(&case, &drawn);
        let expected = at_once(&case, &lives);
        // As a daemon hears them: in order, but for some that come late, and some that operators speak of late.
        let mut order: Vec<usize> = (0..lives.len()).collect();
        order.sort_by_key(|place| (*place % (late * 7) == 0, case.told[*place].call.ended_at));
        let pieces: Vec<Piece> = order.iter().flat_map(|place| lives[*place].clone()).collect();
        let (asked, heard): (Vec<Piece>, Vec<Piece>) = pieces.into_iter().partition(|piece| matches!(piece, Piece::Asked(_)));
        let pieces: Vec<Piece> = heard.into_iter().chain(asked).collect();
        let found = in_pieces(&case, &pieces, size, 9);
        for (found, expected) in found.0.iter().zip(&expected.0) {
            prop_assert_eq!(found, expected, "left: in pieces; {}", case.tell());
        }
        prop_assert_eq!(found.1, expected.1, "the export differs");
    }
}

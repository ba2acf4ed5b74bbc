//! Several kinds of sources tell of the same calls, while the books are kept.

use crate::books::{Shop, call};
use taktd::calls::{Call, Role, Speaker, Stage, Update, Withheld, Witness};
use taktd::pipeline::books::{Books, Ended};
use taktd::units::{CallId, Timestamp};

const CONTRACTS: &str = "K-1,plain,2026-01-01,,+49 30 1111\n";
const CALLER: &str = "49301111";

fn by(witness: Witness) -> Speaker {
    Speaker { role: Role::Meter, witness }
}

/// A call as signalling has it, and the same as records have it: under another name, and with whole seconds.
fn both(number: u32) -> (Call, Call) {
    let begins = format!("2026-03-10 1{number}:00:00");
    let wire = call(&format!("wire-{number}"), CALLER, &begins, 5);
    let rows = Call { id: CallId::new(&format!("rows-{number}")).expect("a name"), withheld: Withheld::Unknown, ..wire.clone() };
    (wire, rows)
}

fn told(books: &mut Books, witness: Witness, call: &Call) -> taktd::ledger::Result<Vec<Ended>> {
    let update = Update { stage: Stage::Concluded, call: call.clone() };
    Ok(books.take(vec![(by(witness), vec![update])], &[], None)?.1)
}

fn calls(books: &Books) -> usize {
    let mut count = 0;
    let each = |_| {
        count += 1;
        Ok(())
    };
    books.ledger().calls(Timestamp::default(), Timestamp::MAX, each).expect("read");
    count
}

/// What could not be written is not remembered either: else a call would be two after the next start.
#[test]
fn a_second_kind_whose_first_word_failed_is_known_after_a_restart() {
    let shop = Shop::new(CONTRACTS);
    let mut books = shop.books();
    told(&mut books, Witness::Signalling, &both(0).0).expect("taken");
    let file = rusqlite::Connection::open(shop.path("ledger.db")).expect("the file");
    let trouble = "CREATE TRIGGER trouble BEFORE INSERT ON evidence BEGIN SELECT RAISE(ABORT, 'trouble'); END";
    file.execute_batch(trouble).expect("there");
    told(&mut books, Witness::AsteriskCdr, &both(1).1).expect_err("it cannot be written");
    file.execute_batch("DROP TRIGGER trouble").expect("gone");
    told(&mut books, Witness::AsteriskCdr, &both(1).1).expect("now it can");
    drop(books);
    let mut books = shop.books();
    told(&mut books, Witness::Signalling, &both(1).0).expect("taken");
    assert_eq!(calls(&books), 2, "one call of signalling, and one of both");
}

/// A call that several sources tell of has ended once, under whichever name; a switch's log and records name it alike.
#[test]
fn an_end_counts_once() {
    use Witness::{AsteriskCdr, AsteriskCel, Signalling};
    for order in [[Signalling, AsteriskCdr], [AsteriskCdr, Signalling], [AsteriskCel, AsteriskCdr], [AsteriskCdr, AsteriskCel]] {
        let shop = Shop::new(CONTRACTS);
        let mut books = shop.books();
        let mut ended = Vec::new();
        for number in 0..3 {
            let (wire, rows) = both(number);
            for witness in order {
                let call = if witness == Witness::Signalling { &wire } else { &rows };
                ended.push(told(&mut books, witness, call).expect("taken").len());
            }
        }
        assert_eq!((calls(&books), ended), (3, vec![1, 0, 1, 0, 1, 0]), "{order:?}");
    }
}

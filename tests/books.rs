//! The books over time: deadlines and fees fall due while nobody looks, contracts change afterwards, decisions come.

use std::path::PathBuf;
use std::sync::Arc;
use taktd::calls::{Call, Speaker, Stage, Update};
use taktd::config;
use taktd::ledger::{Decision, Ledger, LedgerError, NumberKey, Posted};
use taktd::meter::{Record, RecordKey};
use taktd::pipeline::audit;
use taktd::pipeline::books::Books;
use taktd::pipeline::catalogue::InForce;
use taktd::pipeline::requests::{Request, Unserved};
use taktd::tariff::Verdict;
use taktd::units::{CallId, E164, RawNumber, Timestamp, Word};
use tempfile::TempDir;

const CONFIG: &str = r#"
[catalogue]
country = "DE"
area_code = "89"
tariffs = ["tariff.toml"]
contracts = ["contracts.csv"]
[[hotline]]
number = "+49 89 555010"
name = "Support"
service = "support"
"#;

/// A plan that bills by the minute, one that is dearer, and one whose calls wait two weeks for a decision.
const TARIFF: &str = r#"
name = "books"
prices = "net"
timezone = "Europe/Berlin"
vat = [{ from = 2007-01-01, percent = 19 }]
[bands]
always = "24/7"
[[service]]
name = "support"
bands = ["always"]
[[plan]]
id = "plain"
valid_from = 2019-01-01
fee = { amount = 10.00, per = "month" }
callers = "any"
[[plan.rate]]
service = "support"
steps = [{ from = "0s", increment = "1m", price = 1.00 }]
[[plan]]
id = "dear"
valid_from = 2019-01-01
fee = { amount = 20.00, per = "month" }
callers = "any"
[[plan.rate]]
service = "support"
steps = [{ from = "0s", increment = "1m", price = 3.00 }]
[[plan]]
id = "asked"
valid_from = 2019-01-01
fee = "none"
callers = "any"
[[plan.rate]]
service = "support"
steps = [{ from = "0s", increment = "1m", price = 1.00 }]
[plan.decision]
default = "customer"
after = "14 days"
"#;

const HEAD: &str = "contract_id,plans,starts_on,ends_on,numbers\n";

/// A folder with a configuration and a ledger.
pub(crate) struct Shop {
    folder: TempDir,
}

impl Shop {
    pub(crate) fn new(contracts: &str) -> Self {
        let shop = Self { folder: TempDir::new().expect("a folder") };
        for (name, text) in [("taktd.toml", CONFIG), ("tariff.toml", TARIFF)] {
            std::fs::write(shop.path(name), text).expect("written");
        }
        shop.contracts(contracts);
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn contracts(&self, rows: &str) {
        std::fs::write(self.path("contracts.csv"), format!("{HEAD}{rows}")).expect("written");
    }

    fn in_force(&self) -> Arc<InForce> {
        let (config, catalogue) = config::load(&self.path("taktd.toml")).expect("right");
        let documents = catalogue.documents.into_iter().map(|(name, text)| {
            let kind = if name.ends_with(".csv") { "contracts" } else { "tariff" };
            (kind, name.into(), text)
        });
        Arc::new(InForce::new(catalogue.tariffs, catalogue.contracts, config.directory, documents.collect()))
    }

    /// Opens the books, as a start after a downtime does.
    pub(crate) fn books(&self) -> Books {
        let key = NumberKey::from_file(&self.path("ledger.key")).expect("a key");
        // A child that another test is starting shares our open files, and so our lock, until it runs its own program.
        let open = || match Ledger::open(&self.path("ledger.db"), &key) {
            Err(LedgerError::Busy { .. }) => {
                std::thread::sleep(std::time::Duration::from_millis(10));
                None
            }
            opened => Some(opened.expect("a ledger")),
        };
        let ledger = (0..500).find_map(|_| open()).expect("nobody else has it");
        Books::open(ledger, self.in_force()).expect("open")
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}

/// A call to the support hotline: its name, who calls, when talk begins, for how many minutes.
pub(crate) fn call(id: &str, caller: &str, begins: &str, minutes: u64) -> Call {
    let talk = crate::settlement::call(id, "support", begins, minutes * 60);
    let raw = RawNumber::from_bytes(format!("+{caller}").as_bytes());
    Call { caller: E164::from_digits(caller.as_bytes()), caller_raw: raw, ..talk }
}

fn take(books: &mut Books, calls: &[Call]) -> Posted {
    let updates = calls.iter().map(|call| Update { stage: Stage::Concluded, call: call.clone() }).collect();
    books.take(vec![(Speaker::default(), updates)], &[], None).expect("taken").0.posted
}

/// "It is now T", and what follows.
fn clock(books: &mut Books, now: &str) -> (usize, usize) {
    books.clock(at(now)).expect("journaled");
    let Posted { entries, reversals } = books.settle_all(|_, _| {}).expect("settled");
    (entries, reversals)
}

fn record(books: &Books, id: &str) -> Record {
    let key = RecordKey::Call(CallId::new(id).expect("a name"));
    books.ledger().record(&key).expect("read").expect("there")
}

/// Outcome and net of a call.
fn stands(books: &Books, id: &str) -> String {
    let record = record(books, id);
    format!("{} {}", record.outcome.word(), record.charge.net)
}

/// The fees that stand: contract, plan and first day.
fn fees(books: &Books) -> Vec<String> {
    let mut fees = Vec::new();
    let ever = (Timestamp::default(), Timestamp::from_micros(i64::MAX));
    let each = |record: Record| {
        if let RecordKey::Fee { contract, plan, from } = record.key {
            fees.push(format!("{contract} {plan} {from}"));
        }
        Ok::<_, LedgerError>(())
    };
    books.ledger().records(ever.0, ever.1, each).expect("read");
    fees
}

/// Everything computed anew is what stands, and the file is whole.
#[track_caller]
fn verified(shop: &Shop) {
    let mut ledger = Ledger::read(&shop.path("ledger.db")).expect("a ledger");
    assert_eq!(ledger.verify(None, |_, _| {}).expect("read"), []);
    let (computed, differing) = audit::settle_anew(&ledger, &shop.in_force()).expect("read");
    assert!(computed > 0 && differing.is_empty(), "{differing:?}");
}

#[test]
fn a_deadline_that_passes_is_posted_whoever_calls() {
    let shop = Shop::new("K-1,asked,2026-01-01,,089 111\nK-2,plain,2026-01-01,,089 222\nK-3,asked,2026-01-01,,089 333\n");
    let mut books = shop.books();
    take(&mut books, &[call("a", "4989111", "2026-03-10 10:00:00", 3), call("c", "4989333", "2026-03-12 23:58:00", 3)]);
    assert_eq!((stands(&books, "a"), stands(&books, "c")), ("held 0.00".into(), "held 0.00".into()));
    assert_eq!(clock(&mut books, "2026-03-23T23:59:59+01:00"), (3, 0), "the fees of K-2, and no decision");
    assert_eq!(stands(&books, "a"), "held 0.00");
    verified(&shop);
    // Somebody else's call moves the ledger's time past the deadline: that is enough, in the same commit.
    let posted = take(&mut books, &[call("b", "4989222", "2026-03-24 00:00:30", 1)]);
    assert_eq!((posted.entries, posted.reversals), (2, 1), "the call, and the one that waited");
    assert_eq!((stands(&books, "a"), stands(&books, "c")), ("charged 3.00".into(), "held 0.00".into()));
    verified(&shop);
    // Nothing passes twice.
    assert_eq!(clock(&mut books, "2026-03-25T12:00:00+01:00"), (0, 0));
    drop(books);

    // The daemon was down over the other one's: it ended after midnight, so its day is the 27th.
    let mut books = shop.books();
    assert_eq!(stands(&books, "c"), "held 0.00");
    assert_eq!(clock(&mut books, "2026-04-30T12:00:00+02:00"), (2, 1), "the fee of K-2 in April, and the decision");
    assert_eq!(stands(&books, "c"), "charged 3.00");
    verified(&shop);
}

#[test]
fn a_deadline_is_derived_from_what_is_in_force() {
    let shop = Shop::new("K-1,asked,2026-01-01,,089 111\n");
    let mut books = shop.books();
    take(&mut books, &[call("a", "4989111", "2026-03-10 10:00:00", 3)]);
    clock(&mut books, "2026-03-20T12:00:00+01:00");
    assert_eq!(stands(&books, "a"), "held 0.00");
    // With a shorter wait the deadline has passed already.
    std::fs::write(shop.path("tariff.toml"), TARIFF.replace("14 days", "1 week")).expect("written");
    books.put_in_force(shop.in_force()).expect("put");
    books.settle_all(|_, _| {}).expect("settled");
    assert_eq!(stands(&books, "a"), "charged 3.00");
    // And with a longer one it is held again, until then.
    std::fs::write(shop.path("tariff.toml"), TARIFF.replace("14 days", "1 month")).expect("written");
    books.put_in_force(shop.in_force()).expect("put");
    books.settle_all(|_, _| {}).expect("settled");
    assert_eq!(stands(&books, "a"), "held 0.00");
    assert_eq!(clock(&mut books, "2026-04-09T23:59:59+02:00"), (0, 0));
    assert_eq!(clock(&mut books, "2026-04-10T00:00:00+02:00"), (1, 1));
    verified(&shop);
}

#[test]
fn fees_are_posted_for_every_period_that_began_also_after_a_downtime() {
    let shop = Shop::new("K-1,plain,2026-01-31,,089 111\nK-2,plain,2026-01-01,2026-03-01,089 222\n");
    let mut books = shop.books();
    for (now, entries) in [
        ("2026-01-30T23:59:59+01:00", 1), // K-2 from the 1st on
        ("2026-01-31T00:00:00+01:00", 1), // K-1 begins
        ("2026-01-31T18:00:00+01:00", 0),
        ("2026-02-01T00:00:00+01:00", 1), // K-2
        ("2026-02-27T23:59:59+01:00", 0),
        ("2026-02-28T00:00:00+01:00", 1), // K-1: the 31st is the month's last day
    ] {
        assert_eq!(clock(&mut books, now), (entries, 0), "{now}");
    }
    drop(books);
    // Nobody looks for three periods; a call that is read meanwhile posts its own contract's at once, and none is posted twice.
    let mut books = shop.books();
    assert_eq!(clock(&mut books, "2026-05-31T06:00:00+02:00"), (3, 0), "K-1 on 31 March, 30 April and 31 May; K-2 has ended");
    drop(books);
    let mut books = shop.books();
    assert_eq!(clock(&mut books, "2026-05-31T07:00:00+02:00"), (0, 0));
    let posted = take(&mut books, &[call("a", "4989111", "2026-07-02 10:00:00", 1)]);
    assert_eq!((posted.entries, posted.reversals), (2, 0), "the call, and the fee of 30 June that its evidence makes due");
    assert_eq!(clock(&mut books, "2026-07-02T12:00:00+02:00"), (0, 0));
    assert_eq!(
        fees(&books),
        [
            "K-2 plain 2026-01-01",
            "K-1 plain 2026-01-31",
            "K-2 plain 2026-02-01",
            "K-1 plain 2026-02-28",
            "K-1 plain 2026-03-31",
            "K-1 plain 2026-04-30",
            "K-1 plain 2026-05-31",
            "K-1 plain 2026-06-30",
        ]
    );
    verified(&shop);
}

#[test]
fn a_backdated_change_of_plan_touches_exactly_the_records_it_changes() {
    let shop = Shop::new("K-1,plain,2026-01-01,,089 111\nK-2,plain,2026-01-01,,089 222\n");
    let mut books = shop.books();
    let calls = [
        call("before", "4989111", "2026-03-10 10:00:00", 2),
        call("after", "4989111", "2026-03-20 10:00:00", 2),
        call("short", "4989111", "2026-03-21 10:00:00", 0),
        call("other", "4989222", "2026-03-20 10:00:00", 2),
    ];
    take(&mut books, &calls);
    clock(&mut books, "2026-04-10T00:00:00+02:00");
    let heads = books.ledger().heads();
    drop(books);
    // From 15 March on K-1 holds the dearer plan, and nobody had entered it.
    shop.contracts("K-1,plain,2026-01-01,2026-03-15,089 111\nK-1,dear,2026-03-15,,089 111\nK-2,plain,2026-01-01,,089 222\n");
    let mut books = shop.books();
    let Posted { entries, reversals } = books.settle_all(|_, _| {}).expect("settled");
    // Anew: the call on the 20th, that of no talk (its plan is another), the fee of 15 March. Taken back: both calls and the
    // old plan's fee of 1 April, which has begun by then.
    assert_eq!((entries, reversals), (3, 3));
    assert_eq!(
        (stands(&books, "before"), stands(&books, "after"), stands(&books, "other")),
        ("charged 2.00".into(), "charged 6.00".into(), "charged 2.00".into())
    );
    let added = books.ledger().heads().entry.0 - heads.entry.0;
    assert_eq!(added, 6, "and no other row");
    let k_1: Vec<String> = fees(&books).into_iter().filter(|fee| fee.starts_with("K-1")).collect();
    assert_eq!(k_1, ["K-1 plain 2026-01-01", "K-1 plain 2026-02-01", "K-1 plain 2026-03-01", "K-1 dear 2026-03-15"]);
    verified(&shop);
    // The same files again change nothing; the old ones give the old bill.
    drop(books);
    assert_eq!(shop.books().settle_all(|_, _| {}).expect("settled"), Posted::default());
    shop.contracts("K-1,plain,2026-01-01,,089 111\nK-2,plain,2026-01-01,,089 222\n");
    let mut books = shop.books();
    let back = books.settle_all(|_, _| {}).expect("settled");
    assert_eq!((back.entries, back.reversals), (3, 3));
    assert_eq!(stands(&books, "after"), "charged 2.00");
    verified(&shop);
}

/// A month that is closed takes a decision on a call that was in time, and settles with the balances as they stood there.
#[test]
fn a_decision_for_a_closed_month_is_never_late() {
    let shop = Shop::new("K-1,asked,2026-01-01,,089 111\n");
    let mut books = shop.books();
    take(&mut books, &[call("a", "4989111", "2026-03-30 10:00:00", 3), call("b", "4989111", "2026-03-31 10:00:00", 4)]);
    clock(&mut books, "2026-04-06T00:00:00+02:00");
    books.close_month(chrono::NaiveDate::from_ymd_opt(2026, 3, 1).expect("a day"), at("2026-04-06T00:00:00+02:00")).expect("closed");
    take(&mut books, &[call("c", "4989111", "2026-03-31 12:00:00", 5)]);
    let decide = |books: &mut Books, id: &str, verdict: &str| {
        let verdict = Verdict::parse(verdict).expect("a decision");
        let decision = Decision { verdict, who: "anna".into(), reason: "as agreed".into(), at: at("2026-04-07T00:00:00+02:00") };
        let Posted { entries, reversals } =
            books.serve(&Request::Decide(vec![(CallId::new(id).expect("a name"), decision)])).expect("decided");
        (entries, reversals)
    };
    assert_eq!(decide(&mut books, "a", "customer"), (1, 1));
    assert_eq!((stands(&books, "a"), record(&books, "a").late), ("charged 3.00".into(), false));
    assert_eq!(decide(&mut books, "a", "goodwill:2m"), (1, 1));
    assert_eq!((stands(&books, "a"), record(&books, "a").late), ("charged 1.00".into(), false));
    assert_eq!(decide(&mut books, "a", "goodwill:2m"), (0, 0), "the same says nothing new");
    assert_eq!(stands(&books, "b"), "held 0.00");
    assert_eq!(decide(&mut books, "c", "customer"), (1, 1));
    assert_eq!((stands(&books, "c"), record(&books, "c").late), ("charged 5.00".into(), true), "that call came late, whatever was decided");
    // The default of the other one comes with its day, also for the closed month.
    assert_eq!(clock(&mut books, "2026-04-14T00:00:00+02:00"), (1, 1));
    assert_eq!((stands(&books, "b"), record(&books, "b").late), ("charged 4.00".into(), false));
    verified(&shop);
}

/// A request is done whole or not at all, also where somebody wrote it past the command.
#[test]
fn a_request_that_cannot_be_done_does_nothing() {
    let shop = Shop::new("K-1,asked,2026-01-01,,089 111\n");
    let mut books = shop.books();
    take(&mut books, &[call("a", "4989111", "2026-03-30 10:00:00", 3), call("stranger", "4989999", "2026-03-31 10:00:00", 4)]);
    let heads = books.ledger().heads();
    let decision = Decision { verdict: Verdict::Customer, who: "anna".into(), reason: "fine".into(), at: at("2026-04-07T00:00:00+02:00") };
    for (other, says) in [("stranger", "no contract pays for the call"), ("nobody", "the ledger has no call \"nobody\"")] {
        let both = ["a", other].map(|id| (CallId::new(id).expect("a name"), decision.clone()));
        let refused = books.serve(&Request::Decide(both.to_vec())).expect_err(other);
        assert!(matches!(&refused, Unserved::Refused(why) if why.contains(says)), "{refused}");
    }
    let without = Decision { reason: " ".into(), ..decision };
    let refused = books.serve(&Request::Decide(vec![(CallId::new("a").expect("a name"), without)])).expect_err("no reason");
    assert!(refused.to_string().contains("no reason"), "{refused}");
    assert_eq!((books.ledger().heads(), stands(&books, "a")), (heads, "held 0.00".into()));
    verified(&shop);
}

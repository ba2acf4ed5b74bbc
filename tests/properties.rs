//! What holds for all calls there could be: the order of arrival makes no difference, lines add up, balances are what was
//! granted without what was used, charges never fall as talk grows, and live is settlement cut at now (design.md §6).

use crate::settlement::local;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use taktd::calls::{BilledFrom, Call, Correlation, End, MissedReason, Speaker, Stage, Talk, Update, Withheld};
use taktd::contracts::local_date;
use taktd::ledger::{Ledger, NumberKey};
use taktd::meter::{Outcome, Record, Settlement, Timing};
use taktd::pipeline::books::{Books, News};
use taktd::pipeline::catalogue::{InForce, Said};
use taktd::units::{CallId, Direction, E164, RawNumber, Seconds, Timestamp};

/// The example that ships.
pub(crate) static IN_FORCE: LazyLock<InForce> = LazyLock::new(in_force);

fn in_force() -> InForce {
    let (config, catalogue) = taktd::config::load(Path::new("config/taktd.toml")).expect("the example is right");
    let kind = |name: &str| if name.ends_with(".csv") { "contracts" } else { "tariff" };
    let documents = catalogue.documents.into_iter().map(|(name, text)| (kind(&name), name.into(), text)).collect();
    InForce::new(catalogue.tariffs, catalogue.contracts, config.directory, documents)
}

/// The contracts' numbers, and one of nobody.
pub(crate) const CALLERS: &[(&str, &str)] = &[
    ("K-1001", "491713920021"),
    ("K-1002", "491713920022"),
    ("K-1003", "4915228817386"),
    ("K-1004", "4989999980"),
    ("K-1005", "49899999812"),
    ("K-1006", "493023125077"),
    ("K-1009", "494066969201"),
    ("K-1010", "494066969301"),
    ("K-1011", "492214710101"),
    ("K-1013", "492214710202"),
    ("K-1015", "492214710400"),
    ("K-1019", "4969900092000"),
    ("K-1020", "4969900093000"),
    ("", "491700000000"),
];

/// A call as a few numbers: caller, whether to the emergency line, seconds from the first of March, wait, talk (0: missed).
pub(crate) type Drawn = (usize, bool, u64, u64, u64);

/// Five weeks with the hour that summer time skips; often in the hours of the general support, often at once with another.
pub(crate) fn drawn() -> impl Strategy<Value = Drawn> {
    let day = 0..35_u64;
    let second = prop_oneof![3 => 34_000..62_000_u64, 1 => 0..86_400_u64, 2 => (0..8_u64).prop_map(|step| 36_000 + step * 30)];
    let at = (day, second).prop_map(|(day, second)| day * 86_400 + second);
    let talk = prop_oneof![1 => Just(0_u64), 4 => 1..900_u64, 2 => (1..20_u64).prop_map(|minutes| minutes * 60), 1 => 900..9_000_u64];
    (0..CALLERS.len(), any::<bool>(), at, 0..90_u64, talk)
}

fn call(place: usize, drawn: Drawn) -> Call {
    let (caller, emergency, at, wait, talk) = drawn;
    let started_at = local("2026-03-01 00:00:00").plus(Seconds::new(at));
    let connected = started_at.plus(Seconds::new(wait));
    let ended = connected.plus(Seconds::new(talk));
    let (hotline, service, called) =
        if emergency { ("Emergency", "emergency", "4989555099") } else { ("Support", "support", "4989555010") };
    let talks = if talk > 0 { vec![Talk { agent: "201".into(), level: Some(1), from: connected, to: Some(ended) }] } else { Vec::new() };
    Call {
        id: CallId::new(&format!("call-{place}")).expect("not empty"),
        direction: Direction::In,
        hotline: Some(hotline.into()),
        service: service.into(),
        caller_raw: RawNumber::from_bytes(CALLERS[caller].1.as_bytes()),
        caller: E164::from_digits(CALLERS[caller].1.as_bytes()),
        withheld: Withheld::No,
        called_raw: RawNumber::from_bytes(called.as_bytes()),
        called: E164::from_digits(called.as_bytes()),
        contract: None,
        started_at,
        answered_at: (talk > 0).then_some(connected),
        talks,
        ended_at: Some(ended),
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        missed: (talk == 0).then_some(MissedReason::Abandoned),
        severity: None,
        ticket: None,
        correlation: Correlation::Explicit,
        marks: Vec::new(),
    }
}

pub(crate) fn calls(drawn: &[Drawn]) -> Vec<Call> {
    drawn.iter().enumerate().map(|(place, drawn)| call(place, *drawn)).collect()
}

fn settle(contract: &str, calls: &[Call], until: Timestamp) -> Settlement {
    let said = |call: &Call| Said { call: call.clone(), authorised: true, reason: None, verdict: None, timing: Timing::InTime };
    let calls: Vec<Said> = calls.iter().map(said).collect();
    IN_FORCE.settle(&IN_FORCE.terms(contract).expect("it is in the example"), &calls, until)
}

fn late() -> Timestamp {
    local("2026-05-01 00:00:00")
}

/// What a record says of money and time.
fn charged(record: &Record) -> (Outcome, Decimal, Seconds, Seconds, String) {
    (record.outcome, record.charge.net, record.talk, record.billed, format!("{:?} {:?}", record.lines, record.allowances))
}

/// The records of a ledger that heard these calls in these batches; a batch may hear of the beginning of calls, too.
fn kept(batches: &[Vec<Update>], at_once: bool) -> Vec<Record> {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::open(&folder.path().join("ledger.db"), &NumberKey::new([7; 32])).expect("a ledger");
    let mut books = Books::open(ledger, Arc::new(in_force())).expect("books");
    for batch in batches {
        if at_once {
            books.journal(std::iter::once(News { updates: batch.clone(), ..News::default() })).expect("journaled");
        } else {
            books.take(vec![(Speaker::default(), batch.clone())], &[], None).expect("taken");
        }
    }
    books.settle_all(|_, _| {}).expect("settled");
    let mut records = Vec::new();
    let all = (Timestamp::default(), Timestamp::from_micros(i64::MAX));
    books
        .ledger()
        .records::<taktd::ledger::LedgerError>(all.0, all.1, |record| {
            records.push(record);
            Ok(())
        })
        .expect("read");
    records
}

fn concluded(call: &Call) -> Update {
    Update { stage: Stage::Concluded, call: call.clone() }
}

/// The same call while it runs.
fn running(call: &Call) -> Call {
    let talks = call.talks.iter().map(|talk| Talk { to: None, ..talk.clone() }).collect();
    Call { talks, ended_at: None, ..call.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_batches_give_the_same_records(
        drawn in prop::collection::vec(drawn(), 1..24),
        order in Just((0..24).collect::<Vec<usize>>()).prop_shuffle(),
        size in 1..9_usize,
    ) {
        let calls = calls(&drawn);
        let expected = kept(&[calls.iter().map(concluded).collect()], true);
        let shuffled: Vec<&Call> = order.iter().filter_map(|place| calls.get(*place)).collect();
        // Some are heard of while they run, and some twice.
        let updates: Vec<Update> = shuffled
            .iter()
            .enumerate()
            .flat_map(|(place, call)| {
                let early = (place % 3 == 0 && !call.talks.is_empty()).then(|| Update { stage: Stage::Connected, call: running(call) });
                let again = (place % 4 == 0).then(|| concluded(call));
                early.into_iter().chain([concluded(call)]).chain(again)
            })
            .collect();
        let batches: Vec<Vec<Update>> = updates.chunks(size).map(<[Update]>::to_vec).collect();
        let found = kept(&batches, false);
        prop_assert_eq!(found, expected);
    }
}

/// A held call is decided by its tariff's default when the ledger's time passes the deadline, whoever's call moves it.
#[test]
fn a_deadline_passes_with_the_time_of_the_ledger() {
    let place = |contract: &str| CALLERS.iter().position(|(id, _)| *id == contract).expect("it is there");
    let (held, other) = (call(0, (place("K-1011"), false, 36_000, 5, 60)), |day: u64| (place("K-1001"), false, day * 86_400, 5, 60));
    for (day, outcome) in [(14, Outcome::Charged), (13, Outcome::Held)] {
        for at_once in [true, false] {
            let records = kept(&[vec![concluded(&held)], vec![concluded(&call(1, other(day)))]], at_once);
            let record = records.iter().find(|record| record.contract.as_deref() == Some("K-1011") && record.fee.is_none());
            assert_eq!(record.expect("it is posted").outcome, outcome, "day {day}, at once: {at_once}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Live, a contract with many calls is settled from the last quiet instant before the news.
    #[test]
    fn news_of_a_contract_with_many_calls_comes_to_what_all_calls_do(
        drawn in prop::collection::vec(drawn(), 300..400),
        late in prop::collection::vec(0..300_usize, 12),
    ) {
        let calls = calls(&drawn.into_iter().map(|(_, emergency, at, wait, talk)| (1, emergency, at, wait, talk)).collect::<Vec<_>>());
        let expected = kept(&[calls.iter().map(concluded).collect()], true);
        let mut order: Vec<&Call> = calls.iter().collect();
        order.sort_by_key(|call| call.ended_at);
        let missing: Vec<&Call> = late.iter().map(|place| order[*place]).collect();
        order.retain(|call| !missing.contains(call));
        let updates: Vec<Update> = order.into_iter().chain(missing).map(concluded).collect();
        prop_assert_eq!(kept(&updates.chunks(7).map(<[Update]>::to_vec).collect::<Vec<_>>(), false), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_add_up_and_balances_are_granted_without_used(contract in 0..CALLERS.len() - 1, drawn in prop::collection::vec(drawn(), 1..40)) {
        let calls: Vec<Call> = calls(&drawn);
        let settled = settle(CALLERS[contract].0, &calls, late());
        for record in settled.calls.iter().map(|settled| &settled.record) {
            let sum: Decimal = record.lines.iter().map(|line| line.amount).sum();
            prop_assert_eq!(sum, record.charge.net, "{:?}", record);
            prop_assert_eq!(record.charge.net + record.charge.vat, record.charge.gross);
            prop_assert!(record.charge.net >= Decimal::ZERO);
            prop_assert!(record.charge.net == Decimal::ZERO || record.outcome == Outcome::Charged);
        }
        for balance in &settled.balances {
            let within = |record: &Record| {
                let day = local_date(record.connected_at.unwrap_or(record.started_at), record.zone);
                balance.from <= day && balance.lapses.is_none_or(|lapses| day < lapses)
            };
            let used: u64 = settled
                .calls
                .iter()
                .filter(|settled| within(&settled.record))
                .flat_map(|settled| &settled.record.allowances)
                .filter(|used| *used.id == *balance.allowance)
                .map(|used| used.used)
                .sum();
            prop_assert!(used <= balance.granted, "{:?}: {}", balance, used);
            prop_assert_eq!(balance.left, balance.granted - used, "{:?}", balance);
        }
    }

    #[test]
    fn a_charge_never_falls_as_talk_grows(contract in 0..CALLERS.len() - 1, drawn in drawn(), more in 1..400_u64) {
        let (caller, emergency, at, wait, talk) = drawn;
        let net = |talk| settle(CALLERS[contract].0, &[call(0, (caller, emergency, at, wait, talk))], late()).calls[0].record.charge.net;
        prop_assert!(net(talk) <= net(talk + more), "{} s: {}, {} s: {}", talk, net(talk), talk + more, net(talk + more));
    }

    #[test]
    fn live_is_settlement_cut_at_now(
        contract in 0..CALLERS.len() - 1,
        drawn in prop::collection::vec(drawn(), 1..12),
        day in 0..35_u64,
        near in prop::option::of((0..12_usize, 0..700_u64)),
    ) {
        let all = calls(&drawn);
        // Often in the middle of one of the calls.
        let now = match near.and_then(|(place, after)| Some((all.get(place)?.connected_at()?, after))) {
            Some((connected, after)) => connected.plus(Seconds::new(after)),
            None => local("2026-03-01 12:00:00").plus(Seconds::new(day * 86_400)),
        };
        let begun: Vec<&Call> = all.iter().filter(|call| call.connected_at().is_some_and(|at| at <= now)).collect();
        let over = |call: &Call| call.ended_at.is_some_and(|ended| ended <= now);
        let live: Vec<Call> = begun.iter().map(|call| if over(call) { (*call).clone() } else { running(call) }).collect();
        let cut: Vec<Call> = begun
            .iter()
            .map(|call| {
                if over(call) {
                    return (*call).clone();
                }
                let talks = call.talks.iter().map(|talk| Talk { to: Some(now), ..talk.clone() }).collect();
                Call { talks, ended_at: Some(now), ..(*call).clone() }
            })
            .collect();
        let (live, cut) = (settle(CALLERS[contract].0, &live, now), settle(CALLERS[contract].0, &cut, now));
        for (live, cut) in live.calls.iter().zip(&cut.calls) {
            prop_assert_eq!(charged(&live.record), charged(&cut.record));
        }
        prop_assert_eq!(live.balances, cut.balances);
    }
}

//! How fast the ledger takes a bulk replay: so many calls journaled and their records posted, in batches, on one core.
//!
//! `cargo bench --bench ledger -- [CALLS] [CONTRACTS] [BATCH]`; figures are of whole phases: wall time, the processor time of
//! this process (which other work on the machine disturbs less), and peak memory.

use rust_decimal::Decimal;
use std::time::Instant;
use taktd::calls::{BilledFrom, Call, Correlation, End, Talk, Withheld};
use taktd::export::{Format, Selection, Settings, check, export};
use taktd::ledger::result::Digits;
use taktd::ledger::{Document, Ledger, Match, NumberKey, Result, Scope, StoredCall};
use taktd::meter::{AllowanceUse, Charge, Line, Outcome, Party, Record, RecordKey, Rule};
use taktd::units::{CallId, Currency, Direction, E164, RawNumber, Seconds, Timestamp};

const START: i64 = 1_772_442_000_000_000;

fn main() -> Result<()> {
    let mut sizes = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (calls, contracts) = (sizes.next().unwrap_or(200_000), sizes.next().unwrap_or(20_000));
    let batch = sizes.next().unwrap_or(8_000).max(1);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    let mut ledger = Ledger::open(&path, &NumberKey::new([7; 32]))?;
    let mut first = ledger.batch()?;
    first.use_catalogue(&[Document { kind: "tariff", name: "support-level.toml", text: "example", numbers: &[] }])?;
    first.commit()?;
    println!("{calls} calls of {contracts} contracts, {batch} in a batch");

    let journaled = phase("journal", calls, || journal(&mut ledger, calls, contracts, batch))?;
    let read = phase("read the calls of each contract", calls, || {
        for dirty in ledger.unsettled()? {
            ledger.calls_of(&dirty.contract, dirty.since)?;
        }
        Ok(())
    })?;
    let settled = phase("read again, settle and post", calls, || settle(&mut ledger, batch))?;
    println!("journal {journaled:.2} s + post {:.2} s = {:.2} s", settled - read, journaled + settled - read);
    phase("journal again", calls, || journal(&mut ledger, calls, contracts, batch))?;
    let mut sum = 0;
    phase("read all records in order", calls, || {
        ledger.records::<taktd::ledger::LedgerError>(Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX), |record| {
            sum += record.talk.get();
            Ok(())
        })
    })?;
    let settings = Settings {
        directory: folder.path().into(),
        formats: vec![Format::Csv, Format::Jsonl],
        digits: Digits::Masked(3),
        zone: chrono_tz::Europe::Berlin,
    };
    let last = ledger.heads().entry.0;
    phase("export all entries, CSV and JSON Lines", calls, || {
        let report = export(&mut ledger, Selection::Range { first: 1, last }, &settings).expect("exported");
        assert_eq!(report.lines, u64::try_from(last).unwrap_or(0));
        Ok(())
    })?;
    phase("hold the export against its manifest", calls, || {
        let manifest = folder.path().join(format!("taktd-1-{last}.manifest.json"));
        assert_eq!(check(&manifest).expect("a manifest").findings, [""; 0]);
        Ok(())
    })?;
    phase("verify", calls, || {
        assert_eq!(ledger.verify(None, |_, _| {})?, []);
        Ok(())
    })?;
    phase("one call, journaled and posted, a commit each (2000)", 2_000, || {
        for number in calls..calls + 2_000 {
            let mut batch = ledger.batch()?;
            let call = call(number, contracts);
            batch.journal_call(&call, &matched(number, contracts))?;
            batch.post(&[record(&call, number % contracts)])?;
            batch.mark_settled(&contract(number % contracts), None)?;
            batch.commit()?;
        }
        Ok(())
    })?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("talk {sum} s; the file has {} bytes a call", bytes / calls);
    Ok(())
}

fn journal(ledger: &mut Ledger, calls: u64, contracts: u64, size: u64) -> Result<()> {
    let mut next = 0;
    while next < calls {
        let end = next.saturating_add(size).min(calls);
        let mut batch = ledger.batch()?;
        for number in next..end {
            batch.journal_call(&call(number, contracts), &matched(number, contracts))?;
        }
        batch.commit()?;
        next = end;
    }
    Ok(())
}

/// Settles every contract that is not: reads its calls, makes their records, posts them.
fn settle(ledger: &mut Ledger, size: u64) -> Result<()> {
    let dirty = ledger.unsettled()?;
    let mut queue = dirty.iter().peekable();
    while queue.peek().is_some() {
        let mut batch = ledger.batch()?;
        let mut posted = 0;
        while posted < size {
            let Some(next) = queue.next() else { break };
            let calls = batch.ledger().calls_of(&next.contract, next.since)?;
            let number = next.contract[2..].parse().unwrap_or(0);
            let records: Vec<Record> = calls.iter().map(|StoredCall { call, .. }| record(call, number)).collect();
            let scope = Scope { contract: &next.contract, from: next.since, to: Timestamp::from_micros(i64::MAX) };
            batch.post_set(&scope, &records)?;
            batch.mark_settled(&next.contract, None)?;
            posted += u64::try_from(records.len()).unwrap_or(u64::MAX);
        }
        batch.commit()?;
    }
    Ok(())
}

fn phase(name: &str, calls: u64, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (begun, busy) = (Instant::now(), cpu_seconds());
    work()?;
    let (seconds, busy) = (begun.elapsed().as_secs_f64(), cpu_seconds() - busy);
    println!("{name:32} {seconds:8.3} s  cpu {busy:5.2} s {:10.0} calls/s   peak {} MiB", calls as f64 / seconds, peak_mib());
    Ok(seconds)
}

/// User and system time so far; Linux counts it in hundredths of a second.
fn cpu_seconds() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = status.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

fn contract(number: u64) -> String {
    format!("K-{number:05}")
}

fn matched(number: u64, contracts: u64) -> Match {
    Match::Contract { id: contract(number % contracts).into(), authorised: true, reason: None }
}

/// A call a hundredth of a second, with a Call-ID that sorts anywhere.
fn call(number: u64, contracts: u64) -> Call {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let start = Timestamp::from_micros(START + i64::try_from(number).unwrap_or(0) * 10_000);
    let connected = start.plus_micros(12_345_678);
    let ended = connected.plus_micros(i64::try_from(random >> 36).unwrap_or(0));
    let caller = E164::from_integer(4_989_100_000_000 + number % contracts);
    Call {
        id: CallId::new(&format!("{random:016x}-4b2d-9f31@192.0.2.10;as{:08x}", random >> 32)).expect("a name"),
        direction: Direction::In,
        hotline: Some("Support".into()),
        service: "support".into(),
        caller_raw: RawNumber::from_bytes(caller.expect("a number").to_string().as_bytes()),
        caller,
        withheld: Withheld::No,
        called_raw: RawNumber::from_bytes(b"+4989555010"),
        called: E164::from_integer(4_989_555_010),
        contract: None,
        started_at: start,
        answered_at: Some(start.plus_micros(1_000_000)),
        talks: vec![Talk { agent: "201".into(), level: Some(1), from: connected, to: Some(ended) }],
        ended_at: Some(ended),
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        missed: None,
        severity: Some("C".into()),
        ticket: None,
        correlation: Correlation::Numbers,
        marks: Vec::new(),
    }
}

/// What settlement could make of it: two lines.
fn record(call: &Call, number: u64) -> Record {
    let talk = call.talk_seconds(call.ended_at.expect("it ended"));
    let minutes = talk.get().div_ceil(60);
    let net = Decimal::new(50, 2) * Decimal::from(minutes);
    let vat = taktd::units::round_half_away(net * Decimal::new(19, 2), 2);
    let line = |rule, allowance: Option<&str>, price| Line {
        rule,
        band: Some("support".into()),
        allowance: allowance.map(Into::into),
        count: minutes,
        increment: Some(Seconds::new(60)),
        unit_price: price,
        amount: price * Decimal::from(minutes),
    };
    Record {
        key: RecordKey::Call(call.id.clone()),
        contract: Some(contract(number).into()),
        plan: Some("support-level-1".into()),
        hotline: call.hotline.clone(),
        service: call.service.clone(),
        direction: Some(call.direction),
        caller: call.caller.map_or_else(|| Party::Raw(call.caller_raw.clone()), Party::Number),
        called: call.called.map_or_else(|| Party::Raw(call.called_raw.clone()), Party::Number),
        agent: call.talks.first().map(|talk| talk.agent.clone()),
        severity: call.severity.clone(),
        incident: None,
        started_at: call.started_at,
        connected_at: call.connected_at(),
        ended_at: call.ended_at,
        end: Some(call.end),
        billed_from: Some(call.billed_from),
        wait: Seconds::new(12),
        talk,
        billed: Seconds::new(minutes * 60),
        outcome: Outcome::Charged,
        reason: None,
        late: false,
        charge: Charge { net, vat_percent: Decimal::from(19), vat, gross: net + vat, currency: Currency::EUR },
        allowances: vec![AllowanceUse { id: "minutes".into(), used: 60 }],
        lines: vec![line(Rule::Allowance, Some("minutes"), Decimal::new(0, 2)), line(Rule::Step, None, Decimal::new(50, 2))],
        fee: None,
        correlation: Some(call.correlation),
        marks: Vec::new(),
        zone: chrono_tz::Europe::Berlin,
    }
}

//! The stored form of a record: the body of an entry. A quarter of its JSON in size, and read back digit for digit; the JSON
//! of design.md §9 is made of it on the way out ([`super::result`]).
//!
//! The one invariant: equal records give equal bytes, so that settling again posts nothing where nothing changed.

use super::error::Result;
use super::fields::{
    Hiding, Revealing, Unread, read_day, read_decimal, read_text, read_word, write_day, write_decimal, write_text, write_word,
};
use crate::meter::{AllowanceUse, Charge, FeePeriod, Line, Party, Record, RecordKey};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, Currency, Seconds};
use rust_decimal::Decimal;

const VERSION: u64 = 1;

/// The bytes of a record; numbers become tokens, and go into the side table.
pub(super) fn write(record: &Record, hiding: &mut Hiding<'_>) -> Result<Vec<u8>> {
    let mut out = Writer::with_capacity(384);
    out.number(VERSION);
    match &record.key {
        RecordKey::Call(id) => {
            out.flag(false);
            out.text(id.as_str());
        }
        RecordKey::Fee { contract, plan, from } => {
            out.flag(true);
            out.text(contract);
            out.text(plan);
            write_day(&mut out, *from);
        }
    }
    for text in [&record.contract, &record.plan, &record.hotline] {
        write_text(&mut out, text);
    }
    out.text(&record.service);
    out.option(record.direction, write_word);
    write_party(&mut out, &record.caller, hiding)?;
    write_party(&mut out, &record.called, hiding)?;
    out.flag(record.agent.is_some());
    if let Some(agent) = &record.agent {
        hiding.text(&mut out, agent)?;
    }
    write_text(&mut out, &record.severity);
    write_text(&mut out, &record.incident);
    out.time(record.started_at);
    out.option(record.connected_at, Writer::time);
    out.option(record.ended_at, Writer::time);
    out.option(record.end, write_word);
    out.option(record.billed_from, write_word);
    for span in [record.wait, record.talk, record.billed] {
        out.number(span.get());
    }
    write_word(&mut out, record.outcome);
    hiding.maybe_prose(&mut out, record.reason.as_deref())?;
    out.flag(record.late);
    write_charge(&mut out, &record.charge);
    out.list(record.allowances.iter(), |out, usage| {
        out.text(&usage.id);
        out.number(usage.used);
    });
    out.list(record.lines.iter(), write_line);
    out.option(record.fee, |out, fee| {
        write_day(out, fee.from);
        write_day(out, fee.to);
        out.number(u64::from(fee.quantity));
    });
    out.option(record.correlation, write_word);
    out.list(record.marks.iter().copied(), write_word);
    out.text(record.zone.name());
    Ok(out.finish())
}

/// The record, with the numbers that are not forgotten.
pub(super) fn read(body: &[u8], revealing: &mut Revealing<'_>) -> std::result::Result<Record, Unread> {
    let mut from = Reader::new(body);
    let record = read_record(&mut from, revealing)?;
    if from.is_empty() { Ok(record) } else { Err(Unread::Damaged) }
}

fn read_record(from: &mut Reader<'_>, revealing: &mut Revealing<'_>) -> std::result::Result<Record, Unread> {
    /// Takes a value out of an option, or leaves with "damaged".
    macro_rules! need {
        ($value:expr) => {
            $value.ok_or(Unread::Damaged)?
        };
    }
    if need!(from.number()) != VERSION {
        return Err(Unread::Damaged);
    }
    Ok(Record {
        key: need!(read_key(from)),
        contract: need!(read_text(from)),
        plan: need!(read_text(from)),
        hotline: need!(read_text(from)),
        service: need!(from.text()).into(),
        direction: need!(from.option(read_word)),
        caller: revealing.party(from)?,
        called: revealing.party(from)?,
        agent: if need!(from.flag()) { Some(revealing.text(from)?) } else { None },
        severity: need!(read_text(from)),
        incident: need!(read_text(from)),
        started_at: need!(from.time()),
        connected_at: need!(from.option(Reader::time)),
        ended_at: need!(from.option(Reader::time)),
        end: need!(from.option(read_word)),
        billed_from: need!(from.option(read_word)),
        wait: Seconds::new(need!(from.number())),
        talk: Seconds::new(need!(from.number())),
        billed: Seconds::new(need!(from.number())),
        outcome: need!(read_word(from)),
        reason: need!(read_text(from)).map(|reason| revealing.in_prose(reason)).transpose()?,
        late: need!(from.flag()),
        charge: need!(read_charge(from)),
        allowances: need!(from.list(|from| Some(AllowanceUse { id: from.text()?.into(), used: from.number()? }))),
        lines: need!(from.list(read_line)),
        fee: need!(from.option(|from| Some(FeePeriod { from: read_day(from)?, to: read_day(from)?, quantity: from.small()? }))),
        correlation: need!(from.option(read_word)),
        marks: need!(from.list(read_word)),
        zone: need!(need!(from.text()).parse().ok()),
    })
}

fn read_key(from: &mut Reader<'_>) -> Option<RecordKey> {
    Some(if from.flag()? {
        RecordKey::Fee { contract: from.text()?.into(), plan: from.text()?.into(), from: read_day(from)? }
    } else {
        RecordKey::Call(CallId::new(from.text()?)?)
    })
}

fn write_party(out: &mut Writer, party: &Party, hiding: &mut Hiding<'_>) -> Result<()> {
    match party {
        Party::Number(number) => hiding.number(out, *number),
        Party::Raw(raw) => hiding.text(out, raw.as_str()),
    }
}

fn write_charge(out: &mut Writer, charge: &Charge) {
    for amount in [charge.net, charge.vat, charge.gross] {
        write_decimal(out, cents(amount, charge.currency));
    }
    write_decimal(out, charge.vat_percent.normalize());
    out.text(charge.currency.code());
}

/// The same amount with exactly the currency's decimals, so that 1.5 and 1.50 are the same bytes.
fn cents(amount: Decimal, currency: Currency) -> Decimal {
    let mut cents = amount;
    cents.rescale(u32::from(currency.decimals()));
    if cents == amount { cents } else { amount.normalize() }
}

fn read_charge(from: &mut Reader<'_>) -> Option<Charge> {
    let [net, vat, gross] = [read_decimal(from)?, read_decimal(from)?, read_decimal(from)?];
    Some(Charge { net, vat, gross, vat_percent: read_decimal(from)?, currency: Currency::parse(from.text()?)? })
}

fn write_line(out: &mut Writer, line: &Line) {
    write_word(out, line.rule);
    write_text(out, &line.band);
    write_text(out, &line.allowance);
    out.number(line.count);
    out.option(line.increment, |out, span| out.number(span.get()));
    write_decimal(out, line.unit_price);
    write_decimal(out, line.amount);
}

fn read_line(from: &mut Reader<'_>) -> Option<Line> {
    Some(Line {
        rule: read_word(from)?,
        band: read_text(from)?,
        allowance: read_text(from)?,
        count: from.number()?,
        increment: from.option(|from| from.number().map(Seconds::new))?,
        unit_price: read_decimal(from)?,
        amount: read_decimal(from)?,
    })
}

//! The stored form of a call and of the match that was found for it: the body of evidence of kind `call`.
//!
//! The one invariant: the same call gives the same bytes, so that evidence that says nothing new is known by comparing.
//! The first number is the version of the form; a reader goes on reading every version there ever was.

use super::error::Result;
use super::fields::{Hiding, Revealing, Unread, read_text, read_word, write_text, write_word};
use crate::calls::{Call, Talk};
use crate::contracts::Match;
use crate::meter::Party;
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, E164, RawNumber};

const VERSION: u64 = 1;

/// How the digits as received relate to the number they were normalized to: most often there is nothing more to keep.
const OWN: u64 = 0;
const PLUS_NUMBER: u64 = 1;
const BARE_NUMBER: u64 = 2;

const CONTRACT: u64 = 0;
const AMBIGUOUS: u64 = 1;
const UNMATCHED: u64 = 2;

/// The bytes of a call and its match; numbers become tokens, and go into the side table.
pub(super) fn write(call: &Call, matched: &Match, hiding: &mut Hiding<'_>) -> Result<Vec<u8>> {
    let mut out = Writer::with_capacity(256);
    out.number(VERSION);
    out.text(call.id.as_str());
    write_word(&mut out, call.direction);
    write_text(&mut out, &call.hotline);
    out.text(&call.service);
    write_number(&mut out, call.caller, &call.caller_raw, hiding)?;
    write_word(&mut out, call.withheld);
    write_number(&mut out, call.called, &call.called_raw, hiding)?;
    write_text(&mut out, &call.contract);
    out.time(call.started_at);
    out.option(call.answered_at, Writer::time);
    out.number(u64::try_from(call.talks.len()).unwrap_or(u64::MAX));
    for talk in &call.talks {
        hiding.text(&mut out, &talk.agent)?;
        out.option(talk.level, |out, level| out.number(u64::from(level)));
        out.time(talk.from);
        out.option(talk.to, Writer::time);
    }
    out.option(call.ended_at, Writer::time);
    write_word(&mut out, call.end);
    write_word(&mut out, call.billed_from);
    out.option(call.missed, write_word);
    write_text(&mut out, &call.severity);
    write_text(&mut out, &call.ticket);
    write_word(&mut out, call.correlation);
    out.list(call.marks.iter().copied(), write_word);
    write_match(&mut out, matched, hiding)?;
    Ok(out.finish())
}

/// The call and its match, with the numbers that are not forgotten.
pub(super) fn read(body: &[u8], revealing: &mut Revealing<'_>) -> std::result::Result<(Call, Match), Unread> {
    let mut from = Reader::new(body);
    let read = read_call(&mut from, revealing)?;
    if from.is_empty() { Ok(read) } else { Err(Unread::Damaged) }
}

fn read_call(from: &mut Reader<'_>, revealing: &mut Revealing<'_>) -> std::result::Result<(Call, Match), Unread> {
    /// Takes a value out of an option, or leaves with "damaged".
    macro_rules! need {
        ($value:expr) => {
            $value.ok_or(Unread::Damaged)?
        };
    }
    if need!(from.number()) != VERSION {
        return Err(Unread::Damaged);
    }
    let id = need!(CallId::new(need!(from.text())));
    let direction = need!(read_word(from));
    let hotline = need!(read_text(from));
    let service = need!(from.text()).into();
    let (caller, caller_raw) = read_number(from, revealing)?;
    let withheld = need!(read_word(from));
    let (called, called_raw) = read_number(from, revealing)?;
    let contract = need!(read_text(from));
    let started_at = need!(from.time());
    let answered_at = need!(from.option(Reader::time));
    let mut talks = Vec::new();
    for _ in 0..need!(from.number()) {
        let agent = revealing.text(from)?;
        let level = need!(from.option(Reader::small));
        talks.push(Talk { agent, level, from: need!(from.time()), to: need!(from.option(Reader::time)) });
    }
    let call = Call {
        id,
        direction,
        hotline,
        service,
        caller_raw,
        caller,
        withheld,
        called_raw,
        called,
        contract,
        started_at,
        answered_at,
        talks,
        ended_at: need!(from.option(Reader::time)),
        end: need!(read_word(from)),
        billed_from: need!(read_word(from)),
        missed: need!(from.option(read_word)),
        severity: need!(read_text(from)),
        ticket: need!(read_text(from)),
        correlation: need!(read_word(from)),
        marks: need!(from.list(read_word)),
    };
    let mut matched = need!(read_match(from));
    if let Match::Contract { reason: Some(reason), .. } | Match::Unmatched { reason } = &mut matched {
        *reason = revealing.in_prose(std::mem::take(reason))?;
    }
    Ok((call, matched))
}

fn write_number(out: &mut Writer, number: Option<E164>, raw: &RawNumber, hiding: &mut Hiding<'_>) -> Result<()> {
    out.flag(number.is_some());
    let Some(number) = number else { return hiding.text(out, raw.as_str()) };
    hiding.number(out, number)?;
    let digits = raw.as_str().strip_prefix('+');
    let same = digits.unwrap_or(raw.as_str()).parse() == Ok(number.get()) && !digits.unwrap_or(raw.as_str()).starts_with(['0', '+']);
    match digits {
        Some(_) if same => out.number(PLUS_NUMBER),
        None if same => out.number(BARE_NUMBER),
        _ => {
            out.number(OWN);
            hiding.text(out, raw.as_str())?;
        }
    }
    Ok(())
}

/// The number and the digits as received. Of a forgotten number, the text that stands for it takes the place of the digits:
/// records show those where there is no number, and so settle to the same token as before.
fn read_number(from: &mut Reader<'_>, revealing: &mut Revealing<'_>) -> std::result::Result<(Option<E164>, RawNumber), Unread> {
    if !from.flag().ok_or(Unread::Damaged)? {
        return Ok((None, RawNumber::from_bytes(revealing.text(from)?.as_bytes())));
    }
    let party = revealing.party(from)?;
    let form = from.number().ok_or(Unread::Damaged)?;
    let own = if form == OWN { Some(RawNumber::from_bytes(revealing.text(from)?.as_bytes())) } else { None };
    match (party, form, own) {
        (Party::Raw(token), ..) => Ok((None, token)),
        (Party::Number(number), OWN, Some(raw)) => Ok((Some(number), raw)),
        (Party::Number(number), PLUS_NUMBER, _) => Ok((Some(number), RawNumber::from_bytes(number.to_string().as_bytes()))),
        (Party::Number(number), BARE_NUMBER, _) => Ok((Some(number), RawNumber::from_bytes(number.get().to_string().as_bytes()))),
        (Party::Number(_), ..) => Err(Unread::Damaged),
    }
}

fn write_match(out: &mut Writer, matched: &Match, hiding: &mut Hiding<'_>) -> Result<()> {
    match matched {
        Match::Contract { id, authorised, reason } => {
            out.number(CONTRACT);
            out.text(id);
            out.flag(*authorised);
            hiding.maybe_prose(out, reason.as_deref())?;
        }
        Match::Ambiguous { candidates } => {
            out.number(AMBIGUOUS);
            out.list(candidates.iter(), |out, id| out.text(id));
        }
        Match::Unmatched { reason } => {
            out.number(UNMATCHED);
            hiding.prose(out, reason)?;
        }
    }
    Ok(())
}

fn read_match(from: &mut Reader<'_>) -> Option<Match> {
    Some(match from.number()? {
        CONTRACT => Match::Contract { id: from.text()?.into(), authorised: from.flag()?, reason: read_text(from)? },
        AMBIGUOUS => Match::Ambiguous { candidates: from.list(|from| Some(from.text()?.into()))? },
        UNMATCHED => Match::Unmatched { reason: from.text()?.into() },
        _ => return None,
    })
}

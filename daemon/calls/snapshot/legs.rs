//! Legs, and the numbers and sides that calls have too.

use crate::calls::leg::{Dialog, Leg, Named, Role};
use crate::sip::{BranchId, DialogId, LegId, Side};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, E164, RawNumber};
use std::net::IpAddr;

pub(super) fn write_leg(out: &mut Writer, leg: &Leg) {
    out.number(match leg.role {
        Role::Customer => 0,
        Role::AgentOut => 1,
        Role::Internal => 2,
        Role::ToAgent => 3,
        Role::ToOutside => 4,
        Role::PickUp => 5,
    });
    out.option(leg.call, Writer::number);
    out.bytes(&leg.call_id);
    write_raw(out, &leg.from);
    write_e164(out, leg.from_number);
    out.flag(leg.hidden);
    write_raw(out, &leg.target);
    write_e164(out, leg.target_number);
    out.time(leg.invited_at);
    out.list(leg.keys.iter(), |out, (place, value)| {
        out.number(u64::try_from(*place).unwrap_or(u64::MAX));
        out.text(value);
    });
    out.list(leg.forks.iter(), |out, (branch, target)| {
        out.number(branch.0.into());
        write_raw(out, target);
    });
    out.list(leg.dialogs.iter(), write_dialog);
    out.option(leg.refused, |out, status| out.number(status.into()));
    out.option(leg.canceled_at, Writer::time);
    write_ip(out, leg.path.0);
    write_ip(out, leg.path.1);
    out.option(leg.ended_at, Writer::time);
    out.option(leg.ended_by, write_side);
    out.flag(leg.unanswered);
    out.list(leg.candidates.iter(), |out, call| out.number(*call));
    out.option(leg.passed_to.as_deref(), |out, (target, number)| {
        write_raw(out, target);
        write_e164(out, *number);
    });
    out.option(leg.named.as_deref(), |out, named| {
        out.text(named.id.as_str());
        out.option(named.contract.as_deref(), Writer::text);
    });
    out.option(leg.follows, |out, leg| out.number(leg.0));
}

pub(super) fn read_leg(from: &mut Reader<'_>) -> Option<Leg> {
    Some(Leg {
        role: match from.number()? {
            0 => Role::Customer,
            1 => Role::AgentOut,
            2 => Role::Internal,
            3 => Role::ToAgent,
            4 => Role::ToOutside,
            5 => Role::PickUp,
            _ => return None,
        },
        call: from.option(Reader::number)?,
        call_id: from.bytes()?.into(),
        from: read_raw(from)?,
        from_number: read_e164(from)?,
        hidden: from.flag()?,
        target: read_raw(from)?,
        target_number: read_e164(from)?,
        invited_at: from.time()?,
        keys: from.list(|from| Some((from.small()?, from.text()?.into())))?,
        forks: from.list(|from| Some((BranchId(from.small()?), read_raw(from)?)))?,
        dialogs: from.list(read_dialog)?,
        refused: from.option(Reader::small)?,
        canceled_at: from.option(Reader::time)?,
        path: (read_ip(from)?, read_ip(from)?),
        ended_at: from.option(Reader::time)?,
        ended_by: from.option(read_side)?,
        unanswered: from.flag()?,
        candidates: from.list(Reader::number)?,
        passed_to: from.option(|from| Some(Box::new((read_raw(from)?, read_e164(from)?))))?,
        named: from.option(|from| {
            Some(Box::new(Named { id: CallId::new(from.text()?)?, contract: from.option(Reader::text)?.map(Into::into) }))
        })?,
        follows: from.option(Reader::number)?.map(LegId),
    })
}

fn write_dialog(out: &mut Writer, dialog: &Dialog) {
    out.number(dialog.id.0.into());
    out.option(dialog.answerer.as_ref(), write_raw);
    out.time(dialog.from);
    out.option(dialog.to, Writer::time);
    out.option(dialog.referred_at, Writer::time);
    out.list(dialog.holds.iter(), |out, (by, held, resumed)| {
        write_side(out, *by);
        out.time(*held);
        out.option(*resumed, Writer::time);
    });
    out.list(dialog.away.iter(), |out, (referred, back)| {
        out.time(*referred);
        out.time(*back);
    });
}

fn read_dialog(from: &mut Reader<'_>) -> Option<Dialog> {
    Some(Dialog {
        id: DialogId(from.small()?),
        answerer: from.option(read_raw)?,
        from: from.time()?,
        to: from.option(Reader::time)?,
        referred_at: from.option(Reader::time)?,
        holds: from.list(|from| Some((read_side(from)?, from.time()?, from.option(Reader::time)?)))?,
        away: from.list(|from| Some((from.time()?, from.time()?)))?,
    })
}

pub(super) fn write_raw(out: &mut Writer, number: &RawNumber) {
    out.text(number.as_str());
}

pub(super) fn read_raw(from: &mut Reader<'_>) -> Option<RawNumber> {
    from.text().map(|text| RawNumber::from_bytes(text.as_bytes()))
}

pub(super) fn write_e164(out: &mut Writer, number: Option<E164>) {
    out.number(number.map_or(0, E164::get));
}

pub(super) fn read_e164(from: &mut Reader<'_>) -> Option<Option<E164>> {
    from.number().map(E164::from_integer)
}

pub(super) fn write_side(out: &mut Writer, side: Side) {
    out.flag(side == Side::Callee);
}

pub(super) fn read_side(from: &mut Reader<'_>) -> Option<Side> {
    from.flag().map(|callee| if callee { Side::Callee } else { Side::Caller })
}

pub(super) fn write_ip(out: &mut Writer, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.bytes(&address.octets()),
        IpAddr::V6(address) => out.bytes(&address.octets()),
    }
}

pub(super) fn read_ip(from: &mut Reader<'_>) -> Option<IpAddr> {
    let bytes = from.bytes()?;
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

//! The correlator's state as bytes: a daemon that stopped, or a replay that ended, goes on as if it never had.

use super::call::{Correlation, End, Mark};
use super::correlator::Calls;
use super::directory::{Caller, Directory, Withheld};
use super::due::{Due, is_wanted};
use super::index::Index;
use super::leg::{Dialog, Leg, Role};
use super::news::{News, Unmetered};
use super::open::{Kind, Open};
use super::table::Table;
use crate::sip::{BranchId, DialogId, LegId, Side};
use crate::units::codec::{Reader, Writer};
use crate::units::{Alarms, CallId, E164, RawNumber, Word};
use std::net::IpAddr;

/// Raised with every change of the form; another form is not read.
const FORM: u64 = 4;

impl Calls {
    /// Appends the state.
    pub fn write(&self, out: &mut Writer) {
        out.number(FORM);
        out.number(self.next);
        for count in [self.unmetered.internal, self.unmetered.unrelated, self.unmetered.orphans] {
            out.number(count);
        }
        out.list(self.legs.iter(), |out, (id, leg)| {
            out.number(id.0);
            write_leg(out, leg);
        });
        out.list(self.open.iter(), |out, (number, open)| {
            out.number(number);
            write_open(out, open, &self.directory);
        });
        let wanted = self.due.wanted(|at, due| is_wanted(&self.legs, &self.open, at, due));
        out.list(wanted.into_iter(), |out, (at, due)| {
            out.time(at);
            let (kind, of) = match due {
                Due::Decide(leg) => (0, leg.0),
                Due::Canceled(leg) => (1, leg.0),
                Due::Conclude(call) => (2, call),
                Due::MaxCall(call) => (3, call),
                Due::Released(leg) => (4, leg.0),
            };
            out.number(kind);
            out.number(of);
        });
        self.index.write(out);
    }

    /// Reads a state back, to go on with a directory (which may have changed since); `None` if the bytes are no such state.
    #[must_use]
    pub fn read(from: &mut Reader<'_>, directory: Directory) -> Option<Self> {
        if from.number()? != FORM {
            return None;
        }
        let next = from.number()?;
        let unmetered = Unmetered { internal: from.number()?, unrelated: from.number()?, orphans: from.number()? };
        let legs: Table<LegId, Leg> = from.list(|from| Some((LegId(from.number()?), read_leg(from)?)))?.into_iter().collect();
        let mut open: Table<u64, Open> = from.list(|from| Some((from.number()?, read_open(from, &directory)?)))?.into_iter().collect();
        for number in open.keys() {
            if let Some(open) = open.get_mut(&number) {
                open.waits = open.is_waiting(&legs);
            }
        }
        let due: Alarms<Due> = from
            .list(|from| {
                let at = from.time()?;
                let due = match (from.number()?, from.number()?) {
                    (0, leg) => Due::Decide(LegId(leg)),
                    (1, leg) => Due::Canceled(LegId(leg)),
                    (2, call) => Due::Conclude(call),
                    (3, call) => Due::MaxCall(call),
                    (4, leg) => Due::Released(LegId(leg)),
                    _ => return None,
                };
                Some((at, due))
            })?
            .into_iter()
            .collect();
        let index = Index::read(from, &open, &legs)?;
        Some(Self { directory, legs, open, index, due, next, unmetered, dropped: Vec::new(), news: News::Stages })
    }
}

fn write_raw(out: &mut Writer, number: &RawNumber) {
    out.text(number.as_str());
}

fn read_raw(from: &mut Reader<'_>) -> Option<RawNumber> {
    from.text().map(|text| RawNumber::from_bytes(text.as_bytes()))
}

fn write_e164(out: &mut Writer, number: Option<E164>) {
    out.number(number.map_or(0, E164::get));
}

fn read_e164(from: &mut Reader<'_>) -> Option<Option<E164>> {
    from.number().map(E164::from_integer)
}

fn write_ip(out: &mut Writer, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.bytes(&address.octets()),
        IpAddr::V6(address) => out.bytes(&address.octets()),
    }
}

fn read_ip(from: &mut Reader<'_>) -> Option<IpAddr> {
    let bytes = from.bytes()?;
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn write_leg(out: &mut Writer, leg: &Leg) {
    out.number(match leg.role {
        Role::Customer => 0,
        Role::AgentOut => 1,
        Role::Internal => 2,
        Role::ToAgent => 3,
        Role::ToOutside => 4,
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
    out.option(leg.ended_by, |out, side| out.flag(side == Side::Callee));
    out.flag(leg.unanswered);
    out.list(leg.candidates.iter(), |out, call| out.number(*call));
    out.option(leg.passed_to.as_deref(), |out, (target, number)| {
        write_raw(out, target);
        write_e164(out, *number);
    });
    out.option(leg.follows, |out, leg| out.number(leg.0));
}

fn read_leg(from: &mut Reader<'_>) -> Option<Leg> {
    Some(Leg {
        role: match from.number()? {
            0 => Role::Customer,
            1 => Role::AgentOut,
            2 => Role::Internal,
            3 => Role::ToAgent,
            4 => Role::ToOutside,
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
        ended_by: from.option(|from| from.flag().map(|callee| if callee { Side::Callee } else { Side::Caller }))?,
        unanswered: from.flag()?,
        candidates: from.list(Reader::number)?,
        passed_to: from.option(|from| Some(Box::new((read_raw(from)?, read_e164(from)?))))?,
        follows: from.option(Reader::number)?.map(LegId),
    })
}

fn write_dialog(out: &mut Writer, dialog: &Dialog) {
    out.number(dialog.id.0.into());
    out.option(dialog.answerer.as_ref(), write_raw);
    out.time(dialog.from);
    out.option(dialog.to, Writer::time);
    out.option(dialog.referred_at, Writer::time);
    out.list(dialog.holds.iter(), |out, (held, resumed)| {
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
        holds: from.list(|from| Some((from.time()?, from.option(Reader::time)?)))?,
        away: from.list(|from| Some((from.time()?, from.time()?)))?,
    })
}

fn write_open(out: &mut Writer, open: &Open, directory: &Directory) {
    out.number(match open.kind {
        Kind::Inbound => 0,
        Kind::Callback => 1,
        Kind::Internal => 2,
    });
    out.text(open.id.as_str());
    out.number(open.first.0);
    out.option(open.customer, |out, leg| out.number(leg.0));
    out.list(open.agents.iter(), |out, (leg, since)| {
        out.number(leg.0);
        out.option(*since, Writer::time);
    });
    write_raw(out, &open.caller.raw);
    write_e164(out, open.caller.number);
    out.number(match open.caller.withheld {
        Withheld::No => 0,
        Withheld::Yes => 1,
        Withheld::Unknown => 2,
    });
    write_raw(out, &open.called.0);
    write_e164(out, open.called.1);
    out.option(open.hotline.and_then(|place| directory.hotlines.get(place)), |out, hotline| out.text(&hotline.name));
    out.option(open.contract.as_deref(), Writer::text);
    out.time(open.started_at);
    out.number(open.end.code());
    out.number(open.correlation.code());
    out.list(open.marks.iter(), |out, mark| out.number(mark.code()));
    out.option(open.sent_to.as_ref(), |out, (target, number, at)| {
        write_raw(out, target);
        write_e164(out, *number);
        out.time(*at);
    });
    out.option(open.connected.as_ref(), |out, (number, at)| {
        write_raw(out, number);
        out.time(*at);
    });
    out.flag(open.reported);
    out.option(open.conclude_at, Writer::time);
}

fn read_open(from: &mut Reader<'_>, directory: &Directory) -> Option<Open> {
    Some(Open {
        kind: match from.number()? {
            0 => Kind::Inbound,
            1 => Kind::Callback,
            2 => Kind::Internal,
            _ => return None,
        },
        id: CallId::new(from.text()?)?,
        first: LegId(from.number()?),
        customer: from.option(Reader::number)?.map(LegId),
        agents: from.list(|from| Some((LegId(from.number()?), from.option(Reader::time)?)))?,
        caller: Caller {
            raw: read_raw(from)?,
            number: read_e164(from)?,
            withheld: match from.number()? {
                0 => Withheld::No,
                1 => Withheld::Yes,
                2 => Withheld::Unknown,
                _ => return None,
            },
        },
        called: (read_raw(from)?, read_e164(from)?),
        hotline: from.option(Reader::text)?.and_then(|name| directory.hotlines.iter().position(|hotline| *hotline.name == *name)),
        contract: from.option(Reader::text)?.map(Into::into),
        started_at: from.time()?,
        end: End::from_code(from.number()?)?,
        correlation: Correlation::from_code(from.number()?)?,
        marks: from.list(|from| Mark::from_code(from.number()?))?,
        sent_to: from.option(|from| Some((read_raw(from)?, read_e164(from)?, from.time()?)))?,
        connected: from.option(|from| Some((read_raw(from)?, from.time()?)))?,
        reported: from.flag()?,
        waits: false,
        conclude_at: from.option(Reader::time)?,
    })
}

//! The correlator's state as bytes: a daemon that stopped, or a replay that ended, goes on as if it never had.

mod legs;

use super::call::{Correlation, End, Mark};
use super::correlator::Calls;
use super::directory::{Caller, Directory, Withheld};
use super::due::{Due, is_wanted};
use super::index::Index;
use super::kin::Kin;
use super::leg::Leg;
use super::news::{News, Unmetered};
use super::open::{Kind, Open};
use super::table::Table;
use crate::sip::LegId;
use crate::units::codec::{Reader, Writer};
use crate::units::{Alarms, CallId, Word};
use legs::{read_e164, read_leg, read_raw, write_e164, write_leg, write_raw};

/// Raised with every change of the form; another form is not read.
const FORM: u64 = 5;

/// What falls due within so long is kept together.
const MICROS_OF_A_PART: u64 = 20_000_000;

impl Calls {
    /// Appends the state.
    pub fn write(&self, out: &mut Writer) {
        out.part(3, 0);
        out.number(FORM);
        out.number(self.next);
        for count in [self.unmetered.internal, self.unmetered.unrelated, self.unmetered.orphans] {
            out.number(count);
        }
        out.list(self.legs.iter(), |out, (id, leg)| {
            out.part_of(4, id.0);
            out.number(id.0);
            write_leg(out, leg);
        });
        out.part(5, 0);
        out.list(self.open.iter(), |out, (number, open)| {
            out.part_of(6, number);
            out.number(number);
            write_open(out, open, &self.directory);
        });
        out.part(7, 0);
        let wanted = self.due.wanted(|at, due| is_wanted(&self.legs, &self.open, at, due));
        out.list(wanted.into_iter(), |out, (at, due)| {
            out.part(8, at.micros().unsigned_abs() / MICROS_OF_A_PART);
            out.time(at);
            let (kind, of) = match due {
                Due::Decide(leg) => (0, leg.0),
                Due::Canceled(leg) => (1, leg.0),
                Due::Conclude(call) => (2, call),
                Due::MaxCall(call) => (3, call),
                Due::Released(leg) => (4, leg.0),
                Due::Report(call) => (5, call),
            };
            out.number(kind);
            out.number(of);
        });
        out.part(9, 0);
        self.index.write(out);
        self.kin.write(out);
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
                    (5, call) => Due::Report(call),
                    _ => return None,
                };
                Some((at, due))
            })?
            .into_iter()
            .collect();
        let index = Index::read(from, &open, &legs)?;
        let kin = Kin::read(from)?;
        Some(Self { directory, legs, open, index, kin, due, next, unmetered, dropped: Vec::new(), news: News::Stages })
    }
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
    out.list(open.again.iter(), |out, leg| out.number(leg.0));
    out.flag(open.passed_on);
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
        again: from.list(|from| from.number().map(LegId))?,
        passed_on: from.flag()?,
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

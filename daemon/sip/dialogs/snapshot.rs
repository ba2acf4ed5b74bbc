//! The table as bytes, so that a restart goes on where it stopped (design.md §7).
//!
//! The one invariant: what was read back behaves as what was written would have. The order of legs in the bytes is that of
//! their numbers, so equal tables give equal bytes.

use super::dialog::{Ask, Bye, Dialog, Offer, Phase, Timer, Transaction};
use super::leg::{Branch, Leg, Progress};
use super::strays::Strays;
use super::{Dialogs, Options};
use crate::sip::event::{BranchId, DialogId, LegId, Replaces, Side};
use crate::sip::scan::scan;
use crate::sip::sdp::Flow;
use crate::units::codec::{Reader, Writer};
use crate::units::{RawNumber, Seconds};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The form of these bytes; another one is not read.
const VERSION: u64 = 2;

impl Dialogs {
    /// Appends the table to a snapshot.
    pub fn write(&self, out: &mut Writer) {
        out.number(VERSION);
        out.number(self.next);
        let mut legs: Vec<&Leg> = self.legs.iter().map(|leg| &**leg).collect();
        legs.sort_unstable_by_key(|leg| leg.id);
        out.list(legs.into_iter(), |out, leg| {
            out.part_of(1, leg.id.0);
            leg.write(out);
        });
        out.part(2, 0);
        self.strays.write(out);
    }

    /// A table as it was written; `None` where the bytes are not that. With a smaller `max_legs` than before, none is
    /// dropped until a new leg needs the room.
    #[must_use]
    pub fn read(from: &mut Reader<'_>, options: Options) -> Option<Self> {
        if from.number()? != VERSION {
            return None;
        }
        let mut table = Self::new(options);
        table.next = from.number()?;
        for leg in from.list(Leg::read)? {
            if leg.id.0 >= table.next || table.hashes.contains_key(&leg.id) {
                return None;
            }
            table.insert(leg);
        }
        table.strays = Strays::read(from, |payload| Some(table.options.key.hash_one(scan(payload).ok()?.call_id)))?;
        Some(table)
    }
}

impl Leg {
    fn write(&self, out: &mut Writer) {
        let Self { id, call_id, from_tag, source, cseq, branches, dialogs, last, named, wake: _, listed: _ } = self;
        out.number(id.0);
        out.bytes(call_id);
        out.bytes(from_tag);
        write_address(out, *source);
        out.number(u64::from(*cseq));
        out.few(branches, |out, branch| {
            out.bytes(&branch.key);
            write_progress(out, branch.state);
        });
        out.few(dialogs, |out, dialog| dialog.write(out));
        out.time(*last);
        write_number(out, named.as_ref());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let leg = Self {
            id: LegId(from.number()?),
            call_id: from.bytes()?.into(),
            from_tag: from.bytes()?.into(),
            source: read_address(from)?,
            cseq: from.small()?,
            branches: from.list(|from| Some(Branch { key: from.bytes()?.into(), state: read_progress(from)? }))?.into_iter().collect(),
            dialogs: from.list(Dialog::read)?.into_iter().collect(),
            last: from.time()?,
            named: read_number(from)?,
            wake: None,
            listed: false,
        };
        (!leg.branches.is_empty()).then_some(leg)
    }
}

impl Dialog {
    fn write(&self, out: &mut Writer) {
        let Self { far_tag, branch, phase, rung, acknowledged, answered_at, named, seen, held, timer, forgotten_at, transactions, bye } =
            self;
        out.bytes(far_tag);
        out.option(*branch, |out, branch| out.number(u64::from(branch.0)));
        out.number(match phase {
            Phase::Early => 0,
            Phase::Confirmed => 1,
            Phase::Refused => 2,
            Phase::Ended => 3,
        });
        out.flag(*rung);
        out.flag(*acknowledged);
        out.time(*answered_at);
        write_number(out, named.as_ref());
        for at in seen {
            out.time(*at);
        }
        for held in held {
            out.flag(*held);
        }
        out.option(*timer, |out, timer| {
            out.number(timer.interval.get());
            out.time(timer.since);
        });
        out.option(*forgotten_at, Writer::time);
        out.list(transactions.iter(), |out, transaction| transaction.write(out));
        out.option(bye.as_ref(), |out, bye| bye.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            far_tag: from.bytes()?.into(),
            branch: from.option(|from| from.small().map(BranchId))?,
            phase: match from.number()? {
                0 => Phase::Early,
                1 => Phase::Confirmed,
                2 => Phase::Refused,
                3 => Phase::Ended,
                _ => return None,
            },
            rung: from.flag()?,
            acknowledged: from.flag()?,
            answered_at: from.time()?,
            named: read_number(from)?,
            seen: [from.time()?, from.time()?],
            held: [from.flag()?, from.flag()?],
            timer: from.option(|from| Some(Timer { interval: Seconds::new(from.number()?), since: from.time()? }))?,
            forgotten_at: from.option(Reader::time)?,
            transactions: from.list(Transaction::read)?,
            bye: from.option(Bye::read)?.map(Box::new),
        })
    }
}

impl Transaction {
    fn write(&self, out: &mut Writer) {
        let Self { side, cseq, ask, done } = self;
        write_side(out, *side);
        out.number(u64::from(*cseq));
        out.flag(*done);
        match ask {
            Ask::Invite(offer) => {
                out.number(0);
                write_offer(out, *offer);
            }
            Ask::Update(offer) => {
                out.number(1);
                write_offer(out, *offer);
            }
            Ask::Refer(refer) => {
                out.number(2);
                out.option(refer.as_deref(), |out, (target, replaces)| {
                    out.text(target.as_str());
                    out.option(replaces.as_ref(), |out, replaces| {
                        out.bytes(&replaces.call_id);
                        out.bytes(&replaces.to_tag);
                        out.bytes(&replaces.from_tag);
                    });
                });
            }
            Ask::Info => out.number(3),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (side, cseq, done) = (read_side(from)?, from.small()?, from.flag()?);
        let ask = match from.number()? {
            0 => Ask::Invite(read_offer(from)?),
            1 => Ask::Update(read_offer(from)?),
            2 => Ask::Refer(from.option(|from| {
                let target = RawNumber::from_bytes(from.bytes()?);
                let replaces = from.option(|from| {
                    Some(Replaces { call_id: from.bytes()?.into(), to_tag: from.bytes()?.into(), from_tag: from.bytes()?.into() })
                })?;
                Some(Box::new((target, replaces)))
            })?),
            3 => Ask::Info,
            _ => return None,
        };
        Some(Self { side, cseq, ask, done })
    }
}

impl Bye {
    fn write(&self, out: &mut Writer) {
        let Self { at, by, branch, copy, told, repeated, settled } = self;
        out.time(*at);
        write_side(out, *by);
        out.bytes(branch);
        out.option(copy.as_deref(), Writer::bytes);
        out.option(*told, |out, id| out.number(u64::from(id.0)));
        out.flag(*repeated);
        out.flag(*settled);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            at: from.time()?,
            by: read_side(from)?,
            branch: from.bytes()?.into(),
            copy: from.option(|from| from.bytes().map(Into::into))?,
            told: from.option(|from| from.small().map(DialogId))?,
            repeated: from.flag()?,
            settled: from.flag()?,
        })
    }
}

fn write_number(out: &mut Writer, number: Option<&RawNumber>) {
    out.option(number, |out, number| out.text(number.as_str()));
}

fn read_number(from: &mut Reader<'_>) -> Option<Option<RawNumber>> {
    from.option(|from| from.bytes().map(RawNumber::from_bytes))
}

fn write_side(out: &mut Writer, side: Side) {
    out.flag(side == Side::Callee);
}

fn read_side(from: &mut Reader<'_>) -> Option<Side> {
    from.flag().map(|callee| if callee { Side::Callee } else { Side::Caller })
}

fn write_offer(out: &mut Writer, offer: Offer) {
    out.number(match offer {
        Offer::Absent => 0,
        Offer::Unclear => 1,
        Offer::Says(Flow::Held) => 2,
        Offer::Says(Flow::Open) => 3,
    });
}

fn read_offer(from: &mut Reader<'_>) -> Option<Offer> {
    match from.number()? {
        0 => Some(Offer::Absent),
        1 => Some(Offer::Unclear),
        2 => Some(Offer::Says(Flow::Held)),
        3 => Some(Offer::Says(Flow::Open)),
        _ => None,
    }
}

fn write_progress(out: &mut Writer, progress: Progress) {
    out.number(match progress {
        Progress::Open => 0,
        Progress::Canceled => 1,
        Progress::Challenged { .. } => 2,
        Progress::Redirected => 3,
        Progress::Refused => 4,
        Progress::Answered => 5,
    });
    if let Progress::Challenged { status, at } = progress {
        out.number(u64::from(status));
        out.time(at);
    }
}

fn read_progress(from: &mut Reader<'_>) -> Option<Progress> {
    match from.number()? {
        0 => Some(Progress::Open),
        1 => Some(Progress::Canceled),
        2 => Some(Progress::Challenged { status: from.small()?, at: from.time()? }),
        3 => Some(Progress::Redirected),
        4 => Some(Progress::Refused),
        5 => Some(Progress::Answered),
        _ => None,
    }
}

pub(super) fn write_address(out: &mut Writer, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => out.bytes(&ip.octets()),
        IpAddr::V6(ip) => out.bytes(&ip.octets()),
    }
    out.number(u64::from(address.port()));
}

pub(super) fn read_address(from: &mut Reader<'_>) -> Option<SocketAddr> {
    let octets = from.bytes()?;
    let ip = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
        (Ok(octets), _) => IpAddr::V4(Ipv4Addr::from(octets)),
        (_, Ok(octets)) => IpAddr::V6(Ipv6Addr::from(octets)),
        (Err(_), Err(_)) => return None,
    };
    Some(SocketAddr::new(ip, from.small()?))
}

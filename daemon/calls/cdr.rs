//! What a switch wrote about a call afterwards: rows of its call detail records and lines of its queue log, as values.
//!
//! The invariant: a value here says only what the file said, with its times already in UTC. Nothing is believed yet:
//! `disposition` lies, `billsec` is not talk (Asterisk, CDR specification).

use crate::units::codec::{Reader, Writer};
use crate::units::{Interval, Seconds, Timestamp};

/// One row of call detail records: one path of communication, of which a call may have several.
///
/// The order of rows is the order in which their parts of the call began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CdrRow {
    /// When this part began.
    pub started_at: Timestamp,
    /// The row's number since the switch was started, if the layout has it.
    pub sequence: Option<u64>,
    /// When this part was over.
    pub ended_at: Timestamp,
    /// When the calling channel had been answered, or, if later, when this part began; `None` if it never was.
    pub answered_at: Option<Timestamp>,
    /// From `started_at` to `ended_at` as the switch counted, cut to whole seconds.
    pub duration: Seconds,
    /// From `answered_at` to `ended_at` as the switch counted, cut to whole seconds.
    pub billsec: Seconds,
    /// How fine the three instants are.
    pub precision: Precision,
    /// What became of this part's dialing.
    pub disposition: Disposition,
    /// The calling channel's unique id, `epoch.counter`; empty where the layout has none.
    pub uniqueid: Box<str>,
    /// The unique id of the oldest channel of the conversation; empty where the layout has none.
    pub linkedid: Box<str>,
    /// The calling channel, such as `PJSIP/trunk-0000000a`.
    pub channel: Box<str>,
    /// The called channel; empty if there was none.
    pub dstchannel: Box<str>,
    /// The caller's number.
    pub src: Box<str>,
    /// The number or label in the dialplan; a blind transfer writes its target over it.
    pub dst: Box<str>,
    /// The caller's name and number.
    pub clid: Box<str>,
    /// The account code; free for the dialplan.
    pub accountcode: Box<str>,
    /// The last application of the calling channel in this part.
    pub lastapp: Box<str>,
    /// Its arguments.
    pub lastdata: Box<str>,
    /// Free for the dialplan.
    pub userfield: Box<str>,
    /// The Call-ID of the calling leg, if a configured layout has it; else empty.
    pub sip_call_id: Box<str>,
    /// A contract reference, if a configured layout has one; else empty.
    pub contract: Box<str>,
    /// A severity, if a configured layout has one; else empty.
    pub severity: Box<str>,
    /// A ticket, if a configured layout has one; else empty.
    pub ticket: Box<str>,
}

/// How fine the instants of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// Each is cut to a whole second by itself: their differences are off by up to a second either way, `billsec` only
    /// ever short.
    Seconds,
    /// Microseconds.
    Micros,
}

/// What a row says became of its dialing: the state of that row, not of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// `ANSWERED`.
    Answered,
    /// `NO ANSWER`.
    NoAnswer,
    /// `BUSY`.
    Busy,
    /// `FAILED`.
    Failed,
    /// `CONGESTION`.
    Congestion,
    /// `CANCEL`.
    Canceled,
}

/// One line of the queue application's log that concerns a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueLine {
    /// When, cut to whole seconds.
    pub at: Timestamp,
    /// What.
    pub event: QueueEvent,
    /// The unique id of the caller's channel.
    pub uniqueid: Box<str>,
    /// The queue.
    pub queue: Box<str>,
    /// The member: an interface, a free text, or `NONE`.
    pub agent: Box<str>,
}

/// What happened to a caller in a queue. The order is that in which they follow one another within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueEvent {
    /// `ENTERQUEUE`.
    Entered,
    /// `RINGNOANSWER`, `RINGCANCELED`: a phone rang and was not picked up.
    RingEnded,
    /// `CONNECT`: a member picked up.
    Connected,
    /// `COMPLETEAGENT`, `COMPLETECALLER`: the talk was over.
    Completed {
        /// Its length, the difference of two cut instants.
        talk: Seconds,
    },
    /// `BLINDTRANSFER`, `ATTENDEDTRANSFER`, `TRANSFER`: the member passed the caller on.
    Transferred {
        /// The time with that member, consultation included.
        talk: Seconds,
    },
    /// `ABANDON`: the caller gave up.
    Abandoned,
    /// `EXITWITHTIMEOUT`, `EXITEMPTY`, `EXITWITHKEY`, `WITHDRAW`: the call left the queue without a member.
    Left,
}

impl CdrRow {
    /// The time in which the calling channel was up in a part that says it was answered; `None` for every other row.
    ///
    /// Of whole seconds, `billsec` gives the length: it is what the switch measured, cut once.
    #[must_use]
    pub fn answered(&self) -> Option<Interval> {
        let from = self.answered_at.filter(|_| self.disposition == Disposition::Answered)?;
        Some(match self.precision {
            Precision::Micros => Interval::new(from, self.ended_at),
            Precision::Seconds => Interval::new(from, from.plus(self.billsec)),
        })
    }

    /// Writes it for a snapshot.
    pub fn write(&self, out: &mut Writer) {
        out.time(self.started_at);
        out.option(self.sequence, Writer::number);
        out.time(self.ended_at);
        out.option(self.answered_at, Writer::time);
        out.number(self.duration.get());
        out.number(self.billsec.get());
        out.flag(self.precision == Precision::Micros);
        out.number(match self.disposition {
            Disposition::Answered => 0,
            Disposition::NoAnswer => 1,
            Disposition::Busy => 2,
            Disposition::Failed => 3,
            Disposition::Congestion => 4,
            Disposition::Canceled => 5,
        });
        for text in self.texts() {
            out.text(text);
        }
    }

    /// About how much memory it has.
    pub(super) fn octets(&self) -> usize {
        self.texts().iter().map(|text| text.len()).fold(size_of::<Self>(), usize::saturating_add)
    }

    fn texts(&self) -> [&str; 15] {
        [
            &self.uniqueid,
            &self.linkedid,
            &self.channel,
            &self.dstchannel,
            &self.src,
            &self.dst,
            &self.clid,
            &self.accountcode,
            &self.lastapp,
            &self.lastdata,
            &self.userfield,
            &self.sip_call_id,
            &self.contract,
            &self.severity,
            &self.ticket,
        ]
    }

    /// Reads what [`CdrRow::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            started_at: back.time()?,
            sequence: back.option(Reader::number)?,
            ended_at: back.time()?,
            answered_at: back.option(Reader::time)?,
            duration: Seconds::new(back.number()?),
            billsec: Seconds::new(back.number()?),
            precision: if back.flag()? { Precision::Micros } else { Precision::Seconds },
            disposition: match back.number()? {
                0 => Disposition::Answered,
                1 => Disposition::NoAnswer,
                2 => Disposition::Busy,
                3 => Disposition::Failed,
                4 => Disposition::Congestion,
                5 => Disposition::Canceled,
                _ => return None,
            },
            uniqueid: back.text()?.into(),
            linkedid: back.text()?.into(),
            channel: back.text()?.into(),
            dstchannel: back.text()?.into(),
            src: back.text()?.into(),
            dst: back.text()?.into(),
            clid: back.text()?.into(),
            accountcode: back.text()?.into(),
            lastapp: back.text()?.into(),
            lastdata: back.text()?.into(),
            userfield: back.text()?.into(),
            sip_call_id: back.text()?.into(),
            contract: back.text()?.into(),
            severity: back.text()?.into(),
            ticket: back.text()?.into(),
        })
    }
}

impl Disposition {
    /// From the text of the column; `None` for another.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ANSWERED" => Self::Answered,
            "NO ANSWER" => Self::NoAnswer,
            "BUSY" => Self::Busy,
            "FAILED" => Self::Failed,
            "CONGESTION" => Self::Congestion,
            "CANCEL" => Self::Canceled,
            _ => return None,
        })
    }
}

impl QueueLine {
    /// About how much memory it has.
    pub(super) fn octets(&self) -> usize {
        let texts = [&self.uniqueid, &self.queue, &self.agent];
        texts.iter().map(|text| text.len()).fold(size_of::<Self>(), usize::saturating_add)
    }

    /// Writes it for a snapshot.
    pub fn write(&self, out: &mut Writer) {
        out.time(self.at);
        let (kind, talk) = match self.event {
            QueueEvent::Entered => (0, Seconds::ZERO),
            QueueEvent::RingEnded => (1, Seconds::ZERO),
            QueueEvent::Connected => (2, Seconds::ZERO),
            QueueEvent::Completed { talk } => (3, talk),
            QueueEvent::Transferred { talk } => (4, talk),
            QueueEvent::Abandoned => (5, Seconds::ZERO),
            QueueEvent::Left => (6, Seconds::ZERO),
        };
        out.number(kind);
        out.number(talk.get());
        out.text(&self.uniqueid);
        out.text(&self.queue);
        out.text(&self.agent);
    }

    /// Reads what [`QueueLine::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        let at = back.time()?;
        let kind = back.number()?;
        let talk = Seconds::new(back.number()?);
        let event = match kind {
            0 => QueueEvent::Entered,
            1 => QueueEvent::RingEnded,
            2 => QueueEvent::Connected,
            3 => QueueEvent::Completed { talk },
            4 => QueueEvent::Transferred { talk },
            5 => QueueEvent::Abandoned,
            6 => QueueEvent::Left,
            _ => return None,
        };
        Some(Self { at, event, uniqueid: back.text()?.into(), queue: back.text()?.into(), agent: back.text()?.into() })
    }
}

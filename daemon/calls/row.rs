//! One call, or a part of one, as a switch tells it in one piece: a row of a file, a record in a message.
//!
//! The invariant: a value here says only what the source said, with its times already in UTC.

use super::{BilledFrom, MissedReason};
use crate::units::{Interval, Timestamp, words};

/// One row. Their order is that in which the parts of a call began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallRow {
    /// When this part was set up.
    pub started_at: Timestamp,
    /// Its place among parts that began at once, where the source has one.
    pub sequence: Option<u64>,
    /// When the switch answered, if it says so.
    pub answered_at: Option<Timestamp>,
    /// The time of talk; without an end while it goes on.
    pub talk: Option<Span>,
    /// When this part was over; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// What the beginning of `talk` is.
    pub talk_from: TalkFrom,
    /// Whether `talk` counts beside that of other rows of the call.
    pub standing: Standing,
    /// What became of it, in the source's own words.
    pub outcome: Outcome,
    /// Which way it went, if the source says so.
    pub way: Option<Way>,
    /// Whether rows that find each other are of one call.
    pub party: Party,
    /// Times of it in which somebody was on hold.
    pub holds: Vec<Span>,
    /// Where it lies in time beside the other parts of its call.
    pub lies: Lies,
    /// The caller; empty if withheld or unknown.
    pub caller: Box<str>,
    /// The number that was dialed.
    pub called: Box<str>,
    /// Who talked to the caller: empty where the source does not tell.
    pub agent: Box<str>,
    /// Whether the source would have told, had somebody talked.
    pub names_agents: NamesAgents,
    /// The queue that served it.
    pub queue: Box<str>,
    /// What names the call: its rows share it. Empty where the source has no such name.
    pub key: Box<str>,
    /// The name of the leg that this one was dialed for; empty where the source does not tell.
    pub made_for: Box<str>,
    /// Other names by which rows of the same call find each other.
    pub also: Vec<Box<str>>,
    /// The SIP Call-ID of the caller's leg; empty where the source does not tell it.
    pub sip_call_id: Box<str>,
    /// The tag of From in that leg: both name the call as signalling does.
    pub from_tag: Box<str>,
    /// A contract reference; empty if there is none.
    pub contract: Box<str>,
    /// A severity; empty if there is none.
    pub severity: Box<str>,
    /// A ticket; empty if there is none.
    pub ticket: Box<str>,
}

/// A time that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Option<Timestamp>,
}

/// What the beginning of talk is, as the source tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TalkFrom {
    /// A person answered.
    Agent,
    /// The switch did: an announcement or a queue may come first.
    Answer,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The source does not say: its times do.
    Untold,
    /// Somebody answered.
    Answered,
    /// The caller gave up in a queue.
    Abandoned,
    /// The caller gave up while it rang.
    Canceled,
    /// All were busy.
    Busy,
    /// Nobody picked up; a mailbox may have.
    NoAnswer,
    /// Somebody declined.
    Declined,
    /// It could not be set up.
    Failed,
}

/// Which way a part went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From outside.
    In,
    /// To outside.
    Out,
    /// Inside the house.
    Internal,
    /// The way of its call: it tells of somebody whom the switch rang for it, and is no call by itself.
    Along,
    /// To outside, begun by the switch itself, which rang the one who calls first.
    Originated,
}

/// What rows that share a name have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// They tell of one call.
    Shared,
    /// A row is a leg: each caller's leg is a call by itself, also where two callers were joined in the end.
    Own,
}

/// Whether a row's talk counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It does.
    Told,
    /// Only where no other row of the call tells of any: it is the sum of what they would.
    UnlessOthersTell,
}

/// Where a part lies in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lies {
    /// Where its times say.
    AsTold,
    /// Every part bears the call's own start: it begins where the part before it ended.
    AfterTheOneBefore,
}

/// Whether a source names agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamesAgents {
    /// It does: a part that names none had none.
    Yes,
    /// It never does.
    No,
}

words!(TalkFrom { Agent = "agent", Answer = "answer" });
words!(Outcome {
    Untold = "untold",
    Answered = "answered",
    Abandoned = "abandoned",
    Canceled = "cancelled",
    Busy = "busy",
    NoAnswer = "no-answer",
    Declined = "declined",
    Failed = "failed",
});
words!(Way { In = "in", Out = "out", Internal = "internal", Along = "along", Originated = "originated" });
words!(Party { Shared = "shared", Own = "own" });
words!(Standing { Told = "told", UnlessOthersTell = "unless-others-tell" });
words!(Lies { AsTold = "as-told", AfterTheOneBefore = "end-to-end" });
words!(NamesAgents { Yes = "yes", No = "no" });

impl Span {
    /// A time that is over.
    #[must_use]
    pub fn over(span: Interval) -> Self {
        Self { from: span.from(), to: Some(span.to()) }
    }
}

impl From<TalkFrom> for BilledFrom {
    fn from(from: TalkFrom) -> Self {
        match from {
            TalkFrom::Agent => Self::Agent,
            TalkFrom::Answer => Self::Answer,
        }
    }
}

impl Outcome {
    /// Why nobody talked, if the source says that nobody did.
    #[must_use]
    pub const fn missed(self) -> Option<MissedReason> {
        Some(match self {
            Self::Untold | Self::Answered => return None,
            Self::Abandoned => MissedReason::Abandoned,
            Self::Canceled => MissedReason::Canceled,
            Self::Busy => MissedReason::Busy,
            Self::NoAnswer => MissedReason::NoAnswer,
            Self::Declined => MissedReason::Declined,
            Self::Failed => MissedReason::Failed,
        })
    }
}

impl CallRow {
    /// When it was over, or was last heard of.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        let known = [self.ended_at, self.talk.and_then(|talk| talk.to), self.talk.map(|talk| talk.from), self.answered_at];
        known.into_iter().flatten().max().unwrap_or(self.started_at).max(self.started_at)
    }

    /// This part, later by so many microseconds.
    #[must_use]
    pub(super) fn shifted(mut self, by: i64) -> Self {
        let moved = |at: Timestamp| at.plus_micros(by);
        self.started_at = moved(self.started_at);
        self.answered_at = self.answered_at.map(moved);
        self.talk = self.talk.map(|talk| Span { from: moved(talk.from), to: talk.to.map(moved) });
        self.ended_at = self.ended_at.map(moved);
        self.holds.iter_mut().for_each(|hold| *hold = Span { from: moved(hold.from), to: hold.to.map(moved) });
        self
    }
}

impl Default for CallRow {
    /// Nothing told but that there was something: the beginning from which a source fills in what it knows.
    fn default() -> Self {
        Self {
            started_at: Timestamp::default(),
            sequence: None,
            answered_at: None,
            talk: None,
            ended_at: None,
            talk_from: TalkFrom::Agent,
            standing: Standing::Told,
            outcome: Outcome::Untold,
            way: None,
            party: Party::Shared,
            holds: Vec::new(),
            lies: Lies::AsTold,
            caller: "".into(),
            called: "".into(),
            agent: "".into(),
            names_agents: NamesAgents::No,
            queue: "".into(),
            key: "".into(),
            made_for: "".into(),
            also: Vec::new(),
            sip_call_id: "".into(),
            from_tag: "".into(),
            contract: "".into(),
            severity: "".into(),
            ticket: "".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::check_words;

    #[test]
    fn every_member_has_a_place_and_a_word() {
        check_words::<TalkFrom>();
        check_words::<Outcome>();
        check_words::<Way>();
        check_words::<Party>();
        check_words::<Standing>();
        check_words::<Lies>();
        check_words::<NamesAgents>();
    }
}

//! What a switch says of its channels, as values: Asterisk's channel event log and manager interface say it alike.
//!
//! The invariant: an event says only what its line said, at the time the switch gave it.

use crate::units::Timestamp;

/// Something that happened to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelEvent {
    /// When, by the switch's clock.
    pub at: Timestamp,
    /// The channel as it was then.
    pub channel: ChannelFacts,
    /// What happened.
    pub change: Change,
}

/// A channel as an event shows it; empty where the event does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelFacts {
    /// Its unique id, `epoch.counter`.
    pub uniqueid: Box<str>,
    /// The unique id of the oldest channel of its conversation.
    pub linkedid: Box<str>,
    /// Its name, such as `PJSIP/trunk-0000000a`.
    pub name: Box<str>,
    /// The number of who is at its end, as the switch has it now.
    pub number: Box<str>,
    /// Where the dialplan is: at the beginning of an incoming channel, the number that was dialed.
    pub exten: Box<str>,
    /// The application that runs.
    pub app: Box<str>,
    /// Its arguments.
    pub data: Box<str>,
    /// The Call-ID of its leg, if the switch was told to say it.
    pub sip_call_id: Box<str>,
    /// A contract reference, if a configured layout has one.
    pub contract: Box<str>,
    /// A ticket, likewise.
    pub ticket: Box<str>,
    /// A severity, likewise.
    pub severity: Box<str>,
}

/// What happened to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Begins,
    /// It is called, and says so when somebody answers: whoever hears it before hears no agent.
    Rings,
    /// It is up.
    Answers,
    /// An application of the dialplan began, the facts name it.
    EntersApplication(Application),
    /// And ended.
    LeavesApplication(Application),
    /// It was made to reach this number through a trunk.
    DialedAs(Box<str>),
    /// One of the channels it dialed is no longer dialed.
    DialEnds(DialStatus),
    /// A queue rang it: whoever is there answers for the house.
    RungByQueue,
    /// It entered a bridge.
    EntersBridge(Box<str>),
    /// It left a bridge.
    LeavesBridge(Box<str>),
    /// It passed on who is in these bridges, or at this channel.
    Transfers {
        /// Bridges that took part in it, as far as they are named.
        bridges: Vec<Box<str>>,
        /// The unique id of the channel that was passed on, if it is named.
        transferee: Box<str>,
    },
    /// A phone that it dialed sent the call elsewhere.
    Forwards,
    /// It was put on hold, or put its other side on hold.
    Holds,
    /// And was taken back.
    Resumes,
    /// Its far end hung up; the switch will follow.
    AsksToEnd,
    /// It is gone.
    HangsUp {
        /// Why, as Q.850 has it; 0 where nobody says.
        cause: u16,
        /// Whether the far end of this channel hung up, and not the switch.
        by_itself: bool,
        /// What became of the last it dialed.
        dial: Option<DialStatus>,
    },
    /// Nothing more was heard of the conversation it began, and it is over by now: it was there until then.
    Vanishes,
    /// It is there: nothing happened but that its facts are known anew.
    Shows,
    /// Every channel of this linked id is gone.
    ConversationEnds,
}

/// A channel that is open, as a switch lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenChannel {
    /// What is known of it.
    pub facts: ChannelFacts,
    /// Whether it is up.
    pub is_up: bool,
    /// The bridge it is in.
    pub bridge: Option<Box<str>>,
}

/// An application of the dialplan that says something about a caller's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// It rings phones.
    Dial,
    /// The caller waits in line.
    Queue,
    /// A mailbox.
    Voicemail,
    /// Any other.
    Other,
}

/// What became of dialing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialStatus {
    /// Somebody answered.
    Answered,
    /// All were busy, or declined.
    Busy,
    /// Nobody picked up.
    NoAnswer,
    /// The caller gave up.
    Canceled,
    /// It could not be done.
    Failed,
}

impl Application {
    /// By its name in the dialplan, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("Dial") {
            Self::Dial
        } else if is("Queue") {
            Self::Queue
        } else if is("VoiceMail") || is("MiniVM") {
            Self::Voicemail
        } else {
            Self::Other
        }
    }
}

impl DialStatus {
    /// From the dialplan's variable `DIALSTATUS` or a `DialEnd` event; `None` for what says nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ANSWER" => Self::Answered,
            "BUSY" => Self::Busy,
            "NOANSWER" => Self::NoAnswer,
            "CANCEL" | "ABORT" => Self::Canceled,
            "CHANUNAVAIL" | "CONGESTION" | "INVALIDARGS" => Self::Failed,
            _ => return None,
        })
    }
}

//! Stored numbers of the closed sets of a call, for evidence and snapshots.

use super::call::{BilledFrom, Correlation, End, Mark, MissedReason};

impl End {
    /// The number that stands for it in stored bytes; never reused.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Observed => 0,
            Self::Reconciled => 1,
            Self::SessionTimer => 2,
            Self::Estimated => 3,
        }
    }

    /// From its number; `None` for one that stands for nothing.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Observed,
            1 => Self::Reconciled,
            2 => Self::SessionTimer,
            3 => Self::Estimated,
            _ => return None,
        })
    }
}

impl BilledFrom {
    /// The number that stands for it in stored bytes; never reused.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Agent => 0,
            Self::Answer => 1,
        }
    }

    /// From its number; `None` for one that stands for nothing.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Agent,
            1 => Self::Answer,
            _ => return None,
        })
    }
}

impl MissedReason {
    /// The number that stands for it in stored bytes; never reused.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Abandoned => 0,
            Self::Canceled => 1,
            Self::Busy => 2,
            Self::NoAnswer => 3,
            Self::Declined => 4,
            Self::Failed => 5,
        }
    }

    /// From its number; `None` for one that stands for nothing.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Abandoned,
            1 => Self::Canceled,
            2 => Self::Busy,
            3 => Self::NoAnswer,
            4 => Self::Declined,
            5 => Self::Failed,
            _ => return None,
        })
    }
}

impl Correlation {
    /// The number that stands for it in stored bytes; never reused.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Explicit => 0,
            Self::Numbers => 1,
            Self::Guess => 2,
        }
    }

    /// From its number; `None` for one that stands for nothing.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Explicit,
            1 => Self::Numbers,
            2 => Self::Guess,
            _ => return None,
        })
    }
}

impl Mark {
    /// The number that stands for it in stored bytes; never reused.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Transfer => 0,
            Self::Forward => 1,
            Self::ClickToCall => 2,
            Self::LostParty => 3,
            Self::AnswerUnseen => 4,
            Self::Guessed => 5,
            Self::Ambiguous => 6,
            Self::HotlineUnseen => 7,
        }
    }

    /// From its number; `None` for one that stands for nothing.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Transfer,
            1 => Self::Forward,
            2 => Self::ClickToCall,
            3 => Self::LostParty,
            4 => Self::AnswerUnseen,
            5 => Self::Guessed,
            6 => Self::Ambiguous,
            7 => Self::HotlineUnseen,
            _ => return None,
        })
    }
}

//! Words every room shares: money, times, numbers, observations. Pure values; a value that exists is valid.

mod alarms;
pub mod codec;
mod few;
mod hash;
mod money;
mod number;
mod observation;
mod parts;
mod raw_number;
mod rfc3339;
mod text;
mod time;
mod word;

pub use alarms::Alarms;
pub use few::Few;
pub use hash::{KeyedState, OwnNumbers};
pub use money::{Currency, Money, PriceKind, round_half_away};
pub use number::{DialPlan, E164, NumberPattern, UnknownCountry};
pub use observation::{Message, Observation};
pub use parts::{Changes, Kept, PartName};
pub use raw_number::RawNumber;
pub use text::{write_decimal, write_integer, write_signed};
pub use time::{Interval, Seconds, Timestamp};
pub use word::Word;
#[cfg(test)]
pub(crate) use word::tests::check as check_words;
pub(crate) use word::words;

use std::fmt;

/// The name of a call: derived from the best key known when the call was first journaled, never drawn (design.md §3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(Box<str>);

impl CallId {
    /// Any non-empty text; `None` for an empty one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The text, as it stands in results and on the command line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who called whom: inbound to a hotline, or an agent's callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// A customer called a hotline.
    In,
    /// An agent called a customer (a callback): the customer is who was called.
    Out,
}

impl Direction {
    /// `in` or `out`, as calls.csv has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

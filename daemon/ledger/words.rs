//! The closed sets of a result as the words of design.md §9 and as the small numbers of the stored form.
//!
//! The one invariant: a list only grows at its end, because its places are what older ledgers hold.

use crate::calls::{BilledFrom, Correlation, End, Mark, MissedReason, Withheld};
use crate::meter::{Outcome, Rule};
use crate::units::Direction;

/// A closed set with a word and a stored number for each member.
pub trait Word: Copy + PartialEq + 'static {
    /// All members, in stored order.
    const ALL: &'static [Self];

    /// The word of the interface.
    fn word(self) -> &'static str;

    /// The stored number: the place in [`Word::ALL`].
    fn code(self) -> u64 {
        Self::ALL.iter().position(|other| *other == self).and_then(|place| u64::try_from(place).ok()).unwrap_or(u64::MAX)
    }

    /// The member of a stored number; `None` if there is none.
    fn from_code(code: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// The member of a word; `None` if there is none.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|member| member.word() == word)
    }
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl Word for $type {
            const ALL: &'static [Self] = &[$($type::$variant),+];

            fn word(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }
        }
    };
}

words!(Direction { In = "in", Out = "out" });
words!(End { Observed = "observed", Reconciled = "reconciled", SessionTimer = "session-timer", Estimated = "estimated" });
words!(BilledFrom { Agent = "agent", Answer = "answer" });
words!(Withheld { No = "no", Yes = "yes", Unknown = "unknown" });
words!(MissedReason {
    Abandoned = "abandoned in queue",
    Canceled = "cancelled",
    Busy = "busy",
    NoAnswer = "no answer",
    Declined = "declined",
    Failed = "failed",
});
words!(Correlation { Explicit = "explicit", Numbers = "numbers", Guess = "guess" });
words!(Mark {
    Transfer = "transfer",
    Forward = "forward",
    ClickToCall = "click-to-call",
    LostParty = "lost-party",
    AnswerUnseen = "answer-unseen",
    Guessed = "guessed",
    Ambiguous = "ambiguous",
    HotlineUnseen = "hotline-unseen",
});
words!(Outcome {
    Missed = "missed",
    Unmatched = "unmatched",
    Ambiguous = "ambiguous",
    Uncovered = "uncovered",
    Unauthorised = "unauthorised",
    Held = "held",
    Charged = "charged",
    Included = "included",
});
words!(Rule {
    Allowance = "allowance",
    Step = "step",
    TopUp = "top_up",
    Incident = "incident",
    Flat = "flat",
    Fee = "fee",
    Goodwill = "goodwill",
    Surcharge = "surcharge",
    Cap = "cap",
    Rounding = "rounding",
});

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Word + std::fmt::Debug>() {
        for member in T::ALL {
            assert_eq!(T::from_code(member.code()), Some(*member));
            assert_eq!(T::from_word(member.word()), Some(*member));
        }
        assert_eq!(T::from_code(u64::try_from(T::ALL.len()).expect("a small number")), None);
    }

    #[test]
    fn every_member_has_a_place_and_a_word() {
        check::<Direction>();
        check::<End>();
        check::<BilledFrom>();
        check::<Withheld>();
        check::<MissedReason>();
        check::<Correlation>();
        check::<Mark>();
        check::<Outcome>();
        check::<Rule>();
    }
}

//! The closed sets of a call, as words and as stored numbers. The one invariant: a list only grows at its end.

use super::{BilledFrom, Correlation, End, Mark, MissedReason, Role, Withheld, Witness};
use crate::units::words;

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
    Reconciled = "reconciled",
});
words!(Witness {
    Signalling = "signalling",
    AsteriskCel = "asterisk-cel",
    AsteriskAmi = "asterisk-ami",
    FreeSwitch = "freeswitch",
    AsteriskCdr = "asterisk-cdr",
    Csv = "csv",
    FritzBox = "fritzbox",
    FreeSwitchEvents = "freeswitch-events",
});
words!(Role { Meter = "meter", Reconcile = "reconcile" });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::check_words;

    #[test]
    fn every_member_has_a_place_and_a_word() {
        check_words::<End>();
        check_words::<BilledFrom>();
        check_words::<Withheld>();
        check_words::<MissedReason>();
        check_words::<Correlation>();
        check_words::<Mark>();
        check_words::<Witness>();
        check_words::<Role>();
    }
}

//! The closed sets of a result, as words and as stored numbers. The one invariant: a list only grows at its end.

use super::{Outcome, Rule};
use crate::units::words;

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
    Connect = "connect",
    Minimum = "minimum",
    Free = "free",
    Tolerance = "tolerance",
    Rounded = "rounded",
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::check_words;

    #[test]
    fn every_member_has_a_place_and_a_word() {
        check_words::<Outcome>();
        check_words::<Rule>();
    }
}

//! Log lines that a flood must not multiply: of what strangers can do as often as they like, only so much is told, and the
//! metrics count the rest.
//!
//! The one invariant: nothing is told more often than stated, and a loss is told whole, if later. Times are those of a clock that
//! nobody sets, in microseconds.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// A loss is told once in this time.
const LOSS_MICROS: i64 = 60_000_000;
/// Of so many kinds and senders the first is told,
const MOST_TOLD: usize = 64;
/// and all of them anew after this time: whoever was told of may be somebody else by then.
const ANEW_MICROS: i64 = 3_600_000_000;

/// Kinds and senders of what was set aside.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    told: BTreeSet<(&'static str, IpAddr)>,
    until: i64,
}

impl Firsts {
    /// Whether this is the first of its kind from there, so that it should be told: a wrong key should be seen, a flood
    /// should not.
    pub(super) fn is_first(&mut self, kind: &'static str, from: IpAddr, steady_micros: i64) -> bool {
        if steady_micros >= self.until {
            self.told.clear();
            self.until = steady_micros.saturating_add(ANEW_MICROS);
        }
        self.told.len() < MOST_TOLD && self.told.insert((kind, from))
    }
}

/// What was lost and not told yet.
#[derive(Debug, Default)]
pub(super) struct Losses {
    untold: u64,
    next: i64,
}

impl Losses {
    /// So much more was lost. Gives all that was lost since it was last told, if it is to be told now.
    pub(super) fn lose(&mut self, new: u64, steady_micros: i64) -> Option<u64> {
        self.untold = self.untold.saturating_add(new);
        if steady_micros < self.next {
            return None;
        }
        let untold = self.rest()?;
        self.next = steady_micros.saturating_add(LOSS_MICROS);
        Some(untold)
    }

    /// What would not be told otherwise, when it is time to end.
    pub(super) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.untold)).filter(|untold| *untold > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_kind_and_sender_is_told_and_no_crowd() {
        let mut firsts = Firsts::default();
        let one = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(["hep_key", "hep_key", "not_sip"].map(|kind| firsts.is_first(kind, one, 5)), [true, false, true]);
        let told = (0..1_000u32).filter(|number| firsts.is_first("hep_key", IpAddr::from(number.to_be_bytes()), 6)).count();
        assert_eq!(told, MOST_TOLD - 2);
        assert_eq!([4, 5].map(|later| firsts.is_first("hep_key", one, ANEW_MICROS + later)), [false, true]);
    }

    #[test]
    fn a_loss_is_told_once_a_minute_and_whole() {
        let mut losses = Losses::default();
        let seconds = |second: i64| second * 1_000_000;
        let mut lose = |new, second| losses.lose(new, seconds(second));
        assert_eq!([lose(0, 1), lose(7, 2), lose(5, 3), lose(3, 61), lose(0, 62)], [None, Some(7), None, None, Some(8)]);
        assert_eq!([lose(1, 63), lose(0, 121), lose(0, 122), lose(0, 300), lose(2, 301)], [None, None, Some(1), None, Some(2)]);
        assert_eq!(lose(4, 302), None);
        assert_eq!([losses.rest(), losses.rest()], [Some(4), None]);
    }
}

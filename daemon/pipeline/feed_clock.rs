//! What time a feed of messages has reached, by our clock: behind it by the feed's lag, and steady while our clock is set.
//!
//! The one invariant: the messages' own time decides charges; ours only says how much of it has passed while none came.

use super::signalling::AHEAD_MICROS;
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};

/// A lag below this is the way of the packet, not the clock.
const SMALL_LAG_MICROS: i64 = 2_000_000;

/// A lag that grows is believed after so long without a message that says less.
const DOUBT_MICROS: i64 = 10_000_000;

/// What a message says of its sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// That it goes on as before.
    Usual,
    /// That it was set back, if more say so.
    Doubted,
    /// That it was set back, as those before did.
    SetBack,
}

/// The clock of a feed.
#[derive(Debug, Default)]
pub(super) struct FeedClock {
    /// By how much the messages' own time lags behind our clock, in microseconds: a switch whose clock is slow is still
    /// metered by its own, and its timers run out by it.
    lag_micros: i64,
    /// Since when messages lag more than that, by our clock.
    slower_since: Option<Timestamp>,
    /// By how much our clock was set since we look at it, in microseconds: what it shows is taken as if it had not been. Else
    /// everything under way would time out at once when it is set forth, and when it is set back every message would come
    /// from the future.
    set_by_micros: i64,
    /// How far our clock was from one that nobody sets.
    apart_micros: Option<i64>,
}

impl FeedClock {
    /// Back from bytes.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { lag_micros: i64::try_from(from.number()?).ok()?, ..Self::default() })
    }

    /// As bytes: the lag behind our clock as it now shows, for whoever reads them has seen it set by nobody.
    pub fn write(&self, out: &mut Writer) {
        out.number(u64::try_from(self.lag_micros.saturating_add(self.set_by_micros)).unwrap_or(0));
    }

    /// Our clock shows `wall` while one that nobody sets shows `steady_micros`; by how much it was set since then, if it was.
    pub fn shows(&mut self, wall: Timestamp, steady_micros: i64) -> Option<i64> {
        let apart = wall.micros().saturating_sub(steady_micros);
        let set_by = apart.saturating_sub(self.apart_micros.replace(apart)?);
        if set_by.abs() <= SMALL_LAG_MICROS {
            return None;
        }
        self.set_by_micros = self.set_by_micros.saturating_add(set_by);
        Some(set_by)
    }

    /// When a message arrived, by our clock as if nobody had set it; unless the message agrees with what it now shows, and
    /// came from the future else: then the sender's clock is ours, and was set as well.
    pub fn arrival(&mut self, wall: Timestamp, captured_at: Timestamp) -> Timestamp {
        let steady = wall.plus_micros(self.set_by_micros.saturating_neg());
        if self.set_by_micros > 0 && captured_at > steady.plus_micros(AHEAD_MICROS) && captured_at <= wall.plus_micros(AHEAD_MICROS) {
            self.set_by_micros = 0;
            return wall;
        }
        steady
    }

    /// Notes how far messages lag behind our clock. Less than before is believed at once; more only when no message has said
    /// less for a while: one that is out of time must not stop the timers of all others.
    pub fn hear(&mut self, at: Timestamp, arrived_at: Timestamp, first: bool) -> Heard {
        let lag = Some(arrived_at.since(at)).filter(|lag| *lag >= SMALL_LAG_MICROS).unwrap_or(0);
        let usual = first || lag <= self.lag_micros.saturating_add(SMALL_LAG_MICROS);
        let doubted = !usual && arrived_at.since(*self.slower_since.get_or_insert(arrived_at)) < DOUBT_MICROS;
        if !doubted {
            (self.lag_micros, self.slower_since) = (lag, None);
        }
        match (usual, doubted) {
            (true, _) => Heard::Usual,
            (false, true) => Heard::Doubted,
            (false, false) => Heard::SetBack,
        }
    }

    /// Whether the last messages lag more than those before: the sender's clock was set back, or they are out of time. Until
    /// it is known nothing times out.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.slower_since.is_some()
    }

    /// What time the messages have reached when our clock shows `wall`.
    #[must_use]
    pub fn feed_time(&self, wall: Timestamp) -> Timestamp {
        wall.plus_micros(self.lag_micros.saturating_add(self.set_by_micros).saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const SECOND: i64 = 1_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_773_000_000 * SECOND + micros)
    }

    #[test]
    fn a_clock_that_is_set_moves_no_feed() {
        for set_by in [HOUR, -HOUR] {
            let mut clock = FeedClock::default();
            assert_eq!(clock.shows(at(0), 0), None);
            clock.hear(at(0), at(0), true);
            assert_eq!(clock.shows(at(SECOND + set_by), SECOND), Some(set_by));
            assert_eq!(clock.feed_time(at(SECOND + set_by)), at(SECOND));
            assert_eq!(clock.arrival(at(SECOND + set_by), at(SECOND)), at(SECOND), "the sender's clock was not");
            assert_eq!(clock.shows(at(2 * SECOND + set_by), 2 * SECOND), None);
            assert_eq!(clock.shows(at(3 * SECOND), 3 * SECOND), Some(-set_by), "and set right again");
            assert_eq!(clock.feed_time(at(3 * SECOND)), at(3 * SECOND));
        }
    }

    /// Both were wrong, as on one machine, and are right from now on; or the machine slept.
    #[test]
    fn a_sender_s_clock_may_be_set_with_ours() {
        let mut clock = FeedClock::default();
        clock.shows(at(0), 0);
        clock.shows(at(HOUR), 10);
        assert_eq!(clock.arrival(at(HOUR), at(HOUR)), at(HOUR));
        assert_eq!(clock.feed_time(at(HOUR)), at(HOUR));
    }

    #[test]
    fn a_sender_s_clock_that_is_set_back_is_believed_after_a_while() {
        let mut clock = FeedClock::default();
        assert_eq!(clock.hear(at(0), at(0), true), Heard::Usual);
        let back = |seconds: i64| (at(seconds * SECOND - HOUR), at(seconds * SECOND));
        for (seconds, heard) in [(1, Heard::Doubted), (10, Heard::Doubted), (11, Heard::SetBack), (12, Heard::Usual)] {
            let (said, arrived) = back(seconds);
            assert_eq!(clock.hear(said, arrived, false), heard, "{seconds}");
            assert_eq!(clock.is_in_doubt(), heard == Heard::Doubted);
        }
        // One that is out of time, and an honest one: the doubt is over at once.
        clock.hear(at(20 * SECOND), at(20 * SECOND), false);
        assert_eq!(clock.hear(at(-HOUR), at(21 * SECOND), false), Heard::Doubted);
        assert_eq!(clock.hear(at(22 * SECOND), at(22 * SECOND), false), Heard::Usual);
        assert!(!clock.is_in_doubt());
    }

    /// What is kept is right for whoever starts with our clock as it is.
    #[test]
    fn a_restart_takes_the_clock_as_it_is() {
        let mut clock = FeedClock::default();
        clock.hear(at(0), at(20 * SECOND), true);
        clock.shows(at(0), 0);
        clock.shows(at(HOUR), 10);
        let mut out = Writer::new();
        clock.write(&mut out);
        let bytes = out.finish();
        let again = FeedClock::read(&mut Reader::new(&bytes)).expect("ours");
        assert_eq!(again.feed_time(at(HOUR)), clock.feed_time(at(HOUR)));
    }
}

//! What a switch sends while the program is tried: calls as HEP frames, and calls as rows of its records, in the order of
//! their time, with the truth about each. The same seed gives the same calls.

use crate::hostile::{Caller, SECOND};
use taktd::units::Timestamp;

/// Numbers that follow from a seed (xorshift64*), so that whatever fails can be tried again.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that follow on each other should not give numbers that do.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of so many, from 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from).expect("in order"))).expect("small")
    }
}

/// Something that the switch does.
#[derive(Clone)]
pub(crate) enum Event {
    /// Its agent sends a frame.
    Frame(Vec<u8>),
    /// It writes a row of its records.
    Row(String),
}

/// How a call is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Frames,
    Row,
}

/// A call as it was. Its caller calls only once, so that the number names the call.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub caller: String,
    pub by: By,
    /// Microseconds.
    pub connected: i64,
    pub ended: i64,
}

/// All that a switch does, in order.
pub(crate) struct Script {
    pub events: Vec<(i64, Event)>,
    pub truths: Vec<Truth>,
    /// From an instant on the switch's clock is wrong by so much, in microseconds.
    wrong: Option<(i64, i64)>,
    /// By how much more it is wrong each second, in microseconds.
    drift: i64,
    /// By how much the clock of its records is.
    of_rows: i64,
}

/// A Tuesday morning, within the hours in which minutes come from allowances first.
pub(super) fn morning() -> i64 {
    Timestamp::parse_rfc3339("2026-03-10T10:00:00+01:00").expect("a time").micros()
}

/// The contracts of all callers: each has a trunk of numbers.
pub(super) const CONTRACTS: &str = "contract_id,customer,plans,starts_on,numbers\n\
    T-0,Nought,support-level-1,2026-01-01,+49 30 70000*\n\
    T-1,One,support-level-1,2026-01-01,+49 30 70001*\n\
    T-2,Two,support-level-1|support-level-2,2026-01-01,+49 30 70002*\n";

impl Script {
    /// Calls of about ten minutes: two of three as frames, and every third as a row.
    pub(super) fn new(seed: u64, calls: i64) -> Self {
        Self::wrong(seed, calls, None)
    }

    /// The same by a switch whose clock is set by so much when the script is halfway through; rows have its right time.
    pub(super) fn set_by(seed: u64, calls: i64, micros: i64) -> Self {
        Self::wrong(seed, calls, Some((morning() + calls * 4 * SECOND, micros)))
    }

    /// The same by an agent whose clock goes wrong by so much each second, in microseconds, and records by a clock that is wrong by
    /// so much throughout.
    pub(super) fn drifting(seed: u64, calls: i64, drift: i64, of_rows: i64) -> Self {
        Self::told(seed, calls, Self { drift, of_rows, ..Self::nothing() })
    }

    fn nothing() -> Self {
        Self { events: Vec::new(), truths: Vec::new(), wrong: None, drift: 0, of_rows: 0 }
    }

    fn wrong(seed: u64, calls: i64, wrong: Option<(i64, i64)>) -> Self {
        Self::told(seed, calls, Self { wrong, ..Self::nothing() })
    }

    fn told(seed: u64, calls: i64, mut script: Self) -> Self {
        let mut dice = Dice::new(seed);
        for number in 0..calls {
            let caller = format!("+493070{:03}{number:04}", dice.below(3));
            let set_up = morning() + dice.between(0, calls * 8 * SECOND);
            let talk = dice.between(3 * SECOND, 280 * SECOND);
            if number % 3 == 2 {
                script.row(number, caller, (set_up, talk));
            } else {
                script.frames(seed, number, caller, (set_up, talk));
            }
        }
        script.sorted()
    }

    /// Calls as frames that all talk at once, for so long or a little longer, in microseconds.
    pub(super) fn all_at_once(seed: u64, calls: i64, talk: i64) -> Self {
        let mut script = Self::nothing();
        let mut dice = Dice::new(seed);
        for number in 0..calls {
            let caller = format!("+493070{:03}{number:04}", dice.below(3));
            let times = (morning() + dice.between(0, 600 * SECOND), talk + dice.between(0, 600 * SECOND));
            script.frames(seed, number, caller, times);
        }
        script.sorted()
    }

    /// Calls that are told twice: as frames, and as rows.
    pub(super) fn both(seed: u64, calls: i64) -> Self {
        let mut script = Self::nothing();
        let mut dice = Dice::new(seed);
        for number in 0..calls {
            let caller = format!("+493070{:03}{number:04}", dice.below(3));
            let times = (morning() + dice.between(0, calls * 2 * SECOND), dice.between(3 * SECOND, 280 * SECOND));
            script.row(number, caller.clone(), times);
            script.truths.pop();
            script.frames(seed, number, caller, times);
        }
        script.sorted()
    }

    /// Calls as frames within a span, in microseconds, each of a few seconds or minutes.
    pub(crate) fn within(seed: u64, calls: i64, span: i64) -> Self {
        let mut script = Self::nothing();
        let mut dice = Dice::new(seed);
        for number in 0..calls {
            let caller = format!("+493070{:03}{number:04}", dice.below(3));
            let times = (morning() + dice.between(0, span), dice.between(SECOND, span * 2));
            script.frames(seed, number, caller, times);
        }
        script.sorted()
    }

    /// When the first call ends.
    pub(super) fn first_end(&self) -> i64 {
        self.truths.iter().map(|truth| truth.ended).min().expect("there are calls")
    }

    fn sorted(mut self) -> Self {
        self.events.sort_by_key(|(at, _)| *at);
        self
    }

    /// A call as a row: when it is set up, and how long they talk.
    fn row(&mut self, number: i64, caller: String, (set_up, talk): (i64, i64)) {
        let set_up = set_up + self.of_rows;
        let connected = set_up + 2 * SECOND;
        let truth = Truth { caller, by: By::Row, connected: whole(connected), ended: whole(connected + talk) };
        self.events.push((truth.ended, Event::Row(row(number, &truth, whole(set_up)))));
        self.truths.push(truth);
    }

    /// A call as frames, likewise.
    fn frames(&mut self, seed: u64, number: i64, caller: String, (set_up, talk): (i64, i64)) {
        let (call_id, leg) = (format!("{seed}-{number}@pbx"), format!("leg{number}"));
        let caller_leg = Caller { call_id: &call_id, tag: "a", number: &caller, leg: &leg };
        // They talk once the caller is answered, too.
        let (connected, ended) = (set_up + 2_002_000, set_up + 2_002_000 + talk);
        let drifted = |at: i64| (at - morning()) / SECOND * self.drift;
        let by_its_clock = |at: i64| at + drifted(at) + self.wrong.filter(|(from, _)| at >= *from).map_or(0, |(_, by)| by);
        let (shown, gone) = (by_its_clock(set_up), by_its_clock(ended));
        let frames = caller_leg.set_up(shown).into_iter().zip([0, 10_000, 2 * SECOND, 2_001_000, 2_002_000, 2_003_000]);
        self.events.extend(frames.map(|(frame, after)| (set_up + after, Event::Frame(frame))));
        let frames = caller_leg.hang_up(gone).into_iter().zip([0, 1_000, 2_000, 3_000]);
        self.events.extend(frames.map(|(frame, after)| (ended + after, Event::Frame(frame))));
        // The evidence is what the switch says; nobody talks for less than no time.
        let connected = connected + (shown - set_up);
        self.truths.push(Truth { caller, by: By::Frames, connected, ended: gone.max(connected) });
    }

    /// All frames as a capture (pcap) of the agent's datagrams: what repairs a gap.
    pub(crate) fn capture(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        let short = |length: usize| u16::try_from(length).expect("short");
        for (at, event) in &self.events {
            let Event::Frame(frame) = event else { continue };
            let mut packet = vec![0; 12];
            packet.extend_from_slice(&[0x08, 0x00, 0x45, 0]);
            packet.extend_from_slice(&short(frame.len() + 28).to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            for number in [40_000, 9_060, short(frame.len() + 8), 0] {
                packet.extend_from_slice(&number.to_be_bytes());
            }
            packet.extend_from_slice(frame);
            let length = u32::from(short(packet.len()));
            let (seconds, micros) = (at.div_euclid(SECOND), at.rem_euclid(SECOND));
            for word in [u32::try_from(seconds).expect("a time"), u32::try_from(micros).expect("below a million"), length, length] {
                file.extend_from_slice(&word.to_le_bytes());
            }
            file.extend_from_slice(&packet);
        }
        file
    }
}

/// A row of `Master.csv`, as Asterisk writes it when the call is over.
fn row(number: i64, truth: &Truth, set_up: i64) -> String {
    let Truth { caller, connected, ended, .. } = truth;
    let (start, answer, end) = (local(set_up), local(*connected), local(*ended));
    let (duration, talk) = ((ended - set_up) / SECOND, (ended - connected) / SECOND);
    format!(
        "\"\",\"{caller}\",\"+4989555099\",\"did\",\"\"\"\"\" <{caller}>\",\"PJSIP/trunk-{number:08x}\",\"PJSIP/201-{number:08x}\",\"Dial\",\
         \"PJSIP/201,6,tT\",\"{start}\",\"{answer}\",\"{end}\",{duration},{talk},\"ANSWERED\",\"DOCUMENTATION\",\"{}.{number}\",\"\"\n",
        set_up / SECOND
    )
}

const fn whole(at: i64) -> i64 {
    at - at % SECOND
}

fn local(at: i64) -> String {
    let at = Timestamp::from_micros(at).rfc3339(chrono_tz::Europe::Berlin);
    at[..19].replace('T', " ")
}

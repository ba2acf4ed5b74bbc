//! The thread that reads a network interface, as long as it is there, and again when it comes back.
//!
//! The one invariant: what the kernel dropped, and the time in which an interface was not read, are told: metering is incomplete.

use super::inputs::Shared;
use super::intake::Intake;
use super::seldom::Losses;
use crate::clock;
use crate::metrics::{Growth, Rejection, SourceMetrics};
use crate::sources::SetAside;
use crate::sources::capture::{Tap, TapError};
use crate::units::Timestamp;
use std::time::Duration;

/// Packets are waited for at most so long, so that timers and the end are seen.
const PATIENCE: Duration = Duration::from_millis(200);
/// An interface that cannot be read is tried again after so many microseconds.
const RETRY_MICROS: i64 = 2_000_000;
/// Counters are looked at this often, in microseconds.
const COUNT_MICROS: i64 = 1_000_000;

/// An interface to read.
pub struct Watch {
    /// Its name.
    pub interface: Box<str>,
    /// The ports that SIP is spoken on.
    pub ports: Vec<u16>,
    /// Open, if it could be.
    pub tap: Option<Tap>,
}

/// What was counted and is on the metrics page already.
#[derive(Default)]
struct Counted {
    set_aside: [Growth; SetAside::ALL.len()],
    gaps: (Growth, Losses),
    drops: (Growth, Losses),
}

/// Reads an interface until told to end.
pub fn watch(shared: &Shared, watch: Watch, source: &SourceMetrics) {
    let Watch { interface, ports, mut tap } = watch;
    let mut intake = Intake::new(shared, source);
    let mut counted = Counted::default();
    let mut failed: Option<String> = None;
    let (mut next_try, mut next_count) = (Timestamp::default(), Timestamp::default());
    if tap.is_some() {
        tracing::info!(interface = &*interface, ?ports, "reading packets");
    }
    while !shared.ends() {
        let now = clock::now();
        if tap.is_none() && now >= next_try {
            next_try = now.plus_micros(RETRY_MICROS);
            match Tap::open(&interface, &ports) {
                Ok(opened) => {
                    tap = Some(opened);
                    counted.begin_anew();
                    tracing::info!(interface = &*interface, ?ports, "reading packets");
                    if let Some(before) = failed.take() {
                        intake.goes_on(before);
                    }
                }
                Err(error) => fails(&intake, &mut failed, error),
            }
        }
        match &mut tap {
            None => std::thread::sleep(PATIENCE),
            Some(open) => {
                if let Err(source) = open.read(PATIENCE, clock::now, &mut |found| intake.message(&found.message, clock::now())) {
                    counted.take(shared, open, &interface);
                    tap = None;
                    next_try = now.plus_micros(RETRY_MICROS);
                    fails(&intake, &mut failed, TapError::Interface { interface: interface.clone(), source });
                }
            }
        }
        intake.turn();
        if let Some(open) = tap.as_mut().filter(|_| now >= next_count) {
            counted.take(shared, open, &interface);
            next_count = now.plus_micros(COUNT_MICROS);
        }
    }
    if let Some(open) = &mut tap {
        counted.take(shared, open, &interface);
    }
    tell_of_gaps(counted.gaps.1.rest(), &interface);
    tell_of_drops(counted.drops.1.rest(), &interface);
    intake.stop();
}

/// Tells that an interface cannot be read, once for each reason.
fn fails(intake: &Intake, failed: &mut Option<String>, error: TapError) {
    let why = format!("{error}; it is tried again");
    if failed.as_ref() == Some(&why) {
        return;
    }
    tracing::error!(%error, "an interface cannot be read: metering is incomplete until it can");
    if let Some(before) = failed.replace(why.clone()) {
        intake.goes_on(before);
    }
    intake.stop();
    intake.fails(why);
}

impl Counted {
    /// Another tap counts from 0.
    fn begin_anew(&mut self) {
        (self.set_aside, self.gaps.0, self.drops.0) = Default::default();
    }

    /// Brings the metrics page up to date.
    fn take(&mut self, shared: &Shared, tap: &mut Tap, interface: &str) {
        for (reason, counted) in SetAside::ALL.into_iter().zip(&mut self.set_aside) {
            shared.metrics.rejected.inc_by(Rejection::from(reason), counted.of(tap.set_aside(reason)));
        }
        let now = clock::steady_micros();
        let gaps = self.gaps.0.of(tap.gaps());
        shared.metrics.rejected.inc_by(Rejection::StreamGap, gaps);
        tell_of_gaps(self.gaps.1.lose(gaps, now), interface);
        let new = tap.dropped().map_or(0, |total| self.drops.0.of(total));
        shared.metrics.socket_drops.inc_by(new);
        tell_of_drops(self.drops.1.lose(new, now), interface);
    }
}

fn tell_of_gaps(gaps: Option<u64>, interface: &str) {
    if let Some(gaps) = gaps {
        tracing::warn!(gaps, interface, "parts of TCP streams were never seen: the messages in them are not metered");
    }
}

fn tell_of_drops(new: Option<u64>, interface: &str) {
    if let Some(new) = new {
        tracing::error!(new, interface, "the kernel dropped packets: metering is incomplete; the machine is too slow for this traffic");
    }
}

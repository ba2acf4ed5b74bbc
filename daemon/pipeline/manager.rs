//! The thread that listens to a switch: connects, and connects again.
//!
//! The one invariant: all that is open is known before anything that is heard counts as a proof of life.

use super::ear::{Ear, PATIENCE};
use super::files::Files;
use super::inputs::Shared;
use super::kinship::Kinship;
use super::signalling::AHEAD_MICROS;
use super::switches::Switch;
use super::writer::Told;
use crate::clock::{self, Stopwatch};
use crate::metrics::{Rejection, SourceMetrics};
use crate::sources::heard::Heard;

/// What is remembered from one connection to the next.
#[derive(Default)]
struct Memory {
    /// That events have no time was told.
    undated: bool,
    kinship: Kinship,
}

/// Listens to a switch until told to end.
pub fn follow<S: Switch>(shared: &Shared, files: &Files<S::Config>, source: &SourceMetrics) {
    let address = S::address(&files.config);
    let mut ear = Ear::new(shared, files, S::WITNESS);
    let mut memory = Memory::default();
    ear.listen_on(
        source,
        |ear| S::connect(&files.config).and_then(|switch| listen(ear, switch, &files.config, source, &mut memory)),
        |error| match S::is_refusal(error) {
            true => tracing::error!(%error, %address, "{}", S::WORDS.refused),
            false => tracing::warn!(%error, %address, "{}", S::WORDS.unheard),
        },
    );
}

/// Listens to one connection, to its end or ours.
fn listen<S: Switch>(
    ear: &mut Ear<'_>,
    mut switch: S,
    config: &S::Config,
    source: &SourceMetrics,
    memory: &mut Memory,
) -> Result<(), S::Error> {
    let shared = ear.shared;
    let relate = |call_id: &[u8], conversation: &str| shared.signalling().relate(call_id, conversation);
    let before = ear.heard;
    let mut known = false;
    let mut shown = Stopwatch::start();
    while !ear.shared.ends() {
        let heard = switch.hear(PATIENCE)?;
        let now = clock::now();
        // A time that lies ahead of ours is none that anything was heard at.
        let latest = switch.latest().filter(|latest| *latest <= now.plus_micros(AHEAD_MICROS));
        let idle = heard == Heard::Nothing;
        match heard {
            Heard::Nothing => {}
            Heard::LoggedIn => {
                tracing::info!(address = %S::address(config), "{}", S::WORDS.listening);
                ear.is_let_in(source);
            }
            Heard::Events(events) => {
                source.seen(now);
                memory.kinship.tell(events.iter().map(|event| &event.channel), relate);
                ear.apply(&events, now);
            }
            Heard::Undated => shout::<S>(ear.shared, config, &mut memory.undated),
            Heard::TooLong | Heard::Malformed => ear.shared.metrics.rejected.inc(Rejection::Malformed),
            Heard::Open(open) => {
                memory.kinship.tell(open.iter().map(|one| &one.facts), relate);
                let at = latest.unwrap_or_else(|| ear.lag.feed_time(now));
                ear.channels.resync(&open, before, at, &mut ear.updates);
                tracing::info!(channels = open.len(), running = ear.channels.running().len(), "the open channels are known");
                (known, ear.dirty, ear.changed) = (true, true, true);
            }
        }
        if known {
            ear.heard = ear.heard.max(latest);
            ear.lag.hear(latest, now);
        }
        if idle || shown.elapsed() > PATIENCE {
            shown = Stopwatch::start();
            ear.pass();
        } else if !ear.updates.is_empty() {
            ear.send();
        }
    }
    Ok(())
}

/// Events without a time cannot be metered: a switch may deliver them a minute late.
fn shout<S: Switch>(shared: &Shared, config: &S::Config, told: &mut bool) {
    shared.metrics.rejected.inc(Rejection::Undated);
    if !std::mem::replace(told, true) {
        let address = S::address(config);
        tracing::error!(%address, "{}", S::WORDS.undated);
        shared.tell(Told::SourceStopped(format!("{address}: {}", S::WORDS.undated_reason)));
    }
}

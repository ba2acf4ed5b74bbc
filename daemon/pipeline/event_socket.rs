//! The thread that listens to FreeSWITCH's event socket.
//!
//! The one invariant: all that is open is known before anything that is heard counts as a proof of life.

use super::ear::{Ear, PATIENCE};
use super::files::Files;
use super::inputs::Shared;
use super::signalling::AHEAD_MICROS;
use super::writer::Told;
use crate::calls::Witness;
use crate::clock::{self, Stopwatch};
use crate::metrics::{Rejection, SourceMetrics};
use crate::sources::freeswitch_events::Config;
use crate::sources::freeswitch_events::session::{Heard, Session, SessionError};

/// Listens to the event socket of a FreeSWITCH until told to end.
pub fn follow(shared: &Shared, files: &Files<Config>, source: &SourceMetrics) {
    let address = files.config.address;
    let mut ear = Ear::new(shared, files, Witness::FreeSwitchEvents);
    let mut undated = false;
    ear.listen_on(
        source,
        |ear| Session::connect(&files.config).and_then(|session| listen(ear, session, &files.config, source, &mut undated)),
        |error| match error {
            SessionError::Refused(_) | SessionError::Unsubscribed(_) => {
                tracing::error!(%error, %address, "an event socket does not let us in; it is tried again")
            }
            SessionError::Io(_) | SessionError::Closed | SessionError::Silent | SessionError::Frame(_) | SessionError::List(_) => {
                tracing::warn!(%error, %address, "an event socket is not heard; it is tried again, and what happens there meanwhile is not metered")
            }
        },
    );
}

/// Listens to one connection, to its end or ours.
fn listen(
    ear: &mut Ear<'_>,
    mut session: Session,
    config: &Config,
    source: &SourceMetrics,
    undated: &mut bool,
) -> Result<(), SessionError> {
    let before = ear.heard;
    let mut known = false;
    let mut shown = Stopwatch::start();
    while !ear.shared.ends() {
        let heard = session.hear(PATIENCE)?;
        let now = clock::now();
        // A time that lies ahead of ours is none that anything was heard at.
        let latest = session.latest().filter(|latest| *latest <= now.plus_micros(AHEAD_MICROS));
        let idle = heard == Heard::Nothing;
        match heard {
            Heard::Nothing => {}
            Heard::LoggedIn => {
                tracing::info!(address = %config.address, "listening to an event socket");
                ear.is_let_in(source);
            }
            Heard::Events(events) => {
                source.seen(now);
                ear.apply(&events, now);
            }
            Heard::Undated => shout(ear.shared, config, undated),
            Heard::TooLong | Heard::Malformed => ear.shared.metrics.rejected.inc(Rejection::Malformed),
            Heard::Open(open) => {
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
fn shout(shared: &Shared, config: &Config, told: &mut bool) {
    shared.metrics.rejected.inc(Rejection::Undated);
    if !*told {
        *told = true;
        let address = config.address;
        tracing::error!(%address, "events of an event socket have no Event-Date-Timestamp and are not metered; is this FreeSWITCH?");
        shared.tell(Told::SourceStopped(format!("{address}: events have no Event-Date-Timestamp")));
    }
}

//! The thread that listens to a switch's manager interface.
//!
//! The one invariant: all that is open is known before anything that is heard counts as a proof of life.

use super::ear::{Ear, PATIENCE};
use super::files::Files;
use super::inputs::Shared;
use super::kinship::Kinship;
use super::writer::Told;
use crate::calls::Witness;
use crate::clock::{self, Stopwatch};
use crate::metrics::{Rejection, SourceMetrics};
use crate::sources::asterisk_ami::Config;
use crate::sources::asterisk_ami::session::{Heard, Session, SessionError};

/// Listens to the manager interface of a switch until told to end.
pub fn follow(shared: &Shared, files: &Files<Config>, source: &SourceMetrics) {
    let address = files.config.address;
    let mut ear = Ear::new(shared, files, Witness::AsteriskAmi);
    let (mut undated, mut kinship) = (false, Kinship::default());
    ear.listen_on(
        source,
        |ear| Session::connect(&files.config).and_then(|session| listen(ear, session, &files.config, source, (&mut undated, &mut kinship))),
        |error| match error {
            SessionError::Refused(_) | SessionError::Tls(_) => {
                tracing::error!(%error, %address, "a manager interface does not let us in; it is tried again")
            }
            SessionError::Io(_) | SessionError::Closed | SessionError::Silent | SessionError::TooMany => {
                tracing::warn!(%error, %address, "a manager interface is not heard; it is tried again, and what happens there meanwhile is not metered")
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
    (undated, kinship): (&mut bool, &mut Kinship),
) -> Result<(), SessionError> {
    let before = ear.heard;
    let mut known = false;
    let mut shown = Stopwatch::start();
    while !ear.shared.ends() {
        let heard = session.hear(PATIENCE)?;
        let now = clock::now();
        let idle = heard == Heard::Nothing;
        match heard {
            Heard::Nothing => {}
            Heard::LoggedIn => {
                tracing::info!(address = %config.address, "listening to a manager interface");
                ear.is_let_in(source);
            }
            Heard::Events(events) => {
                source.seen(now);
                kinship.tell(ear.shared, events.iter().map(|event| &event.channel));
                ear.apply(&events, now);
            }
            Heard::Undated => shout(ear.shared, config, undated),
            Heard::TooLong => ear.shared.metrics.rejected.inc(Rejection::Malformed),
            Heard::Open(open) => {
                kinship.tell(ear.shared, open.iter().map(|one| &one.facts));
                let at = session.latest().unwrap_or_else(|| ear.lag.feed_time(now));
                ear.channels.resync(&open, before, at, &mut ear.updates);
                tracing::info!(channels = open.len(), running = ear.channels.running().len(), "the open channels are known");
                (known, ear.dirty, ear.changed) = (true, true, true);
            }
        }
        if known {
            ear.heard = ear.heard.max(session.latest());
            ear.lag.hear(session.latest(), now);
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
        tracing::error!(%address, "events of a manager interface have no Timestamp and are not metered; set timestampevents = yes in manager.conf");
        shared.tell(Told::SourceStopped(format!("{address}: events have no Timestamp; set timestampevents = yes in manager.conf")));
    }
}

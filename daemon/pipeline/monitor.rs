//! The thread that listens to a box's call monitor.
//!
//! The one invariant: after every line what is open is kept with what came of it, for the monitor says nothing twice.

use super::ear::{Ear, PATIENCE};
use super::files::Files;
use super::inputs::Shared;
use crate::calls::Witness;
use crate::clock;
use crate::metrics::{Rejection, SourceMetrics, Unmetered};
use crate::sources::fritzbox::Config;
use crate::sources::fritzbox::monitor::{HearError, Heard, Monitor};
use crate::sources::fritzbox::session::{Session, SessionError};
use crate::sources::tail::line::Framed;

/// Which complaints of a source were told.
#[derive(Default)]
struct Told {
    clock: bool,
    line: bool,
}

/// Listens to the call monitor of a box until told to end.
pub fn follow(shared: &Shared, files: &Files<Config>, source: &SourceMetrics) {
    let address = files.config.address;
    let mut ear = Ear::new(shared, files, Witness::FritzBox);
    let mut monitor = Monitor::resume(files.config.zone, ear.channels.open());
    let mut told = Told::default();
    ear.listen_on(
        source,
        |ear| Session::connect(address).and_then(|session| listen(ear, session, &files.config, &mut monitor, source, &mut told)),
        |error| tracing::warn!(%error, %address, "a call monitor is not heard; it is tried again, and what happens there meanwhile is not metered"),
    );
}

/// Listens to one connection, to its end or ours.
fn listen(
    ear: &mut Ear<'_>,
    mut session: Session,
    config: &Config,
    monitor: &mut Monitor,
    source: &SourceMetrics,
    told: &mut Told,
) -> Result<(), SessionError> {
    monitor.doubt(ear.heard);
    tracing::info!(address = %config.address, open = ear.channels.running().len(), "listening to a call monitor");
    ear.is_let_in(source);
    while !ear.shared.ends() {
        let any = session.hear(PATIENCE, |piece| take(ear, piece, config, monitor, source, told));
        match any {
            Ok(true) => ear.keep_at_once(),
            Ok(false) => {}
            Err(error) => {
                if matches!(error, SessionError::Closed) && ear.heard.is_some() {
                    // It had nothing more to say: whoever talked did so until now.
                    ear.heard = ear.heard.max(Some(ear.lag.feed_time(clock::now())));
                    ear.keep_at_once();
                }
                ear.pass();
                return Err(error);
            }
        }
        ear.pass();
    }
    Ok(())
}

fn take(ear: &mut Ear<'_>, piece: Framed<'_>, config: &Config, monitor: &mut Monitor, source: &SourceMetrics, told: &mut Told) {
    let metrics = &ear.shared.metrics;
    let line = match piece {
        Framed::Record(line) if line.trim_ascii().is_empty() => return,
        Framed::Record(line) => line,
        Framed::Broken(_) => return metrics.rejected.inc(Rejection::Malformed),
    };
    let now = clock::now();
    match monitor.hear(line, Some(now)) {
        Ok(Heard { at, events, orphan }) => {
            if std::mem::take(&mut told.clock) {
                tracing::info!(address = %config.address, "the times of a call monitor are right again");
            }
            source.up();
            source.seen(now);
            if orphan {
                metrics.unmetered_calls.inc(Unmetered::Orphan);
            }
            ear.heard = ear.heard.max(Some(at));
            ear.lag.hear(Some(at), now);
            ear.apply(&events, now);
        }
        Err(error @ (HearError::Clock(_) | HearError::Skipped(_))) => {
            metrics.rejected.inc(Rejection::Undated);
            if !std::mem::replace(&mut told.clock, true) {
                source.stopped();
                tracing::error!(address = %config.address, %error, "lines of a call monitor have a wrong time and are not metered");
            }
        }
        Err(HearError::Full) => metrics.rejected.inc(Rejection::TableFull),
        Err(HearError::Line(error)) => {
            metrics.rejected.inc(Rejection::Malformed);
            if !std::mem::replace(&mut told.line, true) {
                tracing::warn!(address = %config.address, %error, "a line of a call monitor was set aside; more of them are only counted");
            }
        }
    }
}

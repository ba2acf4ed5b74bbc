//! The daemon: opens everything, starts the threads, answers signals, and drains in the order of the data.

use super::books::Books;
use super::catalogue::InForce;
use super::duties;
use super::events::{self, channels_key};
use super::files::{self, Files, Kept};
use super::inbox;
use super::inputs::{self, HepServer, Shared};
use super::manager;
use super::monitor;
use super::posted::{self, Posting};
use super::record_files::FileConfig;
use super::replay::records_key;
use super::roles::Roles;
use super::schedule::Schedule;
use super::signalling::Signalling;
use super::taps::{self, Watch};
use super::writer::{Told, Writer};
use crate::calls::Directory;
use crate::clock;
use crate::export::Settings;
use crate::http::{self, Guard, HttpState, Limits, View};
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::{Metrics, SourceKind};
use crate::sources::hep::Receiver;
use crate::sources::{asterisk_ami, asterisk_cel, freeswitch_events, fritzbox};
use crate::tariff::Period;
use crate::units::{CallId, KeyedState};
use chrono::NaiveTime;
use chrono_tz::Tz;
use sd_notify::NotifyState;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// So much may wait for the writer before the inputs wait too.
const QUEUE: usize = 16_384;
/// How long the drain may take before it is given up; systemd waits longer.
const GRACE: Duration = Duration::from_secs(30);

/// An input, checked and opened.
pub enum Input {
    /// A HEP port that is bound already.
    Hep(Receiver),
    /// A HEP port that agents connect to, bound already.
    HepServer(HepServer),
    /// A network interface, open if it could be.
    Capture(Watch),
    /// The files of a switch: its number among the sources, and how they are read.
    Files(usize, FileConfig),
    /// Records that are posted, or lie in a spool.
    Posted(Box<Posting>),
    /// The channel event log of a switch, likewise.
    Events(usize, asterisk_cel::Config),
    /// The manager interface of a switch.
    Manager(usize, asterisk_ami::Config),
    /// The call monitor of a box.
    Monitor(usize, fritzbox::Config),
    /// The event socket of a FreeSWITCH.
    EventSocket(usize, freeswitch_events::Config),
}

/// Everything the daemon starts with.
pub struct Start {
    /// The ledger, open for writing.
    pub ledger: Ledger,
    /// Tariffs, contracts, directory.
    pub in_force: Arc<InForce>,
    /// What is read.
    pub inputs: Vec<Input>,
    /// What each of them is there for.
    pub roles: Roles,
    /// Where HTTP listens, and whom it lets in.
    pub http: (SocketAddr, Guard),
    /// Where exports go.
    pub export: Option<Settings>,
    /// When each night.
    pub export_at: Option<(NaiveTime, Tz)>,
    /// How long after its end a month closes.
    pub close_after: Period,
    /// How long numbers are kept.
    pub keep: Period,
    /// So many digits are not shown over HTTP.
    pub mask_digits: u8,
    /// Legs followed at most.
    pub max_legs: usize,
    /// The key of hash tables.
    pub key: KeyedState,
    /// Reads the configuration anew: on SIGHUP.
    pub reload: Box<dyn Fn() -> Result<Arc<InForce>, String> + Send>,
}

/// Why the daemon could not start or end well.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A socket, a signal or a thread.
    #[error("{what}")]
    Io {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The writer ended by a panic: its evidence is in the ledger up to the last commit.
    #[error("the writer ended unexpectedly; what was committed is safe, running calls resume at the next start")]
    Writer,
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> LiveError {
    let what = what.into();
    move |source| LiveError::Io { what, source }
}

/// Runs until SIGTERM or SIGINT; then sources stop, queues empty, the ledger closes last.
///
/// # Errors
/// When something cannot be opened, or what was left could not be written.
pub fn run(start: Start) -> Result<(), LiveError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(io_error("the runtime"))?;
    runtime.block_on(live(start))
}

async fn live(start: Start) -> Result<(), LiveError> {
    // Before anything else: a signal that comes while we start must not kill us.
    let mut signals = Signals::listen()?;
    let Start { ledger, in_force, inputs, http, export, export_at, close_after, keep, mask_digits, max_legs, key, reload, roles } = start;
    let metrics = Metrics::new();
    let now = clock::now();
    let (signalling, kept) = restore(&ledger, &in_force, max_legs, key, &inputs)?;
    let path = ledger.path().to_owned();
    if let Err(error) = inbox::prepare(&path) {
        tracing::warn!(path = %inbox::folder(&path).display(), %error, "the folder of requests cannot be made; calls cannot be assigned or decided while the daemon runs");
    }
    let exported = duties::last_export(&ledger)?;
    if let Some((at, entry)) = exported {
        metrics.exported(at, entry);
    }
    let books = Books::open(ledger, Arc::clone(&in_force))?;
    let (view, viewer) = watch::channel(Arc::new(View::starting(now)));
    let (sender, receiver) = sync_channel(QUEUE);
    let shared = Shared {
        signalling: Arc::new(Mutex::new(signalling)),
        writer: sender,
        metrics: metrics.clone(),
        beside: Arc::default(),
        agents: Arc::default(),
        roles: Arc::new(roles),
        stop: Arc::new(AtomicBool::new(false)),
    };
    let heartbeat = Arc::new(AtomicU64::new(0));
    let writer = Writer {
        books,
        signalling: Arc::clone(&shared.signalling),
        beside: Arc::clone(&shared.beside),
        metrics: metrics.clone(),
        view,
        schedule: Schedule::new(in_force.zone(), close_after, keep, export_at, exported.map(|(at, _)| at), now),
        export,
        ledger: path,
        mask_digits,
        heartbeat: Arc::clone(&heartbeat),
    };
    let (http, guard) = http;
    let listener = tokio::net::TcpListener::bind(http).await.map_err(io_error(format!("http.listen {http}")))?;
    let address = listener.local_addr().map_err(io_error("http.listen"))?;
    let (quit, quitting) = watch::channel(false);
    let limits = Limits::default();
    let state = HttpState { metrics: metrics.clone(), view: viewer };
    let server = tokio::spawn(http::serve(listener, state, guard, limits, told(quitting.clone())));
    let writing = spawn("writer", move || writer.run(&receiver))?;
    let directory = Arc::new(Mutex::new(in_force.directory().clone()));
    let reading = start_inputs(&shared, inputs, kept, &directory, &quitting)?;
    metrics.config_accepted(now);
    tracing::info!(sources = reading.len(), http = %address, "metering");
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("metering")]);
    let watchdog = tokio::spawn(watchdog(Arc::clone(&heartbeat), quitting.clone()));
    signals.answer(&shared, &metrics, &directory, max_legs, key, reload.as_ref()).await;

    let _ = sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    tracing::info!("ending: sources stop, queues empty, the ledger closes last");
    shared.stop.store(true, Ordering::Relaxed);
    let drained = tokio::time::timeout(GRACE, tokio::task::spawn_blocking(move || drain(&shared, reading, writing))).await;
    let _ = quit.send(true);
    let _ = tokio::join!(server, watchdog);
    match drained {
        Ok(Ok(Ok(Ok(())))) => {
            tracing::info!("drained and closed the ledger");
            Ok(())
        }
        Ok(Ok(Ok(Err(error)))) => Err(error.into()),
        Ok(_) => Err(LiveError::Writer),
        Err(_) => {
            tracing::warn!(grace_seconds = GRACE.as_secs(), "not drained in time; open calls resume from the ledger");
            Ok(())
        }
    }
}

/// Sources end first, then their last snapshot, then the writer.
fn drain(
    shared: &Shared,
    reading: Vec<JoinHandle<()>>,
    writing: JoinHandle<Result<(), LedgerError>>,
) -> std::thread::Result<Result<(), LedgerError>> {
    for thread in reading {
        if thread.join().is_err() {
            tracing::error!("an input ended unexpectedly");
        }
    }
    inputs::conclude(shared);
    inputs::last_snapshot(shared);
    let _ = shared.writer.send(Told::End);
    writing.join()
}

async fn told(mut quitting: watch::Receiver<bool>) {
    // When the sender is gone it is time to go, too.
    let _ = quitting.wait_for(|quit| *quit).await;
}

/// Tells systemd that the writer lives, as long as it does.
async fn watchdog(heartbeat: Arc<AtomicU64>, quitting: watch::Receiver<bool>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return told(quitting).await;
    };
    let mut last = None;
    loop {
        tokio::select! {
            () = told(quitting.clone()) => return,
            () = tokio::time::sleep(within / 3) => {}
        }
        let beat = heartbeat.load(Ordering::Relaxed);
        if last.replace(beat) != Some(beat) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}

/// The state that was kept when the daemon last ran, and running calls that it does not know.
fn restore(
    ledger: &Ledger,
    in_force: &InForce,
    max_legs: usize,
    key: KeyedState,
    inputs: &[Input],
) -> Result<(Signalling, Kept), LiveError> {
    let directory = in_force.directory().clone();
    let files = files::kept_of(
        ledger,
        inputs.iter().filter_map(|input| match input {
            Input::Hep(_) | Input::HepServer(_) | Input::Capture(_) => None,
            Input::Files(place, _) => Some((*place, records_key(*place))),
            Input::Posted(posting) => Some((posting.place, records_key(posting.place))),
            Input::Events(place, _) | Input::Manager(place, _) | Input::EventSocket(place, _) | Input::Monitor(place, _) => {
                Some((*place, channels_key(*place)))
            }
        }),
    )?;
    let mut followed: BTreeSet<CallId> = BTreeSet::new();
    for input in inputs {
        let (Input::Events(place, _) | Input::Manager(place, _) | Input::EventSocket(place, _) | Input::Monitor(place, _)) = input else {
            continue;
        };
        let state = files.iter().find(|(known, ..)| known == place).and_then(|(_, state, _)| state.as_deref());
        if let Some(channels) = state.and_then(|body| events::restore(&directory, body)) {
            // These go on where they were begun.
            followed.extend(channels.running().into_iter().map(|call| call.id));
        }
    }
    let signalling = Signalling::restore(ledger, directory, max_legs, key, |call| followed.contains(&call.id))?;
    Ok((signalling, files))
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, LiveError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(io_error(format!("the thread of the {name}")))
}

fn start_inputs(
    shared: &Shared,
    inputs: Vec<Input>,
    mut kept: Kept,
    directory: &Arc<Mutex<Directory>>,
    quitting: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, LiveError> {
    let mut threads = Vec::with_capacity(inputs.len());
    for (number, input) in (1u16..).zip(inputs) {
        let shared = shared.clone();
        threads.push(match input {
            Input::Hep(receiver) => {
                let source = shared.metrics.source(SourceKind::Hep, number);
                tracing::info!(address = %receiver.local_addr(), "listening for HEP");
                spawn("hep", move || inputs::hep(&shared, receiver, &source))?
            }
            Input::HepServer(server) => {
                let source = shared.metrics.source(SourceKind::Hep, number);
                tracing::info!(address = %server.listener.local_addr(), "listening for HEP");
                spawn("hep", move || inputs::hep_server(&shared, server, &source))?
            }
            Input::Capture(watch) => {
                let source = shared.metrics.source(SourceKind::Capture, number);
                spawn("capture", move || taps::watch(&shared, watch, &source))?
            }
            Input::Files(place, config) => {
                let source = shared.metrics.source(config.kind(), number);
                tracing::info!(path = %config.path().display(), "following a file of records");
                let files = Files::with_kept(&mut kept, place, config, directory);
                spawn("records", move || files::follow(&shared, &files, &source))?
            }
            Input::Posted(posting) => {
                let source = shared.metrics.source(SourceKind::FreeSwitch, number);
                let Posting { place, config, port, after } = *posting;
                let records = posted::open(port, told(quitting.clone())).map_err(io_error("source.listen"))?;
                let files = Files::with_kept(&mut kept, place, config, directory);
                spawn("records", move || posted::take(&shared, &files, &records, after, &source))?
            }
            Input::Events(place, config) => {
                let source = shared.metrics.source(SourceKind::AsteriskCel, number);
                tracing::info!(path = %config.path.display(), "following a channel event log");
                let files = Files::with_kept(&mut kept, place, config, directory);
                spawn("events", move || events::follow(&shared, &files, &source))?
            }
            Input::Manager(place, config) => {
                let source = shared.metrics.source(SourceKind::AsteriskAmi, number);
                let files = Files::with_kept(&mut kept, place, config, directory);
                spawn("manager", move || manager::follow::<asterisk_ami::session::Session>(&shared, &files, &source))?
            }
            Input::EventSocket(place, config) => {
                let source = shared.metrics.source(SourceKind::FreeSwitchEvents, number);
                let files = Files::with_kept(&mut kept, place, config, directory);
                spawn("event socket", move || manager::follow::<freeswitch_events::session::Session>(&shared, &files, &source))?
            }
            Input::Monitor(place, config) => {
                let source = shared.metrics.source(SourceKind::FritzBox, number);
                let files = Files::with_kept(&mut kept, place, config, directory);
                spawn("monitor", move || monitor::follow(&shared, &files, &source))?
            }
        });
    }
    Ok(threads)
}

/// The signals we answer.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, LiveError> {
        let listen = |kind| signal(kind).map_err(io_error("signals"));
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())?, hang_up: listen(SignalKind::hangup())? })
    }

    /// Answers SIGHUP until SIGTERM or SIGINT comes.
    async fn answer(
        &mut self,
        shared: &Shared,
        metrics: &Metrics,
        directory: &Mutex<Directory>,
        max_legs: usize,
        key: KeyedState,
        reload: &(dyn Fn() -> Result<Arc<InForce>, String> + Send),
    ) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {}
            }
            let _ = sd_notify::notify(&[NotifyState::Reloading]);
            match reload() {
                Ok(in_force) => {
                    take_directory(shared, directory, &in_force, max_legs, key);
                    if shared.writer.send(Told::Reload(in_force)).is_ok() {
                        metrics.config_accepted(clock::now());
                    }
                }
                Err(problems) => {
                    metrics.config_refused();
                    tracing::error!(%problems, "the new configuration is refused whole; the old one stays in force");
                }
            }
            let _ = sd_notify::notify(&[NotifyState::Ready]);
        }
    }
}

fn take_directory(shared: &Shared, directory: &Mutex<Directory>, in_force: &InForce, max_legs: usize, key: KeyedState) {
    *directory.lock().unwrap_or_else(PoisonError::into_inner) = in_force.directory().clone();
    let mut signalling = shared.signalling.lock().unwrap_or_else(PoisonError::into_inner);
    if signalling.reconfigure(in_force.directory().clone(), max_legs, key).is_err() {
        tracing::error!("the new hotlines and agents could not be taken; they count from the next start");
    }
}

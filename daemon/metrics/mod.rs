//! Every counter and gauge in one list, with help text and unit.
//!
//! Names are `taktd_<what>_<unit>`, in base units; counters end in `_total`. The one invariant: a label's value comes from
//! an enum (or is the place of a `[[source]]` in the configuration, or the number of one of a few capture agents), so no phone
//! number, contract or Call-ID ever gets onto the page and its length has a bound. The page is the Prometheus text format, version 0.0.4.

mod by;
mod labels;

pub use by::{By, ByTwo, Growth};
pub use labels::{CallOutcome, ConnectionEnd, EntryKind, HepOutcome, Label, MessageKind, Rejection, RunningState, SourceKind, Unmetered};

use crate::units::{Direction, Timestamp};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The media type of [`Metrics::encode`]; Prometheus 3 insists on one.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds, in seconds, of the commit histogram: from a flush to memory up to a disk that hangs.
const COMMIT_SECONDS: &[f64] = &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The list. A clone is a handle to the same numbers; counting takes no lock and looks nothing up.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    source_up: IntGaugeVec,
    source_last_seen: GaugeVec,
    hep_clock_offset: GaugeVec,
    /// SIP messages read, by method or class of status.
    pub sip_messages: By<MessageKind, IntCounter>,
    /// Observations and rows set aside, by reason.
    pub rejected: By<Rejection, IntCounter>,
    /// HEP frames received, by what became of them.
    pub hep_frames: By<HepOutcome, IntCounter>,
    /// Connections of HEP agents that are open now.
    pub hep_connections: IntGauge,
    /// Connections of HEP agents that ended, by why.
    pub hep_connections_ended: By<ConnectionEnd, IntCounter>,
    /// Datagrams and packets that the kernel dropped because our buffer was full.
    pub socket_drops: IntCounter,
    /// Times that records of a file may have gone unread.
    pub file_gaps: IntCounter,
    /// Legs followed now.
    pub legs_open: IntGauge,
    /// SIP dialogs followed now.
    pub dialogs_open: IntGauge,
    /// Metered calls running now.
    pub calls_running: By<RunningState, IntGauge>,
    /// Calls that ended and were settled, by direction and what became of them when they were first settled.
    pub calls: ByTwo<Direction, CallOutcome>,
    /// Calls that make no record.
    pub unmetered_calls: By<Unmetered, IntCounter>,
    /// Seconds of talk of the ended calls.
    pub talk_seconds: IntCounter,
    /// Entries written to the ledger.
    pub entries: By<EntryKind, IntCounter>,
    /// Rows of evidence journaled.
    pub evidence_rows: IntCounter,
    /// Numbers that were anonymised.
    pub numbers_forgotten: IntCounter,
    /// 1 while forgotten numbers may still stand in the ledger's file, else 0.
    pub numbers_unswept: IntGauge,
    /// How long commits take.
    pub commit_seconds: Histogram,
    /// Commits that failed.
    pub commit_failures: IntCounter,
    /// The sequence number of the ledger's last entry.
    pub ledger_sequence: IntGauge,
    ledger_time: Gauge,
    /// Requests over HTTP without the token.
    pub http_unauthorised: IntCounter,
    /// 1 when calls are metered and reach the ledger, else 0.
    pub ready: IntGauge,
    reload_ok: IntGauge,
    reload_time: Gauge,
    export_time: Gauge,
    export_sequence: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A list of its own, with every number at zero.
    #[must_use]
    pub fn new() -> Self {
        let list = List(Registry::new());
        list.gauge_vec("taktd_build_info", "Always 1; the label names the version that runs.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            source_up: list.gauge_vec("taktd_source_up", "1 while a source is read, 0 once it has stopped.", &["kind", "source"]),
            source_last_seen: list.register(GaugeVec::new(
                Opts::new("taktd_source_last_seen_timestamp_seconds", "When a source last yielded something; Unix time in seconds."),
                &["kind", "source"],
            )),
            hep_clock_offset: list.register(GaugeVec::new(
                Opts::new(
                    "taktd_hep_clock_offset_seconds",
                    "By how much the clock of a capture agent is ahead of another's, by messages that both report; in seconds.",
                ),
                &["agent", "beside"],
            )),
            sip_messages: list.counters("taktd_sip_messages_total", "SIP messages read, by method or class of status."),
            rejected: list.counters("taktd_rejected_total", "Observations and rows of files set aside, by reason."),
            hep_frames: list.counters("taktd_hep_frames_total", "HEP frames received, by what became of them."),
            hep_connections: list.gauge("taktd_hep_connections_open", "Connections (TCP, TLS) of HEP agents that are open now."),
            hep_connections_ended: list.counters("taktd_hep_connections_ended_total", "Connections of HEP agents that ended, by why."),
            socket_drops: list.counter(
                "taktd_socket_drops_total",
                "Datagrams and packets that the kernel dropped because our buffer was full: metering may be incomplete.",
            ),
            file_gaps: list.counter(
                "taktd_file_gaps_total",
                "Times that a file of records was emptied or replaced and no file beside it held what was read before: records may be missing.",
            ),
            legs_open: list.gauge("taktd_legs_open", "Legs that are followed now."),
            dialogs_open: list.gauge("taktd_dialogs_open", "SIP dialogs that are followed now."),
            calls_running: list.gauges("taktd_calls_running", "Metered calls that run now, by what they do."),
            calls: ByTwo::counters(&list.counter_vec(
                "taktd_calls_total",
                "Ended calls, by direction and what became of them when they were first settled.",
                &[Direction::NAME, CallOutcome::NAME],
            )),
            unmetered_calls: list.counters("taktd_unmetered_calls_total", "Calls that make no record, by reason."),
            talk_seconds: list.counter("taktd_talk_seconds_total", "Talk of the ended calls, in seconds."),
            entries: list.counters("taktd_ledger_entries_total", "Entries written to the ledger, by kind."),
            evidence_rows: list.counter("taktd_ledger_evidence_rows_total", "Rows of evidence written to the ledger."),
            numbers_forgotten: list.counter("taktd_privacy_numbers_forgotten_total", "Phone numbers that were anonymised since the start."),
            numbers_unswept: list.gauge(
                "taktd_privacy_wipe_pending",
                "1 while numbers that were anonymised may still stand in deleted pages of the ledger's file, else 0.",
            ),
            commit_seconds: list.register(Histogram::with_opts(
                HistogramOpts::new("taktd_ledger_commit_seconds", "How long commits take, until they are on disk; in seconds.")
                    .buckets(COMMIT_SECONDS.to_vec()),
            )),
            commit_failures: list.counter("taktd_ledger_commit_failures_total", "Commits that failed: what they held is not on disk."),
            ledger_sequence: list.gauge("taktd_ledger_last_sequence", "The sequence number of the ledger's last entry."),
            ledger_time: list.gauge_f64(
                "taktd_ledger_timestamp_seconds",
                "The ledger's own time, up to which deadlines and fees are settled; Unix time in seconds.",
            ),
            http_unauthorised: list.counter("taktd_http_unauthorised_total", "Requests to the HTTP port without the token."),
            ready: list.gauge("taktd_ready", "1 when calls are metered and reach the ledger, else 0."),
            reload_ok: list.gauge("taktd_config_reload_success", "1 when the last configuration read was accepted, 0 when it was refused."),
            reload_time: list.gauge_f64(
                "taktd_config_reload_success_timestamp_seconds",
                "When the configuration in force was read; Unix time in seconds.",
            ),
            export_time: list.gauge_f64(
                "taktd_export_success_timestamp_seconds",
                "When an export last succeeded, or found nothing new; Unix time in seconds.",
            ),
            export_sequence: list.gauge("taktd_export_last_sequence", "The last sequence number that was exported."),
            registry: list.0,
        }
    }

    /// The handle of a source: its kind and its place among the `[[source]]` tables, from 1. It is down until it says it is up.
    #[must_use]
    pub fn source(&self, kind: SourceKind, place: u16) -> SourceMetrics {
        let place = place.to_string();
        let labels = [kind.word(), place.as_str()];
        SourceMetrics { up: self.source_up.with_label_values(&labels), last_seen: self.source_last_seen.with_label_values(&labels) }
    }

    /// Forgets the sources, before a reload names them anew: one that is gone must not look stopped.
    pub fn forget_sources(&self) {
        self.source_up.reset();
        self.source_last_seen.reset();
    }

    /// The clock of a capture agent is so far ahead of another's, in microseconds: both by their numbers, of at most
    /// [`crate::sources::hep::agents::MOST`] agents.
    pub fn hep_clocks_apart(&self, agent: u32, beside: u32, micros: i64) {
        let labels = [agent.to_string(), beside.to_string()];
        self.hep_clock_offset.with_label_values(&labels).set(micros as f64 / 1e6);
    }

    /// The ledger's time has moved here.
    pub fn ledger_time_is(&self, time: Timestamp) {
        self.ledger_time.set(unix_seconds(time));
    }

    /// A configuration was read and is in force.
    pub fn config_accepted(&self, now: Timestamp) {
        self.reload_ok.set(1);
        self.reload_time.set(unix_seconds(now));
    }

    /// A configuration was read and refused; the old one stays in force.
    pub fn config_refused(&self) {
        self.reload_ok.set(0);
    }

    /// An export ended well, with this as the last sequence number exported so far.
    pub fn exported(&self, now: Timestamp, last_sequence: u64) {
        self.export_time.set(unix_seconds(now));
        self.export_sequence.set(i64::try_from(last_sequence).unwrap_or(i64::MAX));
    }

    /// The page, in the format of [`CONTENT_TYPE`], sorted by name.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // It fails only where a metric has no samples or a name is not one, and neither is true of this list.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut page) {
            tracing::warn!(%error, "the metrics page is incomplete");
        }
        page
    }
}

/// What is told about one source.
#[derive(Clone, Debug)]
pub struct SourceMetrics {
    up: IntGauge,
    last_seen: Gauge,
}

impl SourceMetrics {
    /// The source is read.
    pub fn up(&self) {
        self.up.set(1);
    }

    /// The source has stopped.
    pub fn stopped(&self) {
        self.up.set(0);
    }

    /// It yielded something now, by our clock.
    pub fn seen(&self, now: Timestamp) {
        self.last_seen.set(unix_seconds(now));
    }
}

/// Registers each metric as it is made.
struct List(Registry);

impl List {
    fn register<M: Collector + Clone + 'static>(&self, made: prometheus::Result<M>) -> M {
        let metric = made.expect("the names and labels in this list are valid");
        self.0.register(Box::new(metric.clone())).expect("the list has each name once");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    fn gauge_f64(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::new(name, help))
    }

    fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn counters<L: Label>(&self, name: &str, help: &str) -> By<L, IntCounter> {
        By::<L, IntCounter>::counters(&self.counter_vec(name, help, &[L::NAME]))
    }

    fn gauges<L: Label>(&self, name: &str, help: &str) -> By<L, IntGauge> {
        By::<L, IntGauge>::gauges(&self.gauge_vec(name, help, &[L::NAME]))
    }
}

/// Prometheus counts time in seconds since 1970, as floating point; a double keeps microseconds until the year 2255.
fn unix_seconds(time: Timestamp) -> f64 {
    time.micros() as f64 / 1e6
}

//! The metrics page as Prometheus sees it, and the rules that read it.

use crate::tools;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use taktd::metrics::{CallOutcome, EntryKind, HepOutcome, MessageKind, Metrics, Rejection, RunningState, SourceKind, Unmetered};
use taktd::units::{Direction, Timestamp};

/// A list in which every metric has been touched.
fn used() -> Metrics {
    let metrics = Metrics::new();
    let now = Timestamp::parse_rfc3339("2026-03-10T10:00:00.25Z").expect("a time");
    metrics.sip_messages.inc(MessageKind::Invite);
    metrics.rejected.inc(Rejection::Malformed);
    metrics.hep_frames.inc(HepOutcome::Accepted);
    metrics.hep_clocks_apart(2_002, 2_001, -2_500_000);
    metrics.socket_drops.inc_by(7);
    metrics.file_gaps.inc_by(3);
    metrics.calls_running.set(RunningState::Talking, 2);
    metrics.calls.inc(Direction::Out, CallOutcome::Missed);
    metrics.calls.inc(Direction::In, CallOutcome::Charged);
    metrics.unmetered_calls.inc(Unmetered::Internal);
    metrics.talk_seconds.inc_by(300);
    metrics.entries.inc(EntryKind::Reversal);
    metrics.commit_seconds.observe(0.003);
    metrics.ledger_time_is(now);
    metrics.config_accepted(now);
    metrics.exported(now, 42);
    let source = metrics.source(SourceKind::AsteriskCdr, 2);
    source.up();
    source.seen(now);
    metrics
}

#[test]
fn what_is_counted_stands_on_the_page() {
    let page = used().encode();
    for line in [
        r#"taktd_sip_messages_total{kind="invite"} 1"#,
        r#"taktd_sip_messages_total{kind="bye"} 0"#,
        r#"taktd_rejected_total{reason="malformed"} 1"#,
        r#"taktd_hep_clock_offset_seconds{agent="2002",beside="2001"} -2.5"#,
        r#"taktd_hep_frames_total{outcome="accepted"} 1"#,
        "taktd_socket_drops_total 7",
        "taktd_file_gaps_total 3",
        r#"taktd_calls_running{state="talking"} 2"#,
        r#"taktd_calls_total{direction="out",outcome="missed"} 1"#,
        r#"taktd_calls_total{direction="in",outcome="charged"} 1"#,
        r#"taktd_calls_total{direction="in",outcome="missed"} 0"#,
        "taktd_talk_seconds_total 300",
        r#"taktd_ledger_entries_total{kind="reversal"} 1"#,
        r#"taktd_ledger_commit_seconds_bucket{le="0.0025"} 0"#,
        r#"taktd_ledger_commit_seconds_bucket{le="0.005"} 1"#,
        "taktd_ledger_timestamp_seconds 1773136800.25",
        "taktd_export_last_sequence 42",
        r#"taktd_source_up{kind="asterisk-cdr",source="2"} 1"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not on the page:\n{page}");
    }
}

#[test]
fn a_source_that_is_gone_does_not_look_stopped() {
    let metrics = used();
    metrics.forget_sources();
    assert!(!metrics.encode().contains("asterisk-cdr"));
    let again = metrics.source(SourceKind::Hep, 1);
    again.up();
    again.stopped();
    assert!(metrics.encode().contains(r#"taktd_source_up{kind="hep",source="1"} 0"#));
}

#[test]
fn two_lists_do_not_share_numbers() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.clone().socket_drops.inc();
    assert!(one.encode().contains("taktd_socket_drops_total 1") && other.encode().contains("taktd_socket_drops_total 0"));
}

#[test]
fn names_have_our_prefix_and_a_help_text() {
    let page = used().encode();
    let mut described = BTreeSet::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').expect("a name and a text");
        assert!(name.starts_with("taktd_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(help.len() > 15 && help.ends_with('.'), "{name}: {help}");
        assert!(described.insert(name.to_owned()), "{name} stands twice on the page");
    }
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    }
}

#[test]
fn promtool_accepts_the_page() {
    for metrics in [Metrics::new(), used()] {
        let Some(promtool) = tools::find("promtool", "prometheus") else { return };
        let mut command = Command::new(promtool);
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("promtool starts");
        child.stdin.take().expect("it is piped").write_all(metrics.encode().as_bytes()).expect("promtool reads");
        let output = child.wait_with_output().expect("promtool ends");
        let printed = tools::printed(&output);
        assert!(output.status.success() && printed.is_empty(), "promtool about the page:\n{printed}\n{}", metrics.encode());
    }
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let Some(promtool) = tools::find("promtool", "prometheus") else { return };
    let root = env!("CARGO_MANIFEST_DIR");
    for (what, file) in [("check", "config/prometheus-rules.yml"), ("test", "tests/cases/alerts.yml")] {
        let output = tools::run(Command::new(&promtool).args([what, "rules", file]).current_dir(root));
        assert!(output.status.success(), "promtool {what} rules {file}:\n{}", tools::printed(&output));
    }
}

#[test]
fn the_rules_read_only_what_is_on_the_page() {
    let rules = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/prometheus-rules.yml")).expect("the rules");
    let page = used().encode();
    let names: BTreeSet<&str> = rules
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("taktd_"))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(page.lines().any(|line| line.starts_with(name)), "{name} is in the rules, but not on the page");
    }
}

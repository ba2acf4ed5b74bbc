//! The switch's channel event log through `taktd replay --as asterisk-cel`: alone, again, in pieces, and beside other sources.

use super::{Answer, Desk, recording, same, text};
use serde_json::Value;

const FOLDERS: &[&str] = &["asterisk-16", "asterisk-22"];

impl Desk {
    fn events(&self, file: &std::path::Path) -> Answer {
        self.taktd(&["replay", "--as", "asterisk-cel", &file.display().to_string()])
    }
}

/// What a result says, without its name and without what only one kind of source can tell.
fn essence(call: &Value) -> (String, String, i64, String, String) {
    let talk = call["talk_s"].as_i64().expect("seconds");
    (
        text(call, "caller").to_owned(),
        text(call, "called").to_owned(),
        talk,
        text(call, "agent").to_owned(),
        text(call, "contract").to_owned(),
    )
}

#[test]
fn each_call_once_and_again_nothing() {
    for folder in FOLDERS {
        let desk = Desk::new();
        let file = recording(folder).join("cel.csv");
        let said = desk.events(&file).fine();
        assert!(said.contains(" 0 set aside") && said.contains("2 internal, 1 to no hotline"), "{said}");
        let (calls, export) = (desk.calls(), desk.export(&[]));
        assert_eq!(calls.len(), 40, "{folder}");
        assert!(calls.iter().all(|call| text(call, "end") == "observed"), "{folder}: each was seen to end");
        desk.verified();
        desk.events(&file).fine();
        same(&desk.calls(), &calls, &format!("{folder}: the events twice"));
        assert!(desk.export(&[]) == export, "{folder}: the events twice");
        desk.verified();
    }
}

/// A file that was cut anywhere, its parts read in order: calls under way go on from the snapshot, and no part counts twice.
#[test]
fn events_in_two_files() {
    for folder in FOLDERS {
        let rows = std::fs::read_to_string(recording(folder).join("cel.csv")).expect("there");
        let lines: Vec<&str> = rows.split_inclusive('\n').collect();
        let whole = Desk::new();
        whole.events(&recording(folder).join("cel.csv")).fine();
        let calls = whole.calls();
        let mut running = 0;
        for cut in (20..lines.len()).step_by(83) {
            let desk = Desk::new();
            let parts = [("one.csv", &lines[..cut]), ("two.csv", &lines[cut..])].map(|(name, lines)| {
                std::fs::write(desk.path(name), lines.concat()).expect("written");
                desk.path(name)
            });
            desk.events(&parts[0]).fine();
            let early = desk.calls();
            running += early.iter().filter(|call| text(call, "ended_at").is_empty()).count();
            desk.events(&parts[1]).fine();
            same(&desk.calls(), &calls, &format!("{folder}: cut after line {cut}"));
            desk.events(&parts[0]).fine();
            same(&desk.calls(), &calls, &format!("{folder}: cut after line {cut}, and the first part again"));
            desk.verified();
        }
        assert!(running > 3, "{folder}: some calls ran at the cuts: {running}");
    }
}

/// A part of a file with `--final`: what still ran is concluded at the last sign of it, marked, and corrected by the rest.
#[test]
fn a_call_that_was_cut_off_is_never_billed_beyond_its_last_sign() {
    let rows = std::fs::read_to_string(recording("asterisk-16").join("cel.csv")).expect("there");
    let lines: Vec<&str> = rows.split_inclusive('\n').collect();
    let whole = Desk::new();
    whole.events(&recording("asterisk-16").join("cel.csv")).fine();
    let calls = whole.calls();
    let mut lost = 0;
    for cut in (30..lines.len()).step_by(97) {
        let desk = Desk::new();
        std::fs::write(desk.path("cel.csv"), lines[..cut].concat()).expect("written");
        desk.taktd(&["replay", "--final", "--as", "asterisk-cel", &desk.path("cel.csv").display().to_string()]).fine();
        for call in desk.calls() {
            let Some(whole) = calls.iter().find(|whole| whole["call_id"] == call["call_id"]) else { continue };
            assert!(call["talk_s"].as_i64() <= whole["talk_s"].as_i64(), "{call} beside {whole}");
            if text(&call, "end") == "estimated" {
                lost += 1;
                assert!(call["marks"].to_string().contains("lost-party"), "{call}");
            }
        }
        desk.events(&recording("asterisk-16").join("cel.csv")).fine();
        same(&desk.calls(), &calls, &format!("cut after line {cut}, then whole"));
        desk.verified();
    }
    assert!(lost > 3, "some calls ran at the cuts: {lost}");
}

/// One conversation is one call, in whichever order its sources are read: the wire says it best, records add nothing to it.
#[test]
fn one_call_whichever_sources_report_it() {
    for folder in FOLDERS {
        let (events, capture) = (recording(folder).join("cel.csv"), recording(folder).join("sip.pcap"));
        let alone = Desk::new();
        alone.replay(&capture).fine();
        let mut expected: Vec<_> = alone.calls().iter().map(essence).collect();
        expected.sort();
        for order in ["ec", "ce", "ece", "cec"] {
            let desk = Desk::new();
            for step in order.chars() {
                if step == 'e' { desk.events(&events) } else { desk.replay(&capture) }.fine();
            }
            let mut found: Vec<_> = desk.calls().iter().map(essence).collect();
            found.sort();
            assert_eq!(found, expected, "{folder} {order}");
            desk.verified();
        }
        // The switch's two records of one channel bear one name, and the finer one stays.
        let finer = Desk::new();
        finer.events(&events).fine();
        for order in ["er", "re"] {
            let desk = Desk::new();
            for step in order.chars() {
                let csv = recording(folder).join("Master.csv").display().to_string();
                if step == 'e' { desk.events(&events) } else { desk.taktd(&["replay", "--as", "asterisk-cdr", &csv]) }.fine();
            }
            assert_eq!(desk.calls().len(), finer.calls().len(), "{folder} {order}");
            desk.verified();
        }
    }
}

//! `taktd explain`: every line of a charge with where it is written.

use super::Desk;
use serde_json::Value;

const RECORDING: &str = "tests/recordings/asterisk-16/sip.pcap";

#[test]
fn each_line_names_the_file_and_line_of_its_tariff() {
    let desk = Desk::new();
    desk.taktd(&["replay", RECORDING]).fine();
    let calls = desk.taktd(&["calls", "--from", "2026-11-21", "--json"]).fine();
    let mut explained = 0;
    for call in calls.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let id = call["call_id"].as_str().expect("a name");
        let told: Value = serde_json::from_str(&desk.taktd(&["explain", id, "--json"]).fine()).expect("JSON");
        assert_eq!(told["explained"]["in_force"], true, "{id}");
        for (line, place) in call["lines"].as_array().expect("lines").iter().zip(told["explained"]["lines"].as_array().expect("lines")) {
            let file = std::fs::read_to_string(format!("config/{}", place["file"].as_str().expect("a file"))).expect("it is there");
            let at = usize::try_from(place["line"].as_u64().expect("a line")).expect("small");
            let table = file.lines().nth(at - 1).expect("it has that line");
            let expected = if line["rule"] == "allowance" { "[[plan.allowance]]" } else { "[[plan.rate]]" };
            assert_eq!(table, expected, "{id}: {place}");
            assert!(place["begins_at"].is_string());
            explained += 1;
        }
    }
    assert!(explained >= 10, "{explained} lines");
}

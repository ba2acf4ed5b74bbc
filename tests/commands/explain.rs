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

#[test]
fn an_escalated_call_names_each_agent_with_level_and_interval() {
    let desk = Desk::new();
    desk.taktd(&["replay", RECORDING]).fine();
    let calls = desk.taktd(&["calls", "--from", "2026-11-21", "--json"]).fine();
    let calls: Vec<Value> = calls.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Passed on from a desk to the on-call mobile (A09), and nobody at all (A03).
    let with = |call: &Value| call["agents"].as_array().expect("a list").iter().map(|talk| talk["agent"].clone()).collect::<Vec<_>>();
    let escalated = calls.iter().find(|call| with(call) == ["203", "+491713920011"]).expect("the call");
    let levels: Vec<&Value> = escalated["agents"].as_array().expect("a list").iter().map(|talk| &talk["level"]).collect();
    assert_eq!((levels, &escalated["level"]), (vec![&Value::from(1), &Value::from(2)], &Value::from(2)));
    let instant = |text: &Value| text.as_str().expect("a time").parse::<chrono::DateTime<chrono::FixedOffset>>().expect("RFC 3339");
    let spans = escalated["agents"].as_array().expect("a list").iter().map(|talk| instant(&talk["to"]) - instant(&talk["from"]));
    assert_eq!(spans.sum::<chrono::TimeDelta>().num_seconds(), escalated["talk_s"].as_i64().expect("seconds"));
    assert_eq!(escalated["agents"][0]["from"], escalated["connected_at"]);
    assert!(calls.iter().any(|call| with(call).is_empty() && call["level"].is_null() && call["outcome"] == "missed"));

    let said = desk.taktd(&["explain", escalated["call_id"].as_str().expect("a name")]).fine();
    for part in [" with 203, level 1\n", " with +491713920011, level 2\n", "level     2, the highest"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

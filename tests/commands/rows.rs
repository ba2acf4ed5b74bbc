//! The rows of any switch through `taktd replay --as csv`: the examples under `config/sources/` as they ship, with files
//! written here after the documented formats.

use super::{Desk, text};
use serde_json::Value;

/// A desk whose only source is one of the examples.
pub(super) fn desk(example: &str) -> Desk {
    with(&std::fs::read_to_string(format!("config/sources/{example}")).expect("it ships"))
}

/// A desk whose only source is this.
pub(super) fn with(source: &str) -> Desk {
    let desk = Desk::by_the_minute();
    let config = std::fs::read_to_string(&desk.config).expect("written");
    let (before, rest) = config.split_once("[[source]]").expect("sources");
    let (_, after) = rest.split_once("# --- what comes out").expect("what follows");
    std::fs::write(&desk.config, format!("{before}{source}\n# {after}")).expect("written");
    let contracts = "contract_id,customer,plans,starts_on,cancelled_on,ends_on,activated_on,stations,numbers,authorised,partner\n\
                     K-1,One,minutes,2026-01-01,,,,,089 990001,,\nK-2,Two,minutes,2026-01-01,,,,,+49 89 990002,,\n";
    std::fs::write(desk.path("contracts.csv"), contracts).expect("written");
    desk
}

/// A leg as mod_json_cdr writes it; seconds after ten o'clock.
fn leg(uuid: &str, direction: &str, number: &str, answer: u64, end: u64, more: &str) -> String {
    let at = |second: u64| 1_773_133_200_000_000 + second * 1_000_000;
    format!(
        "{{\"variables\":{{\"uuid\":\"{uuid}\",\"direction\":\"{direction}\",\"start_uepoch\":\"{}\",\"answer_uepoch\":\"{}\",\
         \"end_uepoch\":\"{}\",\"caller_id_number\":\"%2B4989990001\",\"destination_number\":\"{number}\"{more}}}}}",
        at(0),
        at(answer),
        at(end)
    )
}

/// Rows that are held against FreeSWITCH's records, in either order: each source speaks for itself, in its own role.
#[test]
fn rows_are_held_against_the_records_of_another_kind() {
    let example = |name: &str| std::fs::read_to_string(format!("config/sources/{name}")).expect("it ships");
    let rows = example("3cx.toml").replace("kind = \"csv\"\n", "kind = \"csv\"\nrole = \"reconcile\"\n");
    for rows_first in [true, false] {
        let desk = with(&format!("{rows}\n{}", example("freeswitch.toml")));
        let spool = desk.path("spool");
        std::fs::create_dir(&spool).expect("made");
        std::fs::write(spool.join("a_a.cdr.json"), leg("a", "inbound", "089555010", 1, 147, "")).expect("written");
        std::fs::write(spool.join("b.cdr.json"), leg("b", "outbound", "201", 20, 147, ",\"originator\":\"a\"")).expect("written");
        let spool = spool.display().to_string();
        let mut replays = [["replay", "--as", "csv", "tests/cases/sources/3cx.log"], ["replay", "--as", "freeswitch", &spool]];
        if !rows_first {
            replays.reverse();
        }
        replays.iter().for_each(|replay| drop(desk.taktd(replay).fine()));
        let calls: Vec<String> = desk.calls().iter().map(short).collect();
        assert_eq!(
            calls,
            [
                "10:00:00 in K-1 201 wait 20 talk 127 agent",
                "10:05:00 in K-1  wait 21 talk 0 cancelled [\"reconciled\"]",
                "10:10:00 in K-2 201 wait 18 talk 100 agent [\"transfer\", \"reconciled\"]",
                "10:20:00 in   wait 35 talk 0 no answer [\"reconciled\"]",
            ]
        );
        let told = desk.taktd(&["reconcile"]).fine();
        assert!(told.contains("freeswitch and csv: talk 127 s and 135 s, wait 20 s and 12 s"), "{told}");
        assert_eq!(told.matches("only csv saw it").count(), 3, "{told}");
        desk.verified();
    }
}

/// The directory of records that FreeSWITCH could not post, read as a recording; a record that is cut off is set aside.
#[test]
fn freeswitch() {
    let desk = desk("freeswitch.toml");
    let spool = desk.path("spool");
    std::fs::create_dir(&spool).expect("made");
    let caller = leg("a", "inbound", "089555010", 1, 70, "");
    let agent = leg("b", "outbound", "201", 10, 69, ",\"originator\":\"a\"");
    std::fs::write(spool.join("a_a.cdr.json"), &caller).expect("written");
    std::fs::write(spool.join("b.cdr.json"), &agent).expect("written");
    std::fs::write(spool.join("c.cdr.json"), &agent[..50]).expect("written");
    for _ in 0..2 {
        // The caller stayed on the line for a second after the agent had gone: that is wait, too.
        let said = desk.taktd(&["replay", "--as", "freeswitch", &spool.display().to_string()]).fine();
        assert!(said.contains("1 set aside"), "{said}");
        assert_eq!(desk.calls().iter().map(short).collect::<Vec<_>>(), ["10:00:00 in K-1 201 wait 11 talk 59 agent"]);
        desk.verified();
    }
}

/// A call in short: start, direction, contract, agent, wait, talk, what talk counts from, reason, marks.
pub(super) fn short(call: &Value) -> String {
    let marks: Vec<&str> = call["marks"].as_array().expect("marks").iter().filter_map(Value::as_str).collect();
    format!(
        "{} {} {} {} wait {} talk {} {}{}{}",
        &text(call, "started_at")[11..19],
        text(call, "direction"),
        text(call, "contract"),
        text(call, "agent"),
        call["wait_s"],
        call["talk_s"],
        text(call, "billed_from"),
        if call["talk_s"] == 0 { text(call, "reason") } else { "" },
        if marks.is_empty() { String::new() } else { format!(" {marks:?}") },
    )
}

/// What a file comes to; and the same when it is read again, and in pieces with the lines of a piece read twice.
fn check(example: &str, file: &str, aside: u64, expected: &[&str]) {
    let path = format!("tests/cases/sources/{file}");
    let once = desk(example);
    let said = once.taktd(&["replay", "--as", "csv", &path]).fine();
    assert!(said.contains(&format!(" {aside} set aside")), "{said}");
    let calls = once.calls();
    assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), expected, "{example}");
    let export = once.export(&[]);
    once.verified();
    once.taktd(&["replay", "--as", "csv", &path]).fine();
    assert!(once.export(&[]) == export, "{example}: read again");
    once.verified();

    let bytes = std::fs::read(&path).expect("the file");
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect();
    let pieces = desk(example);
    let growing = pieces.path("growing.csv");
    for end in &ends {
        std::fs::write(&growing, &bytes[..*end]).expect("written");
        // The first lines alone may hold no readable row yet: that is a complaint, and no harm.
        drop(pieces.taktd(&["replay", "--as", "csv", &growing.display().to_string()]));
    }
    assert_eq!(pieces.calls().iter().map(short).collect::<Vec<_>>(), expected, "{example}: as it grew");
    pieces.verified();
}

#[test]
fn three_cx() {
    check(
        "3cx.toml",
        "3cx.log",
        1,
        &[
            "10:00:00 in K-1 201 wait 12 talk 135 agent",
            "10:05:00 in K-1  wait 21 talk 0 cancelled",
            "10:10:00 in K-2 201 wait 18 talk 100 agent [\"transfer\"]",
            "10:20:00 in   wait 35 talk 0 no answer",
        ],
    );
}

#[test]
fn swyx() {
    check(
        "swyx.toml",
        "swyx.txt",
        0,
        &[
            "11:00:00 in K-1 201 wait 41 talk 180 agent",
            "11:10:00 in   wait 31 talk 0 abandoned in queue",
            "11:20:00 in K-2 201 wait 10 talk 110 agent [\"transfer\"]",
            "23:59:50 in K-2 202 wait 8 talk 30 agent",
        ],
    );
}

#[test]
fn starface() {
    check(
        "starface.toml",
        "starface.csv",
        0,
        &[
            "12:00:00 in K-1 201 wait 30 talk 120 agent",
            "12:10:00 out K-2 201 wait 9 talk 30 agent",
            "12:20:00 in K-1  wait 20 talk 0 no answer",
        ],
    );
}

#[test]
fn avaya_ip_office() {
    check(
        "avaya-ip-office.toml",
        "avaya-ip-office.csv",
        0,
        &[
            "13:00:00 in K-1 201 wait 14 talk 90 agent",
            "13:10:00 in K-2 201 wait 15 talk 110 agent [\"transfer\"]",
            "13:20:00 in K-1  wait 25 talk 0 no answer",
            "13:30:00 in   wait 35 talk 0 no answer",
            "13:40:00 out K-1 202 wait 6 talk 60 agent",
            "18:00:00 in K-2 202 wait 9 talk 35 agent",
        ],
    );
}

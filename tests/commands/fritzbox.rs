//! Recorded lines of a call monitor through `taktd replay --as fritzbox`: as the example ships, again, and in pieces.

use super::rows::{desk, short};
use super::{Desk, text};
use std::path::Path;

const LINES: &str = "tests/cases/sources/fritzbox.txt";

const EXPECTED: [&str; 7] = [
    "10:00:00 in K-1 10 wait 20 talk 140 agent",
    "10:05:10 in K-1  wait 30 talk 0 no answer",
    "10:05:00 in K-2 11 wait 15 talk 60 agent",
    "10:10:00 in   wait 60 talk 0 no answer",
    "10:15:00 in  10 wait 5 talk 20 agent",
    "10:20:00 out K-2 11 wait 12 talk 60 agent",
    "10:30:00 in K-1 10 wait 5 talk 60 agent [\"transfer\"]",
];

fn replay(desk: &Desk, file: &Path) -> String {
    desk.taktd(&["replay", "--as", "fritzbox", &file.display().to_string()]).fine()
}

fn calls(desk: &Desk) -> Vec<String> {
    desk.calls().iter().map(short).collect()
}

#[test]
fn each_call_once_and_again_nothing() {
    let desk = desk("fritzbox.toml");
    let said = replay(&desk, Path::new(LINES));
    assert!(said.contains(" 1 set aside") && said.contains("not metered: 1 internal, 0 to no hotline, 1 legs of no call"), "{said}");
    assert_eq!(calls(&desk), EXPECTED);
    let withheld = desk.calls().into_iter().find(|call| text(call, "started_at").contains("10:15:00")).expect("one of them");
    assert_eq!((text(&withheld, "outcome"), text(&withheld, "caller")), ("unmatched", ""));
    let export = desk.export(&[]);
    desk.verified();
    replay(&desk, Path::new(LINES));
    assert!(desk.export(&[]) == export, "read again");
    desk.verified();
}

#[test]
fn lines_in_two_files_and_as_the_file_grows() {
    let text = std::fs::read_to_string(LINES).expect("there");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for cut in 1..lines.len() {
        let desk = desk("fritzbox.toml");
        for (name, lines) in [("one.txt", &lines[..cut]), ("two.txt", &lines[cut..])] {
            std::fs::write(desk.path(name), lines.concat()).expect("written");
            replay(&desk, &desk.path(name));
        }
        assert_eq!(calls(&desk), EXPECTED, "cut after line {cut}");
        replay(&desk, &desk.path("one.txt"));
        assert_eq!(calls(&desk), EXPECTED, "cut after line {cut}, and the first part again");
        desk.verified();
    }
    let growing = desk("fritzbox.toml");
    for end in 1..=lines.len() {
        std::fs::write(growing.path("growing.txt"), lines[..end].concat()).expect("written");
        replay(&growing, &growing.path("growing.txt"));
    }
    assert_eq!(calls(&growing), EXPECTED, "as it grew");
    growing.verified();
}

/// A call that runs at the end of the file, with `--final`: nothing proves more than that it was answered.
#[test]
fn a_call_without_an_end_is_not_billed_beyond_its_last_sign() {
    let desk = desk("fritzbox.toml");
    let lines = std::fs::read_to_string(LINES).expect("there");
    let first: String = lines.split_inclusive('\n').take(2).collect();
    std::fs::write(desk.path("half.txt"), first).expect("written");
    desk.taktd(&["replay", "--final", "--as", "fritzbox", &desk.path("half.txt").display().to_string()]).fine();
    assert_eq!(calls(&desk), ["10:00:00 in K-1 10 wait 20 talk 0 agent [\"lost-party\"]"]);
    replay(&desk, Path::new(LINES));
    assert_eq!(calls(&desk), EXPECTED, "the rest corrects it");
    desk.verified();
}

#[test]
fn without_a_source_of_its_kind_nobody_knows_the_zone() {
    let said = Desk::new().taktd(&["replay", "--as", "fritzbox", LINES]).failed(2);
    assert!(said.contains("--as fritzbox needs a [[source]] of that kind"), "{said}");
}

//! What README.md shows is what comes out.

use super::Desk;

#[test]
fn the_samples_of_the_readme_are_true() {
    let readme = std::fs::read_to_string("README.md").expect("it is there");
    let first = readme.lines().find_map(|line| line.strip_prefix("cargo run --release -- ")).expect("the first command");
    let words: Vec<&str> = first.split_whitespace().collect();
    assert_eq!(words[1..5], ["--config", "config/taktd.toml", "--ledger", "target/demo.db"], "{first}");
    let desk = Desk::new();
    let replayed = desk.taktd(&[words[0], words[5]]).fine();
    let samples: Vec<&str> = readme.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [table, explained] = samples.as_slice() else { panic!("README.md has {} samples", samples.len()) };
    assert!(table.lines().count() > 6);
    for line in table.lines() {
        assert!(replayed.lines().any(|said| said == line), "README.md shows, and replay does not: {line}");
    }
    let call = explained.split_whitespace().nth(1).expect("evidence of a call");
    let said = desk.taktd(&["explain", call]).fine();
    assert!(said.ends_with(explained), "README.md shows\n{explained}\nand explain says\n{said}");
}

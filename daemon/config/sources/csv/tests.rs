//! What a mapping of columns may say, and what is wrong with one.

use super::super::super::daemon;
use super::super::SourceConfig;
use super::*;
use std::path::Path;

const LEAST: &str = "path = \"calls.csv\"\ntimezone = \"Europe/Berlin\"\ndelimiter = \";\"\nheader = true\n\
                     time_format = \"%d.%m.%Y %H:%M:%S\"\n\
                     columns = { caller = \"A\", called = \"B\", started_at = \"C\", connected_at = \"D\", ended_at = \"E\" }\n";

fn config(text: &str) -> Result<Config, Vec<String>> {
    let text = format!("[catalogue]\ncountry = \"DE\"\ntariffs = [\"t.toml\"]\ncontracts = []\n[[source]]\nkind = \"csv\"\n{text}");
    let read = daemon::read(Path::new("/etc/taktd/taktd.toml"), &text);
    match read.config.map(|config| config.sources) {
        Some(sources) => match sources.into_iter().next() {
            Some(SourceConfig::Csv(config)) => Ok(*config),
            other => panic!("{other:?}"),
        },
        None => Err(read.problems.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn the_least_and_the_most() {
    let least = config(LEAST).expect("no problems");
    assert_eq!((least.path.as_path(), least.reading.talk_from), (Path::new("/etc/taktd/calls.csv"), TalkFrom::Agent));
    let most = LEAST.replace("header = true", "header = false\nnames = [\"A\", \"B\", \"C\", \"D\", \"E\", \"F\"]")
        + "encoding = \"latin1\"\nnever = [\"-\"]\nwithheld = [\"anonym\"]\nstrip = [\"Ext.\"]\nagent_prefixes = [\"E\"]\n\
           talk_from = \"answer\"\nparts = \"end-to-end\"\nduration_format = [\"hh:mm:ss\", \"s\"]\n\
           directions = { in = [\"I\"], internal = [\"X\"] }\noutcomes = { answered = [\"yes\"], no_answer = [\"no\", \"mailbox\"] }\n";
    let most = most.replace("ended_at = \"E\"", "ended_at = \"E\", talk = [\"F\", 7], direction = 8, call_id = \"F\", same_call = [\"A\"]");
    let most = config(&most).expect("no problems");
    assert_eq!(most.columns.talk, [ColumnRef::Name("F".into()), ColumnRef::Place(7)]);
    assert_eq!(
        (most.encoding, most.reading.talk_from, most.reading.lies),
        (Encoding::Windows1252, TalkFrom::Answer, Lies::AfterTheOneBefore)
    );
    assert_eq!(most.reading.outcomes.len(), 3);
}

#[test]
fn mistakes_are_named() {
    for (piece, other, expected) in [
        ("path = \"calls.csv\"", "", "source[1].path: it is missing"),
        ("Europe/Berlin", "Berlin", "there is no time zone"),
        ("delimiter = \";\"\n", "", "source[1].delimiter: it is missing"),
        ("delimiter = \";\"", "delimiter = \":\"", "is not known; write"),
        ("header = true\n", "", "source[1].header: it is missing"),
        ("header = true", "header = true\nnames = [\"A\"]", "the header has the names"),
        ("header = true", "header = false", "the file has no header; write the number"),
        ("header = true", "header = false\nnames = [\"A\"]", "is not in `names`"),
        ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y", "does not say both the date and the time"),
        ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %Q", "is no pattern of strftime"),
        ("time_format = \"%d.%m.%Y %H:%M:%S\"\n", "", "source[1].time_format: it is missing"),
        ("caller = \"A\", ", "", "`caller` is missing"),
        ("called = \"B\", ", "", "`called` is missing"),
        ("started_at = \"C\", ", "", "`started_at` is missing"),
        ("connected_at = \"D\", ", "", "`connected_at` is missing: nothing says when talk began"),
        ("connected_at = \"D\"", "talk = \"D\"", "source[1].duration_format: it is missing"),
        ("ended_at = \"E\"", "ended_at = 0", "0 is out of range"),
        ("ended_at = \"E\"", "ended_at = []", "it names none"),
        ("ended_at = \"E\"", "end = \"E\"", "there is no such key"),
        ("ended_at = \"E\"", "ended_at = \"E\", direction = \"F\"", "`directions` is missing"),
        ("ended_at = \"E\"", "ended_at = \"E\", same_call = \"F\"", "`call_id` is missing"),
        ("header = true", "header = true\nduration_format = [\"s\", \"ms\"]", "cannot be told apart"),
        ("header = true", "header = true\noutcomes = { busy = [\"x\"], failed = [\"x\"] }", "a word means one thing"),
        ("header = true", "header = true\noutcomes = { bussy = [\"x\"] }", "did you mean `busy`"),
    ] {
        assert!(LEAST.contains(piece), "{piece}");
        let problems = config(&LEAST.replace(piece, other)).expect_err(expected);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{other}: {problems:?}");
    }
    let talk = LEAST.replace("connected_at = \"D\"", "talk = \"D\"") + "duration_format = \"s\"\n";
    assert!(config(&talk).is_err_and(|problems| problems.len() == 1 && problems[0].contains("`talk_from` is missing")));
    let wait = LEAST.replace("connected_at = \"D\"", "wait = \"D\"") + "duration_format = \"s\"\ntalk_from = \"agent\"\n";
    assert!(config(&wait).is_err_and(|problems| problems.len() == 1 && problems[0].contains("which calls were answered")));
}

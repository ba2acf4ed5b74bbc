//! Wrong usage, unreadable files, ledgers that cannot be written: the exit status of design.md §9, and words that help.

use super::{Desk, YEAR, recording, same, text};
use std::process::{Command, Stdio};
use taktd::ledger::{Ledger, NumberKey};

/// Words, the exit status, and what the message has to say.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

#[track_caller]
fn check(desk: &Desk, cases: &[Case<'_>]) {
    for (words, status, says) in cases {
        let complaint = desk.taktd(words).failed(*status);
        for word in *says {
            assert!(complaint.contains(word), "{words:?} does not say {word}: {complaint}");
        }
        assert!(complaint.lines().count() < 12, "{words:?}: {complaint}");
    }
}

#[test]
fn wrong_usage() {
    let desk = Desk::new();
    desk.replay(recording("kamailio/sip.pcap")).fine();
    let quote =
        |contract, service, at, duration| ["quote", "--contract", contract, "--service", service, "--at", at, "--duration", duration];
    check(
        &desk,
        &[
            (&[], 2, &["Usage: taktd"]),
            (&["frob"], 2, &["unrecognized subcommand 'frob'"]),
            (&["replay", "--as", "siemens", "x"], 2, &["[possible values: asterisk-cdr, asterisk-cel, csv, freeswitch, fritzbox]"]),
            (&["calls", "--from", "yesterday"], 2, &["\"yesterday\" is no time", "2026-11-01"]),
            (&["calls", "--from", "2026-11-02", "--to", "2026-11-01"], 2, &["--to should be later than --from"]),
            (&["balance", "k-1001"], 2, &["no contract is named \"k-1001\"; did you mean \"K-1001\"?"]),
            (&["balance", "Huber"], 2, &["no contract is named \"Huber\"; there are \"K-1001\", "]),
            (&["assign", "x", "K-10"], 2, &["no contract is named \"K-10\""]),
            (&["assign", "zzz", "K-1001"], 1, &["no call is named \"zzz\"", "taktd calls"]),
            (&["explain", "zzz"], 1, &["no call is named \"zzz\""]),
            (&["export", "--range", "5"], 2, &["--range: \"5\" is no range; 1-5000"]),
            (&["export", "--range", "1-5", "--from", "2026-01-01"], 2, &["cannot be used with"]),
            (&quote("K-9", "support", "2026-03-10T10:00:00+01:00", "5m"), 2, &["no contract is named \"K-9\""]),
            (
                &quote("K-1001", "Support", "2026-03-10T10:00:00+01:00", "5m"),
                2,
                &["no tariff sells \"Support\"; did you mean \"support\"?"],
            ),
            (&quote("K-1001", "support", "noon", "5m"), 2, &["\"noon\" is no time"]),
            (&quote("K-1001", "support", "2026-03-10T10:00:00+01:00", "soon"), 2, &["--duration: \"soon\" is no span; 12m"]),
            (&["rate", "--calls", "config/contracts.csv"], 2, &["config/contracts.csv:1: no column is called \"contract_id\""]),
            (&["rate", "--calls", "missing.csv"], 1, &["missing.csv: cannot be opened"]),
        ],
    );
    let semicolons = desk.path("semicolons.csv").display().to_string();
    std::fs::write(&semicolons, "call_id;direction;caller;called;started_at\n").expect("written");
    check(&desk, &[(&["rate", "--calls", &semicolons], 2, &["semicolons.csv:1: the columns are separated by semicolons"])]);
    let folder = desk.path("export").display().to_string();
    check(&desk, &[(&["export", "--range", "9-5", "--directory", &folder], 1, &["range 9-5", "1-"])]);
}

/// Each command says what it does, and shows an example.
#[test]
fn every_command_helps() {
    let desk = Desk::new();
    let all = desk.taktd(&["--help"]).fine();
    let listed: Vec<&str> = all
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(listed.len() > 10, "{all}");
    for command in listed.into_iter().filter(|command| *command != "help") {
        let help = desk.taktd(&[command, "--help"]).fine();
        assert!(help.contains("Example") && help.contains(&format!("taktd {command}")), "{help}");
    }
}

#[test]
fn configurations_that_are_not_there() {
    let desk = Desk::with("config/missing.toml");
    check(&desk, &[(&["calls"], 2, &["config/missing.toml:1:1: cannot read", "taktd check --config config/missing.toml"])]);
    let desk = Desk::with("tests/cases/broken-config/21-several-at-once/taktd.toml");
    let complaint = desk.taktd(&["replay", "x.pcap"]).failed(2);
    assert!(complaint.contains("mistakes in the configuration"), "{complaint}");
    // Without [ledger] and without --ledger, commands that need one say so, and the others work.
    let bare = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taktd"));
        command.args(words).args(["--config", "tests/cases/rate/taktd.toml"]).output().expect("it starts")
    };
    let without = bare(&["calls"]);
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("[ledger] is missing"));
    assert_eq!(bare(&["check"]).status.code(), Some(0));
    let quote = ["quote", "--contract", "E-01", "--service", "support", "--at", "2026-03-10T10:00:00+01:00", "--duration", "5m"];
    assert_eq!(bare(&quote).status.code(), Some(0));
}

#[test]
fn ledgers_that_are_none() {
    let desk = Desk::new();
    let missing = "there is no ledger here yet; `taktd run` or `taktd replay` makes it";
    check(
        &desk,
        &[
            (&["calls"], 1, &["ledger.db", missing]),
            (&["balance", "K-1001"], 1, &[missing]),
            (&["verify"], 1, &[missing]),
            (&["export"], 1, &[missing]),
            (&["explain", "x"], 1, &[missing]),
        ],
    );
    std::fs::create_dir(desk.path("ledger.db")).expect("a folder");
    let said = desk.replay(recording("kamailio/sip.pcap")).failed(1);
    assert_eq!(said.matches("Is a directory").count(), 1, "{said}");
    std::fs::remove_dir(desk.path("ledger.db")).expect("removed");
    std::fs::write(desk.path("ledger.db"), "Dear diary, this is no database.").expect("written");
    let replay = recording("kamailio/sip.pcap").display().to_string();
    check(&desk, &[(&["calls"], 1, &["this is no taktd ledger"]), (&["replay", &replay], 1, &["this is no taktd ledger"])]);
    assert_eq!(std::fs::read_to_string(desk.path("ledger.db")).expect("there"), "Dear diary, this is no database.");
}

/// Files that are no captures, or only the beginning of one.
#[test]
fn captures_that_cannot_be_read() {
    let desk = Desk::new();
    let whole = std::fs::read(recording("asterisk-16/sip.pcap")).expect("there");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(desk.path(name), bytes).expect("written");
        desk.path(name).display().to_string()
    };
    let (empty, text_file) = (write("empty.pcap", b""), write("notes.txt", b"call me maybe"));
    let garbage = write("garbage.pcap", &[&whole[..24], &[0xff; 400][..]].concat());
    check(
        &desk,
        &[
            (&["replay", &empty], 2, &["empty.pcap: the file is empty"]),
            (&["replay", &text_file], 2, &["notes.txt: neither pcap nor pcapng, nor a configured source; say --as asterisk-cdr"]),
            (&["replay", "missing.pcap"], 1, &["missing.pcap: No such file"]),
            (&["replay", &garbage], 1, &["garbage.pcap: byte 24: found garbage"]),
        ],
    );
    assert_eq!(desk.calls().len(), 0);

    // A file that is cut off, or rotten from some byte on: what came before is in the ledger, and the whole repairs it.
    let once = Desk::new();
    once.replay(recording("asterisk-16/sip.pcap")).fine();
    let expected = once.calls();
    let cut = write("cut.pcap", &whole[..300_001]);
    let said = desk.taktd(&["replay", &cut]);
    assert!(said.err.contains("cut.pcap: the file ends within a packet, at byte "), "{}", said.err);
    said.fine();
    let before = desk.calls().len();
    assert!(before > 10, "{before}");
    let desk = Desk::new();
    let rotten = desk.path("rotten.pcap");
    let end = super::replay::packets(&whole).1[..500].iter().map(|packet| packet.len()).sum::<usize>() + 24;
    std::fs::write(&rotten, [&whole[..end], &[0xff; 4_000][..]].concat()).expect("written");
    let complaint = desk.replay(&rotten).failed(1);
    assert!(complaint.contains(&format!("rotten.pcap: byte {end}: found garbage")), "{complaint}");
    assert!(desk.calls().len() > 10);
    desk.verified();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    same(&desk.calls(), &expected, "the whole after a rotten one");
}

#[test]
fn a_ledger_has_one_writer() {
    let desk = Desk::new();
    desk.replay(recording("kamailio/sip.pcap")).fine();
    let calls = desk.calls();
    let key = NumberKey::from_file(&desk.path("ledger.db.key")).expect("made by the first writer");
    let held = Ledger::open(&desk.path("ledger.db"), &key).expect("nobody else writes");
    let complaint = desk.replay(recording("asterisk-16/sip.pcap")).failed(1);
    assert!(complaint.contains("another taktd is writing to this ledger") && complaint.contains("one writer"), "{complaint}");
    assert_eq!(desk.calls(), calls, "reading goes on");
    assert!(!desk.export(YEAR).is_empty());
    drop(held);
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    assert!(desk.calls().len() > calls.len());
}

/// Whoever reads our output may have enough of it.
#[test]
fn a_closed_pipe_is_no_failure() {
    let desk = Desk::new();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    for words in [
        &["calls"][..],
        &["calls", "--json"],
        &["verify"],
        &["balance", "K-1001"],
        &["check"],
        &["export", "--directory", "target/tmp/closed"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let done = desk.command(words).stdout(Stdio::from(writer)).stderr(Stdio::piped()).output().expect("it starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), said.as_ref()), (Some(0), ""), "{words:?}");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    for json in [&[][..], &["--json".to_owned()]] {
        let words = [&["replay".to_owned(), recording("kamailio/sip.pcap").display().to_string()], json].concat();
        let done = desk.command(&words).stdout(Stdio::from(writer.try_clone().expect("a handle"))).output().expect("it starts");
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert!(desk.calls().iter().any(|call| text(call, "started_at") < "2026-11-21T21:01"), "it was read all the same");
}

/// On a full disk nothing is half written, and with room again it goes on.
#[test]
fn a_full_disk() {
    let desk = Desk::new();
    let (binary, capture) = (env!("CARGO_BIN_EXE_taktd"), recording("asterisk-16/sip.pcap"));
    let script = "mount -t tmpfs -o size=256k tmpfs \"$1\" || exit 77
        replay() { \"$2\" replay --config config/taktd.toml --ledger \"$1/ledger.db\" \"$3\"; }
        replay \"$@\" >/dev/null && exit 78
        mount -o remount,size=16m \"$1\" || exit 77
        replay \"$@\" >/dev/null || exit 79
        \"$2\" verify --config config/taktd.toml --ledger \"$1/ledger.db\" || exit 80
        \"$2\" calls --json --config config/taktd.toml --ledger \"$1/ledger.db\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(desk.folder.path()).arg(binary).arg(capture);
    let Ok(done) = command.output() else {
        eprintln!("SKIPPED: unshare is not there: this test has shown nothing");
        return;
    };
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.code() == Some(77) || (done.status.code() == Some(1) && err.contains("unshare")) {
        eprintln!("SKIPPED: no file system of our own may be mounted here: this test has shown nothing");
        return;
    }
    assert!(done.status.success(), "{:?} {out}{err}", done.status);
    assert!(err.contains("the disk of the ledger is full"), "{err}");
    assert_eq!(out.lines().filter(|line| line.starts_with('{')).count(), 40, "{out}");
}

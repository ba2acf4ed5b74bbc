//! Clocks that are set, ours and the switch's, forth and back by an hour: bills follow what the switch says.

use super::ground::{Ground, same_bytes, undisturbed, wait_for};
use super::script::Script;
use super::table::{Row, times};
use crate::daemon::{Daemon, TAKTD};
use crate::hostile::{SECOND, metric, now};
use crate::tools;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CALLS: i64 = 60;
const HOUR: i64 = 3_600 * SECOND;

/// The library that changes what a program reads as the time.
fn faketime() -> Option<PathBuf> {
    tools::find("faketime", "faketime")?;
    let places = fs::read_dir("/usr/lib").expect("Linux").flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = places.into_iter().find(|path| path.is_file());
    assert!(found.is_some(), "faketime has its library below /usr/lib");
    found
}

#[test]
fn ours_is_set_forth_and_back() {
    let Some(library) = faketime() else { return };
    let expected = undisturbed(41, CALLS);
    let mut ground = Ground::new(Script::new(41, CALLS));
    let offset = ground.path("offset");
    let set = |seconds: i64| {
        // It is read at any moment: never half of it.
        let new = offset.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("written");
        fs::rename(new, &offset).expect("renamed");
    };
    set(0);
    let mut command = Command::new(TAKTD);
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &offset).env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let daemon = Daemon::start_by(command, &ground.config);
    let offsets = [3_600, -3_600, 0, -3_600, 3_600];
    let offsets = &offsets[..times(2, 5)];
    let each = ground.script.events.len() / (offsets.len() + 1);
    (0..each).for_each(|_| ground.step(&daemon));
    for seconds in offsets {
        set(*seconds);
        (0..each).for_each(|_| ground.step(&daemon));
        let seen = || metric(&daemon, "taktd_source_last_seen_timestamp_seconds{kind=\"hep\",source=\"1\"}");
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        wait_for("its clock is another", || (seen() - now() as f64 / 1e6 - *seconds as f64).abs() < 300.0);
        // Its timers have their time.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    ground.play_out(daemon);
    let found = ground.compare(&|_| true);
    let calls = ground.script.truths.len();
    assert_eq!(found.exact, calls, "{found:?}");
    ground.rows_are_whole();
    assert!(same_bytes(&ground.export(), &expected), "the exports differ");
    let fault = "our clock is set forth and back by an hour";
    Row { fault, tried: offsets.len(), calls, lost: found.lost, doubled: found.doubled }.print();
}

#[test]
fn the_switch_s_is_set_forth_and_back() {
    for (fault, by) in [("the switch's clock is set forth by an hour", HOUR), ("the switch's clock is set back by an hour", -HOUR)] {
        let mut ground = Ground::new(Script::set_by(42, CALLS, by));
        let daemon = ground.daemon();
        ground.play_out(daemon);
        let found = ground.compare(&|_| true);
        let calls = ground.script.truths.len();
        // Who hangs up before the answer, as it seems, has not talked: how the switch says so is not the same for all.
        let sound = ground.script.truths.iter().filter(|truth| truth.ended > truth.connected).count();
        assert!(found.exact >= sound && sound > calls / 2, "{fault}: {found:?} of {sound}");
        ground.rows_are_whole();
        ground.export();
        Row { fault, tried: 1, calls, lost: found.lost, doubled: found.doubled }.print();
    }
}

/// An agent's clock that loses or wins a minute an hour, beside records whose clock is minutes off: each call has the length that
/// its own clock says, and none is held for another.
#[test]
fn an_agent_s_drifts_and_the_records_is_minutes_off() {
    let a_minute_an_hour = 60 * SECOND / 3_600;
    let cases = [
        ("an agent's clock wins a minute an hour, the records' is four minutes slow", a_minute_an_hour, -240 * SECOND),
        ("an agent's clock loses a minute an hour, the records' is four minutes fast", -a_minute_an_hour, 240 * SECOND),
    ];
    for (fault, drift, of_rows) in cases {
        let mut ground = Ground::new(Script::drifting(43, CALLS, drift, of_rows));
        let daemon = ground.daemon();
        ground.play_out(daemon);
        let found = ground.compare(&|_| true);
        let calls = ground.script.truths.len();
        assert_eq!((found.exact, found.lost, found.doubled), (calls, 0, 0), "{fault}");
        ground.rows_are_whole();
        ground.export();
        Row { fault, tried: 1, calls, lost: found.lost, doubled: found.doubled }.print();
    }
}

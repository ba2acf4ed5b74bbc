//! SIGTERM while hundreds of calls run: all is on disk before systemd would lose its patience, and the next start goes on.

use super::ground::{Ground, wait_for};
use super::script::Script;
use super::table::{Row, times};
use crate::hostile::SECOND;
use std::fs;
use std::time::{Duration, Instant};

/// How long systemd waits, as the unit says.
fn patience() -> Duration {
    let unit = fs::read_to_string("systemd/taktd.service").expect("the unit");
    let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s')).expect("in seconds");
    Duration::from_secs(seconds.parse().expect("a number"))
}

#[test]
fn hundreds_of_calls_go_on_after_a_restart() {
    let calls = i64::try_from(times(300, 1_000)).expect("few");
    let mut ground = Ground::new(Script::all_at_once(31, calls, 3_600 * SECOND));
    // All are set up, and none is over.
    let halfway = ground.script.events.iter().position(|(at, _)| *at >= ground.script.first_end()).expect("they end");
    let daemon = ground.daemon();
    while ground.next < halfway {
        ground.step(&daemon);
    }
    let count = usize::try_from(calls).expect("few");
    wait_for("all talk", || daemon.calls().iter().filter(|call| call["state"] == "talking").count() == count);
    let restarts = times(1, 3);
    let mut daemon = daemon;
    for _ in 0..restarts {
        let begun = Instant::now();
        daemon.end();
        let took = begun.elapsed();
        assert!(took < patience(), "the drain took {took:?}");
        daemon = ground.daemon();
        wait_for("all talk on", || daemon.calls().iter().filter(|call| call["state"] == "talking").count() == count);
        println!("{count} running calls drained in {took:?}");
    }
    ground.play_out(daemon);
    let found = ground.compare(&|_| true);
    assert_eq!(found.exact, count, "{found:?}");
    ground.export();
    Row { fault: "SIGTERM while hundreds of calls run", tried: restarts, calls: count, lost: found.lost, doubled: found.doubled }.print();
}

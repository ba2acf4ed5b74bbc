//! Sources that go and come back, files that are rotated, truncated and replaced while calls come in, and a program that is
//! too slow for its socket: what waits, what is lost and counted, and what repairs it.

use super::ground::{Ground, RECORDS, same_bytes, undisturbed, wait_for};
use super::script::{Event, Script};
use super::table::{Row, times};
use crate::daemon::{Daemon, HEP, TAKTD};
use crate::hostile::{SECOND, metric};
use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const CALLS: i64 = 60;

/// All calls are as they were, and the export is that of the undisturbed run.
fn is_whole(ground: &Ground, seed: u64, fault: &str, tried: usize) {
    let (found, calls) = (ground.compare(&|_| true), ground.script.truths.len());
    assert_eq!(found.exact, calls, "{fault}: {found:?}");
    ground.rows_are_whole();
    assert!(same_bytes(&ground.export(), &undisturbed(seed, CALLS)), "{fault}: the exports differ");
    Row { fault, tried, calls, lost: found.lost, doubled: found.doubled }.print();
}

/// An agent whose connection breaks in the middle of a frame connects again, and sends that frame again.
#[test]
fn an_agent_s_connection_breaks() {
    let folder = TempDir::new().expect("a folder");
    let sources = format!("{}{RECORDS}", HEP.replace("udp://", "tcp://"));
    let mut ground = Ground::at(folder.path(), Script::new(51, CALLS), &sources);
    let daemon = ground.daemon();
    let connect = || {
        let agent = TcpStream::connect(daemon.hep.expect("it listens")).expect("it takes us");
        agent.set_nodelay(true).expect("set");
        agent
    };
    let (mut agent, mut breaks) = (connect(), 0);
    let every = times(60, 12);
    while let Some((_, event)) = ground.script.events.get(ground.next) {
        if let Event::Frame(frame) = event.clone() {
            if ground.next % every == every - 1 {
                agent.write_all(&frame[..frame.len() / 2]).expect("sent");
                agent.shutdown(Shutdown::Both).expect("broken");
                breaks += 1;
                std::thread::sleep(Duration::from_millis(60));
                agent = connect();
            }
            agent.write_all(&frame).expect("sent");
            ground.next += 1;
            std::thread::sleep(Duration::from_millis(1));
        } else {
            ground.step(&daemon);
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(daemon.get("/readyz").0, 200);
    ground.play_out(daemon);
    is_whole(&ground, 51, "an agent's connection (HEP over TCP) breaks within a frame", breaks);
}

/// Plays the script; after each of its pieces something happens to the file of records.
fn with_file(seed: u64, pieces: usize, happens: impl Fn(&Ground, usize)) -> Ground {
    let mut ground = Ground::new(Script::new(seed, CALLS));
    // The program begins with the file that it finds.
    fs::write(ground.path("Master.csv"), "").expect("written");
    let daemon: Daemon = ground.daemon();
    let each = ground.script.events.len() / (pieces + 1);
    for piece in 0..pieces {
        (0..each).for_each(|_| ground.step(&daemon));
        // All of it was read by now, or perhaps not.
        std::thread::sleep(Duration::from_millis(if piece % 2 == 0 { 700 } else { 30 }));
        happens(&ground, piece);
        std::thread::sleep(Duration::from_millis(30));
    }
    ground.play_out(daemon);
    ground
}

#[test]
fn the_file_of_records_is_rotated_under_load() {
    let pieces = times(4, 12);
    let ground = with_file(52, pieces, |ground, piece| {
        let (file, old) = (ground.path("Master.csv"), ground.path(&format!("Master.csv.{piece}")));
        if !file.exists() {
            return;
        }
        // Whether it was read in between or not.
        if piece % 4 < 2 {
            fs::rename(file, old).expect("renamed");
        } else {
            fs::copy(&file, old).expect("copied");
            fs::File::options().write(true).open(file).and_then(|file| file.set_len(0)).expect("truncated");
        }
    });
    is_whole(&ground, 52, "the file of records is rotated, by renaming and by copying", pieces);
}

/// A backup comes back: a new file with all of the rows that were there. And one that was emptied begins anew.
#[test]
fn the_file_of_records_is_replaced_and_emptied() {
    let pieces = times(4, 12);
    let ground = with_file(53, pieces, |ground, piece| {
        let file = ground.path("Master.csv");
        if piece % 2 == 0 {
            // Emptied once it was read.
            fs::File::options().write(true).open(file).and_then(|file| file.set_len(0)).expect("truncated");
            return;
        }
        let rows: String = ground.script.events[..ground.next]
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Row(row) => Some(row.as_str()),
                Event::Frame(_) => None,
            })
            .collect();
        let new = ground.path("restored");
        fs::write(&new, rows).expect("written");
        fs::rename(new, file).expect("replaced");
    });
    is_whole(&ground, 53, "the file of records is emptied, and replaced by a backup of it", pieces);
}

/// What was emptied before it was read, and kept where nobody looks, is missed: that is told and counted, and replaying the old
/// file makes up for it.
#[test]
fn a_file_that_is_emptied_unread_is_told_and_repaired() {
    let (mut ground, fault) = (Ground::new(Script::new(55, CALLS)), "the file of records is emptied unread; replayed, nothing is missing");
    fs::write(ground.path("Master.csv"), "").expect("written");
    let daemon = ground.daemon();
    let (tried, mut old) = (times(2, 6), Vec::new());
    let each = ground.script.events.len() / (tried + 1);
    for piece in 0..tried {
        // Something of it has been read, so that it is known.
        while fs::metadata(ground.path("Master.csv")).map_or(0, |file| file.len()) == 0 {
            ground.step(&daemon);
        }
        std::thread::sleep(Duration::from_millis(1_200));
        daemon.signal("-STOP");
        (0..each / 2).for_each(|_| ground.step(&daemon));
        let file = ground.path("Master.csv");
        old.push(ground.path(&format!("elsewhere-{piece}.csv")));
        fs::copy(&file, old.last().expect("pushed")).expect("copied");
        fs::File::options().write(true).open(file).and_then(|file| file.set_len(0)).expect("truncated");
        daemon.signal("-CONT");
        #[expect(clippy::cast_precision_loss, reason = "a counter is a float")]
        wait_for("it is counted", || metric(&daemon, "taktd_file_gaps_total") > piece as f64);
    }
    let told = daemon.says("a file of records was emptied or replaced, and no file beside it holds what was read before: records written in between may be missing; taktd replay of the old file adds them");
    assert!(told["path"].as_str().is_some_and(|path| path.ends_with("Master.csv")), "{told}");
    ground.play_out(daemon);
    let missing = ground.script.truths.len() - ground.compare(&|_| false).exact;
    assert!(missing > 0, "some are missing before the repair");
    for file in old {
        let mut command = Command::new(TAKTD);
        command.args(["replay", "--as", "asterisk-cdr", "--config"]).arg(&ground.config).arg(file);
        let out = command.output().expect("it runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    is_whole(&ground, 55, fault, tried);
}

/// A program that stands still is sent more than the kernel keeps: what it drops is counted and told, and the switch's records
/// of the same calls make up for it.
#[test]
fn a_socket_overflows_and_records_repair_it() {
    let (seed, calls) = (54, 400);
    let folder = TempDir::new().expect("a folder");
    let mut ground = Ground::at(folder.path(), Script::both(seed, calls), &format!("{HEP}{RECORDS}"));
    let daemon = ground.daemon();
    let third = ground.script.events.len() / 3;
    (0..third).for_each(|_| ground.step(&daemon));
    daemon.signal("-STOP");
    // First of all what fills the socket.
    let (noise, stranger) = (vec![0; 60_000], std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
    for _ in 0..2_000 {
        drop(stranger.send_to(&noise, daemon.hep.expect("it listens")));
    }
    (0..third).for_each(|_| ground.step(&daemon));
    daemon.signal("-CONT");
    wait_for("the kernel's drops are counted", || metric(&daemon, "taktd_socket_drops_total") > 0.0);
    let told = daemon.says("the kernel dropped datagrams: metering is incomplete; raise net.core.rmem_max");
    assert_eq!(told["level"], "ERROR");
    let dropped = metric(&daemon, "taktd_socket_drops_total");
    ground.play_out(daemon);
    let (mut lost, mut doubled, mut of_rows) = (0, 0, 0);
    let found = ground.on_disk();
    for truth in &ground.script.truths {
        let mine: Vec<_> = found.get(&truth.caller).into_iter().flatten().filter(|call| !call.talks.is_empty()).collect();
        lost += usize::from(mine.is_empty());
        doubled += usize::from(mine.len() > 1);
        let Some(call) = mine.first() else { continue };
        let talk: i64 = call.talks.iter().filter_map(|talk| Some(talk.to?.since(talk.from))).sum();
        let off = (talk - (truth.ended - truth.connected)).abs();
        assert!(off <= 2 * SECOND && call.ended_at.is_some(), "{truth:?} {call:#?}");
        of_rows += usize::from(off > 0);
    }
    assert!(of_rows > 0, "records made up for {dropped} datagrams");
    let export = ground.export();
    ground.repair();
    // A capture of the frames knows better than rows, to the microsecond: the calls stay the same ones.
    assert_eq!(ground.on_disk().len(), found.len());
    assert!(!export.is_empty());
    let fault = "the socket overflows, the switch's records repair it";
    Row { fault, tried: 1, calls: ground.script.truths.len(), lost, doubled }.print();
}

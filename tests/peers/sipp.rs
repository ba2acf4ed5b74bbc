//! SIPp as callers and desks, and what its own logs say happened: the truth of these tests.

use super::script::Script;
use crate::capture::{Namespace, within};
use chrono::{NaiveDateTime, TimeDelta};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// One party of a call: a process of its own.
pub struct Party {
    child: Child,
    base: PathBuf,
}

/// Where a party is, and whom it calls.
pub struct Place<'a> {
    /// Its own address.
    pub ip: &'a str,
    /// Its own port.
    pub port: u16,
    /// The proxy.
    pub proxy: &'a str,
    /// Its number.
    pub user: &'a str,
    /// Whom it calls; `None`: it is called.
    pub calls: Option<&'a str>,
    /// The network namespace it lives in; `None`: that of the tests.
    pub space: Option<&'a Namespace>,
}

impl Party {
    /// Starts a party; `name` names its files in `folder`.
    pub fn start(folder: &Path, name: &str, place: &Place<'_>, script: &Script) -> Self {
        let base = folder.join(name);
        let scenario = base.with_extension("xml");
        fs::write(&scenario, script.xml(name)).expect("written");
        let out = File::create(base.with_extension("out")).expect("a file");
        let mut command = within(place.space, "sipp");
        command.arg(format!("{}:5060", place.proxy)).arg("-sf").arg(&scenario);
        command.args([
            "-i",
            place.ip,
            "-p",
            &place.port.to_string(),
            "-m",
            "1",
            "-aa",
            "-nostdin",
            "-timeout",
            "60s",
            "-key",
            "user",
            place.user,
        ]);
        command.arg("-trace_msg").arg("-message_file").arg(base.with_extension("msg"));
        command.arg("-trace_err").arg("-error_file").arg(base.with_extension("err"));
        if let Some(called) = place.calls {
            command.args(["-s", called, "-cid_str", &format!("{name}-%u-%p@%s"), "-au", place.user, "-ap", "secret"]);
        }
        command.env("TZ", "UTC").env("TERM", "dumb").stdin(Stdio::null()).stdout(out.try_clone().expect("a file")).stderr(out);
        Self { child: command.spawn().expect("sipp starts"), base }
    }

    /// Waits for its end, and that it went as written.
    pub fn end(mut self) -> Heard {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None if begun.elapsed() > Duration::from_secs(60) => {
                    let _ = self.child.kill();
                    break self.child.wait().expect("it ends");
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let read = |extension| fs::read_to_string(self.base.with_extension(extension)).unwrap_or_default();
        assert!(status.success(), "{}: {status}\n{}\n{}", self.base.display(), read("err"), read("msg"));
        Heard::read(&read("msg"))
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The messages of one party, in order: when, whether it sent them, their start line and the method of their CSeq.
#[derive(Debug)]
pub struct Heard(Vec<(NaiveDateTime, Way, String, String)>);

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Sent,
    Received,
}

impl Heard {
    fn read(log: &str) -> Self {
        let mut found = Vec::new();
        for part in log.split("-----------------------------------------------").skip(1) {
            let mut lines = part.lines().map(str::trim);
            let at = lines.next().unwrap_or_default().replace('\t', " ");
            let Some(at) = at.get(..26).and_then(|at| NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S%.f").ok()) else { continue };
            let way = if lines.next().unwrap_or_default().contains("sent") { Way::Sent } else { Way::Received };
            let message: Vec<&str> = lines.skip_while(|line| line.is_empty()).collect();
            let cseq = message.iter().find_map(|line| line.strip_prefix("CSeq:")).and_then(|value| value.split_whitespace().last());
            found.push((at, way, message.first().copied().unwrap_or_default().to_owned(), cseq.unwrap_or_default().to_owned()));
        }
        Self(found)
    }

    /// The first message that begins so, answers to this method only.
    pub fn first(&self, start: &str, method: &str) -> Option<NaiveDateTime> {
        self.0.iter().find(|(_, _, line, cseq)| line.starts_with(start) && cseq == method).map(|(at, ..)| *at)
    }

    /// How often such a message went this way.
    pub fn count(&self, way: Way, start: &str) -> usize {
        self.0.iter().filter(|(_, gone, line, _)| *gone == way && line.starts_with(start)).count()
    }
}

/// What a call was, as its parties saw it.
#[derive(Debug)]
pub struct Truth {
    pub started: NaiveDateTime,
    pub connected: Option<NaiveDateTime>,
    pub wait: TimeDelta,
    pub talk: TimeDelta,
}

impl Truth {
    /// From the logs of who called and who answered: connected when both had the 200, ended at the first BYE.
    pub fn of(caller: &Heard, answered: Option<&Heard>) -> Self {
        let started = caller.first("INVITE", "INVITE").expect("it called");
        let connected = answered.and_then(|desk| together(caller, desk));
        let byes = [Some(caller), answered].into_iter().flatten().filter_map(|heard| heard.first("BYE", "BYE"));
        let ends = ["SIP/2.0 486", "SIP/2.0 487"].into_iter().filter_map(|status| caller.first(status, "INVITE"));
        let end = byes.chain(ends).min().expect("somebody ended it");
        let talk = connected.map_or(TimeDelta::zero(), |from| end - from);
        Self { started, connected, wait: connected.unwrap_or(end) - started, talk }
    }

    /// Of a call that the first desk passed on to the second: until its REFER was accepted, and from the second one's answer.
    pub fn passed_on(caller: &Heard, first: &Heard, second: &Heard) -> Self {
        let started = caller.first("INVITE", "INVITE").expect("it called");
        let connected = together(caller, first).expect("the first desk answered");
        let accepted = first.first("SIP/2.0 202", "REFER").expect("it was accepted");
        let later = together(caller, second).expect("the second desk answered");
        let end = [caller, second].into_iter().filter_map(|heard| heard.first("BYE", "BYE")).min().expect("somebody hung up");
        let wait = (connected - started) + (later - accepted);
        Self { started, connected: Some(connected), wait, talk: (accepted - connected) + (end - later) }
    }
}

fn together(caller: &Heard, desk: &Heard) -> Option<NaiveDateTime> {
    Some(desk.first("SIP/2.0 200", "INVITE")?.max(caller.first("SIP/2.0 200", "INVITE")?))
}

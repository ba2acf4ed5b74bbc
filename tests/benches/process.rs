//! What a program takes, as the system counts it: for benchmarks that run programs (Linux, proc(5)).
//!
//! The one invariant: processor time is that of the whole program, all its threads, user and system together.

use std::error::Error;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel tells processor time in hundredths of a second on every Linux (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);

/// What a program took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    pub wall: Duration,
    /// User and system.
    pub cpu: Duration,
    pub peak_kib: u64,
}

/// A program that runs.
pub struct Running {
    pub child: Child,
    begun: Instant,
    last: Took,
}

impl Running {
    pub fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { child, begun: Instant::now(), last: Took::default() })
    }

    /// What it took so far.
    pub fn so_far(&mut self) -> Took {
        let id = self.child.id();
        let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
        // The name in brackets may hold blanks; behind it, user and system time are the 12th and 13th.
        let stat = read("stat");
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().skip(11);
        let ticks = |field: Option<&str>| field.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let cpu = TICK * (ticks(fields.next()) + ticks(fields.next()));
        let status = read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
        // Of one that has ended nothing is told any more.
        self.last = Took { wall: self.begun.elapsed(), cpu: cpu.max(self.last.cpu), peak_kib: self.last.peak_kib.max(peak_kib) };
        self.last
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<Took, Box<dyn Error>> {
        loop {
            let took = self.so_far();
            if let Some(ended) = self.child.try_wait()? {
                return if ended.success() { Ok(took) } else { Err(format!("it failed: {ended}").into()) };
            }
            sleep(Duration::from_millis(5));
        }
    }
}

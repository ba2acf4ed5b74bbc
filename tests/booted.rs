//! The unit started for real: systemd as process 1 of a container made of this machine's own root, the installation that
//! README.md tells, and what an operator and bad luck do to it. `tests/lab/systemd/` has both scripts.

use crate::daemon::TAKTD;
use crate::tools;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

#[test]
fn systemd_starts_watches_and_stops_the_unit() {
    for (program, package) in [("systemd-nspawn", "systemd-container"), ("unshare", "util-linux")] {
        if tools::find(program, package).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let boot = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/systemd/boot");
    let output = tools::run(Command::new(boot).arg(TAKTD).arg(folder.path()));
    if output.status.code() != Some(0) {
        let why = tools::printed(&output);
        // Where the kernel or its keeper refuses mounts, nothing can be shown; all else is a fault.
        assert!(output.status.code() == Some(77) || why.contains("Operation not permitted"), "{why}");
        eprintln!("SKIPPED: this machine cannot boot systemd in a container, so this test has shown nothing: {why}");
        return;
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let (text, log) = (read("found"), format!("{}\n{}\n{}", read("log"), read("journal"), read("verified")));
    let found: BTreeMap<&str, &str> = text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
    let mut wrong = Vec::new();
    let mut expect = |name: &str, right: &str| {
        let value = found.get(name).copied().unwrap_or("missing");
        if value != right {
            wrong.push(format!("{name}: {value}, right would be {right}"));
        }
    };
    for done in
        ["start", "reload", "refused", "back_after_kill", "back_after_stop", "restart_with_token", "restart_with_capture", "stop", "verify"]
    {
        expect(done, "0");
    }
    for answered in ["ready", "ready_after_refusal", "with_token", "health_without_token", "ready_with_capture"] {
        expect(answered, "200");
    }
    expect("without_token", "401");
    expect("active", "active");
    expect("user", "taktd");
    expect("capabilities", "0000000000000000 0000000000000000");
    expect("capabilities_with_capture", "0000000000002000 0000000000002000");
    expect("no_new_privileges", "1");
    expect("seccomp", "2");
    expect("ledger", "taktd 640");
    expect("root", "ro");
    expect("result", "success");
    // Once for the process that was stopped, once for the pipeline that hung.
    let strace = tools::find("strace", "strace").is_some();
    expect("back_after_stuck_writer", if strace { "0" } else { "unknown" });
    expect("watchdog", if strace { "2" } else { "1" });
    expect("end", "");
    assert!(wrong.is_empty(), "{}\n\nfound:\n{text}\n{log}", wrong.join("\n"));
}

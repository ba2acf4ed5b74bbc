//! The program under strace, which changes what one of its system calls does: the program knows nothing of it, and needs no
//! code for it.

use crate::daemon::TAKTD;
use crate::tools;
use std::process::Command;

/// A command that runs the program so that something befalls its system calls of a name; `what` as strace's `-e inject=`
/// takes it behind the name. Each thread's calls are counted for themselves.
///
/// Not with `--seccomp-bpf`, though it would be quicker: with it strace 6.1 kills before the first call, and never before another.
pub(super) fn traced(name: &str, what: &str) -> Command {
    let mut command = Command::new("strace");
    // The tracer is a grandchild (-D), so that the child is the program itself.
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={name}")]);
    command.args(["-e", &format!("inject={name}:{what}"), TAKTD]);
    command
}

/// Whether a program may be traced here. In CI it has to be.
pub(super) fn may_trace() -> bool {
    let Some(strace) = tools::find("strace", "strace") else { return false };
    let may = Command::new(strace).args(["-D", "-f", "-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    assert!(may || std::env::var_os("CI").is_none(), "in CI programs have to be traced: the container wants SYS_PTRACE");
    if !may {
        eprintln!("SKIPPED: no program may be traced here: this test has shown nothing");
    }
    may
}

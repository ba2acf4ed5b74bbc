//! Programs from the distribution that some tests judge by: `tests/run` installs them.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The place of a program, or `None` with a loud word when it is not installed. In CI it has to be.
pub fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed, and in CI it has to be: tests/run installs {package}");
        eprintln!("SKIPPED: {program} is not installed ({package} has it): this test has shown nothing");
    }
    found
}

/// What a program printed, on both outputs.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

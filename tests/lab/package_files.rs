//! What a package has beside the tree's own files: man pages and completions, made from the commands themselves, and the unit with
//! the place of a packaged binary.
//!
//!     cargo run --example package-files            writes target/package, for `cargo deb`

use clap_complete::Shell;
use std::fs;
use std::io;
use std::path::Path;

/// Writes all of it below a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [folder, &man, &completions] {
        fs::create_dir_all(folder)?;
    }
    let mut command = taktd::cli::command();
    clap_mangen::generate_to(command.clone(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "taktd", &completions)?;
    }
    let unit = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/taktd.service"))?;
    let unit = unit.replace("/usr/local/bin/taktd ", "/usr/bin/taktd ").replace("/usr/local/share/doc/", "/usr/share/doc/");
    fs::write(folder.join("taktd.service"), unit)
}

#[allow(dead_code, reason = "the tests take this file as a module")]
fn main() -> io::Result<()> {
    write(Path::new("target/package"))
}

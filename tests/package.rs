//! The Debian package: made of the list in `Cargo.toml` that `cargo deb` reads, installed, updated and purged in a tree of its own.

#[path = "lab/package_files.rs"]
mod package_files;

use crate::tools;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const TREE: &str = env!("CARGO_MANIFEST_DIR");

/// What `Cargo.toml` says about the package.
fn metadata() -> toml::Table {
    let cargo: toml::Table = fs::read_to_string(Path::new(TREE).join("Cargo.toml")).expect("Cargo.toml").parse().expect("TOML");
    cargo["package"]["metadata"]["deb"].as_table().expect("a table").clone()
}

/// The files of the package: from where, whereto, mode. A `*` is every file of a folder with that ending.
fn assets(made: &Path) -> Vec<(PathBuf, String, u32)> {
    let mut found = Vec::new();
    for asset in metadata()["assets"].as_array().expect("a list") {
        let [from, to, mode] = asset.as_array().expect("three").as_slice() else { panic!("{asset}") };
        let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
        let (from, to) = (text(from), text(to));
        let mode = u32::from_str_radix(&text(mode), 8).expect("a mode");
        let from = match from.strip_prefix("target/package/") {
            Some(inner) => made.join(inner),
            None if from == "target/release/taktd" => PathBuf::from(env!("CARGO_BIN_EXE_taktd")),
            None => Path::new(TREE).join(from),
        };
        let name = from.file_name().expect("a name").to_string_lossy().into_owned();
        let sources: Vec<PathBuf> = match name.strip_prefix('*') {
            Some(ending) => {
                let entries =
                    fs::read_dir(from.parent().expect("a folder")).expect("a folder").map(|entry| entry.expect("an entry").path());
                entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
            }
            None => vec![from],
        };
        assert!(!sources.is_empty(), "{asset} names nothing");
        for source in sources {
            let name = source.file_name().expect("a name").to_string_lossy();
            let to = if to.ends_with('/') { format!("{to}{name}") } else { to.clone() };
            found.push((source, to, mode));
        }
    }
    found
}

/// Makes a package of this version, as `cargo deb` would, in which a file has another text.
fn package(folder: &Path, version: &str, changed: Option<(&str, &str)>) -> PathBuf {
    let (made, tree) = (folder.join("made"), folder.join(format!("tree-{version}")));
    package_files::write(&made).expect("written");
    for (from, to, mode) in assets(&made) {
        let to = tree.join(&to);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        if to.ends_with("usr/bin/taktd") {
            let done = tools::run(Command::new("strip").arg("-o").arg(&to).arg(&from));
            assert!(done.status.success(), "{}", tools::printed(&done));
        } else {
            fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).expect("set");
    }
    if let Some((name, text)) = changed {
        fs::write(tree.join(name), text).expect("written");
    }
    let control = tree.join("DEBIAN");
    fs::create_dir(&control).expect("made");
    let table = metadata();
    let text = |key: &str| table[key].as_str().expect("a text").trim().to_owned();
    let description = text("extended-description").replace('\n', "\n ");
    fs::write(
        control.join("control"),
        format!(
            "Package: taktd\nVersion: {version}\nArchitecture: amd64\nMaintainer: {}\nSection: {}\nPriority: {}\nDepends: systemd\n\
             Description: metering of hotline calls\n {description}\n",
            text("maintainer"),
            text("section"),
            text("priority")
        ),
    )
    .expect("written");
    let conffiles: Vec<&str> = table["conf-files"].as_array().expect("a list").iter().map(|file| file.as_str().expect("a text")).collect();
    fs::write(control.join("conffiles"), conffiles.join("\n") + "\n").expect("written");
    for script in ["postinst", "prerm", "postrm"] {
        let from = Path::new(TREE).join(table["maintainer-scripts"].as_str().expect("a folder")).join(script);
        fs::copy(from, control.join(script)).expect("copied");
    }
    let file = folder.join(format!("taktd_{version}_amd64.deb"));
    let done = tools::run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&tree).arg(&file));
    assert!(done.status.success(), "{}", tools::printed(&done));
    file
}

/// A tree that packages are installed into, and nothing else of this machine.
struct Machine {
    root: PathBuf,
}

impl Machine {
    fn new(folder: &Path) -> Self {
        let root = folder.join("root");
        for inner in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc", "var/lib/taktd"] {
            fs::create_dir_all(root.join(inner)).expect("made");
        }
        fs::write(root.join("var/lib/dpkg/status"), "").expect("written");
        Self { root }
    }

    #[track_caller]
    fn dpkg(&self, words: &[&str]) -> String {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", self.root.display())).arg(format!("--log={}", self.root.join("log").display()));
        command.args(["--force-script-chrootless", "--force-depends", "--force-confold", "--force-bad-path"]).args(words);
        let done = tools::run(command.env("DEBIAN_FRONTEND", "noninteractive"));
        let printed = tools::printed(&done);
        assert!(done.status.success(), "{printed}");
        printed
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.root.join(name).exists()
    }
}

#[test]
fn it_is_installed_updated_and_purged_and_the_books_stay() {
    if tools::find("dpkg-deb", "dpkg").is_none() || tools::find("systemd-sysusers", "systemd").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let first = package(folder.path(), "0.1.0", None);
    let listed = tools::printed(&tools::run(Command::new("dpkg-deb").arg("-c").arg(&first)));
    for path in [
        "./usr/bin/taktd",
        "./usr/lib/systemd/system/taktd.service",
        "./usr/lib/sysusers.d/taktd.conf",
        "./etc/taktd/taktd.toml",
        "./etc/taktd/tariffs/support-level.toml",
        "./usr/share/man/man1/taktd.1",
        "./usr/share/man/man1/taktd-backup.1",
        "./usr/share/bash-completion/completions/taktd",
        "./usr/share/zsh/vendor-completions/_taktd",
        "./usr/share/fish/vendor_completions.d/taktd.fish",
        "./usr/share/doc/taktd/copyright",
    ] {
        let line = listed.lines().find(|line| line.ends_with(path)).unwrap_or_else(|| panic!("{path} is missing:\n{listed}"));
        assert!(line.contains("root/root"), "{line}");
    }
    // Every file of ours below /etc is a conffile: else an update would replace what an operator wrote.
    let conffiles = tools::printed(&tools::run(Command::new("dpkg-deb").args(["-I"]).arg(&first).arg("conffiles")));
    let below_etc: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once(" ./etc/"))
        .map(|(_, name)| name)
        .filter(|name| !name.ends_with('/') && !name.is_empty())
        .collect();
    assert!(below_etc.len() >= 7);
    assert!(below_etc.iter().all(|name| conffiles.contains(&format!("/etc/{name}\n"))), "{conffiles}");

    let machine = Machine::new(folder.path());
    if fs::metadata(&machine.root).expect("it is there").uid() != 0 {
        assert!(std::env::var_os("CI").is_none(), "in CI this runs as root");
        eprintln!("SKIPPED: without root nothing can be installed: this test has shown half of it");
        return;
    }
    let said = machine.dpkg(&["-i", first.to_str().expect("UTF-8")]);
    assert!(said.contains("not started: edit /etc/taktd/taktd.toml"), "{said}");
    let user = machine.read("etc/passwd");
    assert!(user.lines().any(|line| line.starts_with("taktd:") && line.contains(":/var/lib/taktd:")), "{user}");
    let group = machine.read("etc/group");
    let group: u32 = group.lines().find_map(|line| line.strip_prefix("taktd:")?.split(':').nth(1)?.parse().ok()).expect("the group");
    for (name, mode) in [("etc/taktd", 0o750), ("etc/taktd/taktd.toml", 0o640), ("etc/taktd/contracts.csv", 0o640)] {
        let meta = fs::metadata(machine.root.join(name)).expect(name);
        assert_eq!((meta.uid(), meta.gid(), meta.permissions().mode() & 0o777), (0, group, mode), "{name}");
    }
    let unit = machine.read("usr/lib/systemd/system/taktd.service");
    assert!(unit.contains("ExecStart=/usr/bin/taktd run --config /etc/taktd/taktd.toml") && !unit.contains("/usr/local"), "{unit}");
    let installed = machine.root.join("usr/bin/taktd");
    let checked = tools::run(Command::new(&installed).args(["check", "--config"]).arg(machine.root.join("etc/taktd/taktd.toml")));
    assert!(checked.status.success(), "{}", tools::printed(&checked));

    // An update, with another example than before: what the operator wrote stays, and so does the ledger.
    let own = machine.read("etc/taktd/taktd.toml") + "# ours\n";
    fs::write(machine.root.join("etc/taktd/taktd.toml"), &own).expect("written");
    fs::set_permissions(machine.root.join("etc/taktd/contracts.csv"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(machine.root.join("etc/taktd/hep.key"), "secret\n").expect("written");
    let ledger = machine.root.join("var/lib/taktd/ledger.db");
    fs::write(&ledger, "the books").expect("written");
    let second = package(folder.path(), "0.2.0", Some(("etc/taktd/taktd.toml", "# another example\n")));
    let said = machine.dpkg(&["-i", second.to_str().expect("UTF-8")]);
    assert!(!said.contains("not started"), "{said}");
    assert_eq!(machine.read("etc/taktd/taktd.toml"), own);
    let mode = fs::metadata(machine.root.join("etc/taktd/contracts.csv")).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "what the operator set stays");
    assert!(machine.read("var/lib/dpkg/status").contains("Version: 0.2.0"));

    machine.dpkg(&["-r", "taktd"]);
    assert!(!machine.has("usr/bin/taktd") && machine.has("etc/taktd/taktd.toml") && ledger.exists());
    let said = machine.dpkg(&["-P", "taktd"]);
    assert!(said.contains("left in place") && said.contains("/var/lib/taktd") && said.contains("the user taktd"), "{said}");
    assert!(said.contains("left in /etc/taktd what was put there by hand"), "{said}");
    assert!(!machine.has("etc/taktd/taktd.toml") && machine.has("etc/taktd/hep.key"));
    assert_eq!(fs::read_to_string(&ledger).expect("read"), "the books");
}

/// The metadata is what `cargo deb` takes: nothing of the tree that should be in the package is left out.
#[test]
fn every_tariff_and_source_that_ships_is_in_the_package() {
    let folder = tempfile::tempdir().expect("a folder");
    package_files::write(folder.path()).expect("written");
    let packaged: Vec<PathBuf> = assets(folder.path()).into_iter().map(|(from, ..)| from).collect();
    for part in ["config", "config/tariffs", "config/sources", "config/sources/asterisk", "systemd"] {
        for entry in fs::read_dir(Path::new(TREE).join(part)).expect("a folder").map(|entry| entry.expect("an entry")) {
            let (path, is_file) = (entry.path(), entry.file_type().expect("a type").is_file());
            let made = path.ends_with("systemd/taktd.service");
            assert!(!is_file || made || packaged.contains(&path), "{} is in no package", path.display());
        }
    }
    let pages: Vec<String> =
        packaged.iter().filter(|path| path.extension().is_some_and(|end| end == "1")).map(|path| path.display().to_string()).collect();
    let commands = taktd::cli::command();
    for command in commands.get_subcommands().filter(|command| command.get_name() != "help") {
        assert!(pages.iter().any(|page| page.ends_with(&format!("/taktd-{}.1", command.get_name()))), "{}: {pages:?}", command.get_name());
    }
}

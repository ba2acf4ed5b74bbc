//! The unit as systemd judges it: nothing to say about it, and little exposed.

use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The exposure that the unit may have, in tenths, as `systemd-analyze security` counts it (0 is none, 100 is all).
const EXPOSURE_TENTHS: u32 = 15;

/// The same with the rights that reading packets takes.
const CAPTURE_EXPOSURE_TENTHS: u32 = 19;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/taktd.service");

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/capture.conf");

/// The unit as it is once installed, but with the binary where it was built: `verify` wants it to exist.
fn installed(folder: &Path) -> PathBuf {
    let unit = std::fs::read_to_string(UNIT).expect("the unit");
    let place = "/usr/local/bin/taktd ";
    assert_eq!(unit.matches(place).count(), 2, "ExecStartPre and ExecStart name the installed binary");
    let copy = folder.join("taktd.service");
    std::fs::write(&copy, unit.replace(place, concat!(env!("CARGO_BIN_EXE_taktd"), " "))).expect("a file");
    copy
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let Some(analyze) = tools::find("systemd-analyze", "systemd") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let output = tools::run(Command::new(analyze).args(["verify", "--man=no"]).arg(installed(folder.path())));
    let printed = tools::printed(&output);
    assert!(output.status.success() && printed.is_empty(), "systemd-analyze verify:\n{printed}");
}

#[test]
fn the_drop_in_that_the_unit_suggests_is_right() {
    let Some(analyze) = tools::find("systemd-analyze", "systemd") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let unit = installed(folder.path());
    let text = std::fs::read_to_string(&unit).expect("the copy");
    let suggested: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    assert!(suggested.contains(&"[Service]") && suggested.len() > 3, "{suggested:?}");
    let drop_ins = folder.path().join("taktd.service.d");
    std::fs::create_dir(&drop_ins).expect("a folder");
    for (drop_in, is_right) in [(suggested.join("\n"), true), ("[Service]\nIPAddressDeny=any # all\n".to_owned(), false)] {
        std::fs::write(drop_ins.join("site.conf"), drop_in).expect("a file");
        let output = tools::run(Command::new(&analyze).args(["verify", "--man=no"]).arg(&unit));
        assert_eq!(tools::printed(&output).is_empty(), is_right, "{}", tools::printed(&output));
    }
}

#[test]
fn the_user_can_be_made() {
    let Some(sysusers) = tools::find("systemd-sysusers", "systemd") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("etc")).expect("a folder");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/sysusers.conf");
    let output = tools::run(Command::new(sysusers).arg("--root").arg(folder.path()).arg(file));
    assert!(output.status.success(), "{}", tools::printed(&output));
    let users = std::fs::read_to_string(folder.path().join("etc/passwd")).expect("the users");
    let user = users.lines().find(|line| line.starts_with("taktd:")).expect("the user");
    assert!(user.contains(":/var/lib/taktd:") && user.ends_with("nologin"), "{user}");
}

#[test]
fn systemd_speaks_up_about_a_unit_that_is_wrong() {
    let Some(analyze) = tools::find("systemd-analyze", "systemd") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let unit = installed(folder.path());
    let broken = std::fs::read_to_string(&unit).expect("the copy").replace("Type=notify\n", "Type=notify-me\n");
    std::fs::write(&unit, broken).expect("a file");
    let output = tools::run(Command::new(analyze).args(["verify", "--man=no"]).arg(&unit));
    assert!(!tools::printed(&output).is_empty(), "the other test could not fail");
}

#[test]
fn little_of_the_system_is_exposed() {
    let Some(analyze) = tools::find("systemd-analyze", "systemd") else { return };
    let (tenths, printed) = exposure(&analyze, Path::new(UNIT));
    assert!(tenths <= EXPOSURE_TENTHS, "{printed}");
    let folder = tempfile::tempdir().expect("a folder");
    let unit = with_capture(folder.path());
    let (with_capture, printed) = exposure(&analyze, &unit);
    println!("exposure {tenths} tenths, {with_capture} with the drop-in for captures");
    assert!(with_capture <= CAPTURE_EXPOSURE_TENTHS, "{printed}");
    assert!(with_capture > tenths, "the drop-in was not read:\n{printed}");
}

#[test]
fn the_drop_in_for_captures_gives_one_right() {
    let Some(analyze) = tools::find("systemd-analyze", "systemd") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let unit = with_capture(folder.path());
    let output = tools::run(Command::new(&analyze).args(["verify", "--man=no"]).arg(&unit));
    assert!(output.status.success() && tools::printed(&output).is_empty(), "{}", tools::printed(&output));
    let text = std::fs::read_to_string(CAPTURE).expect("the drop-in");
    let rights: Vec<&str> = text.lines().filter(|line| line.contains("CAP_")).collect();
    assert_eq!(rights, ["AmbientCapabilities=CAP_NET_RAW", "CapabilityBoundingSet=CAP_NET_RAW"]);
}

/// The unit with the drop-in that captures take.
fn with_capture(folder: &Path) -> PathBuf {
    let unit = installed(folder);
    let drop_ins = folder.join("taktd.service.d");
    std::fs::create_dir(&drop_ins).expect("a folder");
    std::fs::copy(CAPTURE, drop_ins.join("capture.conf")).expect("copied");
    unit
}

/// How exposed a unit is, in tenths, and all that was said about it.
fn exposure(analyze: &Path, unit: &Path) -> (u32, String) {
    let output = tools::run(Command::new(analyze).args(["security", "--offline=true", "--no-pager"]).arg(unit));
    let printed = tools::printed(&output);
    assert!(output.status.success(), "{printed}");
    let level = printed.rsplit_once("exposure level for taktd.service: ").expect("a closing line").1;
    let level = level.split(' ').next().expect("a number");
    let (whole, tenth) = level.split_once('.').expect("a number with one decimal");
    (whole.parse::<u32>().expect("a number") * 10 + tenth.parse::<u32>().expect("a digit"), printed)
}

#[test]
fn the_unit_does_what_the_readme_says() {
    let unit = std::fs::read_to_string(UNIT).expect("the unit");
    for line in [
        "Type=notify",
        "ExecStartPre=/usr/local/bin/taktd check --config /etc/taktd/taktd.toml",
        "ExecStart=/usr/local/bin/taktd run --config /etc/taktd/taktd.toml",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "User=taktd",
        "StateDirectory=taktd taktd/export",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line} is not in the unit");
    }
    assert!(unit.lines().any(|line| line.starts_with("WatchdogSec=")));
    let users = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/sysusers.conf")).expect("the user");
    assert!(users.lines().any(|line| line.starts_with("u taktd ")));
}

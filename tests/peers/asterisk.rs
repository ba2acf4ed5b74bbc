//! A real Asterisk in a tree of its own (`tests/lab/asterisk/root` makes it): its telephony is of `tests/lab/asterisk`, and what
//! concerns taktd is what ships in `config/sources/asterisk`, so that what an operator copies is what is tried.

use crate::daemon::HEP_PASSWORD;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "etc/asterisk-taktd";
const LOGS: &str = "var/log/asterisk-taktd";
/// The secret of the manager's user, as it ships.
pub const SECRET: &str = "change-me";

/// A running switch.
pub struct Asterisk {
    child: Child,
    root: PathBuf,
}

impl Asterisk {
    /// Starts it with empty logs, towards the desks at `net`.10 and the provider at `net`.11.
    pub fn start(root: &Path, net: &str, hep: SocketAddr) -> Self {
        let etc = root.join(FOLDER);
        let _ = fs::remove_dir_all(&etc);
        fs::create_dir_all(&etc).expect("a folder");
        let folders = ["asterisk", "x86_64-linux-gnu/asterisk", "aarch64-linux-gnu/asterisk"];
        let folders = folders.map(|folder| format!("/usr/lib/{folder}/modules"));
        let modules = folders.iter().find(|folder| root.join(&folder[1..]).is_dir()).expect("Asterisk has modules");
        let desk = |n: u8| {
            format!(
                "[20{n}](desk)\naors = 20{n}\ncallerid = Desk {n} <20{n}>\n[20{n}]\ntype = aor\ncontact = sip:20{n}@{net}.3{n}:5060\n[20{n}]\ntype = identify\nendpoint = 20{n}\nmatch = {net}.3{n}/32\n\n"
            )
        };
        let desks: String = (1..=8).map(desk).collect();
        for file in fs::read_dir("tests/lab/asterisk").expect("our configuration").map(|entry| entry.expect("a file").path()) {
            if file.extension().is_some_and(|extension| extension == "conf") {
                let text = fs::read_to_string(&file).expect("text").replace("%MODULES%", modules).replace("%DESKS%", &desks);
                let text = text.replace("%NET%", net);
                fs::write(etc.join(file.file_name().expect("a name")), text).expect("written");
            }
        }
        // As they ship, but for the addresses and the password of this test.
        let (manager, hep) = (format!("bindaddr = {net}.10"), format!("capture_address = {hep}"));
        let password = format!("capture_password = {HEP_PASSWORD}");
        for (name, changes) in [
            ("manager.conf", [("bindaddr = 127.0.0.1", manager.as_str())].as_slice()),
            ("hep.conf", &[("capture_address = 127.0.0.1:9060", &hep), ("capture_password = change-me", &password)]),
            ("cdr.conf", &[]),
            ("cel.conf", &[]),
            ("cel_custom.conf", &[]),
        ] {
            let mut text = fs::read_to_string(Path::new("config/sources/asterisk").join(name)).expect("it ships");
            for (shipped, ours) in changes {
                assert_eq!(text.matches(shipped).count(), 1, "{shipped} in {name}");
                text = text.replace(shipped, ours);
            }
            fs::write(etc.join(name), text).expect("written");
        }
        let out = File::create(root.join("asterisk.out")).expect("a file");
        let mut command = Command::new("chroot");
        command.arg(root).args(["/usr/sbin/asterisk", "-f", "-C", "/etc/asterisk-taktd/asterisk.conf"]);
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a file")).stderr(out);
        let mut asterisk = Self { child: command.spawn().expect("chroot starts"), root: root.to_owned() };
        let begun = Instant::now();
        while !asterisk.console("core waitfullybooted").to_lowercase().contains("fully booted") {
            let said = fs::read_to_string(root.join("asterisk.out")).unwrap_or_default();
            assert!(asterisk.child.try_wait().expect("a child").is_none(), "Asterisk ended: {said}");
            assert!(begun.elapsed() < Duration::from_secs(60), "Asterisk does not boot: {said}");
            std::thread::sleep(Duration::from_millis(300));
        }
        asterisk
    }

    /// Its logs, emptied; they must be there before a daemon follows them.
    pub fn logs(root: &Path) -> PathBuf {
        let logs = root.join(LOGS);
        let _ = fs::remove_dir_all(&logs);
        for folder in ["cdr-csv", "cel-custom"] {
            fs::create_dir_all(logs.join(folder)).expect("a folder");
        }
        for file in ["cdr-csv/Master.csv", "cel-custom/cel.csv", "queue_log"] {
            File::create(logs.join(file)).expect("a file");
        }
        // It writes local times as this file says.
        let zone = root.join("etc/localtime");
        let _ = fs::remove_file(&zone);
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Europe/Berlin", zone).expect("a link");
        logs
    }

    /// What the console says to a command.
    pub fn console(&self, command: &str) -> String {
        let mut asked = Command::new("chroot");
        asked.arg(&self.root).args(["/usr/sbin/asterisk", "-C", "/etc/asterisk-taktd/asterisk.conf", "-rx", command]);
        let out = asked.output().expect("chroot runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.console("core stop now");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

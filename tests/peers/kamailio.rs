//! Kamailio from the distribution, as the proxy in front of the desks.

use crate::capture::{Namespace, within};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How the proxy reports what it sees.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Where to, as Kamailio writes it: `sip:127.0.0.1:9060`.
    pub uri: &'a str,
    /// The version of HEP, or `None` for bare copies.
    pub hep: Option<u8>,
    /// The key that goes with HEPv3.
    pub key: &'a str,
}

/// A running proxy.
pub struct Kamailio(Child);

impl Kamailio {
    /// Starts it at `net`.50, such as `127.0.60`.50. One that reports nothing may live in a network namespace.
    pub fn start(folder: &Path, net: &str, report: Option<Report<'_>>, space: Option<&Namespace>) -> Self {
        let text = fs::read_to_string("tests/lab/kamailio.cfg").expect("the configuration is there");
        let (hep, version, mode) = match report {
            Some(Report { hep: Some(version), .. }) => ("1", version, "1"),
            Some(Report { hep: None, .. }) => ("0", 3, "4"),
            None => ("0", 3, "0"),
        };
        let Report { uri, key, .. } = report.unwrap_or(Report { uri: "sip:127.0.0.1:9", hep: None, key: "" });
        let text = text
            .replace("%NET%", net)
            .replace("%URI%", uri)
            .replace("%HEP%", hep)
            .replace("%VERSION%", &version.to_string())
            .replace("%KEY%", key)
            .replace("%MODE%", mode);
        let config = folder.join("kamailio.cfg");
        fs::write(&config, text).expect("written");
        let log = folder.join("kamailio.log");
        let out = File::create(&log).expect("a file");
        let mut command = within(space, "kamailio");
        command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f"]).arg(&config).arg("-Y").arg(folder).arg("-w").arg(folder);
        command.arg("-P").arg(folder.join("kamailio.pid"));
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a file")).stderr(out);
        let mut child = command.spawn().expect("kamailio starts");
        let begun = Instant::now();
        while !answers(folder, net, space) {
            let ended = child.try_wait().expect("a child");
            let late = begun.elapsed() > Duration::from_secs(30);
            assert!(ended.is_none() && !late, "kamailio does not answer: {}", fs::read_to_string(&log).unwrap_or_default());
        }
        Self(child)
    }
}

/// Whether the proxy refuses an OPTIONS, as it should.
fn answers(folder: &Path, net: &str, space: Option<&Namespace>) -> bool {
    let ask = format!(
        "OPTIONS sip:{net}.50 SIP/2.0\r\nVia: SIP/2.0/UDP {net}.60:5060;rport;branch=z9hG4bKup\r\nFrom: <sip:up@{net}.60>;tag=1\r\n\
         To: <sip:{net}.50>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
    );
    fs::write(folder.join("options"), ask).expect("written");
    let told = format!("exec 3<>/dev/udp/{net}.50/5060; cat options >&3; read -t 0.2 -N 3 answer <&3; [ \"$answer\" = SIP ]");
    within(space, "bash").args(["-c", &told]).current_dir(folder).stderr(Stdio::null()).status().expect("bash").success()
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It ends its children itself, when asked.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) && self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! Who is let in to the HTTP port, through the daemon itself: with a token, over TLS, and with no secret told to anybody.

use crate::daemon::{Daemon, HEP, configure};
use crate::hep_streams::{certificate, over_tls};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const TOKEN: &str = "6b1f0c5e0d4f4a7c9e2b8a3d5c7e9f10";

/// A configuration whose HTTP port asks for the token, over TLS.
fn guarded(folder: &Path, more: &str) -> PathBuf {
    let config = configure(folder, HEP);
    fs::write(folder.join("http.token"), format!("{TOKEN}\n")).expect("written");
    let text = fs::read_to_string(&config).expect("written");
    let asked = format!("[http]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"http.token\"\n{more}");
    fs::write(&config, text.replace("[http]\nlisten = \"127.0.0.1:0\"\n", &asked)).expect("written");
    config
}

/// The status of the answer to a request with these headers, and the answer.
fn ask(mut stream: impl Read + Write, path: &str, headers: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: taktd\r\n{headers}Connection: close\r\n\r\n").expect("sent");
    let mut bytes = Vec::new();
    // A peer may close without a farewell of TLS: what came is the answer.
    let _ = stream.read_to_end(&mut bytes);
    let answer = String::from_utf8(bytes).expect("text");
    (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn calls_and_metrics_are_shown_to_the_token_and_health_to_everybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = certificate(folder.path());
    let daemon = Daemon::start(&guarded(folder.path(), "cert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n"));
    let get = |path: &str, headers: &str| ask(over_tls(daemon.http, &certificate), path, headers);
    for path in ["/v1/calls", "/metrics", "/nowhere"] {
        let wrong =
            [String::new(), bearer("wrong"), bearer(&TOKEN[1..]), format!("X: {TOKEN}\r\n"), "Authorization: Basic Zm9v\r\n".into()];
        for headers in wrong {
            let (status, answer) = get(path, &headers);
            assert_eq!(status, 401, "{path} {headers}: {answer}");
            let head = answer.to_ascii_lowercase();
            assert!(head.contains("www-authenticate: bearer") && head.contains("connection: close"), "{answer}");
            assert!(!answer.contains("taktd_"), "nothing is shown: {answer}");
        }
    }
    assert_eq!(get("/healthz", "").0, 200);
    let begun = Instant::now();
    while get("/readyz", "").0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "ready within a minute, and told to everybody");
    }
    assert_eq!(get("/v1/calls", &bearer(TOKEN)).0, 200);
    let (status, page) = get("/metrics", &bearer(TOKEN));
    assert_eq!(status, 200);
    assert!(page.contains("taktd_http_unauthorised_total 15\n"), "{page}");

    // Without TLS nobody gets anything, and nobody who tries holds up another.
    let idle = TcpStream::connect(daemon.http).expect("it listens");
    let (status, answer) = ask(TcpStream::connect(daemon.http).expect("it listens"), "/healthz", &bearer(TOKEN));
    assert_eq!((status, answer.contains("ok")), (0, false), "{answer}");
    assert_eq!(get("/healthz", "").0, 200);
    drop(idle);
}

#[test]
fn a_secret_stands_in_no_list_log_or_printed_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = guarded(folder.path(), "");
    let daemon = Daemon::start(&config);
    assert_eq!(ask(TcpStream::connect(daemon.http).expect("it listens"), "/metrics", &bearer(TOKEN)).0, 200);
    let process = PathBuf::from(format!("/proc/{}", daemon.child.id()));
    let mut said: Vec<(String, Vec<u8>)> =
        ["cmdline", "environ"].map(|name| (name.to_owned(), fs::read(process.join(name)).expect("ours"))).into();
    said.push(("metrics".into(), ask(TcpStream::connect(daemon.http).expect("it listens"), "/metrics", &bearer(TOKEN)).1.into()));
    for arguments in [&["check"][..], &["check", "--json"]] {
        let out = Command::new(crate::daemon::TAKTD).args(arguments).arg("--config").arg(&config).output().expect("it runs");
        assert!(out.status.success());
        said.push((arguments.join(" "), [out.stdout, out.stderr].concat()));
    }
    daemon.signal("-HUP");
    daemon.signal("-TERM");
    while let Ok(line) = daemon.logs.recv_timeout(Duration::from_secs(20)) {
        said.push(("log".into(), line.to_string().into_bytes()));
    }
    assert!(said.iter().any(|(what, _)| what == "log"), "it says something");
    for (what, bytes) in said {
        for secret in [TOKEN, "lab-hep"] {
            assert!(!bytes.windows(secret.len()).any(|found| found == secret.as_bytes()), "{secret} in {what}");
        }
    }
}

#[test]
fn a_token_that_can_be_guessed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = guarded(folder.path(), "");
    fs::write(folder.path().join("hep.key"), "lab-hep\n").expect("written");
    for (token, expected) in [("short\n", "it is no token"), ("", "is empty"), ("with a space in its middle\n", "it is no token")] {
        fs::write(folder.path().join("http.token"), token).expect("written");
        let out = Command::new(crate::daemon::TAKTD).args(["run", "--config"]).arg(&config).output().expect("it runs");
        let told = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{told}");
        assert!(told.contains("http.token: ") && told.contains(expected), "{told}");
    }
}

#[test]
fn systemd_hands_over_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).expect("made");
    fs::write(credentials.join("http"), TOKEN).expect("written");
    let config = guarded(folder.path(), "");
    let text = fs::read_to_string(&config).expect("written");
    fs::write(&config, text.replace("\"http.token\"", "\"credential:http\"")).expect("written");
    let mut command = Command::new("env");
    command.arg(format!("CREDENTIALS_DIRECTORY={}", credentials.display())).arg(crate::daemon::TAKTD);
    let daemon = Daemon::start_by(command, &config);
    let get = |headers: &str| ask(TcpStream::connect(daemon.http).expect("it listens"), "/v1/calls", headers).0;
    assert_eq!((get(""), get(&bearer(TOKEN))), (401, 200));
}

/// The page of threats stands beside the code that it speaks of.
#[test]
fn the_page_of_threats_names_what_exists() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(house.join("daemon/THREATS.md")).expect("the page");
    let places: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| word.contains('/')).collect();
    assert!(places.len() > 10, "{places:?}");
    let gone: Vec<&&str> =
        places.iter().filter(|place| !house.join("daemon").join(place).exists() && !house.join(place).exists()).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

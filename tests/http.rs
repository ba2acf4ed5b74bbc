//! What is asked over HTTP, through a real listener and a client that knows no more than bytes.

use crate::settlement;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use taktd::clock::Stopwatch;
use taktd::http::{Guard, HttpState, Limits, RunningCall, State, View, serve};
use taktd::meter::{Input, Outcome, Party, Terms, Timing, settle};
use taktd::metrics::Metrics;
use taktd::units::{CallId, Currency, Direction, E164, Money, RawNumber, Seconds, Timestamp};
use tokio::sync::{oneshot, watch};

/// A server with its view, on a port of its own; it ends with the value.
struct Server {
    address: SocketAddr,
    view: Option<watch::Sender<Arc<View>>>,
    metrics: Metrics,
    stop: Option<oneshot::Sender<()>>,
    done: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::guarded(Guard::default(), limits)
    }

    fn guarded(guard: Guard, limits: Limits) -> Self {
        let (sender, view) = watch::channel(Arc::new(View::starting(at("10:00:00"))));
        let metrics = Metrics::new();
        let state = HttpState { metrics: metrics.clone(), view };
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serve(listener, state, guard, limits, async move { drop(stopped.await) }).await
            })
        });
        Self { address, view: Some(sender), metrics, stop: Some(stop), done: Some(done) }
    }

    fn publish(&self, view: View) {
        self.view.as_ref().expect("not dropped yet").send_replace(Arc::new(view));
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("it answers and closes");
        Answer::read(&bytes)
    }

    fn stop(&mut self) -> std::io::Result<()> {
        drop(self.stop.take());
        self.done.take().map_or(Ok(()), |done| done.join().expect("the server does not panic"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).expect("JSON")
    }
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-03-10T{time}+01:00")).expect("a time")
}

fn number(digits: &str) -> Party {
    Party::Number(E164::from_digits(digits.as_bytes()).expect("a number"))
}

/// A call that talks in the second minute of an allowance of which a minute is left.
fn talking() -> RunningCall {
    RunningCall {
        call_id: CallId::new("a84b4c76e66710;tag=1928301774").expect("not empty"),
        direction: Direction::In,
        hotline: Some("Support".into()),
        service: "support".into(),
        caller: number("491711234567"),
        called: number("4989555010"),
        contract: Some("K-1001".into()),
        plan: Some("support-level-1".into()),
        agent: Some("201".into()),
        severity: None,
        state: State::Talking,
        started_at: at("09:58:20"),
        connected_at: Some(at("09:58:30")),
        billed_from: Some(taktd::calls::BilledFrom::Agent),
        wait_micros: 10_900_000,
        talk_micros: 90_000_000,
        billed: Seconds::new(120),
        increments: 2,
        next_increment_at: Some(at("10:00:30")),
        net: Some(Money::zero(Currency::EUR)),
        allowance: Some("month".into()),
        allowance_left: Some(Seconds::new(60)),
        allowance_runs_out_at: Some(at("10:01:30")),
        outcome: Some(Outcome::Included),
        reason: None,
        zone: chrono_tz::Europe::Berlin,
    }
}

fn ready(running: Vec<RunningCall>, mask_digits: u8) -> View {
    View { ready: true, reasons: Vec::new(), now: at("10:00:00"), published: Stopwatch::start(), mask_digits, running }
}

#[test]
fn health_and_readiness_say_why_not() {
    let mut server = Server::start(Limits::default());
    assert_eq!(server.get("/healthz").status, 200);
    let starting = server.get("/readyz");
    assert_eq!((starting.status, starting.json()), (503, serde_json::json!({"ok": false, "reasons": ["starting"]})));
    server.publish(ready(Vec::new(), 0));
    let now_ready = server.get("/readyz");
    assert_eq!((now_ready.status, now_ready.json()), (200, serde_json::json!({"ok": true, "reasons": []})));
    server.view = None;
    for path in ["/healthz", "/readyz"] {
        let gone = server.get(path);
        assert_eq!((gone.status, gone.json()["reasons"][0].as_str()), (503, Some("the meter has stopped")), "{path}");
    }
}

#[test]
fn running_calls_are_an_array_in_order() {
    let server = Server::start(Limits::default());
    assert_eq!(server.get("/v1/calls").json(), serde_json::json!([]));
    let waiting = RunningCall {
        state: State::Waiting,
        call_id: CallId::new("second").expect("not empty"),
        caller: Party::Raw(RawNumber::from_bytes(b"")),
        outcome: None,
        net: None,
        allowance: None,
        allowance_left: None,
        allowance_runs_out_at: None,
        next_increment_at: None,
        connected_at: None,
        billed_from: None,
        talk_micros: 0,
        ..talking()
    };
    server.publish(ready(vec![talking(), waiting], 3));
    let calls = server.get("/v1/calls").json();
    let first = &calls[0];
    for (key, value) in [
        ("call_id", serde_json::json!("a84b4c76e66710;tag=1928301774")),
        ("direction", serde_json::json!("in")),
        ("caller", serde_json::json!("+491711234xxx")),
        ("contract", serde_json::json!("K-1001")),
        ("state", serde_json::json!("talking")),
        ("started_at", serde_json::json!("2026-03-10T09:58:20.000+01:00")),
        ("billed_from", serde_json::json!("agent")),
        ("wait_s", serde_json::json!(10)),
        ("billed_s", serde_json::json!(120)),
        ("increments", serde_json::json!(2)),
        ("next_increment_at", serde_json::json!("2026-03-10T10:00:30.000+01:00")),
        ("outcome", serde_json::json!("included")),
        ("net", serde_json::json!("0.00")),
        ("currency", serde_json::json!("EUR")),
        ("allowance", serde_json::json!("month")),
        ("allowance_left_s", serde_json::json!(60)),
        ("allowance_runs_out_at", serde_json::json!("2026-03-10T10:01:30.000+01:00")),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(calls[1]["call_id"], "second");
    assert_eq!(calls[1]["talk_s"], 0);
    assert!(calls[1]["net"].is_null() && calls[1]["outcome"].is_null());
    assert_eq!(calls.as_array().map(Vec::len), Some(2));
}

#[test]
fn clocks_go_on_but_never_past_the_next_increment() {
    let call = talking();
    let now = at("10:00:00");
    assert_eq!(call.clocks_after(now, 20_000_000), (10_900_000, 110_000_000));
    assert_eq!(call.clocks_after(now, 3_600_000_000), (10_900_000, 120_000_000), "the cost shown is that of two minutes");
    assert_eq!(call.clocks_after(now, -5), (10_900_000, 90_000_000));
    let waiting = RunningCall { state: State::Waiting, ..call };
    assert_eq!(waiting.clocks_after(now, 1_000_000), (11_900_000, 90_000_000));
}

#[test]
fn a_running_call_shows_what_settlement_knows() {
    let tariff = settlement::tariff("support-level");
    let contract = settlement::contract(&["support-level-1"]);
    let terms = Terms::new(std::slice::from_ref(&tariff), vec![&contract], chrono_tz::Europe::Berlin);
    let mut call = settlement::call("running", "support", "2026-03-10 10:00:10", 1);
    (call.started_at, call.ended_at, call.talks[0].to) = (at("10:00:00"), None, None);
    let shown = |now: Timestamp| {
        let input = Input { call: &call, authorised: true, reason: None, verdict: None, timing: Timing::InTime };
        RunningCall::new(&call, &settle(&terms, &[input], now).calls[0], now)
    };

    let third_minute = shown(at("10:02:30"));
    assert_eq!((third_minute.wait_micros, third_minute.talk_micros), (10_000_000, 140_000_000));
    assert_eq!((third_minute.increments, third_minute.billed), (3, Seconds::new(180)));
    assert_eq!(third_minute.next_increment_at, Some(at("10:03:10")));
    assert_eq!((third_minute.allowance_left, third_minute.allowance_runs_out_at), (Some(Seconds::new(720)), Some(at("10:15:10"))));
    assert_eq!((third_minute.outcome, third_minute.net.map(Money::to_fixed)), (Some(Outcome::Included), Some("0.00".to_owned())));
    assert_eq!((third_minute.state, third_minute.agent.as_deref()), (State::Talking, Some("201")));

    let paid = shown(at("10:16:30"));
    assert_eq!((paid.increments, paid.outcome, paid.net.map(Money::to_fixed)), (17, Some(Outcome::Charged), Some("1.00".to_owned())));
    assert_eq!((paid.allowance_left, paid.allowance_runs_out_at), (Some(Seconds::ZERO), None));

    let before = shown(at("10:00:05"));
    assert_eq!((before.state, before.wait_micros, before.talk_micros), (State::Waiting, 5_000_000, 0));
}

#[test]
fn the_metrics_page_has_its_type() {
    let server = Server::start(Limits::default());
    server.metrics.socket_drops.inc_by(3);
    let page = server.get("/metrics");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    assert!(page.body.contains("taktd_socket_drops_total 3\n"));
}

#[test]
fn nothing_else_is_there_and_nothing_can_be_changed() {
    let server = Server::start(Limits::default());
    for path in ["/", "/v1/calls/1", "/v2/calls", "/metrics/../etc/passwd"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.contains(path) && text.contains("/v1/calls")), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = server.ask(&format!("{method} /v1/calls HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.starts_with(method)));
    }
}

#[test]
fn answers_close_their_connection_and_are_not_cached() {
    let server = Server::start(Limits::default());
    for path in ["/metrics", "/healthz", "/nowhere"] {
        let head = server.get(path).head;
        assert!(head.contains("connection: close") && head.contains("cache-control: no-store"), "{path}: {head}");
    }
}

#[test]
fn a_slow_request_ends_at_its_deadline() {
    let server = Server::start(Limits { time: Duration::from_millis(300), ..Limits::default() });
    let began = Instant::now();
    let mut slow = server.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost:").expect("it reads");
    let mut rest = Vec::new();
    // Whether it says something first or resets the connection: it is over, and long before our own timeout.
    drop(slow.read_to_end(&mut rest));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(!String::from_utf8_lossy(&rest).contains("200"), "no answer to half a question");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn an_endless_request_is_cut_off() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ").expect("it reads");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let began = Instant::now();
    let cut = (0..4_096).any(|_| stream.write_all(&[b'a'; 16 * 1024]).is_err());
    assert!(cut, "64 MiB of header were taken");
    assert!(began.elapsed() < Duration::from_secs(9), "cut by its size, not by its time");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn who_comes_too_many_waits_for_a_place() {
    let limits = Limits { connections: 2, time: Duration::from_millis(500), ..Limits::default() };
    let server = Server::start(limits);
    let idle: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    let began = Instant::now();
    assert_eq!(server.get("/healthz").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(300), "served beside two idle connections after {:?}", began.elapsed());
    drop(idle);
}

#[test]
fn a_stop_answers_what_has_begun_and_returns() {
    let mut server = Server::start(Limits { time: Duration::from_secs(2), ..Limits::default() });
    let mut begun = server.connect();
    begun.write_all(b"GET /healthz HTTP/1.1\r\n").expect("it reads");
    assert_eq!(server.get("/healthz").status, 200, "the server has taken both connections");
    drop(server.stop.take());
    begun.write_all(b"Host: localhost\r\n\r\n").expect("it reads");
    let mut bytes = Vec::new();
    begun.read_to_end(&mut bytes).expect("it answers");
    assert_eq!(Answer::read(&bytes).status, 200);
    server.stop().expect("a clean end");
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens any more");
}

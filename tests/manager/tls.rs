//! The manager interface over TLS: with the right certificate the same calls, with any other not even a name is told.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Somebody who vouches for servers.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// Ends TLS before a switch, under this name, and passes on what is inside.
fn before(switch: &Switch, name: &str, authority: &CertifiedIssuer<'static, KeyPair>) -> SocketAddr {
    let key = KeyPair::generate().expect("a key");
    let made = CertificateParams::new([name.to_owned()]).expect("a name").signed_by(&key, authority).expect("signed");
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], private)
        .expect("they fit");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, inside) = (listener.local_addr().expect("bound"), switch.address());
    listener.set_nonblocking(true).expect("it is");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a port");
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not believe us goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut plain = tokio::net::TcpStream::connect(inside).await.expect("the switch listens");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
            }
        });
    });
    address
}

#[test]
fn over_tls_the_same_calls_are_metered_and_nothing_more_is_asked_for() {
    let live = tempfile::tempdir().expect("a folder");
    let (mut switch, authority) = (Switch::new(), authority());
    let address = before(&switch, "pbx.example.org", &authority);
    fs::write(live.path().join("ca.pem"), authority.pem()).expect("written");
    let daemon = start_with(live.path(), &format!("tls://{address}"), "ca_file = \"ca.pem\"\nserver_name = \"pbx.example.org\"\n");
    let messages = recording("asterisk-22");
    // The login names the classes of events it wants: that is the filter.
    switch.let_in(&open(&[]), messages[0].0);
    daemon.says("the open channels are known");
    switch.play(&messages, 1e9);
    let expected = by_event_log("asterisk-22");
    let ended = |page: &str| {
        page.lines()
            .filter(|line| line.starts_with("taktd_calls_total{"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>()
    };
    let began = Instant::now();
    while ended(&daemon.get("/metrics").1) < expected.len() as f64 {
        assert!(began.elapsed() < Duration::from_secs(60), "not all that was said is metered");
        std::thread::sleep(Duration::from_millis(50));
    }
    // It asks for nothing that takes more than reading and `write = reporting`.
    while let Ok(said) = switch.said.try_recv() {
        assert_eq!(get(&said, "Action"), "Ping");
    }
    let config = daemon.end();
    assert_same(&records(&config), &expected);
    verify(&config);
}

#[test]
fn whoever_cannot_prove_to_be_the_switch_is_told_nothing() {
    let (ours, others) = (authority(), authority());
    for (by, name, expected) in
        [(&ours, "other.example.org", "not valid for name"), (&others, "pbx.example.org", "invalid peer certificate")]
    {
        let live = tempfile::tempdir().expect("a folder");
        let switch = Switch::new();
        let address = before(&switch, name, by);
        fs::write(live.path().join("ca.pem"), ours.pem()).expect("written");
        let more = "ca_file = \"ca.pem\"\nserver_name = \"pbx.example.org\"\n";
        let daemon = start_with(live.path(), &format!("tls://{address}"), more);
        let told = daemon.says("a manager interface does not let us in; it is tried again");
        let error = told["error"].as_str().expect("a reason");
        assert!(error.contains(expected) && error.contains("compare ca_file and server_name"), "{error}");
        daemon.end();
        switch.listener.set_nonblocking(true).expect("it is");
        assert!(switch.listener.accept().is_err(), "nobody came as far as the switch");
    }
}

#[test]
fn a_server_that_agrees_on_nothing_never_keeps_the_daemon_from_ending() {
    for hostile in ["", "drops", "plain"] {
        let live = tempfile::tempdir().expect("a folder");
        fs::write(live.path().join("ca.pem"), authority().pem()).expect("written");
        let mut switch = Switch::new();
        let daemon = start_with(live.path(), &format!("tls://{}", switch.address()), "ca_file = \"ca.pem\"\n");
        let (stream, _) = switch.listener.accept().expect("it connects");
        switch.stream = Some(stream);
        let mut stream = switch.stream.take().expect("a connection");
        std::thread::spawn(move || match hostile {
            "" => std::thread::sleep(Duration::from_secs(20)),
            // The beginning of a handshake of 16 KiB, an octet at a time.
            "drops" => {
                let head = [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc];
                for byte in head.into_iter().chain(std::iter::repeat_n(0, 20_000)) {
                    if stream.write_all(&[byte]).is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            _ => drop(stream.write_all(b"Asterisk Call Manager/11.0.0\r\n")),
        });
        if hostile == "plain" {
            daemon.says("a manager interface does not let us in; it is tried again");
        }
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        daemon.end();
        assert!(began.elapsed() < Duration::from_secs(10), "{hostile:?} held it up for {:?}", began.elapsed());
    }
}

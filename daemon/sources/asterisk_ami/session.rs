//! One connection: logs in, asks which channels are open, pings, and hands on what comes.
//!
//! The invariant: a server that says nothing, or nonsense, is given up after [`SILENCE`]; every call returns within the
//! patience it was given.

use super::super::connection::{Connection, Received};
use super::super::heard::{self, Heard};
use super::event::{Said, facts, read, time_of};
use super::message::{Framed, Framer, Message};
use super::{Config, Login};
use crate::calls::OpenChannel;
use crate::clock::Stopwatch;
use crate::units::Timestamp;
use md5::{Digest, Md5};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

/// A server that has said nothing for so long is given up; one that is alive answers every ping.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Pings are this far apart.
const PING: Duration = Duration::from_secs(10);
/// Logged in, and not told that all is loaded: what is open is asked for all the same after this.
const BOOTING: Duration = Duration::from_secs(2);
/// So many open channels are listed at most.
pub const MOST_LISTED: usize = 20_000;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The network.
    #[error("{0}")]
    Io(std::io::Error),
    /// No TLS could be agreed on, or nobody we believe vouches for the server.
    #[error("TLS: {0}; compare ca_file and server_name with the certificate of the server")]
    Tls(std::io::Error),
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing came.
    #[error("the server said nothing for {} s", SILENCE.as_secs())]
    Silent,
    /// The login was refused.
    #[error("the login was refused: {0}; compare username and secret with manager.conf, and its permit lines")]
    Refused(String),
    /// More channels than can be followed.
    #[error("more than {MOST_LISTED} channels are open")]
    TooMany,
}

impl From<std::io::Error> for SessionError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::InvalidData { Self::Tls(error) } else { Self::Io(error) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for the answer to a challenge.
    Challenged,
    /// Waits for the answer to the login.
    LoggingIn,
    /// Waits to hear that all is loaded.
    Booting,
    /// The open channels were asked for.
    Listing,
    Reading,
}

/// A connection.
pub struct Session {
    connection: Connection,
    config: Config,
    framer: Framer,
    state: State,
    /// Since the state, the last ping, the last message.
    since: Stopwatch,
    pinged: Stopwatch,
    heard: Stopwatch,
    listed: Vec<OpenChannel>,
    waiting: VecDeque<Heard>,
    /// The latest time that the server said.
    latest: Option<Timestamp>,
}

impl heard::Session for Session {
    type Config = Config;
    type Error = SessionError;

    fn connect(config: &Config) -> Result<Self, SessionError> {
        let mut session = Self {
            connection: Connection::open(config.address, config.trust.as_ref())?,
            config: config.clone(),
            framer: Framer::default(),
            state: State::Challenged,
            since: Stopwatch::start(),
            pinged: Stopwatch::start(),
            heard: Stopwatch::start(),
            listed: Vec::new(),
            waiting: VecDeque::new(),
            latest: None,
        };
        match config.login {
            Login::Md5 => session.say(&[("Action", "Challenge"), ("AuthType", "MD5")])?,
            Login::Plain => {
                let secret = config.secret.clone();
                session.log_in(&[("Secret", &secret)])?;
            }
        }
        Ok(session)
    }

    fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    fn hear(&mut self, patience: Duration) -> Result<Heard, SessionError> {
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                return Ok(heard);
            }
            match self.framer.next() {
                Some(Framed::Message(message)) => self.take(&message)?,
                Some(Framed::TooLong) => return Ok(Heard::TooLong),
                None => break,
            }
        }
        let mut bytes = [0; 16 * 1024];
        match self.connection.read(&mut bytes, patience)? {
            Received::Closed => return Err(SessionError::Closed),
            Received::Bytes(length) => self.framer.push(bytes.get(..length).unwrap_or_default()),
            Received::Nothing => {}
        }
        self.keep_alive()?;
        Ok(Heard::Nothing)
    }
}

impl Session {
    /// Whether events come.
    fn is_logged_in(&self) -> bool {
        !matches!(self.state, State::Challenged | State::LoggingIn)
    }

    fn keep_alive(&mut self) -> Result<(), SessionError> {
        let over = |watch: &Stopwatch, limit: Duration| watch.elapsed() >= limit;
        // A server that talks but never lets us in is as good as silent.
        if over(&self.heard, SILENCE) || (!self.is_logged_in() && over(&self.since, SILENCE)) {
            return Err(SessionError::Silent);
        }
        if self.state == State::Booting && over(&self.since, BOOTING) {
            self.list()?;
        }
        if self.is_logged_in() && over(&self.pinged, PING) {
            self.pinged = Stopwatch::start();
            self.say(&[("Action", "Ping")])?;
        }
        Ok(())
    }

    fn take(&mut self, message: &Message) -> Result<(), SessionError> {
        self.heard = Stopwatch::start();
        self.latest = self.latest.max(time_of(message));
        let answer = message.get("Response");
        match (self.state, message.get("Event"), answer) {
            (State::Challenged, _, "Success") if !message.get("Challenge").is_empty() => {
                let key = key_of(message.get("Challenge"), &self.config.secret);
                self.log_in(&[("AuthType", "MD5"), ("Key", &key)])?;
            }
            (State::LoggingIn, _, "Success") => {
                self.enter(State::Booting);
                self.waiting.push_back(Heard::LoggedIn);
            }
            (State::Challenged | State::LoggingIn, _, "Error") => {
                return Err(SessionError::Refused(message.get("Message").chars().take(100).collect()));
            }
            (State::Booting | State::Listing | State::Reading, "FullyBooted", _) => self.list()?,
            (State::Listing, "CoreShowChannel", _) => {
                if self.listed.len() >= MOST_LISTED {
                    return Err(SessionError::TooMany);
                }
                let bridge = message.get("BridgeId");
                self.listed.push(OpenChannel {
                    facts: facts(message, ""),
                    is_up: message.get("ChannelState") == "6",
                    bridge: (!bridge.is_empty()).then(|| bridge.into()),
                });
            }
            (State::Listing, "CoreShowChannelsComplete", _) => {
                self.enter(State::Reading);
                self.waiting.push_back(Heard::Open(std::mem::take(&mut self.listed)));
            }
            (State::Challenged | State::LoggingIn, _, _) => {}
            (State::Booting | State::Listing | State::Reading, _, _) => match read(message) {
                Said::Events(events) => self.waiting.push_back(Heard::Events(events)),
                Said::Undated => self.waiting.push_back(Heard::Undated),
                Said::Nothing => {}
            },
        }
        Ok(())
    }

    fn enter(&mut self, state: State) {
        (self.state, self.since) = (state, Stopwatch::start());
    }

    fn list(&mut self) -> Result<(), SessionError> {
        self.listed.clear();
        self.enter(State::Listing);
        // The list has no time of its own; the answer to a ping has.
        self.pinged = Stopwatch::start();
        self.say(&[("Action", "Ping")])?;
        self.say(&[("Action", "CoreShowChannels")])
    }

    fn log_in(&mut self, proof: &[(&str, &str)]) -> Result<(), SessionError> {
        self.enter(State::LoggingIn);
        let username = self.config.username.clone();
        // The classes are the filter. No dialplan: its variables are most of the traffic, and say nothing that the others do
        // not. The action Filter could leave out more, but takes `write = system`, which lets a user stop the switch; what it
        // would leave out stands as eventfilter in config/sources/asterisk/manager.conf.
        let mut lines = vec![("Action", "Login"), ("Username", username.as_str()), ("Events", "call,agent,system")];
        lines.extend_from_slice(proof);
        self.say(&lines)
    }

    fn say(&mut self, lines: &[(&str, &str)]) -> Result<(), SessionError> {
        let mut text = String::new();
        for (key, value) in lines {
            // A line end in a configured value would begin another line.
            let value: String = value.chars().filter(|letter| !letter.is_control()).collect();
            text.push_str(&format!("{key}: {value}\r\n"));
        }
        text.push_str("\r\n");
        self.connection.write(text.as_bytes())?;
        Ok(())
    }
}

/// The proof that we know the secret: MD5 of the challenge followed by it, as lower-case hex.
fn key_of(challenge: &str, secret: &str) -> String {
    let digest = Md5::digest(format!("{challenge}{secret}").as_bytes());
    digest.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_challenge() {
        // RFC 1321, A.5: the digest of "message digest".
        assert_eq!(key_of("message ", "digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}

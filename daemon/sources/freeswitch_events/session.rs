//! One connection: authenticates, subscribes, asks which channels are open, asks for the time, and hands on what comes.
//!
//! FreeSWITCH answers one command after the other, with events in between; so one is asked at a time.
//!
//! The invariant: a server that says nothing, or nonsense, is given up after [`SILENCE`]; every call returns within the
//! patience it was given.

use super::super::connection::{Connection, Received};
use super::super::heard::{self, Heard};
use super::Config;
use super::event::{Event, Said, read};
use super::frame::{Frame, FrameError, Framed, Framer};
use super::list::{self, ListError};
use crate::calls::OpenChannel;
use crate::clock::Stopwatch;
use crate::units::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// A server that has said nothing for so long is given up; one that is alive tells the time when asked.
pub const SILENCE: Duration = Duration::from_secs(30);
/// The time is asked for this often.
const PING: Duration = Duration::from_secs(10);

/// What is subscribed to. CHANNEL_HANGUP tells the moment; CHANNEL_HANGUP_COMPLETE says the same once more.
const EVENTS: &str = "event json CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HOLD CHANNEL_UNHOLD \
                      CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE HEARTBEAT CUSTOM callcenter::info conference::maintenance";
/// The time, in microseconds.
const TIME: &str = "api strmicroepoch";

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The network.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing came.
    #[error("the server said nothing for {} s", SILENCE.as_secs())]
    Silent,
    /// The password was refused, or our address.
    #[error("the login was refused: {0}; compare the password, and apply-inbound-acl, with event_socket.conf.xml")]
    Refused(String),
    /// The events were.
    #[error("events are refused: {0}")]
    Unsubscribed(String),
    /// Frames cannot be told apart.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What is open is not told.
    #[error(transparent)]
    List(#[from] ListError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits to be asked who we are.
    Greeted,
    /// Waits for the answer to the password.
    LoggingIn,
    /// Waits for the answer to the subscription.
    Subscribing,
    /// Asked for the time before the lists: they have none of their own.
    Timing,
    /// Asked for the open channels.
    Listing,
    /// Asked who is bridged with whom.
    Bridging,
    Reading,
}

/// A connection.
pub struct Session {
    connection: Connection,
    config: Config,
    framer: Framer,
    state: State,
    /// Since the state, the last question for the time, the last frame.
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

    /// The server speaks first.
    fn connect(config: &Config) -> Result<Self, SessionError> {
        Ok(Self {
            connection: Connection::open(config.address, None)?,
            config: config.clone(),
            framer: Framer::default(),
            state: State::Greeted,
            since: Stopwatch::start(),
            pinged: Stopwatch::start(),
            heard: Stopwatch::start(),
            listed: Vec::new(),
            waiting: VecDeque::new(),
            latest: None,
        })
    }

    fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    fn hear(&mut self, patience: Duration) -> Result<Heard, SessionError> {
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                return Ok(heard);
            }
            match self.framer.frame()? {
                Some(Framed::Frame(frame)) => self.take(&frame)?,
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
    fn keep_alive(&mut self) -> Result<(), SessionError> {
        // A server that talks but never tells what is open is as good as silent.
        if self.heard.elapsed() >= SILENCE || (self.state != State::Reading && self.since.elapsed() >= SILENCE) {
            return Err(SessionError::Silent);
        }
        if self.state == State::Reading && self.pinged.elapsed() >= PING {
            self.pinged = Stopwatch::start();
            self.say(TIME)?;
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame) -> Result<(), SessionError> {
        self.heard = Stopwatch::start();
        let first_line = || String::from_utf8_lossy(&frame.body).trim().chars().take(100).collect::<String>();
        match (frame.get("Content-Type"), self.state) {
            ("auth/request", State::Greeted) => {
                let password = self.config.password.clone();
                self.ask(State::LoggingIn, &format!("auth {password}"))
            }
            ("command/reply", State::LoggingIn) if frame.get("Reply-Text").starts_with("+OK") => {
                self.waiting.push_back(Heard::LoggedIn);
                self.ask(State::Subscribing, EVENTS)
            }
            ("command/reply", State::LoggingIn) => Err(SessionError::Refused(frame.get("Reply-Text").chars().take(100).collect())),
            ("text/rude-rejection", _) => Err(SessionError::Refused(first_line())),
            ("text/disconnect-notice", _) => Err(SessionError::Closed),
            ("command/reply", State::Subscribing) if frame.get("Reply-Text").starts_with("+OK") => self.ask(State::Timing, TIME),
            ("command/reply", State::Subscribing) => Err(SessionError::Unsubscribed(frame.get("Reply-Text").chars().take(100).collect())),
            ("api/response", State::Timing) => {
                self.tell_time(frame);
                self.ask(State::Listing, "api show channels as json")
            }
            ("api/response", State::Listing) => {
                self.listed = list::channels(&frame.body)?;
                self.ask(State::Bridging, "api show calls as json")
            }
            ("api/response", State::Bridging) => {
                list::bridge(&mut self.listed, &frame.body)?;
                (self.state, self.since) = (State::Reading, Stopwatch::start());
                self.waiting.push_back(Heard::Open(std::mem::take(&mut self.listed)));
                Ok(())
            }
            ("api/response", State::Reading) => {
                self.tell_time(frame);
                Ok(())
            }
            ("text/event-json", State::Timing | State::Listing | State::Bridging | State::Reading) => {
                self.hear_event(&frame.body);
                Ok(())
            }
            // Whatever else a server may say at some other time says nothing here.
            (
                _,
                State::Greeted | State::LoggingIn | State::Subscribing | State::Timing | State::Listing | State::Bridging | State::Reading,
            ) => Ok(()),
        }
    }

    fn hear_event(&mut self, body: &[u8]) {
        let Some(event) = Event::parse(body) else { return self.waiting.push_back(Heard::Malformed) };
        self.latest = self.latest.max(event.told_at());
        match read(&event, &self.config.variables) {
            Said::Events(events) => self.waiting.push_back(Heard::Events(events)),
            Said::Undated => self.waiting.push_back(Heard::Undated),
            Said::Nothing => {}
        }
    }

    fn tell_time(&mut self, frame: &Frame) {
        let micros = String::from_utf8_lossy(&frame.body).trim().parse::<i64>().ok().filter(|micros| *micros > 0);
        self.latest = self.latest.max(micros.map(Timestamp::from_micros));
    }

    fn ask(&mut self, state: State, command: &str) -> Result<(), SessionError> {
        (self.state, self.since) = (state, Stopwatch::start());
        self.pinged = Stopwatch::start();
        self.say(command)
    }

    fn say(&mut self, command: &str) -> Result<(), SessionError> {
        // A line end in a configured value would begin another command.
        let line: String = command.chars().filter(|letter| !letter.is_control()).collect();
        Ok(self.connection.write(format!("{line}\n\n").as_bytes())?)
    }
}

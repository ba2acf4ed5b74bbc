//! What is under way in recordings that overlap, repeat, or come in another order than they were made.
//!
//! The one invariant: a stream hears every message once, forward in time. A recording that reaches back before what was
//! heard so far gets a stream of its own, which answers for the calls that began before; what the others have heard
//! already, they do not hear again: a leg whose end they remember would swallow it, and leave its call without talk.

use super::kept_dialogs::KeptDialogs;
use super::replay::SIP;
use super::signalling::Signalling;
use crate::calls::{Call, Directory, News, Stage, Unmetered, Update};
use crate::ledger::{Ledger, LedgerError, Snapshot};
use crate::sip::Observed;
use crate::units::codec::{Reader, Writer};
use crate::units::{KeyedState, Message, Timestamp};
use std::collections::BTreeSet;

/// Streams at most; beyond, the oldest that was made for a recording of earlier days goes.
const MOST: usize = 3;
/// Packets of several queues may come so much out of order, also across the cut between two files.
const DISORDER_MICROS: i64 = 1_000_000;

/// All streams of one ledger.
pub(super) struct Streams {
    /// The first goes on into the future; the others were made for what lay before.
    streams: Vec<Stream>,
    directory: Directory,
    max_legs: usize,
    key: KeyedState,
    begun: bool,
    /// News of streams that do not answer for every call.
    news: Vec<Update>,
    /// What the daemon kept in parts, and a replay keeps in one piece.
    gone: Vec<(String, Snapshot)>,
}

struct Stream {
    signalling: Signalling,
    /// The latest message it heard.
    through: Option<Timestamp>,
    /// It answers for calls that began no later; `None`: for all.
    until: Option<Timestamp>,
    /// Messages up to here it heard already.
    deaf: Option<Timestamp>,
    before: Unmetered,
}

fn name(place: usize) -> String {
    if place == 0 { SIP.to_owned() } else { format!("{SIP}, earlier {place}") }
}

impl Streams {
    /// As earlier replays, or the daemon, left them.
    pub fn read(ledger: &Ledger, directory: &Directory, max_legs: usize, key: KeyedState) -> Result<Self, LedgerError> {
        let KeptDialogs { mut whole, parts } = KeptDialogs::of(ledger)?;
        let gone = parts.into_iter().map(|part| (part, Snapshot::gone())).collect();
        let mut all = Self { streams: Vec::new(), directory: directory.clone(), max_legs, key, begun: false, news: Vec::new(), gone };
        for place in 0..MOST {
            let kept = if place == 0 { whole.take() } else { ledger.snapshot(&name(place))? };
            let kept = kept.filter(|kept| !kept.body.is_empty());
            let restored = kept.and_then(|kept| all.restore(place, &kept, ledger.time()));
            match restored {
                Some(stream) => all.streams.push(stream),
                None if place == 0 => all.streams.push(all.fresh(None)),
                None => {}
            }
        }
        Ok(all)
    }

    fn fresh(&self, until: Option<Timestamp>) -> Stream {
        let mut signalling = Signalling::new(self.directory.clone(), self.max_legs, self.key);
        signalling.tell(News::Ends);
        Stream { signalling, through: None, until, deaf: None, before: Unmetered::default() }
    }

    fn restore(&self, place: usize, kept: &Snapshot, ledger_time: Timestamp) -> Option<Stream> {
        let (until, body) = if place == 0 {
            (None, kept.body.as_slice())
        } else {
            let mut from = Reader::new(&kept.body);
            (Some(from.time()?), from.bytes()?)
        };
        let mut signalling = Signalling::read(body, self.directory.clone(), self.max_legs, self.key)?;
        signalling.tell(News::Ends);
        let through = kept.position.parse().map_or(ledger_time, Timestamp::from_micros);
        let before = signalling.unmetered();
        Some(Stream { signalling, through: Some(through), until, deaf: None, before })
    }

    /// Another recording begins.
    pub fn begin(&mut self) {
        self.begun = false;
        self.streams.iter_mut().for_each(|stream| stream.signalling.begin());
    }

    /// The first message of a recording says who heard it already.
    fn first(&mut self, at: Timestamp) {
        self.begun = true;
        let mut earliest: Option<Timestamp> = None;
        let mut goes_on = false;
        for stream in &mut self.streams {
            stream.deaf = stream.through.filter(|through| at < through.plus_micros(-DISORDER_MICROS));
            goes_on |= stream.deaf.is_none();
            earliest = [earliest, stream.deaf].into_iter().flatten().min();
        }
        if !goes_on {
            if self.streams.len() == MOST {
                self.streams.remove(1);
            }
            self.streams.push(self.fresh(earliest));
        }
    }

    /// Takes a message of a recording, captured at `arrived_at`.
    pub fn observe(&mut self, message: &Message<'_>, arrived_at: Timestamp, out: &mut Vec<Update>) -> Observed {
        let at = message.captured_at.min(arrived_at);
        if !self.begun {
            self.first(at);
        }
        let mut observed = Observed::NoCall;
        for stream in &mut self.streams {
            if stream.deaf.is_some_and(|deaf| at <= deaf) {
                continue;
            }
            stream.through = Some(stream.through.map_or(at, |through| through.max(at)));
            observed = match stream.until {
                None => stream.signalling.observe(message, arrived_at, out),
                Some(_) => {
                    let observed = stream.signalling.observe(message, arrived_at, &mut self.news);
                    stream.tell(&mut self.news, out);
                    observed
                }
            };
        }
        observed
    }

    /// The ledger's time is reached, and what is due has ended; with `finish` all the rest, too. Gives the calls that run.
    pub fn end(&mut self, time: Option<Timestamp>, finish: bool, out: &mut Vec<Update>) -> Vec<Call> {
        let mut running: Vec<Call> = Vec::new();
        let mut names = BTreeSet::new();
        for stream in &mut self.streams {
            let mut news = Vec::new();
            if let Some(time) = time {
                stream.signalling.advance(time, &mut news);
            }
            if finish {
                stream.signalling.finish(&mut news);
            }
            news.extend(stream.signalling.calls().ended().map(|call| Update { stage: Stage::Concluded, call }));
            stream.tell(&mut news, out);
            let calls = stream.signalling.calls().running().filter(|call| stream.answers_for(call));
            running.extend(calls.filter(|call| names.insert(call.id.clone())));
        }
        running
    }

    /// What makes no record, of the recordings since it was read.
    pub fn unmetered(&self) -> Unmetered {
        // The latest stream heard every message of the last recording.
        self.streams.last().map_or_else(Unmetered::default, |stream| stream.signalling.unmetered().since(stream.before))
    }

    /// The streams as snapshots. Those with nothing under way that only they know are let go.
    pub fn write(mut self) -> Vec<(String, Snapshot)> {
        let mut place = 0;
        self.streams.retain(|stream| {
            place += 1;
            place == 1 || stream.signalling.calls().running().any(|call| stream.answers_for(&call))
        });
        let mut snapshots = std::mem::take(&mut self.gone);
        for place in 0..MOST {
            let snapshot = self.streams.get(place).map_or_else(Snapshot::default, |stream| {
                let position = stream.through.map(|through| through.micros().to_string()).unwrap_or_default();
                let body = stream.signalling.write();
                let body = stream
                    .until
                    .map(|until| {
                        let mut out = Writer::new();
                        out.time(until);
                        out.bytes(&body);
                        out.finish()
                    })
                    .unwrap_or(body);
                Snapshot { position, body }
            });
            snapshots.push((name(place), snapshot));
        }
        snapshots
    }
}

impl Stream {
    fn answers_for(&self, call: &Call) -> bool {
        self.until.is_none_or(|until| call.started_at <= until)
    }

    /// Passes on the news of calls it answers for.
    fn tell(&self, news: &mut Vec<Update>, out: &mut Vec<Update>) {
        out.extend(news.drain(..).filter(|update| self.answers_for(&update.call)));
    }
}

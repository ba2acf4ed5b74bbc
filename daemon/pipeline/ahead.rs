//! Reading a capture ahead: one thread reads packets and finds where the parts of their messages lie, while another follows
//! the dialogs. A message is copied once for it, from the buffer of the file, which is at hand, to one that can be handed over.
//!
//! The one invariant: messages are heard one by one and in the order in which the capture has them, as if one thread did it
//! all; and what is read ahead is bounded, in messages and in bytes.

use crate::sip::{Places, Scanned, Unread};
use crate::sources::pcap::{Capture, CaptureError, Counters, Packet, Progress};
use crate::units::{Message, Observation, Timestamp};
use std::io::Read;
use std::net::SocketAddr;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// So many packets are handed over at once, or fewer with so many bytes: what two processors share should be near both.
const PACKETS_AT_ONCE: u64 = 200;
const BYTES_AT_ONCE: usize = 128 << 10;
/// So many hands full may wait.
const HANDS_WAITING: usize = 2;

/// Messages of some packets, in order.
#[derive(Default)]
pub(super) struct Hand {
    bytes: Vec<u8>,
    messages: Vec<Kept>,
    /// How far reading is, bytes from the start of the file.
    pub position: u64,
    /// What was read so far.
    pub counters: Counters,
    ended: Option<Result<Progress, CaptureError>>,
}

/// A message, and what was found in it.
struct Kept {
    payload: Range<usize>,
    correlation: Option<Box<[u8]>>,
    captured_at: Timestamp,
    arrived_at: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    found: Result<Places, Unread>,
}

/// Reads a capture to its end, or until `hear` breaks; it hears of each hand full. Says why reading ended, if it was not that.
pub(super) fn read<R: Read + Send>(
    mut capture: Capture<R>,
    mut hear: impl FnMut(&Hand) -> ControlFlow<()>,
) -> Result<Progress, CaptureError> {
    let (sender, receiver) = sync_channel::<Hand>(HANDS_WAITING);
    let (give_back, spare) = sync_channel::<Hand>(HANDS_WAITING);
    std::thread::scope(|scope| {
        scope.spawn(move || read_all(&mut capture, &sender, &spare));
        // Owned here: the reader stops when it goes.
        let receiver = receiver;
        while let Ok(mut hand) = receiver.recv() {
            if hear(&hand).is_break() {
                return Ok(Progress::Stopped);
            }
            if let Some(ended) = hand.ended.take() {
                return ended;
            }
            // One too many is let go.
            let _ = give_back.try_send(hand);
        }
        Ok(Progress::Stopped)
    })
}

fn read_all<R: Read>(capture: &mut Capture<R>, sender: &SyncSender<Hand>, spare: &Receiver<Hand>) {
    loop {
        let mut hand = spare.try_recv().unwrap_or_default();
        hand.empty();
        let advanced = capture.advance(PACKETS_AT_ONCE, |packet| hand.keep(&packet));
        (hand.position, hand.counters) = (capture.position(), *capture.counters());
        let more = matches!(advanced, Ok(Progress::More | Progress::Stopped));
        hand.ended = (!more).then_some(advanced);
        if sender.send(hand).is_err() || !more {
            return;
        }
    }
}

impl Hand {
    fn empty(&mut self) {
        self.messages.clear();
        self.bytes.clear();
        // After a packet beyond all measure.
        self.bytes.shrink_to(2 * BYTES_AT_ONCE);
    }

    fn keep(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        let Observation::Sip(Message { captured_at, source, destination, correlation, payload }) = packet.observation;
        let from = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.messages.push(Kept {
            payload: from..self.bytes.len(),
            correlation: correlation.map(Into::into),
            captured_at,
            arrived_at: packet.arrived_at,
            source,
            destination,
            found: Places::of(payload),
        });
        if self.bytes.len() < BYTES_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Gives each message to `hear`: what was found in it, and when its packet was captured.
    pub fn each(&self, mut hear: impl FnMut(&Message<'_>, &Result<Scanned<'_>, Unread>, Timestamp)) {
        for kept in &self.messages {
            let payload = self.bytes.get(kept.payload.clone()).unwrap_or_default();
            let Kept { captured_at, arrived_at, source, destination, .. } = *kept;
            let message = Message { captured_at, source, destination, correlation: kept.correlation.as_deref(), payload };
            hear(&message, &kept.found.map(|places| places.on(payload)), arrived_at);
        }
    }
}

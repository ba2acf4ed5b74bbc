//! What an event socket sends, cut anywhere: the same frames; and of what the events in them tell calls stay possible, also where
//! what is open is told in between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use taktd::calls::{Channels, Directory};
use taktd::sources::freeswitch::leg::Variables;
use taktd::sources::freeswitch_events::event::{self, Event, Said};
use taktd::sources::freeswitch_events::frame::{FrameError, Framed, Framer};
use taktd::sources::freeswitch_events::list;
use taktd_fuzz::{directory, hear};

static DIRECTORY: LazyLock<Directory> = LazyLock::new(directory);

fn all<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Framed>, Option<FrameError>) {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.frame() {
                Ok(Some(framed)) => found.push(framed),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|data: &[u8]| {
    // The first octet says how the rest is cut.
    let Some((size, rest)) = data.split_first() else { return };
    let whole = all(std::iter::once(rest));
    let parts = all(rest.chunks(usize::from(*size).max(1)));
    assert!(whole == parts, "it depends on how it arrives: {whole:?} {parts:?}");

    let mut channels = Channels::new(&DIRECTORY);
    let (mut updates, mut last) = (Vec::new(), None);
    for framed in &whole.0 {
        let Framed::Frame(frame) = framed else { continue };
        if let Ok(mut open) = list::channels(&frame.body) {
            let _ = list::bridge(&mut open, &frame.body);
            if let Some(at) = last {
                channels.resync(&open, Some(at), at, &mut updates);
            }
        } else if let Some(event) = Event::parse(&frame.body)
            && let Said::Events(events) = event::read(&event, &Variables::default())
        {
            last = last.max(event.told_at());
            for event in &events {
                assert!(event.at.micros() > 0, "an event without a time: {event:?}");
                channels.apply(event, &mut updates);
            }
        }
    }
    hear(channels, &DIRECTORY, updates);
});

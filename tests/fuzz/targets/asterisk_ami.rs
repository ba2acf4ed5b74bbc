//! What a manager interface sends: cut anywhere, it is the same messages, and their events have times.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::asterisk_ami::event::{self, Said};
use taktd::sources::asterisk_ami::message::{Framed, Framer};

fn all(chunks: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Framed> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for chunk in chunks {
        framer.push(chunk.as_ref());
        while let Some(framed) = framer.next() {
            found.push(framed);
        }
    }
    found
}

fuzz_target!(|data: &[u8]| {
    // The first octet says how the rest is cut.
    let Some((size, rest)) = data.split_first() else { return };
    let whole = all(std::iter::once(rest));
    // What is too long is known as such sooner or later, and given away all the same.
    if rest.len() < 60_000 {
        let parts = all(rest.chunks(usize::from(*size).max(1)));
        assert!(format!("{whole:?}") == format!("{parts:?}"), "it depends on how it arrives");
    }
    for framed in &whole {
        if let Framed::Message(message) = framed
            && let Said::Events(events) = event::read(message)
        {
            assert!(events.iter().all(|event| event.at.micros() > 0), "an event without a time: {message:?}");
        }
    }
});

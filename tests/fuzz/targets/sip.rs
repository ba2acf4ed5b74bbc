//! Messages, one after another: the first two octets of each say between whom it goes, and how much later. Whatever they say,
//! calls stay possible, and what is kept of them can be read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use taktd::calls::Directory;
use taktd::pipeline::signalling::Signalling;
use taktd::units::{KeyedState, Message};
use taktd_fuzz::{address, directory, judge, noon, pieces};

static DIRECTORY: LazyLock<Directory> = LazyLock::new(directory);
const MOST_LEGS: usize = 64;

fuzz_target!(|data: &[u8]| {
    let key = || KeyedState::new(7);
    let mut signalling = Signalling::new(DIRECTORY.clone(), MOST_LEGS, key());
    let mut updates = Vec::new();
    let mut at = noon();
    for piece in pieces(data) {
        let [between, later, payload @ ..] = piece else { continue };
        // Mostly moments, sometimes minutes, sometimes back.
        let later = i64::from(*later as i8);
        at = at.plus_micros(if later % 16 == 0 { later * 10_000_000 } else { later.abs() * 10_000 });
        let message =
            Message { captured_at: at, source: address(between & 3), destination: address(between >> 2 & 3), correlation: None, payload };
        let _ = signalling.observe(&message, at, &mut updates);
        signalling.advance(at, &mut updates);
        assert!(signalling.legs() <= MOST_LEGS, "bounded");
    }
    let kept = signalling.write();
    let back = Signalling::read(&kept, DIRECTORY.clone(), MOST_LEGS, key()).expect("what was written is read back");
    assert!(back.write() == kept, "and is the same");
    signalling.finish(&mut updates);
    for update in updates.iter().filter(|update| update.call.ended_at.is_some()) {
        judge(&update.call);
    }
});

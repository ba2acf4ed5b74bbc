//! Rows of Asterisk's channel events: read at once, and across a restart while the file was growing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::asterisk_cel::layout::Layout;
use taktd::sources::asterisk_cel::{AsteriskCel, Config};
use taktd_fuzz::Scratch;

fn drain(source: &mut AsteriskCel, events: &mut Vec<String>) -> bool {
    for _ in 0..10_000 {
        match source.poll() {
            Ok(batch) => {
                events.extend(batch.events.iter().map(|event| format!("{event:?}")));
                if !batch.more {
                    return true;
                }
            }
            Err(_) => return false,
        }
    }
    panic!("it never comes to an end");
}

fuzz_target!(|data: &[u8]| {
    let file = Scratch::new("cel", data);
    let config = Config { path: file.path().into(), layout: Layout::Auto };
    let mut whole = Vec::new();
    let well = drain(&mut AsteriskCel::new(&config, None), &mut whole);
    drop(file);
    let half = data.len() / 2;
    let file = Scratch::new("cel", &data[..half]);
    let mut parts = Vec::new();
    let mut first = AsteriskCel::new(&config, None);
    let begun = drain(&mut first, &mut parts);
    file.append(&data[half..]);
    let ended = drain(&mut AsteriskCel::new(&config, Some(first.position())), &mut parts);
    if well && begun && ended {
        assert!(whole == parts, "a restart changes what is read: {whole:?} {parts:?}");
    }
});

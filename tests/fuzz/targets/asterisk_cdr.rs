//! Rows of Asterisk's records, and lines of its queue log: read at once, and by a second reader that goes on from where the
//! first one's position was kept while the file was growing. No row twice, none lost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::asterisk_cdr::layout::Layout;
use taktd::sources::asterisk_cdr::{AsteriskCdr, Config, SourcePosition};
use taktd_fuzz::{Scratch, pieces};

fn drain(source: &mut AsteriskCdr, rows: &mut Vec<String>) -> bool {
    for _ in 0..10_000 {
        match source.poll() {
            Ok(batch) => {
                rows.extend(batch.rows.iter().map(|row| format!("{row:?}")));
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
    let pieces = pieces(data);
    let (file, queue_log) = (pieces[0], pieces.get(1).copied().unwrap_or_default());
    let (rows_at, lines_at) = (Scratch::new("cdr", file), Scratch::new("queue", queue_log));
    let zone = chrono_tz::Europe::Berlin;
    let config = Config { path: rows_at.path().into(), zone, layout: Layout::Auto, queue_log: Some(lines_at.path().into()) };
    let mut whole = Vec::new();
    let well = drain(&mut AsteriskCdr::new(&config, None), &mut whole);

    // Grown in two steps, with a restart between.
    let half = file.len() / 2;
    drop(rows_at);
    let rows_at = Scratch::new("cdr", &file[..half]);
    let mut parts = Vec::new();
    let mut first = AsteriskCdr::new(&config, None);
    let begun = drain(&mut first, &mut parts);
    let mut kept = taktd::units::codec::Writer::new();
    first.position().write(&mut kept);
    let kept = kept.finish();
    rows_at.append(&file[half..]);
    let position = SourcePosition::read(&mut taktd::units::codec::Reader::new(&kept)).expect("a position is read back");
    let ended = drain(&mut AsteriskCdr::new(&config, Some(position)), &mut parts);
    if well && begun && ended {
        assert!(whole == parts, "a restart changes what is read: {whole:?} {parts:?}");
    }
});

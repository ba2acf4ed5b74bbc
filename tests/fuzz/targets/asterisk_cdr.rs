//! Rows of Asterisk's records, and lines of its queue log: read at once, and across a restart while the file was growing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::asterisk_cdr::layout::Layout;
use taktd::sources::asterisk_cdr::{AsteriskCdr, Config, SourcePosition};
use taktd::units::codec::{Reader, Writer};
use taktd_fuzz::{Scratch, Told, drain, pieces, survives_a_restart};

fuzz_target!(|data: &[u8]| {
    let pieces = pieces(data);
    let queue_log = Scratch::new("queue", pieces.get(1).copied().unwrap_or_default());
    survives_a_restart("cdr", pieces[0], |path, position: Option<SourcePosition>| {
        let (layout, queue_log) = (Layout::Auto, Some(queue_log.path().into()));
        let config = Config { path: path.into(), zone: chrono_tz::Europe::Berlin, layout, queue_log };
        let mut source = AsteriskCdr::new(&config, position);
        let (rows, well) = drain(|| {
            let batch = source.poll().ok()?;
            Some((batch.rows.iter().map(|row| format!("{row:?}")).collect(), batch.more))
        });
        let mut kept = Writer::new();
        source.position().write(&mut kept);
        let position = SourcePosition::read(&mut Reader::new(&kept.finish())).expect("a position is read back");
        Told { rows, position, well: well && source.finish().is_ok() }
    });
});

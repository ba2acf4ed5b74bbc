//! Rows of Asterisk's channel events: read at once, and across a restart while the file was growing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::asterisk_cel::layout::Layout;
use taktd::sources::asterisk_cel::{AsteriskCel, Config};
use taktd_fuzz::{Told, drain, survives_a_restart};

fuzz_target!(|data: &[u8]| {
    survives_a_restart("cel", data, |path, position| {
        let mut source = AsteriskCel::new(&Config { path: path.into(), layout: Layout::Auto }, position);
        let (rows, well) = drain(|| {
            let batch = source.poll().ok()?;
            Some((batch.events.iter().map(|event| format!("{event:?}")).collect(), batch.more))
        });
        Told { rows, position: source.position(), well: well && source.finish().is_ok() }
    });
});

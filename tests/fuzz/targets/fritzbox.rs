//! Lines of a call monitor, as they stand in a recording: read or refused, and of what they tell calls stay possible, also after
//! a restart in between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use taktd::calls::{Channels, Directory};
use taktd::sources::fritzbox::monitor::{MOST_CALLS, Monitor};
use taktd_fuzz::{directory, hear};

static DIRECTORY: LazyLock<Directory> = LazyLock::new(directory);

fuzz_target!(|data: &[u8]| {
    let mut channels = Channels::new(&DIRECTORY);
    let mut monitor = Monitor::resume(chrono_tz::Europe::Berlin, []);
    let (mut updates, mut last) = (Vec::new(), None);
    for line in data.split(|byte| *byte == b'\n') {
        // As if we had ended here: what is open is read back from the channels.
        if line == b"%%" {
            monitor = Monitor::resume(chrono_tz::Europe::Berlin, channels.open());
            monitor.doubt(last);
            assert!(channels.open().count() <= 2 * MOST_CALLS, "bounded");
            continue;
        }
        match monitor.hear(line, None) {
            Ok(heard) => {
                last = last.max(Some(heard.at));
                heard.events.iter().for_each(|event| channels.apply(event, &mut updates));
            }
            Err(refused) => assert!(!refused.to_string().is_empty(), "a reason"),
        }
    }
    hear(channels, &DIRECTORY, updates);
});

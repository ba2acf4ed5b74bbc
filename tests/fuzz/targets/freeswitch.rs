//! Records as FreeSWITCH posts them, in any encoding: a row whose times follow one another, or a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::freeswitch::{Config, FreeSwitch};

fuzz_target!(|data: &[u8]| {
    let mut source = FreeSwitch::new(&Config::default(), None);
    let (first, again) = (source.post(data), source.post(data));
    assert!(first == again, "the same record is read the same");
    if let Err(refused) = first {
        assert!(!refused.to_string().is_empty(), "a reason");
    }
});

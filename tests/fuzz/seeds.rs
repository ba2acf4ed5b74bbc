//! What the targets begin with, made of the recordings, examples and cases of the project, in the folder `TAKTD_SEEDS`. It is
//! built as they are, so it is a target that does nothing once it has begun: run it with `-runs=0`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use taktd::sources::pcap::Capture;
use taktd::units::Observation;
use taktd_fuzz::{BETWEEN, HOUSE, address};

/// The longest seed: what is longer teaches little and costs much.
const LONGEST: usize = 16 * 1024;

fuzz_target!(init: write(&PathBuf::from(std::env::var_os("TAKTD_SEEDS").expect("a folder"))), |_data: &[u8]| {});

fn write(out: &Path) {
    let house = Path::new(HOUSE);
    let recordings = house.join("tests/recordings");
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = out.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a seed");
    };
    // Lines, in hands of so many, each with the first where it is a header.
    let lines = |target: &str, name: &str, prefix: &[u8], bytes: &[u8], header: bool| {
        let all: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let (head, rows) = if header { all.split_at(1.min(all.len())) } else { all.split_at(0) };
        for (place, rows) in rows.chunks(12).take(12).enumerate() {
            put(target, &format!("{name}-{place}"), &[prefix, &head.concat(), &rows.concat()].concat());
        }
    };
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));

    for (pbx, file) in [("asterisk-16", "sip.pcap"), ("asterisk-22", "sip.pcap"), ("kamailio", "sip.pcap")] {
        let bytes = read(&recordings.join(pbx).join(file));
        let mut messages: Vec<Vec<u8>> = Vec::new();
        let mut last = None;
        let read = Capture::new(file, bytes.as_slice()).advance(u64::MAX, |packet| {
            let Observation::Sip(message) = packet.observation;
            let number = |ip| (0..4).find(|number| address(*number).ip() == ip).unwrap_or(3);
            let between = number(message.source.ip()) | number(message.destination.ip()) << 2;
            let later = last.map_or(0, |last| message.captured_at.since(last) / 10_000).clamp(1, 127);
            last = Some(message.captured_at);
            let later = u8::try_from(later).unwrap_or(1);
            messages.push([&[between, if later % 16 == 0 { later + 1 } else { later }], message.payload].concat());
            ControlFlow::Continue(())
        });
        read.expect("a recording is whole");
        for (place, some) in messages.chunks(14).take(24).enumerate() {
            put("sip", &format!("{pbx}-{place}"), &some.join(BETWEEN));
        }
        put("pcap", pbx, &bytes[..bytes.len().min(LONGEST)]);
    }
    for pbx in ["asterisk-16", "asterisk-22", "kamailio"] {
        // A capture of HEP over UDP, Ethernet and IPv4: behind 42 octets a frame begins.
        let bytes = read(&recordings.join(pbx).join("hep.pcap"));
        put("pcap", &format!("{pbx}-hep"), &bytes[..bytes.len().min(LONGEST)]);
        let (mut at, mut frames) = (24, Vec::new());
        while let Some(length) = bytes.get(at + 8..at + 12).and_then(|field| field.try_into().ok()).map(u32::from_le_bytes) {
            let end = at + 16 + usize::try_from(length).expect("small");
            frames.extend(bytes.get(at + 16 + 42..end).map(<[u8]>::to_vec));
            at = end;
        }
        for (place, some) in frames.chunks(4).take(12).enumerate() {
            put("hep", &format!("{pbx}-{place}"), &some.join(BETWEEN));
        }
    }
    for pbx in ["asterisk-16", "asterisk-22"] {
        let folder = recordings.join(pbx);
        let queue_log = read(&folder.join("queue_log"));
        for file in ["Master.csv", "cdr-wide.csv"] {
            let rows = read(&folder.join(file));
            lines("asterisk_cdr", &format!("{pbx}-{file}"), b"", &rows, file == "cdr-wide.csv");
            let some = [&rows[..rows.len().min(4_000)], BETWEEN, &queue_log[..queue_log.len().min(4_000)]].concat();
            put("asterisk_cdr", &format!("{pbx}-{file}-with-queue"), &some);
        }
        lines("asterisk_cel", pbx, b"", &read(&folder.join("cel.csv")), false);
    }
    let event = b"Event: Newchannel\r\nTimestamp: 1767225600.100000\r\nChannel: PJSIP/trunk-00000001\r\nChannelState: 0\r\nUniqueid: 1.1\r\nLinkedid: 1.1\r\nCallerIDNum: 0301\r\nExten: 100\r\n\r\nEvent: BridgeEnter\r\nTimestamp: 1767225601.1\r\nUniqueid: 1.1\r\nLinkedid: 1.1\r\nBridgeUniqueid: b\r\nChannel: PJSIP/trunk-00000001\r\n\r\nEvent: Hangup\r\nTimestamp: 1767225609.1\r\nUniqueid: 1.1\r\nLinkedid: 1.1\r\nCause: 16\r\nChannel: PJSIP/trunk-00000001\r\n\r\n";
    put("asterisk_ami", "call", &[&[7], &event[..]].concat());
    let walk = |folder: &Path| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect();
        found.sort();
        found
    };
    for path in walk(&house.join("tests/cases/sources")) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        for which in 0..4u8 {
            lines("csv", &format!("{which}-{name}"), &[which], &read(&path), true);
        }
    }
    let box_lines = read(&house.join("tests/cases/sources/fritzbox.txt"));
    lines("fritzbox", "lines", b"", &box_lines, false);
    lines("fritzbox", "restarted", b"", String::from_utf8_lossy(&box_lines).replace('\n', "\n%%\n").as_bytes(), false);
    put("freeswitch_events", "call", &[&[7], freeswitch_call().as_bytes()].concat());
    put("freeswitch", "json", br#"{"core-uuid":"c","channel_data":{"direction":"inbound"},"variables":{"uuid":"u-1","direction":"inbound","start_uepoch":"1767225600000000","answer_uepoch":"1767225602000000","end_uepoch":"1767225640000000","sip_from_user":"03012345","hangup_cause":"NORMAL_CLEARING"},"callflow":[{"caller_profile":{"caller_id_number":"03012345","destination_number":"100"}}]}"#);
    put("freeswitch", "form", b"cdr=%7B%22core-uuid%22%3A%22c%22%2C%22variables%22%3A%7B%22uuid%22%3A%22u-1%22%7D%7D");
    put("freeswitch", "base64", b"cdr=eyJjb3JlLXV1aWQiOiJjIn0=");
    for path in walk(&house.join("config/tariffs")).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "toml")) {
        put("tariff", &path.file_stem().expect("a name").to_string_lossy(), &read(&path));
    }
    lines("contracts", "csv", &[0], &read(&house.join("config/contracts.csv")), true);
    put("contracts", "toml", b"\x01[[contract]]\ncontract_id = \"K-1\"\ncustomer = \"Beispiel\"\nplans = [\"support-level-1\"]\nstarts_on = 2026-01-01\nnumbers = [\"+49 171 3920021\"]\n");
}

/// A call that a desk answers, as the event socket tells it, and what it lists as open while they talk.
fn freeswitch_call() -> String {
    let frame = |kind: &str, body: &str| format!("Content-Length: {}\nContent-Type: {kind}\n\n{body}", body.len());
    let event = |at: u32, fields: &str| {
        let common = format!(r#""Event-Date-Timestamp":"17672256{at:02}000000","Channel-Call-UUID":"a""#);
        frame("text/event-json", &format!("{{{common},{fields}}}"))
    };
    let (a, b) = (r#""Unique-ID":"a""#, r#""Unique-ID":"b""#);
    let bridge = r#""Bridge-A-Unique-ID":"a","Bridge-B-Unique-ID":"b""#;
    let list = r#"{"row_count":2,"rows":[{"uuid":"a","b_uuid":"b","direction":"inbound","name":"sofia/external/03012345@192.0.2.1","callstate":"ACTIVE","call_uuid":"a","cid_num":"03012345","dest":"089555010"},{"uuid":"b","direction":"outbound","name":"sofia/internal/201@192.0.2.9","callstate":"ACTIVE","call_uuid":"a","callee_num":"201"}]}"#;
    [
        frame("auth/request", ""),
        event(0, &format!(r#""Event-Name":"CHANNEL_CREATE",{a},"Call-Direction":"inbound","Channel-Name":"sofia/external/03012345@192.0.2.1","Caller-Caller-ID-Number":"03012345","Caller-Destination-Number":"089555010""#)),
        event(1, &format!(r#""Event-Name":"CHANNEL_CREATE",{b},"Call-Direction":"outbound","Channel-Name":"sofia/internal/201@192.0.2.9","variable_dialed_user":"201""#)),
        event(1, &format!(r#""Event-Name":"CHANNEL_BRIDGE",{a},{bridge}"#)),
        event(5, &format!(r#""Event-Name":"CHANNEL_ANSWER",{b},"Caller-Channel-Answered-Time":"1767225605000000""#)),
        event(6, &format!(r#""Event-Name":"CHANNEL_HOLD",{b}"#)),
        frame("api/response", list),
        event(7, &format!(r#""Event-Name":"CHANNEL_UNHOLD",{b}"#)),
        event(8, r#""Event-Name":"CUSTOM","Event-Subclass":"callcenter::info","CC-Action":"member-queue-start","CC-Member-Session-UUID":"a","CC-Queue":"support@default""#),
        event(9, &format!(r#""Event-Name":"CUSTOM","Event-Subclass":"conference::maintenance","Action":"add-member","Conference-Name":"room",{a}"#)),
        event(40, &format!(r#""Event-Name":"CHANNEL_UNBRIDGE",{a},{bridge}"#)),
        event(40, &format!(r#""Event-Name":"CHANNEL_HANGUP",{a},"Hangup-Cause":"NORMAL_CLEARING","variable_sip_hangup_disposition":"recv_bye""#)),
        event(40, &format!(r#""Event-Name":"CHANNEL_HANGUP_COMPLETE",{b},"Hangup-Cause":"NORMAL_CLEARING""#)),
    ]
    .concat()
}

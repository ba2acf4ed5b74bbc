//! Payloads that are not the bare message: compressed (chunk 0x10), or the member of a JSON object (OpenSIPS with
//! `homer5_on` 0).
//!
//! The one invariant: what is unpacked is never larger than the largest message, whatever its sender packed.

use crate::sources::SetAside;
use crate::sources::stream::LARGEST;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use serde::Deserialize;
use std::io::Read;

/// Unpacks into `out`. The specification says "gzip/inflate", Kamailio's and Homer's agents use zlib: the first bytes tell
/// (RFC 1950 §2.2, RFC 1952 §2.3.1).
///
/// # Errors
/// When it is broken, ends too early, or is larger than [`LARGEST`].
pub(super) fn inflate(packed: &[u8], out: &mut Vec<u8>) -> Result<(), SetAside> {
    out.clear();
    let most = LARGEST as u64 + 1;
    let read = match *packed {
        [0x1f, 0x8b, ..] => GzDecoder::new(packed).take(most).read_to_end(out),
        [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31) => {
            ZlibDecoder::new(packed).take(most).read_to_end(out)
        }
        _ => DeflateDecoder::new(packed).take(most).read_to_end(out),
    };
    match read {
        Ok(length) if length <= LARGEST => Ok(()),
        _ => Err(SetAside::HepCompressed),
    }
}

/// What of the object is read.
#[derive(Deserialize)]
struct Object {
    payload: String,
}

/// The member `payload` of an object, into `out`.
///
/// # Errors
/// When it is no such object.
pub(super) fn member(json: &[u8], out: &mut Vec<u8>) -> Result<(), SetAside> {
    let object: Object = serde_json::from_slice(json).map_err(|_| SetAside::HepMalformed)?;
    out.clear();
    out.extend_from_slice(object.payload.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn packings(plain: &[u8]) -> [Vec<u8>; 3] {
        let level = Compression::best();
        let all = |mut from: Box<dyn Read + '_>| {
            let mut out = Vec::new();
            from.read_to_end(&mut out).unwrap();
            out
        };
        [
            all(Box::new(ZlibEncoder::new(plain, level))),
            all(Box::new(GzEncoder::new(plain, level))),
            all(Box::new(DeflateEncoder::new(plain, level))),
        ]
    }

    #[test]
    fn every_packing_is_unpacked_up_to_its_bound() {
        let mut out = Vec::new();
        for length in [1, 1_000, LARGEST] {
            let plain: Vec<u8> = (0..length).map(|at| b"INVITE sip:"[at % 11]).collect();
            for packed in packings(&plain) {
                inflate(&packed, &mut out).unwrap();
                assert_eq!(out, plain);
                // Broken off, it is none.
                assert_eq!(inflate(&packed[..packed.len() / 2], &mut out), Err(SetAside::HepCompressed), "{packed:?}");
            }
        }
    }

    #[test]
    fn a_bomb_is_put_out() {
        let mut out = Vec::new();
        for packed in packings(&vec![0; 64 << 20]) {
            assert!(packed.len() < 70_000, "it is small, {}", packed.len());
            assert_eq!(inflate(&packed, &mut out), Err(SetAside::HepCompressed));
            assert!(out.len() <= LARGEST + 1 && out.capacity() <= 4 * LARGEST, "{}", out.capacity());
        }
        for garbage in [b"".as_slice(), b"\x78\x9c", b"\x1f\x8b\x08", b"INVITE", &[0xff; 40]] {
            assert_eq!(inflate(garbage, &mut out), Err(SetAside::HepCompressed), "{}", garbage.escape_ascii());
        }
    }

    #[test]
    fn an_object_gives_its_payload() {
        let mut out = Vec::new();
        let json = br#"{"src": {"a": [1, "x"]}, "payload": "BYE sip:a SIP\/2.0\r\nX: \u00fc\r\n\r\n", "n": 1.5}"#;
        member(json, &mut out).unwrap();
        assert_eq!(String::from_utf8(out.clone()).unwrap(), "BYE sip:a SIP/2.0\r\nX: ü\r\n\r\n");
        let deep = "[".repeat(60_000);
        for wrong in ["", "{", "{}", "{\"payload\": 1}", deep.as_str(), "{\"payload\": \"\"} x"] {
            assert_eq!(member(wrong.as_bytes(), &mut out), Err(SetAside::HepMalformed));
        }
    }
}

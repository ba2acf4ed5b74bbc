//! Whether an offer puts a call on hold (RFC 3264 §8.4, RFC 4566; the old form is c=0.0.0.0, RFC 2543 §B.5).
//!
//! The one invariant: a stream that is switched off (port 0) says nothing; no audio at all says nothing.

use super::text::trim;

/// What an offer says about sound towards the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The other side is not heard: sendonly, inactive, or c=0.0.0.0.
    Held,
    /// It is.
    Open,
}

#[derive(Clone, Copy, Default)]
struct Stream {
    counts: bool,
    direction: Option<Flow>,
    nowhere: Option<bool>,
}

/// What a body says; `None` where it is no session description with live audio.
pub(super) fn flow(body: &[u8]) -> Option<Flow> {
    let mut session = Stream::default();
    let mut stream: Option<Stream> = None;
    let mut found: Option<Flow> = None;
    // Parts of a multipart body before the description hold no line `v=0`.
    for line in body.split(|byte| *byte == b'\n').map(trim).skip_while(|line| *line != b"v=0") {
        let Some((kind, value)) = line.split_at_checked(2) else { continue };
        let level = stream.as_mut().unwrap_or(&mut session);
        match kind {
            b"m=" => {
                found = close(found, session, stream);
                stream = Some(Stream { counts: is_live_audio(value), ..Stream::default() });
            }
            b"c=" => level.nowhere = Some(value.ends_with(b" 0.0.0.0")),
            b"a=" => level.direction = direction(value).or(level.direction),
            _ => {}
        }
    }
    close(found, session, stream)
}

/// Counts a finished stream in: the call is held only if every live audio stream is.
fn close(found: Option<Flow>, session: Stream, stream: Option<Stream>) -> Option<Flow> {
    let Some(stream) = stream.filter(|stream| stream.counts) else { return found };
    let nowhere = stream.nowhere.or(session.nowhere).unwrap_or(false);
    let direction = stream.direction.or(session.direction).unwrap_or(Flow::Open);
    match (nowhere, direction, found) {
        (false, Flow::Open, _) | (_, _, Some(Flow::Open)) => Some(Flow::Open),
        (true, _, _) | (_, Flow::Held, _) => Some(Flow::Held),
    }
}

fn is_live_audio(media: &[u8]) -> bool {
    let mut words = media.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.next() == Some(b"audio") && words.next().is_some_and(|port| port != b"0")
}

fn direction(attribute: &[u8]) -> Option<Flow> {
    match attribute {
        b"sendonly" | b"inactive" => Some(Flow::Held),
        b"sendrecv" | b"recvonly" => Some(Flow::Open),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_hold_or_do_not() {
        for (lines, expected) in [
            ("v=0|c=IN IP4 1.2.3.4|m=audio 9 RTP/AVP 8", Some(Flow::Open)),
            ("v=0|m=audio 9 RTP/AVP 8|a=sendonly", Some(Flow::Held)),
            ("v=0|a=inactive|m=audio 9 RTP/AVP 8", Some(Flow::Held)),
            ("v=0|a=sendonly|m=audio 9 RTP/AVP 8|a=sendrecv", Some(Flow::Open)),
            ("v=0|m=audio 9 RTP/AVP 8|a=recvonly", Some(Flow::Open)),
            ("v=0|c=IN IP4 0.0.0.0|m=audio 9 RTP/AVP 8", Some(Flow::Held)),
            ("v=0|c=IN IP4 0.0.0.0|m=audio 9 RTP/AVP 8|c=IN IP4 1.2.3.4", Some(Flow::Open)),
            ("v=0|c=IN IP4 10.0.0.0|m=audio 9 RTP/AVP 8", Some(Flow::Open)),
            ("v=0|m=audio 9 RTP/AVP 8|a=sendonly|m=video 9 RTP/AVP 9|a=sendrecv", Some(Flow::Held)),
            ("v=0|m=audio 9 RTP/AVP 8|a=sendonly|m=audio 7 RTP/AVP 9", Some(Flow::Open)),
            ("v=0|m=audio 9 RTP/AVP 8|m=audio 7 RTP/AVP 9|a=sendonly", Some(Flow::Open)),
            ("v=0|m=audio 0 RTP/AVP 8|a=sendonly", None),
            ("v=0|m=image 9 udptl t38", None),
            ("--x|Content-Type: application/sdp||v=0|m=audio 9 RTP/AVP 8|a=inactive|--x--", Some(Flow::Held)),
            ("a=sendonly", None),
            ("", None),
        ] {
            assert_eq!(flow(lines.replace('|', "\r\n").as_bytes()), expected, "{lines}");
        }
    }
}

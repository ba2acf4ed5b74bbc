//! Messages of the manager interface: `Key: value` lines, CRLF, an empty line at the end.
//!
//! The invariant: whatever arrives, no more than [`LONGEST`] octets are held; a message that is longer, or has more than
//! [`MOST_LINES`] lines, is set aside whole, and the next one is read. (Asterisk, AMI v2 Specification.)

use memchr::memchr;

/// The longest message, in octets. Asterisk's longest (an attended transfer) has about 4,000.
pub const LONGEST: usize = 64 * 1024;

/// So many lines a message may have.
pub const MOST_LINES: usize = 512;

/// A message: its lines in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    lines: Vec<(Box<str>, Box<str>)>,
}

impl Message {
    /// The value of a key, in any case; empty where there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.lines.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map_or("", |(_, value)| value)
    }

    /// All values of a key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| &**value)
    }
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A message.
    Message(Message),
    /// Too long, or too many lines.
    TooLong,
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    message: Message,
    octets: usize,
    skipping: bool,
}

impl Framer {
    /// Takes what arrived. Call [`Framer::next`] until it gives nothing before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message that is complete.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Framed> {
        let mut taken = 0;
        let mut found = None;
        while found.is_none()
            && let Some(rest) = self.buffer.get(taken..)
            && let Some(end) = memchr(b'\n', rest)
        {
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            taken += end + 1;
            self.octets += end + 1;
            if line.is_empty() {
                found = self.complete();
            } else if self.octets > LONGEST || self.message.lines.len() >= MOST_LINES {
                self.skipping = true;
                self.message.lines.clear();
            } else if !self.skipping {
                let text = String::from_utf8_lossy(line);
                // The banner of a new connection has no colon.
                if let Some((key, value)) = text.split_once(':') {
                    self.message.lines.push((key.trim().into(), value.trim().into()));
                }
            }
        }
        self.buffer.drain(..taken);
        if self.buffer.len() > LONGEST {
            // A line without an end: what there is of it is given away, and the rest with its message.
            self.octets = self.octets.saturating_add(self.buffer.len());
            self.buffer.clear();
            self.skipping = true;
        }
        found
    }

    fn complete(&mut self) -> Option<Framed> {
        let message = std::mem::take(&mut self.message);
        self.octets = 0;
        if std::mem::take(&mut self.skipping) {
            return Some(Framed::TooLong);
        }
        (!message.lines.is_empty()).then_some(Framed::Message(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]]) -> Vec<Framed> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            found.extend(std::iter::from_fn(|| framer.next()));
            assert!(framer.buffer.len() <= LONGEST);
        }
        found
    }

    #[test]
    fn messages_end_with_an_empty_line_wherever_the_stream_is_cut() {
        let text = b"Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nMessage: Authentication accepted\r\n\r\n\r\nEvent: VarSet\r\nchannel: a:b\r\nX: 1\r\nX: 2\r\n\r\nEvent: Half\r\n";
        let whole = all(&[text]);
        let [Framed::Message(first), Framed::Message(second)] = whole.as_slice() else { panic!("{whole:?}") };
        assert_eq!((first.get("response"), first.get("Message"), first.get("Event")), ("Success", "Authentication accepted", ""));
        assert_eq!((second.get("Channel"), second.all("x").collect::<Vec<_>>()), ("a:b", vec!["1", "2"]));
        for cut in 0..text.len() {
            assert_eq!(all(&[&text[..cut], &text[cut..]]), whole);
        }
    }

    #[test]
    fn what_is_too_long_is_set_aside_and_the_next_is_read() {
        let good = b"Event: A\r\nK: v\r\n\r\n";
        let endless = vec![b'x'; 3 * LONGEST];
        let many = "K: v\r\n".repeat(MOST_LINES + 1);
        for bad in [
            [&endless, b"\r\n\r\n".as_slice()].concat(),
            [b"K: ".as_slice(), &endless, b"\r\nL: 1\r\n\r\n"].concat(),
            format!("{many}\r\n").into_bytes(),
        ] {
            let mut chunks: Vec<&[u8]> = bad.chunks(5_000).collect();
            chunks.push(good);
            let found = all(&chunks);
            assert!(matches!(found.as_slice(), [Framed::TooLong, Framed::Message(next)] if next.get("event") == "A"), "{}", found.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), Just(b'\r'), any::<u8>()], 0..600), cut in 1usize..40) {
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(all(&chunks), all(&[&bytes]));
        }
    }
}

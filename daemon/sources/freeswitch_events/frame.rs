//! Frames of the event socket: header lines, an empty line, and as many octets of body as `Content-Length` says.
//!
//! The invariant: whatever arrives, no more than [`MOST_HEAD`] octets of headers are held, and of a body no more than the
//! longest that is read; one that is longer is passed over octet by octet. (FreeSWITCH, mod_event_socket.c.)

use memchr::memmem;

/// The longest headers, in octets: FreeSWITCH sends some hundred.
pub const MOST_HEAD: usize = 16 * 1024;

/// The longest event, in octets: one of a leg at its end has some ten thousand.
pub const LONGEST_EVENT: usize = 1024 * 1024;

/// The longest answer, in octets: of a list of channels each has about a thousand.
pub const LONGEST_ANSWER: usize = 24 * 1024 * 1024;

/// A frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    headers: Vec<(Box<str>, Box<str>)>,
    /// What follows the headers.
    pub body: Vec<u8>,
}

impl Frame {
    /// The value of a header, in any case; empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn longest(&self) -> usize {
        if self.get("Content-Type") == "api/response" { LONGEST_ANSWER } else { LONGEST_EVENT }
    }
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A frame.
    Frame(Frame),
    /// One whose body is too long, and was passed over.
    TooLong,
}

/// Why a stream cannot be cut any more: where the next frame begins is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No empty line came.
    #[error("headers without an end; is this the event socket of FreeSWITCH?")]
    Head,
    /// No length.
    #[error("Content-Length \"{0}\" is no length")]
    Length(String),
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// The frame whose body is awaited, and its length.
    awaited: Option<(Frame, usize)>,
    /// So many octets belong to a body that is not read.
    passing: usize,
}

impl Framer {
    /// Takes what arrived. Call [`Framer::frame`] until it gives nothing before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        let passed = bytes.len().min(self.passing);
        self.passing -= passed;
        self.buffer.extend_from_slice(bytes.get(passed..).unwrap_or_default());
    }

    /// The next frame that is complete.
    ///
    /// # Errors
    /// When the stream cannot be cut any more.
    pub fn frame(&mut self) -> Result<Option<Framed>, FrameError> {
        if self.awaited.is_none() {
            let Some(frame) = self.head()? else { return Ok(None) };
            let said = frame.get("Content-Length");
            let length =
                if said.is_empty() { 0 } else { said.parse::<usize>().map_err(|_| FrameError::Length(said.chars().take(40).collect()))? };
            if length > frame.longest() {
                let there = self.buffer.len().min(length);
                self.buffer.drain(..there);
                self.passing = length - there;
                return Ok(Some(Framed::TooLong));
            }
            self.awaited = Some((frame, length));
        }
        match self.awaited.take_if(|(_, length)| self.buffer.len() >= *length) {
            Some((frame, length)) => Ok(Some(Framed::Frame(Frame { body: self.buffer.drain(..length).collect(), ..frame }))),
            None => Ok(None),
        }
    }

    /// The headers of the next frame, if all of them are there.
    fn head(&mut self) -> Result<Option<Frame>, FrameError> {
        let blank = self.buffer.iter().take_while(|byte| matches!(**byte, b'\n' | b'\r')).count();
        self.buffer.drain(..blank);
        let Some(end) = memmem::find(&self.buffer, b"\n\n").filter(|end| *end <= MOST_HEAD) else {
            return if self.buffer.len() > MOST_HEAD { Err(FrameError::Head) } else { Ok(None) };
        };
        let head: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&head);
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let headers = lines.map(|(name, value)| (name.trim().into(), value.trim().into())).collect();
        Ok(Some(Frame { headers, body: Vec::new() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]]) -> Result<Vec<Framed>, FrameError> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(framed) = framer.frame()? {
                found.push(framed);
            }
            assert!(framer.buffer.len() <= LONGEST_ANSWER + chunk.len());
        }
        Ok(found)
    }

    #[test]
    fn frames_are_cut_wherever_the_stream_is() {
        let text = b"Content-Type: auth/request\n\ncontent-length: 3\nContent-Type: text/event-json\n\n{}\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n\nContent-Length: 9\n\nhalf";
        let whole = all(&[text]).expect("frames");
        let [Framed::Frame(request), Framed::Frame(event), Framed::Frame(reply)] = whole.as_slice() else { panic!("{whole:?}") };
        assert_eq!((request.get("content-type"), request.get("other")), ("auth/request", ""));
        assert_eq!((event.get("Content-Type"), event.body.as_slice()), ("text/event-json", b"{}\n".as_slice()));
        assert_eq!(reply.get("Reply-Text"), "+OK accepted");
        for cut in 0..text.len() {
            assert_eq!(all(&[&text[..cut], &text[cut..]]).as_deref(), Ok(whole.as_slice()));
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_the_next_is_read() {
        let long = LONGEST_EVENT + 1;
        let head = format!("Content-Length: {long}\nContent-Type: text/event-json\n\n");
        let bytes = [head.as_bytes(), &vec![b'x'; long], b"Content-Type: a\n\n"].concat();
        let chunks: Vec<&[u8]> = bytes.chunks(16 * 1024).collect();
        let found = all(&chunks).expect("frames");
        assert!(matches!(found.as_slice(), [Framed::TooLong, Framed::Frame(next)] if next.get("Content-Type") == "a"), "{}", found.len());
        // The largest length that can be said is passed over as long as it lasts, and holds nothing.
        let endless = format!("Content-Length: {}\n\n{}", usize::MAX, "x".repeat(100_000));
        assert_eq!(all(&[endless.as_bytes()]), Ok(vec![Framed::TooLong]));
        assert_eq!(all(&[&vec![b'x'; MOST_HEAD + 1]]), Err(FrameError::Head));
        assert_eq!(all(&[&b"A: b\n".repeat(MOST_HEAD)]), Err(FrameError::Head));
        for wrong in ["-1", "1e9", "99999999999999999999999", "0x10"] {
            assert_eq!(all(&[format!("Content-Length: {wrong}\n\n").as_bytes()]), Err(FrameError::Length(wrong.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_refused(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), any::<u8>()], 0..600), cut in 1usize..40) {
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(all(&chunks), all(&[&bytes]));
        }
    }
}

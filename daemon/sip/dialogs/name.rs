//! A Call-ID, tag or branch, kept where it is used: a leg's names lie in a few cache lines instead of on a heap each.
//!
//! The one invariant: a name that fits is never on the heap, so equal names have equal forms.

use std::fmt;
use std::ops::Deref;

/// UUIDs with a prefix or a host fit.
const ROOM: usize = 62;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    /// The rest is zeros.
    Here {
        length: u8,
        bytes: [u8; ROOM],
    },
    Heap(Box<[u8]>),
}

impl From<&[u8]> for Name {
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; ROOM];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(name);
                Self(Form::Here { length, bytes })
            }
            (Some(_) | None, _) => Self(Form::Heap(name.into())),
        }
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::Here { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Form::Heap(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_whatever_their_length() {
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, 300, 1_024] {
            let bytes = vec![b'x'; length];
            assert_eq!(&*Name::from(bytes.as_slice()), bytes.as_slice());
        }
    }
}

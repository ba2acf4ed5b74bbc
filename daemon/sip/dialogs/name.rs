//! A Call-ID, tag or branch, kept where it is used: a leg's names lie in a few cache lines instead of on a heap each.
//!
//! The one invariant: a name that fits is never on the heap, so equal names have equal forms.

use std::fmt;
use std::ops::Deref;

/// A Call-ID: UUIDs with a prefix or a host fit.
pub(super) type CallName = Name<62>;
/// A tag: a UUID fits.
pub(super) type Tag = Name<38>;
/// A branch: the magic cookie, two letters and a UUID fit.
pub(super) type BranchKey = Name<46>;

/// A name of which so many bytes fit.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name<const ROOM: usize>(Form<ROOM>);

#[derive(Clone, PartialEq, Eq)]
enum Form<const ROOM: usize> {
    /// The rest is zeros.
    Here {
        length: u8,
        bytes: [u8; ROOM],
    },
    Heap(Box<[u8]>),
}

impl<const ROOM: usize> From<&[u8]> for Name<ROOM> {
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

impl<const ROOM: usize> Deref for Name<ROOM> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::Here { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Form::Heap(bytes) => bytes,
        }
    }
}

impl<const ROOM: usize> fmt::Debug for Name<ROOM> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back<const ROOM: usize>() {
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, 300, 1_024] {
            let bytes = vec![b'x'; length];
            assert_eq!(&*Name::<ROOM>::from(bytes.as_slice()), bytes.as_slice());
        }
    }

    #[test]
    fn names_come_back_whatever_their_length() {
        comes_back::<62>();
        comes_back::<38>();
        comes_back::<46>();
    }

    #[test]
    fn no_room_is_lost_to_alignment() {
        assert_eq!([size_of::<CallName>(), size_of::<Tag>(), size_of::<BranchKey>()], [64, 40, 48]);
    }
}

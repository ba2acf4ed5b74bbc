//! What is gathered, as bytes: all at once, or each conversation by itself, so that only what changed has to be written again.
//!
//! The invariant: both come to the same. A conversation keeps its number, which names the place where it is written.

use super::{Body, Gathered, Group};
use crate::units::Seconds;
use crate::units::codec::{Reader, Writer};

/// What was written of one conversation; `None` if it is gone.
pub type Written = (u64, Option<Vec<u8>>);

impl<B: Body> Gathered<B> {
    /// Writes all that is gathered.
    pub(in crate::calls) fn write(&self, out: &mut Writer) {
        out.list(self.groups.iter(), |out, (id, group)| self.write_group(*id, group, out));
    }

    fn write_group(&self, id: u64, group: &Group<B>, out: &mut Writer) {
        out.number(id);
        out.list(group.names.iter(), |out, name| out.text(name));
        group.body.write(out);
        out.time(group.touched);
        out.flag(self.waiting.contains(&(group.touched, id)));
        out.list(group.told.iter(), |out, (party, digest)| {
            out.text(party);
            out.bytes(digest);
        });
    }

    /// From now on conversations are written one by one; all of them when they are next asked for.
    pub(in crate::calls) fn write_changes(&mut self) {
        self.changed = Some(self.groups.keys().copied().collect());
    }

    /// The conversations that changed since this was last asked, each as [`Gathered::write`] has it in its list.
    pub(in crate::calls) fn changes(&mut self) -> Vec<Written> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let written = changed.into_iter().map(|id| {
            let body = self.groups.get(&id).map(|group| {
                let mut out = Writer::new();
                self.write_group(id, group, &mut out);
                out.finish()
            });
            (id, body)
        });
        written.collect()
    }

    /// Goes on from what [`Gathered::write`] wrote; `None` for other bytes.
    pub(in crate::calls) fn read(settle: Seconds, back: &mut Reader<'_>) -> Option<Self> {
        let mut gathered = Self::new(settle);
        let groups = back.list(|back| {
            let id = back.number()?;
            let names = back.list(|back| back.text().map(Into::into))?;
            let body = B::read(back)?;
            let touched = back.time()?;
            let waiting = back.flag()?;
            let told = back.list(|back| Some((back.text()?.into(), back.bytes()?.try_into().ok()?)))?;
            let (names, told) = (names.into_iter().collect(), told.into_iter().collect());
            Some((id, Group { names, body, touched, told }, waiting))
        })?;
        for (id, group, waiting) in groups {
            gathered.next = gathered.next.max(id);
            gathered.names.extend(group.names.iter().map(|name| (name.clone(), id)));
            gathered.ages.insert((group.touched, id));
            if waiting {
                gathered.waiting.insert((group.touched, id));
            }
            gathered.octets = gathered.octets.saturating_add(group.body.octets());
            gathered.groups.insert(id, group);
        }
        Some(gathered)
    }
}

/// A list of conversations that was written empty, with what follows it, and conversations that were written one by one: as if
/// all had been written at once. `None` if the list is not empty.
#[must_use]
pub(in crate::calls) fn joined(head: &[u8], written: &[&[u8]]) -> Option<Vec<u8>> {
    let mut list = Writer::new();
    list.list([(); 0].into_iter(), |_, ()| ());
    let rest = head.strip_prefix(list.finish().as_slice())?;
    let mut out = Writer::new();
    out.number(u64::try_from(written.len()).unwrap_or(0));
    Some([&out.finish(), &written.concat(), rest].concat())
}

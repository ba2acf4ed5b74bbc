//! Where a file of rows was left. The one invariant: the header in force there is kept with it.

use super::super::tail::Position;
use crate::units::codec::{Reader, Writer};

/// Where to go on after a restart: commits together with all that came before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePosition {
    pub(super) file: Option<Position>,
    /// The header of the file in which the position lies.
    pub(super) header: Option<Vec<Box<str>>>,
    pub(super) recognized: bool,
}

impl SourcePosition {
    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.option(self.file, |out, position| position.write(out));
        out.option(self.header.as_ref(), |out, header| out.list(header.iter(), |out, name| out.text(name)));
        out.flag(self.recognized);
    }

    /// Reads what [`SourcePosition::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            file: back.option(Position::read)?,
            header: back.option(|back| back.list(|back| back.text().map(Into::into)))?,
            recognized: back.flag()?,
        })
    }
}

//! The form of a [`CallRow`] in snapshots. The one invariant: what is written is read again, and other bytes are refused.

use super::row::{CallRow, Span, Way};
use crate::units::Word;
use crate::units::codec::{Reader, Writer};

impl CallRow {
    fn texts(&self) -> [&str; 11] {
        [
            &self.caller,
            &self.called,
            &self.agent,
            &self.queue,
            &self.key,
            &self.sip_call_id,
            &self.from_tag,
            &self.contract,
            &self.severity,
            &self.ticket,
            &self.made_for,
        ]
    }

    /// About how much memory it has.
    pub(super) fn octets(&self) -> usize {
        let also = self.also.iter().map(|name| name.len().saturating_add(size_of::<Box<str>>()));
        let holds = self.holds.iter().map(|_| size_of::<Span>());
        self.texts().iter().map(|text| text.len()).chain(also).chain(holds).fold(size_of::<Self>(), usize::saturating_add)
    }

    /// Writes it for a snapshot.
    pub fn write(&self, out: &mut Writer) {
        out.time(self.started_at);
        out.option(self.sequence, Writer::number);
        out.option(self.answered_at, Writer::time);
        out.option(self.talk, write_span);
        out.option(self.ended_at, Writer::time);
        for number in [
            self.talk_from.code(),
            self.standing.code(),
            self.outcome.code(),
            self.way.map_or(0, |way| way.code().saturating_add(1)),
            self.lies.code(),
            self.names_agents.code(),
            self.party.code(),
        ] {
            out.number(number);
        }
        self.texts().into_iter().for_each(|text| out.text(text));
        out.list(self.also.iter(), |out, name| out.text(name));
        out.list(self.holds.iter(), |out, hold| write_span(out, *hold));
    }

    /// Reads what [`CallRow::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        fn word<W: Word>(back: &mut Reader<'_>) -> Option<W> {
            W::from_code(back.number()?)
        }
        let mut row = Self {
            started_at: back.time()?,
            sequence: back.option(Reader::number)?,
            answered_at: back.option(Reader::time)?,
            talk: back.option(read_span)?,
            ended_at: back.option(Reader::time)?,
            talk_from: word(back)?,
            standing: word(back)?,
            outcome: word(back)?,
            way: match back.number()? {
                0 => None,
                code => Some(Way::from_code(code.checked_sub(1)?)?),
            },
            lies: word(back)?,
            names_agents: word(back)?,
            party: word(back)?,
            ..Self::default()
        };
        for text in [
            &mut row.caller,
            &mut row.called,
            &mut row.agent,
            &mut row.queue,
            &mut row.key,
            &mut row.sip_call_id,
            &mut row.from_tag,
            &mut row.contract,
            &mut row.severity,
            &mut row.ticket,
            &mut row.made_for,
        ] {
            *text = back.text()?.into();
        }
        row.also = back.list(|back| back.text().map(Into::into))?;
        row.holds = back.list(read_span)?;
        Some(row)
    }
}

fn write_span(out: &mut Writer, span: Span) {
    out.time(span.from);
    out.option(span.to, Writer::time);
}

fn read_span(back: &mut Reader<'_>) -> Option<Span> {
    Some(Span { from: back.time()?, to: back.option(Reader::time)? })
}

#[cfg(test)]
mod tests {
    use super::super::row::{Lies, NamesAgents, Outcome, Party, Standing, TalkFrom};
    use super::*;
    use crate::units::{Interval, Seconds, Timestamp};

    #[test]
    fn what_is_written_is_read_again() {
        let at = Timestamp::from_parts(1_767_225_600, 5);
        let talk = Interval::new(at, at.plus(Seconds::new(7)));
        for row in [
            CallRow::default(),
            CallRow { started_at: at, talk: Some(Span { from: at, to: None }), ..CallRow::default() },
            CallRow {
                started_at: at,
                sequence: Some(3),
                answered_at: Some(at),
                talk: Some(Span::over(talk)),
                ended_at: Some(at),
                talk_from: TalkFrom::Answer,
                standing: Standing::UnlessOthersTell,
                from_tag: "t".into(),
                outcome: Outcome::Failed,
                way: Some(Way::Internal),
                lies: Lies::AfterTheOneBefore,
                names_agents: NamesAgents::Yes,
                party: Party::Own,
                holds: vec![Span::over(talk), Span { from: at, to: None }],
                made_for: "c".into(),
                also: vec!["a".into(), "b".into()],
                ticket: "T-1".into(),
                ..CallRow::default()
            },
        ] {
            let mut out = Writer::new();
            row.write(&mut out);
            let bytes = out.finish();
            let mut back = Reader::new(&bytes);
            assert_eq!(CallRow::read(&mut back).as_ref(), Some(&row));
            assert!(back.is_empty());
            assert_eq!(CallRow::read(&mut Reader::new(&bytes[..bytes.len() - 1])), None);
        }
    }
}

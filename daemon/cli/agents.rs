//! Who talked to a caller: each agent with level and interval, and the level that the tariff sees, beside a record.
//!
//! The one invariant: this is evidence, as it was journaled with the call; the record's own fields follow from it.

use crate::calls::Call;
use crate::ledger::result::{Object, Style};
use chrono_tz::Tz;

/// Appends `agents` and `level` to a record that was written last.
pub(super) fn append(line: &mut Vec<u8>, call: &Call, zone: Tz) {
    let mut object = Object::reopen(line);
    object.list("agents", &call.talks, |mut object, talk| {
        object.maybe("agent", Style::PLAIN.number(&talk.agent).as_deref());
        object.optional("level", talk.level, |object, name, level| object.integer(name, i64::from(level)));
        object.text("from", &talk.from.rfc3339(zone));
        object.maybe("to", talk.to.map(|to| to.rfc3339(zone)).as_deref());
        object.end();
    });
    object.optional("level", call.level(), |object, name, level| object.integer(name, i64::from(level)));
    object.end();
}

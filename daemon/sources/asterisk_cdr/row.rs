//! One complete record becomes a row: fields by layout, times in UTC.
//!
//! The invariant: of the times a record has, the finest are taken. Epoch columns beat local text, a fraction in `billsec`
//! beats the difference of two texts that were each cut to a second.

use super::layout::{Column, Fields, Layout, LayoutError};
use super::queue_log::epoch;
use super::zone::{LocalTimes, Of, Times, Wrong, ZoneCheck};
use crate::calls::{CdrRow, Disposition, Precision};
use crate::sources::split::{Splitter, utf8};
use crate::units::{Seconds, Timestamp};

/// Why a record is no row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Its columns are unknown.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Its times are.
    #[error(transparent)]
    Times(#[from] Wrong),
    /// A column holds something else than it should.
    #[error("{column} is \"{found}\"; {expected} would have been right")]
    Column {
        /// Which.
        column: &'static str,
        /// Its text, at most 64 characters.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Not one record of CSV.
    #[error("not one record of comma-separated values")]
    NotCsv,
}

/// Reads one record, without its line end.
///
/// # Errors
/// When it is no row; nothing of it is to be believed then.
pub fn parse(record: &[u8], splitter: &mut Splitter, layout: &Layout, zone: &mut ZoneCheck) -> Result<CdrRow, RowError> {
    let record = splitter.split(record, utf8).ok_or(RowError::NotCsv)?;
    row(&layout.fields(record)?, zone)
}

fn row(fields: &Fields<'_>, zone: &mut ZoneCheck) -> Result<CdrRow, RowError> {
    let text = |column| -> Box<str> { fields.text(column).into() };
    let disposition = fields.text(Column::Disposition);
    let disposition = Disposition::parse(disposition)
        .ok_or_else(|| wrong("disposition", disposition, "ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION or CANCEL"))?;
    let duration = length(fields, Column::Duration, "duration")?;
    let billsec = length(fields, Column::Billsec, "billsec")?;
    let (times, precision) = match epochs(fields, duration)? {
        Some(found) => found,
        None => texts(fields, duration, billsec, zone)?,
    };
    let whole = |span: Option<Length>, from: Option<Timestamp>| {
        let measured = from.map_or(0, |from| times.end.since(from));
        Seconds::new(u64::try_from(span.map_or(measured, |span| span.micros) / 1_000_000).unwrap_or(0))
    };
    Ok(CdrRow {
        started_at: times.start,
        sequence: fields.text(Column::Sequence).parse().ok(),
        ended_at: times.end,
        answered_at: times.answer,
        duration: whole(duration, Some(times.start)),
        billsec: whole(billsec, times.answer),
        precision,
        disposition,
        uniqueid: text(Column::UniqueId),
        linkedid: text(Column::LinkedId),
        channel: text(Column::Channel),
        dstchannel: text(Column::DstChannel),
        src: text(Column::Src),
        dst: text(Column::Dst),
        clid: text(Column::Clid),
        accountcode: text(Column::AccountCode),
        lastapp: text(Column::LastApp),
        lastdata: text(Column::LastData),
        userfield: text(Column::UserField),
        sip_call_id: text(Column::SipCallId),
        contract: text(Column::Contract),
        severity: text(Column::Severity),
        ticket: text(Column::Ticket),
    })
}

/// A length as written.
#[derive(Clone, Copy)]
struct Length {
    micros: i64,
    precision: Precision,
}

fn length(fields: &Fields<'_>, column: Column, name: &'static str) -> Result<Option<Length>, RowError> {
    match fields.get(column) {
        None | Some("") => Ok(None),
        Some(text) => {
            let micros = epoch(text).ok_or_else(|| wrong(name, text, "a number of seconds"))?.micros();
            let precision = if text.contains('.') { Precision::Micros } else { Precision::Seconds };
            Ok(Some(Length { micros, precision }))
        }
    }
}

/// The times from epoch columns; `None` where the layout has no complete set of them.
fn epochs(fields: &Fields<'_>, duration: Option<Length>) -> Result<Option<(Times, Precision)>, RowError> {
    let (Some(start), Some(answer)) = (fields.get(Column::StartEpoch), fields.get(Column::AnswerEpoch)) else { return Ok(None) };
    let read = |name, text: &str| epoch(text).ok_or_else(|| wrong(name, text, "seconds since 1970, such as 1795291963.778041"));
    let precision = if start.contains('.') { Precision::Micros } else { Precision::Seconds };
    let start = read("start_u", start)?;
    let end = match (fields.get(Column::EndEpoch), duration) {
        (Some(end), _) => read("end_u", end)?,
        (None, Some(duration)) => start.plus_micros(duration.micros),
        (None, None) => return Ok(None),
    };
    let answer = if answer.is_empty() { None } else { Some(read("answer_u", answer)?).filter(|at| at.micros() > 0) };
    Ok(Some((Times { start, answer, end }, precision)))
}

fn texts(
    fields: &Fields<'_>,
    duration: Option<Length>,
    billsec: Option<Length>,
    zone: &mut ZoneCheck,
) -> Result<(Times, Precision), RowError> {
    let seconds = |length: Option<Length>| length.map(|length| Seconds::new(u64::try_from(length.micros / 1_000_000).unwrap_or(0)));
    let local = LocalTimes {
        start: fields.text(Column::Start),
        answer: fields.text(Column::Answer),
        end: fields.text(Column::End),
        duration: seconds(duration),
        billsec: seconds(billsec),
    };
    let channel = fields.text(Column::Channel);
    let dialed = fields.text(Column::LastData) == "(Outgoing Line)" || channel.starts_with("Local/") && channel.ends_with(";1");
    let mut times = zone.read(local, Of { uniqueid: fields.text(Column::UniqueId), dialed })?;
    match (times.answer, billsec) {
        // The length is exact, and lies less than a second before where it was.
        (Some(answer), Some(Length { micros, precision: Precision::Micros })) => {
            times.end = answer.plus_micros(micros);
            Ok((times, Precision::Micros))
        }
        _ => Ok((times, Precision::Seconds)),
    }
}

fn wrong(column: &'static str, found: &str, expected: &'static str) -> RowError {
    RowError::Column { column, found: found.chars().take(64).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Columns;
    use super::*;
    use chrono_tz::Tz;

    const WITH_FRACTIONS: [&str; 13] = [
        "src",
        "dst",
        "channel",
        "dstchannel",
        "lastapp",
        "lastdata",
        "start",
        "answer",
        "end",
        "duration_f",
        "billsec_f",
        "disposition",
        "uniqueid",
    ];

    fn read(record: &str, layout: &Layout) -> Result<CdrRow, RowError> {
        parse(record.as_bytes(), &mut Splitter::new(b','), layout, &mut ZoneCheck::new(Tz::UTC))
    }

    #[test]
    fn a_row_of_cdr_csv_with_quotes_and_commas_inside() {
        let record = r#""","03023125042","100","from-trunk","""Caller, A"" <03023125042>","PJSIP/trunk-00000001","PJSIP/201-00000002","Dial","PJSIP/201,20,t","2026-01-01 00:00:00","2026-01-01 00:00:02","2026-01-01 00:00:40",40,38,"NO ANSWER","DOCUMENTATION","1767225600.1","""#;
        let row = read(record, &Layout::Auto).expect("a row");
        assert_eq!((&*row.clid, &*row.lastdata), ("\"Caller, A\" <03023125042>", "PJSIP/201,20,t"));
        assert_eq!(
            (row.started_at, row.answered_at),
            (Timestamp::from_parts(1_767_225_600, 0), Some(Timestamp::from_parts(1_767_225_602, 0)))
        );
        assert_eq!(
            (row.billsec.get(), row.precision, row.answered()),
            (38, Precision::Seconds, None),
            "not answered, whatever billsec says"
        );
    }

    #[test]
    fn the_finest_times_count() {
        let layout = |names: &[&str]| Layout::Columns(Columns::parse(names).expect("complete"));
        let text = r#"1,2,c,d,Dial,x,2026-01-01 00:00:00,2026-01-01 00:00:02,2026-01-01 00:00:10,10.200000,7.654321,ANSWERED,1767225600.1"#;
        let row = read(text, &layout(&WITH_FRACTIONS)).expect("a row");
        assert_eq!((row.precision, row.answered().map(|span| span.micros())), (Precision::Micros, Some(7_654_321)));
        let epochs = ["src", "dst", "channel", "dstchannel", "lastapp", "lastdata", "start_u", "answer_u", "duration", "disposition"];
        for (answer, duration, expected) in [("5.5", "9", Some(3_500_000)), ("0.000000", "9", None), ("", "9", None)] {
            let row = read(&format!("1,2,c,d,Dial,x,0.0,{answer},{duration},ANSWERED"), &layout(&epochs)).expect("a row");
            assert_eq!(row.answered().map(|span| span.micros()), expected);
        }
    }

    #[test]
    fn a_wrong_column_says_what_would_be_right() {
        let layout = Layout::Columns(Columns::parse(&WITH_FRACTIONS).expect("complete"));
        let record = |duration: &str, disposition: &str| {
            format!("1,2,c,d,Dial,x,2026-01-01 00:00:00,,2026-01-01 00:00:10,{duration},0,{disposition},1767225600.1")
        };
        for (record, text) in [
            (
                record("10", "GONE"),
                "disposition is \"GONE\"; ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION or CANCEL would have been right",
            ),
            (record("ten", "BUSY"), "duration is \"ten\"; a number of seconds would have been right"),
            ("1,2,3".to_owned(), "3 columns, where 13 are configured"),
        ] {
            assert_eq!(read(&record, &layout).err().map(|error| error.to_string()).as_deref(), Some(text));
        }
        assert_eq!(read("", &layout), Err(RowError::NotCsv));
    }
}

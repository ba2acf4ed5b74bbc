//! Which column is what: the layouts of cdr_csv told apart by themselves, those of cdr_custom as configured.
//!
//! | columns | cdr_csv |
//! |---|---|
//! | 16 | accountcode, src, dst, dcontext, clid, channel, dstchannel, lastapp, lastdata, start, answer, end, duration, billsec, disposition, amaflags |
//! | 17, 18 | and uniqueid, or userfield, or both |
//! | 19, 20, 21 | and peeraccount, linkedid, sequence after those |
//!
//! The sample of cdr_custom has 19 columns too and the same file name, in another order; where dates and numbers stand
//! tells them apart. The invariant: a layout is known or refused, never guessed. (Asterisk, cdr/cdr_csv.c,
//! configs/samples/cdr_custom.conf.sample.)

use crate::sources::column_names::{NameError, columns_of};

use super::queue_log::is_unique_id;
use crate::calls::Disposition;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// `accountcode`
    AccountCode,
    /// `src`
    Src,
    /// `dst`
    Dst,
    /// `clid`
    Clid,
    /// `channel`
    Channel,
    /// `dstchannel`
    DstChannel,
    /// `lastapp`
    LastApp,
    /// `lastdata`
    LastData,
    /// `start`: local text.
    Start,
    /// `answer`: local text.
    Answer,
    /// `end`: local text.
    End,
    /// `start_u`: seconds since the epoch, usually with microseconds, as `${CDR(start,u)}` writes them.
    StartEpoch,
    /// `answer_u`: likewise; empty or 0 if never answered.
    AnswerEpoch,
    /// `end_u`: likewise.
    EndEpoch,
    /// `duration`, or with a fraction `duration_f`: seconds.
    Duration,
    /// `billsec`, or with a fraction `billsec_f`: seconds.
    Billsec,
    /// `disposition`
    Disposition,
    /// `uniqueid`
    UniqueId,
    /// `linkedid`
    LinkedId,
    /// `sequence`
    Sequence,
    /// `userfield`
    UserField,
    /// `sip_call_id`: the calling leg's Call-ID, written by the dialplan.
    SipCallId,
    /// `contract`: a contract reference that the dialplan found.
    Contract,
    /// `severity`
    Severity,
    /// `ticket`
    Ticket,
    /// `dcontext`, `amaflags`, `peeraccount`, `-`: not used.
    Skip,
}

const NAMES: &[(&str, Column)] = &[
    ("accountcode", Column::AccountCode),
    ("src", Column::Src),
    ("dst", Column::Dst),
    ("clid", Column::Clid),
    ("channel", Column::Channel),
    ("dstchannel", Column::DstChannel),
    ("lastapp", Column::LastApp),
    ("lastdata", Column::LastData),
    ("start", Column::Start),
    ("answer", Column::Answer),
    ("end", Column::End),
    ("start_u", Column::StartEpoch),
    ("answer_u", Column::AnswerEpoch),
    ("end_u", Column::EndEpoch),
    ("duration", Column::Duration),
    ("duration_f", Column::Duration),
    ("billsec", Column::Billsec),
    ("billsec_f", Column::Billsec),
    ("disposition", Column::Disposition),
    ("uniqueid", Column::UniqueId),
    ("linkedid", Column::LinkedId),
    ("sequence", Column::Sequence),
    ("userfield", Column::UserField),
    ("sip_call_id", Column::SipCallId),
    ("contract", Column::Contract),
    ("severity", Column::Severity),
    ("ticket", Column::Ticket),
    ("dcontext", Column::Skip),
    ("amaflags", Column::Skip),
    ("peeraccount", Column::Skip),
    ("-", Column::Skip),
];

/// How the columns of a file are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `columns = "auto"`: each row is recognized by itself, so that a change of options in between does no harm.
    Auto,
    /// A configured list.
    Columns(Columns),
}

/// A list of columns that suffices: how many there are, and where each stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    count: usize,
    places: [u16; KINDS],
}

/// How many kinds of columns there are.
const KINDS: usize = Column::Skip as usize + 1;
/// The place of a column that is not there.
const NOWHERE: u16 = u16::MAX;

/// Why a list or a row has no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The configured list.
    #[error(transparent)]
    Names(#[from] NameError),
    /// A name that is needed and is not there.
    #[error("{0} is missing: a row without it cannot be metered")]
    Missing(&'static str),
    /// A row with another number of columns than configured.
    #[error("{found} columns, where {expected} are configured")]
    Count {
        /// In the row.
        found: usize,
        /// In the configuration.
        expected: usize,
    },
    /// A row that is none of the layouts known.
    #[error("{0} columns of no layout that cdr_csv or the sample of cdr_custom writes: list the names in `columns`")]
    Unrecognized(usize),
    /// A row of the names of columns.
    #[error("a line of column names, which Asterisk never writes: list the names in `columns`, and remove this line")]
    Header,
}

impl Columns {
    /// From the configured names.
    ///
    /// # Errors
    /// When a name is unknown or listed twice, or what a call needs is missing.
    pub fn parse(names: &[&str]) -> Result<Self, LayoutError> {
        let columns = columns_of(names, NAMES, Column::Skip)?;
        let has = |column| columns.contains(&column);
        for (name, present) in [
            ("src", has(Column::Src)),
            ("dst", has(Column::Dst)),
            ("channel", has(Column::Channel)),
            ("dstchannel", has(Column::DstChannel)),
            ("lastapp", has(Column::LastApp)),
            ("lastdata", has(Column::LastData)),
            ("disposition", has(Column::Disposition)),
            ("start or start_u", has(Column::Start) || has(Column::StartEpoch)),
            ("answer or answer_u", has(Column::Answer) || has(Column::AnswerEpoch)),
            ("end, end_u or duration", has(Column::End) || has(Column::EndEpoch) || has(Column::Duration)),
        ] {
            if !present {
                return Err(LayoutError::Missing(name));
            }
        }
        Ok(Self::placed(&[&columns]))
    }

    /// Columns in this order; of one that is there twice, the first counts.
    fn placed(parts: &[&[Column]]) -> Self {
        let (mut count, mut places) = (0, [NOWHERE; KINDS]);
        for column in parts.iter().copied().flatten() {
            let place = &mut places[*column as usize];
            *place = (*place).min(u16::try_from(count).unwrap_or(NOWHERE));
            count += 1;
        }
        Self { count, places }
    }

    fn get<'a>(&self, record: &'a csv::StringRecord, column: Column) -> Option<&'a str> {
        record.get(usize::from(self.places[column as usize]))
    }
}

/// A row whose columns are known.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    columns: Columns,
    record: &'a csv::StringRecord,
}

impl Fields<'_> {
    /// A column's text; `None` where the layout lacks it.
    #[must_use]
    pub fn get(&self, column: Column) -> Option<&str> {
        self.columns.get(self.record, column)
    }

    /// A column's text; empty where the layout lacks it.
    #[must_use]
    pub fn text(&self, column: Column) -> &str {
        self.get(column).unwrap_or("")
    }
}

impl Layout {
    /// The columns of a row.
    ///
    /// # Errors
    /// When it fits no layout that is known, or not the one configured.
    pub fn fields<'a>(&self, record: &'a csv::StringRecord) -> Result<Fields<'a>, LayoutError> {
        let columns = match self {
            Self::Auto => recognize(record)?,
            Self::Columns(columns) if columns.count == record.len() => *columns,
            Self::Columns(columns) => return Err(LayoutError::Count { found: record.len(), expected: columns.count }),
        };
        Ok(Fields { columns, record })
    }
}

fn recognize(record: &csv::StringRecord) -> Result<Columns, LayoutError> {
    use Column::{
        AccountCode, Answer, Billsec, Channel, Clid, Dst, DstChannel, Duration, End, LastApp, LastData, LinkedId, Sequence, Skip, Src,
        Start, UniqueId, UserField,
    };
    let found = record.len();
    let field = |index: usize| record.get(index).unwrap_or("");
    let has = |start: usize| {
        is_date(field(start))
            && (field(start + 1).is_empty() || is_date(field(start + 1)))
            && is_date(field(start + 2))
            && is_number(field(start + 3))
            && is_number(field(start + 4))
            && Disposition::parse(field(start + 5)).is_some()
    };
    if found == 19 && has(8) {
        return Ok(Columns::placed(&[&[
            Clid,
            Src,
            Dst,
            Skip,
            Channel,
            DstChannel,
            LastApp,
            LastData,
            Start,
            Answer,
            End,
            Duration,
            Billsec,
            Column::Disposition,
            Skip,
            AccountCode,
            UniqueId,
            UserField,
            Sequence,
        ]]));
    }
    if !has(9) {
        let named = record.iter().filter(|field| NAMES.iter().any(|(name, _)| name.eq_ignore_ascii_case(field))).count();
        return Err(if named > 5 { LayoutError::Header } else { LayoutError::Unrecognized(found) });
    }
    const FIRST: [Column; 16] = [
        AccountCode,
        Src,
        Dst,
        Skip,
        Clid,
        Channel,
        DstChannel,
        LastApp,
        LastData,
        Start,
        Answer,
        End,
        Duration,
        Billsec,
        Column::Disposition,
        Skip,
    ];
    let one = if is_unique_id(field(16)) { UniqueId } else { UserField };
    let own: &[Column] = match found {
        16 | 19 => &[],
        17 | 20 => &[one],
        18 | 21 if one == UniqueId => &[UniqueId, UserField],
        _ => return Err(LayoutError::Unrecognized(found)),
    };
    if found < 19 {
        return Ok(Columns::placed(&[&FIRST, own]));
    }
    if !is_unique_id(field(found - 2)) || !is_number(field(found - 1)) {
        return Err(LayoutError::Unrecognized(found));
    }
    Ok(Columns::placed(&[&FIRST, own, &[Skip, LinkedId, Sequence]]))
}

/// `2026-01-31 23:59:59`.
fn is_date(text: &str) -> bool {
    text.len() == 19
        && text.bytes().zip(b"0000-00-00 00:00:00").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[&str]) -> csv::StringRecord {
        csv::StringRecord::from(fields.to_vec())
    }

    const BASE: [&str; 16] = [
        "",
        "+4930",
        "100",
        "did",
        "\"\" <+4930>",
        "PJSIP/trunk-1",
        "PJSIP/201-2",
        "Dial",
        "PJSIP/201",
        "2026-01-01 01:00:00",
        "",
        "2026-01-01 01:00:40",
        "40",
        "38",
        "NO ANSWER",
        "DOCUMENTATION",
    ];

    fn check(more: &[&str], uniqueid: Option<&str>, userfield: Option<&str>, linkedid: Option<&str>) {
        let record = record(&[&BASE, more].concat());
        let layout = Layout::Auto;
        let fields = layout.fields(&record).expect("a layout");
        assert_eq!(fields.get(Column::UniqueId), uniqueid, "{more:?}");
        assert_eq!(fields.get(Column::UserField), userfield, "{more:?}");
        assert_eq!(fields.get(Column::LinkedId), linkedid, "{more:?}");
        assert_eq!(fields.get(Column::DstChannel), Some("PJSIP/201-2"));
    }

    #[test]
    fn the_layouts_of_cdr_csv_are_told_apart() {
        check(&[], None, None, None);
        check(&["1767225600.1"], Some("1767225600.1"), None, None);
        check(&["sales"], None, Some("sales"), None);
        check(&["pbx-1767225600.1", "sales"], Some("pbx-1767225600.1"), Some("sales"), None);
        check(&["", "1767225600.1", "7"], None, None, Some("1767225600.1"));
        check(&["1767225600.2", "", "1767225600.1", "7"], Some("1767225600.2"), None, Some("1767225600.1"));
        check(&["sales", "", "1767225600.1", "7"], None, Some("sales"), Some("1767225600.1"));
        check(&["1767225600.2", "x", "", "1767225600.1", "7"], Some("1767225600.2"), Some("x"), Some("1767225600.1"));
    }

    #[test]
    fn the_sample_of_cdr_custom_is_no_cdr_csv() {
        let record = record(&[
            "\"\" <+4930>",
            "+4930",
            "100",
            "did",
            "PJSIP/trunk-1",
            "PJSIP/201-2",
            "Dial",
            "PJSIP/201",
            "2026-01-01 01:00:00",
            "",
            "2026-01-01 01:00:40",
            "40",
            "38",
            "NO ANSWER",
            "3",
            "",
            "1767225600.1",
            "sales",
            "7",
        ]);
        let layout = Layout::Auto;
        let fields = layout.fields(&record).expect("a layout");
        assert_eq!(fields.text(Column::UniqueId), "1767225600.1");
        assert_eq!(fields.text(Column::Sequence), "7");
        assert_eq!(fields.text(Column::Src), "+4930");
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for fields in [
            [&BASE[..], &["a", "b"]].concat(),
            [&BASE[..], &["a", "b", "c"]].concat(),
            BASE[..12].to_vec(),
            vec![""],
            [&BASE[..], &["1", "2", "3", "4", "5", "6"]].concat(),
        ] {
            assert_eq!(Layout::Auto.fields(&record(&fields)).err(), Some(LayoutError::Unrecognized(fields.len())));
        }
        let header = ["accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp"];
        assert_eq!(Layout::Auto.fields(&record(&header)).err(), Some(LayoutError::Header));
    }

    #[test]
    fn a_configured_list_is_checked() {
        let all = ["start_u", "answer_u", "end_u", "src", "dst", "channel", "dstchannel", "lastapp", "lastdata", "disposition"];
        assert!(Columns::parse(&all).is_ok());
        assert_eq!(Columns::parse(&all[1..]), Err(LayoutError::Missing("start or start_u")));
        assert_eq!(Columns::parse(&[&all[..], &["src"]].concat()), Err(LayoutError::Names(NameError::Twice("src".to_owned()))));
        assert!(matches!(Columns::parse(&["colour"]), Err(LayoutError::Names(NameError::Unknown { .. }))));
        let layout = Layout::Columns(Columns::parse(&all).expect("complete"));
        assert_eq!(layout.fields(&record(&["1"])).err(), Some(LayoutError::Count { found: 1, expected: 10 }));
    }
}

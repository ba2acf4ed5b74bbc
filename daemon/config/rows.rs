//! Rows of contracts before they are understood: the same from CSV and from TOML.

use super::csv_text::Field;
use super::reader::{Table, Value};
use std::borrow::Cow;
use std::ops::Range;

/// The columns, in the order of [`Column`].
pub(super) const COLUMNS: [&str; 11] = [
    "contract_id",
    "customer",
    "plans",
    "starts_on",
    "cancelled_on",
    "ends_on",
    "activated_on",
    "stations",
    "numbers",
    "authorised",
    "partner",
];

/// A column, by its place in [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    Customer,
    Plans,
    StartsOn,
    CancelledOn,
    EndsOn,
    ActivatedOn,
    Stations,
    Numbers,
    Authorised,
    Partner,
}

pub(super) const REQUIRED: [Column; 3] = [Column::Id, Column::Plans, Column::StartsOn];

impl Column {
    pub(super) const fn name(self) -> &'static str {
        COLUMNS[self as usize]
    }

    /// The column of a name in the header.
    pub(super) fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|column| column.name() == name)
    }

    const fn is_list(self) -> bool {
        matches!(self, Self::Plans | Self::Numbers | Self::Authorised)
    }
}

/// A value of a row, and where it stands.
pub(super) struct Cell<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) span: Range<usize>,
}

/// A row before it is understood: the values of each column.
#[derive(Default)]
pub(super) struct Row<'a> {
    cells: [Vec<Cell<'a>>; 11],
    pub(super) span: Range<usize>,
    pub(super) line: u32,
}

impl<'a> Row<'a> {
    /// The value of a column that holds one; `None` when it is empty.
    pub(super) fn one(&self, column: Column) -> Option<&Cell<'a>> {
        self.all(column).first()
    }

    /// All values of a column.
    pub(super) fn all(&self, column: Column) -> &[Cell<'a>] {
        self.cells.get(column as usize).map_or(&[], Vec::as_slice)
    }

    /// Takes the values of the next record.
    pub(super) fn fill(&mut self, columns: &[Column], fields: &mut [Field<'a>]) {
        self.cells.iter_mut().for_each(Vec::clear);
        let first = fields.first().map_or(0, |field| field.span.start);
        self.span = first..fields.last().map_or(first, |field| field.span.end);
        for (column, field) in columns.iter().zip(fields) {
            let Some(cells) = self.cells.get_mut(*column as usize) else { continue };
            if field.text.is_empty() {
                continue;
            }
            if !column.is_list() {
                cells.push(Cell { text: std::mem::take(&mut field.text), span: field.span.clone() });
                continue;
            }
            let exact = field.text.len() == field.span.len(); // doubled quotes inside shift the places
            let mut at = field.span.start;
            for piece in field.text.split('|') {
                let text = piece.trim();
                let start = at + (piece.len() - piece.trim_start().len());
                at += piece.len() + 1;
                if !text.is_empty() {
                    let span = if exact { start..start + text.len() } else { field.span.clone() };
                    cells.push(Cell { text: Cow::Owned(text.to_owned()), span });
                }
            }
        }
    }
}

/// Lines of ascending places, counted on the way.
pub(super) struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line of a place that is not before the last one asked for.
    pub(super) fn of(&mut self, place: usize) -> u32 {
        let passed = self.text.as_bytes().get(self.at..place).unwrap_or(&[]);
        self.line = self.line.saturating_add(u32::try_from(memchr::memchr_iter(b'\n', passed).count()).unwrap_or(u32::MAX));
        self.at = self.at.max(place);
        self.line
    }
}

const ALL: [Column; 11] = [
    Column::Id,
    Column::Customer,
    Column::Plans,
    Column::StartsOn,
    Column::CancelledOn,
    Column::EndsOn,
    Column::ActivatedOn,
    Column::Stations,
    Column::Numbers,
    Column::Authorised,
    Column::Partner,
];

/// A `[[contract]]` as a row.
pub(super) fn toml_row<'a>(table: &Table<'a>) -> Row<'a> {
    let mut row = Row { span: table.span(), line: table.line(), ..Row::default() };
    for column in ALL {
        let Some(value) = table.optional(column.name()) else { continue };
        let cells: Vec<Cell<'a>> = match column {
            _ if column.is_list() => value.texts().unwrap_or_default().into_iter().map(|(text, item)| cell(text, &item)).collect(),
            Column::StartsOn | Column::CancelledOn | Column::EndsOn | Column::ActivatedOn => {
                value.date().map(|date| cell(date.to_string(), &value)).into_iter().collect()
            }
            Column::Stations => value.integer(0..=1_000_000).map(|stations| cell(stations.to_string(), &value)).into_iter().collect(),
            _ => value.text().map(|text| cell(text, &value)).into_iter().collect(),
        };
        if let Some(place) = row.cells.get_mut(column as usize) {
            *place = cells;
        }
    }
    row
}

fn cell<'a>(text: impl Into<Cow<'a, str>>, value: &Value<'a>) -> Cell<'a> {
    Cell { text: text.into(), span: value.span() }
}

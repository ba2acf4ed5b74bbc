//! Where the numbers stand in a text of contracts: the ledger keeps the text without them.
//!
//! The one invariant: what is found is what [`super::contracts`] reads as numbers, in ascending order, and nothing overlaps.

use super::csv_text::Records;
use super::reader::{Source, Table};
use super::rows::{Column, Row, toml_row};
use crate::ledger::is_forgotten;
use crate::units::{DialPlan, E164, NumberPattern};
use std::ops::Range;

/// What stands in the place of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Numbers, as an operator writes them.
    Written,
    /// Tokens: the text comes from a ledger, where a number's place is taken. They are nobody's numbers any more.
    Kept,
}

impl Numbers {
    /// Whether a number's place is taken by a token, where that may be.
    pub(super) fn is_gone(self, text: &str) -> bool {
        self == Self::Kept && is_forgotten(text.trim_end_matches('*'))
    }
}

/// The bytes on which numbers stand in a text of contracts, each with its number (of a prefix: without the `*`, which is not
/// among the bytes). Of a text with mistakes, those that can be read.
#[must_use]
pub fn numbers_in(name: &str, text: &str, dial_plan: &DialPlan) -> Vec<(Range<usize>, E164)> {
    let mut found = Found { text, dial_plan, places: Vec::new() };
    if name.to_ascii_lowercase().ends_with(".toml") {
        found.toml(name)
    } else {
        found.csv()
    }
    found.places.sort_by_key(|(span, _)| span.start);
    let mut end = 0;
    found.places.retain(|(span, _)| {
        let apart = span.start >= end;
        end = end.max(span.end);
        apart
    });
    found.places
}

struct Found<'a> {
    text: &'a str,
    dial_plan: &'a DialPlan,
    places: Vec<(Range<usize>, E164)>,
}

impl Found<'_> {
    fn csv(&mut self) {
        let (mut records, mut fields) = (Records::new(self.text), Vec::new());
        if !matches!(records.read(&mut fields), Ok(true)) {
            return;
        }
        let Some(columns) = fields.iter().map(|field| Column::parse(&field.text)).collect::<Option<Vec<_>>>() else { return };
        let mut row = Row::default();
        while let Ok(true) = records.read(&mut fields) {
            row.fill(&columns, &mut fields);
            self.row(&row);
        }
    }

    fn toml(&mut self, name: &str) {
        let source = Source::new(name, self.text);
        let document = source.parse();
        for table in Table::root(&source, &document).tables("contract") {
            self.row(&toml_row(&table));
        }
    }

    fn row(&mut self, row: &Row<'_>) {
        for cell in [Column::Numbers, Column::Authorised].into_iter().flat_map(|column| row.all(column)) {
            let Some(NumberPattern::Exact(number) | NumberPattern::Prefix(number)) = self.dial_plan.pattern(&cell.text) else { continue };
            let written = self.text.get(cell.span.clone()).unwrap_or_default();
            // In TOML the quotes belong to the place; and what is left must be the number alone.
            let bare = written.trim_matches(['"', '\'']).trim_end_matches('*');
            let Some(at) = written.find(bare).filter(|_| !bare.is_empty()) else { continue };
            let start = cell.span.start.saturating_add(at);
            self.places.push((start..start.saturating_add(bare.len()), number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: &[(&str, u64)]) {
        let plan = DialPlan::new("DE", "89").expect("known");
        let found = numbers_in(name, text, &plan);
        let shown: Vec<(&str, u64)> = found.iter().map(|(span, number)| (&text[span.clone()], number.get())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_spelling_is_found_and_nothing_else() {
        check(
            "contracts.csv",
            "contract_id,plans,starts_on,stations,numbers,authorised\n1234567,a,2026-01-01,3,\"089 123456|49 89 123457\", +49 171 1* \n\
             K-2,b,2026-01-01,,123458,\n",
            &[("089 123456", 4_989_123_456), ("49 89 123457", 4_989_123_457), ("+49 171 1", 491_711), ("123458", 4_989_123_458)],
        );
        check(
            "contracts.toml",
            "# 089 9\n[[contract]]\ncontract_id = \"1234567\"\nplans = [\"a\"]\nstarts_on = 2026-01-01\nnumbers = [\"089 123456\", '+49 89 5*']\n",
            &[("089 123456", 4_989_123_456), ("+49 89 5", 49_895)],
        );
        check("contracts.csv", "no columns of ours\n123456\n", &[]);
        check("contracts.csv", "", &[]);
    }
}

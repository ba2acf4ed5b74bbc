//! `contracts.csv` and `contracts.toml` → [`Contract`]s, held against the plans they name.
//!
//! The one invariant: a contract that comes out keeps the rules of its plans, and its end is computed (design.md §4).

use super::contract_numbers::Numbers;
use super::contract_rules::{Plans, Rows};
use super::csv_text::{Field, Records};
use super::problem::{Problem, suggestion};
use super::reader::{Source, Table};
use super::rows::{COLUMNS, Column, Lines, REQUIRED, Row, toml_row};
use super::words::parse_date;
use crate::contracts::Contract;
use crate::tariff::Tariff;
use crate::units::{DialPlan, NumberPattern};
use chrono::NaiveDate;
use std::sync::Arc;

/// A file of contracts: its name for messages, the name in the configuration, its text.
pub(super) struct ContractFile<'a> {
    pub(super) file: &'a str,
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) numbers: Numbers,
}

/// Reads all files of contracts together, so that rules between their rows hold across them.
pub(super) fn read(files: &[ContractFile<'_>], tariffs: &[Tariff], dial_plan: &DialPlan) -> (Vec<Contract>, Vec<Problem>, Vec<Problem>) {
    let sources: Vec<Source<'_>> = files.iter().map(|file| Source::new(file.file, file.text)).collect();
    let plans = Plans::new(tariffs);
    let mut rows = Rows::default();
    for (index, (file, source)) in files.iter().zip(&sources).enumerate() {
        let mut reading =
            Reading { source, name: file.name.into(), plans: &plans, dial_plan, rows: &mut rows, index, written: file.numbers };
        if file.name.to_ascii_lowercase().ends_with(".toml") { reading.toml() } else { reading.csv(file.text) }
    }
    let contracts = rows.finish(&sources);
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for source in sources {
        let (found, warned) = source.finish();
        problems.extend(found);
        warnings.extend(warned);
    }
    (contracts, problems, warnings)
}

struct Reading<'s, 'a, 'p> {
    source: &'s Source<'a>,
    name: Arc<str>,
    plans: &'s Plans<'p>,
    dial_plan: &'s DialPlan,
    rows: &'s mut Rows,
    index: usize,
    written: Numbers,
}

impl<'a> Reading<'_, 'a, '_> {
    fn csv(&mut self, text: &'a str) {
        let mut records = Records::new(text);
        let mut fields = Vec::new();
        let Some(columns) = self.header(&mut records, &mut fields) else { return };
        let mut row = Row::default();
        let mut line = Lines::new(text);
        loop {
            match records.read(&mut fields) {
                Ok(true) => {}
                Ok(false) => return,
                Err(broken) => {
                    self.source.problem(broken.span, "", broken.message);
                    continue;
                }
            }
            row.fill(&columns, &mut fields);
            row.line = line.of(row.span.start);
            if fields.len() > columns.len() {
                let extra = fields.get(columns.len()).map_or(0..0, |field| field.span.clone());
                let message = format!(
                    "the header has {} columns, and here are {}; divide plans and numbers by `|`, and quote fields that hold commas",
                    columns.len(),
                    fields.len()
                );
                self.source.problem(extra, "", message);
                continue;
            }
            self.row(&row);
        }
    }

    fn header(&self, records: &mut Records<'a>, fields: &mut Vec<Field<'a>>) -> Option<Vec<Column>> {
        match records.read(fields) {
            Ok(true) => {}
            Ok(false) => {
                self.source.problem(0..0, "", format!("it is empty; begin with a header row: {}", COLUMNS.join(",")));
                return None;
            }
            Err(broken) => {
                self.source.problem(broken.span, "", broken.message);
                return None;
            }
        }
        if let [one] = fields.as_slice()
            && one.text.contains(';')
        {
            self.source.problem(one.span.clone(), "", "the columns are separated by `;`; separate them by commas");
            return None;
        }
        let mut columns = Vec::new();
        for field in fields.iter() {
            match Column::parse(&field.text) {
                Some(column) if columns.contains(&column) => {
                    self.source.problem(field.span.clone(), column.name(), "this column stands here twice; take one away");
                }
                Some(column) => columns.push(column),
                None => {
                    let right = suggestion(&field.text, COLUMNS);
                    self.source.problem(field.span.clone(), "", format!("there is no column \"{}\"; {right}", field.text));
                }
            }
        }
        for required in REQUIRED.iter().filter(|required| !columns.contains(required)) {
            self.source.problem(0..0, required.name(), format!("the column is missing; add `{}` to the header row", required.name()));
        }
        (columns.len() == fields.len() && REQUIRED.iter().all(|required| columns.contains(required))).then_some(columns)
    }

    fn toml(&mut self) {
        let document = self.source.parse();
        let root = Table::root(self.source, &document);
        for table in root.tables("contract") {
            let row = toml_row(&table);
            table.finish();
            self.row(&row);
        }
        root.finish();
    }

    /// Understands a row; what is wrong with it is noted, and the row left out.
    fn row(&mut self, row: &Row<'_>) {
        let id = self.required(row, Column::Id);
        let plans = self.plans(row);
        let starts_on = self.required(row, Column::StartsOn).and_then(|_| self.date(row, Column::StartsOn));
        let (cancelled_on, ends_on) = (self.date(row, Column::CancelledOn), self.date(row, Column::EndsOn));
        let activated_on = self.date(row, Column::ActivatedOn);
        let stations = self.stations(row);
        let numbers = self.numbers(row, Column::Numbers);
        let authorised = self.numbers(row, Column::Authorised);
        let (Some(id), Some(plans), Some(starts_on)) = (id, plans, starts_on) else { return };
        if stations.is_none() && row.one(Column::Stations).is_some() {
            return; // it says how many, in words that were not understood
        }
        let text = |column| row.one(column).map(|cell| Box::<str>::from(&*cell.text));
        let contract = Contract {
            id: id.into(),
            customer: text(Column::Customer).unwrap_or_default(),
            plans,
            starts_on,
            cancelled_on,
            ends_on,
            activated_on,
            stations: stations.unwrap_or(1),
            numbers,
            authorised,
            partner: text(Column::Partner),
            place: (Arc::clone(&self.name), row.line),
        };
        let place = |column: Column| row.one(column).map_or_else(|| row.span.clone(), |cell| cell.span.clone());
        let wrong = |column: Column, message: String| self.source.problem(place(column), column.name(), message);
        let warn = |column: Column, message: String| {
            // Numbers that stand there and were not understood are named already.
            if column != Column::Numbers || row.one(column).is_none() {
                self.source.warning(place(column), column.name(), message);
            }
        };
        if let Some(contract) = self.plans.check(contract, stations, &wrong, &warn) {
            self.rows.push(contract, self.index, place(Column::StartsOn), place(Column::Numbers));
        }
    }

    fn required<'r>(&self, row: &'r Row<'_>, column: Column) -> Option<&'r str> {
        let cell = row.one(column);
        if cell.is_none() {
            self.source.problem(row.span.clone(), column.name(), "it is missing; every contract has one");
        }
        cell.map(|cell| &*cell.text)
    }

    fn plans(&self, row: &Row<'_>) -> Option<Vec<Box<str>>> {
        self.required(row, Column::Plans)?;
        let cells = row.all(Column::Plans);
        let mut plans: Vec<Box<str>> = Vec::with_capacity(cells.len());
        for cell in cells {
            let problem = |message: String| self.source.problem(cell.span.clone(), Column::Plans.name(), message);
            if plans.iter().any(|known| **known == *cell.text) {
                problem(format!("\"{}\" stands here twice; take one away", cell.text));
            } else if self.plans.knows(&cell.text) {
                plans.push((&*cell.text).into());
            } else {
                problem(format!("none is named \"{}\"; {}", cell.text, suggestion(&cell.text, self.plans.ids())));
            }
        }
        (plans.len() == cells.len()).then_some(plans)
    }

    fn date(&self, row: &Row<'_>, column: Column) -> Option<NaiveDate> {
        let cell = row.one(column)?;
        let date = parse_date(&cell.text);
        if date.is_none() {
            let message = format!("\"{}\" is no date that exists; write for example 2026-12-31", cell.text);
            self.source.problem(cell.span.clone(), column.name(), message);
        }
        date
    }

    fn stations(&self, row: &Row<'_>) -> Option<u32> {
        let cell = row.one(Column::Stations)?;
        let stations = cell.text.parse().ok().filter(|stations| *stations <= 1_000_000 && !cell.text.starts_with('+'));
        if stations.is_none() {
            let message = format!("\"{}\" is no number of stations; write a whole number such as 3", cell.text);
            self.source.problem(cell.span.clone(), Column::Stations.name(), message);
        }
        stations
    }

    fn numbers(&self, row: &Row<'_>, column: Column) -> Vec<NumberPattern> {
        let mut numbers = Vec::with_capacity(row.all(column).len());
        for cell in row.all(column).iter().filter(|cell| !self.written.is_gone(&cell.text)) {
            match self.dial_plan.pattern(&cell.text) {
                Some(number) if numbers.contains(&number) => {
                    let message = format!("\"{}\" stands here twice ({number}); take one away", cell.text);
                    self.source.problem(cell.span.clone(), column.name(), message);
                }
                Some(number) => numbers.push(number),
                None if cell.text.contains([';', ',', '/']) => {
                    let message = format!("\"{}\" is no number; divide several by `|`: +49 89 123456|+49 89 123457", cell.text);
                    self.source.problem(cell.span.clone(), column.name(), message);
                }
                None => {
                    let message =
                        format!("\"{}\" is no number; write for example +49 89 123456, or +49 89 1234* for all that begin so", cell.text);
                    self.source.problem(cell.span.clone(), column.name(), message);
                }
            }
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tariff::parse;
    use std::sync::LazyLock;

    static TARIFFS: LazyLock<Vec<Tariff>> = LazyLock::new(|| {
        let text = |name, text| parse(name, text).expect("no problems");
        vec![
            text("support-level.toml", include_str!("../../config/tariffs/support-level.toml")),
            text("cash-desk.toml", include_str!("../../config/tariffs/cash-desk.toml")),
        ]
    });

    fn read_text(name: &str, text: &str) -> (Vec<Contract>, Vec<String>, Vec<String>) {
        let plan = DialPlan::new("DE", "89").expect("known");
        let (contracts, problems, warnings) = read(&[ContractFile { file: name, name, text, numbers: Numbers::Written }], &TARIFFS, &plan);
        let shown = |list: Vec<Problem>| list.iter().map(ToString::to_string).collect();
        (contracts, shown(problems), shown(warnings))
    }

    #[test]
    fn csv_and_toml_say_the_same() {
        let csv = "partner,numbers,stations,plans,contract_id,starts_on,cancelled_on,customer,authorised\n\
                   P,089 123|+49 30 5*,4,second-level,K,2024-02-29,2025-02-13,\"A, \"\"B\"\"\",030 51\n";
        let toml = "[[contract]]\ncontract_id = \"K\"\ncustomer = 'A, \"B\"'\nplans = [\"second-level\"]\nstarts_on = 2024-02-29\n\
                    cancelled_on = 2025-02-13\nstations = 4\nnumbers = [\"+49 89 123\", \"030 5*\"]\nauthorised = [\"+493051\"]\npartner = \"P\"\n";
        for (name, text, line) in [("c.csv", csv, 2), ("c.toml", toml, 1)] {
            let (contracts, problems, _) = read_text(name, text);
            assert!(problems.is_empty(), "{problems:?}");
            let contract = contracts.first().expect("one");
            assert_eq!((&*contract.customer, contract.stations, contract.partner.as_deref()), ("A, \"B\"", 4, Some("P")));
            assert_eq!(contract.ends_on.map(|end| end.to_string()).as_deref(), Some("2025-02-28"));
            let numbers: Vec<_> = contract.numbers.iter().chain(&contract.authorised).map(ToString::to_string).collect();
            assert_eq!(numbers, ["+4989123", "+49305*", "+493051"]);
            assert_eq!(contract.place, (name.into(), line));
        }
    }

    #[test]
    fn rules_of_plans_hold() {
        let check = |row: &str, expected: &[&str]| {
            let text = format!("contract_id,plans,starts_on,cancelled_on,ends_on,stations,numbers,authorised\n{row}\n");
            let (_, problems, warnings) = read_text("c.csv", &text);
            let found: Vec<_> = problems.iter().chain(&warnings).collect();
            assert_eq!(found.len(), expected.len(), "{row}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{row}: {found}");
            }
        };
        check("K,support-level-1,2026-01-01,,,,089 1,", &[]);
        check("K,support-level-3,2026-01-01,,,,089 1,", &["2:3: plans: \"support-level-3\" requires \"support-level-2\""]);
        check("K,support-level-2|support-level-3,2026-01-01,,,,089 1,", &[]);
        check("K,enterprise|support-level-3,2026-01-01,,,,089 1,", &[]); // what is included counts
        check("K,enterprise|support-level-2,2026-01-01,,,,089 1,", &["includes \"support-level-2\" already"]);
        check("K,support-flat,2026-01-01,,,,089 1,", &["counts stations"]);
        check("K,second-level,2026-01-01,,,6,089 1,089 2", &["covers 1 to 5 stations, and here are 6"]);
        check("K,second-level,2026-01-01,,,5,089 1,", &["nobody is authorised"]);
        check("K,support-level-1,2026-01-01,,2026-01-01,,089 1,", &["ends_on: 2026-01-01 is not after starts_on"]);
        check("K,support-level-1,2018-12-31,,,,089 1,", &["valid from 2019-01-01 only"]);
        check("K,support-level-1,2026-01-01,,,,,", &["no number leads to this contract"]);
        check("K,support-level-1|support-level-1,2026-01-01,,,,089 1,", &["stands here twice"]);
        check("K,support-levl-1,2026-01-01,,,,089 1,", &["did you mean \"support-level-1\"?"]);
        check(
            ",support-level-1,2026-13-01,,,x,anna,",
            &["contract_id: it is missing", "starts_on", "stations: \"x\"", "numbers: \"anna\""],
        );
        check("K,support-level-1,2026-01-01,,,,089 1|089 1,", &["twice (+49891)"]);
        check("K,support-level-1,2026-01-01,,,,\"089 1\"x,", &["text follows a closing quote"]);
        check("K,support-level-1,2026-01-01,,,,089 1,,,", &["the header has 8 columns, and here are 10"]);
        let history = "K,support-level-1,2026-01-01,,2026-06-01,,089 1,\nK,support-level-2,2026-06-01,,,,089 1,";
        check(history, &[]);
        check(&history.replace("2026-06-01,,089", "2026-06-02,,089"), &["c.csv:3:19: starts_on: the row of \"K\""]);
        check(
            "K,support-level-1,2026-01-01,,,,089 1,\nL,support-level-1,2026-01-01,,,,0049 89 1,",
            &["c.csv:3:33: numbers: +49891 belongs to \"K\" (c.csv, line 2) too"],
        );
        check("K,support-level-1,2026-01-01,2026-05-31,,,089 1,\nL,support-level-1,2026-06-01,,,,089 1,", &[]);
    }

    #[test]
    fn headers_are_checked() {
        for (header, expected) in [
            ("", "begin with a header row"),
            ("contract_id;plans", "separate them by commas"),
            ("contract_id,plan,starts_on", "did you mean \"plans\"?"),
            ("contract_id,plans", "starts_on: the column is missing"),
            ("contract_id,plans,plans,starts_on", "stands here twice"),
        ] {
            let (contracts, problems, _) = read_text("c.csv", header);
            assert!(contracts.is_empty() && problems.iter().any(|problem| problem.contains(expected)), "{header}: {problems:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_rows_are_read_or_refused(rows in "[KL,|\"0-9\n\r +*a-z-]{0,120}") {
            read_text("c.csv", &format!("contract_id,plans,starts_on,stations,numbers\nK,enterprise,{rows}"));
        }
    }
}

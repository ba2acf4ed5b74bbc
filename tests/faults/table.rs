//! The table of what was tried, row by row, as the tests print it and `tests/run faults` gathers it.

/// Set by `tests/run faults`: try everything there is.
const ALL: &str = "TAKTD_FAULTS";

/// How often something is tried: a few times among the other tests, many times when that is asked for.
pub(super) fn times(few: usize, many: usize) -> usize {
    if std::env::var_os(ALL).is_some() { many } else { few }
}

/// What became of the calls while a fault was tried.
pub(super) struct Row<'a> {
    /// What was done to the program.
    pub fault: &'a str,
    /// How often it was.
    pub tried: usize,
    /// How many calls were under way in all.
    pub calls: usize,
    /// How many of them are missing at the end.
    pub lost: usize,
    /// How many are there twice.
    pub doubled: usize,
}

impl Row<'_> {
    /// Prints the row. Where nothing but ours was disturbed, the test has compared the exports before.
    pub(super) fn print(&self) {
        let Row { fault, tried, calls, lost, doubled } = self;
        println!("fault| {fault} | {tried} | {calls} | {lost} | {doubled} |");
        assert_eq!((*lost, *doubled), (0, 0), "{fault}");
        assert!(*tried > 0, "{fault}: nothing was tried");
    }
}

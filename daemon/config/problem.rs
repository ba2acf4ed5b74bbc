//! A mistake in a configuration file, with its place: `FILE:LINE:COLUMN: KEY: what; what would be right`.

use std::fmt;
use std::ops::Range;

/// The longest line shown in an excerpt, in characters; of a longer one, the part around the mistake is.
const EXCERPT_WIDTH: usize = 140;

/// A mistake (or, among warnings, something that looks like one), and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: Box<str>,
    line: u32,
    column: u32,
    key: Box<str>,
    message: Box<str>,
    excerpt: Option<Excerpt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    line: Box<str>,
    /// Characters before the mistake, and of it.
    skip: usize,
    width: usize,
}

impl Problem {
    /// A mistake at some bytes of a file's text.
    #[must_use]
    pub fn at(file: &str, text: &str, span: Range<usize>, key: &str, message: impl Into<String>) -> Self {
        let start = floor_boundary(text, span.start);
        let before = text.get(..start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = text.get(line_start..).unwrap_or("");
        let line = rest.lines().next().unwrap_or("");
        let in_line = start - line_start;
        let end = floor_boundary(text, span.end).max(start) - line_start;
        let width = line.get(in_line..end.min(line.len())).map_or(1, |marked| marked.chars().count().max(1));
        let skip = before.get(line_start..).map_or(0, |before| before.chars().count());
        Self {
            file: file.into(),
            line: small(before.matches('\n').count() + 1),
            column: small(skip + 1),
            key: key.into(),
            message: message.into().into(),
            excerpt: Some(Excerpt::new(line, skip, width)),
        }
    }

    /// A mistake of a whole file: one that cannot be read, say.
    #[must_use]
    pub fn of_file(file: &str, key: &str, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: 1, column: 1, key: key.into(), message: message.into().into(), excerpt: None }
    }

    /// What a whole line of a file is about.
    #[must_use]
    pub(super) fn on_line(file: &str, text: &str, line: u32, key: &str, message: impl Into<String>) -> Self {
        let before = text.split_inclusive('\n').take(usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1));
        let start = before.map(str::len).sum();
        let end = text.get(start..).and_then(|rest| rest.lines().next()).map_or(start, |line| start + line.trim_end().len());
        Self::at(file, text, start..end, key, message)
    }

    /// The same place with another message.
    #[must_use]
    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        Self { message: message.into().into(), ..self }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The column in characters, from 1.
    #[must_use]
    pub const fn column(&self) -> u32 {
        self.column
    }

    /// The key or column it is about, with its path; lists count from 1.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong; what would be right.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message with the line it is about and the place marked, as `check` shows it.
    #[must_use]
    pub fn with_excerpt(&self) -> String {
        let Some(excerpt) = &self.excerpt else { return self.to_string() };
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (skip, carets) = (" ".repeat(excerpt.skip), "^".repeat(excerpt.width));
        format!("{self}\n{gutter} |\n{number} | {}\n{gutter} | {skip}{carets}", excerpt.line)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl Excerpt {
    fn new(line: &str, skip: usize, width: usize) -> Self {
        let from = if line.chars().count() <= EXCERPT_WIDTH { 0 } else { skip.saturating_sub(EXCERPT_WIDTH / 2) };
        let visible = |sign: char| if sign.is_control() { ' ' } else { sign };
        let line: String = line.chars().skip(from).take(EXCERPT_WIDTH).map(visible).collect();
        let skip = skip - from;
        Self { width: width.min(EXCERPT_WIDTH.saturating_sub(skip)).max(1), line: line.into(), skip }
    }
}

/// All mistakes of a configuration, in the order of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The names quoted and joined: `"a", "b"`.
#[must_use]
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

/// The known name that was probably meant, if one is close.
#[must_use]
pub(crate) fn closest<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&asked.to_lowercase(), &name.to_lowercase());
    let near = match asked.chars().count() {
        0 | 1 => 0, // any other letter would be as close
        letters => letters.div_ceil(3),
    };
    known.into_iter().map(|name| (distance(name), name)).filter(|(far, _)| *far <= near).min().map(|(_, name)| name)
}

/// `did you mean "x"?`, or the names there are.
#[must_use]
pub(crate) fn suggestion<'a>(asked: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match closest(asked, known.clone()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => {
            let mut names: Vec<&str> = known.into_iter().collect();
            names.dedup();
            let more = names.len().saturating_sub(20);
            names.truncate(20);
            match (names.is_empty(), more) {
                (true, _) => "there are none".to_owned(),
                (false, 0) => format!("there are {}", quoted(names)),
                (false, more) => format!("there are {} and {more} more", quoted(names)),
            }
        }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_points_into_its_file() {
        let text = "a = 1\nprice = \"ä zwölf\"\n";
        let start = text.find("zw").expect("there");
        let problem = Problem::at("t.toml", text, start..start + "zwölf".len(), "price", "no number; write 12.00");
        assert_eq!(problem.to_string(), "t.toml:2:12: price: no number; write 12.00");
        assert_eq!(
            problem.with_excerpt(),
            "t.toml:2:12: price: no number; write 12.00\n  |\n2 | price = \"ä zwölf\"\n  |            ^^^^^"
        );
    }

    #[test]
    fn any_place_is_taken() {
        for (start, end) in [(0, 0), (5, 2), (99, 100), (1, 2)] {
            let problem = Problem::at("f", "ä\n", Range { start, end }, "", "m");
            assert!(!problem.with_excerpt().is_empty());
        }
        let long = format!("{}x{}", "é".repeat(300), "y".repeat(300));
        let shown = Problem::at("f", &long, 600..601, "", "m").with_excerpt();
        assert!(shown.contains("éxy"), "{shown}");
    }
}

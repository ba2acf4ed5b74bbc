//! Log lines: JSON or text on standard error, with syslog priorities where the journal reads it.
//!
//! The one invariant: an event is one line, whatever a packet put into its fields, and customers' numbers are masked
//! before they come here. Messages are constant sentences with fields; `error` means that money or data is at risk and a
//! person must act.

use std::fmt;
use std::io::IsTerminal;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format as TextFormat, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// [`Format::Journal`] when the journal reads our standard error, text on a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text with time and level.
    Text,
    /// Text with the syslog priority before it (`<6>`, see sd-daemon(3)); the journal adds time and unit.
    Journal,
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error("log level {found:?}: {why}; right would be \"info\" or \"taktd=debug,warn\"")]
    Filter {
        /// As given.
        found: String,
        /// What is wrong.
        why: tracing_subscriber::filter::ParseError,
    },
    /// Logging was begun before.
    #[error("logging has begun already")]
    Twice,
}

/// Begins logging to standard error, for the whole process. `RUST_LOG`, where it is set, wins over `level`.
///
/// # Errors
/// When the filter cannot be read, or logging has begun already.
pub fn init(format: Format, level: &str) -> Result<(), LoggingError> {
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref(), level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match format.resolved() {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        Format::Journal => lines.event_format(OneLine::journal()).try_init(),
        Format::Text | Format::Auto => lines.event_format(OneLine::text()).try_init(),
    };
    begun.map_err(|_| LoggingError::Twice)
}

/// The last `digits` digits of a number as `x`: `+49891234567` with 3 is `+49891234xxx`. Other characters stay.
#[must_use]
pub fn mask(number: &str, digits: u8) -> String {
    let mut left = usize::from(digits);
    let masked: Vec<char> = number
        .chars()
        .rev()
        .map(|character| {
            if left > 0 && character.is_ascii_digit() {
                left -= 1;
                'x'
            } else {
                character
            }
        })
        .collect();
    masked.into_iter().rev().collect()
}

impl Format {
    fn resolved(self) -> Self {
        match self {
            Self::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => Self::Journal,
            Self::Auto if std::io::stderr().is_terminal() => Self::Text,
            Self::Auto => Self::Json,
            chosen => chosen,
        }
    }
}

fn filter(environment: Option<&str>, level: &str) -> Result<EnvFilter, LoggingError> {
    let found = environment.filter(|text| !text.is_empty()).unwrap_or(level);
    EnvFilter::builder().parse(found).map_err(|why| LoggingError::Filter { found: found.to_owned(), why })
}

/// Text of exactly one line an event: control characters inside it are shown as escapes.
#[derive(Debug)]
struct OneLine {
    text: TextFormat<Full, ()>,
    head: Head,
}

/// What stands before the text.
#[derive(Clone, Copy, Debug)]
enum Head {
    Priority,
    TimeAndLevel,
}

impl OneLine {
    fn journal() -> Self {
        Self { text: TextFormat::default().without_time().with_level(false).with_ansi(false), head: Head::Priority }
    }

    fn text() -> Self {
        Self { head: Head::TimeAndLevel, ..Self::journal() }
    }
}

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        match self.head {
            Head::Priority => write!(out, "<{}>", priority(level))?,
            Head::TimeAndLevel => {
                SystemTime.format_time(&mut out)?;
                write!(out, " {level:>5} ")?;
            }
        }
        let mut line = String::new();
        self.text.format_event(context, Writer::new(&mut line), event)?;
        for character in line.trim_end_matches('\n').chars() {
            if character.is_control() {
                write!(out, "{}", character.escape_default())?;
            } else {
                out.write_char(character)?;
            }
        }
        out.write_char('\n')
    }
}

/// Syslog's number for a level (RFC 5424 §6.2.1).
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_last_digits_are_masked_and_nothing_else() {
        for (number, digits, masked) in [
            ("+49891234567", 3, "+49891234xxx"),
            ("+49891234567", 0, "+49891234567"),
            ("201", 3, "xxx"),
            ("12", 3, "xx"),
            ("089 12-34", 3, "089 1x-xx"),
            ("anonymous", 3, "anonymous"),
            ("", 3, ""),
        ] {
            assert_eq!(mask(number, digits), masked, "{number} {digits}");
        }
    }

    #[test]
    fn a_packet_cannot_write_a_line_of_its_own() {
        let written = log_with(OneLine::journal(), || tracing::warn!(from = %"x\n<3>money is gone\u{1b}[2J", "a header cannot be read"));
        assert_eq!(written.matches('\n').count(), 1, "{written:?}");
        assert!(written.starts_with("<4>") && written.contains(r"x\n<3>money") && !written.contains('\u{1b}'), "{written:?}");
    }

    #[test]
    fn text_has_time_and_level() {
        let written = log_with(OneLine::text(), || tracing::info!(calls = 3, "drained"));
        let mut words = written.split_whitespace();
        let time = words.next().expect("a time");
        assert!(crate::units::Timestamp::parse_rfc3339(time).is_some(), "{time}");
        assert_eq!(words.next(), Some("INFO"));
        assert!(written.ends_with("drained calls=3\n"), "{written:?}");
    }

    #[test]
    fn the_environment_wins_over_the_configuration() {
        assert_eq!(filter(Some("debug"), "info").expect("a level").to_string(), "debug");
        assert_eq!(filter(Some(""), "info").expect("a level").to_string(), "info");
        let error = filter(None, "taktd=loud").expect_err("no level");
        assert!(error.to_string().contains("taktd=loud"), "{error}");
    }

    /// What a layer of this format writes while `act` runs.
    fn log_with(format: OneLine, act: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = tracing_subscriber::fmt().event_format(format).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(lines, act);
        let bytes = buffer.0.lock().expect("no test panics with it").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics with it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

//! Why a file that is followed gives nothing: the same for every kind that reads one.

use std::path::PathBuf;

/// Why a source gives nothing more until its configuration is right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", path.display())]
pub struct Stopped {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there, and what would be right.
    pub what: String,
}

/// Why there is no batch.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The file contradicts its configuration: nothing more comes.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The file cannot be read just now.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

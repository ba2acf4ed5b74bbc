//! A configured list of column names, as every kind of file takes one.

/// Why a list of names is none of columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A name that no column has.
    #[error("no column is called \"{found}\"; there are {known}")]
    Unknown {
        /// The name.
        found: String,
        /// Those there are.
        known: String,
    },
    /// A name twice.
    #[error("column \"{0}\" is listed twice")]
    Twice(String),
}

/// The columns of these names, in order. Only `skip`, which is not read, may stand there more than once.
///
/// # Errors
/// When a name is unknown, or listed twice.
pub(super) fn columns_of<C: Copy + PartialEq>(names: &[&str], known: &[(&str, C)], skip: C) -> Result<Vec<C>, NameError> {
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let Some((_, column)) = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            let known: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
            return Err(NameError::Unknown { found: (*name).to_owned(), known: known.join(", ") });
        };
        if *column != skip && columns.contains(column) {
            return Err(NameError::Twice((*name).to_owned()));
        }
        columns.push(*column);
    }
    Ok(columns)
}

//! `taktd run`.
use super::{Common, Result};
pub fn run(_common: &Common) -> Result {
    Err(super::Failure::Usage("not yet".into()))
}

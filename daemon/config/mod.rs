//! Raw TOML and CSV → checked values, all mistakes at once, each with file, line and key.
//!
//! The one invariant: a value that comes out of here is complete and consistent; with any mistake nothing comes out.

mod catalogue;
pub mod check;
mod contract_rules;
mod contracts;
mod csv_text;
mod daemon;
mod numbers;
mod plan;
mod problem;
mod reader;
pub mod tariff;

pub use catalogue::{Catalogue, load};
pub use daemon::{
    AsteriskCdr, CatalogueFiles, Columns, Config, CsvDialect, Export, ExportFormat, Hep, Ledger, Log, LogFormat, LogLevel, Privacy,
    SourceConfig,
};
pub use problem::{Problem, Problems};

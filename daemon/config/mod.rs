//! Raw TOML and CSV → checked values, all mistakes at once, each with file, line and key.
//!
//! The one invariant: a value that comes out of here is complete and consistent; with any mistake nothing comes out.

mod across;
mod bands;
mod base;
mod catalogue;
pub mod check;
mod conditions;
mod contract_numbers;
mod contract_rules;
mod contracts;
mod csv_text;
mod daemon;
mod hidden;
mod holidays;
mod http;
mod numbers;
mod offers;
mod other;
mod plan;
mod plan_text;
mod problem;
mod reader;
mod rows;
mod settings;
mod slips;
mod sources;
pub mod tariff;
mod week_text;
mod words;

pub use catalogue::{Catalogue, load};
pub use contract_numbers::numbers_in;
pub use http::Http;
pub use other::Exchanged;
pub(crate) use problem::suggestion;
pub use problem::{Problem, Problems};
pub use settings::{CatalogueFiles, Config, CsvDialect, Export, ExportFormat, Ledger, Log, LogFormat, LogLevel, Privacy};
pub use sources::{
    AmiLogin, AmiTls, AsteriskAmi, AsteriskCdr, AsteriskCel, BareCopies, Capture, Columns, FreeSwitch, FreeSwitchEvents, FritzBox, Hep,
    HepTransport, SourceConfig,
};

//! Whose call is this: numbers, terms, who may call. Pure values and look-ups.
//!
//! The one invariant: two contracts that match equally well are an ambiguity, and nobody is billed.

mod lookup;
#[cfg(test)]
mod tests;

pub use lookup::{Contracts, History, Match, Payer, local_date};

use crate::units::NumberPattern;
use chrono::NaiveDate;
use std::sync::Arc;

/// One row of the contracts: a customer's agreement, or a stretch of its history.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name; rows with the same one and consecutive dates are its history.
    pub id: Box<str>,
    /// Who it is with.
    pub customer: Box<str>,
    /// The plans it holds, in order.
    pub plans: Vec<Box<str>>,
    /// The first day covered.
    pub starts_on: NaiveDate,
    /// The day it was cancelled on.
    pub cancelled_on: Option<NaiveDate>,
    /// The first day no longer covered, as written (`ends_on`) or following from term, renewal, notice and cancellation.
    pub ends_on: Option<NaiveDate>,
    /// When the software was activated.
    pub activated_on: Option<NaiveDate>,
    /// Stations it covers.
    pub stations: u32,
    /// Its numbers.
    pub numbers: Vec<NumberPattern>,
    /// The numbers that may call on plans with `callers = "authorised"`; they belong to the contract like the others.
    pub authorised: Vec<NumberPattern>,
    /// For information.
    pub partner: Option<Box<str>>,
    /// Where it stands: file and line.
    pub place: (Arc<str>, u32),
}

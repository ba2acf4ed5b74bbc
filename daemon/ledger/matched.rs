//! Whose call it is, as it was found when the call was journaled. Kept with the evidence, so that a call settles the same
//! way after its numbers are forgotten (design.md §8).

/// What the look-up of a call's payer gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// One contract.
    Contract {
        /// Its name.
        id: Box<str>,
        /// Whether the caller may call on plans that ask for it.
        authorised: bool,
        /// What a reader should know, such as a reference of the PBX that is not in force.
        reason: Option<Box<str>>,
    },
    /// Several that match equally well: nobody pays.
    Ambiguous {
        /// All of them.
        candidates: Vec<Box<str>>,
    },
    /// None.
    Unmatched {
        /// Why.
        reason: Box<str>,
    },
}

impl Match {
    /// The contract, when it is one.
    #[must_use]
    pub fn contract(&self) -> Option<&str> {
        match self {
            Self::Contract { id, .. } => Some(id),
            Self::Ambiguous { .. } | Self::Unmatched { .. } => None,
        }
    }
}

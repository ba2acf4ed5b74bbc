//! Where settlement of a contract can go on: quiet instants, kept in memory, so that news of a call settles what began since
//! the last quiet instant before it, and not the whole history.
//!
//! The one invariant: forgetting any of them changes no result, only how much is computed again. So the bound is simple,
//! and nothing of this is stored.

use crate::meter::Quiet;
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// So many are kept for a contract: of the older ones, every second is let go.
const OF_A_CONTRACT: usize = 48;
/// So many are kept in all; then all are let go, and come again as contracts are settled.
const IN_ALL: usize = 16_384;

/// Quiet instants of contracts, by contract.
#[derive(Debug, Default)]
pub struct Quiets {
    of: BTreeMap<Box<str>, Vec<Quiet>>,
    kept: usize,
}

impl Quiets {
    /// The last quiet instant of a contract from which news of calls that begin at `since` or later can be settled.
    #[must_use]
    pub fn before(&self, contract: &str, since: Timestamp) -> Option<&Quiet> {
        let quiets = self.of.get(contract)?;
        quiets.get(quiets.partition_point(|quiet| quiet.at <= since).checked_sub(1)?)
    }

    /// Takes the quiet instants that settlement found when it went on from `from` (`None`: from the beginning).
    pub fn keep(&mut self, contract: &str, from: Option<Timestamp>, found: Vec<Quiet>) {
        let mut quiets = self.of.remove(contract).unwrap_or_default();
        self.kept = self.kept.saturating_sub(quiets.len());
        quiets.retain(|quiet| from.is_some_and(|from| quiet.at <= from));
        quiets.extend(found);
        if quiets.len() > OF_A_CONTRACT {
            let newest = quiets.len() - OF_A_CONTRACT / 2;
            let mut place = 0usize;
            quiets.retain(|_| {
                place += 1;
                place > newest || place.is_multiple_of(2)
            });
        }
        if self.kept + quiets.len() > IN_ALL {
            self.forget();
        }
        if !quiets.is_empty() {
            self.kept += quiets.len();
            self.of.insert(contract.into(), quiets);
        }
    }

    /// Lets go of all: tariffs or contracts have changed, or much was settled elsewhere.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::State;

    fn quiet(second: i64) -> Quiet {
        Quiet { at: Timestamp::from_micros(second * 1_000_000), state: State::default() }
    }

    fn at(second: i64) -> Timestamp {
        quiet(second).at
    }

    #[test]
    fn news_goes_on_from_the_last_quiet_instant_before_it() {
        let mut quiets = Quiets::default();
        quiets.keep("K", None, vec![quiet(10), quiet(20), quiet(30)]);
        let found = |quiets: &Quiets, second| quiets.before("K", at(second)).map(|quiet| quiet.at);
        assert_eq!([9, 10, 25, 99].map(|second| found(&quiets, second)), [None, Some(at(10)), Some(at(20)), Some(at(30))]);
        assert_eq!(quiets.before("L", at(99)), None);
        // Settled again from 20: what stood later is found anew.
        quiets.keep("K", Some(at(20)), vec![quiet(40)]);
        assert_eq!([35, 45].map(|second| found(&quiets, second)), [Some(at(20)), Some(at(40))]);
        quiets.keep("K", None, Vec::new());
        assert_eq!(found(&quiets, 99), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut quiets = Quiets::default();
        for contract in 0..2_000 {
            quiets.keep(&format!("K-{contract}"), None, (0..100).map(quiet).collect());
            assert!(quiets.of.values().all(|of| of.len() <= 2 * OF_A_CONTRACT), "of one");
            assert!(quiets.kept <= IN_ALL && quiets.kept == quiets.of.values().map(Vec::len).sum::<usize>(), "{} are kept", quiets.kept);
        }
        assert_eq!(quiets.before("K-1999", at(99)).map(|quiet| quiet.at), Some(at(99)), "the newest stay");
    }
}

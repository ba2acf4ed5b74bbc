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

    /// That instant, and all that follow calls which begin at `through` or earlier; empty if there is none before them.
    #[must_use]
    pub fn around(&self, contract: &str, since: Timestamp, through: Timestamp) -> Vec<Quiet> {
        let Some(quiets) = self.of.get(contract) else { return Vec::new() };
        let Some(first) = quiets.partition_point(|quiet| quiet.at <= since).checked_sub(1) else { return Vec::new() };
        let later = quiets.partition_point(|quiet| quiet.at <= through);
        quiets.get(first).into_iter().chain(quiets.get(later..).unwrap_or_default()).cloned().collect()
    }

    /// Takes the quiet instants that settlement found from one instant to another, in the place of those that were there.
    pub fn keep(&mut self, contract: &str, from: Timestamp, to: Timestamp, found: Vec<Quiet>) {
        let mut quiets = self.of.remove(contract).unwrap_or_default();
        self.kept = self.kept.saturating_sub(quiets.len());
        quiets.retain(|quiet| quiet.at < from || to <= quiet.at);
        let place = quiets.partition_point(|quiet| quiet.at < from);
        quiets.splice(place..place, found);
        if quiets.len() > OF_A_CONTRACT {
            quiets = thinned(quiets);
        }
        if self.kept + quiets.len() > IN_ALL {
            self.forget();
        }
        // One alone is the beginning of all calls, and saves nothing.
        if quiets.len() > 1 {
            self.kept += quiets.len();
            self.of.insert(contract.into(), quiets);
        }
    }

    /// Lets go of all: tariffs or contracts have changed, or much was settled elsewhere.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Without every second of the older ones; what was known of the calls behind those is known of the ones before.
fn thinned(quiets: Vec<Quiet>) -> Vec<Quiet> {
    let newest = quiets.len() - OF_A_CONTRACT / 2;
    let mut kept: Vec<Quiet> = Vec::with_capacity(quiets.len());
    for (place, quiet) in quiets.into_iter().enumerate() {
        match kept.last_mut() {
            Some(last) if place < newest && place % 2 == 1 => {
                let both = last.ahead.take().zip(quiet.ahead);
                last.ahead = both.and_then(|(one, other)| one.and_then(quiet.at, other));
            }
            Some(_) | None => kept.push(quiet),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(second: i64) -> Quiet {
        Quiet { at: Timestamp::from_micros(second * 1_000_000), ..Quiet::beginning() }
    }

    fn at(second: i64) -> Timestamp {
        quiet(second).at
    }

    #[test]
    fn news_goes_on_from_the_last_quiet_instant_before_it() {
        let mut quiets = Quiets::default();
        let end = at(i64::MAX / 1_000_000);
        quiets.keep("K", at(0), end, vec![quiet(10), quiet(20), quiet(30)]);
        let found = |quiets: &Quiets, second| quiets.before("K", at(second)).map(|quiet| quiet.at);
        assert_eq!([9, 10, 25, 99].map(|second| found(&quiets, second)), [None, Some(at(10)), Some(at(20)), Some(at(30))]);
        assert_eq!(quiets.before("L", at(99)), None);
        let around = |since, through| quiets.around("K", at(since), at(through)).iter().map(|quiet| quiet.at).collect::<Vec<_>>();
        assert_eq!(around(12, 12), [at(10), at(20), at(30)]);
        assert_eq!(around(12, 25), [at(10), at(30)]);
        assert_eq!(around(5, 25), []);
        // Settled again from 10 to 30, and from 30 on: what stood there is found anew.
        quiets.keep("K", at(10), at(30), vec![quiet(10), quiet(15)]);
        assert_eq!([25, 35].map(|second| found(&quiets, second)), [Some(at(15)), Some(at(30))]);
        quiets.keep("K", at(30), end, vec![quiet(30), quiet(40)]);
        assert_eq!([35, 45].map(|second| found(&quiets, second)), [Some(at(30)), Some(at(40))]);
        quiets.keep("K", at(0), end, Vec::new());
        assert_eq!(found(&quiets, 99), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut quiets = Quiets::default();
        for contract in 0..2_000 {
            quiets.keep(&format!("K-{contract}"), at(0), at(1_000), (0..100).map(quiet).collect());
            assert!(quiets.of.values().all(|of| of.len() <= 2 * OF_A_CONTRACT), "of one");
            assert!(quiets.kept <= IN_ALL && quiets.kept == quiets.of.values().map(Vec::len).sum::<usize>(), "{} are kept", quiets.kept);
        }
        assert_eq!(quiets.before("K-1999", at(99)).map(|quiet| quiet.at), Some(at(99)), "the newest stay");
    }
}

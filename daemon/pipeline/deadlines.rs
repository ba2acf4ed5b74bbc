//! Held calls that a tariff decides by itself once its deadline has passed (design.md §6.8): which contracts to look at again
//! when the ledger's time reaches another day, although nobody said anything new of them.

use super::catalogue::InForce;
use crate::contracts::{Contract, local_date};
use crate::tariff::Tariff;
use crate::units::Timestamp;

/// The contracts in which a deadline may have passed between two instants: deadlines pass at the beginning of a local day.
pub(super) fn passed(in_force: &InForce, since: Option<Timestamp>, now: Timestamp) -> Vec<String> {
    let deciding: Vec<&Tariff> = in_force.tariffs().iter().filter(|tariff| decides(tariff)).collect();
    if deciding.is_empty() {
        return Vec::new();
    }
    let another_day = |contract: &str| {
        let zone = in_force.contracts().zone(contract);
        since.is_none_or(|since| zone.is_some_and(|zone| local_date(since, zone) < local_date(now, zone)))
    };
    let held = |contract: &str| in_force.contracts().history(contract).into_iter().any(|row| deciding.iter().any(|one| sells(one, row)));
    in_force.contracts().ids().filter(|contract| another_day(contract) && held(contract)).map(str::to_owned).collect()
}

/// Whether a tariff decides anything by itself.
fn decides(tariff: &Tariff) -> bool {
    tariff.plans.iter().any(|plan| plan.decision.as_ref().is_some_and(|rule| rule.default.is_some()))
}

/// Whether a contract holds a plan of a tariff: what a plan includes is of the same.
fn sells(tariff: &Tariff, contract: &Contract) -> bool {
    tariff.plans.iter().any(|plan| contract.plans.contains(&plan.id))
}

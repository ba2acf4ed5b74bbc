//! Rates that can never apply, because others always come before.

use super::tariff::Names;
use crate::tariff::{BandId, Level, Rate};
use crate::units::Direction;
use std::collections::BTreeSet;

/// So many comparisons are made for one rate; a plan with more combinations than any price list has is taken as it is.
const MOST: usize = 50_000;

/// The lines of the rates that leave nothing of a later one; empty when it applies to some call.
///
/// Each kind of call it could be for is looked at: a band of its service, a severity or none (as one that the tariff does not
/// know), a level or none, a direction.
pub(super) fn hidden(earlier: &[Rate], rate: &Rate, names: &Names) -> Vec<u32> {
    let earlier: Vec<&Rate> = earlier.iter().filter(|before| before.service == rate.service).collect();
    let bands: &[BandId] = match names.services.iter().find(|service| service.name == rate.service) {
        Some(service) if rate.bands.is_empty() => &service.bands,
        _ => &rate.bands,
    };
    let severities: Vec<Option<&str>> = match (rate.severities.as_slice(), names.severities.as_slice()) {
        ([], []) => vec![None],
        ([], all) => all.iter().map(|name| Some(&**name)).chain([None]).collect(),
        (some, _) => some.iter().map(|name| Some(&**name)).collect(),
    };
    let levels: Vec<Option<Level>> = match rate.levels.as_slice() {
        [] => (1..=9).map(Some).chain([None]).collect(),
        some => some.iter().copied().map(Some).collect(),
    };
    let directions = rate.direction.map_or(vec![Direction::In, Direction::Out], |one| vec![one]);
    let kinds = [bands.len(), severities.len(), levels.len(), directions.len()];
    if earlier.is_empty() || kinds.iter().product::<usize>().saturating_mul(earlier.len()) > MOST {
        return Vec::new();
    }
    let mut lines = BTreeSet::new();
    for band in bands {
        for severity in &severities {
            for level in &levels {
                for direction in &directions {
                    let Some(before) = earlier.iter().find(|before| takes(before, *band, *severity, *level, *direction)) else {
                        return Vec::new();
                    };
                    lines.insert(before.line);
                }
            }
        }
    }
    lines.into_iter().collect()
}

/// Whether a rate is for this kind of call.
fn takes(rate: &Rate, band: BandId, severity: Option<&str>, level: Option<Level>, direction: Direction) -> bool {
    (rate.bands.is_empty() || rate.bands.contains(&band))
        && (rate.severities.is_empty() || severity.is_some_and(|name| rate.severities.iter().any(|known| **known == *name)))
        && (rate.levels.is_empty() || level.is_some_and(|level| rate.levels.contains(&level)))
        && rate.direction.is_none_or(|one| one == direction)
}

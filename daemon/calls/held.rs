//! Times of talk without the times of hold, or of being away, in them.
//!
//! The invariant: what comes out lies in the talk and in no hold, in order and without overlap.

use super::row::Span;
use crate::units::Timestamp;

/// What is left of a talk without these times of hold. A hold without an end lasts as long as the talk.
pub(super) fn without(talk: Span, holds: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut holds: Vec<Span> = holds.collect();
    holds.sort_unstable();
    let end = |span: Span| span.to.unwrap_or(Timestamp::MAX);
    let mut left = Vec::new();
    let mut from = talk.from;
    for hold in holds.into_iter().filter(|hold| end(*hold) > talk.from && hold.from < end(talk)) {
        if hold.from > from {
            left.push(Span { from, to: Some(hold.from) });
        }
        from = from.max(end(hold));
    }
    if from < end(talk) || (left.is_empty() && from == talk.from) {
        left.push(Span { from, to: talk.to });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span((from, to): (i64, Option<i64>)) -> Span {
        Span { from: Timestamp::from_micros(from), to: to.map(Timestamp::from_micros) }
    }

    fn shown(spans: &[Span]) -> Vec<(i64, Option<i64>)> {
        spans.iter().map(|span| (span.from.micros(), span.to.map(Timestamp::micros))).collect()
    }

    #[test]
    fn holds_are_cut_out() {
        for (holds, expected) in [
            (vec![], vec![(10, Some(20))]),
            (vec![(12, Some(14))], vec![(10, Some(12)), (14, Some(20))]),
            // Those of both sides may overlap, come in any order, and lie beside the talk.
            (vec![(13, Some(16)), (12, Some(14)), (1, Some(5)), (25, None)], vec![(10, Some(12)), (16, Some(20))]),
            (vec![(5, Some(12)), (18, None)], vec![(12, Some(18))]),
            (vec![(5, None)], vec![]),
        ] {
            let holds: Vec<Span> = holds.into_iter().map(span).collect();
            assert_eq!(shown(&without(span((10, Some(20))), holds.iter().copied())), expected, "{holds:?}");
        }
        assert_eq!(shown(&without(span((10, None)), [span((12, Some(14)))].into_iter())), [(10, Some(12)), (14, None)]);
        assert_eq!(shown(&without(span((10, Some(10))), [].into_iter())), [(10, Some(10))], "a talk of no length is one");
    }

    proptest! {
        #[test]
        fn each_instant_is_talk_or_hold(holds in proptest::collection::vec((0i64..40, 0i64..10), 0..6), to in 11i64..40) {
            let holds: Vec<Span> = holds.into_iter().map(|(from, length)| span((from, Some(from + length)))).collect();
            let left = without(span((10, Some(to))), holds.iter().copied());
            let inside = |spans: &[Span], at: i64| spans.iter().any(|span| span.from.micros() <= at && at < span.to.map_or(i64::MAX, Timestamp::micros));
            for at in 0..60 {
                prop_assert_eq!(inside(&left, at), (10..to).contains(&at) && !inside(&holds, at), "{}: {:?}", at, left);
            }
        }
    }
}

//! Settlement that goes on from a quiet instant comes to what settlement of all calls does.

use super::*;
use proptest::prelude::*;

/// Everything that is carried from call to call: an allowance of the month and its rest, one of the contract year, a top-up,
/// blocks of a day and of an incident, caps, incidents with and without tickets.
fn rich() -> String {
    format!(
        r#"{HEAD}
[[service]]
name = "incidents"
bands = ["always"]
{PLAN}
[[plan.allowance]]
id = "m"
time = "40m"
increment = "1m"
per = "month"
services = ["support"]
carry_over = {{ at_most = "10m", lapses = "1 month" }}
[[plan.allowance]]
id = "i"
incidents = 5
per = "month"
services = ["incidents"]
[[plan.allowance]]
id = "c"
callbacks = 20
per = "contract-year"
services = ["callback"]
[[plan.rate]]
service = "support"
bands = ["open"]
steps = [{{ from = "0s", increment = "1m", price = 0.50 }}]
round = {{ per = "day", to = "15m", mode = "up" }}
[[plan.rate]]
service = "support"
steps = [{{ from = "0s", increment = "5m", price = 3.00 }}]
round = {{ per = "incident", to = "10m", mode = "half" }}
minimum = 4.00
[[plan.rate]]
service = "incidents"
incident = 85.00
[[plan.rate]]
service = "callback"
top_up = {{ quantity = "1h", price = 99.00, increment = "15m", per = "contract-year" }}
[[plan.cap]]
services = ["support"]
amount = 120.00
per = "month"
[[plan.cap]]
services = ["incidents"]
amount = 100.00
per = "incident"
"#
    )
}

/// Service, seconds since the call before, talk, caller, ticket.
type Drawn = (usize, u64, u64, u8, Option<u8>);

fn drawn() -> impl Strategy<Value = Drawn> {
    let pause = prop_oneof![3 => 0..900_u64, 2 => 900..40_000_u64, 1 => 40_000..200_000_u64];
    (0..3_usize, pause, 1..2_400_u64, 0..4_u8, prop::option::weighted(0.2, 0..3_u8))
}

fn calls(drawn: &[Drawn]) -> Vec<Said> {
    let mut clock = at("2026-01-05T09:00:00");
    let mut calls = Vec::new();
    for (number, (service, pause, talk, from, ticket)) in drawn.iter().enumerate() {
        clock = clock.plus(Seconds::new(*pause));
        let service = ["support", "incidents", "callback"][*service];
        let ticket = ticket.map(|ticket| format!(" ticket={ticket}")).unwrap_or_default();
        let mut call = said(&format!("c{number:03} {service} 2026-01-05T09:00:00 0:01 from=+4930{from}{ticket}"));
        let ended = clock.plus(Seconds::new(*talk));
        (call.call.started_at, call.call.ended_at) = (clock, Some(ended));
        (call.call.talks[0].from, call.call.talks[0].to) = (clock, Some(ended));
        calls.push(call);
    }
    calls
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_any_quiet_instant_the_rest_comes_to_the_same(drawn in prop::collection::vec(drawn(), 150..400)) {
        let case = case(&rich());
        let (terms, calls) = (case.terms(), calls(&drawn));
        let inputs: Vec<Input<'_>> = calls
            .iter()
            .map(|said| Input { call: &said.call, authorised: true, reason: None, verdict: None, timing: Timing::InTime })
            .collect();
        let whole = settle(&terms, &inputs, case.until);
        for (place, quiet) in whole.quiet.iter().enumerate() {
            let first = calls.iter().position(|said| said.call.started_at >= quiet.at).expect("a call follows");
            let rest = settle_from(&terms, quiet.state.clone(), &inputs[first..], case.until);
            for (here, there) in rest.calls.iter().zip(&whole.calls[first..]) {
                prop_assert_eq!(&here.record, &there.record, "from {:?}", quiet.at);
            }
            // It finds quiet instants of its own, and where two fall together the same is left.
            for later in &rest.quiet {
                if let Some(same) = whole.quiet[place..].iter().find(|other| other.at == later.at) {
                    prop_assert_eq!(later, same);
                }
            }
            let current = |settlement: &Settlement| {
                let lasts = |one: &&Balance| one.lapses.is_none_or(|lapses| lapses > terms.day(case.until));
                settlement.balances.iter().filter(lasts).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(current(&rest), current(&whole));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Some calls come when all others are settled: what is settled again, and what stands, are what all of them come to.
    #[test]
    fn news_settles_from_quiet_to_quiet(drawn in prop::collection::vec(drawn(), 250..500), news in prop::collection::vec(0..250_usize, 1..4)) {
        let case = case(&rich());
        let (terms, calls) = (case.terms(), calls(&drawn));
        let input = |said| {
            let Said { call, .. }: &Said = said;
            Input { call, authorised: true, reason: None, verdict: None, timing: Timing::InTime }
        };
        let all: Vec<Input<'_>> = calls.iter().map(input).collect();
        let others: Vec<Input<'_>> = calls.iter().enumerate().filter(|(place, _)| !news.contains(place)).map(|(_, said)| input(said)).collect();
        let (whole, before) = (settle(&terms, &all, case.until), settle(&terms, &others, case.until));
        let begun = |place: &usize| calls[*place].call.started_at;
        let (since, through) = (news.iter().map(begun).min().expect("some"), news.iter().map(begun).max().expect("some"));
        let Some(first) = before.quiet.iter().rposition(|quiet| quiet.at <= since) else { return Ok(()) };
        let around: Vec<Quiet> = before.quiet.iter().enumerate().filter(|(place, quiet)| *place == first || quiet.at > through).map(|(_, quiet)| quiet.clone()).collect();
        let walked = walk(&around, |from, to| {
            let inside: Vec<Input<'_>> = all.iter().filter(|input| from.at <= input.call.started_at && input.call.started_at < to).copied().collect();
            Ok::<_, std::convert::Infallible>(settle_between(&terms, from.state.clone(), &inside, case.until, to))
        }).expect("no error").expect("a quiet instant");
        let inside = |settled: &&Settled| walked.from <= settled.record.started_at && settled.record.started_at < walked.to;
        let again: Vec<&Record> = walked.calls.iter().map(|settled| &settled.record).collect();
        prop_assert_eq!(again, whole.calls.iter().filter(inside).map(|settled| &settled.record).collect::<Vec<_>>());
        let stands: Vec<&Record> = before.calls.iter().filter(|settled| !inside(settled)).map(|settled| &settled.record).collect();
        prop_assert_eq!(stands, whole.calls.iter().filter(|settled| !inside(settled)).map(|settled| &settled.record).collect::<Vec<_>>());
    }
}

#[test]
fn there_are_quiet_instants_unless_what_comes_may_change_what_was() {
    let many: Vec<Drawn> = (0..200).map(|_| (0, 600, 60, 1, None)).collect();
    let found = |text: &str, change: &dyn Fn(&mut Said)| {
        let (case, mut calls) = (case(text), calls(&many));
        change(&mut calls[100]);
        case.settle(&calls).quiet.iter().map(|quiet| quiet.at).collect::<Vec<_>>()
    };
    let nothing = |_: &mut Said| {};
    let all = found(&rich(), &nothing);
    assert_eq!(all.len(), 3, "one in 64 calls");
    let running = found(&rich(), &|said| (said.call.ended_at, said.call.talks[0].to) = (None, None));
    assert_eq!(running, all[..1], "none once a call runs");
    assert_eq!(found(&rich(), &|said| said.timing = Timing::Late(7)), [], "none where a call is late");
    let tolerant = rich().replace("time = \"40m\"", "time = \"40m\"\ntolerance = \"10%\"");
    assert_eq!(found(&tolerant, &nothing), [], "none where an overrun may be due after all");
    let held = rich() + "[plan.decision]\ndefault = \"customer\"\nafter = \"14 days\"\n";
    let waits = case(&held).until("2026-01-08T09:00:00");
    assert_eq!(waits.settle(&calls(&many)).quiet, [], "none where a deadline is ahead");
    assert!(!case(&held).settle(&calls(&many)).quiet.is_empty(), "the deadlines have passed");
}

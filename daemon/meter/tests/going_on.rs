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

/// The same with room: the allowance of the month never runs out, and its rest does now and then; callbacks are bought by the day.
fn roomy() -> String {
    rich().replace("\"40m\"", "\"90h\"").replace("\"1h\", price = 99.00", "\"24h\", price = 99.00")
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
            let rest = settle_from(&terms, quiet, &inputs[first..], case.until);
            for (here, there) in rest.calls.iter().zip(&whole.calls[first..]) {
                prop_assert_eq!(&here.record, &there.record, "from {:?}", quiet.at);
            }
            // It finds quiet instants of its own, and where two fall together the same is left.
            for later in &rest.quiet {
                if let Some(same) = whole.quiet[place..].iter().find(|other| other.at == later.at) {
                    prop_assert_eq!(&later.state, &same.state);
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
    fn news_settles_from_quiet_to_quiet(
        drawn in prop::collection::vec(drawn(), 250..500),
        news in prop::collection::vec(0..250_usize, 1..4),
        roomy in any::<bool>(),
    ) {
        let case = case(&if roomy { self::roomy() } else { rich() });
        let (terms, calls) = (case.terms(), calls(&drawn));
        let others = |place: &usize| !news.contains(place);
        let (whole, before, again) = news_of(&terms, &calls, &others, case.until);
        let is_again = |settled: &&Settled| again.parts.iter().any(|part| part.from <= settled.record.started_at && settled.record.started_at < part.to);
        let records = |settled: Vec<&Settled>| settled.into_iter().map(|settled| settled.record.clone()).collect::<Vec<_>>();
        let settled = again.parts.iter().flat_map(|part| &part.calls).collect();
        prop_assert_eq!(records(settled), records(whole.calls.iter().filter(is_again).collect()));
        let stands = |calls: &[Settled]| records(calls.iter().filter(|settled| !is_again(settled)).collect());
        prop_assert_eq!(stands(&before.calls), stands(&whole.calls));
        for quiet in &again.quiet {
            let inside: Vec<Input<'_>> = inputs(&calls, |_| true).into_iter().filter(|input| input.call.started_at < quiet.at).collect();
            let (_, state) = settle_between(&terms, &Quiet::beginning(), &inside, case.until, quiet.at);
            prop_assert_eq!(Some(&quiet.state), state.as_ref());
        }
    }
}

fn inputs(calls: &[Said], which: impl Fn(&usize) -> bool) -> Vec<Input<'_>> {
    let input = |said| {
        let Said { call, verdict, .. }: &Said = said;
        Input { call, authorised: true, reason: None, verdict: *verdict, timing: Timing::InTime }
    };
    calls.iter().enumerate().filter(|(place, _)| which(place)).map(|(_, said)| input(said)).collect()
}

/// All calls at once, those that were there before, and what is settled again when the others come.
fn news_of(terms: &Terms<'_>, calls: &[Said], before: &dyn Fn(&usize) -> bool, until: Timestamp) -> (Settlement, Settlement, Walked) {
    let (all, others, news) = (inputs(calls, |_| true), inputs(calls, before), inputs(calls, |place| !before(place)));
    let (whole, before) = (settle(terms, &all, until), settle(terms, &others, until));
    let begun = || news.iter().map(|input| input.call.started_at);
    let (since, through) = (begun().min().expect("some"), begun().max().expect("some"));
    let first = before.quiet.iter().rposition(|quiet| quiet.at <= since).expect("the beginning is quiet");
    let around = before.quiet.iter().enumerate().filter(|(place, quiet)| *place == first || quiet.at > through);
    let around: Vec<Quiet> = around.map(|(_, quiet)| quiet.clone()).collect();
    let walked = walk(terms, &around, |from, to| {
        let inside = all.iter().filter(|input| from.at <= input.call.started_at && input.call.started_at < to);
        let inside: Vec<Input<'_>> = inside.copied().collect();
        Ok::<_, std::convert::Infallible>(settle_between(terms, from, &inside, until, to))
    });
    (whole, before, walked.expect("no error").expect("a quiet instant"))
}

/// How many calls of 800, ten minutes apart from 5 to 10 January, are settled again when the fourth comes late.
fn settled_again(allowance: &str, more: &str) -> usize {
    let many: Vec<Drawn> = (0..800).map(|_| (2, 600, 60, 1, None)).collect();
    let head = format!("{PLAN}[[plan.allowance]]\nid = \"m\"\nincrement = \"1m\"\nservices = [\"callback\"]\n");
    let minutes = MINUTES.replace("support", "callback");
    let case = case(&format!("{HEAD}{head}{allowance}\n{minutes}{more}"));
    let calls = calls(&many);
    let (whole, before, again) = news_of(&case.terms(), &calls, &|place| *place != 3, case.until);
    let changed = whole.calls.iter().filter(|settled| !before.calls.iter().any(|other| other.record == settled.record)).count();
    let settled: usize = again.parts.iter().map(|part| part.calls.len()).sum();
    assert!(changed <= settled, "{changed} changed, {settled} were settled");
    settled
}

#[test]
fn what_does_not_notice_another_balance_is_passed_by() {
    for (allowance, more, expected) in [
        // It never runs out: the stretch with the news, and no other.
        ("time = \"90h\"\nper = \"month\"", "", 65..=65),
        ("time = \"90h\"\nper = \"contract-year\"", "", 65..=65),
        ("time = \"90h\"\nper = \"month\"\ncarry_over = { at_most = \"1h\", lapses = \"1 month\" }", "", 65..=65),
        // It runs out with the 500th call: that stretch, too.
        ("time = \"500m\"\nper = \"month\"", "", 129..=129),
        // The first that is paid is another one, and with it the sum of the month, which a cap may stop: to the end.
        ("time = \"500m\"\nper = \"month\"", "[[plan.cap]]\namount = 500.00\nper = \"month\"", 416..=416),
        // A quarter of an hour of a month is filled by others from then on.
        ("time = \"10m\"\nper = \"month\"", "round = { per = \"month\", to = \"15m\", mode = \"up\" }", 800..=800),
    ] {
        let settled = settled_again(allowance, more);
        assert!(expected.contains(&settled), "{allowance} {more}: {settled}");
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
    assert_eq!(all.len(), 4, "the beginning, and one in 64 calls");
    let running = found(&rich(), &|said| (said.call.ended_at, said.call.talks[0].to) = (None, None));
    assert_eq!(running, all[..2], "none once a call runs");
    assert_eq!(found(&rich(), &|said| said.timing = Timing::Late(7)), [], "none where a call is late");
    let tolerant = rich().replace("time = \"40m\"", "time = \"40m\"\ntolerance = \"10%\"");
    assert_eq!(found(&tolerant, &nothing), [], "none where an overrun may be due after all");
    let held = rich() + "[plan.decision]\ndefault = \"customer\"\nafter = \"14 days\"\n";
    let waits = case(&held).until("2026-01-08T09:00:00");
    assert_eq!(waits.settle(&calls(&many)).quiet.len(), 1, "but for the beginning, none where a deadline is ahead");
    assert_eq!(case(&held).settle(&calls(&many)).quiet.len(), 4, "the deadlines have passed");
}

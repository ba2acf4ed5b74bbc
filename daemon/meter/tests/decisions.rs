//! Decisions, goodwill, gross prices, calls that came late, and outcomes (§6.8, §6.9, §6.11, §9).

use super::*;

const MONTH: &str = "[[plan.allowance]]\nid = \"m\"\ntime = \"2m\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"support\"]\n";

fn held(default: &str) -> String {
    format!("{HEAD}{PLAN}{MONTH}{MINUTES}[plan.decision]\nservices = [\"support\"]\n{default}\n")
}

#[test]
fn a_held_call_uses_nothing_until_it_is_decided() {
    let other = "b support 2026-03-10T11:00:00 1:00 verdict=customer";
    for (verdict, a, b) in [
        ("", "a Held 0 0", "b Included 0 60: [m]@open 1/1m"),
        (" verdict=customer", "a Charged 1.00 180: [m]@open 2/1m, step@open 1/1mx1.00", "b Charged 1.00 60: step@open 1/1mx1.00"),
        (" verdict=provider", "a Included 0 0", "b Included 0 60: [m]@open 1/1m"),
    ] {
        case(&held("")).check(&[&format!("a support 2026-03-10T10:00:00 3:00{verdict}"), other], &[a, b], "");
    }
}

#[test]
fn the_default_counts_from_its_day_on() {
    for (default, until, expected) in [
        ("default = \"customer\"\nafter = \"14 days\"", "2026-03-23T23:59:59", "a Held 0 0"),
        ("default = \"customer\"\nafter = \"14 days\"", "2026-03-24T00:00:00", "a Included 0 60: [m]@open 1/1m"),
        ("default = \"provider\"\nafter = \"1 month\"", "2026-04-09T23:59:59", "a Held 0 0"),
        ("default = \"provider\"\nafter = \"1 month\"", "2026-04-10T00:00:00", "a Included 0 0"),
    ] {
        case(&held(default)).until(until).check(&["a support 2026-03-10T10:00:00 1:00"], &[expected], "");
    }
    // A decision stands, whatever the default; a running call waits, too.
    let default = held("default = \"provider\"\nafter = \"1 day\"");
    case(&default).check(&["a support 2026-03-10T10:00:00 1:00 verdict=customer"], &["a Included 0 60: [m]@open 1/1m"], "");
    case(&default).until("2026-03-10T10:05:00").check(&["a support 2026-03-10T10:00:00 1:00 running"], &["a Held 0 0"], "");
    // Where nobody knows the time, later calls let no deadline pass.
    let case = case(&default);
    let said = said("a support 2026-03-10T10:00:00 1:00");
    let input = Input { call: &said.call, authorised: true, reason: None, verdict: None, timing: Timing::InTime };
    let settled = settle(&case.terms().without_clock(), &[input], case.until);
    assert_eq!(tell(&settled.calls[0].record), "a Held 0 0");
}

#[test]
fn goodwill_waives_a_share_or_the_last_minutes() {
    let text = format!("{HEAD}{PLAN}{}", MINUTES.replace("1.00", "0.33"));
    let call = |goodwill: &str| format!("a support 2026-03-10T10:00:00 15:00 verdict=goodwill:{goodwill}");
    for (goodwill, expected) in [
        // 4.95 less 40 % is 2.97; less 33.3 % is 3.30165.
        ("40%", "a Charged 2.97 900: step@open 15/1mx0.33, goodwill 1x-1.98"),
        ("33.3%", "a Charged 3.30 900: step@open 15/1mx0.33, goodwill 1x-1.64835, rounding 1x-0.00165"),
        ("100%", "a Included 0.00 900: step@open 15/1mx0.33, goodwill 1x-4.95"),
        ("0%", "a Charged 4.95 900: step@open 15/1mx0.33"),
        ("10m", "a Charged 1.65 300: step@open 5/1mx0.33"),
        ("14m1s", "a Charged 0.33 60: step@open 1/1mx0.33"),
        ("15m", "a Included 0 0"),
        ("1h", "a Included 0 0"),
    ] {
        case(&text).check(&[&call(goodwill)], &[expected], "");
    }
    // An increment that began before the waived minutes is charged in full.
    let blocks = format!("{HEAD}{PLAN}{}", MINUTES.replace("\"1m\"", "\"10m\""));
    case(&blocks).check(&[&call("10m")], &["a Charged 1.00 600: step@open 1/10mx1.00"], "");
}

#[test]
fn the_next_increment_of_a_running_call_comes_after_what_is_waived() {
    let case = |until: &str| case(&format!("{HEAD}{PLAN}{MINUTES}")).until(until);
    for (until, net, next) in [
        ("2026-03-10T10:03:00", "0", "2026-03-10T10:10:00"),
        ("2026-03-10T10:10:00", "0", "2026-03-10T10:10:00"),
        ("2026-03-10T10:10:01", "1.00", "2026-03-10T10:11:00"),
    ] {
        let settled = case(until).settle(&[said("a support 2026-03-10T10:00:00 1:00 running verdict=goodwill:10m")]);
        assert_eq!(settled.calls[0].record.charge.net, net.parse().expect("a decimal"), "{until}");
        assert_eq!(settled.calls[0].live.and_then(|live| live.next_increment_at), Some(at(next)), "{until}");
    }
}

#[test]
fn a_price_per_incident_stays_whole() {
    let text = format!("{HEAD}{PLAN}[[plan.rate]]\nservice = \"support\"\nincident = 85.00\n");
    for talk in ["9:00", "10:00", "25:00"] {
        case(&text).check(
            &[&format!("a support 2026-03-10T10:00:00 {talk} verdict=goodwill:10m")],
            &["a Charged 85.00 0 a: incident@open 1x85.00"],
            "",
        );
    }
    let flat = format!("{HEAD}{PLAN}[[plan.rate]]\nservice = \"support\"\nflat = true\n");
    case(&flat).check(&["a support 2026-03-10T10:00:00 9:00 verdict=goodwill:10m"], &["a Included 0 540: flat@open 1"], "");
}

#[test]
fn gross_prices_are_rounded_as_gross() {
    let text = format!("{HEAD}{PLAN}{}", MINUTES.replace("1.00", "0.335")).replace("\"net\"", "\"gross\"");
    let case = case(&text);
    let settled =
        case.settle(&[said("a support 2026-03-10T10:00:00 3:00"), said("b support 2026-03-10T11:00:00 3:00 verdict=goodwill:50%")]);
    // 1.005 is 1.01 gross: VAT 1.01 × 19 / 119 = 0.1612…, and net what remains. Half of it is 0.5025: 0.50, VAT 0.0798….
    let due = |place: usize| {
        let charge = settled.calls[place].record.charge;
        format!("{} + {} = {}", charge.net, charge.vat, charge.gross)
    };
    assert_eq!((due(0), due(1)), ("0.85 + 0.16 = 1.01".into(), "0.42 + 0.08 = 0.50".into()));
    assert_eq!(tell(&settled.calls[0].record), "a Charged 0.85 180: step@open 3/1mx0.335, rounding 1x0.005");
    assert_eq!(tell(&settled.calls[1].record), "b Charged 0.42 180: step@open 3/1mx0.335, goodwill 1x-0.50250, rounding 1x-0.00250");
}

#[test]
fn vat_is_that_of_the_day_on_which_talk_began() {
    let text = format!("{HEAD}{PLAN}{}", MINUTES);
    let mut case = case(&text).rows(&["2020-01-01 p"]);
    case.until = at("2021-02-01T00:00:00");
    for (begin, vat) in
        [("2020-06-30T21:59:30", "19"), ("2020-07-01T09:00:00", "16"), ("2020-12-31T21:59:59", "16"), ("2021-01-01T09:00:00", "19")]
    {
        let settled = case.settle(&[said(&format!("a support {begin} 2:00"))]);
        assert_eq!(settled.calls[0].record.charge.vat_percent, vat.parse().expect("percent"), "{begin}");
    }
}

#[test]
fn a_late_call_gets_what_is_left_and_touches_nobody() {
    let text = format!("{HEAD}{PLAN}{MONTH}{MINUTES}");
    let in_time = "a support 2026-03-10T12:00:00 1:00";
    // Though it began first, it comes after the others; of two late ones, the one journaled first.
    case(&text).check(
        &[in_time, "x support 2026-03-10T10:00:00 2:00 late=7", "y support 2026-03-09T10:00:00 1:00 late=9"],
        &[
            "a Included 0 60: [m]@open 1/1m",
            "x Charged 1.00 120 late: [m]@open 1/1m, step@open 1/1mx1.00",
            "y Charged 1.00 60 late: step@open 1/1mx1.00",
        ],
        "m 2026-03-01 0/120; m 2026-12-01 120/120",
    );
}

#[test]
fn every_call_has_the_first_outcome_that_applies() {
    let closed = PLAN.replace("\"any\"", "\"authorised\"");
    let text = format!("{HEAD}{closed}{MINUTES}[plan.decision]\nservices = [\"support\"]\n");
    for (call, expected) in [
        ("a support 2026-03-10T23:00:00 missed stranger", "a Missed 0 0"),
        ("a support 2026-03-10T23:00:00 1:00 stranger", "a Uncovered 0 0"),
        ("a support 2026-03-10T07:59:59 9:00", "a Uncovered 0 0"),
        ("a callback 2026-03-10T10:00:00 1:00 out", "a Uncovered 0 0"),
        ("a training 2026-03-10T10:00:00 1:00", "a Uncovered 0 0"),
        ("a support 2025-12-31T10:00:00 1:00", "a Uncovered 0 0"),
        ("a support 2026-03-10T10:00:00 1:00 stranger", "a Unauthorised 0 0"),
        ("a support 2026-03-10T10:00:00 1:00 stranger verdict=customer", "a Unauthorised 0 0"),
        ("a support 2026-03-10T10:00:00 1:00", "a Held 0 0"),
        ("a support 2026-03-10T10:00:00 1:00 verdict=customer", "a Charged 1.00 60: step@open 1/1mx1.00"),
        ("a support 2026-03-10T10:00:00 0:00 verdict=customer", "a Included 0 0"),
    ] {
        case(&text).check(&[call], &[expected], "");
    }
}

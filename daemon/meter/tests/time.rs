//! Increments in time: steps, bands, several talks of a call, several calls at once, and calls that run (§6.1 to §6.6).

use super::*;

fn steps(list: &str) -> String {
    format!("{HEAD}{PLAN}[[plan.rate]]\nservice = \"support\"\nsteps = [{list}]\n")
}

const HOURS: &str = "{ from = \"0s\", increment = \"1h\", price = 149.00 }, { from = \"1h\", increment = \"1h\", price = 129.00 }";

#[test]
fn example_9_each_started_hour() {
    for (talk, expected) in [
        ("0:00", "a Included 0 0"),
        ("0:01", "a Charged 149.00 3600: step@open 1/1hx149.00"),
        ("60:00", "a Charged 149.00 3600: step@open 1/1hx149.00"),
        ("60:01", "a Charged 278.00 7200: step@open 1/1hx149.00, step@open 1/1hx129.00"),
        ("180:01", "a Charged 536.00 14400: step@open 1/1hx149.00, step@open 3/1hx129.00"),
    ] {
        case(&steps(HOURS)).check(&[&format!("a support 2026-03-10T10:00:00 {talk}")], &[expected], "");
    }
}

const BANDS: &str = r#"
[[plan.rate]]
service = "support"
bands = ["open"]
steps = [{ from = "0s", increment = "5m", price = 5.00 }, { from = "5m", increment = "1m", price = 1.00 }]
[[plan.rate]]
service = "support"
bands = ["late", "weekend"]
steps = [{ from = "0s", increment = "5m", price = 50.00 }, { from = "5m", increment = "5m", price = 40.00 }]
"#;

#[test]
fn an_increment_is_cut_neither_at_a_bands_end_nor_at_a_steps() {
    let text = format!("{HEAD}{PLAN}{BANDS}");
    for (call, expected) in [
        // The increment that began at 17:58 reaches into the evening, at the price of the day.
        ("a support 2026-03-10T17:58:00 6:00", "a Charged 45.00 600: step@open 1/5mx5.00, step@late 1/5mx40.00"),
        ("a support 2026-03-10T17:58:00 5:00", "a Charged 5.00 300: step@open 1/5mx5.00"),
        // After 22:00 the service has no band: its last one goes on.
        ("a support 2026-03-10T21:58:00 16:00", "a Charged 170.00 1200: step@late 1/5mx50.00, step@late 3/5mx40.00"),
        // From Friday's gap into Saturday's weekend.
        (
            "a support 2026-03-13T21:59:00 126:00",
            "a Charged 1050.00 7800: step@late 1/5mx50.00, step@late 24/5mx40.00, step@weekend 1/5mx40.00",
        ),
    ] {
        case(&text).check(&[call], &[expected], "");
    }
}

#[test]
fn the_last_band_that_the_plan_sells_goes_on() {
    let day = MINUTES.replace("steps", "bands = [\"open\"]\nsteps");
    let text = format!("{HEAD}{PLAN}{day}[[plan.uncovered]]\nservice = \"support\"\nbands = [\"late\", \"weekend\"]\n");
    case(&text).check(
        &["a support 2026-03-10T17:59:00 3:00", "b support 2026-03-10T18:00:00 3:00"],
        &["a Charged 3.00 180: step@open 3/1mx1.00", "b Uncovered 0 0"],
        "",
    );
}

#[test]
fn the_clock_stands_still_during_wait() {
    let text = format!("{HEAD}{PLAN}{BANDS}");
    for (talk, expected) in [
        // 3 min before 18:00, a wait into the evening, 2 min and a second after it: the second increment begins at 5:00 of talk.
        ("3:00+10:00+2:00", "a Charged 5.00 300: step@open 1/5mx5.00"),
        ("3:00+10:00+2:01", "a Charged 45.00 600: step@open 1/5mx5.00, step@late 1/5mx40.00"),
        // Talk reaches 5:00 where the first part ends: the increment begins with the second.
        ("5:00+10:00+0:01", "a Charged 45.00 600: step@open 1/5mx5.00, step@late 1/5mx40.00"),
    ] {
        case(&text).check(&[&format!("a support 2026-03-10T17:54:00 {talk}")], &[expected], "");
    }
}

#[test]
fn the_step_goes_by_all_talk_however_it_was_paid() {
    let month = "[[plan.allowance]]\nid = \"m\"\ntime = \"3m\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"support\"]\nbands = [\"open\"]\n";
    let text = format!("{HEAD}{PLAN}{month}{BANDS}");
    case(&text).check(
        &["a support 2026-03-10T10:00:00 10:00"],
        &["a Charged 7.00 600: [m]@open 3/1m, step@open 1/5mx5.00, step@open 2/1mx1.00"],
        "",
    );
}

#[test]
fn what_begins_at_once_goes_by_who_was_connected_first() {
    let month = "[[plan.allowance]]\nid = \"m\"\ntime = \"1m\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"support\"]\n";
    let text = format!("{HEAD}{PLAN}{month}{MINUTES}");
    let wins = |first: &str, second: &str| {
        let calls = [format!("a support {first}"), format!("b support {second}")];
        let calls: Vec<Said> = calls.iter().map(|call| said(call)).collect();
        let settled = case(&text).settle(&calls);
        settled.calls.iter().find(|one| !one.record.allowances.is_empty()).map(|one| tell(&one.record).remove(0)).expect("one")
    };
    for (first, second, winner) in [
        ("2026-03-10T10:00:01 0:30", "2026-03-10T10:00:00 0:30", 'b'),
        ("2026-03-10T10:00:00 0:30", "2026-03-10T10:00:00 0:30 setup=2026-03-10T09:59:00", 'b'),
        ("2026-03-10T10:00:00 0:30 from=+49302", "2026-03-10T10:00:00 0:30 from=+49301", 'b'),
        ("2026-03-10T10:00:00 0:30 to=+4989555012", "2026-03-10T10:00:00 0:30 to=+4989555011", 'b'),
        ("2026-03-10T10:00:00 0:30", "2026-03-10T10:00:00 0:30", 'a'),
    ] {
        assert_eq!(wins(first, second), winner, "{first} against {second}");
    }
    // The same callers, written otherwise by another source, come in the same order.
    let mut calls = [said("a support 2026-03-10T10:00:00 0:30 from=+49302"), said("b support 2026-03-10T10:00:00 0:30 from=+49301")];
    calls[0].call.caller_raw = RawNumber::from_bytes(b"+049 302");
    let settled = case(&text).settle(&calls);
    assert_eq!(settled.calls[1].record.outcome, Outcome::Included);
}

#[test]
fn a_running_call_is_what_it_is_when_cut_at_the_instant() {
    let text = format!("{HEAD}{PLAN}{BANDS}");
    let call = ["a support 2026-03-10T10:00:00 9:00"];
    for (until, expected) in [
        ("2026-03-10T10:00:00", "a Included 0 0"),
        ("2026-03-10T10:00:01", "a Charged 5.00 300: step@open 1/5mx5.00"),
        ("2026-03-10T10:05:00", "a Charged 5.00 300: step@open 1/5mx5.00"),
        ("2026-03-10T10:05:01", "a Charged 6.00 360: step@open 1/5mx5.00, step@open 1/1mx1.00"),
        ("2026-03-10T10:09:00", "a Charged 9.00 540: step@open 1/5mx5.00, step@open 4/1mx1.00"),
        ("2026-03-11T10:00:00", "a Charged 9.00 540: step@open 1/5mx5.00, step@open 4/1mx1.00"),
    ] {
        case(&text).until(until).check(&call, &[expected], "");
    }
    for (until, next) in [("2026-03-10T10:02:00", "2026-03-10T10:05:00"), ("2026-03-10T10:05:01", "2026-03-10T10:06:00")] {
        let settled = case(&text).until(until).settle(&[said("a support 2026-03-10T10:00:00 1:00 running")]);
        let live = settled.calls[0].live.expect("it runs");
        assert_eq!(live.next_increment_at, Some(at(next)), "{until}");
        assert_eq!(live.priced_since, Some(at("2026-03-10T10:00:00")));
    }
}

#[test]
fn real_time_counts_where_the_clock_is_changed() {
    let text = format!("{HEAD}{PLAN}{}", MINUTES);
    for (call, minutes) in [
        // 01:30 to 03:30 on the clock is one hour; in autumn, three.
        ("a support 2026-03-29T01:30:00 60:00", 60),
        ("a support 2026-10-25T01:30:00 180:00", 180),
    ] {
        let expected = format!("a Charged {minutes}.00 {}: step@weekend {minutes}/1mx1.00", minutes * 60);
        case(&text).check(&[call], &[&expected], "");
    }
}

#[test]
fn an_allowance_is_that_of_the_period_in_which_talk_began() {
    let month = "[[plan.allowance]]\nid = \"m\"\ntime = \"3m\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"support\"]\n";
    let text = format!("{HEAD}{PLAN}{month}{MINUTES}");
    // Saturday 2026-01-31 into Sunday 2026-02-01.
    case(&text).until("2026-02-01T12:00:00").check(
        &["a support 2026-01-31T23:59:00 5:00"],
        &["a Charged 2.00 300: [m]@weekend 3/1m, step@weekend 2/1mx1.00"],
        "m 2026-01-01 0/180; m 2026-02-01 180/180",
    );
}

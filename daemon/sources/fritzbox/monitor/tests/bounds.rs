//! What a box may say at most, and at which time.

use super::*;
use proptest::prelude::*;

#[test]
fn where_the_clock_of_the_box_is_set_in_mid_call_its_own_count_stands() {
    let mut desk = Desk::new();
    lines(&format!("{RING} 10:00:09;CONNECT;0;10;030231250;\n 10:12:09;DISCONNECT;0;120;")).for_each(|line| desk.hear(&line));
    assert_eq!(desk.concluded(), ["in 030231250 > 555010 Support [10:10:00:09-10:02:09] 10:00:00-10:02:09"]);
}

#[test]
fn the_hour_that_comes_twice_and_the_one_that_never_does() {
    let mut desk = Desk::new();
    for line in [
        "25.10.26 02:50:00;RING;0;030231250;555010;SIP0;",
        "25.10.26 02:50:10;CONNECT;0;10;030231250;",
        "25.10.26 02:10:10;DISCONNECT;0;1200;",
        "25.10.26 02:50:00;RING;0;030231250;555010;SIP0;",
        "25.10.26 02:50:10;CONNECT;0;10;030231250;",
        "25.10.26 03:10:10;DISCONNECT;0;1200;",
    ] {
        desk.hear(line);
    }
    let talks: Vec<i64> =
        desk.out.iter().filter(|update| update.stage == Stage::Concluded).map(|update| update.call.talk_micros(Timestamp::MAX)).collect();
    assert_eq!(talks, [1_200_000_000, 1_200_000_000]);
    let began: Vec<Timestamp> =
        desk.out.iter().filter(|update| update.stage == Stage::Concluded).map(|update| update.call.started_at).collect();
    assert_eq!(began[1].since(began[0]), 3_600_000_000, "an hour lies between them");
    // Live, the time of arrival tells.
    let mut monitor = Monitor::resume(ZONE, []);
    for now in [1_792_888_201, 1_792_891_801] {
        let now = Timestamp::from_parts(now, 0);
        let heard = monitor.hear(b"25.10.26 02:30:00;RING;0;1;555010;SIP0;", Some(now)).expect("a line");
        assert_eq!(now.since(heard.at), 1_000_000);
    }
    let skipped = monitor.hear(b"29.03.26 02:30:00;RING;0;1;555010;SIP0;", None);
    assert!(matches!(skipped, Err(HearError::Skipped(_))), "{skipped:?}");
}

#[test]
fn a_clock_that_is_wrong_is_refused() {
    let mut monitor = Monitor::resume(ZONE, []);
    let now = Timestamp::parse_rfc3339("2026-03-10T10:00:00+01:00").expect("a time");
    for (line, expected) in [
        ("10.03.26 09:59:58;RING;0;1;555010;SIP0;", None),
        ("10.03.26 10:10:00;RING;0;1;555010;SIP0;", None),
        ("10.03.26 09:00:00;RING;0;1;555010;SIP0;", Some(-3_600)),
        ("10.03.26 12:00:00;RING;0;1;555010;SIP0;", Some(7_200)),
        ("01.01.70 01:00:09;RING;0;1;555010;SIP0;", Some(-1_773_133_191)),
    ] {
        assert_eq!(monitor.hear(line.as_bytes(), Some(now)).err(), expected.map(HearError::Clock), "{line}");
    }
}

#[test]
fn no_more_calls_are_followed_than_stated() {
    let mut monitor = Monitor::resume(ZONE, []);
    let ring = |connection: usize| format!("10.03.26 10:00:00;RING;{connection};1;555010;SIP0;");
    for connection in 0..MOST_CALLS {
        monitor.hear(ring(connection).as_bytes(), None).expect("there is room");
    }
    assert_eq!(monitor.hear(ring(MOST_CALLS).as_bytes(), None), Err(HearError::Full));
    monitor.hear(b"10.03.26 10:00:01;DISCONNECT;3;0;", None).expect("a line");
    monitor.hear(ring(MOST_CALLS).as_bytes(), None).expect("there is room again");
}

proptest! {
    /// Whatever a box says, nobody talks longer than from the first line to the last, and a restart changes nothing that is whole.
    #[test]
    fn any_lines_make_calls_within_their_time(said in proptest::collection::vec((0u8..4, 0u8..3, 0u8..60, 0u8..90), 1..40)) {
        let mut desk = Desk::new();
        let (mut second, began) = (0u32, 36_000u32);
        for (kind, connection, later, seconds) in said {
            second += u32::from(later);
            let at = began + second;
            let time = format!("10.03.26 {:02}:{:02}:{:02}", at / 3_600, at / 60 % 60, at % 60);
            desk.hear(&match kind {
                0 => format!("{time};RING;{connection};030231250;555010;SIP0;"),
                1 => format!("{time};CALL;{connection};10;555010;030231250;SIP0;"),
                2 => format!("{time};CONNECT;{connection};1{};030231250;", seconds % 3),
                _ => format!("{time};DISCONNECT;{connection};{seconds};"),
            });
        }
        for update in &desk.out {
            let call = &update.call;
            prop_assert!(call.talk_micros(Timestamp::MAX) <= i64::from(second) * 1_000_000 || call.ended_at.is_none(), "{}", shown(call));
            prop_assert!(call.talks.iter().all(|talk| talk.from >= call.started_at));
            prop_assert!(call.end == End::Observed || call.marks.contains(&Mark::LostParty));
        }
    }
}

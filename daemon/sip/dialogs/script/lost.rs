//! Messages that never came: answers, BYEs, refreshes; and who was still there.

use super::check;

#[test]
fn a_lost_answer_is_proved_by_what_follows() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 180 INVITE 1 a t
         2.0 > ACK 1 k t
         9.0 > BYE 2 b t",
        "0.000 invited +4989123 201
         1.000 ringing - -
         2.000 answered d0 - -
         9.000 bye d0 Caller None",
    );
    check(
        "0.0 > INVITE 1 a
         5.0 < INVITE 9 b t
         5.1 > 200 INVITE 9 b t
         9.0 < BYE 10 c t",
        "0.000 invited +4989123 201
         5.000 answered d0 - -
         9.000 bye d0 Callee None",
    );
    check(
        "0.0 > INVITE 1 a
         1.0 < 180 INVITE 1 a t
         9.0 > BYE 2 b t
         9.1 > BYE 2 bp t hop=1
         9.2 < 200 BYE 2 b t
         9.3 < 200 INVITE 1 a t",
        "0.000 invited +4989123 201
         1.000 ringing - -
         9.000 bye - Caller None",
    );
    // The ACK of a failure proves nothing, with its Via or without.
    check(
        "0.0 > INVITE 1 a
         0.1 > INVITE 1 p uri=205 hop=1
         0.2 < 180 INVITE 1 p t hop=1
         1.0 < 487 INVITE 1 - t
         1.1 > ACK 1 - t
         1.2 > ACK 1 stranger t2 hop=1",
        "0.000 invited +4989123 201
         0.100 forked b1 205
         0.200 ringing b1 -
         1.000 refused b0 487 None",
    );
}

#[test]
fn crossing_and_repeated_byes_are_one() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 200 INVITE 1 a t
         1.1 > ACK 1 k t
         5.0 > BYE 2 b t
         5.0 < BYE 7 c t
         5.5 > BYE 2 b t
         5.6 < 481 BYE 2 b t
         5.6 > 200 BYE 7 c t
         90 now",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         5.000 bye d0 Caller None",
    );
}

#[test]
fn a_bye_into_the_void_tells_after_32_seconds() {
    let call = "0.0 > INVITE 1 a
         1.0 < 200 INVITE 1 a t
         1.1 > ACK 1 k t";
    check(
        &format!("{call}\n5.0 < BYE 7 b t\n5.5 < BYE 7 b t\n36.9 < BYE 7 b t\n37.0 now"),
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         5.000 bye d0 Callee None
         5.500 repeated d0
         37.000 gone d0",
    );
    // Seen once on each hop is not repeated; and an answer is one, however late.
    check(
        &format!("{call}\n5.0 < BYE 7 b t\n5.0 < BYE 7 bp t hop=1\n90 now"),
        "0.000 invited +4989123 201\n1.000 answered d0 b0 -\n5.000 bye d0 Callee None",
    );
    check(
        &format!("{call}\n5.0 < BYE 7 b t\n5.5 < BYE 7 b t\n9.0 > 200 BYE 7 b t\n90 now"),
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         5.000 bye d0 Callee None
         5.500 repeated d0
         9.000 answered after all d0",
    );
    // A proxy repeats what it was sent once, and gives up; or the caller hangs up at last.
    let relayed = format!("{call}\n5.0 < BYE 7 b t hop=1\n5.0 < BYE 7 bp t\n5.5 < BYE 7 bp t\n6.5 < BYE 7 bp t");
    let told = "0.000 invited +4989123 201\n1.000 answered d0 b0 -\n5.000 bye d0 Callee None\n5.500 repeated d0";
    check(&format!("{relayed}\n37.0 > 408 BYE 7 b t hop=1\n90 now"), &format!("{told}\n37.000 gone d0"));
    check(&format!("{relayed}\n7.0 > BYE 2 c t\n90 now"), &format!("{told}\n7.000 answered after all d0"));
    // A proxy answers in its place.
    check(
        &format!("{call}\n5.0 < BYE 7 b t\n35.0 > 408 BYE 7 b t\n90 now"),
        "0.000 invited +4989123 201\n1.000 answered d0 b0 -\n5.000 bye d0 Callee None\n35.000 gone d0",
    );
}

#[test]
fn a_dialog_that_the_other_side_forgot_is_over() {
    let call = "0.0 > INVITE 1 a
         1.0 < 200 INVITE 1 a t
         1.1 > ACK 1 k t
         3.0 > INFO 2 i t
         3.1 < 200 INFO 2 i t
         5.0 < UPDATE 7 b t";
    for status in [408, 481] {
        // Whoever asked hangs up, and that is the end.
        check(
            &format!("{call}\n5.5 > {status} UPDATE 7 b t\n5.6 < BYE 8 c t\n5.7 > 481 BYE 8 c t\n99 now"),
            "0.000 invited +4989123 201
             1.000 answered d0 b0 -
             5.500 gone d0
             5.600 bye d0 Callee None",
        );
        // Nobody saw a BYE: the last sign of the caller was an INFO.
        check(
            &format!("{call}\n5.5 > {status} UPDATE 7 b t\n37.4 now\n37.5 now"),
            "0.000 invited +4989123 201
             1.000 answered d0 b0 -
             5.500 gone d0
             37.500 expired d0 3000",
        );
        // The next refresh is accepted after all.
        check(
            &format!(
                "{call}
                 5.5 > {status} UPDATE 7 b t
                 9.0 < INVITE 8 c t
                 9.1 > 200 INVITE 8 c t
                 99 now
                 100 > BYE 3 d t"
            ),
            "0.000 invited +4989123 201
             1.000 answered d0 b0 -
             5.500 gone d0
             100.000 bye d0 Caller None",
        );
    }
    // Neither a refusal nor a REFER about an unknown dialog says so.
    check(
        &format!("{call}\n5.5 > 488 UPDATE 7 b t\n6 < REFER 8 r t refer=<sip:203@x>\n6.1 > 481 REFER 8 r t\n99 now\n100 > BYE 3 d t"),
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         100.000 bye d0 Caller None",
    );
}

#[test]
fn a_session_timer_ends_what_is_not_refreshed() {
    check(
        "0.0 > INVITE 1 a x=90
         1.0 < 200 INVITE 1 a t x=90;refresher=uac
         1.1 > ACK 1 k t
         46.0 > UPDATE 2 b t x=90
         46.1 < 200 UPDATE 2 b t x=90
         91.0 > UPDATE 3 c t x=90
         92.0 > UPDATE 3 c t x=90
         136.0 now
         136.1 now",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         136.100 expired d0 46100",
    );
    // The 2xx decides: without the header there is none, and less than 90 s is 90 s.
    check(
        "0.0 > INVITE 1 a x=90
         1.0 < 200 INVITE 1 a t x=5
         1.1 > ACK 1 k t
         46.0 > INVITE 2 b t x=90
         46.1 < 200 INVITE 2 b t
         1000 now
         1001 > BYE 3 c t",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         1001.000 bye d0 Caller None",
    );
    // Either side refreshes, by UPDATE or by re-INVITE: what counts is the 2xx.
    check(
        "0.0 > INVITE 1 a x=90
         1.0 < 200 INVITE 1 a t x=90;refresher=uas
         1.1 > ACK 1 k t
         46.0 < INVITE 7 b t x=120
         46.1 > 200 INVITE 7 b t x=120
         46.2 < ACK 7 kb t
         100.0 > UPDATE 2 c t x=90
         100.1 < 200 UPDATE 2 c t x=90
         140.0 < UPDATE 8 d t x=90
         140.1 > 422 UPDATE 8 d t
         190.0 now
         190.1 now",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         190.100 expired d0 140000",
    );
    // Who lives ends it before the expiry: 90 s less a third of them, 1800 s less 32 s (RFC 4028 §10).
    for (interval, bye) in [(90, 61), (1_800, 1_769)] {
        check(
            &format!(
                "0.0 > INVITE 1 a x={interval}
                 1.0 < 200 INVITE 1 a t x={interval}
                 1.1 > ACK 1 k t
                 {bye}.0 < BYE 7 b t
                 5000 now"
            ),
            &format!("0.000 invited +4989123 201\n1.000 answered d0 b0 -\n{bye}.000 bye d0 Callee None"),
        );
    }
}

#[test]
fn silence_ends_a_leg_that_was_never_answered() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 180 INVITE 1 a t
         1800.0 now
         1801.0 now",
        "0.000 invited +4989123 201
         1.000 ringing - -
         1.000 refused b0 408 None",
    );
    // An answered one without timer lasts.
    check(
        "0.0 > INVITE 1 a
         1.0 < 200 INVITE 1 a t
         90000 now
         90001 > BYE 2 b t",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         90001.000 bye d0 Caller None",
    );
}

#[test]
fn what_is_read_before_its_invite_counts_after_it() {
    check(
        "0.1 < 180 INVITE 1 a t
         0.3 < 200 INVITE 1 a t x=90
         0.0 > INVITE 1 a
         0.31 > ACK 1 k t
         9.0 > BYE 2 b t",
        "0.000 invited +4989123 201
         0.100 ringing - -
         0.300 answered d0 b0 -
         9.000 bye d0 Caller None",
    );
    // Of a name used before, or of another leg of the name, nothing is taken over.
    check(
        "0.0 < 200 INVITE 1 a t
         0.0 < 200 INVITE 1 a u ftag=g
         0.6 > INVITE 1 a
         0.7 < 180 INVITE 1 a t
         2.0 < 486 INVITE 1 a t",
        "0.600 invited +4989123 201
         0.700 ringing - -
         2.000 refused b0 486 None",
    );
}

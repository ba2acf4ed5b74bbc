//! One caller and some phones: who answered, and why nobody did.

use super::*;

#[test]
fn several_are_rung_and_one_answers() {
    check(
        "0 a invite +49301 > 555010
         0.01 a answer
         3 b invite +49301 > 201
         3 c invite +49301 > 202
         3.1 b ring
         3.1 c ring
         8 c answer
         8 b cancel
         8.1 b refuse 487
         20 a bye caller
         20.1 c bye caller",
        &["in +49301 Support 202:8-20 Numbers"],
    );
}

#[test]
fn nobody_answers_for_one_reason_or_another() {
    for (script, reason) in [
        ("0 a invite +49301 > 555010\n0.01 a answer\n3 b invite +49301 > 201\n9 a bye caller\n9 b cancel\n9.1 b refuse 487", "Abandoned"),
        ("0 a invite +49301 > 555010\n0.01 a answer\n9 a bye caller", "Abandoned"),
        ("0 a invite +49301 > 555010\n0.1 b invite +49301 > 201\n5 a cancel\n5.1 b cancel\n5.1 a refuse 487\n5.2 b refuse 487", "Canceled"),
        ("0 a invite +49301 > 555010\n5 a cancel", "Canceled"), // and no 487
        ("0 a invite +49301 > 555010\n0.1 b invite +49301 > 201\n1 b refuse 486\n1 a refuse 486", "Busy"),
        ("0 a invite +49301 > 555010\n0.1 b invite +49301 > 201\n1 b refuse 603\n1 a refuse 603", "Declined"),
        ("0 a invite +49301 > 555010\n0.1 b invite +49301 > 201\n9 b cancel\n9 b refuse 487\n9 a refuse 480", "NoAnswer"),
        ("0 a invite +49301 > 555010\n1 a refuse 503", "Failed"),
    ] {
        let joined = if script.contains(" b ") { " Numbers" } else { "" };
        check(script, &[&format!("in +49301 Support {reason}{joined}")]);
    }
    // A mailbox answers after the phone was not picked up: nobody did.
    check(
        "0 a invite +49301 > 555010
         0.1 b invite +49301 > 201
         15 b cancel
         15.1 b refuse 487
         15.2 a answer
         40 a bye caller",
        &["in +49301 Support NoAnswer Numbers"],
    );
}

#[test]
fn a_proxy_forks_and_sometimes_two_answer() {
    check(
        "0 a invite +49301 > 555010
         0.1 a fork 201 b=1
         0.1 a fork 202 b=2
         4 a answer d=0 b=2
         30 a bye d=0 caller",
        &["in +49301 Support 202:4-30"],
    );
    // The caller ends at once what is one too many, and talks on with the other.
    check(
        "0 a invite +49301 > 555010
         0.1 a fork 201 b=1
         0.1 a fork 202 b=2
         4 a answer d=0 b=2
         4.1 a answer d=1 b=1
         4.2 a bye d=0 caller
         30 a bye d=1 callee",
        &["in +49301 Support 202:4-4.2 201:4.1-30"],
    );
    // A fork to a number that is no agent's is no talk.
    check(
        "0 a invite +49301 > 555010
         0.1 a fork +491799 b=1
         4 a answer d=0 b=1
         30 a bye d=0 caller",
        &["in +49301 Support Abandoned"],
    );
}

#[test]
fn hold_is_talk_or_wait_as_the_hotline_says() {
    let script = |number: &str| {
        format!(
            "0 a invite +49301 > {number}
             0.1 b invite +49301 > 201
             4 b answer
             4 a answer
             10 b hold
             16 b resume
             20 b hold caller
             21 b resume caller
             25 b hold
             30 a bye caller
             30.1 b bye caller"
        )
    };
    check(&script("555010"), &["in +49301 Support 201:4-30 Numbers"]);
    check(&script("555011"), &["in +49301 Hold 201:4-10 201:16-20 201:21-25 Numbers"]);
    // The caller's side holds, while the agent does: both have to take back.
    let both = |number: &str| {
        script(number)
            .replace("20 b hold caller", "9 a hold caller")
            .replace("21 b resume caller", "18 a resume caller")
            .replace("25 b hold\n", "")
    };
    let mut lines: Vec<String> = both("555011").lines().map(|line| line.trim().to_owned()).collect();
    lines.sort_by_key(|line| time(line.split_whitespace().next().expect("a time")));
    check(&lines.join("\n"), &["in +49301 Hold 201:4-9 201:18-30 Numbers"]);
    // Behind a proxy both are sides of one dialog; of a callback, the customer is the callee.
    let proxied = "0 a invite +49301 > 555011
        0.1 a fork 201 b=1
        4 a answer b=1
        10 a hold caller
        12 a hold callee
        14 a resume caller
        16 a resume callee
        30 a bye caller";
    check(proxied, &["in +49301 Hold 201:4-10 201:16-30"]);
    let called = "0 a invite 201 > 0301
        0.1 b invite 555011 > 0301
        5 b answer
        5 a answer
        10 a hold caller
        12 a resume caller
        14 b hold callee
        17 b resume callee
        30 a bye caller
        30.1 b bye caller";
    check(called, &["out 0301 Hold 201:5-10 201:12-14 201:17-30 Numbers"]);
    check(&called.replace("555011", "555010"), &["out 0301 Support 201:5-30 Numbers"]);
}

#[test]
fn billing_from_the_answer_counts_from_it() {
    check(
        "0 a invite +49301 > 555012
         1 a answer
         4 b invite +49301 > 201
         9 b answer
         30 b bye callee
         31 a bye callee",
        &["in +49301 Answer 201:1-31 from answer Numbers"],
    );
    check("0 a invite +49301 > 555012\n9 a refuse 486", &["in +49301 Answer Busy from answer"]);
}

#[test]
fn an_agents_call_to_an_agent_or_a_hotline_is_no_record_nor_is_a_wrong_number() {
    let internal = check("0 a invite 201 > 202\n0.1 b invite 201 > 202\n3 b answer\n3 a answer\n9 a bye caller\n9 b bye caller", &[]);
    assert_eq!((internal.internal, internal.unrelated), (1, 0));
    let wrong = check("0 a invite +49301 > 555099\n9 a refuse 404", &[]);
    assert_eq!((wrong.internal, wrong.unrelated), (0, 1));
    let own = check("0 a invite 201 > 555010\n3 a answer\n9 a bye caller", &[]);
    assert_eq!(own.unrelated, 1);
}

#[test]
fn callbacks_are_the_customers_who_was_called() {
    // Through a switch: the agent's leg, then the customer's.
    check(
        "0 a invite 201 > 0301
         0.1 b invite 555010 > 0301
         5 b answer
         5.1 a answer
         25 b bye callee
         25.1 a bye callee",
        &["out 0301 Support 201:5.1-25 Numbers"],
    );
    // Through a proxy: one Call-ID.
    check("0 a invite 201 > 0301\n0.1 a fork 0301 b=1\n5 a answer b=1\n25 a bye caller", &["out 0301 - 201:5-25"]);
    check("0 a invite 201 > 0301\n0.1 b invite 555010 > 0301\n5 b refuse 486\n5.1 a refuse 486", &["out 0301 Support Busy Numbers"]);
    // The agent hangs up, and the customer's own end is never seen.
    check(
        "0 a invite 201 > 0301\n0.1 b invite 555010 > 0301\n5 b answer\n5.1 a answer\n25 a bye caller",
        &["out 0301 Support 201:5.1-25 Numbers"],
    );
    // Click to call: the agent lifts first, and talk begins with the customer.
    check(
        "0 b invite 555010 > 201
         3 b answer
         3.1 a invite 555010 > 0301
         9 a answer
         25 a bye callee
         25.1 b bye callee",
        &["out 0301 Support 201:9-25 Numbers ClickToCall"],
    );
}

//! What a second reading of the rules found: talk that is rounded to a length, whose calls form incidents, what a rest serves.

use super::*;

fn plan(text: &str) -> String {
    format!("{HEAD}{PLAN}{text}\n")
}

/// A length is charged as talk of that length is: step by step, not at the price of the step in which it begins.
#[test]
fn a_rounded_length_is_priced_at_its_steps() {
    let steps = "[{ from = \"0s\", increment = \"5m\", price = 30.00 }, { from = \"5m\", increment = \"5m\", price = 25.00 }]";
    let text = |round: &str| plan(&format!("[[plan.rate]]\nservice = \"support\"\nsteps = {steps}\n{round}"));
    let calls = ["a support 2026-03-10T10:00:00 4:00", "b support 2026-03-10T11:00:00 15:01"];
    let expected = [
        "a Charged 80.00 900: step@open 1/5mx30.00, step@open 2/5mx25.00",
        "b Charged 155.00 1800: step@open 1/5mx30.00, step@open 5/5mx25.00",
    ];
    case(&text("round = { per = \"call\", to = \"15m\", mode = \"up\" }")).check(&calls, &expected, "");
    // As talk of 15 and of 30 minutes without rounding.
    let whole = ["a support 2026-03-10T10:00:00 15:00", "b support 2026-03-10T11:00:00 30:00"];
    case(&text("")).check(&whole, &expected, "");
    // Of several calls, too; whoever begins a length pays for it by its own talk time.
    case(&text("round = { per = \"day\", to = \"15m\", mode = \"half\" }")).check(
        &["a support 2026-03-10T10:00:00 7:00", "b support 2026-03-10T11:00:00 9:00"],
        &["a Included 0 0: rounded@open 1/7m", "b Charged 80.00 900: step@open 1/5mx30.00, step@open 2/5mx25.00, rounded@open 1/1m"],
        "",
    );
    // Steps whose increments do not fit into the length are begun in it, and charged in full (design.md §6.1).
    let odd = text("round = { per = \"call\", to = \"30m\", mode = \"up\" }")
        .replace("\"0s\", increment = \"5m\"", "\"0s\", increment = \"30s\"");
    let odd = odd.replace("from = \"5m\"", "from = \"30s\"");
    case(&odd).check(&["a support 2026-03-10T10:00:00 0:10"], &["a Charged 180.00 1830: step@open 1/30sx30.00, step@open 6/5mx25.00"], "");
}

/// It is the service that forms incidents: where some are included, of whatever severity, calls about one matter are one.
#[test]
fn a_service_with_included_incidents_forms_them_of_any_severity() {
    let included = "[[plan.allowance]]\nid = \"i\"\nincidents = 1\nper = \"month\"\nservices = [\"support\"]\nseverities = [\"A\"]\n";
    case(&plan(&format!("{included}{MINUTES}"))).check(
        &["a support 2026-03-10T10:00:00 2:00 severity=B ticket=7", "b support 2026-03-11T10:00:00 3:00 severity=A ticket=7"],
        &["a Charged 2.00 120 ticket:7: step@open 2/1mx1.00", "b Included 0 0 ticket:7"],
        "",
    );
}

/// A rest that is carried over serves what its allowance served, also where a later version of the plan has another of that name.
#[test]
fn a_rest_serves_what_it_was_granted_for() {
    let version = |from: &str, allowance: &str| {
        format!(
            "[[plan]]\nid = \"p\"\nvalid_from = {from}\nfee = \"none\"\ncallers = \"any\"\n[[plan.allowance]]\nid = \"m\"\nper = \"month\"\n\
             carry_over = {{ at_most = {allowance}\n{MINUTES}"
        )
    };
    let minutes =
        |services: &str| format!("\"10m\", lapses = \"1 month\" }}\ntime = \"10m\"\nincrement = \"1m\"\nservices = [\"{services}\"]");
    let check = |after: &str, expected: &str| {
        let text = format!("{HEAD}{}{}", version("2019-01-01", &minutes("callback")), version("2026-03-01", after));
        case(&text).check(&["a support 2026-03-10T10:00:00 2:00"], &[expected], "");
    };
    check(&minutes("support"), "a Included 0 120: [m]@open 2/1m");
    check("1, lapses = \"1 month\" }\ncallbacks = 1\nservices = [\"support\"]", "a Charged 2.00 120: step@open 2/1mx1.00");
}

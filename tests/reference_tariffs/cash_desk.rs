//! "Support Vertrag": `cash-desk.toml`.

use super::{held, problems};

#[test]
fn fees_stations_and_terms() {
    // "Support Flat Preis pro Jahr und Station 249,00 €"; "gilt für ein Jahr und deckt 1 Station bzw. Kasse ab"
    let mut flat = held("cash-desk", &["support-flat"]);
    flat.contract.stations = 3;
    assert_eq!(flat.fees("2026-12-31 00:00:00"), ["support-flat 747.00 2026-01-01 to 2026-12-31"]);
    assert!(problems("cash-desk", "support-flat", "").join("").contains("counts stations"));
    assert_eq!(problems("cash-desk", "support-flat", "17"), [""; 0]);
    // "Second Level Support 1-5 Stationen Preis pro Jahr 650,00 €"; "gilt für ein Jahr und deckt 1-5 Stationen bzw. Kassen ab"
    let mut second = held("cash-desk", &["second-level"]);
    second.contract.stations = 5;
    assert_eq!(
        second.fees("2027-01-01 00:00:00"),
        ["second-level 650.00 2026-01-01 to 2026-12-31", "second-level 650.00 2027-01-01 to 2027-12-31"]
    );
    for (stations, fits) in [("1", true), ("5", true), ("6", false), ("0", false)] {
        assert_eq!(problems("cash-desk", "second-level", stations).is_empty(), fits, "{stations} stations");
    }
    for plan in ["support-flat", "second-level"] {
        // "auf unbestimmte Zeit geschlossen, mindestens jedoch für die Dauer von 12 Monaten"
        assert_eq!(flat.end(plan, None), None);
        assert_eq!(flat.end(plan, Some("2026-01-02")), "2027-01-01".parse().ok());
        // "mit einer Kündigungsfrist von zwei Wochen zum Ende der jeweiligen Vertragslaufzeit"; "Wird der Vertrag nicht fristgerecht
        // gekündigt verlängert sich die Vertragslaufzeit jeweils um weitere 12 Monate"
        assert_eq!(flat.end(plan, Some("2026-12-17")), "2027-01-01".parse().ok());
        assert_eq!(flat.end(plan, Some("2026-12-18")), "2028-01-01".parse().ok());
    }
}

#[test]
fn all_calls_are_included_at_any_time() {
    for plan in ["support-flat", "second-level"] {
        let held = held("cash-desk", &[plan]);
        // "Telefonischer Support": "Mo-Fr 09:00-18:00 Uhr, darüber hinaus steht Ihnen unser Rückrufservice zur Verfügung"
        for at in ["2026-03-10 09:00:00", "2026-03-10 18:00:00", "2026-03-15 03:00:00", "2026-12-25 12:00:00"] {
            held.one(&format!("support {at} 240:00"), "Included 0 Flat 1x0 @always");
            held.one(&format!("callback {at} 10:00 out"), "Included 0 Flat 1x0 @always");
        }
        // "Unbegrenzte Ticket-Anzahl": "es ist eine unbegrenzte Ticket-Anzahl im Supportvertrag enthalten"
        let many: Vec<String> = (0..200).map(|one| format!("support 2026-03-10 {:02}:{:02}:00 60:00", one / 60, one % 60)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(held.at("2026-12-31 00:00:00", &many).iter().all(|told| told == "Included 0 Flat 1x0 @always"));
        // "Notfall-Rufnummer für alle Kassierer oder den Admin" is this number: no other is sold.
        held.one("emergency 2026-03-10 10:00:00 1:00", "Uncovered 0");
    }
}

#[test]
fn who_may_call() {
    // "Mit unserer Support Flat wird jedem der die Kasse gerade bedient Zugang zum Support Team gewährt"
    held("cash-desk", &["support-flat"]).one("support 2026-03-10 10:00:00 1:00 stranger", "Included 0 Flat 1x0 @always");
    // "hier ruft nicht jeder einzelne Kassierer beim Support Team an, sondern wendet sich zunächst an seinen Admin"
    let second = held("cash-desk", &["second-level"]);
    second.one("support 2026-03-10 10:00:00 1:00 stranger", "Unauthorised 0");
    second.one("support 2026-03-10 10:00:00 1:00", "Included 0 Flat 1x0 @always");
    // Whom the support team calls back is for the team to say.
    second.one("callback 2026-03-10 10:00:00 1:00 out stranger", "Included 0 Flat 1x0 @always");
}

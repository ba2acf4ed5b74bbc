//! "Auftragsleistungen und kostenpflichtiger Support": `work-units.toml`. Its prices are examples, and it says so.

use super::held;

#[test]
fn the_prices_are_called_examples() {
    // "bieten wir Ihnen gemäß Preisliste an": the document has none.
    let text = std::fs::read_to_string("config/tariffs/work-units.toml").expect("it ships");
    assert!(text.contains("NO PRICE") && text.matches("assumption: an example").count() == 2);
}

#[test]
fn work_units_begin_every_15_minutes() {
    let held = held("work-units", &["work-units"]);
    assert!(held.fees("2027-01-01 00:00:00").is_empty());
    // "werden nach tatsächlichem Zeitaufwand in Arbeitseinheiten (AE) berechnet"
    for (talk, expected) in [
        ("0:01", "Charged 20.00 Step 1x20.00/15m @always"),
        ("15:00", "Charged 20.00 Step 1x20.00/15m @always"),
        ("15:01", "Charged 40.00 Step 2x20.00/15m @always"),
        ("60:00", "Charged 80.00 Step 4x20.00/15m @always"),
    ] {
        held.one(&format!("support 2026-03-10 10:00:00 {talk} decided=customer"), expected);
    }
    // "Wir sind für Sie da, wenn Sie uns brauchen!"
    held.one("support 2026-12-25 03:00:00 1:00 decided=customer", "Charged 20.00 Step 1x20.00/15m @always");
}

#[test]
fn the_flat_price_of_a_technician() {
    // "Warum wurde mir ... eine Technikerpauschale ... berechnet?": once for a matter, however long and often it takes.
    let held = held("work-units", &["work-units"]);
    held.check(
        &[
            "technician 2026-03-10 10:00:00 90:00 from=+49301 decided=customer",
            "technician 2026-03-11 10:00:00 20:00 from=+49301 decided=customer",
            "technician 2026-03-20 10:00:00 20:00 from=+49301 decided=customer",
            "technician 2026-03-10 12:00:00 1:00 from=+49302 ticket=T decided=customer",
            "technician 2026-06-10 12:00:00 1:00 from=+49303 ticket=T decided=customer",
        ],
        &[
            "Charged 35.00 Incident 1x35.00 @always",
            "Included 0",
            "Charged 35.00 Incident 1x35.00 @always",
            "Charged 35.00 Incident 1x35.00 @always",
            "Included 0",
        ],
    );
}

#[test]
fn every_call_waits_until_someone_says_whose_fault_it_was() {
    let held = held("work-units", &["work-units"]);
    for service in ["support", "technician"] {
        let call = |decided: &str| format!("{service} 2026-03-10 10:00:00 20:00{decided}");
        let paid = if service == "support" { "Charged 40.00 Step 2x20.00/15m @always" } else { "Charged 35.00 Incident 1x35.00 @always" };
        // "sofern sich im Zuge von Fehleranalysen herausstellt, das das Problem auf einen Fehler des Kunden zurückgeht"
        assert_eq!(held.at("2026-03-23 23:59:59", &[&call("")]), ["Held 0"]);
        assert_eq!(held.at("2026-03-24 00:00:00", &[&call("")]), [paid]);
        assert_eq!(held.at("2026-03-10 11:00:00", &[&call(" decided=customer")]), [paid]);
        // "die wir als Provider zu vertreten und daher selbstverständlich zeitnah und kostenlos zu beheben haben"
        held.one(&call(" decided=provider"), "Included 0");
    }
    // "den Kulanzspielraum bereits voll ausgeschöpft haben und i.d.R. auch nur einen Teil der tatsächlich erbrachten Leistungen berechnen"
    held.one("support 2026-03-10 10:00:00 20:00 decided=40%", "Charged 24.00 Step 2x20.00/15m @always; Goodwill 1x-16.00");
    held.one("support 2026-03-10 10:00:00 20:00 decided=5m", "Charged 20.00 Step 1x20.00/15m @always");
    held.one("support 2026-03-10 10:00:00 20:00 decided=20m", "Included 0");
    held.one("technician 2026-03-10 10:00:00 20:00 decided=40%", "Charged 21.00 Incident 1x35.00 @always; Goodwill 1x-14.00");
    held.one("technician 2026-03-10 10:00:00 20:00 decided=20m", "Charged 35.00 Incident 1x35.00 @always");
}

//! "Support-Level": `support-level.toml`.

use super::{held, problems};

#[test]
fn levels_and_their_free_minutes() {
    // "Das standardmäßig enthaltene Supportlevel 1 (bei Enterprise-Paket Supportlevel 2) bietet bereits umfangreiche Leistungen kostenlos"
    let (level_1, enterprise) = (held("support-level", &["support-level-1"]), held("support-level", &["enterprise"]));
    assert!(level_1.fees("2027-01-01 00:00:00").is_empty() && enterprise.fees("2027-01-01 00:00:00").is_empty());
    // "Bereits im kostenlosen Supportlevel 1 erhalten Sie jeden Monat 15 Freiminuten."
    level_1.check(
        &["support 2026-03-31 10:00:00 15:00", "support 2026-03-31 11:00:00 1:00", "support 2026-04-01 10:00:00 15:00"],
        &["Included 0 Allowance 15x0/1m @general", "Charged 0.50 Step 1x0.50/1m @general", "Included 0 Allowance 15x0/1m @general"],
    );
    // "Supportlevel 1 | kostenlos | 15 Minuten | 50 ct. (ab der 16.ten Minute) | -"
    level_1.one("support 2026-03-10 10:00:00 15:01", "Charged 0.50 Allowance 15x0/1m @general; Step 1x0.50/1m @general");
    assert!(level_1.responses("support-level-1").is_empty());
    // "Supportlevel 2* | 39,00 € | 30 Minuten | 50 ct. (ab der 31.ten Minute) | Garantierte Responsezeit von 24 Stunden***"
    let level_2 = held("support-level", &["support-level-1", "support-level-2"]);
    level_2.one("support 2026-03-10 10:00:00 30:01", "Charged 0.50 Allowance 30x0/1m @general; Step 1x0.50/1m @general");
    assert_eq!(
        level_2.fees("2026-02-01 00:00:00"),
        ["support-level-2 39.00 2026-01-01 to 2026-01-31", "support-level-2 39.00 2026-02-01 to 2026-02-28"]
    );
    assert_eq!(level_2.responses("support-level-2"), [(String::new(), 24, vec!["response"])]);
    // "Supportlevel 3** | 89,00 € | 90 Minuten | 50 ct. (ab der 91.ten Minute) | Garantierte Responsezeit von 4 Stunden***"
    let level_3 = held("support-level", &["support-level-1", "support-level-2", "support-level-3"]);
    level_3.one("support 2026-03-10 10:00:00 90:01", "Charged 0.50 Allowance 90x0/1m @general; Step 1x0.50/1m @general");
    assert_eq!(
        level_3.fees("2026-01-31 00:00:00"),
        ["support-level-2 39.00 2026-01-01 to 2026-01-31", "support-level-3 89.00 2026-01-01 to 2026-01-31"]
    );
    assert_eq!(level_3.responses("support-level-3"), [(String::new(), 4, vec!["response"])]);
    // "* Im Enterprise-Paket bereits enthalten."
    enterprise.one("support 2026-03-10 10:00:00 30:01", "Charged 0.50 Allowance 30x0/1m @general; Step 1x0.50/1m @general");
    // "** Um das Supportlevel 3 buchen zu können benötigen Sie das Supportlevel 2."
    assert!(problems("support-level", "support-level-1|support-level-3", "").join("").contains("requires \"support-level-2\""));
    assert_eq!(problems("support-level", "support-level-2|support-level-3", ""), [""; 0]);
    assert_eq!(problems("support-level", "enterprise|support-level-3", ""), [""; 0]);
    // "*** Garantierte Responsezeit nur Mo.-Fr. 9.00-18.00 Uhr."
    assert_eq!(level_3.hours("response"), "Mo-Fr 09:00-18:00");
    // No term is named: it ends with the day on which it is cancelled.
    assert_eq!(level_2.end("support-level-2", Some("2026-05-13")).map(|day| day.to_string()).as_deref(), Some("2026-05-14"));
}

#[test]
fn the_minutes_of_activation() {
    // "Nach der Aktivierung der Software erhalten Sie ein Guthaben von 60 Minuten für den Telefon-Support."
    for plans in [&["support-level-1"][..], &["support-level-1", "support-level-2"], &["enterprise"]] {
        let mut held = held("support-level", plans);
        let monthly = if plans.len() == 1 && plans[0] == "support-level-1" { 15 } else { 30 };
        let talk = format!("support 2026-03-10 10:00:00 {}:00", monthly + 61);
        let paid = format!("Charged 30.50 Allowance {monthly}x0/1m @general; Step 61x0.50/1m @general");
        held.one(&talk, &paid);
        held.contract.activated_on = "2026-03-11".parse().ok();
        held.one(&talk, &paid);
        held.contract.activated_on = "2026-03-10".parse().ok();
        let once = format!("Charged 0.50 Allowance {monthly}x0/1m @general; Allowance 60x0/1m @general; Step 1x0.50/1m @general");
        held.one(&talk, &once);
        // They never lapse, and are granted once.
        held.contract.activated_on = "2026-01-01".parse().ok();
        held.check(&[&talk, "support 2026-04-01 10:00:00 1:00"], &[&once, "Included 0 Allowance 1x0/1m @general"]);
    }
}

#[test]
fn the_hours_of_the_general_support() {
    // "Unser allgemeiner Telefonsupport steht Ihnen Montag bis Freitag zwischen 9.30-12.30 und 13.30-17.00 Uhr zur Verfügung."
    let held = held("support-level", &["support-level-1"]);
    for (at, sold) in [
        ("2026-03-09 09:29:59", false), // a Monday
        ("2026-03-09 09:30:00", true),
        ("2026-03-09 12:29:59", true),
        ("2026-03-09 12:30:00", false),
        ("2026-03-09 13:29:59", false),
        ("2026-03-09 13:30:00", true),
        ("2026-03-13 16:59:59", true), // the Friday
        ("2026-03-13 17:00:00", false),
        ("2026-03-14 10:00:00", false),
        ("2026-03-15 10:00:00", false),
        ("2026-04-06 10:00:00", true), // Easter Monday: the document knows no holidays
    ] {
        held.one(&format!("support {at} 0:10"), if sold { "Included 0 Allowance 1x0/1m @general" } else { "Uncovered 0" });
    }
    // "Selbstverständlich bieten wir Ihnen auch eine 24-Stunden Notfall-Hotline an."
    for hour in 0..7 * 24 {
        let at = format!("emergency 2026-03-{:02} {:02}:00:00 0:01", 9 + hour / 24, hour % 24);
        assert!(!held.at("2026-12-31 00:00:00", &[&at])[0].starts_with("Uncovered"), "{at}");
    }
    // In general hours it is charged like support, the allowance first.
    held.check(
        &["emergency 2026-03-10 10:00:00 15:00", "emergency 2026-03-10 11:00:00 2:00"],
        &["Included 0 Allowance 15x0/1m @general", "Charged 1.00 Step 2x0.50/1m @general"],
    );
}

#[test]
fn the_prices_of_the_emergency_hotline() {
    let held = held("support-level", &["support-level-1"]);
    // "Montag - Freitag 8.00 - 9.30 und 12.30 - 13.30 sowie 17.00 - 22.00 | 24h-Notfalltechniker | 30,00 € für die ersten 5 Minuten,
    // danach 5,00 € pro Minute, Berechnung je angefangene 5 Minuten"
    for (from, last) in [("08:00:00", "09:29:59"), ("12:30:00", "13:29:59"), ("17:00:00", "21:59:59")] {
        for (weekday, at) in [("09", from), ("09", last), ("13", from), ("13", last)] {
            held.one(&format!("emergency 2026-03-{weekday} {at} 0:01"), "Charged 30.00 Step 1x30.00/5m @day");
        }
    }
    for (talk, expected) in [
        ("5:00", "Charged 30.00 Step 1x30.00/5m @day"),
        ("5:01", "Charged 55.00 Step 1x30.00/5m @day; Step 1x25.00/5m @day"),
        ("10:00", "Charged 55.00 Step 1x30.00/5m @day; Step 1x25.00/5m @day"),
        ("60:00", "Charged 305.00 Step 1x30.00/5m @day; Step 11x25.00/5m @day"),
    ] {
        held.one(&format!("emergency 2026-03-10 18:00:00 {talk}"), expected);
    }
    // "Montag - Freitag 22.00 - 8.00 Uhr | 36,00 € für die ersten 5 Minuten, danach 6,00 € pro Minute, je angefangene 5 Minuten"
    for at in ["2026-03-09 00:00:00", "2026-03-09 07:59:59", "2026-03-09 22:00:00", "2026-03-13 23:59:59"] {
        held.one(&format!("emergency {at} 0:01"), "Charged 36.00 Step 1x36.00/5m @night");
    }
    held.one("emergency 2026-03-10 22:00:00 10:01", "Charged 96.00 Step 1x36.00/5m @night; Step 2x30.00/5m @night");
    // "Samstag - Sonntag durchgehend | 36,00 € für die ersten 5 Minuten, danach 6,00 € pro Minute, je angefangene 5 Minuten"
    for at in ["2026-03-14 00:00:00", "2026-03-14 10:00:00", "2026-03-15 23:59:59"] {
        held.one(&format!("emergency {at} 0:01"), "Charged 36.00 Step 1x36.00/5m @weekend");
    }
    held.one("emergency 2026-03-14 10:00:00 5:01", "Charged 66.00 Step 1x36.00/5m @weekend; Step 1x30.00/5m @weekend");
}

//! "Supportpläne" for deHOSTED and Microsoft 365: `incident-plans.toml`.

use super::held;

/// The columns of both tables: plan, fee, shortest response, free incidents a month and whether at any time, those of level
/// 3, callbacks.
type Column = (&'static str, Option<&'static str>, u64, usize, bool, usize, usize);

const COLUMNS: [Column; 9] = [
    // "Monatliche Kosten | In den deHOSTED Produkten enthalten | € 99,99* | € 229,99* | € 599,99* pro Monat"
    // "Kürzeste Support Antwortzeit | < 8 Stunden | < 6 Stunden | < 4 Stunden | < 2 Stunden"
    // "Support zum Beheben von Problemen (rund um die Uhr) | Während Geschäftszeiten | Während Geschäftszeiten | (tick) | (tick)"
    // "Support Ticket System | Einzelner Vorfall | 2 Vorfälle pro Monat frei | 5 Vorfälle pro Monat frei | 25 Vorfälle pro Monat frei"
    // "Telefonsupport (Rückruf) | | | 5 pro Monat | 25 pro Monat"
    ("dehosted-basic", None, 8, 0, false, 0, 0),
    ("dehosted-basic-plus", Some("99.99"), 6, 2, false, 0, 0),
    ("dehosted-standard", Some("229.99"), 4, 5, true, 0, 5),
    ("dehosted-professional", Some("599.99"), 2, 25, true, 0, 25),
    // "Monatliche Gebühren | In Microsoft 365-Produkten enthalten | € 99,99* | € 199,99* | € 399,99* | € 599,99* pro Monat"
    // "Kürzeste Support-Antwortzeit | < 8 Stunden | < 6 Stunden | < 6 Stunden | < 4 Stunden | < 2 Stunden"
    // "Support zur Behebung von Problemen (24/7) | Während der Geschäftszeiten" five times
    // "Einziger Vorfall | 2 Vorfälle pro Monat kostenlos | 2 Vorfälle pro Monat kostenlos | 5 Vorfälle pro Monat kostenlos + 1 Stufe C;
    // B-Vorfall, der an Microsoft Premier Support eskaliert werden kann | 10 Vorfälle pro Monat kostenlos + 2 Level C; B -Vorfälle"
    // "Telefonischer Support (Rückruf) oder Chat | | | | 5 per month | 10 per month"
    ("m365-basic", None, 8, 0, false, 0, 0),
    ("m365-basic-plus", Some("99.99"), 6, 2, false, 0, 0),
    ("m365-basic-plus-advanced", Some("199.99"), 6, 2, false, 0, 0),
    ("m365-standard", Some("399.99"), 4, 5, false, 1, 5),
    ("m365-professional", Some("599.99"), 2, 10, false, 2, 10),
];

#[test]
fn fees_and_terms() {
    for (id, fee, ..) in COLUMNS {
        let held = held("incident-plans", &[id]);
        let due: Vec<String> = fee.iter().map(|fee| format!("{id} {fee} 2026-01-01 to 2026-01-31")).collect();
        assert_eq!(held.fees("2026-01-31 23:59:59"), due, "{id}");
        assert_eq!(held.fees("2026-03-01 00:00:00").len(), due.len() * 3, "{id}");
        assert_eq!(held.end(id, Some("2026-05-13")), "2026-05-14".parse().ok(), "{id}");
    }
}

#[test]
fn the_price_of_an_incident_by_severity_and_hour() {
    for (id, ..) in COLUMNS.iter().filter(|column| column.3 == 0) {
        let held = held("incident-plans", &[*id]);
        for (severity, business, outside) in [
            // "Professional Support, einzelner Incident | €85 | €159 | €255 + MwSt. für einen Incident | Montag - Freitag 8 - 18 Uhr"
            // "Geschäftskritisch, Support außerhalb der Geschäftszeiten | €169 | €318 | €510+ MwSt. für einen Incident"
            (" severity=C", "85.00", "169.00"),
            (" severity=B", "159.00", "318.00"),
            (" severity=A", "255.00", "510.00"),
            ("", "85.00", "169.00"), // assumption: C
        ] {
            for at in ["2026-03-09 08:00:00", "2026-03-13 17:59:59"] {
                held.one(&format!("support {at} 90:00{severity}"), &format!("Charged {business} Incident 1x{business} @business"));
            }
            // "Außerhalb der Geschäftszeiten, an Wochenenden und Feiertagen": at night, Saturday, Sunday, Good Friday, Corpus Christi.
            for at in [
                "2026-03-09 07:59:59",
                "2026-03-13 18:00:00",
                "2026-03-14 12:00:00",
                "2026-03-15 12:00:00",
                "2026-04-03 12:00:00",
                "2026-06-04 12:00:00",
            ] {
                held.one(&format!("support {at} 0:01{severity}"), &format!("Charged {outside} Incident 1x{outside} @outside"));
            }
        }
    }
}

/// So many calls of so many callers, a minute apart.
fn calls(count: usize, service: &str, at: &str, rest: &str) -> Vec<String> {
    (0..count).map(|one| format!("{service} {at}:{one:02}:00 1:00{rest}")).collect()
}

#[track_caller]
fn free(id: &str, calls: &[String]) -> usize {
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    let told = held("incident-plans", &[id]).at("2026-12-31 00:00:00", &calls);
    let free = told.iter().take_while(|told| told.starts_with("Included 0 Allowance 1x0")).count();
    assert!(told[free..].iter().all(|told| told.starts_with("Charged") || told == "Uncovered 0"), "{id}: {told:#?}");
    free
}

#[test]
fn free_incidents_of_a_month() {
    for (id, _, _, count, at_any_time, of_level_3, _) in COLUMNS {
        for severity in ["", " severity=A", " severity=B"] {
            assert_eq!(free(id, &calls(30, "support", "2026-03-10 10", severity)), count, "{id}{severity}");
            let outside = if at_any_time { count } else { 0 };
            assert_eq!(free(id, &calls(30, "support", "2026-03-14 10", severity)), outside, "{id}{severity} on a Saturday");
        }
        // "+ 1 Stufe C; B-Vorfall, der an Microsoft Premier Support eskaliert werden kann": with an agent of level 3.
        for (rest, more) in [(" level=3", of_level_3), (" level=3 severity=B", of_level_3), (" level=3 severity=A", 0), (" level=2", 0)] {
            assert_eq!(free(id, &calls(30, "support", "2026-03-10 10", rest)), count + more, "{id}{rest}");
        }
        // What is left lapses with the month: the last of March and the first of April have the same number.
        let mut both = calls(count, "support", "2026-03-31 10", "");
        both.extend(calls(count, "support", "2026-04-01 10", ""));
        assert_eq!(free(id, &both), count * 2, "{id}");
    }
}

#[test]
fn callbacks_of_a_month() {
    for (id, .., count) in COLUMNS {
        assert_eq!(free(id, &calls(30, "callback", "2026-03-10 10", " out")), count, "{id}");
        assert_eq!(free(id, &calls(30, "callback", "2026-03-14 20", " out")), count, "{id} on a Saturday evening");
        let told = held("incident-plans", &[id]).at("2026-12-31 00:00:00", &["callback 2026-03-10 10:00:00 1:00 out"; 26]);
        assert_eq!(told[count..], vec!["Uncovered 0"; 26 - count], "{id}: beyond the number they are uncovered");
    }
}

#[test]
fn calls_about_one_matter_are_one_incident() {
    // "(Abrechnung nach Ticket/Vorfall/Schweregrad)"
    held("incident-plans", &["dehosted-basic"]).check(
        &[
            "support 2026-03-10 10:00:00 10:00 from=+49301 severity=B",
            "support 2026-03-11 10:10:00 10:00 from=+49301 severity=A", // 24 hours after its end
            "support 2026-03-12 10:20:01 10:00 from=+49301",            // and a second more
            "support 2026-03-10 11:00:00 10:00 from=+49301 ticket=T-1",
            "support 2026-05-10 11:00:00 10:00 from=+49302 ticket=T-1",
        ],
        &[
            "Charged 159.00 Incident 1x159.00 @business",
            "Included 0",
            "Charged 85.00 Incident 1x85.00 @business",
            "Charged 85.00 Incident 1x85.00 @business",
            "Included 0",
        ],
    );
}

#[test]
fn the_promised_response_times() {
    for (id, _, shortest, ..) in COLUMNS {
        let held = held("incident-plans", &[id]);
        let expected = [
            // "Schweregrad A | Kritische Auswirkungen | Erstreaktion innerhalb von 2 Stunden": "rund um die Uhr"
            ("A", 2, vec![]),
            // "Schweregrad B | Geringe Auswirkungen | Erstreaktion innerhalb von 4 Stunden während der Geschäftszeiten"
            ("B", 4, vec!["business"]),
            // "Schweregrad C | Minimale Auswirkungen | Erstreaktion innerhalb von 8 Stunden während der Geschäftszeiten"
            ("C", 8, vec!["business"]),
        ];
        // Of the two promises, the severity's and the plan's, the shorter counts.
        let expected = expected.map(|(severity, within, bands)| (severity.to_owned(), u64::min(within, shortest), bands));
        assert_eq!(held.responses(id), expected, "{id}");
    }
}

//! "Modell L, M, S": `support-hours.toml`.

use super::held;

#[test]
fn models_l_and_m_include_hours_and_sell_more() {
    for (id, fee, hours, more) in [
        // "Modell L | 899 € | Laufzeit 1 Jahr | inkl. 8 Supportstunden* | jede weitere Stunde 89 €"
        ("model-l", "899.00", 8, "89.00"),
        // "Modell M | 499 € | Laufzeit 1 Jahr | inkl. 4 Supportstunden* | jede weitere Stunde 99 €"
        ("model-m", "499.00", 4, "99.00"),
    ] {
        let mut held = held("support-hours", &[id]);
        held.contract.starts_on = "2025-03-11".parse().expect("a date");
        let due = [format!("{id} {fee} 2025-03-11 to 2026-03-10"), format!("{id} {fee} 2026-03-11 to 2027-03-10")];
        assert_eq!(held.fees("2026-03-10 23:59:59"), due[..1]);
        assert_eq!(held.fees("2026-03-11 00:00:00"), due);
        // "*Die Berechnung der inklusiven Service- und Supportleistungen erfolgt in 15-minütigen Intervallen."
        held.one("support 2026-03-09 09:00:00 0:01", "Included 0 Allowance 1x0/15m @hours");
        held.one("support 2026-03-09 09:00:00 15:01", "Included 0 Allowance 2x0/15m @hours");
        // All hours are used; another is bought and lasts for two calls more; the next year has its hours again, and of what was
        // bought nothing is left.
        let whole = format!("support 2026-03-09 09:00:00 {}:00", hours * 60);
        held.check(
            &[
                &whole,
                "support 2026-03-10 09:00:00 20:00",
                "callback 2026-03-10 10:00:00 15:01 out",
                "support 2026-03-10 11:00:00 0:01",
                "support 2026-03-11 09:00:00 0:01",
            ],
            &[
                &format!("Included 0 Allowance {}x0/15m @hours", hours * 4),
                &format!("Charged {more} TopUp 1x{more}/1h @hours; Allowance 2x0/15m @hours"),
                "Included 0 Allowance 2x0/15m @hours",
                &format!("Charged {more} TopUp 1x{more}/1h @hours; Allowance 1x0/15m @hours"),
                "Included 0 Allowance 1x0/15m @hours",
            ],
        );
        // Renewed by a year, with a month's notice: 10 February is in time for 10 March, the last day.
        assert_eq!(held.end(id, None), None);
        assert_eq!(held.end(id, Some("2026-02-10")), "2026-03-11".parse().ok());
        assert_eq!(held.end(id, Some("2026-02-11")), "2027-03-11".parse().ok());
    }
}

#[test]
fn model_s_sells_started_hours() {
    let held = held("support-hours", &["model-s"]);
    // "keine feste Laufzeit": it ends with the day on which it is cancelled.
    assert_eq!(held.end("model-s", Some("2026-05-13")), "2026-05-14".parse().ok());
    assert!(held.fees("2027-01-01 00:00:00").is_empty());
    // "keine Inklusivstunden | erste Stunde 149 € | jede weitere Stunde 129 €"
    held.one("support 2026-03-10 10:00:00 0:01", "Charged 149.00 Step 1x149.00/1h @hours");
    held.one("support 2026-03-10 10:00:00 60:00", "Charged 149.00 Step 1x149.00/1h @hours");
    held.one("support 2026-03-10 10:00:00 120:01", "Charged 407.00 Step 1x149.00/1h @hours; Step 2x129.00/1h @hours");
    held.check(
        &["support 2026-03-10 10:00:00 10:00", "callback 2026-03-10 10:30:00 10:00 out"],
        &["Charged 149.00 Step 1x149.00/1h @hours", "Charged 149.00 Step 1x149.00/1h @hours"],
    );
}

#[test]
fn the_hours_of_support() {
    // "Die Standardsupportzeiten sind Mo.-Do. 9-17 Uhr, Fr. 9-12 Uhr (exkl. Feiertage)."
    let held = held("support-hours", &["model-m"]);
    for (at, sold) in [
        ("2026-03-09 08:59:59", false), // a Monday
        ("2026-03-09 09:00:00", true),
        ("2026-03-12 16:59:59", true), // the Thursday
        ("2026-03-12 17:00:00", false),
        ("2026-03-13 11:59:59", true), // the Friday
        ("2026-03-13 12:00:00", false),
        ("2026-03-14 10:00:00", false),
        ("2026-03-15 10:00:00", false),
        ("2026-04-03 10:00:00", false), // Good Friday
        ("2026-01-06 10:00:00", false), // Epiphany, in Bavaria
    ] {
        for service in ["support", "callback"] {
            held.one(&format!("{service} {at} 0:10"), if sold { "Included 0 Allowance 1x0/15m @hours" } else { "Uncovered 0" });
        }
    }
    // What is running goes on when the hours end: 16:45, and the quarter that begins at 17:00.
    held.one("support 2026-03-12 16:45:00 20:00", "Included 0 Allowance 2x0/15m @hours");
    // "Unterstützung erhält der First-Level-Support ... per E-Mail, Rückruf": no emergency hotline.
    held.one("emergency 2026-03-10 10:00:00 1:00", "Uncovered 0");
    // "Der Partner leistet First-Level Support gegenüber dem Endkunden": whoever calls for him.
    held.one("support 2026-03-10 10:00:00 1:00 stranger", "Included 0 Allowance 1x0/15m @hours");
}

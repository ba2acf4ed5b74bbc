//! The manifest: what an export covers, what is in it, and how to know that the files are whole.

use super::publish::Summary;
use super::{Selection, Settings};
use crate::ledger::Hash;
use crate::ledger::result::{Digits, Object, Sign, Style};
use crate::meter::{Record, RecordKey};
use crate::units::{Currency, Money};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Counts and totals over the lines.
#[derive(Default)]
pub(super) struct Manifest {
    /// Lines in all.
    pub lines: u64,
    /// Lines that take something back.
    pub reversals: u64,
    fees: u64,
    totals: BTreeMap<(Currency, Decimal), Total>,
}

/// What the lines of one currency and VAT rate come to.
#[derive(Default)]
struct Total {
    lines: u64,
    net: Decimal,
    vat: Decimal,
    gross: Decimal,
}

impl Manifest {
    /// Counts a line; `None` when a total overflows.
    pub fn add(&mut self, record: &Record, style: &Style) -> Option<()> {
        let charge = &record.charge;
        let total = self.totals.entry((charge.currency, charge.vat_percent.normalize())).or_default();
        total.lines += 1;
        for (sum, amount) in [(&mut total.net, charge.net), (&mut total.vat, charge.vat), (&mut total.gross, charge.gross)] {
            *sum = sum.checked_add(style.amount(amount))?;
        }
        self.lines += 1;
        self.reversals += u64::from(style.sign == Sign::Reversed);
        self.fees += u64::from(matches!(record.key, RecordKey::Fee { .. }));
        Some(())
    }

    /// The file's text: one JSON object.
    pub fn json(&self, selection: Selection, settings: &Settings, anchor: Option<Hash>, files: impl Iterator<Item = Summary>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.integer("version", 1);
        match selection {
            Selection::Range { first, last } => {
                object.integer("first", first);
                object.integer("last", last);
                object.maybe("last_hash", anchor.map(|hash| hash.hex()).as_deref());
            }
            Selection::Period { from, to } => {
                object.text("from", &from.rfc3339(settings.zone));
                object.text("to", &to.rfc3339(settings.zone));
            }
        }
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        object.integer("lines", count(self.lines));
        object.integer("reversals", count(self.reversals));
        object.integer("calls", count(self.lines.saturating_sub(self.fees)));
        object.integer("fees", count(self.fees));
        object.integer(
            "mask_digits",
            match settings.digits {
                Digits::All => 0,
                Digits::Masked(digits) => i64::from(digits),
            },
        );
        let totals: Vec<_> = self.totals.iter().collect();
        object.list("totals", &totals, |mut object, ((currency, percent), total)| {
            let money = |amount| Money::new(amount, *currency).to_fixed();
            object.text("currency", currency.code());
            object.raw("vat_percent", &percent.to_string());
            object.integer("lines", count(total.lines));
            object.text("net", &money(total.net));
            object.text("vat", &money(total.vat));
            object.text("gross", &money(total.gross));
            object.end();
        });
        let files: Vec<Summary> = files.collect();
        object.list("files", &files, |mut object, file| {
            object.text("name", &file.name);
            object.integer("bytes", count(file.bytes));
            object.text("sha256", &file.sha256);
            object.end();
        });
        object.end();
        out.push(b'\n');
        out
    }
}

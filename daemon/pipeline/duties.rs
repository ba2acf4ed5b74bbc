//! What the writer does by the clock: fees, closings, the nightly export, forgetting.
//!
//! The one invariant: each duty says itself when it is done, and one that failed is tried again.

use super::forgetting::Forgotten;
use super::writer::Writer;
use crate::clock;
use crate::export;
use crate::ledger::{Ledger, LedgerError, Posted, Snapshot, Swept};
use crate::units::Timestamp;
use std::sync::PoisonError;

impl Writer {
    /// Fees, closings, exports, forgetting; `true` when something was written.
    pub(super) fn by_the_clock(&mut self) -> bool {
        let now = clock::now();
        let mut wrote = false;
        if self.schedule.day_is_due(now) {
            match self.day(now) {
                Ok(posted) => {
                    self.count_entries(posted);
                    self.schedule.day_done(now);
                    wrote = true;
                }
                Err(error) => {
                    self.metrics.commit_failures.inc();
                    tracing::error!(%error, "fees and closings could not be written; they are tried again");
                    self.schedule.day_failed(now);
                }
            }
        }
        if self.schedule.export_is_due(now) {
            self.export(now);
        }
        wrote
    }

    /// What a new day brings: the ledger's time moves here, fees fall due, months close, old numbers are forgotten.
    fn day(&mut self, now: Timestamp) -> Result<Posted, LedgerError> {
        self.books.clock(now)?;
        let posted = self.settle_all()?;
        let months = self.schedule.months_to_close(&self.books, now)?;
        for month in &months {
            self.books.close_month(*month, now)?;
        }
        if let (Some(first), Some(last)) = (months.first(), months.last()) {
            tracing::info!(%first, %last, "months are closed; calls that come later for them are late");
        }
        self.forget(now)?;
        Ok(posted)
    }

    /// Old numbers are forgotten, and wiped from the file.
    fn forget(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        let Forgotten { numbers, swept } = self.books.forget(self.schedule.forget_before(now))?;
        // What nobody talked on for so long is let go of in the ledger, whole; what is under way is written anew.
        self.signalling.lock().unwrap_or_else(PoisonError::into_inner).doubt_kept();
        self.metrics.numbers_forgotten.inc_by(u64::try_from(numbers).unwrap_or(0));
        self.metrics.numbers_unswept.set(i64::from(swept == Swept::Later));
        if numbers > 0 {
            tracing::info!(forgotten = numbers, "numbers were anonymised");
        }
        match swept {
            Swept::Nothing => {}
            Swept::All => tracing::info!("what was forgotten is wiped from the ledger's file"),
            Swept::Later => {
                tracing::warn!("what was forgotten may still stand in the ledger's log, which is being read; it is wiped next time")
            }
        }
        Ok(())
    }

    fn export(&mut self, now: Timestamp) {
        let Some(settings) = &self.export else { return };
        let made = std::fs::create_dir_all(&settings.directory);
        match made
            .map_err(|error| error.to_string())
            .and_then(|()| export::nightly(self.books.ledger_mut(), settings).map_err(|error| error.to_string()))
        {
            Ok(reports) => {
                let lines: u64 = reports.iter().map(|report| report.lines).sum();
                tracing::info!(exports = reports.len(), lines, "the nightly export is written");
                let entry = u64::try_from(self.books.ledger().heads().entry.0).unwrap_or(0);
                self.metrics.exported(now, entry);
                if let Err(error) = self.remember_export(now, entry) {
                    tracing::warn!(%error, "when the export was written could not be kept; after a restart it may be looked for once more");
                }
                self.schedule.export_done(now);
            }
            Err(error) => {
                tracing::error!(%error, "the nightly export failed; it is tried again");
                self.schedule.export_failed(now);
            }
        }
    }

    fn remember_export(&mut self, now: Timestamp, entry: u64) -> Result<(), LedgerError> {
        let mut batch = self.books.ledger_mut().batch()?;
        batch.put_snapshot(EXPORTED, &Snapshot { position: format!("{} {entry}", now.micros()), body: Vec::new() })?;
        batch.commit()
    }
}

/// Where it is kept when the last export was written.
const EXPORTED: &str = "exported";

/// When the last nightly export was written, and up to which entry; `None` while there was none.
///
/// # Errors
/// When the ledger cannot be read.
pub fn last_export(ledger: &Ledger) -> Result<Option<(Timestamp, u64)>, LedgerError> {
    let kept = ledger.snapshot(EXPORTED)?;
    let parts = kept.as_ref().and_then(|kept| kept.position.split_once(' '));
    Ok(parts.and_then(|(at, entry)| Some((Timestamp::from_micros(at.parse().ok()?), entry.parse().ok()?))))
}

//! What messages ended as on one day, over all runs.

use std::ops::Range;

use super::error::JobError;
use super::events::{Placed, Reading};
use super::workspace::Workspace;
use crate::events::{Cursor, Event, Kind};
use crate::feedback::{Effect, Logged};
use crate::mail::{Disposition, Timestamp};
use crate::run_dir::{Manifest, RunDir};

/// What a message ended as, as reports call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalState {
    /// The next hop took it.
    Delivered,
    /// It was refused, given up, or came back.
    Bounced,
    /// It was not sent.
    Dropped,
    /// It may have been handed over, and no answer was seen.
    Unknown,
}

impl FinalState {
    /// The final state that an event tells; none where the message has none yet, or where it is
    /// about something else.
    fn of(event: &Event) -> Option<Self> {
        match event.kind {
            Kind::Disposed(disposition) if event.is_final => Some(match disposition {
                Disposition::Accepted => Self::Delivered,
                Disposition::Bounced | Disposition::Deferred => Self::Bounced,
                Disposition::InDoubt => Self::Unknown,
                Disposition::Suppressed
                | Disposition::Duplicate
                | Disposition::Invalid
                | Disposition::RenderFailed
                | Disposition::Infected
                | Disposition::NotAttempted
                | Disposition::AlreadySent
                | Disposition::Capped => Self::Dropped,
            }),
            Kind::DeliveredLate => Some(Self::Delivered),
            Kind::BouncedLater => Some(Self::Bounced),
            Kind::Disposed(_)
            | Kind::Received
            | Kind::Sent
            | Kind::Resent
            | Kind::Delayed
            | Kind::Complained
            | Kind::NotSpam
            | Kind::Unsubscribed
            | Kind::AutoReplied
            | Kind::Opened
            | Kind::Clicked => None,
        }
    }

    /// The word in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "DELIVERED",
            Self::Bounced => "BOUNCED",
            Self::Dropped => "DROPPED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Workspace {
    /// Hands to `each` what messages ended as in `period`: run by run, and of each message its last
    /// final state in the period. What came back counts in the period in which it was read, so that
    /// it is in one period only. Copies for seed addresses, tests and rehearsals are no messages.
    /// Memory: four bytes a row of a run.
    pub(crate) fn final_states<E: From<JobError>>(
        &self,
        period: &Range<Timestamp>,
        campaign: Option<&str>,
        each: &mut dyn FnMut(&Manifest, &Event, FinalState) -> Result<(), E>,
    ) -> Result<(), E> {
        for run in self.runs()?.into_iter().rev().chain(self.resent()?.into_iter().rev()) {
            let manifest = match run.facts {
                Ok(facts) => facts.manifest,
                Err(error) => {
                    self.warn(format!("left out {}, which can't be read: {error}", run.dir.name()));
                    continue;
                }
            };
            if campaign.is_none_or(|id| id == manifest.campaign_id) && manifest.created < period.end {
                self.final_states_of(&run.dir, &manifest, period, each)?;
            }
        }
        Ok(())
    }

    fn final_states_of<E: From<JobError>>(
        &self,
        dir: &RunDir,
        manifest: &Manifest,
        period: &Range<Timestamp>,
        each: &mut dyn FnMut(&Manifest, &Event, FinalState) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut came = self.came_back_of(dir, 0)?;
        came.retain(|logged| period.contains(&logged.read) && is_believed(logged));
        let is_over = manifest.finished.is_some_and(|finished| finished < period.start);
        if is_over && came.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        // How many final states each row gets: handed over is the last.
        let mut ends: Vec<u16> = Vec::new();
        for is_counting in [true, false] {
            let Some(mut reading) = Reading::open(dir, manifest)? else { return Ok(()) };
            let mut take = |page: &[Placed], is_in: &dyn Fn(&Event) -> bool| {
                for (event, _) in page {
                    let Some(state) = FinalState::of(event).filter(|_| is_in(event) && !event.is_seed) else {
                        continue;
                    };
                    // The documents and their password are two messages.
                    let place = event.row.map(|row| row as usize * 2 + usize::from(event.is_password));
                    let is_last = match place {
                        // A screened row ends once.
                        None => !is_counting,
                        Some(row) if is_counting => {
                            if ends.len() <= row {
                                ends.resize(row + 1, 0);
                            }
                            ends[row] = ends[row].saturating_add(1);
                            false
                        }
                        // What came since the counting is not handed over.
                        Some(row) => ends.get_mut(row).filter(|left| **left > 0).is_some_and(|left| {
                            *left -= 1;
                            *left == 0
                        }),
                    };
                    if is_last && let Err(error) = each(manifest, event, state) {
                        failed = Some(error);
                        return false;
                    }
                }
                true
            };
            let mut cursor = Cursor::start(dir.run_id());
            let in_period = |event: &Event| period.contains(&event.at);
            let goes_on =
                is_over || reading.of_sending(self, dir, &mut cursor, &mut |page| take(page, &in_period))?;
            if goes_on {
                take(&reading.came_back(&came, &mut cursor), &|_| true);
            }
            if let Some(error) = failed.take() {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Whether what came back says something of its message: it was not made up, and not taken back.
pub(super) fn is_believed(logged: &Logged) -> bool {
    logged.record.trusted && logged.undone.is_none() && logged.effect != Effect::NotHandedOver
}

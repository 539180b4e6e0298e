//! What the local addresses may carry today: weights, rates, and the warm-up's share of the day.

use chrono::NaiveDate;

use super::error::JobError;
use crate::campaign::{Campaign, RouteKind};
use crate::pacing::Rate;
use crate::run::SourceLimits;
use crate::state::State;

/// What the local addresses may carry, and what was taken of their warm-up's day.
pub(super) struct Allowances {
    /// For each departure.
    pub limits: Vec<SourceLimits>,
    caps: Vec<(usize, String, NaiveDate)>,
}

impl Allowances {
    /// Takes up to `rows` messages of what each local address has left `today`.
    pub(super) fn take(
        campaign: &Campaign,
        state: &dyn State,
        rows: u64,
        today: NaiveDate,
    ) -> Result<Self, JobError> {
        let mut allowances = Self { limits: Vec::new(), caps: Vec::new() };
        if campaign.delivery.route != RouteKind::Sandbox {
            for (number, egress) in campaign.egress().enumerate() {
                let source = egress.address.to_string();
                let allowance = match egress.warm_up.as_ref().and_then(|warm_up| warm_up.cap(today)) {
                    Some(cap) => {
                        let taken = state.daily_caps()?.take(&source, today, cap, rows)?;
                        allowances.caps.push((number, source, today));
                        Some(taken)
                    }
                    None => None,
                };
                let rate = egress.rate.map(|rate| Rate {
                    tokens: rate.count,
                    micros: u64::try_from(rate.time.as_micros()).expect("an hour at most"),
                });
                allowances.limits.push(SourceLimits { weight: egress.weight, rate, allowance });
            }
        }
        if allowances.limits.is_empty() {
            allowances.limits.push(SourceLimits::default());
        }
        Ok(allowances)
    }

    /// Gives back what was not used; `left` is what each departure has left.
    pub(super) fn give_back(self, state: &dyn State, left: &[Option<u64>]) -> Result<(), JobError> {
        for (number, source, day) in self.caps {
            if let Some(unused) = left.get(number).copied().flatten() {
                state.daily_caps()?.give_back(&source, day, unused)?;
            }
        }
        Ok(())
    }
}

//! What a backend offers.

use std::fmt;
use std::sync::Arc;

use crate::kit::store::StoreError;
use crate::pacing::{DailyCaps, Ledger};
use crate::suppression::Suppressions;

/// The state that campaigns share.
pub trait State: fmt::Debug + Send + Sync {
    /// The suppression list.
    fn suppressions(&self) -> Result<Arc<dyn Suppressions>, StoreError>;

    /// The capacity accounts.
    fn ledger(&self) -> Box<dyn Ledger>;

    /// What local addresses have carried of their daily caps.
    fn daily_caps(&self) -> Result<Box<dyn DailyCaps>, StoreError>;
}

//! Relay, sites, retry schedule, reply classification.

pub mod classify;
pub mod retry;

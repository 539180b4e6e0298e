//! Where mail goes and what comes back: retry schedule, reply classification.

pub mod classify;
pub mod retry;

pub use classify::{Action, Classifier, Failure, class_of_failure};
pub use retry::{Next, Schedule};

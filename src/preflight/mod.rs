//! Checks before sending.

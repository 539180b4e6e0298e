//! The suppression list, its expiry, its lookup.

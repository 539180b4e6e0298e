//! Rows in, accepted rows and reasons out.

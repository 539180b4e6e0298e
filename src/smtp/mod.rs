//! SMTP: codec and session state machine (no I/O), connection (tokio, TLS).

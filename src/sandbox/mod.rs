//! The embedded SMTP receiver.

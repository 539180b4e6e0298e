//! The stages joined: prepare, dispatcher, lane, shutdown.

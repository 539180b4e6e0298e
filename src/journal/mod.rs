//! Intents and outcomes.

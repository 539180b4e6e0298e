//! Relay, sites, retry schedule, reply classification.

//! The integration tests: one binary, one module a subject.

mod address;
mod architecture;
mod bad_days;
mod bad_relays;
mod crash;
mod disk;
mod kit;
mod mx;
mod send;
mod shown;

//! The integration tests: one binary, one module a subject.

mod address;
mod bad_days;
mod architecture;
mod crash;
mod disk;
mod kit;
mod send;
mod shown;

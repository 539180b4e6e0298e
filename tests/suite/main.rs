//! The integration tests: one binary, one module a subject.

mod address;
mod architecture;
mod check;
mod crash;
mod kit;
mod mx;
mod send;
mod shown;

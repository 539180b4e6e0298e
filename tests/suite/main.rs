//! The integration tests: one binary, one module a subject.

mod address;
mod architecture;
mod shown;

//! The integration tests: one binary, one module a subject.

mod address;
mod architecture;
mod archive;
mod bad_days;
mod bad_relays;
mod capacity;
mod check;
mod circles;
mod crash;
mod disk;
mod earlier;
mod editions;
mod kit;
mod manual;
mod mx;
mod mx_command;
mod one_text;
mod parameters;
mod passthrough;
mod relays;
mod send;
mod senders;
mod shown;
mod synth;
mod unsubscribe;
mod words;

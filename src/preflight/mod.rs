//! Checks before sending: what a receiver would refuse and what a recipient would stumble over, seen while nothing has
//! been sent.
//!
//! Every check ends in [`Finding`]s, and no check sends mail or changes anything. Network is asked where a caller hands
//! in a resolver or an address, never behind its back.

pub mod approval;
pub mod content;
mod finding;
pub mod list;
pub mod finish_time;
pub mod dns;
pub mod relay;
pub mod sender;

pub use finding::{Finding, Findings, Group, Level};

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let (head, rest) = digits.split_at(digits.len() % 3);
    let mut text = head.to_owned();
    for chunk in rest.as_bytes().chunks(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.extend(chunk.iter().map(|&byte| char::from(byte)));
    }
    text
}

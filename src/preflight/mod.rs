//! Checks before sending: what receivers would refuse and what recipients would stumble over.
//!
//! A check returns [`Finding`]s. It never sends mail and never changes anything, and it uses the
//! network only through a resolver or an address that the caller passes in.
//!
//! To add a finding: an entry in `finding/catalogue.rs` (id, level, reason), the check that sees it,
//! and its row in `docs/findings.md`, which a test prints.

pub mod approval;
pub mod content;
pub mod dns;
mod finding;
pub mod finish_time;
pub mod list;
pub mod relay;
pub mod sender;

pub use finding::{Finding, Findings, Group, Id, Level};

/// A number with the words for one and for more: `1 row is`, `1,234 rows are`.
fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { more })
}

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

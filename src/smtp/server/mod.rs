//! The server's half of the protocol: takes apart what a client sends. No replies, no I/O.
//!
//! | file | its noun |
//! |---|---|
//! | `line` | command lines |
//! | `syntax` | commands, and the replies to those that are none |
//! | `dots` | content after DATA: its end, its stuffed dots |
//! | `content` | content as it arrives: size, violations, what to keep |

mod content;
mod dots;
mod line;
mod syntax;

pub(crate) use content::{Body, Content, Offence, Want};
pub(crate) use dots::Dots;
#[cfg(test)]
pub(crate) use line::LONGEST_COMMAND;
pub(crate) use line::{Line, Lines};
pub(crate) use syntax::{
    Offers, Refusal, body_of, ends_group, is_smtp_utf8, stray_parameter, syntax_refusal,
};

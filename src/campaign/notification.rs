//! `[delivery.dsn]`: which delivery status notifications to request (RFC 3461).

use serde::{Deserialize, Serialize};

use super::error::Mistake;

/// `[delivery.dsn]`. Requested if the next hop offers DSN; otherwise the message is sent without.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dsn {
    /// When to notify the return path (`NOTIFY`).
    pub notify: Vec<Notify>,
    /// How much of the message a notification returns (`RET`); the server decides by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<Return>,
}

/// One word of `NOTIFY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notify {
    /// Not at all; allowed only alone.
    Never,
    /// When the message has been delivered.
    Success,
    /// When it can't be delivered.
    Failure,
    /// When delivery is delayed.
    Delay,
}

/// How much of a message a notification returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

impl Dsn {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        let problem =
            |problem: &str, hint| Err(Mistake::new("delivery.dsn.notify", problem.to_owned(), hint));
        if self.notify.is_empty() {
            return problem("the list is empty", "name `failure` and `delay`, or leave `[delivery.dsn]` out");
        }
        if self.notify.contains(&Notify::Never) && self.notify.len() > 1 {
            return problem("`never` can't be combined with others", "use `never` alone, or leave it out");
        }
        Ok(())
    }
}

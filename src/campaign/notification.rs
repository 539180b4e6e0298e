//! `[delivery.dsn]`: which notifications the next hops are asked for (RFC 3461).

use serde::{Deserialize, Serialize};

use super::error::Mistake;

/// `[delivery.dsn]`. Asked for where the next hop offers DSN; one that does not is sent the message without.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dsn {
    /// When a notification is to be sent to the return path (`NOTIFY`).
    pub notify: Vec<Notify>,
    /// How much of the message comes back with it (`RET`); the server's choice when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<Return>,
}

/// One word of `NOTIFY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notify {
    /// In no case; stands alone.
    Never,
    /// When the message has been delivered.
    Success,
    /// When it can't be.
    Failure,
    /// When it takes long.
    Delay,
}

/// How much of a message comes back with a notification.
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
            return problem("an empty list", "name `failure` and `delay`, or leave `[delivery.dsn]` out");
        }
        if self.notify.contains(&Notify::Never) && self.notify.len() > 1 {
            return problem("`never` stands alone", "leave the other words out, or `never`");
        }
        Ok(())
    }
}

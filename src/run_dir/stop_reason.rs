//! Why a run stopped before every row had its disposition.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kit::text::counted;

/// Why a run stopped before every row had its disposition. `Display` says it to people, in a
/// lowercase fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum StopReason {
    /// A signal asked for it.
    Signal {
        /// Its name, such as `SIGINT`.
        signal: String,
    },
    /// The time given with `--not-after` was reached.
    NotAfter,
    /// The time given with `--deadline` was reached.
    Deadline,
    /// Each local address has sent what a day of its warm-up allows.
    WarmUpSpent,
    /// `[stop] bounce-percent`: too many of the last outcomes were bounces.
    TooManyBounces {
        /// Bounces among the last outcomes.
        bounces: usize,
        /// How many of the last outcomes were looked at.
        window: usize,
        /// The latest different replies behind them.
        replies: Vec<String>,
    },
    /// `[stop] complaint-percent`: too many recipients of the run have complained.
    TooManyComplaints {
        /// Recipients who complained.
        complaints: u64,
        /// Mails that were accepted.
        accepted: u64,
    },
    /// `[stop] authentication-failures`: so many in a row.
    AuthenticationFailures {
        /// How many.
        failures: usize,
        /// The latest different replies behind them.
        replies: Vec<String>,
    },
    /// The only site that mail goes to refused a message for a reason that holds for all of them.
    RefusedByServer {
        /// The site's name; a relay's own, where it has one. Version 0.1.0 did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<String>,
        /// Its reply.
        reply: String,
    },
    /// The only site that mail goes to refused the login.
    LoginRefused {
        /// What happened.
        detail: String,
    },
    /// No session with the only site that mail goes to can be opened, and another attempt can't
    /// help.
    NoSession {
        /// What happened.
        detail: String,
    },
    /// The disk with the journal is full.
    DiskFull {
        /// What happened.
        detail: String,
    },
    /// The journal can't be written.
    JournalFailed {
        /// What happened.
        detail: String,
    },
    /// The capacity ledger did not answer for too long.
    LedgerFailed {
        /// What happened.
        detail: String,
    },
    /// The plan can't be read.
    PlanUnreadable {
        /// What happened.
        detail: String,
    },
    /// The suppression list can't be read.
    SuppressionsUnreadable {
        /// What happened.
        detail: String,
    },
    /// A message can't be signed.
    SigningFailed {
        /// What happened.
        detail: String,
    },
    /// Something else, in the words of an earlier version.
    Other {
        /// Those words.
        text: String,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal { signal } => write!(f, "received {signal}"),
            Self::NotAfter => f.write_str("reached the time given with --not-after"),
            Self::Deadline => f.write_str("reached the time given with --deadline"),
            Self::WarmUpSpent => {
                f.write_str("the local addresses have sent all that their warm-up allows today")
            }
            Self::TooManyBounces { bounces, window, replies } => {
                write!(f, "{bounces} of the last {window} outcomes are bounces; {}", Seen(replies))
            }
            Self::TooManyComplaints { complaints, accepted } => write!(
                f,
                "{} about {}",
                counted(*complaints, "complaint", "complaints"),
                counted(*accepted, "accepted mail", "accepted mails")
            ),
            Self::AuthenticationFailures { failures, replies } => {
                write!(f, "{failures} authentication failures in a row; {}", Seen(replies))
            }
            Self::RefusedByServer { site: Some(site), reply } => write!(f, "`{site}` replied `{reply}`"),
            Self::RefusedByServer { site: None, reply } => write!(f, "the server replied `{reply}`"),
            Self::PlanUnreadable { detail } => write!(f, "the plan can't be read: {detail}"),
            Self::SuppressionsUnreadable { detail } => {
                write!(f, "the suppression list can't be read: {detail}")
            }
            Self::SigningFailed { detail } => write!(f, "a message can't be signed: {detail}"),
            Self::LoginRefused { detail: text }
            | Self::NoSession { detail: text }
            | Self::DiskFull { detail: text }
            | Self::JournalFailed { detail: text }
            | Self::LedgerFailed { detail: text }
            | Self::Other { text } => f.write_str(text),
        }
    }
}

/// The replies behind a decision.
struct Seen<'a>(&'a [String]);

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<String> = self.0.iter().map(|reply| format!("`{reply}`")).collect();
        write!(f, "seen: {}", quoted.join(", "))
    }
}

/// A stop reason in the manifest: `reason` for people, as in version 0.1.0, and `stop` for
/// programs.
pub(super) mod written {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::StopReason;

    #[derive(Serialize, Deserialize)]
    struct Written<R> {
        reason: String,
        #[serde(default = "none")]
        stop: Option<R>,
    }

    fn none<R>() -> Option<R> {
        None
    }

    pub(crate) fn serialize<S: Serializer>(reason: &StopReason, serializer: S) -> Result<S::Ok, S::Error> {
        Written { reason: reason.to_string(), stop: Some(reason) }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StopReason, D::Error> {
        let Written { reason, stop } = Written::deserialize(deserializer)?;
        Ok(stop.unwrap_or_else(|| of_0_1_0(reason)))
    }

    /// Version 0.1.0 wrote the text only.
    fn of_0_1_0(text: String) -> StopReason {
        if text == "the time given with --not-after is over" {
            StopReason::NotAfter
        } else {
            StopReason::Other { text }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::RunState;
    use super::*;

    fn state(value: serde_json::Value) -> RunState {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn it_is_written_for_people_and_for_programs() {
        let replies = vec!["550 5.1.1 no such user".to_owned()];
        let reason = StopReason::TooManyBounces { bounces: 3, window: 10, replies };
        let text = "3 of the last 10 outcomes are bounces; seen: `550 5.1.1 no such user`";
        let stop = json!({
            "cause": "too_many_bounces", "bounces": 3, "window": 10, "replies": ["550 5.1.1 no such user"],
        });
        let written = json!({"is": "interrupted", "reason": text, "stop": stop});
        assert_eq!(serde_json::to_value(RunState::Interrupted { reason: reason.clone() }).unwrap(), written);
        assert_eq!(state(written), RunState::Interrupted { reason });
    }

    #[test]
    fn the_texts_of_0_1_0_are_read() {
        let read = |text: &str| state(json!({"is": "interrupted", "reason": text}));
        let reason = StopReason::NotAfter;
        assert_eq!(read("the time given with --not-after is over"), RunState::Interrupted { reason });
        let reason = StopReason::Other { text: "stopped by SIGINT".into() };
        assert_eq!(read("stopped by SIGINT"), RunState::Interrupted { reason });
    }
}

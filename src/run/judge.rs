//! What the end of an attempt means for its row, its site and the run.

use std::time::Duration;

use crate::mail::{Class, Disposition, Reply};
use crate::route::{Classifier, Failure, Reaction, class_of_failure};
use crate::smtp::{Command, Fate, SessionError, Unfit};

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The row has its disposition.
    Final(Disposition),
    /// The row is tried again later.
    TryAgain,
}

/// Who gets nothing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// The site.
    Site(Duration),
    /// All sites of its provider.
    Provider(Duration),
}

/// What a fate means.
#[derive(Debug)]
pub(super) struct Judged {
    /// What follows for the row.
    pub ending: Ending,
    /// Why.
    pub class: Option<Class>,
    /// The reply that decided, if there was one.
    pub reply: Option<Reply>,
    /// What happened if there was no reply.
    pub detail: Option<String>,
    /// What follows for the site or its provider.
    pub pause: Option<Pause>,
    /// The reply holds for every message of the run: it must stop.
    pub stops: bool,
    /// The address goes on the suppression list.
    pub suppress: bool,
    /// The site is overloaded or does not work: it should get fewer connections.
    pub complains: bool,
    /// The row came too fast: nothing but that kept it from being accepted.
    pub too_fast: bool,
}

impl Judged {
    fn of(ending: Ending) -> Self {
        Self {
            ending,
            class: None,
            reply: None,
            detail: None,
            pause: None,
            stops: false,
            suppress: false,
            complains: false,
            too_fast: false,
        }
    }

    fn without_reply(ending: Ending, failure: Failure, detail: String) -> Self {
        let class = class_of_failure(failure).class;
        Self { class: Some(class), detail: Some(detail), ..Self::of(ending) }
    }

    /// The reply or what happened, in one line.
    pub(super) fn cause(&self) -> String {
        match (&self.reply, &self.detail) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(detail)) => detail.clone(),
            (None, None) => String::new(),
        }
    }
}

/// The recipients of one message that a server refused because it had accepted as many as it can
/// (RFC 5321 §4.5.3.1.10).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    /// How many it accepted.
    pub limit: usize,
    /// The places of those that it refused, among the recipients.
    pub beyond: Vec<usize>,
}

/// How many recipients the server accepts in one message, if `fates`, those of one transaction,
/// show it.
///
/// 452, and 552 as RFC 5321 has it, mean this only if all recipients before got another answer and
/// none after was accepted: a full mailbox in the middle shows nothing.
pub(super) fn too_many(fates: &[Fate]) -> Option<TooMany> {
    let beyond: Vec<usize> = (0..fates.len()).filter(|at| says_too_many(&fates[*at])).collect();
    let first = *beyond.first()?;
    let is_refused = |fate: &Fate| matches!(fate, Fate::Replied { to: Command::Rcpt, .. });
    let limit = fates[..first].iter().filter(|fate| !is_refused(fate)).count();
    (limit > 0 && fates[first..].iter().all(is_refused)).then_some(TooMany { limit, beyond })
}

/// RFC 3463 §3.6: X.5.3 is "too many recipients"; other enhanced codes mean something else.
fn says_too_many(fate: &Fate) -> bool {
    match fate {
        Fate::Replied { reply, to: Command::Rcpt } => {
            matches!(reply.code, 452 | 552)
                && reply.enhanced.is_none_or(|status| (status.subject, status.detail) == (5, 3))
        }
        Fate::Replied { .. } | Fate::NotStarted { .. } | Fate::Failed { .. } => false,
        Fate::InDoubt { .. } | Fate::Unfit { .. } => false,
    }
}

/// Judges `fate`. If all mail goes to one site (`only_way`), a reply that every message would get
/// stops the run. Otherwise the answer of one site must not stop the others: it ends the row.
pub(super) fn judge(classifier: &Classifier, fate: Fate, only_way: bool) -> Judged {
    let transient = fate.is_transient();
    match fate {
        Fate::Replied { reply, to: Command::EndOfMessage } if reply.is_positive() => {
            Judged { reply: Some(reply), ..Judged::of(Ending::Final(Disposition::Accepted)) }
        }
        Fate::Replied { reply, .. } => judge_refusal(classifier, reply, transient, only_way),
        Fate::Failed { error } => Judged {
            complains: true,
            ..Judged::without_reply(Ending::TryAgain, failure_of(&error), error.to_string())
        },
        Fate::InDoubt { error } => {
            let ending = Ending::Final(Disposition::InDoubt);
            Judged { complains: true, ..Judged::without_reply(ending, failure_of(&error), error.to_string()) }
        }
        Fate::Unfit { reason } => {
            let ending = Ending::Final(Disposition::Bounced);
            Judged::without_reply(ending, failure_of_unfit(reason), reason.to_string())
        }
        Fate::NotStarted { why } => {
            Judged::without_reply(Ending::TryAgain, Failure::Connection, why.to_string())
        }
    }
}

/// The pause that follows from a reply that kept a session from opening.
pub(super) fn pause_of(classifier: &Classifier, reply: &Reply) -> Option<Pause> {
    match classifier.classify(reply).reaction {
        Reaction::PauseSite(pause) => Some(Pause::Site(pause)),
        Reaction::PauseProvider(pause) => Some(Pause::Provider(pause)),
        Reaction::TryAgain | Reaction::GiveUp | Reaction::StopRun => None,
    }
}

fn judge_refusal(classifier: &Classifier, reply: Reply, transient: bool, only_way: bool) -> Judged {
    let meaning = classifier.classify(&reply);
    let (again, pause, stops) = match meaning.reaction {
        Reaction::TryAgain => (true, None, false),
        Reaction::GiveUp => (transient && !meaning.is_final, None, false),
        Reaction::PauseSite(pause) => (transient, Some(Pause::Site(pause)), false),
        Reaction::PauseProvider(pause) => (transient, Some(Pause::Provider(pause)), false),
        Reaction::StopRun => (transient, None, only_way),
    };
    // What concerns one mailbox or one message says nothing about the load that the site can take.
    let complains = again
        && match meaning.class {
            Class::RateLimited
            | Class::Unavailable
            | Class::Blocklist
            | Class::Policy
            | Class::Spam
            | Class::Network
            | Class::Protocol
            | Class::Other => true,
            Class::BadMailbox
            | Class::BadDomain
            | Class::MailboxFull
            | Class::Authentication
            | Class::TlsRequired
            | Class::TooLarge
            | Class::Greylisted
            | Class::Routing => false,
        };
    let ending = if again { Ending::TryAgain } else { Ending::Final(Disposition::Bounced) };
    let too_fast = again
        && pause.is_none()
        && matches!(meaning.class, Class::RateLimited | Class::Unavailable | Class::Other);
    Judged {
        class: Some(meaning.class),
        complains: complains || reply.code == 421,
        too_fast,
        reply: Some(reply),
        pause,
        stops,
        suppress: meaning.suppress && !again,
        ..Judged::of(ending)
    }
}

/// What kept the replies from coming when a session broke.
pub(super) fn failure_of(error: &SessionError) -> Failure {
    match error {
        SessionError::Protocol(_) => Failure::Protocol,
        SessionError::Closing(_)
        | SessionError::Closed { .. }
        | SessionError::ClosedIdle
        | SessionError::Withheld
        | SessionError::Timeout { .. }
        | SessionError::Io { .. } => Failure::Connection,
    }
}

fn failure_of_unfit(reason: Unfit) -> Failure {
    match reason {
        Unfit::SizeExceeded { .. } => Failure::TooLarge,
        Unfit::NeedsSmtputf8 | Unfit::NeedsEightBit => Failure::Unfit,
        Unfit::NeedsRequireTls => Failure::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fates of recipients whose RCPT got these replies; `250` is accepted in the end.
    fn fates(replies: &str) -> Vec<Fate> {
        let fate = |word: &str| {
            let (code, enhanced) = word.split_once('/').unwrap_or((word, ""));
            let reply =
                Reply { code: code.parse().unwrap(), enhanced: enhanced.parse().ok(), text: String::new() };
            let to = if reply.is_positive() { Command::EndOfMessage } else { Command::Rcpt };
            Fate::Replied { reply, to }
        };
        replies.split_whitespace().map(fate).collect()
    }

    #[track_caller]
    fn check(replies: &str, expected: Option<(usize, &[usize])>) {
        let expected = expected.map(|(limit, beyond)| TooMany { limit, beyond: beyond.to_vec() });
        assert_eq!(too_many(&fates(replies)), expected, "{replies}");
    }

    #[test]
    fn the_rest_was_too_many_when_others_were_taken_before_and_none_after() {
        check("250 250 452/4.5.3 452/4.5.3", Some((2, &[2, 3])));
        check("250 452 552", Some((1, &[1, 2])));
        check("550 250 452", Some((1, &[2])));
        check("250 452/4.5.3 550/5.1.1 452/4.5.3", Some((1, &[1, 3])));
    }

    #[test]
    fn a_full_mailbox_or_a_full_server_is_something_else() {
        check("250 452 250", None);
        check("250 452/4.2.2", None);
        check("250 452/4.3.1", None);
        check("250 552/5.2.2", None);
        check("452 452", None);
        check("550 452", None);
        check("452/4.5.3", None);
        check("250 250", None);
    }

    #[test]
    fn a_full_mailbox_is_tried_again_unless_a_rule_of_the_campaign_ends_it() {
        let full = |code, to| Fate::Replied {
            reply: Reply { code, enhanced: "5.2.2".parse().ok(), text: "over quota".into() },
            to,
        };
        let own = r#"name = "full"
status = ["x.2.2"]
class = "mailbox_full"
action = "give-up"
tests = ["552 5.2.2 over quota"]"#;
        let strict = Classifier::new(vec![toml::from_str(own).unwrap()]).unwrap();
        for (code, to) in [(552, Command::Rcpt), (552, Command::EndOfMessage), (452, Command::Rcpt)] {
            let usual = judge(&Classifier::default(), full(code, to), true);
            assert_eq!((usual.ending, usual.class), (Ending::TryAgain, Some(Class::MailboxFull)));
            let ended = judge(&strict, full(code, to), true);
            assert_eq!(ended.ending, Ending::Final(Disposition::Bounced), "{code} to {to}");
        }
    }
}

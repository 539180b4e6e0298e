//! What the end of an attempt means for its row, its site and the run.

use std::time::Duration;

use crate::mail::{Class, Disposition, Reply};
use crate::route::{Action, Classifier, Failure, class_of_failure};
use crate::smtp::{Command, Fate, SessionError, Unfit};

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The row has its disposition.
    Final(Disposition),
    /// The row is tried again later.
    TryAgain,
}

/// Who gets nothing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The site.
    Site(Duration),
    /// All sites of its provider.
    Provider(Duration),
}

/// What a fate means.
#[derive(Debug)]
pub struct Judged {
    /// For the row.
    pub ending: Ending,
    /// Why.
    pub class: Option<Class>,
    /// The reply that decided, where there was one.
    pub reply: Option<Reply>,
    /// What happened where there was no reply.
    pub detail: Option<String>,
    /// For the site or its provider.
    pub pause: Option<Pause>,
    /// For the run.
    pub stop: Option<String>,
    /// The address goes on the suppression list.
    pub suppress: bool,
    /// The site has had enough for the moment, or does not work: it should get less.
    pub complains: bool,
}

impl Judged {
    fn of(ending: Ending) -> Self {
        Self {
            ending,
            class: None,
            reply: None,
            detail: None,
            pause: None,
            stop: None,
            suppress: false,
            complains: false,
        }
    }

    fn without_reply(ending: Ending, failure: Failure, detail: String) -> Self {
        let class = class_of_failure(failure).class;
        Self { class: Some(class), detail: Some(detail), ..Self::of(ending) }
    }

    /// What the site said, in one line.
    pub fn cause(&self) -> String {
        match (&self.reply, &self.detail) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(detail)) => detail.clone(),
            (None, None) => String::new(),
        }
    }
}

/// Judges `fate`. Where everything goes to one site (`only_way`), a reply that all messages will get alike stops the run;
/// otherwise the answer of one site must not stop the others, and ends the row.
pub fn judge(classifier: &Classifier, fate: Fate, only_way: bool) -> Judged {
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

/// Who gets nothing for a while after a reply that kept a session from opening.
pub fn pause_of(classifier: &Classifier, reply: &Reply) -> Option<Pause> {
    match classifier.classify(reply).action {
        Action::PauseSite(pause) => Some(Pause::Site(pause)),
        Action::PauseProvider(pause) => Some(Pause::Provider(pause)),
        Action::TryAgain | Action::GiveUp | Action::StopRun => None,
    }
}

fn judge_refusal(classifier: &Classifier, reply: Reply, transient: bool, only_way: bool) -> Judged {
    let verdict = classifier.classify(&reply);
    let (again, pause, stop) = match verdict.action {
        Action::TryAgain => (true, None, None),
        Action::GiveUp => (transient, None, None),
        Action::PauseSite(pause) => (transient, Some(Pause::Site(pause)), None),
        Action::PauseProvider(pause) => (transient, Some(Pause::Provider(pause)), None),
        Action::StopRun if only_way => (transient, None, Some(format!("the server said `{reply}`"))),
        Action::StopRun => (transient, None, None),
    };
    // What concerns one mailbox or one message says nothing about how much the site takes.
    let complains = again
        && match verdict.class {
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
    Judged {
        class: Some(verdict.class),
        complains: complains || reply.code == 421,
        reply: Some(reply),
        pause,
        stop,
        suppress: verdict.suppress && !again,
        ..Judged::of(ending)
    }
}

fn failure_of(error: &SessionError) -> Failure {
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

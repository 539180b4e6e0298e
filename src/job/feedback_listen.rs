//! Mails that a relay delivers, from the listener to the log. What is answered "kept" is durable,
//! and in the suppression list.
//!
//! One thread owns the log and the runs. Mails that came while others were written are kept
//! together, in one transaction.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use super::error::{JobError, chain};
use super::feedback::FeedbackRead;
use super::read_mail::ReadMail;
use super::workspace::Workspace;
use crate::compose::return_path::PathToken;
use crate::feedback::MAIL_BYTES;
use crate::listener::{Answer, Delivery, Listener, Question, Request, Stop, Terms};
use crate::mail::Address;
use crate::suppression::AddressKey;

/// Connections at once.
const CONNECTIONS: usize = 100;
/// Relays of one's own bring what came back. Whatever a bounce holds is better read than refused.
const TERMS: Terms = Terms {
    host: "mailrun.localhost",
    greeting: "LMTP and ESMTP, feedback only",
    help: "Bounces, complaints and reports only",
    lmtp: true,
    login: false,
    is_strict: false,
    mail_bytes: MAIL_BYTES,
    room_bytes: 24 << 20,
    recipients: 100,
    connections: CONNECTIONS,
    connections_of_one: CONNECTIONS,
    tls: None,
};
/// New runs are looked for so often, whatever recipients are made up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Mails of one day are one import, which can be taken back.
const IMPORT_MICROS: i64 = 86_400_000_000;

/// Keeps what the listener takes.
pub(crate) struct FeedbackListen<'w> {
    workspace: &'w Workspace,
    read: FeedbackRead<'w>,
    /// Whose mail is accepted, besides that of return paths.
    recipients: HashSet<String>,
    looked: Option<Instant>,
    /// Recipients with a token that no known run has made; they are answered after the next look.
    unsure: Vec<(PathToken, String, oneshot::Sender<Answer>)>,
    /// The day of the current import.
    day: i64,
    /// The failure that was reported last.
    failure: Option<String>,
}

impl<'w> FeedbackListen<'w> {
    /// Accepts mail of return paths, and to `recipients`. `source` names the import.
    pub(crate) fn new(
        workspace: &'w Workspace,
        recipients: &[Address],
        source: &str,
    ) -> Result<Self, JobError> {
        Ok(Self {
            workspace,
            read: FeedbackRead::new(workspace, source, false)?,
            recipients: recipients.iter().map(key).collect(),
            looked: None,
            unsure: Vec::new(),
            day: 0,
            failure: None,
        })
    }

    /// Takes mails until `stop` says otherwise. Each that was kept is passed to `show`.
    pub(crate) fn run(
        mut self,
        runtime: &Runtime,
        listener: Listener,
        stop: watch::Receiver<Stop>,
        mut show: impl FnMut(ReadMail) + Send,
    ) {
        // A connection waits for the answer to its request.
        let (to, requests) = mpsc::channel(CONNECTIONS);
        let handle = runtime.handle();
        std::thread::scope(|scope| {
            let keeping = scope.spawn(move || self.keep(handle, requests, &mut show));
            runtime.block_on(listener.serve(TERMS, to, stop));
            if let Err(panic) = keeping.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    /// Answers requests until no listener is left.
    fn keep(
        &mut self,
        runtime: &Handle,
        mut requests: mpsc::Receiver<Request>,
        show: &mut impl FnMut(ReadMail),
    ) {
        loop {
            let first = match self.next_look() {
                None => runtime.block_on(requests.recv()),
                Some(wait) => {
                    match runtime.block_on(async { tokio::time::timeout(wait, requests.recv()).await }) {
                        Ok(first) => first,
                        Err(_) => {
                            self.look();
                            continue;
                        }
                    }
                }
            };
            let Some(first) = first else { return };
            let mut mails = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                let Request { question, answer, .. } = request;
                match question {
                    Question::Accept(recipient) => self.accept(&recipient, answer),
                    Question::Keep(mail) => mails.push((mail, answer)),
                    // Nobody logs in here.
                    Question::Login(_) | Question::From(..) => drop(answer),
                }
                next = requests.try_recv().ok();
            }
            self.keep_mails(mails, show);
        }
    }

    fn accept(&mut self, recipient: &str, answer: oneshot::Sender<Answer>) {
        let say = |answer: oneshot::Sender<Answer>, what| {
            // Who asked may have gone.
            let _ = answer.send(what);
        };
        let Ok(address) = Address::parse(recipient) else { return say(answer, unknown(recipient)) };
        if self.recipients.contains(&key(&address)) {
            return say(answer, Answer::Accepted);
        }
        let Some(token) = PathToken::of(&address) else { return say(answer, unknown(recipient)) };
        let is_known = self.read.runs().map(|runs| runs.knows(&token));
        match is_known {
            Ok(true) => say(answer, Answer::Accepted),
            // It may be of a run that has just begun.
            Ok(false) => {
                self.unsure.push((token, recipient.to_owned(), answer));
                if self.next_look().is_some_and(|wait| wait.is_zero()) {
                    self.look();
                }
            }
            Err(error) => {
                self.report(&error);
                say(answer, Answer::Failed);
            }
        }
    }

    /// How long until the next look for new runs, if anybody waits for it.
    fn next_look(&self) -> Option<Duration> {
        let since = self.looked.map_or(LOOK_EVERY, |looked| looked.elapsed());
        (!self.unsure.is_empty()).then(|| LOOK_EVERY.saturating_sub(since))
    }

    /// Looks for new runs, and answers who waits for it.
    fn look(&mut self) {
        self.looked = Some(Instant::now());
        let looked = self.read.runs().and_then(|runs| runs.refresh());
        if let Err(error) = &looked {
            self.report(error);
        }
        for (token, recipient, answer) in std::mem::take(&mut self.unsure) {
            let is_known = looked.is_ok() && self.read.runs().is_ok_and(|runs| runs.knows(&token));
            let what = match is_known {
                true => Answer::Accepted,
                false if looked.is_err() => Answer::Failed,
                false if self.read.runs().is_ok_and(|runs| runs.is_unreadable(&token)) => Answer::Failed,
                false => unknown(&recipient),
            };
            let _ = answer.send(what);
        }
    }

    /// Keeps mails together; where that fails, each alone: one that can't be kept should not hold
    /// the rest back.
    fn keep_mails(
        &mut self,
        mails: Vec<(Delivery, oneshot::Sender<Answer>)>,
        show: &mut impl FnMut(ReadMail),
    ) {
        if mails.is_empty() {
            return;
        }
        let kept = self.keep_all(mails.iter().map(|(mail, _)| mail));
        let is_one = mails.len() == 1;
        match kept {
            Ok(kept) => {
                let mut of_each = kept.iter();
                for (mail, answer) in mails {
                    let kept = of_each.by_ref().take(recipients(&mail).len());
                    let left_out = kept.filter(|mail| mail.is_left_out).count();
                    drop(mail);
                    let _ = answer.send(kept_or_failed(left_out == 0));
                }
                kept.into_iter().for_each(&mut *show);
            }
            Err(error) => {
                self.report(&error);
                for (mail, answer) in mails {
                    let kept = if is_one { None } else { self.keep_all([&mail]).ok() };
                    let is_kept = |kept: &Vec<ReadMail>| kept.iter().all(|mail| !mail.is_left_out);
                    let _ = answer.send(kept_or_failed(kept.as_ref().is_some_and(is_kept)));
                    kept.into_iter().flatten().for_each(&mut *show);
                }
            }
        }
    }

    /// Keeps mails. What is returned survives a kill.
    fn keep_all<'m>(
        &mut self,
        mails: impl IntoIterator<Item = &'m Delivery>,
    ) -> Result<Vec<ReadMail>, JobError> {
        let today = self.workspace.clock().wall().0.div_euclid(IMPORT_MICROS);
        if self.day != today {
            self.read.begin_import();
            self.day = today;
        }
        // A mail without a token may be about a run that began since the last look.
        self.read.runs()?.refresh()?;
        let mut kept = Vec::new();
        let mut failure = None;
        for mail in mails {
            for recipient in &recipients(mail) {
                match self.read.deliver(recipient, &mail.content) {
                    Ok(mails) => kept.extend(mails),
                    Err(error) => failure = Some(error),
                }
            }
        }
        match (self.read.finish(), failure) {
            (Ok(rest), None) => kept.extend(rest),
            (Err(error), _) | (Ok(_), Some(error)) => return Err(error),
        }
        self.failure = None;
        Ok(kept)
    }

    /// Says once why mails are deferred.
    fn report(&mut self, error: &JobError) {
        let text = chain(error);
        if self.failure.as_ref() != Some(&text) {
            self.workspace.warn(format!("mails are deferred: {text}"));
            self.failure = Some(text);
        }
    }
}

fn kept_or_failed(is_kept: bool) -> Answer {
    if is_kept { Answer::Accepted } else { Answer::Failed }
}

/// No run has made this return path, and no settings name it.
fn unknown(recipient: &str) -> Answer {
    let text = format!("<{recipient}>: no mail came from here with this return path");
    Answer::Refused { code: 550, enhanced: "5.1.1", text }
}

/// Each counts once.
fn recipients(mail: &Delivery) -> BTreeSet<String> {
    mail.recipients.iter().map(|recipient| recipient.to_lowercase()).collect()
}

fn key(address: &Address) -> String {
    AddressKey::from(address).as_str().to_owned()
}

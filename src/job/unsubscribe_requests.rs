//! Recipients who follow their unsubscribe links. What is answered "done" is durable, and in the
//! suppression list.
//!
//! One thread owns the log. Requests that came while others were written are kept together, in one
//! transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::error::{JobError, chain};
use super::feedback_settings::policy;
use super::token_error::TokenRefused;
use super::unsubscribes::{TokenSecrets, Unsubscribed, Unsubscribes};
use super::workspace::Workspace;
use crate::compose::token::Token;
use crate::feedback::{Action, By, Effect, FeedbackLog, Import, Kind, Policy, Record, content_hash};
use crate::mail::Timestamp;
use crate::suppression::{NewEntry, Reason, Term};

/// So many requests are kept together at most.
const TOGETHER: usize = 1_000;
/// Requests of one day are one import, which can be taken back.
const DAY_MICROS: i64 = 86_400_000_000;

/// Somebody wants no more mail.
#[derive(Debug)]
pub(crate) struct UnsubscribeRequest {
    /// The token of the link as it is written.
    pub text: String,
    /// What it says.
    pub token: Token,
    /// Hears what became of it. Who asked may be gone by then.
    pub answer: oneshot::Sender<Unsubscribing>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsubscribing {
    /// It is durable: the recipient gets no more of this mail.
    Done,
    /// Nothing: the link is that of a test message.
    Test,
    /// Nothing: the recipient can't be found any longer.
    Gone,
    /// Nothing yet: the state can't be written.
    Failed,
}

/// Keeps what recipients ask for.
pub(crate) struct UnsubscribeRequests<'w> {
    workspace: &'w Workspace,
    unsubscribes: Unsubscribes<'w>,
    log: Arc<dyn FeedbackLog>,
    policy: Policy,
    import: Import,
    /// The day of the current import.
    day: i64,
    /// The failure that was reported last.
    failure: Option<String>,
}

impl<'w> UnsubscribeRequests<'w> {
    /// Keeps requests with tokens that were made with one of `secrets`. `source` names the import.
    pub(crate) fn new(
        workspace: &'w Workspace,
        secrets: TokenSecrets,
        source: &str,
    ) -> Result<Self, JobError> {
        Ok(Self {
            workspace,
            unsubscribes: Unsubscribes::with(workspace, secrets)?,
            log: workspace.state()?.feedback()?,
            policy: policy(workspace)?,
            import: Import { id: None, source: source.to_owned() },
            day: 0,
            failure: None,
        })
    }

    /// Answers requests until nobody is left who could ask. Blocks.
    pub(crate) fn keep(mut self, mut requests: mpsc::Receiver<UnsubscribeRequest>) {
        while let Some(first) = requests.blocking_recv() {
            let mut together = vec![first];
            while together.len() < TOGETHER
                && let Ok(next) = requests.try_recv()
            {
                together.push(next);
            }
            self.answer(together);
        }
    }

    fn answer(&mut self, requests: Vec<UnsubscribeRequest>) {
        let mut found = Vec::new();
        for UnsubscribeRequest { text, token, answer } in requests {
            match self.unsubscribes.of(token) {
                Ok(who) => found.push((text, who, answer)),
                Err(TokenRefused::Test { .. }) => {
                    let _ = answer.send(Unsubscribing::Test);
                }
                Err(refused) => {
                    self.workspace.warn(format!("somebody can't be unsubscribed: {refused}"));
                    let _ = answer.send(Unsubscribing::Gone);
                }
            }
        }
        if found.is_empty() {
            return;
        }
        let asked: Vec<(&str, &Unsubscribed)> =
            found.iter().map(|(text, who, _)| (text.as_str(), who)).collect();
        let answered = match self.keep_all(&asked) {
            Ok(()) => {
                self.failure = None;
                Unsubscribing::Done
            }
            Err(error) => {
                self.report(&error);
                Unsubscribing::Failed
            }
        };
        for (_, _, answer) in found {
            let _ = answer.send(answered);
        }
    }

    /// Keeps requests, all or nothing; what was kept survives a kill.
    fn keep_all(&mut self, asked: &[(&str, &Unsubscribed)]) -> Result<(), JobError> {
        let now = self.workspace.clock().wall();
        let today = now.0.div_euclid(DAY_MICROS);
        if self.day != today {
            self.import.id = None;
            self.day = today;
        }
        let records: Vec<Record> = asked.iter().map(|(text, who)| record(text, who, now)).collect();
        let effects = self.log.append(&mut self.import, &records, &self.policy, now)?;
        // Who follows a link again may have been taken off the list meanwhile.
        let again = asked.iter().zip(effects).filter(|(_, effect)| *effect == Effect::ReadBefore);
        let mut again = again.map(|((_, who), _)| entry(who)).peekable();
        if again.peek().is_some() {
            self.workspace.suppressions()?.import(&mut again, now)?;
        }
        Ok(())
    }

    /// Says once why requests fail.
    fn report(&mut self, error: &JobError) {
        let text = chain(error);
        if self.failure.as_ref() != Some(&text) {
            self.workspace.warn(format!("recipients can't unsubscribe: {text}"));
            self.failure = Some(text);
        }
    }
}

/// What is kept of a request: the same however often the link is followed.
fn record(text: &str, who: &Unsubscribed, now: Timestamp) -> Record {
    Record {
        address: Some(who.address.clone()),
        campaign: Some(who.token.campaign.clone()),
        run: Some(who.token.run.clone()),
        row: who.token.row,
        by: Some(By::Link),
        trusted: true,
        action: Action::Unsubscribe,
        scope: who.scope.clone(),
        ..Record::of_mail(content_hash(format!("link\n{text}").as_bytes()), Kind::Unsubscribe, now)
    }
}

fn entry(who: &Unsubscribed) -> NewEntry {
    NewEntry {
        email: who.address.to_string(),
        address: who.address.clone(),
        scope: who.scope.clone(),
        reason: Reason::Unsubscribe,
        source: format!("link of {}", who.run()),
        term: Term::Permanent,
    }
}

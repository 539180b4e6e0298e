//! Mails that programs hand over by SMTP (RFC 6409): an account logs in, sends from its own
//! addresses only, and hears 250 once its mail is durable in the spool.

use std::collections::HashMap;
use std::sync::Arc;

use mail_auth::AuthenticatedMessage;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::accounts::Account;
use super::certificates::Certificates;
use super::gate::Gate;
use super::problem::Problem;
use super::settings::SubmissionSettings;
use crate::job::Workspace;
use crate::kit::socket::{BindError, Place};
use crate::listener::{Answer, Delivery, Listener, Request, Stop, Terms, Tls};
use crate::mail::Address;
use crate::spool::{Spool, SpoolMail};

/// Connections at once, in each way of TLS.
const CONNECTIONS: usize = 200;
/// The largest mail.
const MAIL_BYTES: usize = 16 << 20;
/// All mails in memory.
const ROOM_BYTES: usize = 64 << 20;
/// An hour in microseconds.
const HOUR: i64 = 3_600_000_000;

/// What is listened on.
pub(super) struct Submission<'w> {
    listeners: Vec<(Listener, Terms)>,
    keeper: Keeper<'w>,
}

/// Answers the listeners.
struct Keeper<'w> {
    workspace: &'w Workspace,
    spool: Spool,
    gate: Arc<Gate>,
    accounts: HashMap<String, Account>,
    /// The hour of each account, and its recipients in it.
    taken: HashMap<Arc<str>, (i64, u64)>,
    /// The failure that was reported last.
    failure: Option<String>,
}

impl<'w> Submission<'w> {
    pub(super) async fn bind(
        workspace: &'w Workspace,
        settings: &SubmissionSettings,
        gate: Arc<Gate>,
        spool: Spool,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<Self, BindError> {
        let tls = |is_implicit| {
            certificates.map(|certificates| {
                let certificates = Arc::clone(certificates);
                Tls { is_implicit, acceptor: Arc::new(move || certificates.acceptor()) }
            })
        };
        let mut listeners = Vec::new();
        for (places, is_implicit) in [(&settings.listen, false), (&settings.listen_tls, true)] {
            if places.is_empty() {
                continue;
            }
            listeners.push((Listener::bind(places).await?, terms(tls(is_implicit))));
        }
        let accounts = settings.accounts.iter().map(|account| (account.name.clone(), account.clone()));
        let keeper = Keeper {
            workspace,
            spool,
            gate,
            accounts: accounts.collect(),
            taken: HashMap::new(),
            failure: None,
        };
        Ok(Self { listeners, keeper })
    }

    /// Where it listens: with TLS from the first byte, or not.
    pub(super) fn places(&self) -> Vec<(Vec<Place>, bool)> {
        let places = self.listeners.iter().map(|(listener, terms)| {
            (listener.places(), terms.tls.as_ref().is_some_and(|tls| tls.is_implicit))
        });
        places.collect()
    }

    /// What answers the listeners, and the listeners, which run until `stop` holds true.
    pub(super) fn split(
        self,
        stop: watch::Receiver<bool>,
    ) -> (impl FnOnce(&Handle) + Send + use<'w>, impl Future<Output = ()> + use<'w>) {
        let Self { listeners, mut keeper } = self;
        let (to, mut requests) = mpsc::channel(CONNECTIONS);
        let keep = move |runtime: &Handle| keeper.keep(runtime, &mut requests);
        let serve = async move {
            let (say, ending) = watch::channel(Stop::No);
            let mut serving = tokio::task::JoinSet::new();
            for (listener, terms) in listeners {
                serving.spawn(listener.serve(terms, to.clone(), ending.clone()));
            }
            drop(to);
            let mut stop = stop;
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => { say.send_replace(Stop::Drain); }
                () = async { while serving.join_next().await.is_some() {} } => {}
            }
            while serving.join_next().await.is_some() {}
        };
        (keep, serve)
    }
}

fn terms(tls: Option<Tls>) -> Terms {
    Terms {
        host: "mailrun.localhost",
        greeting: "ESMTP, submission",
        help: "Mails of registered senders",
        lmtp: false,
        login: true,
        is_strict: true,
        mail_bytes: MAIL_BYTES,
        room_bytes: ROOM_BYTES,
        recipients: 1_000,
        connections: CONNECTIONS,
        tls,
    }
}

fn refused(code: u16, enhanced: &'static str, text: impl Into<String>) -> Answer {
    Answer::Refused { code, enhanced, text: text.into() }
}

impl Keeper<'_> {
    /// Answers until no listener is left. Mails that came while others were written are kept
    /// together, with one sync for all of an account.
    fn keep(&mut self, runtime: &Handle, requests: &mut mpsc::Receiver<Request>) {
        while let Some(first) = runtime.block_on(requests.recv()) {
            let mut mails = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Login { login, from, answer } => {
                        let gate = Arc::clone(&self.gate);
                        runtime.spawn(async move {
                            let said = match gate.login(&login.user, login.password, from).await {
                                Ok(account) if account.submit.is_some() => Answer::Accepted,
                                Ok(_) | Err(Problem::Unknown) => {
                                    refused(535, "5.7.8", "Error: authentication failed")
                                }
                                Err(_) => Answer::Failed,
                            };
                            answered(answer, said);
                        });
                    }
                    Request::From { user, address, answer } => answered(answer, self.sender(&user, &address)),
                    Request::Accept { recipient, answer } => answered(answer, recipient_is_fine(&recipient)),
                    Request::Keep { mail, answer } => mails.push((mail, answer)),
                }
                next = requests.try_recv().ok();
            }
            self.keep_mails(mails);
        }
    }

    fn sender(&self, user: &str, address: &str) -> Answer {
        let is_own =
            |account: &Account| Address::parse(address).is_ok_and(|address| account.sends_from(&address));
        match self.accounts.get(user).is_some_and(is_own) {
            true => Answer::Accepted,
            false => refused(550, "5.7.1", "Error: not a sender address of this account"),
        }
    }

    fn keep_mails(&mut self, mails: Vec<(Delivery, oneshot::Sender<Answer>)>) {
        let mut taken = Vec::new();
        for (mail, answer) in mails {
            match self.problem(&mail) {
                Some(problem) => answered(answer, problem),
                None => taken.push((mail, answer)),
            }
        }
        let spooled: Vec<_> = taken.iter().map(|(mail, _)| spooled(mail)).collect();
        if spooled.is_empty() {
            return;
        }
        let said = match self.spool.keep(&spooled, self.workspace.clock().wall()) {
            Ok(()) => {
                self.failure = None;
                Answer::Accepted
            }
            Err(error) => {
                let text = error.to_string();
                if self.failure.as_ref() != Some(&text) {
                    self.workspace
                        .warn(format!("mails of programs are deferred: the spool can't be written: {text}"));
                    self.failure = Some(text);
                }
                Answer::Failed
            }
        };
        for (_, answer) in taken {
            answered(answer, said.clone());
        }
    }

    /// Why a mail is not taken.
    fn problem(&mut self, mail: &Delivery) -> Option<Answer> {
        let user = mail.user.as_ref()?;
        let account = self.accounts.get(&**user)?;
        let parsed = AuthenticatedMessage::parse(&mail.content);
        let from = parsed.as_ref().map(|parsed| parsed.from.as_slice()).unwrap_or_default();
        let is_own = |from: &String| Address::parse(from).is_ok_and(|from| account.sends_from(&from));
        if from.is_empty() || !from.iter().all(is_own) {
            return Some(refused(550, "5.7.1", "Error: `From` is not a sender address of this account"));
        }
        let most = account.submit.and_then(|submit| submit.recipients_per_hour)?.get();
        let hour = self.workspace.clock().wall().0.div_euclid(HOUR);
        let taken = self.taken.entry(Arc::clone(user)).or_default();
        if taken.0 != hour {
            *taken = (hour, 0);
        }
        let sum = taken.1 + mail.recipients.len() as u64;
        if sum > most {
            return Some(refused(452, "4.7.1", format!("Error: more than {most} recipients in this hour")));
        }
        taken.1 = sum;
        None
    }
}

fn recipient_is_fine(recipient: &str) -> Answer {
    match Address::parse(recipient) {
        Ok(_) => Answer::Accepted,
        Err(_) => refused(550, "5.1.3", "Error: this is no address that mail can be sent to"),
    }
}

fn spooled(mail: &Delivery) -> SpoolMail<'_> {
    SpoolMail {
        account: mail.user.as_deref().unwrap_or_default(),
        from: &mail.return_path,
        recipients: &mail.recipients,
        eight_bit: mail.eight_bit,
        smtp_utf8: mail.smtp_utf8,
        content: &mail.content,
    }
}

/// Who asked may have gone.
fn answered(answer: oneshot::Sender<Answer>, what: Answer) {
    drop(answer.send(what));
}

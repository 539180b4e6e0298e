//! Mails that programs hand over by SMTP (RFC 6409): an account logs in, sends from its own
//! addresses only, and hears 250 once its mail is durable in the spool.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::accounts::Account;
use super::certificates::Certificates;
use super::gate::Gate;
use super::problem::Problem;
use super::settings::SubmissionSettings;
use crate::compose::handed_over;
use crate::job::Workspace;
use crate::kit::socket::{BindError, Place};
use crate::listener::{Answer, Delivery, Listener, Question, Request, Stop, Terms, Tls};
use crate::mail::{Address, Timestamp};
use crate::spool::{Spool, SpoolMail};

/// Connections at once, in each way of TLS.
const CONNECTIONS: usize = 200;
/// The largest mail.
const MAIL_BYTES: usize = 16 << 20;
/// All mails in memory.
const ROOM_BYTES: usize = 64 << 20;
/// Requests that are answered before mails that wait are written.
const AT_ONCE: usize = 256;
/// How long mails in transfer may take to arrive once it is to end.
const END_TIME: Duration = Duration::from_secs(15);
/// An hour in microseconds.
const HOUR: i64 = 3_600_000_000;

/// A mail with the fields that it lacks, and who waits for the answer.
type Taken = (Delivery, Vec<u8>, oneshot::Sender<Answer>);

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
    /// Mails so far, for the ids of those that have none.
    count: u64,
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
            count: 0,
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
            let ended = async { while serving.join_next().await.is_some() {} };
            if tokio::time::timeout(END_TIME, ended).await.is_err() {
                say.send_replace(Stop::Now);
                while serving.join_next().await.is_some() {}
            }
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
        connections_of_one: CONNECTIONS / 4,
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
            let mut answers = 0;
            while let Some(request) = next {
                answers += 1;
                let Request { question, from, answer } = request;
                match question {
                    Question::Login(login) => {
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
                    Question::From(user, address) => answered(answer, self.sender(&user, &address)),
                    Question::Accept(recipient) => answered(answer, recipient_is_fine(&recipient)),
                    Question::Keep(mail) => mails.push((mail, answer)),
                }
                next = if answers < AT_ONCE { requests.try_recv().ok() } else { None };
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

    /// Keeps mails, those of an account together: what fails for one is not the others'.
    fn keep_mails(&mut self, mails: Vec<(Delivery, oneshot::Sender<Answer>)>) {
        let now = self.workspace.clock().wall();
        let mut taken: BTreeMap<Arc<str>, Vec<Taken>> = BTreeMap::new();
        for (mail, answer) in mails {
            match self.checked(&mail, now) {
                Ok((user, added)) => taken.entry(user).or_default().push((mail, added, answer)),
                Err(problem) => answered(answer, problem),
            }
        }
        for (user, mails) in taken {
            let spooled: Vec<_> = mails.iter().map(|(mail, added, _)| spooled(mail, added)).collect();
            let said = match self.spool.keep(&user, &spooled, now) {
                Ok(()) => {
                    self.failure = None;
                    Answer::Accepted
                }
                Err(error) => {
                    // They come again, and count then.
                    if let Some(taken) = self.taken.get_mut(&user) {
                        let back: usize = spooled.iter().map(|mail| mail.recipients.len()).sum();
                        taken.1 = taken.1.saturating_sub(back as u64);
                    }
                    self.report(&user, &error.to_string());
                    Answer::Failed
                }
            };
            for (_, _, answer) in mails {
                answered(answer, said.clone());
            }
        }
    }

    /// Says once why mails are deferred.
    fn report(&mut self, user: &str, problem: &str) {
        let text = format!("mails of `{user}` are deferred: the spool can't be written: {problem}");
        if self.failure.as_ref() != Some(&text) {
            self.workspace.warn(text.clone());
            self.failure = Some(text);
        }
    }

    /// Who handed a mail over, and the fields that it lacks; or why it is not taken.
    fn checked(&mut self, mail: &Delivery, now: Timestamp) -> Result<(Arc<str>, Vec<u8>), Answer> {
        let known = mail.user.as_ref().and_then(|user| Some((user, self.accounts.get(&**user)?)));
        let Some((user, account)) = known else { return Err(Answer::Failed) };
        self.count += 1;
        let hash = blake3::hash(&mail.content).to_hex();
        let own_id = format!("{:x}.{:x}.{}", now.0, self.count, &hash[..16]);
        let (from, added) = handed_over(&mail.content, now, &own_id)
            .map_err(|problem| refused(554, "5.6.0", format!("Error: the message {problem}")))?;
        if !account.sends_from(&from) {
            return Err(refused(550, "5.7.1", "Error: `From` is not a sender address of this account"));
        }
        if let Some(most) = account.submit.and_then(|submit| submit.recipients_per_hour) {
            let hour = now.0.div_euclid(HOUR);
            let taken = self.taken.entry(Arc::clone(user)).or_default();
            if taken.0 != hour {
                *taken = (hour, 0);
            }
            let sum = taken.1 + mail.recipients.len() as u64;
            if sum > most.get() {
                return Err(refused(
                    452,
                    "4.7.1",
                    format!("Error: more than {most} recipients in this hour"),
                ));
            }
            taken.1 = sum;
        }
        Ok((Arc::clone(user), added))
    }
}

fn recipient_is_fine(recipient: &str) -> Answer {
    match Address::parse(recipient) {
        Ok(_) => Answer::Accepted,
        Err(_) => refused(550, "5.1.3", "Error: this is no address that mail can be sent to"),
    }
}

fn spooled<'m>(mail: &'m Delivery, added: &'m [u8]) -> SpoolMail<'m> {
    SpoolMail {
        from: &mail.return_path,
        recipients: &mail.recipients,
        eight_bit: mail.eight_bit,
        smtp_utf8: mail.smtp_utf8,
        added,
        content: &mail.content,
    }
}

/// Who asked may have gone.
fn answered(answer: oneshot::Sender<Answer>, what: Answer) {
    drop(answer.send(what));
}

//! An open mailbox: its mails in groups, which are fetched, and marked once they are kept.

use std::collections::VecDeque;
use std::io;

use async_imap::{Client, Session, error::Error};
use futures_util::TryStreamExt;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::bounded::Bounded;
use super::settings::{Done, Mailbox, MailboxTls};
use crate::feedback::source::{Found, MAIL_BYTES, Source};
use crate::smtp::{Password, Secrets, Security, Stream};

/// How long connecting may take, with TLS.
const CONNECT_TIME: Duration = Duration::from_secs(30);
/// So many mails are fetched with one command,
const MAILS: usize = 200;
/// of so many bytes together, if it is more than one.
const GROUP_BYTES: usize = 4 << 20;
/// Whatever is answered besides mails: lines of text, and a number for each mail of a folder.
const ANSWER_BYTES: usize = 16 << 20;
/// What comes with each mail.
const AROUND_MAIL: usize = 4 << 10;

/// A mailbox can't be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} mailbox `{mailbox}`: {why}")]
pub struct MailboxError {
    mailbox: String,
    action: &'static str,
    why: String,
}

/// Mails that are fetched together.
#[derive(Debug)]
pub struct Group {
    mails: Vec<(u32, usize)>,
}

impl Group {
    /// Leaves the mails with these UIDs as they are on the server.
    pub fn leave(&mut self, uids: impl Iterator<Item = u64>) {
        let left: Vec<u64> = uids.collect();
        self.mails.retain(|(uid, _)| !left.contains(&u64::from(*uid)));
    }
}

/// See the module.
#[derive(Debug)]
pub struct Inbox {
    settings: Mailbox,
    session: Session<Bounded<Stream>>,
    secrets: Secrets,
    can_move: bool,
    can_expunge: bool,
    /// What is not yet in a group, in order.
    uids: VecDeque<u32>,
}

impl Inbox {
    /// Connects, logs in, and looks for the mails that were not read. With `read_only`, the folder
    /// can't be changed.
    pub async fn open(
        settings: &Mailbox,
        password: &Password,
        read_only: bool,
    ) -> Result<Self, MailboxError> {
        let secrets = password.among(Secrets::default());
        let failed = |action: &'static str| {
            let secrets = secrets.clone();
            move |error: Error| failure(settings, action, &secrets, &error)
        };
        let client = timeout(CONNECT_TIME, connect(settings)).await;
        let client = client.unwrap_or_else(|_| Err(Error::Io(io::ErrorKind::TimedOut.into())));
        let client = client.map_err(failed("connect to"))?;
        let login = client.login(&settings.username, password.reveal()).await;
        let session = login.map_err(|(error, _)| failed("log in to")(error))?;
        let mut inbox = Self {
            settings: settings.clone(),
            session,
            secrets: secrets.clone(),
            can_move: false,
            can_expunge: false,
            uids: VecDeque::new(),
        };
        inbox.look(read_only).await.map_err(failed("open"))?;
        Ok(inbox)
    }

    /// Selects the folder, and looks for mails.
    async fn look(&mut self, read_only: bool) -> Result<(), Error> {
        self.allow(ANSWER_BYTES);
        let can = self.session.capabilities().await?;
        (self.can_move, self.can_expunge) = (can.has_str("MOVE"), can.has_str("UIDPLUS"));
        if let Done::Move(_) = self.settings.done
            && !self.can_move
            && !self.can_expunge
        {
            return Err(Error::No("it can't move mails; use `done = \"flag\"`".to_owned()));
        }
        match read_only {
            true => self.session.examine(&self.settings.folder).await?,
            false => self.session.select(&self.settings.folder).await?,
        };
        let unread = match self.settings.done {
            Done::Flag => "UNDELETED UNFLAGGED",
            Done::Move(_) | Done::Delete => "UNDELETED",
        };
        let mut uids: Vec<u32> = self.session.uid_search(unread).await?.into_iter().collect();
        uids.sort_unstable();
        self.uids = uids.into();
        Ok(())
    }

    /// The next mails; none at the end.
    pub async fn next_group(&mut self) -> Result<Option<Group>, MailboxError> {
        while !self.uids.is_empty() {
            let mut sizes = self.sizes().await.map_err(|error| self.failed("read", &error))?;
            let asked = self.uids.len().min(MAILS);
            sizes.sort_unstable();
            let mut bytes = 0;
            let fitting = sizes.iter().position(|(_, size)| {
                bytes += size;
                bytes > GROUP_BYTES
            });
            match fitting {
                None => drop(self.uids.drain(..asked)),
                Some(more) => {
                    sizes.truncate(more.max(1));
                    let last = sizes.last().map_or(0, |(uid, _)| *uid);
                    while self.uids.front().is_some_and(|uid| *uid <= last) {
                        self.uids.pop_front();
                    }
                }
            }
            // All may be gone in the meantime.
            if !sizes.is_empty() {
                return Ok(Some(Group { mails: sizes }));
            }
        }
        Ok(None)
    }

    async fn sizes(&mut self) -> Result<Vec<(u32, usize)>, Error> {
        let asked: Vec<u32> = self.uids.iter().take(MAILS).copied().collect();
        self.allow(ANSWER_BYTES);
        let mut found = Vec::new();
        let mut fetched = self.session.uid_fetch(set(&asked), "(UID RFC822.SIZE)").await?;
        while let Some(mail) = fetched.try_next().await? {
            if let (Some(uid), Some(size)) = (mail.uid, mail.size)
                && asked.binary_search(&uid).is_ok()
                && found.len() < MAILS
            {
                found.push((uid, size as usize));
            }
        }
        Ok(found)
    }

    /// Shows each mail of a group to `visit`. What the server does not give is no longer in the
    /// group. Only the first 16 MiB of a mail are read.
    pub async fn fetch(
        &mut self,
        group: &mut Group,
        mut visit: impl FnMut(&Source, Found<'_>),
    ) -> Result<(), MailboxError> {
        let given = self.fetch_each(group, &mut visit).await;
        given.map_err(|error| self.failed("read", &error))
    }

    async fn fetch_each(
        &mut self,
        group: &mut Group,
        visit: &mut impl FnMut(&Source, Found<'_>),
    ) -> Result<(), Error> {
        // Some servers are not exact about sizes.
        let around = |size: usize| size.min(MAIL_BYTES) + size.min(MAIL_BYTES) / 4 + AROUND_MAIL;
        let expected: usize = group.mails.iter().map(|(_, size)| around(*size)).sum();
        self.allow(expected + (1 << 20));
        let uids: Vec<u32> = group.mails.iter().map(|(uid, _)| *uid).collect();
        let whole = group.mails.iter().all(|(_, size)| *size <= MAIL_BYTES);
        let what = if whole { "BODY.PEEK[]".to_owned() } else { format!("BODY.PEEK[]<0.{MAIL_BYTES}>") };
        let mut source = Source { path: self.settings.to_string().into(), number: None };
        let mut given = Vec::new();
        let mut fetched = self.session.uid_fetch(set(&uids), format!("(UID {what})")).await?;
        while let Some(mail) = fetched.try_next().await? {
            let (Some(uid), Some(bytes)) = (mail.uid, mail.body()) else { continue };
            let Ok(at) = group.mails.binary_search_by_key(&uid, |(uid, _)| *uid) else { continue };
            if given.contains(&uid) {
                continue;
            }
            let size = group.mails[at].1;
            given.push(uid);
            source.number = Some(u64::from(uid));
            let kept = &bytes[..bytes.len().min(MAIL_BYTES)];
            visit(&source, Found { bytes: kept, is_cut: size > MAIL_BYTES || kept.len() < bytes.len() });
        }
        group.mails.retain(|(uid, _)| given.contains(uid));
        Ok(())
    }

    /// Marks, moves or deletes the mails of a group, as the settings say.
    pub async fn done(&mut self, group: &Group) -> Result<(), MailboxError> {
        if group.mails.is_empty() {
            return Ok(());
        }
        let uids: Vec<u32> = group.mails.iter().map(|(uid, _)| *uid).collect();
        let (action, done) = match self.settings.done.clone() {
            Done::Flag => ("flag the mails of", self.store(&uids, "\\Flagged").await),
            Done::Move(to) => ("move the mails of", self.move_to(&uids, &to).await),
            Done::Delete => ("delete the mails of", self.delete(&uids).await),
        };
        done.map_err(|error| self.failed(action, &error))
    }

    async fn store(&mut self, uids: &[u32], flag: &str) -> Result<(), Error> {
        self.allow(ANSWER_BYTES);
        let command = format!("UID STORE {} +FLAGS.SILENT ({flag})", set(uids));
        self.session.run_command_and_check_ok(command).await
    }

    async fn move_to(&mut self, uids: &[u32], folder: &str) -> Result<(), Error> {
        self.allow(ANSWER_BYTES);
        let to = set(uids);
        let moved = match self.can_move {
            true => self.session.uid_mv(&to, folder).await,
            false => self.session.uid_copy(&to, folder).await,
        };
        match moved {
            // The folder is missing.
            Err(Error::No(_)) => {
                self.session.create(folder).await?;
                match self.can_move {
                    true => self.session.uid_mv(&to, folder).await?,
                    false => self.session.uid_copy(&to, folder).await?,
                }
            }
            moved => moved?,
        }
        if self.can_move { Ok(()) } else { self.delete(uids).await }
    }

    /// A server without UIDPLUS removes them when somebody expunges the folder.
    async fn delete(&mut self, uids: &[u32]) -> Result<(), Error> {
        self.store(uids, "\\Deleted").await?;
        if self.can_expunge {
            self.session.run_command_and_check_ok(format!("UID EXPUNGE {}", set(uids))).await?;
        }
        Ok(())
    }

    /// Logs out.
    pub async fn close(mut self) {
        self.allow(ANSWER_BYTES);
        // Everything is done: a server that fails here has lost nothing.
        drop(self.session.logout().await);
    }

    fn allow(&mut self, bytes: usize) {
        self.session.get_mut().allow(bytes);
    }

    fn failed(&self, action: &'static str, error: &Error) -> MailboxError {
        failure(&self.settings, action, &self.secrets, error)
    }
}

/// Connects, and secures the connection.
async fn connect(settings: &Mailbox) -> Result<Client<Bounded<Stream>>, Error> {
    let other = |error: String| Error::Io(io::Error::other(error));
    let connector =
        Security::verifier(settings.ca_file.as_deref()).map_err(|error| other(error.to_string()))?;
    let name = ServerName::try_from(settings.host.clone()).map_err(|error| other(error.to_string()))?;
    let mut tcp = TcpStream::connect((settings.host.as_str(), settings.port())).await?;
    tcp.set_nodelay(true)?;
    if settings.tls == MailboxTls::Starttls {
        let mut client = Client::new(Bounded::new(tcp, ANSWER_BYTES));
        greeting(&mut client).await?;
        client.run_command_and_check_ok("STARTTLS", None).await?;
        // What came in clear behind the answer is dropped with the client.
        tcp = client.into_inner().into_inner();
    }
    let tls = connector.connect(name, tcp).await.map_err(|error| other(Security::failure(&error)))?;
    let mut client = Client::new(Bounded::new(Stream::Tls(Box::new(tls)), ANSWER_BYTES));
    if settings.tls == MailboxTls::Implicit {
        greeting(&mut client).await?;
    }
    Ok(client)
}

async fn greeting<S>(client: &mut Client<S>) -> Result<(), Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::fmt::Debug + Send,
{
    client.read_response().await?.map(drop).ok_or(Error::ConnectionLost)
}

/// `1,2,5`.
fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn failure(settings: &Mailbox, action: &'static str, secrets: &Secrets, error: &Error) -> MailboxError {
    let why = match error {
        // What the server said; async-imap writes it as its code does.
        Error::No(said) | Error::Bad(said) => said
            .split_once("info: Some(\"")
            .and_then(|(_, info)| Some(info.strip_suffix("\")")?.to_owned()))
            .unwrap_or_else(|| said.clone()),
        Error::Io(error) => error.to_string(),
        Error::ConnectionLost => "the server closed the connection".to_owned(),
        error => error.to_string(),
    };
    MailboxError { mailbox: settings.to_string(), action, why: secrets.hidden(why) }
}

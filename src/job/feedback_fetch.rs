//! Mails in IMAP mailboxes, from the server to the log. A mail is marked, moved or deleted only
//! once its events are durable.

use std::io;

use super::error::JobError;
use super::feedback::FeedbackRead;
use super::read_mail::ReadMail;
use super::secret::mailbox_password;
use crate::feedback::mailbox::{Inbox, Mailbox, MailboxError};

/// Why a mailbox was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The state, or a secret.
    #[error(transparent)]
    Job(Box<JobError>),
    /// The server.
    #[error(transparent)]
    Mailbox(MailboxError),
    /// What was read can't be shown.
    #[error(transparent)]
    Shown(io::Error),
}

impl<E: Into<JobError>> From<E> for FetchError {
    fn from(error: E) -> Self {
        Self::Job(Box::new(error.into()))
    }
}

impl FeedbackRead<'_> {
    /// Reads the mails of a mailbox, and passes those that are kept to `show`. A dry run leaves
    /// them as they are.
    pub(crate) async fn fetch(
        &mut self,
        mailbox: &Mailbox,
        dry_run: bool,
        show: &mut impl FnMut(Vec<ReadMail>) -> io::Result<()>,
    ) -> Result<(), FetchError> {
        let password = mailbox_password(mailbox)?;
        let mut inbox = Inbox::open(mailbox, &password, dry_run).await.map_err(FetchError::Mailbox)?;
        while let Some(mut group) = inbox.next_group().await.map_err(FetchError::Mailbox)? {
            let mut kept = Ok(Vec::new());
            let fetched = inbox.fetch(&mut group, |source, mail| {
                if let Ok(mails) = &mut kept {
                    match self.read(source, mail) {
                        Ok(more) => mails.extend(more),
                        Err(error) => kept = Err(error),
                    }
                }
            });
            let fetched = fetched.await;
            // What came before the connection was lost counts.
            let mut kept = kept?;
            kept.extend(self.finish()?);
            let left_out = kept.iter().filter(|mail| mail.is_left_out);
            group.leave(left_out.filter_map(|mail| mail.source.number));
            let done = match fetched {
                Ok(()) if !dry_run => inbox.done(&group).await,
                fetched => fetched,
            };
            show(kept).map_err(FetchError::Shown)?;
            done.map_err(FetchError::Mailbox)?;
        }
        inbox.close().await;
        Ok(())
    }
}

//! One SMTP session as a server sees it: bytes in, replies and steps out (RFC 5321, 2920, 3030,
//! 3207, 4954).
//!
//! Does no I/O and, but for `rate-<n>`, has no clock: it returns the next step, and the driver in
//! [`super::connection`] takes it.

mod auth;
mod commands;
mod login;
mod replies;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::login::Login;
use super::faults::Dice;
use super::options::{Keep, Options};
use super::script::{Attempts, Deed, Point, Script};
use super::stats::{Counters, count};
use super::store::Accepted;
use crate::smtp::server::{Body, Content, Dots, Line, Lines, Want};

/// What the driver does next. Before any step but `Keep`, it writes the replies so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read more: everything complete in the input has been used.
    Read,
    /// Keep this message, then call [`Session::kept`].
    Keep(Accepted),
    /// Wait, then continue.
    Wait(Duration),
    /// Start TLS, then call [`Session::secured`].
    StartTls,
    /// Close gracefully.
    Close,
    /// Close without a farewell.
    Drop,
    /// Reset the connection.
    Reset,
    /// Stay silent; read on if `reading`.
    Stall { reading: bool },
}

/// What all sessions of a sandbox share.
#[derive(Debug)]
pub(super) struct Common {
    pub options: Options,
    pub attempts: Attempts,
    pub counters: Counters,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    common: Arc<Common>,
    connection: u64,
    peer: IpAddr,
    dice: Dice,
    secure: bool,
    logged_in: bool,
    /// What came with AUTH, for each reply; empty unless the options ask for it.
    repeated: String,
    /// The client's name and whether it said EHLO.
    greeted: Option<(Arc<str>, bool)>,
    transaction: Option<Transaction>,
    /// MAIL was refused: then commands that the client pipelined after it are out of sequence, but
    /// not by its own fault.
    mail_refused: bool,
    lines: Lines,
    state: State,
}

/// What the next input is, or what must happen before it.
#[derive(Debug)]
enum State {
    Command,
    Login(Login),
    /// Content after DATA.
    Data(Dots),
    /// Content after BDAT. If `refused`, it is skipped, and this is the reply.
    Chunk {
        size: u64,
        left: u64,
        last: bool,
        refused: Option<Ending>,
    },
    /// The driver is keeping the message; these are needed afterwards.
    Keeping {
        bytes: u64,
        recipients: u64,
        pause: Option<Duration>,
        ending: Ending,
    },
    /// A reply, or something instead of it, is due after a pause.
    Due {
        pause: Option<Duration>,
        ending: Ending,
    },
}

/// How an exchange ends.
#[derive(Debug)]
enum Ending {
    /// The message has been accepted.
    Queued,
    /// The same in three lines.
    QueuedMultiline,
    /// The same in a line that is far too long.
    QueuedOverlong,
    /// A reply with this code and these lines; 421 closes the connection.
    Reply(u16, String),
    /// RCPT is accepted.
    RecipientOk,
    /// Bytes that are not a reply, then the connection is closed.
    Garbage,
    /// No reply.
    Step(Step),
}

/// A mail transaction between MAIL and its end.
#[derive(Debug)]
struct Transaction {
    return_path: String,
    body: Body,
    smtp_utf8: bool,
    recipients: Vec<String>,
    /// The script of an accepted recipient, with its address; if one scripts the content, the first
    /// such.
    script: Option<(Script, String)>,
    /// From DATA or the first BDAT on.
    content: Option<Content>,
    /// What happens as soon as content arrives.
    in_content: Option<Deed>,
    /// A chunk was refused: so is the rest.
    failed: bool,
}

impl Session {
    /// The session of a new connection.
    pub(super) fn new(common: Arc<Common>, connection: u64, peer: IpAddr) -> Self {
        let dice = Dice::new(common.options.faults.clone(), connection);
        Self {
            common,
            connection,
            peer,
            dice,
            secure: false,
            logged_in: false,
            repeated: String::new(),
            greeted: None,
            transaction: None,
            mail_refused: false,
            lines: Lines::default(),
            state: State::Command,
        }
    }

    /// TLS is established. Everything before it is forgotten (RFC 3207 §4.2).
    pub(super) fn secured(&mut self) {
        self.secure = true;
        self.greeted = None;
        self.transaction = None;
    }

    /// The result of keeping a message: its queue id, or the error.
    pub(super) fn kept(&mut self, queue_id: io::Result<String>) {
        let State::Keeping { bytes, recipients, pause, ending } =
            std::mem::replace(&mut self.state, State::Command)
        else {
            unreachable!("the driver calls this only after `Step::Keep`")
        };
        let counters = &self.common.counters;
        let ending = match queue_id {
            Ok(id) => {
                counters.bytes.fetch_add(bytes, Ordering::Relaxed);
                counters.recipients.fetch_add(recipients, Ordering::Relaxed);
                count(if ending.is_reply() { &counters.accepted } else { &counters.unanswered });
                self.with_queue_id(ending, &id)
            }
            Err(error) => self.reply(452, "4.3.1", format_args!("Insufficient system storage: {error}")),
        };
        self.state = State::Due { pause, ending };
    }

    /// Processes input: advances `input` past what it uses, and adds replies to `out`.
    pub(super) fn advance(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Step {
        loop {
            let step = match &mut self.state {
                State::Command | State::Login(_) => self.line(input, out),
                State::Data(_) => self.data(input, out),
                State::Chunk { .. } => self.chunk(input, out),
                State::Keeping { .. } => unreachable!("the driver calls `kept` first"),
                State::Due { pause, .. } => match pause.take() {
                    Some(pause) => Some(Step::Wait(pause)),
                    None => self.end(out),
                },
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Reads one line and carries it out.
    fn line(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        match self.lines.next(input) {
            Line::Part => Some(Step::Read),
            Line::Refused(why) => {
                self.state = State::Command;
                self.client_error(out, 500, "5.5.2", why)
            }
            Line::Whole(line, text) => match std::mem::replace(&mut self.state, State::Command) {
                State::Login(login) => self.login(login, text, out),
                _ => self.command(line, text, !input.is_empty(), out),
            },
        }
    }

    /// Reads content after DATA.
    fn data(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        if input.is_empty() {
            return Some(Step::Read);
        }
        let State::Data(dots) = &mut self.state else { unreachable!("called in this state only") };
        let transaction = self.transaction.as_mut().expect("DATA is accepted in a transaction only");
        if let Some(deed) = transaction.in_content.take() {
            return self.interrupt(deed);
        }
        let content = transaction.content.as_mut().expect("DATA has begun the content");
        if !dots.read(input, |slice| content.push(slice)) {
            return Some(Step::Read);
        }
        self.content_end(!input.is_empty(), out)
    }

    /// Reads the content of a BDAT chunk (RFC 3030 §2).
    fn chunk(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        let State::Chunk { size, left, last, refused } = &mut self.state else {
            unreachable!("called in this state only")
        };
        if *left > 0 && input.is_empty() {
            return Some(Step::Read);
        }
        let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        let (slice, rest) = input.split_at(length);
        *input = rest;
        *left -= slice.len() as u64;
        let (size, left, last, refused) =
            (*size, *left, *last, if *left == 0 { refused.take() } else { None });
        if let Some(transaction) = self.transaction.as_mut()
            && let Some(content) = &mut transaction.content
        {
            if let Some(deed) = transaction.in_content.take() {
                return self.interrupt(deed);
            }
            content.push(slice);
        }
        if left > 0 {
            return Some(Step::Read);
        }
        self.state = State::Command;
        let more = !input.is_empty();
        match refused {
            Some(ending) => {
                if last {
                    self.transaction = None;
                    self.mail_refused = false;
                }
                self.finish_exchange(more, None, ending, out)
            }
            None if last => self.content_end(more, out),
            None => {
                let content = self.transaction.as_ref().and_then(|transaction| transaction.content.as_ref());
                let ending = match content.is_some_and(Content::too_large) {
                    true => self.reply(552, "5.3.4", "Error: message file too big"),
                    false => self.reply(250, "2.0.0", format_args!("Ok: {size} bytes")),
                };
                self.finish_exchange(more, None, ending, out)
            }
        }
    }

    /// The content is complete: decides what happens to the message.
    fn content_end(&mut self, more: bool, out: &mut Vec<u8>) -> Option<Step> {
        self.state = State::Command;
        let mut transaction = self.transaction.take().expect("content arrives only in a transaction");
        let mut content = transaction.content.take().expect("content has begun");
        content.end();
        let delay = self.common.options.delay;
        if let Some(ending) = self.refuse_content(&transaction, &content) {
            return self.finish_exchange(more, delay, ending, out);
        }
        let (pause, ending) = match self.content_deed(&transaction, Point::ContentEnd) {
            None => (delay, Ending::Queued),
            Some(Deed::Throttle(_)) => unreachable!("`Script::parse` gives this at RCPT only"),
            Some(Deed::Slow(time)) => (Some(time), Ending::Queued),
            Some(Deed::Multiline) => (delay, Ending::QueuedMultiline),
            Some(Deed::Overlong) => (delay, Ending::QueuedOverlong),
            Some(Deed::Garbage) => (delay, Ending::Garbage),
            Some(Deed::Drop) => (None, Ending::Step(Step::Drop)),
            Some(Deed::Reset) => (None, Ending::Step(Step::Reset)),
            Some(Deed::Stall) => (None, Ending::Step(Step::Stall { reading: true })),
            Some(Deed::Lose) => return self.interrupt(Deed::Drop),
            Some(Deed::Refuse { code, enhanced }) => {
                let recipient = transaction.recipients.first().map_or("", String::as_str);
                let ending = self.refusal(code, enhanced, Point::ContentEnd, recipient);
                return self.finish_exchange(more, delay, ending, out);
            }
        };
        if self.too_early(more) {
            return self.out_of_step(out);
        }
        let taken = Accepted {
            protocol: self.protocol(transaction.smtp_utf8),
            return_path: transaction.return_path,
            recipients: transaction.recipients,
            client: self.greeted.as_ref().map_or_else(|| Arc::from(""), |(name, _)| Arc::clone(name)),
            peer: self.peer,
            connection: self.connection,
            message_id: content.message_id(),
            bytes: content.bytes,
            replied: ending.is_reply(),
            content: content.into_bytes(),
        };
        let (bytes, recipients) = (taken.bytes, taken.recipients.len() as u64);
        self.state = State::Keeping { bytes, recipients, pause, ending };
        Some(Step::Keep(taken))
    }

    /// Ends an exchange, unless the client should have waited for the reply and has not.
    fn finish_exchange(
        &mut self,
        more: bool,
        pause: Option<Duration>,
        ending: Ending,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        if self.too_early(more) {
            return self.out_of_step(out);
        }
        self.state = State::Due { pause: pause.filter(|pause| !pause.is_zero()), ending };
        None
    }

    /// True if the client has sent more although it must wait for the reply (RFC 2920 §3.1).
    fn too_early(&self, more: bool) -> bool {
        let extended = self.greeted.as_ref().is_some_and(|(_, extended)| *extended);
        more && !(extended && self.common.options.extensions.pipelining)
    }

    /// The scripted or random fault for this point of the content.
    fn content_deed(&mut self, transaction: &Transaction, point: Point) -> Option<Deed> {
        match &transaction.script {
            Some((script, address)) => (script.point == point && self.common.attempts.acts(script, address))
                .then(|| script.deed.clone()),
            None => self.dice.throw(point),
        }
    }

    /// How much of the content to keep.
    fn want(&self) -> Want {
        match (&self.common.options.keep, &self.common.options.record) {
            (Keep::Eml(_), _) => Want::All,
            (Keep::Discard | Keep::Count, Some(_)) => Want::MessageId,
            (Keep::Discard | Keep::Count, None) => Want::Nothing,
        }
    }
}

impl Ending {
    /// True if the client gets a reply.
    fn is_reply(&self) -> bool {
        match self {
            Self::Queued
            | Self::QueuedMultiline
            | Self::QueuedOverlong
            | Self::Reply(..)
            | Self::RecipientOk => true,
            Self::Garbage | Self::Step(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;

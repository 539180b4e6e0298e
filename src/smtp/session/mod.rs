//! The transaction loop as a state machine without I/O and without a clock (RFC 5321 §3.3).
//!
//! Transactions go in with [`Session::submit`], bytes go out with [`Session::chunks`] and
//! [`Session::wrote`], replies come in with [`Session::on_bytes`], and exactly one report a
//! transaction comes out of [`Session::next_report`]. It never copies content, and always takes a
//! reply as the answer to the oldest command without one.
//!
//! | the server offers | one message is written as |
//! |---|---|
//! | PIPELINING and CHUNKING (RFC 2920, RFC 3030) | `MAIL RCPT… BDAT n LAST` and the content: one round trip |
//! | PIPELINING | `MAIL RCPT… DATA`, after the 354 content and dot: two round trips |
//! | neither | step by step |
//!
//! Each recipient has a RCPT and a fate of its own: a refusal of its RCPT is its fate alone, and
//! the content goes to the rest. All other replies decide for all whose fate is still open. The
//! report comes with the last fate.
//!
//! An archive address gets a RCPT of its own after the recipients'. Its reply never decides a
//! recipient's fate; it is part of their report, which waits for it. If all recipients are refused,
//! the archive gets no copy: the content waits for the replies to the envelope. With
//! [`Extensions::archive_strict`] it doesn't, and what was written in one go reaches the archive.
//!
//! With a depth above one the next message follows in the same write, after a RSET: it is not known
//! yet whether the message before it left a transaction open at the server (RCPT refused, BDAT
//! failed). Otherwise RSET is sent only after such a failure.

mod ending;
mod outgoing;
mod reading;
mod writing;

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod many_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use crate::campaign::Timeouts;
use crate::mail::{Reply, Timestamp};

use outgoing::Outgoing;

use super::codec::ReplyParser;
use super::{
    Capabilities, Command, Extensions, Fate, NotStarted, Report, Secrets, SessionError, Transaction, Unfit,
};

/// The transactions of one session, after its opening.
#[derive(Debug)]
pub struct Session {
    capabilities: Capabilities,
    depth: usize,
    window_bytes: u64,
    timeouts: Timeouts,
    extensions: Extensions,
    /// What no reply may show.
    secrets: Secrets,
    parser: ReplyParser,
    /// Transactions that wait for a reply or have something to write, oldest first. Only the last
    /// has anything to write, and the oldest command without a reply is always the first's.
    active: VecDeque<Active>,
    outgoing: Outgoing,
    /// True when the server may still have a transaction open: RSET comes before the next MAIL.
    stale: bool,
    /// Why the session takes no more transactions and writes nothing more.
    ended: Option<SessionError>,
    reports: VecDeque<Made>,
    /// Counts replies and writes.
    progress: u64,
}

/// A report on its way to the caller.
#[derive(Debug)]
struct Made {
    report: Report,
    /// The complete message was handed to the socket.
    complete: bool,
}

/// A transaction in flight.
#[derive(Debug)]
struct Active {
    transaction: Transaction,
    /// What to write next.
    next: Step,
    /// Commands without a reply.
    unanswered: usize,
    /// 354 has come.
    go_ahead: bool,
    /// Recipients whose RCPT has its reply.
    rcpts_answered: usize,
    /// The known fates of the recipients; empty once they are reported.
    fates: Vec<Option<Fate>>,
    /// How many of them are not known.
    open: usize,
    /// Every fate is known, and the report is made.
    reported: bool,
    /// The report, while it waits for the archive's reply.
    held: Option<Made>,
    /// The server accepted the archive's RCPT.
    archive_accepted: bool,
    /// The reply that decided about the archive's copy.
    archive: Option<Reply>,
    /// The position in the stream where its first command begins, and when it began; `None` before.
    started: Option<(u64, Timestamp)>,
    /// The position in the stream where the complete message ends; `None` until it is queued.
    complete_at: Option<u64>,
}

/// What a transaction writes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing has been written: it can still be skipped.
    Begin,
    Reset,
    Mail,
    /// RCPT for the recipient with this index.
    Rcpt(usize),
    ArchiveRcpt,
    Data,
    /// After DATA: the content and the dot.
    Content,
    /// BDAT with the content.
    Chunk,
    /// Nothing: everything is queued.
    Done,
}

/// The longest wait for the reply to QUIT: nothing depends on it.
const FAREWELL: Duration = Duration::from_secs(2);

impl Session {
    /// A session after its opening. At most `depth` messages are in flight at once (one without
    /// PIPELINING). Another one begins only while at most `window_bytes` bytes, its own included,
    /// have no reply yet.
    pub fn new(capabilities: Capabilities, timeouts: Timeouts, depth: usize, window_bytes: usize) -> Self {
        Self {
            capabilities,
            depth: if capabilities.pipelining { depth.max(1) } else { 1 },
            window_bytes: window_bytes as u64,
            timeouts,
            extensions: Extensions::default(),
            secrets: Secrets::default(),
            parser: ReplyParser::default(),
            active: VecDeque::new(),
            outgoing: Outgoing::default(),
            stale: false,
            ended: None,
            reports: VecDeque::new(),
            progress: 0,
        }
    }

    /// The same session, with what no reply may show.
    pub fn hiding(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// The same session, with extensions that every message asks for.
    pub fn with(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }

    /// True when a transaction submitted now would begin now (or as soon as the window has room for
    /// it).
    pub fn has_room(&self) -> bool {
        self.ended.is_none()
            && self.active.len() < self.depth
            && self.active.back().is_none_or(|last| last.next == Step::Done)
    }

    /// Takes a transaction. It gets exactly one report, whatever happens. Without
    /// [`Session::has_room`] it is reported as not started.
    pub fn submit(&mut self, transaction: Transaction, now: Timestamp) {
        if let Some(reason) = self.unfit(&transaction) {
            return self.leave(&transaction, Fate::Unfit { reason }, now);
        }
        if let Some(error) = &self.ended {
            let why = NotStarted::Lost(error.clone());
            return self.leave(&transaction, Fate::NotStarted { why }, now);
        }
        if !self.has_room() {
            return self.leave(&transaction, Fate::NotStarted { why: NotStarted::Closed }, now);
        }
        let recipients = transaction.envelope.recipients.len();
        self.active.push_back(Active {
            transaction,
            next: Step::Begin,
            unanswered: 0,
            go_ahead: false,
            rcpts_answered: 0,
            fates: vec![None; recipients],
            open: recipients,
            reported: false,
            held: None,
            archive_accepted: false,
            archive: None,
            started: None,
            complete_at: None,
        });
        self.advance(now);
    }

    /// Sends QUIT. Only when nothing is in flight.
    pub fn quit(&mut self) {
        if self.ended.is_none() && self.is_idle() {
            self.outgoing.word(Command::Quit, b"QUIT\r\n");
            self.outgoing.seal();
        }
    }

    /// Fills `slices` with the next bytes to write; returns the number of slices filled.
    pub fn chunks<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.outgoing.slices(slices)
    }

    /// True when there is something to write.
    pub fn wants_write(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// True when the server has nothing to answer: whatever it says now, nobody asked for.
    pub fn is_quiet(&self) -> bool {
        self.outgoing.is_quiet()
    }

    /// The first `bytes` bytes of [`Session::chunks`] were handed to the socket.
    pub fn wrote(&mut self, bytes: usize) {
        self.progress += 1;
        self.outgoing.wrote(bytes);
    }

    /// The server's bytes, all that were read at once.
    ///
    /// If they end with a reply to nothing, one of the replies before it was one too many, and it
    /// can't be known which: then the reports that these replies made are not believed.
    pub fn on_bytes(&mut self, mut bytes: &[u8], now: Timestamp) {
        let before = self.reports.len();
        while !self.is_over() {
            let reply = self.parser.next(&mut bytes).map(|reply| {
                reply.map(|mut reply| {
                    self.secrets.hide_in(&mut reply);
                    reply
                })
            });
            match reply {
                Ok(Some(reply)) if self.is_unasked(&reply) => self.on_unasked(&reply, before, now),
                Ok(Some(reply)) => self.on_reply(reply, now),
                Ok(None) => break,
                Err(malformed) => {
                    self.break_off(SessionError::Protocol(self.secrets.hidden(malformed.to_string())), now)
                }
            }
        }
        self.advance(now);
    }

    /// The server has closed its side.
    pub fn on_eof(&mut self, now: Timestamp) {
        let error = match (self.awaiting(), &self.ended) {
            (_, Some(error)) => error.clone(),
            (Some(awaiting), None) => SessionError::Closed { awaiting },
            (None, None) => SessionError::ClosedIdle,
        };
        self.break_off(error, now);
    }

    /// Reading or writing failed.
    pub fn on_error(&mut self, error: &std::io::Error, now: Timestamp) {
        self.break_off(SessionError::from(error), now);
    }

    /// The server was silent for as long as [`Session::wait`] says.
    pub fn on_timeout(&mut self, now: Timestamp) {
        let error = match (self.awaiting(), &self.ended) {
            (_, Some(error)) => error.clone(),
            (Some(awaiting), None) => SessionError::Timeout { awaiting },
            (None, None) => return,
        };
        self.break_off(error, now);
    }

    /// How long to wait for the server before [`Session::on_timeout`]; `None` if it owes no reply.
    /// The time starts again whenever [`Session::progress`] or this changes.
    pub fn wait(&self) -> Option<Duration> {
        let oldest = self.outgoing.oldest()?;
        Some(match oldest.command {
            Command::Quit => self.timeouts.command.0.min(FAREWELL),
            _ if self.ended.is_some() => self.timeouts.command.0,
            _ if !self.outgoing.has_written(oldest.end) => self.timeouts.data.0,
            Command::Connect | Command::Ehlo | Command::StartTls | Command::Auth | Command::Rset => {
                self.timeouts.command.0
            }
            Command::Mail | Command::Rcpt | Command::ArchiveRcpt => self.timeouts.envelope.0,
            Command::Data => self.timeouts.data.0,
            Command::EndOfMessage => self.timeouts.end_of_data.0,
        })
    }

    /// Counts replies and writes.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// The next report.
    pub fn next_report(&mut self) -> Option<Report> {
        self.reports.pop_front().map(|made| made.report)
    }

    /// True when nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.active.is_empty() && self.outgoing.oldest().is_none()
    }

    /// True when the session is over and every transaction has its report.
    pub fn is_over(&self) -> bool {
        self.ended.is_some() && self.active.is_empty()
    }

    /// Why the session is over, or will be once the messages in flight have their fates.
    pub fn ended(&self) -> Option<&SessionError> {
        self.ended.as_ref()
    }

    fn awaiting(&self) -> Option<Command> {
        self.outgoing.oldest().map(|expected| expected.command)
    }

    /// An extension that the transaction needs and the server does not offer.
    fn unfit(&self, transaction: &Transaction) -> Option<Unfit> {
        let (message, offered) = (&transaction.message, &self.capabilities);
        let bytes = message.bytes as u64;
        match offered.size {
            Some(limit) if limit > 0 && bytes > limit => return Some(Unfit::SizeExceeded { bytes, limit }),
            Some(_) | None => {}
        }
        if self.extensions.require_tls && !offered.require_tls {
            return Some(Unfit::NeedsRequireTls);
        }
        if needs_smtputf8(transaction) && !offered.smtputf8 {
            return Some(Unfit::NeedsSmtputf8);
        }
        (message.eight_bit && !offered.eight_bit_mime).then_some(Unfit::NeedsEightBit)
    }

    /// Reports a transaction of which nothing was written.
    fn leave(&mut self, transaction: &Transaction, fate: Fate, now: Timestamp) {
        self.reports.push_back(Made { report: transaction.left(fate, now), complete: false });
    }
}

fn needs_smtputf8(transaction: &Transaction) -> bool {
    transaction.message.needs_smtputf8 || transaction.envelope.needs_smtputf8()
}

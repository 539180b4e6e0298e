//! What to write next, and what to wait for before it.

use crate::campaign::{Dsn, Notify};
use crate::mail::Timestamp;
use crate::smtp::codec::command;
use crate::smtp::{Capabilities, Command, Extensions, Fate, NotStarted, SessionError, Transaction};

use super::{Active, Session, Step, needs_smtputf8};

/// A message larger than this is not sent along with its envelope but after the reply to RCPT:
/// sending it to a refused recipient would waste more than the round trip.
const EAGER_BYTES: usize = 1_048_576;

impl Session {
    /// Queues everything that can be written now.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while self.ended.is_none() && self.step(now) {}
        self.outgoing.seal();
    }

    /// Takes one step of the last transaction; false if there is none to take.
    fn step(&mut self, now: Timestamp) -> bool {
        let Self { active, outgoing, capabilities, extensions, .. } = self;
        let Some(last) = active.back_mut() else { return false };
        if last.waits(capabilities, extensions) {
            return false;
        }
        if last.reported {
            self.step_after_refusal(now);
            return false;
        }
        last.next = match last.next {
            Step::Begin => return self.begin(now),
            Step::Reset => {
                outgoing.word(Command::Rset, b"RSET\r\n");
                Step::Mail
            }
            Step::Mail => {
                let message = &last.transaction.message;
                let parameters = command::MailParameters {
                    size: capabilities.size.map(|_| message.bytes),
                    eight_bit: message.eight_bit,
                    smtputf8: needs_smtputf8(&last.transaction),
                    require_tls: extensions.require_tls,
                    dsn: extensions.dsn(capabilities).map(|dsn| (dsn, message.message_id.as_str())),
                };
                let return_path = last.transaction.envelope.return_path.as_ref();
                outgoing.command(Command::Mail, |out| command::mail(out, return_path, parameters));
                Step::Rcpt(0)
            }
            Step::Rcpt(at) => {
                let envelope = &last.transaction.envelope;
                let recipient = &envelope.recipients[at];
                let never = envelope.is_copy.then(|| no_notification(capabilities)).flatten();
                let dsn = if envelope.is_copy { never.as_ref() } else { extensions.dsn(capabilities) };
                outgoing.command(Command::Rcpt, |out| command::rcpt(out, recipient, dsn));
                match &envelope.archive {
                    _ if at + 1 < envelope.recipients.len() => Step::Rcpt(at + 1),
                    Some(_) => Step::ArchiveRcpt,
                    None => after_rcpt(capabilities),
                }
            }
            Step::ArchiveRcpt => {
                if let Some(archive) = &last.transaction.envelope.archive {
                    let never = no_notification(capabilities);
                    let write = |out: &mut _| command::rcpt(out, archive, never.as_ref());
                    outgoing.command(Command::ArchiveRcpt, write);
                    last.unanswered += 1;
                }
                last.next = after_rcpt(capabilities);
                return true;
            }
            Step::Data => {
                outgoing.word(Command::Data, b"DATA\r\n");
                Step::Content
            }
            Step::Content => {
                outgoing.content(std::mem::take(&mut last.transaction.message.segments));
                last.complete_at = Some(outgoing.end());
                Step::Done
            }
            Step::Chunk => {
                outgoing.last_chunk(std::mem::take(&mut last.transaction.message.segments));
                last.complete_at = Some(outgoing.end());
                Step::Done
            }
            Step::Done => return false,
        };
        last.unanswered += 1;
        true
    }

    /// Begins the last transaction; false if it must wait or is skipped.
    fn begin(&mut self, now: Timestamp) -> bool {
        let Self { active, outgoing, .. } = self;
        let Some(last) = active.back_mut() else { return false };
        let unanswered = outgoing.unanswered_bytes();
        if unanswered > 0 && unanswered + last.transaction.wire_bytes() > self.window_bytes {
            return false;
        }
        if last.transaction.valid_until.is_some_and(|end| now >= end) {
            if let Some(left) = active.pop_back() {
                self.leave(&left.transaction, Fate::NotStarted { why: NotStarted::Expired }, now);
            }
            return false;
        }
        // Messages in flight may or may not leave a transaction open at the server: RSET is right
        // for both.
        let reset = self.stale || outgoing.oldest().is_some();
        last.started = Some((outgoing.end(), now));
        last.next = if reset { Step::Reset } else { Step::Mail };
        true
    }

    /// The step after a refusal: what the server still expects.
    fn step_after_refusal(&mut self, now: Timestamp) {
        if let Some(last) = self.active.back_mut() {
            if last.next == Step::Content && last.go_ahead {
                if last.archive_accepted {
                    // The dot would send an empty message to the archive.
                    return self.break_off(SessionError::Withheld, now);
                }
                // RFC 2920 §3.1: 354 although every RCPT was refused; a lone dot ends it.
                last.unanswered += 1;
                self.outgoing.word(Command::EndOfMessage, b".\r\n");
            }
            last.next = Step::Done;
        }
        self.retire();
    }

    /// Removes transactions that are done.
    pub(super) fn retire(&mut self) {
        let is_through = |first: &mut Active| first.next == Step::Done && first.unanswered == 0;
        while let Some(first) = self.active.pop_front_if(is_through) {
            self.reports.extend(first.into_held());
        }
    }
}

/// The step after the envelope.
fn after_rcpt(offered: &Capabilities) -> Step {
    if offered.chunking { Step::Chunk } else { Step::Data }
}

/// For the archive's copy: a notification about it would go to the recipient's return path.
fn no_notification(offered: &Capabilities) -> Option<Dsn> {
    offered.dsn.then(|| Dsn { notify: vec![Notify::Never], ret: None })
}

impl Active {
    /// True when the next step needs the replies to those before it.
    fn waits(&self, offered: &Capabilities, asked: &Extensions) -> bool {
        let Transaction { envelope, message, .. } = &self.transaction;
        let gate = match self.next {
            Step::Begin | Step::Done => false,
            // RFC 2920 §3.1: DATA ends a group of commands, since content is sent only after its
            // 354.
            Step::Content => true,
            // Written in one go, it would reach the archive even if its recipients are refused.
            Step::Chunk if envelope.archive.is_some() && !asked.archive_strict => true,
            Step::Chunk => !offered.pipelining || message.bytes > EAGER_BYTES,
            Step::Reset | Step::Mail | Step::Rcpt(_) | Step::ArchiveRcpt | Step::Data => !offered.pipelining,
        };
        gate && self.unanswered > 0
    }
}

//! Reply lines and their texts (RFC 5321 §4.2, RFC 2034, RFC 3463).

use std::fmt::Display;
use std::io::Write as _;

use super::super::script::{Deed, Point};
use super::super::stats::count;
use super::{Ending, Session, State, Step, Transaction};
use crate::mail::EnhancedStatus;
use crate::smtp::server::{Content, Offence, Refusal};

/// What `garbage-…` sends: nothing in it could be a reply code.
const GARBAGE: &[u8] = b"\x15\x03\x03\x00\x02\x02\x28 +OK maybe\r\n";

/// The length of the reply of `overlong-after-dot`.
const OVERLONG: usize = 100_000;

const VEC: &str = "writing to a Vec can't fail";

impl Session {
    /// The greeting, once the connection (and implicit TLS) is established.
    pub(crate) fn greet(&self, out: &mut Vec<u8>) {
        let name = &self.common.options.host_name;
        write!(out, "220 {name} ESMTP mailrun sandbox\r\n").expect(VEC);
    }

    /// The last line, when the sandbox stops or the client has been silent for too long.
    pub(crate) fn farewell(&self, why: &str, out: &mut Vec<u8>) {
        let name = &self.common.options.host_name;
        self.write(out, 421, "4.4.2", format_args!("{name} {why}, closing transmission channel"));
    }

    /// Writes one reply of one line.
    pub(super) fn write(&self, out: &mut Vec<u8>, code: u16, enhanced: impl Display, text: impl Display) {
        let repeated = &self.repeated;
        match self.common.options.extensions.enhanced_status_codes {
            true => write!(out, "{code} {enhanced} {text}{repeated}\r\n").expect(VEC),
            false => write!(out, "{code} {text}{repeated}\r\n").expect(VEC),
        }
    }

    /// A reply for later.
    pub(super) fn reply(&self, code: u16, enhanced: impl Display, text: impl Display) -> Ending {
        let mut line = Vec::new();
        self.write(&mut line, code, enhanced, text);
        Ending::Reply(code, String::from_utf8_lossy(&line).into_owned())
    }

    /// Answers a command that was in order.
    pub(super) fn answer(
        &mut self,
        out: &mut Vec<u8>,
        code: u16,
        enhanced: impl Display,
        text: impl Display,
    ) -> Option<Step> {
        self.write(out, code, enhanced, text);
        self.count_refusal(code);
        None
    }

    /// Answers a command that is malformed or out of sequence.
    pub(super) fn client_error(
        &mut self,
        out: &mut Vec<u8>,
        code: u16,
        enhanced: &str,
        text: impl Display,
    ) -> Option<Step> {
        self.write(out, code, enhanced, text);
        count(&self.common.counters.client_errors);
        None
    }

    /// Answers a command with a refusal of its form.
    pub(super) fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Option<Step> {
        self.client_error(out, refusal.code, refusal.enhanced, &refusal.text)
    }

    /// The client did not wait for a reply where it must, so its input can no longer be
    /// interpreted.
    pub(super) fn out_of_step(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        self.client_error(out, 503, "5.5.0", "Error: SMTP protocol synchronization");
        Some(Step::Close)
    }

    /// Carries out the ending that is due.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let State::Due { ending, .. } = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("called in this state only")
        };
        match ending {
            Ending::Reply(code, lines) => {
                out.extend_from_slice(lines.as_bytes());
                self.count_refusal(code);
                if code != 421 {
                    return None;
                }
                count(&self.common.counters.closed);
                Some(Step::Close)
            }
            Ending::RecipientOk => self.answer(out, 250, "2.1.5", "Ok"),
            Ending::Garbage => {
                out.extend_from_slice(GARBAGE);
                Some(Step::Close)
            }
            Ending::Step(step) => {
                if matches!(step, Step::Drop | Step::Reset) {
                    count(&self.common.counters.dropped);
                }
                Some(step)
            }
            Ending::Queued | Ending::QueuedMultiline | Ending::QueuedOverlong => {
                unreachable!("`with_queue_id` has turned these into replies")
            }
        }
    }

    /// Does something to the connection instead of a reply.
    pub(super) fn interrupt(&mut self, deed: Deed) -> Option<Step> {
        let step = match deed {
            Deed::Drop | Deed::Lose => Step::Drop,
            Deed::Reset => Step::Reset,
            Deed::Stall => Step::Stall { reading: false },
            Deed::Refuse { .. }
            | Deed::Throttle(_)
            | Deed::Slow(_)
            | Deed::Multiline
            | Deed::Garbage
            | Deed::Overlong => {
                unreachable!("`Script::parse` and `Faults::at` return none of these within content")
            }
        };
        if step != (Step::Stall { reading: false }) {
            count(&self.common.counters.dropped);
        }
        Some(step)
    }

    /// Turns the ending of an accepted message into its reply; returns other endings unchanged.
    pub(super) fn with_queue_id(&self, ending: Ending, id: &str) -> Ending {
        match ending {
            Ending::Queued => self.reply(250, "2.0.0", format_args!("Ok: queued as {id}")),
            Ending::QueuedMultiline => {
                let mut lines = String::new();
                for (mark, text) in [('-', "Message checked"), ('-', "Thank you"), (' ', "")] {
                    let text = if text.is_empty() { format!("Ok: queued as {id}") } else { text.to_owned() };
                    let enhanced =
                        if self.common.options.extensions.enhanced_status_codes { "2.0.0 " } else { "" };
                    lines.push_str(&format!("250{mark}{enhanced}{text}\r\n"));
                }
                Ending::Reply(250, lines)
            }
            Ending::QueuedOverlong => {
                let start = format!("Ok: queued as {id} ");
                self.reply(250, "2.0.0", format_args!("{start}{}", "x".repeat(OVERLONG - start.len() - 12)))
            }
            Ending::Reply(..) | Ending::RecipientOk | Ending::Garbage | Ending::Step(_) => ending,
        }
    }

    /// Why this content is refused, whatever the scripts say; `None` if it is not.
    pub(super) fn refuse_content(&self, transaction: &Transaction, content: &Content) -> Option<Ending> {
        let (code, enhanced, text) = if content.too_large() {
            (552, "5.3.4", "Error: message file too big")
        } else if transaction.recipients.is_empty() {
            (554, "5.5.1", "Error: no valid recipients")
        } else {
            match content.offence? {
                Offence::BareCr => (550, "5.5.2", "Error: bare <CR> received"),
                Offence::BareLf => (550, "5.5.2", "Error: bare <LF> received"),
                Offence::Nul => (554, "5.6.0", "Error: message contains NUL"),
                Offence::LongLine => (554, "5.6.0", "Error: line longer than 998 octets"),
                Offence::EightBit => (554, "5.6.3", "Error: 8-bit content without BODY=8BITMIME"),
                Offence::Utf8Header => (554, "5.6.9", "Error: 8-bit header field without SMTPUTF8"),
            }
        };
        Some(self.reply(code, enhanced, text))
    }

    /// A scripted refusal with the texts of real servers.
    pub(super) fn refusal(
        &self,
        code: u16,
        enhanced: Option<EnhancedStatus>,
        point: Point,
        recipient: &str,
    ) -> Ending {
        let (usual, text) = words(code, enhanced, point);
        let enhanced = enhanced.map_or_else(|| usual.to_owned(), |status| status.to_string());
        let text = text.replace("{}", recipient).replace("{host}", &self.common.options.host_name);
        self.reply(code, enhanced, text)
    }

    fn count_refusal(&self, code: u16) {
        match code / 100 {
            4 => count(&self.common.counters.deferred),
            5 => count(&self.common.counters.rejected),
            _ => {}
        }
    }
}

/// The usual enhanced status of a code at a point, and the text of the status that is sent.
fn words(code: u16, enhanced: Option<EnhancedStatus>, point: Point) -> (&'static str, &'static str) {
    let at_end = point == Point::ContentEnd;
    let usual = match code {
        421 => "4.3.2",
        450 => "4.2.1",
        451 if at_end => "4.3.0",
        451 => "4.7.1",
        452 if at_end => "4.3.1",
        452 => "4.2.2",
        550 if at_end => "5.7.1",
        550 => "5.1.1",
        551 => "5.1.6",
        552 if at_end => "5.3.4",
        552 => "5.2.2",
        553 => "5.1.3",
        554 if at_end => "5.6.0",
        554 => "5.7.1",
        400..=499 => "4.0.0",
        _ => "5.0.0",
    };
    let given = enhanced.map(|status| status.to_string());
    let text = match given.as_deref().unwrap_or(usual) {
        "4.3.2" => "{host} Service shutting down, closing transmission channel",
        "4.2.1" => "<{}>: Recipient address rejected: Mailbox busy",
        "4.7.1" => "<{}>: Recipient address rejected: Greylisted, please try again later",
        "4.3.0" => "Error: queue file write error",
        "4.3.1" => "Insufficient system storage",
        "4.2.2" | "5.2.2" => "<{}>: Recipient address rejected: Mailbox full",
        "4.4.5" => "Error: too many messages, slow down",
        "4.7.0" => "[TSS04] Messages temporarily deferred due to unexpected volume or user complaints",
        "4.7.28" => "Our system has detected an unusual rate of unsolicited mail; try again later",
        "5.1.1" => "<{}>: Recipient address rejected: User unknown in virtual mailbox table",
        "5.1.2" => "<{}>: Recipient address rejected: Domain not found",
        "5.1.3" => "<{}>: Recipient address rejected: Bad address syntax",
        "5.1.6" => "<{}>: Recipient address rejected: User has moved",
        "5.2.1" => "<{}>: Recipient address rejected: Mailbox disabled",
        "5.3.4" => "Error: message file too big",
        "5.6.0" => "Message content rejected",
        "5.7.1" if at_end => "Message rejected as spam",
        "5.7.1" => "<{}>: Recipient address rejected: Access denied",
        "5.7.26" => "This mail has been blocked because the sender is unauthenticated",
        "5.7.515" => "Access denied, sending domain does not meet the required authentication level",
        _ if code < 500 => "Requested action not taken, try again later",
        _ => "Requested action not taken",
    };
    (usual, text)
}

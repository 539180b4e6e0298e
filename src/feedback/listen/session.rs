//! One session of LMTP (RFC 2033) or SMTP (RFC 5321), as the listener sees it: bytes in, replies
//! and steps out. The first greeting says which of both it is.
//!
//! Content ends with CRLF `.` CRLF or the last chunk, and nothing else: bare CRs and LFs are
//! content like any other byte, so no command can be smuggled in behind them. What is accepted goes
//! nowhere but into the log of feedback.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use smtp_proto::{MailFrom, RcptTo, Request as Command};
use tokio::sync::oneshot;

use super::room::{Held, Room};
use super::{COMMANDS, ERRORS, MAIL_BYTES, RECIPIENTS};
use crate::smtp::server::{
    Body, Content, Dots, Line, Lines, Offers, Refusal, Want, body_of, ends_group, is_smtp_utf8,
    stray_parameter, syntax_refusal,
};

/// What is offered besides PIPELINING, CHUNKING and ENHANCEDSTATUSCODES.
const OFFERS: Offers = Offers {
    size: true,
    eight_bit_mime: true,
    binary_mime: false,
    smtp_utf8: true,
    dsn: false,
    require_tls: false,
    auth: false,
};

/// What the listener asks of whoever keeps the mails. An answer that is dropped is a failure for
/// now.
#[derive(Debug)]
pub enum Request {
    /// Is mail for this recipient accepted?
    Accept {
        /// As the client says it.
        recipient: String,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// Keep this mail.
    Keep {
        /// The mail.
        mail: Delivery,
        /// True once nothing can lose it.
        kept: oneshot::Sender<bool>,
    },
}

/// Whether mail for a recipient is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Accepted,
    /// It is not.
    Unknown,
    /// That can't be said now.
    Failed,
}

/// A mail with its envelope.
#[derive(Debug)]
pub struct Delivery {
    /// The return path; empty for a report.
    pub return_path: String,
    /// As the client says them, each once.
    pub recipients: Vec<String>,
    /// The content, as it came.
    pub content: Vec<u8>,
    /// The memory that it takes.
    _held: Held,
}

/// What the driver does next. Before it reads or closes, it writes the replies so far.
#[derive(Debug)]
pub(super) enum Step {
    /// Read more: everything complete in the input has been used.
    Read,
    /// Ask whether this recipient is accepted, then call [`Session::answered`].
    Ask(String),
    /// Have this mail kept, then call [`Session::kept`].
    Keep(Delivery),
    /// Close gracefully.
    Close,
}

/// Which of both protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Lmtp,
    Esmtp,
    /// After HELO: without extensions.
    Smtp,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    host: Arc<str>,
    room: Arc<Room>,
    protocol: Option<Protocol>,
    transaction: Option<Transaction>,
    lines: Lines,
    state: State,
    errors: u32,
    /// Since a mail was kept.
    commands: u32,
}

/// What the next input is, or what must happen before it.
#[derive(Debug)]
enum State {
    Command,
    /// The driver asks for this recipient.
    Asking(String),
    Data(Dots),
    /// Content after BDAT.
    Chunk {
        size: u64,
        left: u64,
        last: bool,
    },
    /// The driver has a mail kept; so many replies follow.
    Keeping(usize),
    Closed,
}

/// A transaction between MAIL and its end.
#[derive(Debug)]
struct Transaction {
    return_path: String,
    body: Body,
    smtp_utf8: bool,
    /// Those that were accepted, each with a reply to come in LMTP.
    recipients: Vec<String>,
    content: Option<Content>,
    held: Held,
    /// BDAT has begun, so DATA and RCPT can't follow.
    has_chunks: bool,
    /// The content is refused, and the rest of it is skipped.
    refused: Option<Refusal>,
}

impl Session {
    pub(super) fn new(host: &Arc<str>, room: &Arc<Room>) -> Self {
        Self {
            host: Arc::clone(host),
            room: Arc::clone(room),
            protocol: None,
            transaction: None,
            lines: Lines::default(),
            state: State::Command,
            errors: 0,
            commands: 0,
        }
    }

    /// The greeting.
    pub(super) fn greet(&self, out: &mut Vec<u8>) {
        write!(out, "220 {} LMTP and ESMTP, feedback only\r\n", self.host).expect(VEC);
    }

    /// The last line, when the listener or the time ends.
    pub(super) fn farewell(&self, enhanced: &str, why: &str, out: &mut Vec<u8>) {
        reply(out, 421, enhanced, format_args!("{} {why}", self.host));
    }

    /// Nothing is lost when the session ends now.
    pub(super) fn is_idle(&self) -> bool {
        self.transaction.is_none() && matches!(self.state, State::Command | State::Closed)
    }

    /// Content is arriving.
    pub(super) fn is_in_content(&self) -> bool {
        matches!(self.state, State::Data(_) | State::Chunk { .. })
    }

    /// Whether the recipient is accepted that was asked for.
    pub(super) fn answered(&mut self, answer: Answer, out: &mut Vec<u8>) {
        let State::Asking(recipient) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("the driver calls this only after `Step::Ask`")
        };
        match answer {
            Answer::Accepted => {
                let transaction = self.transaction.as_mut().expect("RCPT is in a transaction");
                transaction.recipients.push(recipient);
                reply(out, 250, "2.1.5", "Ok");
            }
            Answer::Unknown => {
                let why = format_args!("<{recipient}>: no mail came from here with this return path");
                reply(out, 550, "5.1.1", why);
            }
            Answer::Failed => reply(out, 451, "4.3.0", "Error: not available now, try again later"),
        }
    }

    /// Whether the mail was kept.
    pub(super) fn kept(&mut self, is_kept: bool, out: &mut Vec<u8>) {
        let State::Keeping(replies) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("the driver calls this only after `Step::Keep`")
        };
        for _ in 0..replies {
            match is_kept {
                true => reply(out, 250, "2.0.0", "Ok: kept"),
                false => reply(out, 451, "4.3.0", "Error: can't be kept now, try again later"),
            }
        }
        if is_kept {
            self.commands = 0;
        }
    }

    /// Processes input: advances `input` past what it uses, and adds replies to `out`.
    pub(super) fn advance(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Step {
        loop {
            let step = match &mut self.state {
                State::Command => self.line(input, out),
                State::Data(_) => self.data(input, out),
                State::Chunk { .. } => self.chunk(input, out),
                State::Asking(_) | State::Keeping(_) => unreachable!("the driver answers first"),
                State::Closed => Some(Step::Close),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn line(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        let (line, text) = match self.lines.next(input) {
            Line::Part => return Some(Step::Read),
            Line::Refused(why) => return self.refuse(&Refusal::new(500, "5.5.2", why), out),
            Line::Whole(line, text) => (line, text),
        };
        self.commands += 1;
        if self.commands > COMMANDS {
            return self.send_away("4.7.0", "too many commands without a mail", out);
        }
        let request = match Command::parse(&mut line.iter()) {
            Ok(request) => request,
            Err(error) => return self.refuse(&syntax_refusal(error), out),
        };
        if let Some(refusal) = stray_parameter(&request, text) {
            return self.refuse(&refusal, out);
        }
        let more = !input.is_empty();
        if more && (ends_group(&request) || self.protocol == Some(Protocol::Smtp)) {
            // Its input can no longer be interpreted.
            self.refuse(&Refusal::new(503, "5.5.0", "Error: protocol synchronization"), out);
            self.state = State::Closed;
            return None;
        }
        match request {
            Command::Lhlo { .. } => self.hello(Protocol::Lmtp, out),
            Command::Ehlo { .. } => self.hello(Protocol::Esmtp, out),
            Command::Helo { .. } => self.hello(Protocol::Smtp, out),
            Command::Mail { from } => self.mail(&from, out),
            Command::Rcpt { to } => self.rcpt(&to, out),
            Command::Data => self.begin_data(out),
            Command::Bdat { chunk_size, is_last } => self.begin_chunk(chunk_size as u64, is_last),
            Command::Rset => {
                self.transaction = None;
                self.answer(250, "2.0.0", "Ok", out)
            }
            Command::Noop { .. } => self.answer(250, "2.0.0", "Ok", out),
            Command::Vrfy { .. } => self.answer(252, "2.0.0", "Send it, then it is known", out),
            Command::Help { .. } => self.answer(214, "2.0.0", "Bounces, complaints and reports only", out),
            Command::Quit => {
                self.state = State::Closed;
                self.answer(221, "2.0.0", "Bye", out)
            }
            Command::Auth { .. }
            | Command::StartTls
            | Command::Expn { .. }
            | Command::Etrn { .. }
            | Command::Atrn { .. }
            | Command::Burl { .. } => {
                self.refuse(&Refusal::new(502, "5.5.1", "Error: command not implemented"), out)
            }
        }
    }

    fn hello(&mut self, protocol: Protocol, out: &mut Vec<u8>) -> Option<Step> {
        if self.protocol.is_some_and(|own| (own == Protocol::Lmtp) != (protocol == Protocol::Lmtp)) {
            return self.out_of_order("Error: LMTP and SMTP in one session", out);
        }
        self.protocol = Some(protocol);
        self.transaction = None;
        if protocol == Protocol::Smtp {
            write!(out, "250 {}\r\n", self.host).expect(VEC);
            return None;
        }
        write!(
            out,
            "250-{}\r\n250-PIPELINING\r\n250-SIZE {MAIL_BYTES}\r\n250-ENHANCEDSTATUSCODES\r\n\
             250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
            self.host
        )
        .expect(VEC);
        None
    }

    fn mail(&mut self, from: &MailFrom<Cow<'_, str>>, out: &mut Vec<u8>) -> Option<Step> {
        if self.protocol.is_none() {
            return self.out_of_order("Error: send LHLO, EHLO or HELO first", out);
        }
        if self.transaction.is_some() {
            return self.out_of_order("Error: nested MAIL command", out);
        }
        if let Some(refusal) = self.offers().refuse_mail(from) {
            return self.refuse(&refusal, out);
        }
        if !from.address.is_ascii() && !is_smtp_utf8(from) {
            let why = "Error: non-ASCII sender address without SMTPUTF8";
            return self.refuse(&Refusal::new(553, "5.6.7", why), out);
        }
        if from.size > MAIL_BYTES {
            return self.answer(552, "5.3.4", TOO_LARGE, out);
        }
        self.transaction = Some(Transaction {
            return_path: from.address.clone().into_owned(),
            body: body_of(from),
            smtp_utf8: is_smtp_utf8(from),
            recipients: Vec::new(),
            content: None,
            held: Held::new(&self.room),
            has_chunks: false,
            refused: None,
        });
        self.answer(250, "2.1.0", "Ok", out)
    }

    fn rcpt(&mut self, to: &RcptTo<Cow<'_, str>>, out: &mut Vec<u8>) -> Option<Step> {
        let offers = self.offers();
        let Some(transaction) = &self.transaction else { return self.out_of_order(NEED_MAIL, out) };
        if transaction.has_chunks {
            return self.out_of_order("Error: RCPT after BDAT", out);
        }
        if to.address.is_empty() {
            return self.refuse(&Refusal::new(501, "5.1.3", "Bad recipient address syntax"), out);
        }
        if !to.address.is_ascii() && !transaction.smtp_utf8 {
            let why = "Error: non-ASCII recipient address without SMTPUTF8";
            return self.refuse(&Refusal::new(553, "5.6.7", why), out);
        }
        if let Some(refusal) = offers.refuse_rcpt(to) {
            return self.refuse(&refusal, out);
        }
        if transaction.recipients.len() >= RECIPIENTS {
            return self.answer(452, "4.5.3", "Error: too many recipients", out);
        }
        let recipient = to.address.clone().into_owned();
        self.state = State::Asking(recipient.clone());
        Some(Step::Ask(recipient))
    }

    fn begin_data(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let Some(transaction) = &mut self.transaction else { return self.out_of_order(NEED_MAIL, out) };
        if transaction.has_chunks {
            return self.out_of_order("Error: DATA after BDAT", out);
        }
        if transaction.recipients.is_empty() {
            // RFC 2033 §4.2, RFC 5321 §3.3.
            return self.answer(503, "5.5.1", NO_RECIPIENTS, out);
        }
        transaction.begin();
        self.state = State::Data(Dots::new());
        out.extend_from_slice(b"354 End data with <CR><LF>.<CR><LF>\r\n");
        None
    }

    fn begin_chunk(&mut self, size: u64, last: bool) -> Option<Step> {
        if let Some(transaction) = &mut self.transaction {
            if !transaction.has_chunks {
                transaction.has_chunks = true;
                transaction.begin();
            }
            if transaction.recipients.is_empty() {
                transaction.refuse(Refusal::new(503, "5.5.1", NO_RECIPIENTS));
            }
        }
        // The octets follow whatever is answered (RFC 3030 §2).
        self.state = State::Chunk { size, left: size, last };
        None
    }

    fn data(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        if input.is_empty() {
            return Some(Step::Read);
        }
        let State::Data(dots) = &mut self.state else { unreachable!("called in this state only") };
        let transaction = self.transaction.as_mut().expect("DATA is accepted in a transaction only");
        if !dots.read(input, |slice| transaction.push(slice)) {
            return Some(Step::Read);
        }
        self.content_end(out)
    }

    fn chunk(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        let State::Chunk { size, left, last } = &mut self.state else {
            unreachable!("called in this state only")
        };
        if *left > 0 && input.is_empty() {
            return Some(Step::Read);
        }
        let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        let (slice, rest) = input.split_at(length);
        *input = rest;
        *left -= slice.len() as u64;
        let (size, left, last) = (*size, *left, *last);
        if let Some(transaction) = &mut self.transaction {
            transaction.push(slice);
        }
        if left > 0 {
            return Some(Step::Read);
        }
        self.state = State::Command;
        let Some(transaction) = &self.transaction else { return self.out_of_order(NEED_MAIL, out) };
        if last {
            return self.content_end(out);
        }
        match transaction.refused.clone() {
            Some(refusal) => self.answer(refusal.code, refusal.enhanced, &refusal.text, out),
            None => self.answer(250, "2.0.0", format_args!("Ok: {size} bytes"), out),
        }
    }

    /// The content is complete: it is kept, or refused for each recipient.
    fn content_end(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        self.state = State::Command;
        let transaction = self.transaction.take().expect("content arrives only in a transaction");
        let is_lmtp = self.protocol == Some(Protocol::Lmtp);
        let replies = if is_lmtp { transaction.recipients.len().max(1) } else { 1 };
        if let Some(refusal) = transaction.refused {
            for _ in 0..replies {
                reply(out, refusal.code, refusal.enhanced, &refusal.text);
            }
            return None;
        }
        let mut recipients = transaction.recipients;
        recipients.sort_unstable();
        recipients.dedup();
        let content = transaction.content.expect("content has begun").into_bytes();
        self.state = State::Keeping(replies);
        let return_path = transaction.return_path;
        Some(Step::Keep(Delivery { return_path, recipients, content, _held: transaction.held }))
    }

    /// The parameters that are taken: none after HELO.
    fn offers(&self) -> Offers {
        if self.protocol == Some(Protocol::Smtp) { Offers::default() } else { OFFERS }
    }

    fn answer(&mut self, code: u16, enhanced: &str, text: impl Display, out: &mut Vec<u8>) -> Option<Step> {
        reply(out, code, enhanced, text);
        None
    }

    fn out_of_order(&mut self, why: &'static str, out: &mut Vec<u8>) -> Option<Step> {
        self.refuse(&Refusal::new(503, "5.5.1", why), out)
    }

    /// Answers what a client should not have sent.
    fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Option<Step> {
        reply(out, refusal.code, refusal.enhanced, &refusal.text);
        self.errors += 1;
        if self.errors > ERRORS {
            return self.send_away("4.7.0", "too many errors", out);
        }
        None
    }

    fn send_away(&mut self, enhanced: &str, why: &str, out: &mut Vec<u8>) -> Option<Step> {
        self.farewell(enhanced, why, out);
        self.state = State::Closed;
        None
    }
}

impl Transaction {
    fn begin(&mut self) {
        // Whatever a bounce holds is better read than refused: lines and bytes are not checked.
        self.content = Some(Content::new(MAIL_BYTES as u64, Want::All, false, self.body, self.smtp_utf8));
    }

    fn push(&mut self, slice: &[u8]) {
        let Some(content) = &mut self.content else { return };
        if !self.held.grow(slice.len()) {
            self.refuse(Refusal::new(452, "4.3.1", "Error: too many mails at once, try again later"));
            return;
        }
        content.push(slice);
        if content.too_large() {
            self.refuse(Refusal::new(552, "5.3.4", TOO_LARGE));
        }
    }

    /// Refuses the content, and gives its memory back.
    fn refuse(&mut self, why: Refusal) {
        self.refused.get_or_insert(why);
        self.content = None;
        self.held.give_back();
    }
}

const VEC: &str = "writing to a Vec can't fail";
const NEED_MAIL: &str = "Error: need MAIL command";
const NO_RECIPIENTS: &str = "Error: no valid recipients";
const TOO_LARGE: &str = "Error: mail is too large";

fn reply(out: &mut Vec<u8>, code: u16, enhanced: &str, text: impl Display) {
    write!(out, "{code} {enhanced} {text}\r\n").expect(VEC);
}

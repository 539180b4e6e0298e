//! One session of LMTP (RFC 2033) or SMTP (RFC 5321), as the listener sees it: bytes in, replies
//! and steps out. The first greeting says which of both it is.
//!
//! Content ends with CRLF `.` CRLF or the last chunk, and nothing else: bare CRs and LFs are
//! content like any other byte, so no command can be smuggled in behind them.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use smtp_proto::{MailFrom, RcptTo, Request as Command};

use super::request::{Answer, Login, Question};
use super::room::Room;
use super::terms::Terms;
use super::transaction::{TOO_LARGE, Transaction};
use super::{COMMANDS, ERRORS, LOGINS};
use crate::smtp::server::{
    Dots, Line, Lines, Offers, Refusal, ends_group, is_smtp_utf8, stray_parameter, syntax_refusal,
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

/// What the driver does next. Before it reads or closes, it writes the replies so far.
#[derive(Debug)]
pub(super) enum Step {
    /// Read more: everything complete in the input has been used.
    Read,
    /// Ask, then call [`Session::answered`].
    Ask(Question),
    /// Go on with TLS, then call [`Session::secured`].
    StartTls,
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
    terms: Arc<Terms>,
    room: Arc<Room>,
    /// Nobody else reads along: it is TLS, or a way within this machine.
    is_private: bool,
    has_tls: bool,
    user: Option<Arc<str>>,
    failed_logins: u32,
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
    /// A line of AUTH PLAIN.
    Login,
    /// The driver asks.
    Asking(Asked),
    /// The driver starts TLS.
    Securing,
    Data(Dots),
    /// Content after BDAT.
    Chunk {
        size: u64,
        left: u64,
        last: bool,
    },
    Closed,
}

/// What the driver asks about.
#[derive(Debug)]
enum Asked {
    Login(String),
    From(Box<Transaction>),
    Recipient(String),
    /// Of a mail that is to be kept; so many replies follow.
    Mail(usize),
}

impl Session {
    pub(super) fn new(terms: &Arc<Terms>, room: &Arc<Room>, is_local: bool) -> Self {
        Self {
            terms: Arc::clone(terms),
            room: Arc::clone(room),
            is_private: is_local,
            has_tls: false,
            user: None,
            failed_logins: 0,
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
        write!(out, "220 {} {}\r\n", self.terms.host, self.terms.greeting).expect(VEC);
    }

    /// The last line, when the listener or the time ends.
    pub(super) fn farewell(&self, enhanced: &str, why: &str, out: &mut Vec<u8>) {
        reply(out, 421, enhanced, format_args!("{} {why}", self.terms.host));
    }

    /// Nothing is lost when the session ends now.
    pub(super) fn is_idle(&self) -> bool {
        self.transaction.is_none() && matches!(self.state, State::Command | State::Closed)
    }

    /// The client has logged in, or need not.
    pub(super) fn is_known(&self) -> bool {
        !self.terms.login || self.user.is_some()
    }

    /// Content is arriving.
    pub(super) fn is_in_content(&self) -> bool {
        matches!(self.state, State::Data(_) | State::Chunk { .. })
    }

    /// TLS has begun: what was said before it counts no longer (RFC 3207 §4.2).
    pub(super) fn secured(&mut self) {
        (self.is_private, self.has_tls) = (true, true);
        (self.protocol, self.transaction, self.user) = (None, None, None);
        self.state = State::Command;
    }

    /// What the answer to the question is.
    pub(super) fn answered(&mut self, answer: Answer, out: &mut Vec<u8>) {
        let State::Asking(asked) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("the driver calls this only after `Step::Ask`")
        };
        let replies = if let Asked::Mail(replies) = asked { replies } else { 1 };
        match answer {
            Answer::Accepted => self.accepted(asked, out),
            Answer::Refused { code, enhanced, text } => {
                for _ in 0..replies {
                    reply(out, code, enhanced, &text);
                }
                if let Asked::Login(_) = asked {
                    self.failed_logins += 1;
                    if self.failed_logins >= LOGINS {
                        self.send_away("4.7.0", "too many logins failed", out);
                    }
                }
            }
            Answer::Failed => {
                let (code, enhanced, why) = match asked {
                    Asked::Login(_) => (454, "4.7.0", "not available"),
                    Asked::From(_) | Asked::Recipient(_) => (451, "4.3.0", "not available"),
                    Asked::Mail(_) => (451, "4.3.0", "can't be kept"),
                };
                for _ in 0..replies {
                    reply(out, code, enhanced, format_args!("Error: {why} now, try again later"));
                }
            }
        }
    }

    fn accepted(&mut self, asked: Asked, out: &mut Vec<u8>) {
        match asked {
            Asked::Login(user) => {
                self.user = Some(user.into());
                reply(out, 235, "2.7.0", "Authentication successful");
            }
            Asked::From(transaction) => {
                self.transaction = Some(*transaction);
                reply(out, 250, "2.1.0", "Ok");
            }
            Asked::Recipient(recipient) => {
                let transaction = self.transaction.as_mut().expect("RCPT is in a transaction");
                transaction.recipients.push(recipient);
                reply(out, 250, "2.1.5", "Ok");
            }
            Asked::Mail(replies) => {
                for _ in 0..replies {
                    reply(out, 250, "2.0.0", "Ok: kept");
                }
                self.commands = 0;
            }
        }
    }

    /// Processes input: advances `input` past what it uses, and adds replies to `out`.
    pub(super) fn advance(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Step {
        loop {
            let step = match &mut self.state {
                State::Command => self.line(input, out),
                State::Data(_) => self.data(input, out),
                State::Chunk { .. } => self.chunk(input, out),
                State::Login => self.login_line(input, out),
                State::Asking(_) | State::Securing => unreachable!("the driver answers first"),
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
            Command::Lhlo { .. } if self.terms.lmtp => self.hello(Protocol::Lmtp, out),
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
            Command::Help { .. } => self.answer(214, "2.0.0", self.terms.help, out),
            Command::Quit => {
                self.state = State::Closed;
                self.answer(221, "2.0.0", "Bye", out)
            }
            Command::Auth { mechanism, initial_response } if self.terms.login => {
                self.auth(mechanism, &initial_response, out)
            }
            Command::StartTls if self.offers_tls() => {
                reply(out, 220, "2.0.0", "Ready to start TLS");
                self.state = State::Securing;
                Some(Step::StartTls)
            }
            Command::Lhlo { .. }
            | Command::Auth { .. }
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
            write!(out, "250 {}\r\n", self.terms.host).expect(VEC);
            return None;
        }
        let mut offers = format!("250-{}\r\n250-PIPELINING\r\n", self.terms.host);
        if self.offers_tls() {
            offers += "250-STARTTLS\r\n";
        }
        if self.terms.login && self.is_private && self.user.is_none() {
            offers += "250-AUTH PLAIN\r\n";
        }
        write!(
            out,
            "{offers}250-SIZE {}\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
            self.terms.mail_bytes
        )
        .expect(VEC);
        None
    }

    fn offers_tls(&self) -> bool {
        self.terms.tls.is_some() && !self.has_tls
    }

    /// AUTH PLAIN (RFC 4616, RFC 4954 §4). `mechanism` is a bit of `smtp_proto::AUTH_…`.
    fn auth(&mut self, mechanism: u64, initial: &str, out: &mut Vec<u8>) -> Option<Step> {
        if self.protocol != Some(Protocol::Esmtp) || self.user.is_some() || self.transaction.is_some() {
            return self.out_of_order("Error: AUTH out of sequence", out);
        }
        if !self.is_private {
            let why = "Encryption required for requested authentication";
            return self.refuse(&Refusal::new(538, "5.7.11", why), out);
        }
        if mechanism != smtp_proto::AUTH_PLAIN {
            return self.answer(504, "5.5.4", "Error: authentication mechanism not offered", out);
        }
        match initial {
            "" => {
                out.extend_from_slice(b"334 \r\n");
                self.state = State::Login;
                None
            }
            initial => self.login(initial, out),
        }
    }

    fn login_line(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Option<Step> {
        let line = match self.lines.next(input) {
            Line::Part => return Some(Step::Read),
            Line::Refused(why) => Err(Refusal::new(500, "5.5.2", why)),
            Line::Whole(_, text) => Ok(text.to_owned()),
        };
        self.state = State::Command;
        match line {
            Ok(line) if line == "*" => self.answer(501, "5.7.0", "Authentication aborted", out),
            Ok(line) => self.login(&line, out),
            Err(refusal) => self.refuse(&refusal, out),
        }
    }

    /// A response to PLAIN: whom to act for, the name and the password.
    fn login(&mut self, response: &str, out: &mut Vec<u8>) -> Option<Step> {
        let decoded = BASE64_STANDARD.decode(response).unwrap_or_default();
        let mut parts = decoded.splitn(3, |byte| *byte == 0);
        let (other, user, password) = (parts.next(), parts.next(), parts.next());
        let user = user.and_then(|user| std::str::from_utf8(user).ok());
        let (Some(other), Some(user), Some(password)) = (other, user, password) else {
            let why = "Error: malformed authentication data";
            return self.refuse(&Refusal::new(501, "5.5.2", why), out);
        };
        // Nobody acts for somebody else.
        if !other.is_empty() && other != user.as_bytes() {
            return self.answer(535, "5.7.8", "Error: authentication failed", out);
        }
        self.state = State::Asking(Asked::Login(user.to_owned()));
        let login = Login { user: user.to_owned(), password: password.to_owned() };
        Some(Step::Ask(Question::Login(login)))
    }

    fn mail(&mut self, from: &MailFrom<Cow<'_, str>>, out: &mut Vec<u8>) -> Option<Step> {
        if self.protocol.is_none() {
            return self.out_of_order("Error: send LHLO, EHLO or HELO first", out);
        }
        if self.terms.login && self.user.is_none() {
            return self.refuse(&Refusal::new(530, "5.7.0", "Authentication required"), out);
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
        if from.size > self.terms.mail_bytes {
            return self.answer(552, "5.3.4", TOO_LARGE, out);
        }
        let transaction = Transaction::of(from, &self.room);
        let Some(user) = &self.user else {
            self.transaction = Some(transaction);
            return self.answer(250, "2.1.0", "Ok", out);
        };
        let question = Question::From(Arc::clone(user), transaction.return_path.clone());
        self.state = State::Asking(Asked::From(Box::new(transaction)));
        Some(Step::Ask(question))
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
        if transaction.recipients.len() >= self.terms.recipients {
            return self.answer(452, "4.5.3", "Error: too many recipients", out);
        }
        let recipient = to.address.clone().into_owned();
        self.state = State::Asking(Asked::Recipient(recipient.clone()));
        Some(Step::Ask(Question::Accept(recipient)))
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
        transaction.begin(&self.terms);
        self.state = State::Data(Dots::new());
        out.extend_from_slice(b"354 End data with <CR><LF>.<CR><LF>\r\n");
        None
    }

    fn begin_chunk(&mut self, size: u64, last: bool) -> Option<Step> {
        if let Some(transaction) = &mut self.transaction {
            if !transaction.has_chunks {
                transaction.has_chunks = true;
                transaction.begin(&self.terms);
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
        match transaction.delivery(self.user.clone()) {
            Ok(mail) => {
                self.state = State::Asking(Asked::Mail(replies));
                Some(Step::Ask(Question::Keep(mail)))
            }
            Err(refusal) => self.refuse(&refusal, out),
        }
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

const VEC: &str = "writing to a Vec can't fail";
const NEED_MAIL: &str = "Error: need MAIL command";
const NO_RECIPIENTS: &str = "Error: no valid recipients";

fn reply(out: &mut Vec<u8>, code: u16, enhanced: &str, text: impl Display) {
    write!(out, "{code} {enhanced} {text}\r\n").expect(VEC);
}

//! The commands of a session (RFC 5321 §4.1) and the parameters of the extensions.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

use smtp_proto::{MailFrom, RcptTo, Request};

use super::super::options::{Extensions, Tls};
use super::super::script::{Deed, Point, Script};
use super::super::stats::count;
use super::{Ending, Session, State, Step, Transaction};
use crate::smtp::server::{
    Body, Content, Dots, Offers, body_of, ends_group, is_smtp_utf8, stray_parameter, syntax_refusal,
};

impl Session {
    /// Carries out a command line; `more` is true if the client has already sent more after it.
    pub(super) fn command(&mut self, line: &[u8], text: &str, more: bool, out: &mut Vec<u8>) -> Option<Step> {
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request,
            Err(error) => return self.refuse(&syntax_refusal(error), out),
        };
        if !matches!(request, Request::Bdat { .. } | Request::Quit) && self.too_early(more) {
            return self.out_of_step(out);
        }
        if let Some(refusal) = stray_parameter(&request, text) {
            return self.refuse(&refusal, out);
        }
        if ends_group(&request) && more {
            return self.out_of_step(out);
        }
        match request {
            Request::Ehlo { host } => self.ehlo(&host, true, out),
            Request::Helo { host } => self.ehlo(&host, false, out),
            Request::Mail { from } => self.mail(&from, out),
            Request::Rcpt { to } => self.rcpt(&to, out),
            Request::Data => self.begin_data(out),
            Request::Bdat { chunk_size, is_last } => self.begin_chunk(chunk_size as u64, is_last),
            Request::Auth { mechanism, initial_response } => self.auth(mechanism, &initial_response, out),
            Request::StartTls => self.start_tls(out),
            Request::Rset => {
                self.transaction = None;
                self.mail_refused = false;
                self.answer(out, 250, "2.0.0", "Ok")
            }
            Request::Noop { .. } => self.answer(out, 250, "2.0.0", "Ok"),
            Request::Vrfy { value } => self.answer(out, 252, "2.0.0", value),
            Request::Help { .. } => self.answer(out, 214, "2.0.0", "See RFC 5321"),
            Request::Quit => {
                self.write(out, 221, "2.0.0", "Bye");
                Some(Step::Close)
            }
            Request::Lhlo { .. }
            | Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. } => self.client_error(out, 502, "5.5.1", "Error: command not implemented"),
        }
    }

    fn ehlo(&mut self, host: &str, extended: bool, out: &mut Vec<u8>) -> Option<Step> {
        let name: String = host.chars().filter(|c| !c.is_control()).collect();
        self.greeted = Some((Arc::from(name), extended));
        self.transaction = None;
        self.mail_refused = false;
        let options = &self.common.options;
        let offered = options.extensions;
        let mut lines = vec![options.host_name.clone()];
        if extended {
            let mut offer = |on: bool, keyword: &str| {
                if on {
                    lines.push(keyword.to_owned());
                }
            };
            offer(offered.pipelining, "PIPELINING");
            offer(offered.size, &format!("SIZE {}", options.max_size));
            offer(matches!(options.tls, Tls::Offered | Tls::Required) && !self.secure, "STARTTLS");
            offer(self.offers_auth(), "AUTH PLAIN LOGIN");
            offer(offered.enhanced_status_codes, "ENHANCEDSTATUSCODES");
            offer(offered.eight_bit_mime, "8BITMIME");
            offer(offered.dsn, "DSN");
            offer(offered.smtp_utf8, "SMTPUTF8");
            offer(offered.chunking, "CHUNKING");
            offer(offered.binary_mime && offered.chunking, "BINARYMIME");
            offer(offered.require_tls && self.secure, "REQUIRETLS");
        }
        let last = lines.len() - 1;
        for (i, line) in lines.iter().enumerate() {
            let mark = if i == last { ' ' } else { '-' };
            write!(out, "250{mark}{line}\r\n").expect("writing to a Vec can't fail");
        }
        None
    }

    fn start_tls(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        match self.common.options.tls {
            Tls::Offered | Tls::Required if !self.secure => {
                self.answer(out, 220, "2.0.0", "Ready to start TLS");
                Some(Step::StartTls)
            }
            Tls::Off | Tls::Offered | Tls::Required | Tls::Implicit => {
                self.client_error(out, 503, "5.5.1", "Error: STARTTLS is not offered")
            }
        }
    }

    fn mail(&mut self, from: &MailFrom<Cow<'_, str>>, out: &mut Vec<u8>) -> Option<Step> {
        if self.greeted.is_none() {
            return self.client_error(out, 503, "5.5.1", "Error: send HELO/EHLO first");
        }
        if self.transaction.is_some() {
            return self.client_error(out, 503, "5.5.1", "Error: nested MAIL command");
        }
        self.mail_refused = true;
        let options = &self.common.options;
        if options.tls == Tls::Required && !self.secure {
            return self.answer(out, 530, "5.7.0", "Must issue a STARTTLS command first");
        }
        if options.auth.is_some() && !self.logged_in {
            return self.answer(out, 530, "5.7.0", "Authentication required");
        }
        if let Some(refusal) = self.parameters().refuse_mail(from) {
            return self.refuse(&refusal, out);
        }
        let smtp_utf8 = is_smtp_utf8(from);
        if !from.address.is_ascii() && !smtp_utf8 {
            return self.client_error(out, 553, "5.6.7", "Error: non-ASCII sender address without SMTPUTF8");
        }
        if from.size as u64 > self.common.options.max_size {
            return self.answer(out, 552, "5.3.4", "Message size exceeds fixed limit");
        }
        self.mail_refused = false;
        self.transaction = Some(Transaction {
            return_path: from.address.clone().into_owned(),
            body: body_of(from),
            smtp_utf8,
            recipients: Vec::new(),
            script: None,
            content: None,
            in_content: None,
            failed: false,
        });
        self.answer(out, 250, "2.1.0", "Ok")
    }

    /// The extensions whose parameters this session takes.
    fn parameters(&self) -> Offers {
        let offered = self.offered();
        Offers {
            size: offered.size,
            eight_bit_mime: offered.eight_bit_mime,
            binary_mime: offered.binary_mime && offered.chunking,
            smtp_utf8: offered.smtp_utf8,
            dsn: offered.dsn,
            require_tls: offered.require_tls && self.secure,
            auth: self.common.options.auth.is_some(),
        }
    }

    /// The extensions of this session: none after HELO.
    fn offered(&self) -> Extensions {
        match &self.greeted {
            Some((_, true)) => self.common.options.extensions,
            Some((_, false)) | None => Extensions::NONE,
        }
    }

    /// A command without a transaction: the client's error, unless its MAIL was refused.
    fn no_transaction(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        match self.mail_refused {
            true => self.answer(out, 503, "5.5.1", "Error: MAIL was refused"),
            false => self.client_error(out, 503, "5.5.1", "Error: need MAIL command"),
        }
    }

    fn rcpt(&mut self, to: &RcptTo<Cow<'_, str>>, out: &mut Vec<u8>) -> Option<Step> {
        let Some(transaction) = &self.transaction else { return self.no_transaction(out) };
        if transaction.content.is_some() || transaction.failed {
            return self.client_error(out, 503, "5.5.1", "Error: RCPT after BDAT");
        }
        if to.address.is_empty() {
            return self.client_error(out, 501, "5.1.3", "Bad recipient address syntax");
        }
        if !to.address.is_ascii() && !transaction.smtp_utf8 {
            return self.client_error(
                out,
                553,
                "5.6.7",
                "Error: non-ASCII recipient address without SMTPUTF8",
            );
        }
        if let Some(refusal) = self.parameters().refuse_rcpt(to) {
            return self.refuse(&refusal, out);
        }
        if transaction.recipients.len() >= self.common.options.most_recipients {
            return self.answer(out, 452, "4.5.3", "Error: too many recipients");
        }
        let script = Script::parse(&to.address);
        let deed = match &script {
            Some(script) => (script.point == Point::Recipient
                && self.common.attempts.acts(script, &to.address))
            .then(|| script.deed.clone()),
            None => self.dice.throw(Point::Recipient),
        };
        let (pause, ending) = match deed {
            None => (None, Ending::RecipientOk),
            Some(Deed::Slow(time)) => (Some(time), Ending::RecipientOk),
            Some(Deed::Throttle(_)) => {
                (None, self.refusal(451, "4.4.5".parse().ok(), Point::Recipient, &to.address))
            }
            Some(Deed::Refuse { code, enhanced }) => {
                (None, self.refusal(code, enhanced, Point::Recipient, &to.address))
            }
            Some(Deed::Garbage) => (None, Ending::Garbage),
            Some(Deed::Stall) => (None, Ending::Step(Step::Stall { reading: true })),
            Some(deed) => return self.interrupt(deed),
        };
        if matches!(ending, Ending::RecipientOk) {
            let transaction = self.transaction.as_mut().expect("checked above");
            let address = to.address.clone().into_owned();
            if let Some(script) = script
                && transaction.script.as_ref().is_none_or(|(first, _)| first.point == Point::Recipient)
            {
                transaction.script = Some((script, address.clone()));
            }
            transaction.recipients.push(address);
        }
        self.state = State::Due { pause, ending };
        None
    }

    fn begin_data(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let Some(transaction) = &self.transaction else { return self.no_transaction(out) };
        if transaction.content.is_some() || transaction.failed {
            return self.client_error(out, 503, "5.5.1", "Error: DATA after BDAT");
        }
        if transaction.body == Body::Binary {
            return self.client_error(out, 503, "5.5.1", "Error: BODY=BINARYMIME requires BDAT");
        }
        if transaction.recipients.is_empty() && !self.common.options.eager_data {
            return self.answer(out, 554, "5.5.1", "Error: no valid recipients");
        }
        if let Some(refusal) = self.begin_content() {
            self.state = State::Due { pause: None, ending: refusal };
            return None;
        }
        self.state = State::Data(Dots::new());
        out.extend_from_slice(b"354 End data with <CR><LF>.<CR><LF>\r\n");
        None
    }

    fn begin_chunk(&mut self, size: u64, last: bool) -> Option<Step> {
        let refused = match &self.transaction {
            _ if !self.offered().chunking => Some(self.wrong(502, "5.5.1", "Error: BDAT is not offered")),
            None if self.mail_refused => Some(self.reply(503, "5.5.1", "Error: MAIL was refused")),
            None => Some(self.wrong(503, "5.5.1", "Error: need MAIL command")),
            Some(transaction) if transaction.failed => {
                Some(self.reply(503, "5.5.1", "Error: an earlier chunk was refused"))
            }
            Some(transaction) if transaction.recipients.is_empty() => {
                Some(self.reply(554, "5.5.1", "Error: no valid recipients"))
            }
            Some(transaction) if transaction.content.is_some() => None,
            Some(_) => self.begin_content(),
        };
        if refused.is_some()
            && let Some(transaction) = &mut self.transaction
        {
            transaction.failed = true;
            transaction.content = None;
        }
        self.state = State::Chunk { size, left: size, last, refused };
        None
    }

    /// A reply for later to a command that is out of sequence.
    fn wrong(&self, code: u16, enhanced: &str, text: &str) -> Ending {
        count(&self.common.counters.client_errors);
        self.reply(code, enhanced, text)
    }

    /// Starts the content, or returns the reply that refuses it before it arrives.
    fn begin_content(&mut self) -> Option<Ending> {
        let mut transaction = self.transaction.take().expect("the callers have looked");
        let deed = self.content_deed(&transaction, Point::ContentCommand);
        transaction.in_content = self.content_deed(&transaction, Point::InContent);
        let refusal = match deed {
            Some(Deed::Refuse { code, enhanced }) => {
                let recipient = transaction.recipients.first().map_or("", String::as_str);
                Some(self.refusal(code, enhanced, Point::ContentCommand, recipient))
            }
            None => None,
            Some(other) => unreachable!("`Script::parse` gives only refusals here, not {other:?}"),
        };
        if refusal.is_none() {
            transaction.content = Some(Content::new(
                self.common.options.max_size,
                self.want(),
                self.common.options.strict_content,
                transaction.body,
                transaction.smtp_utf8,
            ));
        }
        self.transaction = Some(transaction);
        refusal
    }

    /// As in `Received … with` (RFC 3848, RFC 6531 §4.3).
    pub(super) fn protocol(&self, smtp_utf8: bool) -> &'static str {
        let extended = self.greeted.as_ref().is_some_and(|(_, extended)| *extended);
        match (extended, smtp_utf8, self.secure, self.logged_in) {
            (false, ..) => "SMTP",
            (true, false, false, false) => "ESMTP",
            (true, false, true, false) => "ESMTPS",
            (true, false, false, true) => "ESMTPA",
            (true, false, true, true) => "ESMTPSA",
            (true, true, false, false) => "UTF8SMTP",
            (true, true, true, false) => "UTF8SMTPS",
            (true, true, false, true) => "UTF8SMTPA",
            (true, true, true, true) => "UTF8SMTPSA",
        }
    }
}

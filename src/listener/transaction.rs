//! A transaction between MAIL and its end (RFC 5321 §3.3).

use std::borrow::Cow;
use std::sync::Arc;

use smtp_proto::MailFrom;

use super::request::Delivery;
use super::room::{Held, Room};
use super::terms::Terms;
use crate::smtp::server::{Body, Content, Offence, Refusal, Want, body_of, is_smtp_utf8};

pub(super) const TOO_LARGE: &str = "Error: mail is too large";

/// What a client has said of a mail so far.
#[derive(Debug)]
pub(super) struct Transaction {
    pub return_path: String,
    body: Body,
    pub smtp_utf8: bool,
    /// Those that were accepted, each with a reply to come in LMTP.
    pub recipients: Vec<String>,
    content: Option<Content>,
    held: Held,
    /// BDAT has begun, so DATA and RCPT can't follow.
    pub has_chunks: bool,
    /// The content is refused, and the rest of it is skipped.
    pub refused: Option<Refusal>,
}

impl Transaction {
    /// After MAIL.
    pub(super) fn of(from: &MailFrom<Cow<'_, str>>, room: &Arc<Room>) -> Self {
        Self {
            return_path: from.address.clone().into_owned(),
            body: body_of(from),
            smtp_utf8: is_smtp_utf8(from),
            recipients: Vec::new(),
            content: None,
            held: Held::new(room),
            has_chunks: false,
            refused: None,
        }
    }

    /// The content begins.
    pub(super) fn begin(&mut self, terms: &Terms) {
        let most = terms.mail_bytes as u64;
        self.content = Some(Content::new(most, Want::All, terms.is_strict, self.body, self.smtp_utf8));
    }

    /// Adds to the content, as long as there is room.
    pub(super) fn push(&mut self, slice: &[u8]) {
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
    pub(super) fn refuse(&mut self, why: Refusal) {
        self.refused.get_or_insert(why);
        self.content = None;
        self.held.give_back();
    }

    /// The mail, whose content is complete and was not refused so far.
    pub(super) fn delivery(self, user: Option<Arc<str>>) -> Result<Delivery, Refusal> {
        let mut content = self.content.expect("content has begun");
        content.end();
        if let Some(offence) = content.offence {
            let why = match offence {
                Offence::BareCr | Offence::BareLf => "Error: lines have to end with <CR><LF>",
                Offence::Nul => "Error: the content has a NUL byte",
                Offence::LongLine => "Error: a line has more than 998 octets",
                Offence::EightBit => "Error: bytes above 127 without BODY=8BITMIME",
                Offence::Utf8Header => "Error: bytes above 127 in the header without SMTPUTF8",
            };
            return Err(Refusal::new(554, "5.6.0", why));
        }
        let mut recipients = self.recipients;
        recipients.sort_unstable();
        recipients.dedup();
        Ok(Delivery {
            user,
            return_path: self.return_path,
            recipients,
            eight_bit: self.body != Body::SevenBit,
            smtp_utf8: self.smtp_utf8,
            content: content.into_bytes(),
            _held: self.held,
        })
    }
}

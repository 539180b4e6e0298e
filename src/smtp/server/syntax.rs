//! What is a command, and what a server answers to the rest.

use std::borrow::Cow;

use smtp_proto::{
    Error, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_REQUIRETLS, MAIL_RET_FULL,
    MAIL_RET_HDRS, MAIL_SMTPUTF8, MailFrom, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER,
    RCPT_NOTIFY_SUCCESS, RcptTo, Request,
};

use super::content::Body;

/// A reply that refuses a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reply code.
    pub code: u16,
    /// The enhanced status.
    pub enhanced: &'static str,
    /// The words.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with these.
    pub(crate) fn new(code: u16, enhanced: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced, text: text.into() }
    }

    /// RFC 5321 §4.1.1.11: unknown parameters get 555.
    pub(crate) fn not_offered(parameter: &str) -> Self {
        Self::new(555, "5.5.4", format!("Error: parameter {parameter} is not offered"))
    }
}

/// Why a line is no command.
pub(crate) fn syntax_refusal(error: Error) -> Refusal {
    match error {
        Error::UnknownCommand => Refusal::new(500, "5.5.2", "Error: command not recognized"),
        Error::InvalidSenderAddress => Refusal::new(501, "5.1.7", "Bad sender address syntax"),
        Error::InvalidRecipientAddress => Refusal::new(501, "5.1.3", "Bad recipient address syntax"),
        Error::SyntaxError { syntax } => Refusal::new(501, "5.5.4", format!("Syntax: {syntax}")),
        Error::InvalidParameter { param } => {
            Refusal::new(501, "5.5.4", format!("Error: bad value of {param}"))
        }
        Error::UnsupportedParameter { param } => Refusal::not_offered(&param),
        Error::NeedsMoreData { .. } | Error::ResponseTooLong | Error::InvalidResponse { .. } => {
            Refusal::new(501, "5.5.4", "Error: malformed command")
        }
    }
}

/// Why a command that stands alone is refused: its line `text` has more.
pub(crate) fn stray_parameter<T>(request: &Request<T>, text: &str) -> Option<Refusal> {
    let alone = matches!(request, Request::Data | Request::Rset | Request::Quit | Request::StartTls);
    let name = request.name();
    (alone && text.trim_end().len() != name.len())
        .then(|| Refusal::new(501, "5.5.4", format!("Syntax: {name} takes no parameter")))
}

/// Whether the client must wait for the reply before it sends more (RFC 2920 §3.1, RFC 3207 §4,
/// RFC 4954 §4).
pub(crate) fn ends_group<T>(request: &Request<T>) -> bool {
    matches!(
        request,
        Request::Ehlo { .. }
            | Request::Lhlo { .. }
            | Request::Helo { .. }
            | Request::Data
            | Request::StartTls
            | Request::Auth { .. }
    )
}

/// The extensions whose parameters a session takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offers {
    pub size: bool,
    pub eight_bit_mime: bool,
    pub binary_mime: bool,
    pub smtp_utf8: bool,
    pub dsn: bool,
    pub require_tls: bool,
    pub auth: bool,
}

impl Offers {
    /// Why MAIL is refused: a parameter that was not offered.
    pub(crate) fn refuse_mail(self, from: &MailFrom<Cow<'_, str>>) -> Option<Refusal> {
        let flag = |bits: u64| from.flags & bits != 0;
        let others = !(MAIL_BODY_7BIT
            | MAIL_BODY_8BITMIME
            | MAIL_BODY_BINARYMIME
            | MAIL_SMTPUTF8
            | MAIL_RET_FULL
            | MAIL_RET_HDRS
            | MAIL_REQUIRETLS);
        let refused = [
            (from.size > 0 && !self.size, "SIZE"),
            (flag(MAIL_BODY_7BIT | MAIL_BODY_8BITMIME) && !self.eight_bit_mime, "BODY"),
            (flag(MAIL_BODY_BINARYMIME) && !self.binary_mime, "BODY"),
            (flag(MAIL_SMTPUTF8) && !self.smtp_utf8, "SMTPUTF8"),
            (flag(MAIL_RET_FULL | MAIL_RET_HDRS) && !self.dsn, "RET"),
            (from.env_id.is_some() && !self.dsn, "ENVID"),
            (flag(MAIL_REQUIRETLS) && !self.require_tls, "REQUIRETLS"),
            (from.auth.is_some() && !self.auth, "AUTH"),
            (flag(others), "BY or CONPERM"),
            (from.hold_for > 0 || from.hold_until > 0, "HOLDFOR or HOLDUNTIL"),
            (from.mt_priority != 0, "MT-PRIORITY"),
            (
                from.trans_id.is_some() || from.solicit.is_some() || from.mtrk.is_some(),
                "TRANSID, SOLICIT or MTRK",
            ),
        ];
        refused.into_iter().find_map(|(refused, name)| refused.then(|| Refusal::not_offered(name)))
    }

    /// Why RCPT is refused: a parameter that was not offered.
    pub(crate) fn refuse_rcpt(self, to: &RcptTo<Cow<'_, str>>) -> Option<Refusal> {
        let notify = RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY | RCPT_NOTIFY_NEVER;
        if (to.flags & notify != 0 || to.orcpt.is_some()) && !self.dsn {
            return Some(Refusal::not_offered("NOTIFY or ORCPT"));
        }
        (to.flags & !notify != 0 || to.rrvs != 0).then(|| Refusal::not_offered("RRVS or CONNEG"))
    }
}

/// The body type that MAIL announces.
pub(crate) fn body_of(from: &MailFrom<Cow<'_, str>>) -> Body {
    match from.flags {
        flags if flags & MAIL_BODY_BINARYMIME != 0 => Body::Binary,
        flags if flags & MAIL_BODY_8BITMIME != 0 => Body::EightBit,
        _ => Body::SevenBit,
    }
}

/// Whether MAIL announces international addresses.
pub(crate) fn is_smtp_utf8(from: &MailFrom<Cow<'_, str>>) -> bool {
    from.flags & MAIL_SMTPUTF8 != 0
}

//! What the server offers in its reply to EHLO (RFC 5321 §4.1.1.1).

/// What the server offers. The default, nothing, is a server that knows only HELO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Several commands in one write (RFC 2920).
    pub pipelining: bool,
    /// BDAT (RFC 3030).
    pub chunking: bool,
    /// Bytes above 127 in the content (RFC 6152).
    pub eight_bit_mime: bool,
    /// UTF-8 in addresses and header fields (RFC 6531).
    pub smtputf8: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// Delivery status notifications (RFC 3461).
    pub dsn: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// SIZE (RFC 1870): the largest message in bytes; `Some(0)` is offered without a limit.
    pub size: Option<u64>,
    /// AUTH PLAIN.
    pub auth_plain: bool,
    /// AUTH LOGIN.
    pub auth_login: bool,
    /// AUTH XOAUTH2.
    pub auth_xoauth2: bool,
}

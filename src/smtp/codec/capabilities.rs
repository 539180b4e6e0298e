//! What the server offers in its reply to EHLO (RFC 5321 §4.1.1.1).

use smtp_proto::{
    AUTH_CRAM_MD5, AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2, EXT_8BIT_MIME, EXT_CHUNKING, EXT_DSN,
    EXT_PIPELINING, EXT_REQUIRE_TLS, EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse,
};

/// The extensions that a server offers. The default, none, is a server that knows only HELO.
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
    /// AUTH CRAM-MD5.
    pub auth_cram_md5: bool,
    /// AUTH XOAUTH2.
    pub auth_xoauth2: bool,
}

impl Capabilities {
    /// Parses the complete reply to EHLO with all its lines; `None` if it is not one.
    pub fn parse(reply: &[u8]) -> Option<Self> {
        let offered = EhloResponse::parse(&mut reply.iter()).ok()?;
        let auth = |mechanism| offered.auth_mechanisms & mechanism != 0;
        Some(Self {
            pipelining: offered.has_capability(EXT_PIPELINING),
            chunking: offered.has_capability(EXT_CHUNKING),
            eight_bit_mime: offered.has_capability(EXT_8BIT_MIME),
            smtputf8: offered.has_capability(EXT_SMTP_UTF8),
            starttls: offered.has_capability(EXT_START_TLS),
            dsn: offered.has_capability(EXT_DSN),
            require_tls: offered.has_capability(EXT_REQUIRE_TLS),
            size: offered.has_capability(EXT_SIZE).then_some(offered.size as u64),
            auth_plain: auth(AUTH_PLAIN),
            auth_login: auth(AUTH_LOGIN),
            auth_cram_md5: auth(AUTH_CRAM_MD5),
            auth_xoauth2: auth(AUTH_XOAUTH2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_offer() {
        let check = |reply: &str, expected: Capabilities| {
            assert_eq!(Capabilities::parse(reply.as_bytes()), Some(expected), "{reply:?}");
        };
        check("250 mail.example.com\r\n", Capabilities::default());
        check(
            "250-mail.example.com greets you\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-STARTTLS\r\n\
             250-AUTH LOGIN PLAIN XOAUTH2 X-ODD-ONE\r\n250-8BITMIME\r\n250-DSN\r\n250-REQUIRETLS\r\n\
             250-SMTPUTF8\r\n250 CHUNKING\r\n",
            Capabilities {
                pipelining: true,
                chunking: true,
                eight_bit_mime: true,
                smtputf8: true,
                starttls: true,
                dsn: true,
                require_tls: true,
                size: Some(52_428_800),
                auth_plain: true,
                auth_login: true,
                auth_cram_md5: false,
                auth_xoauth2: true,
            },
        );
        check(
            "250-x\r\n250-size\r\n250-\r\n250-X-LONG-KEYWORD-OF-ITS-OWN a b\r\n250 pipelining \r\n",
            Capabilities { pipelining: true, size: Some(0), ..Capabilities::default() },
        );
        check(
            "250-x\r\n250-SIZE many\r\n250-AUTH=LOGIN PLAIN\r\n250 AUTH LOGIN\r\n",
            Capabilities { size: Some(0), auth_plain: true, auth_login: true, ..Capabilities::default() },
        );
        assert_eq!(Capabilities::parse(b"220 mail.example.com\r\n"), None);
        assert_eq!(Capabilities::parse(b"250-x\r\n250-PIPELINING\r\n"), None);
    }
}

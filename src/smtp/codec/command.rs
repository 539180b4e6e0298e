//! Writes commands (RFC 5321 §4.1.1) with the parameters of SIZE (RFC 1870), 8BITMIME (RFC 6152),
//! SMTPUTF8 (RFC 6531), DSN (RFC 3461) and REQUIRETLS (RFC 8689).
//!
//! An [`Address`] can't contain a line end, a space or an angle bracket: this keeps a row from
//! adding a command.

use std::fmt::Write;

use bytes::BytesMut;

use super::dsn;
use crate::campaign::Dsn;
use crate::mail::Address;

/// The parameters of MAIL.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MailParameters<'a> {
    /// `SIZE=`, in bytes.
    pub size: Option<usize>,
    /// `BODY=8BITMIME`.
    pub eight_bit: bool,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `REQUIRETLS`.
    pub require_tls: bool,
    /// `RET` and `ENVID`, with the message's id.
    pub dsn: Option<(&'a Dsn, &'a str)>,
}

/// `MAIL FROM:<…>`; `None` is the null return path.
pub(crate) fn mail(out: &mut BytesMut, return_path: Option<&Address>, parameters: MailParameters<'_>) {
    out.extend_from_slice(b"MAIL FROM:<");
    if let Some(address) = return_path {
        path(out, address);
    }
    out.extend_from_slice(b">");
    if let Some(size) = parameters.size {
        write!(out, " SIZE={size}").expect("a BytesMut grows");
    }
    if parameters.eight_bit {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if parameters.smtputf8 {
        out.extend_from_slice(b" SMTPUTF8");
    }
    if parameters.require_tls {
        out.extend_from_slice(b" REQUIRETLS");
    }
    if let Some((dsn, id)) = parameters.dsn {
        dsn::mail(out, dsn, id);
    }
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO:<…>`, with `NOTIFY` and `ORCPT` if there is a `dsn`.
pub(crate) fn rcpt(out: &mut BytesMut, recipient: &Address, dsn: Option<&Dsn>) {
    out.extend_from_slice(b"RCPT TO:<");
    path(out, recipient);
    out.extend_from_slice(b">");
    if let Some(dsn) = dsn {
        dsn::rcpt(out, dsn, recipient);
    }
    out.extend_from_slice(b"\r\n");
}

/// `BDAT n LAST`: `bytes` bytes of content follow, and they are all of it.
pub(crate) fn bdat_last(out: &mut BytesMut, bytes: usize) {
    write!(out, "BDAT {bytes} LAST\r\n").expect("a BytesMut grows");
}

fn path(out: &mut BytesMut, address: &Address) {
    out.extend_from_slice(address.local().as_bytes());
    out.extend_from_slice(b"@");
    out.extend_from_slice(address.domain().as_str().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{Notify, Return};

    #[test]
    fn commands_on_the_wire() {
        let check = |write: &dyn Fn(&mut BytesMut), wire: &str| {
            let mut out = BytesMut::new();
            write(&mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), wire);
        };
        let address = |text: &str| Address::parse(text).unwrap();
        check(&|out| mail(out, None, MailParameters::default()), "MAIL FROM:<>\r\n");
        let dsn = Dsn { notify: vec![Notify::Failure], ret: Some(Return::Full) };
        let all = MailParameters {
            size: Some(1_234),
            eight_bit: true,
            smtputf8: true,
            require_tls: true,
            dsn: Some((&dsn, "1@m.example")),
        };
        check(
            &|out| mail(out, Some(&address("bounces@example.com")), all),
            "MAIL FROM:<bounces@example.com> SIZE=1234 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=FULL ENVID=1@m.example\r\n",
        );
        check(
            &|out| rcpt(out, &address("josé@müller.example"), None),
            "RCPT TO:<josé@xn--mller-kva.example>\r\n",
        );
        check(
            &|out| rcpt(out, &address("bob@b.example"), Some(&dsn)),
            "RCPT TO:<bob@b.example> NOTIFY=FAILURE ORCPT=rfc822;bob@b.example\r\n",
        );
        check(&|out| bdat_last(out, 0), "BDAT 0 LAST\r\n");
        check(&|out| bdat_last(out, 20_000_000), "BDAT 20000000 LAST\r\n");
    }
}

//! Commands out (RFC 5321 §4.1.1) with the parameters of SIZE (RFC 1870), 8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531).
//!
//! An [`Address`] can't hold a line end, a space or an angle bracket: that is what keeps a row from adding a command.

use std::fmt::Write;

use bytes::BytesMut;

use crate::mail::Address;

/// The parameters of MAIL.
#[derive(Debug, Clone, Copy, Default)]
pub struct MailParameters {
    /// `SIZE=`, in bytes.
    pub size: Option<usize>,
    /// `BODY=8BITMIME`.
    pub eight_bit: bool,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
}

/// `MAIL FROM:<…>`; `None` is the null return path.
pub fn mail(out: &mut BytesMut, return_path: Option<&Address>, parameters: MailParameters) {
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
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO:<…>`.
pub fn rcpt(out: &mut BytesMut, recipient: &Address) {
    out.extend_from_slice(b"RCPT TO:<");
    path(out, recipient);
    out.extend_from_slice(b">\r\n");
}

/// `BDAT n LAST`: `bytes` bytes of content follow, and it is all of it.
pub fn bdat_last(out: &mut BytesMut, bytes: usize) {
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

    #[test]
    fn commands_on_the_wire() {
        let check = |write: &dyn Fn(&mut BytesMut), wire: &str| {
            let mut out = BytesMut::new();
            write(&mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), wire);
        };
        let address = |text: &str| Address::parse(text).unwrap();
        check(&|out| mail(out, None, MailParameters::default()), "MAIL FROM:<>\r\n");
        let all = MailParameters { size: Some(1_234), eight_bit: true, smtputf8: true };
        check(
            &|out| mail(out, Some(&address("bounces@example.com")), all),
            "MAIL FROM:<bounces@example.com> SIZE=1234 BODY=8BITMIME SMTPUTF8\r\n",
        );
        check(&|out| rcpt(out, &address("josé@müller.example")), "RCPT TO:<josé@xn--mller-kva.example>\r\n");
        check(&|out| bdat_last(out, 0), "BDAT 0 LAST\r\n");
        check(&|out| bdat_last(out, 20_000_000), "BDAT 20000000 LAST\r\n");
    }
}

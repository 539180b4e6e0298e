//! The parameters of delivery status notifications (RFC 3461 §4; recipients with UTF-8: RFC 6533
//! §3).

use std::fmt::Write;

use bytes::BytesMut;

use crate::campaign::{Dsn, Notify, Return};
use crate::mail::Address;

/// RFC 3461 §4.4: the longest ENVID, as encoded on the wire.
const ENVID_BYTES: usize = 100;

/// ` RET=… ENVID=…` of MAIL. `id` is the message's; if it is too long for ENVID, it is omitted.
pub(crate) fn mail(out: &mut BytesMut, dsn: &Dsn, id: &str) {
    match dsn.ret {
        Some(Return::Full) => out.extend_from_slice(b" RET=FULL"),
        Some(Return::Headers) => out.extend_from_slice(b" RET=HDRS"),
        None => {}
    }
    let mut envid = BytesMut::new();
    xtext(&mut envid, id);
    if (1..=ENVID_BYTES).contains(&envid.len()) && id.is_ascii() {
        out.extend_from_slice(b" ENVID=");
        out.extend_from_slice(&envid);
    }
}

/// ` NOTIFY=… ORCPT=…` of RCPT.
pub(crate) fn rcpt(out: &mut BytesMut, dsn: &Dsn, recipient: &Address) {
    for (index, word) in dsn.notify.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b" NOTIFY=" } else { b"," });
        out.extend_from_slice(match word {
            Notify::Never => b"NEVER",
            Notify::Success => b"SUCCESS",
            Notify::Failure => b"FAILURE",
            Notify::Delay => b"DELAY",
        });
    }
    let address = recipient.to_string();
    if address.is_ascii() {
        out.extend_from_slice(b" ORCPT=rfc822;");
        xtext(out, &address);
    } else {
        // Such a recipient needs SMTPUTF8 anyway: RFC 6533 §3, utf-8-addr-unitext.
        out.extend_from_slice(b" ORCPT=utf-8;");
        for c in address.chars() {
            match c {
                '+' | '=' | '\\' => write!(out, "\\x{{{:X}}}", u32::from(c)).expect("a BytesMut grows"),
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

/// RFC 3461 §4: printable ASCII except `+` and `=`; everything else as `+` and two hexadecimal
/// digits.
fn xtext(out: &mut BytesMut, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => write!(out, "+{byte:02X}").expect("a BytesMut grows"),
            b'!'..=b'~' => out.extend_from_slice(&[byte]),
            _ => write!(out, "+{byte:02X}").expect("a BytesMut grows"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(write: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn parameters_on_the_wire() {
        let dsn = |notify: &[Notify], ret| Dsn { notify: notify.to_vec(), ret };
        let usual = dsn(&[Notify::Failure, Notify::Delay], Some(Return::Headers));
        let of_mail = |dsn: &Dsn, id: &str| wire(|out| mail(out, dsn, id));
        assert_eq!(of_mail(&usual, "7.a@m.example"), " RET=HDRS ENVID=7.a@m.example");
        assert_eq!(
            of_mail(&dsn(&[Notify::Never], Some(Return::Full)), "a+b=c d"),
            " RET=FULL ENVID=a+2Bb+3Dc+20d"
        );
        assert_eq!(of_mail(&dsn(&[Notify::Success], None), ""), "");
        assert_eq!(of_mail(&usual, &"x".repeat(101)), " RET=HDRS", "too long for ENVID");
        assert_eq!(of_mail(&usual, &"+".repeat(34)), " RET=HDRS", "on the wire it is too long");

        let of_rcpt = |dsn: &Dsn, to: &str| wire(|out| rcpt(out, dsn, &Address::parse(to).unwrap()));
        assert_eq!(of_rcpt(&usual, "bob@b.example"), " NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob@b.example");
        assert_eq!(
            of_rcpt(&dsn(&[Notify::Never], None), "a+b=c@b.example"),
            " NOTIFY=NEVER ORCPT=rfc822;a+2Bb+3Dc@b.example"
        );
        assert_eq!(
            of_rcpt(&dsn(&[Notify::Success], None), "josé+x@b.example"),
            " NOTIFY=SUCCESS ORCPT=utf-8;josé\\x{2B}x@b.example"
        );
    }
}

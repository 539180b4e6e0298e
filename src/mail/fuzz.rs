//! Texts that are nearly addresses.

use std::str::FromStr;

use super::{Address, Domain, EnhancedStatus, Mailbox};
use crate::fuzzing::{fuzz, texts};

/// An address goes into `RCPT TO:<…>` and into header fields as it is.
fn check(address: &Address) {
    let text = address.to_string();
    assert!(text.len() <= 254 && address.local().len() <= 64, "{text}");
    let breaks_out = |c: char| c.is_control() || c.is_whitespace() || "<>()[]\\\",;:".contains(c);
    assert!(!text.contains(breaks_out), "{text:?}");
    assert_eq!(text.matches('@').count(), 1, "{text}");
    let wire = address.domain().as_str();
    assert!(wire.is_ascii() && wire.contains('.') && wire == wire.to_ascii_lowercase(), "{wire}");
    assert_eq!(Address::parse(&text).as_ref(), Ok(address), "it is read as itself");
}

#[test]
fn addresses_are_safe_to_send_to_or_refused() {
    let seeds = texts(&[
        "bob@example.com",
        "First.Last+tag@Sub.Example.CO.UK",
        "o'brien!#$%&*/=?^_`{|}~-@x-1.example",
        "さくら@例え.example",
        "user@xn--r8jz45g.example",
        "\"quoted local\"@example.com",
        "user@[192.0.2.1]",
        " bob@example.com\u{a0}",
        "a@b.example\r\nRCPT TO:<c@d.example>",
        "faß@straße.example",
    ]);
    fuzz("addresses", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(address) = Address::parse(&text) {
            check(&address);
        }
        if let Ok(domain) = Domain::parse(&text) {
            assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain));
        }
    });
}

#[test]
fn mailboxes_are_read_as_written_or_refused() {
    let seeds = texts(&[
        "Example News <news@mail.example.com>",
        "\"News, \\\"Example\\\" \\\\\" <news@mail.example.com>",
        "news@mail.example.com",
        "Ünï <a@b.example>",
        "<a@b.example>",
    ]);
    fuzz("mailboxes", &seeds, |bytes| {
        let Ok(mailbox) = Mailbox::parse(&String::from_utf8_lossy(bytes)) else { return };
        check(&mailbox.address);
        assert!(!mailbox.name.as_deref().unwrap_or_default().contains(char::is_control), "{mailbox:?}");
        assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox));
    });
}

#[test]
fn statuses_are_read_as_written_or_refused() {
    fuzz("enhanced statuses", &texts(&["5.1.1", "4.2.2", "2.0.0", "5.7.515"]), |bytes| {
        let Ok(status) = EnhancedStatus::from_str(&String::from_utf8_lossy(bytes)) else { return };
        assert_eq!(status.to_string().parse::<EnhancedStatus>().unwrap(), status);
    });
}

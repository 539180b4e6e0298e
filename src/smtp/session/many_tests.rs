//! One message for several recipients: a RCPT and a fate of its own for each.

use crate::mail::Address;

use super::tests::{BDAT, CONTENT, MAIL, NOW, Wire, rcpt, transaction};

const CONTENT_BYTES: &str = "A: b\r\n\r\n.c\r\n";
const ONE_GO: &str = "PIPELINING CHUNKING";
const EVERY_MODE: [&str; 4] = [ONE_GO, "PIPELINING", "CHUNKING", ""];

impl Wire {
    /// Submits message 1 for the recipients 1 to `recipients`.
    fn submit_to(&mut self, recipients: u64, content: &str) {
        let mut transaction = transaction(1, content);
        let address = |n| Address::parse(&format!("u{n}@r.example")).unwrap();
        transaction.envelope.recipients = (1..=recipients).map(address).collect();
        self.session.submit(transaction, NOW);
    }
}

/// A session with one message for three recipients in flight that has got these replies, and what
/// it wrote.
fn after(words: &str, replies: &[&str]) -> (Wire, String) {
    let mut wire = Wire::new(words, 1);
    wire.submit_to(3, CONTENT_BYTES);
    let mut written = wire.written();
    for reply in replies {
        wire.say(reply);
        written.push_str(&wire.written());
    }
    (wire, written)
}

fn envelope() -> String {
    format!("{MAIL}{}{}{}", rcpt(1), rcpt(2), rcpt(3))
}

#[test]
fn all_recipients_stand_in_one_transaction() {
    let (mut wire, written) = after(ONE_GO, &[]);
    assert_eq!(written, format!("{}{BDAT}", envelope()), "one write");
    wire.say("250 m\r\n250 1\r\n250 2\r\n250 3\r\n250 queued\r\n");
    let accepted = "250 to end of message";
    assert_eq!(wire.fates(), [format!("1: {accepted}, {accepted}, {accepted}")]);

    let (mut wire, written) = after("PIPELINING", &[]);
    assert_eq!(written, format!("{}DATA\r\n", envelope()), "one write up to the content");
    wire.say("250 m\r\n250 1\r\n250 2\r\n250 3\r\n354 go\r\n");
    assert_eq!(wire.written(), CONTENT);

    let mut wire = Wire::new("", 1);
    wire.submit_to(2, CONTENT_BYTES);
    let lines =
        [(MAIL, "250 m\r\n"), (&rcpt(1), "250 1\r\n"), (&rcpt(2), "250 2\r\n"), ("DATA\r\n", "354 go\r\n")];
    for (line, reply) in lines {
        assert_eq!(wire.written(), line, "step by step");
        wire.say(reply);
    }
    assert_eq!(wire.written(), CONTENT);
    wire.say("250 queued\r\n");
    assert_eq!(wire.fates(), [format!("1: {accepted}, {accepted}")]);
}

#[test]
fn each_recipient_has_a_fate_of_its_own() {
    // Capabilities, replies, fates.
    let cases: [(&str, &[&str], &str); 14] = [
        (ONE_GO, &["250 m\r\n250 1\r\n550 2\r\n250 3\r\n250 e\r\n"], "250 E, 550 R, 250 E"),
        (ONE_GO, &["250 m\r\n550 1\r\n250 2\r\n450 3\r\n554 e\r\n"], "550 R, 554 E, 450 R"),
        (ONE_GO, &["250 m\r\n550 1\r\n551 2\r\n552 3\r\n503 e\r\n"], "550 R, 551 R, 552 R"),
        (ONE_GO, &["550 m\r\n503 1\r\n503 2\r\n503 3\r\n503 e\r\n"], "550 M, 550 M, 550 M"),
        (
            "PIPELINING",
            &["250 m\r\n250 1\r\n550 2\r\n250 3\r\n354 d\r\n", "250 e\r\n"],
            "250 E, 550 R, 250 E",
        ),
        (
            "PIPELINING",
            &["250 m\r\n250 1\r\n550 2\r\n250 3\r\n354 d\r\n", "451 e\r\n"],
            "451 E, 550 R, 451 E",
        ),
        ("PIPELINING", &["250 m\r\n250 1\r\n550 2\r\n250 3\r\n451 d\r\n"], "451 D, 550 R, 451 D"),
        ("PIPELINING", &["250 m\r\n550 1\r\n551 2\r\n552 3\r\n503 d\r\n"], "550 R, 551 R, 552 R"),
        ("PIPELINING", &["550 m\r\n503 1\r\n503 2\r\n503 3\r\n503 d\r\n"], "550 M, 550 M, 550 M"),
        (
            "",
            &["250 m\r\n", "550 1\r\n", "250 2\r\n", "450 3\r\n", "354 d\r\n", "250 e\r\n"],
            "550 R, 250 E, 450 R",
        ),
        ("", &["250 m\r\n", "550 1\r\n", "551 2\r\n", "552 3\r\n"], "550 R, 551 R, 552 R"),
        ("", &["550 m\r\n"], "550 M, 550 M, 550 M"),
        (
            "CHUNKING",
            &["250 m\r\n", "250 1\r\n", "550 2\r\n", "250 3\r\n", "250 e\r\n"],
            "250 E, 550 R, 250 E",
        ),
        ("CHUNKING", &["250 m\r\n", "550 1\r\n", "551 2\r\n", "552 3\r\n"], "550 R, 551 R, 552 R"),
    ];
    for (words, replies, fates) in cases {
        let (mut wire, _) = after(words, replies);
        let fates = fates.replace('E', "to end of message").replace('R', "to RCPT");
        let fates = fates.replace('M', "to MAIL").replace('D', "to DATA");
        assert_eq!(wire.fates(), [format!("1: {fates}")], "`{words}`: {replies:?}");
        assert!(wire.session.is_idle() && wire.session.has_room(), "`{words}`: {replies:?}");
    }
}

#[test]
fn the_report_comes_with_the_last_fate() {
    let (mut wire, _) = after(ONE_GO, &["250 m\r\n550 1\r\n550 2\r\n"]);
    assert_eq!(wire.fates(), [""; 0]);
    wire.say("550 3\r\n");
    assert_eq!(wire.fates(), ["1: 550 to RCPT, 550 to RCPT, 550 to RCPT"], "nobody is left to wait for");
    wire.session.on_eof(NOW);
    assert_eq!(wire.fates(), [""; 0]);
}

#[test]
fn after_354_for_nobody_comes_a_lone_dot() {
    let (mut wire, written) = after("PIPELINING", &["250 m\r\n550 1\r\n550 2\r\n550 3\r\n354 d\r\n"]);
    assert_eq!(written, format!("{}DATA\r\n.\r\n", envelope()));
    wire.say("554 no recipients\r\n");
    assert_eq!(wire.fates(), ["1: 550 to RCPT, 550 to RCPT, 550 to RCPT"]);
    assert!(wire.session.has_room() && wire.session.is_idle());
}

/// Recipients that were refused stay refused; the content was complete, so all others are in doubt.
#[test]
fn a_lost_connection_leaves_only_those_in_doubt_that_were_not_refused() {
    let lose: [fn(&mut Wire); 3] = [
        |wire| wire.session.on_eof(NOW),
        |wire| wire.session.on_timeout(NOW),
        |wire| wire.say("what is this\r\n"),
    ];
    for lose in lose {
        for (words, replies) in [
            (ONE_GO, vec!["250 m\r\n250 1\r\n550 2\r\n250 3\r\n"]),
            ("PIPELINING", vec!["250 m\r\n250 1\r\n550 2\r\n250 3\r\n354 d\r\n"]),
            ("", vec!["250 m\r\n", "250 1\r\n", "550 2\r\n", "250 3\r\n", "354 d\r\n"]),
        ] {
            let (mut wire, _) = after(words, &replies);
            lose(&mut wire);
            assert_eq!(wire.fates(), ["1: in doubt, 550 to RCPT, in doubt"], "`{words}`");
        }
        let (mut wire, _) = after("PIPELINING", &["250 m\r\n250 1\r\n550 2\r\n"]);
        lose(&mut wire);
        assert_eq!(wire.fates(), ["1: failed, 550 to RCPT, failed"], "the content was never sent");
    }
}

#[test]
fn a_server_that_closes_at_one_recipient_says_nothing_of_the_others() {
    for words in EVERY_MODE {
        let (mut wire, _) = match words.contains("PIPELINING") {
            true => after(words, &["250 m\r\n250 1\r\n421 bye\r\n"]),
            false => after(words, &["250 m\r\n", "250 1\r\n", "421 bye\r\n"]),
        };
        if words == ONE_GO {
            assert_eq!(wire.fates(), [""; 0], "it has all of it, and may still answer");
            wire.session.on_eof(NOW);
            assert_eq!(wire.fates(), ["1: in doubt, 421 to RCPT, in doubt"]);
        } else {
            assert_eq!(wire.fates(), ["1: failed, 421 to RCPT, failed"], "`{words}`");
        }
        assert!(wire.session.is_over());
    }
}

#[test]
fn nobody_is_begun_when_it_is_too_late_or_unfit() {
    let mut wire = Wire::new("SIZE=7", 1);
    wire.submit_to(2, CONTENT_BYTES);
    let unfit = "message of 12 bytes exceeds the server's limit of 7 bytes";
    assert_eq!(wire.fates(), [format!("1: {unfit}, {unfit}")]);
    let mut wire = Wire::new(ONE_GO, 1);
    wire.session.on_eof(NOW);
    wire.submit_to(2, CONTENT_BYTES);
    assert_eq!(wire.fates(), ["1: not started, not started"]);
}

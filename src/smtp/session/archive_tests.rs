//! The archive's copy: a RCPT of its own, whose fate is never the recipient's.

use crate::campaign::{Dsn, Notify};
use crate::mail::{Address, Envelope, Timestamp};
use crate::smtp::{Extensions, SessionError};

use super::tests::{BDAT, CONTENT, MAIL, NOW, Wire, rcpt, transaction, word};

const ARCHIVE: &str = "RCPT TO:<archive@a.example>\r\n";
const CONTENT_BYTES: &str = "A: b\r\n\r\n.c\r\n";
/// The content waits for the replies to the envelope.
const WAITING: &str = "PIPELINING CHUNKING";
/// With `archive-strict` it doesn't.
const ONE_GO: &str = "PIPELINING CHUNKING strict";

impl Wire {
    /// A session with a server that offers `words`; `strict` is the campaign's word.
    fn archiving(words: &str) -> Self {
        let archive_strict = words.contains("strict");
        let extensions = Extensions { archive_strict, ..Extensions::default() };
        Self { session: Self::new(words, 1).session.with(extensions) }
    }

    fn submit_archived(&mut self, id: u64, content: &str) {
        let mut transaction = transaction(id, content);
        transaction.envelope.archive = Some(Address::parse("archive@a.example").unwrap());
        self.session.submit(transaction, NOW);
    }

    /// The reports so far: the recipient's fate, and the code of the archive's reply.
    fn outcomes(&mut self) -> Vec<(String, Option<u16>)> {
        std::iter::from_fn(|| self.session.next_report())
            .map(|report| (word(&report.fates[0]), report.archive.map(|reply| reply.code)))
            .collect()
    }
}

/// A session with one message in flight that has got these replies.
fn after(words: &str, replies: &[&str]) -> (Wire, String) {
    let mut wire = Wire::archiving(words);
    wire.submit_archived(1, CONTENT_BYTES);
    let mut written = wire.written();
    for reply in replies {
        wire.say(reply);
        written.push_str(&wire.written());
    }
    (wire, written)
}

#[test]
fn the_archive_comes_behind_the_recipient() {
    let envelope = format!("{MAIL}{}{ARCHIVE}", rcpt(1));
    let (mut wire, written) = after(ONE_GO, &[]);
    assert_eq!(written, format!("{envelope}{BDAT}"), "one write");
    wire.say("250 m\r\n250 r\r\n250 a\r\n250 queued\r\n");
    assert_eq!(wire.outcomes(), [("250 to end of message".into(), Some(250))]);

    let (mut wire, written) = after(WAITING, &[]);
    assert_eq!(written, envelope, "one write up to the content");
    wire.say("250 m\r\n250 r\r\n250 a\r\n");
    assert_eq!(wire.written(), BDAT);
    wire.say("250 queued\r\n");
    assert_eq!(wire.outcomes(), [("250 to end of message".into(), Some(250))]);

    let (mut wire, written) = after("PIPELINING", &[]);
    assert_eq!(written, format!("{envelope}DATA\r\n"), "one write up to the content");
    wire.say("250 m\r\n250 r\r\n250 a\r\n354 go\r\n");
    assert_eq!(wire.written(), CONTENT);
    wire.say("250 queued\r\n");
    assert_eq!(wire.outcomes(), [("250 to end of message".into(), Some(250))]);

    let mut wire = Wire::archiving("");
    wire.submit_archived(1, CONTENT_BYTES);
    for (line, reply) in [
        (MAIL, "250 m\r\n"),
        (&rcpt(1), "250 r\r\n"),
        (ARCHIVE, "250 a\r\n"),
        ("DATA\r\n", "354 go\r\n"),
        (CONTENT, "250 queued\r\n"),
    ] {
        assert_eq!(wire.written(), line, "step by step");
        wire.say(reply);
    }
    assert_eq!(wire.outcomes(), [("250 to end of message".into(), Some(250))]);
}

#[test]
fn nobody_is_notified_about_the_archive() {
    let (_, written) = after("PIPELINING CHUNKING DSN", &[]);
    let line = "RCPT TO:<archive@a.example> NOTIFY=NEVER ORCPT=rfc822;archive@a.example\r\n";
    assert!(written.contains(&rcpt(1)) && written.contains(line), "{written}");

    let dsn = Dsn { notify: vec![Notify::Failure], ret: None };
    let extensions = Extensions { dsn: Some(dsn), ..Extensions::default() };
    let mut wire = Wire { session: Wire::new("PIPELINING DSN", 1).session.with(extensions) };
    let mut copy = transaction(1, CONTENT_BYTES);
    copy.envelope = Envelope::of_copy(None, Address::parse("archive@a.example").unwrap());
    wire.session.submit(copy, NOW);
    let written = wire.written();
    assert!(written.contains(line) && !written.contains("FAILURE"), "{written}");
}

#[test]
fn each_has_a_fate_of_its_own() {
    let accepted = "250 to end of message";
    // Capabilities, replies, the recipient's fate, the archive's reply.
    let cases: [(&str, &[&str], &str, Option<u16>); 20] = [
        (ONE_GO, &["250 m\r\n250 r\r\n550 a\r\n250 e\r\n"], accepted, Some(550)),
        (ONE_GO, &["250 m\r\n250 r\r\n452 a\r\n250 e\r\n"], accepted, Some(452)),
        (ONE_GO, &["250 m\r\n250 r\r\n250 a\r\n554 e\r\n"], "554 to end of message", Some(554)),
        (ONE_GO, &["250 m\r\n250 r\r\n550 a\r\n451 e\r\n"], "451 to end of message", Some(550)),
        // Written in one go: the server accepts it for the archive alone.
        (ONE_GO, &["250 m\r\n550 r\r\n250 a\r\n250 e\r\n"], "550 to RCPT", Some(250)),
        (ONE_GO, &["250 m\r\n450 r\r\n250 a\r\n554 e\r\n"], "450 to RCPT", Some(554)),
        (ONE_GO, &["250 m\r\n550 r\r\n551 a\r\n503 e\r\n"], "550 to RCPT", None),
        (ONE_GO, &["550 m\r\n503 r\r\n503 a\r\n503 e\r\n"], "550 to MAIL", None),
        // The content waits, and nobody but the recipients decides whether it goes.
        (WAITING, &["250 m\r\n250 r\r\n451 a\r\n", "250 e\r\n"], accepted, Some(451)),
        (WAITING, &["250 m\r\n250 r\r\n250 a\r\n", "554 e\r\n"], "554 to end of message", Some(554)),
        (WAITING, &["250 m\r\n550 r\r\n250 a\r\n"], "550 to RCPT", None),
        (WAITING, &["250 m\r\n450 r\r\n451 a\r\n"], "450 to RCPT", None),
        ("PIPELINING", &["250 m\r\n250 r\r\n550 a\r\n354 d\r\n", "250 e\r\n"], accepted, Some(550)),
        ("PIPELINING", &["250 m\r\n250 r\r\n250 a\r\n451 d\r\n"], "451 to DATA", Some(451)),
        ("PIPELINING", &["250 m\r\n550 r\r\n551 a\r\n503 d\r\n"], "550 to RCPT", None),
        ("", &["250 m\r\n", "250 r\r\n", "550 a\r\n", "354 d\r\n", "250 e\r\n"], accepted, Some(550)),
        (
            "",
            &["250 m\r\n", "250 r\r\n", "250 a\r\n", "354 d\r\n", "554 e\r\n"],
            "554 to end of message",
            Some(554),
        ),
        ("", &["250 m\r\n", "550 r\r\n"], "550 to RCPT", None),
        ("CHUNKING", &["250 m\r\n", "550 r\r\n"], "550 to RCPT", None),
        ("CHUNKING", &["250 m\r\n", "250 r\r\n", "550 a\r\n", "250 e\r\n"], accepted, Some(550)),
    ];
    for (words, replies, fate, archive) in cases {
        let (mut wire, written) = after(words, replies);
        assert_eq!(wire.outcomes(), [(fate.into(), archive)], "`{words}`: {replies:?}");
        assert!(wire.session.is_idle() && wire.session.has_room(), "`{words}`: {replies:?}");
        if !words.contains("PIPELINING") && fate == "550 to RCPT" {
            assert_eq!(written, format!("{MAIL}{}", rcpt(1)), "the archive is not asked for");
        }
    }
}

#[test]
fn the_archive_gets_no_large_message_that_its_recipient_was_refused_for() {
    let mut wire = Wire::archiving(ONE_GO);
    wire.submit_archived(1, &"x".repeat(2_000_000));
    assert_eq!(wire.written(), format!("{MAIL}{}{ARCHIVE}", rcpt(1)), "the content waits");
    wire.say("250 m\r\n550 r\r\n");
    assert_eq!(wire.outcomes(), [], "the report waits for the archive's reply");
    wire.say("250 a\r\n");
    assert_eq!(wire.outcomes(), [("550 to RCPT".into(), None)]);
    wire.submit_archived(2, CONTENT_BYTES);
    assert!(wire.written().starts_with("RSET\r\n"));
}

#[test]
fn after_354_for_the_archive_alone_the_connection_is_closed() {
    let (mut wire, written) = after("PIPELINING", &["250 m\r\n550 r\r\n250 a\r\n354 d\r\n"]);
    assert_eq!(
        written,
        format!("{MAIL}{}{ARCHIVE}DATA\r\n", rcpt(1)),
        "no dot: it would be an empty message"
    );
    assert_eq!(wire.outcomes(), [("550 to RCPT".into(), None)]);
    assert_eq!(wire.session.ended(), Some(&SessionError::Withheld));
    assert!(wire.session.is_over());

    let (mut wire, written) = after("PIPELINING", &["250 m\r\n550 r\r\n551 a\r\n354 d\r\n"]);
    assert!(written.ends_with("DATA\r\n.\r\n"), "nobody is to get anything: {written}");
    wire.say("554 no recipients\r\n");
    assert_eq!(wire.outcomes(), [("550 to RCPT".into(), None)]);
    assert!(wire.session.has_room());
}

#[test]
fn a_refused_recipient_stays_refused_when_the_connection_is_lost() {
    let lose: [fn(&mut Wire); 3] = [
        |wire| wire.session.on_eof(NOW),
        |wire| wire.session.on_timeout(NOW),
        |wire| wire.say("what is this\r\n"),
    ];
    for lose in lose {
        let mut wire = Wire::archiving(ONE_GO);
        wire.submit_archived(1, CONTENT_BYTES);
        wire.written();
        wire.say("250 m\r\n");
        wire.session.on_bytes(b"550 r\r\n", Timestamp(NOW.0 + 1));
        wire.say("250 a\r\n");
        assert_eq!(wire.outcomes(), []);
        lose(&mut wire);
        assert_eq!(wire.outcomes(), [("550 to RCPT".into(), None)]);
    }
}

#[test]
fn a_server_that_closes_at_the_archive_says_nothing_of_the_recipient() {
    let (mut wire, _) = after("", &["250 m\r\n", "250 r\r\n", "421 bye\r\n"]);
    assert_eq!(wire.outcomes(), [("failed".into(), Some(421))], "the content was not sent");
    assert!(wire.session.is_over());

    let (mut wire, _) = after(ONE_GO, &["250 m\r\n250 r\r\n421 bye\r\n"]);
    assert_eq!(wire.outcomes(), [], "the server has all of it, and may still answer");
    wire.say("250 queued\r\n");
    assert_eq!(wire.outcomes(), [("250 to end of message".into(), Some(421))]);

    let (mut wire, _) = after(ONE_GO, &["250 m\r\n250 r\r\n421 bye\r\n"]);
    wire.session.on_eof(NOW);
    assert_eq!(wire.outcomes(), [("in doubt".into(), Some(421))]);
}

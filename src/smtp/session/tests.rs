//! Each reply in each state, what is written after it, and the fates of the messages after it.

use std::io::IoSlice;
use std::time::Duration;

use bytes::Bytes;

use crate::campaign::Timeouts;
use crate::mail::{Address, Envelope, SignedMessage, Timestamp};
use crate::smtp::{Capabilities, Command, Fate, SessionError, Transaction};

use super::Session;

pub(super) const NOW: Timestamp = Timestamp(1_780_000_000_000_000);
const WINDOW: usize = 60_000;

/// A session with its wire at hand.
pub(super) struct Wire {
    pub(super) session: Session,
}

fn offers(words: &str) -> Capabilities {
    let lines: Vec<String> =
        words.split_whitespace().map(|word| format!("250-{}\r\n", word.replace('=', " "))).collect();
    Capabilities::parse(format!("250-test\r\n{}250 HELP\r\n", lines.concat()).as_bytes()).unwrap()
}

pub(super) fn transaction(id: u64, content: &str) -> Transaction {
    Transaction {
        id,
        envelope: Envelope::to_one(
            Some(Address::parse("b@s.example").unwrap()),
            Address::parse(&format!("u{id}@r.example")).unwrap(),
            None,
        ),
        message: SignedMessage {
            segments: vec![Bytes::copy_from_slice(content.as_bytes())],
            bytes: content.len(),
            message_id: String::new(),
            eight_bit: false,
            needs_smtputf8: false,
        },
        valid_until: Some(Timestamp(NOW.0 + 1_000_000)),
    }
}

impl Wire {
    pub(super) fn new(words: &str, depth: usize) -> Self {
        Self { session: Session::new(offers(words), Timeouts::default(), depth, WINDOW) }
    }

    fn submit(&mut self, id: u64) {
        self.session.submit(transaction(id, "A: b\r\n\r\n.c\r\n"), NOW);
    }

    /// Writes at most `bytes` bytes.
    fn write(&mut self, bytes: usize) -> String {
        let mut wire = Vec::new();
        while wire.len() < bytes {
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = self.session.chunks(&mut slices);
            let Some(first) = slices[..filled].first().filter(|first| !first.is_empty()) else { break };
            let taken = first.len().min(bytes - wire.len());
            wire.extend_from_slice(&first[..taken]);
            self.session.wrote(taken);
        }
        String::from_utf8(wire).unwrap()
    }

    pub(super) fn written(&mut self) -> String {
        self.write(usize::MAX)
    }

    pub(super) fn say(&mut self, bytes: &str) {
        self.session.on_bytes(bytes.as_bytes(), NOW);
    }

    /// The reports so far, as short words.
    pub(super) fn fates(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.next_report())
            .map(|report| {
                let words: Vec<String> = report.fates.iter().map(word).collect();
                format!("{}: {}", report.id, words.join(", "))
            })
            .collect()
    }
}

pub(super) fn word(fate: &Fate) -> String {
    match fate {
        Fate::Replied { reply, to } => format!("{} to {to}", reply.code),
        Fate::NotStarted { .. } => "not started".into(),
        Fate::Failed { .. } => "failed".into(),
        Fate::InDoubt { .. } => "in doubt".into(),
        Fate::Unfit { reason } => reason.to_string(),
    }
}

pub(super) const MAIL: &str = "MAIL FROM:<b@s.example>\r\n";
pub(super) const BDAT: &str = "BDAT 12 LAST\r\nA: b\r\n\r\n.c\r\n";
pub(super) const CONTENT: &str = "A: b\r\n\r\n..c\r\n.\r\n";
const EVERY_MODE: [&str; 4] = ["PIPELINING CHUNKING", "PIPELINING", "CHUNKING", ""];

pub(super) fn rcpt(id: u64) -> String {
    format!("RCPT TO:<u{id}@r.example>\r\n")
}

#[test]
fn one_write_with_pipelining_and_chunking() {
    let mut wire = Wire::new("PIPELINING CHUNKING SIZE=1000", 1);
    wire.submit(1);
    assert_eq!(wire.written(), format!("MAIL FROM:<b@s.example> SIZE=12\r\n{}{BDAT}", rcpt(1)));
    wire.say("250 a\r\n250 b\r\n250 2.0.0 queued as 7\r\n");
    assert_eq!(wire.fates(), ["1: 250 to end of message"]);
    wire.submit(2);
    assert_eq!(wire.written(), format!("MAIL FROM:<b@s.example> SIZE=12\r\n{}{BDAT}", rcpt(2)), "no RSET");
}

#[test]
fn two_writes_with_pipelining() {
    let mut wire = Wire::new("PIPELINING", 1);
    wire.submit(1);
    assert_eq!(wire.written(), format!("{MAIL}{}DATA\r\n", rcpt(1)));
    wire.say("250 a\r\n250 b\r\n");
    assert_eq!(wire.written(), "");
    wire.say("354 go\r\n");
    assert_eq!(wire.written(), CONTENT);
    wire.say("250 queued\r\n");
    assert_eq!(wire.fates(), ["1: 250 to end of message"]);
}

#[test]
fn step_by_step_without_pipelining() {
    for (words, rest) in [("", vec!["DATA\r\n", CONTENT]), ("CHUNKING", vec![BDAT])] {
        let mut wire = Wire::new(words, 8);
        wire.submit(1);
        assert!(!wire.session.has_room(), "one at a time");
        assert_eq!(wire.written(), MAIL);
        wire.say("250 a\r\n");
        assert_eq!(wire.written(), rcpt(1));
        wire.say("250 b\r\n");
        for (at, line) in rest.iter().enumerate() {
            assert_eq!(wire.written(), *line);
            assert!(!wire.session.has_room(), "one at a time");
            wire.say(if at + 1 == rest.len() { "250 queued\r\n" } else { "354 go\r\n" });
        }
        assert_eq!(wire.fates(), ["1: 250 to end of message"]);
        assert!(wire.session.has_room());
    }
}

/// What the server does instead of sending the expected reply.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Says(&'static str),
    Closes,
    IsSilent,
}

/// Plays one message up to `stage` and lets the server answer that with `answer`; returns the fate,
/// and the session after it.
fn play(words: &str, stage: Command, answer: Answer, piece: usize) -> (String, Wire) {
    let chunking = words.contains("CHUNKING");
    let mut wire = Wire::new(words, 1);
    if stage == Command::Rset {
        // A refused recipient first, so that RSET is needed.
        wire.submit(9);
        wire.written();
        wire.say("250 a\r\n");
        wire.written();
        wire.say("550 no\r\n");
        if words.contains("PIPELINING") {
            wire.say("503 no\r\n");
        }
        assert_eq!(wire.fates(), ["9: 550 to RCPT"]);
    }
    wire.submit(1);
    let mut stages = vec![Command::Mail, Command::Rcpt, Command::EndOfMessage];
    if stage == Command::Rset {
        stages.insert(0, Command::Rset);
    }
    if !chunking {
        stages.insert(stages.len() - 1, Command::Data);
    }
    for at in stages {
        wire.written();
        if at == stage {
            match answer {
                Answer::Says(bytes) => {
                    for piece in bytes.as_bytes().chunks(piece) {
                        wire.session.on_bytes(piece, NOW);
                    }
                }
                Answer::Closes => wire.session.on_eof(NOW),
                Answer::IsSilent => wire.session.on_timeout(NOW),
            }
            break;
        }
        wire.say(if at == Command::Data { "354 go\r\n" } else { "250 ok\r\n" });
    }
    let fates = wire.fates();
    assert!(fates.len() <= 1, "{fates:?}");
    let fate = fates.first().map_or("open", |fate| fate.strip_prefix("1: ").unwrap_or(fate));
    (fate.to_owned(), wire)
}

#[test]
fn every_reply_at_every_state() {
    let over_long = format!("250 {}\r\n", "x".repeat(10_000)).leak();
    let answers = [
        Answer::Says("250 2.0.0 ok\r\n"),
        Answer::Says("250-2.0.0 ok\r\n250 2.0.0 done\r\n"),
        Answer::Says("354 go\r\n"),
        Answer::Says("450 4.2.0 later\r\n"),
        Answer::Says("550 5.1.1 no\r\n"),
        Answer::Says("421 4.3.2 bye\r\n"),
        Answer::Says("HTTP/1.1 400 Bad Request\r\n"),
        Answer::Says(over_long),
        Answer::Closes,
        Answer::IsSilent,
    ];
    for words in EVERY_MODE {
        let one_write = words == "PIPELINING CHUNKING";
        for stage in [Command::Rset, Command::Mail, Command::Rcpt, Command::Data, Command::EndOfMessage] {
            if stage == Command::Data && words.contains("CHUNKING") {
                continue;
            }
            let lost = if one_write || stage == Command::EndOfMessage { "in doubt" } else { "failed" };
            for answer in answers {
                let replied = |code: u16| format!("{code} to {stage}");
                let code = match answer {
                    Answer::Says(bytes) => bytes.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0),
                    Answer::Closes | Answer::IsSilent => 0,
                };
                let over_long = matches!(answer, Answer::Says(bytes) if bytes.len() > 5_000);
                let expected = match (stage, code) {
                    _ if over_long => lost.into(),
                    (Command::EndOfMessage, 250) => replied(250),
                    (Command::Data, 250) => lost.into(),
                    (_, 250) | (Command::Data, 354) => "open".into(),
                    (_, 421) => replied(421),
                    (Command::Rset, 450 | 550) => lost.into(),
                    (_, 450 | 550) => replied(code),
                    _ => lost.into(),
                };
                for piece in [usize::MAX, 1, 7] {
                    let (fate, wire) = play(words, stage, answer, piece);
                    assert_eq!(fate, expected, "`{words}`, {stage} answered with {answer:?}");
                    let usable = expected != lost && code != 421;
                    assert_eq!(wire.session.ended().is_none(), usable, "`{words}`, {stage}, {answer:?}");
                    assert_eq!(wire.session.is_over(), !usable, "`{words}`, {stage}, {answer:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_written_after_a_refusal() {
    // Capabilities, replies that refuse message 1, what is written after them, replies to that, and
    // whether RSET comes before the next MAIL.
    let both = "PIPELINING CHUNKING";
    let cases: [(&str, &[&str], &str, &str, bool); 15] = [
        (both, &["550 m\r\n503 r\r\n503 b\r\n"], "", "", true),
        (both, &["250 m\r\n550 r\r\n503 b\r\n"], "", "", true),
        (both, &["250 m\r\n552 r\r\n554 b\r\n"], "", "", true),
        (both, &["250 m\r\n250 r\r\n550 b\r\n"], "", "", true),
        ("PIPELINING", &["550 m\r\n503 r\r\n503 d\r\n"], "", "", false),
        ("PIPELINING", &["250 m\r\n550 r\r\n503 d\r\n"], "", "", true),
        ("PIPELINING", &["250 m\r\n550 r\r\n354 d\r\n"], ".\r\n", "554 no recipients\r\n", false),
        ("PIPELINING", &["250 m\r\n550 r\r\n354 d\r\n"], ".\r\n", "250 ok\r\n", false),
        ("PIPELINING", &["250 m\r\n250 r\r\n451 d\r\n"], "", "", true),
        ("PIPELINING", &["250 m\r\n250 r\r\n354 d\r\n", "550 e\r\n"], "", "", false),
        ("", &["550 m\r\n"], "", "", false),
        ("", &["250 m\r\n", "550 r\r\n"], "", "", true),
        ("", &["250 m\r\n", "250 r\r\n", "451 d\r\n"], "", "", true),
        ("", &["250 m\r\n", "250 r\r\n", "354 d\r\n", "550 e\r\n"], "", "", false),
        ("CHUNKING", &["250 m\r\n", "250 r\r\n", "550 b\r\n"], "", "", true),
    ];
    for (words, replies, then, answer, reset) in cases {
        let case = format!("`{words}`: {replies:?}");
        let mut wire = Wire::new(words, 1);
        wire.submit(1);
        for reply in replies {
            wire.written();
            wire.say(reply);
        }
        assert_eq!(wire.fates().len(), 1, "{case}");
        assert_eq!(wire.written(), then, "{case}");
        wire.say(answer);
        assert!(wire.session.is_idle() && wire.session.has_room(), "{case}");
        wire.submit(2);
        let next = wire.written();
        assert!(next.starts_with(if reset { "RSET\r\n" } else { "MAIL" }), "{case}: {next}");
        if reset {
            assert_eq!(next.contains("MAIL"), words.contains("PIPELINING"), "{case}: {next}");
            wire.say("250 reset\r\n");
            assert!((next + &wire.written()).contains("MAIL"), "{case}");
        }
        assert_eq!(wire.fates(), [""; 0], "{case}");
    }
}

#[test]
fn a_refused_recipient_is_reported_before_the_rest_is_answered() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 1);
    wire.submit(1);
    wire.written();
    wire.say("250 m\r\n550 5.1.1 r\r\n");
    assert_eq!(wire.fates(), ["1: 550 to RCPT"]);
    assert!(!wire.session.has_room());
    wire.session.on_eof(NOW);
    assert_eq!(wire.fates(), [""; 0], "lost afterwards, and not in doubt");
}

#[test]
fn too_many_recipients_is_transient() {
    let mut wire = Wire::new("PIPELINING", 1);
    wire.submit(1);
    wire.written();
    wire.say("250 m\r\n552 5.2.2 full\r\n");
    let report = wire.session.next_report().unwrap();
    assert!(report.fates[0].is_transient() && !report.fates[0].is_accepted());
}

#[test]
fn several_messages_in_flight_have_a_fate_each() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 3);
    for id in 1..=3 {
        assert!(wire.session.has_room());
        wire.submit(id);
    }
    assert!(!wire.session.has_room());
    let expected: Vec<String> = (1..=3)
        .map(|id| format!("{}{MAIL}{}{BDAT}", if id == 1 { "" } else { "RSET\r\n" }, rcpt(id)))
        .collect();
    assert_eq!(wire.written(), expected.concat());
    wire.say(
        "250 m\r\n550 r\r\n503 b\r\n250 rset\r\n250 m\r\n250 r\r\n250 b\r\n250 rset\r\n250 m\r\n250 r\r\n",
    );
    assert_eq!(wire.fates(), ["1: 550 to RCPT", "2: 250 to end of message"]);
    assert!(wire.session.has_room());
    wire.session.on_eof(NOW);
    assert_eq!(wire.fates(), ["3: in doubt"]);
}

#[test]
fn the_next_envelope_follows_the_dot() {
    let mut wire = Wire::new("PIPELINING", 2);
    wire.submit(1);
    assert!(!wire.session.has_room(), "nothing can follow DATA");
    wire.written();
    wire.say("250 m\r\n250 r\r\n354 d\r\n");
    assert!(wire.session.has_room());
    wire.submit(2);
    assert_eq!(wire.written(), format!("{CONTENT}RSET\r\n{MAIL}{}DATA\r\n", rcpt(2)));
    wire.say("250 queued\r\n250 rset\r\n250 m\r\n250 r\r\n354 d\r\n");
    assert_eq!(wire.fates(), ["1: 250 to end of message"]);
    assert_eq!(wire.written(), CONTENT);
}

#[test]
fn the_window_holds_back_the_next_message() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 8);
    let large = "x".repeat(WINDOW / 2 + 10);
    wire.session.submit(transaction(1, &large), NOW);
    assert!(wire.session.has_room());
    wire.session.submit(transaction(2, &large), NOW);
    assert!(!wire.session.has_room(), "one waits, no more are taken");
    assert_eq!(wire.written().matches("MAIL").count(), 1);
    wire.say("250 m\r\n250 r\r\n250 b\r\n");
    assert_eq!(wire.written().matches("MAIL").count(), 1, "begins automatically");
    wire.session.on_eof(NOW);
    assert_eq!(wire.fates(), ["1: 250 to end of message", "2: in doubt"]);
}

#[test]
fn a_window_smaller_than_a_message_lets_one_through_at_a_time() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 8);
    wire.session.submit(transaction(1, &"x".repeat(2 * WINDOW)), NOW);
    assert!(wire.written().contains("BDAT"));
}

#[test]
fn lost_in_the_middle_of_the_window() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 4);
    (1..=3).for_each(|id| wire.submit(id));
    let first = format!("{MAIL}{}{BDAT}", rcpt(1));
    // All of the first, all but one byte of the second, nothing of the third.
    let second = first.len() + "RSET\r\n".len();
    wire.write(first.len() + second - 1);
    wire.session.on_eof(NOW);
    assert_eq!(wire.fates(), ["1: in doubt", "2: failed", "3: not started"]);
    assert!(wire.session.is_over() && !wire.session.wants_write());
    wire.submit(4);
    assert_eq!(wire.fates(), ["4: not started"]);
}

#[test]
fn in_doubt_begins_with_the_last_byte() {
    for (words, replies) in [("PIPELINING CHUNKING", ""), ("PIPELINING", "250 m\r\n250 r\r\n354 d\r\n")] {
        let whole = {
            let mut wire = Wire::new(words, 1);
            wire.submit(1);
            let before = if replies.is_empty() { 0 } else { wire.written().len() };
            wire.say(replies);
            before + wire.written().len()
        };
        for cut in 0..=whole {
            let mut wire = Wire::new(words, 1);
            wire.submit(1);
            let before = wire.write(cut).len();
            if before < cut {
                wire.say(replies);
                wire.write(cut - before);
            }
            wire.session.on_eof(NOW);
            let expected = match cut {
                0 => "1: not started",
                _ if cut < whole => "1: failed",
                _ => "1: in doubt",
            };
            assert_eq!(wire.fates(), [expected], "`{words}`, {cut} of {whole} bytes");
        }
    }
}

#[test]
fn closing_in_the_middle_of_the_window() {
    let whole = |wire: &mut Wire| {
        (1..=3).for_each(|id| wire.submit(id));
        wire.written();
        wire.submit(4);
        wire.write(20);
        wire.say("250 m\r\n421 4.3.2 shutting down\r\n");
        assert_eq!(wire.fates(), ["1: 421 to RCPT", "4: failed"], "4 is not complete and never will be");
        assert!(!wire.session.wants_write() && !wire.session.has_room() && !wire.session.is_over());
    };
    let mut wire = Wire::new("PIPELINING CHUNKING", 8);
    whole(&mut wire);
    wire.session.on_eof(NOW);
    assert_eq!(wire.fates(), ["2: in doubt", "3: in doubt"]);
    assert!(wire.session.is_over());

    // A server that continues all the same: its replies count.
    let mut wire = Wire::new("PIPELINING CHUNKING", 8);
    whole(&mut wire);
    wire.say("503 b\r\n250 rset\r\n250 m\r\n250 r\r\n250 b\r\n250 rset\r\n250 m\r\n");
    assert_eq!(wire.fates(), ["2: 250 to end of message"]);
    assert!(wire.session.wait().is_some());
    wire.session.on_timeout(NOW);
    assert_eq!(wire.fates(), ["3: in doubt"]);
    assert!(matches!(wire.session.ended(), Some(SessionError::Closing(_))));
}

#[test]
fn closing_after_the_end_of_a_message() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 2);
    wire.submit(1);
    wire.submit(2);
    wire.written();
    wire.say("250 m\r\n250 r\r\n421 4.7.0 too many\r\n250 s\r\n250 m\r\n250 r\r\n250 b\r\n");
    assert_eq!(wire.fates(), ["1: 421 to end of message", "2: 250 to end of message"]);
    assert!(wire.session.is_over());
}

#[test]
fn closing_while_idle() {
    let mut wire = Wire::new("PIPELINING", 1);
    wire.say("421 4.4.2 idle for too long\r\n");
    assert!(wire.session.is_over());
    assert!(matches!(wire.session.ended(), Some(SessionError::Closing(_))));
    let mut wire = Wire::new("PIPELINING", 1);
    wire.say("250 what\r\n");
    assert!(matches!(wire.session.ended(), Some(SessionError::Protocol(_))));
}

#[test]
fn a_refusal_before_the_content_is_out() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 1);
    wire.session.submit(transaction(1, &"x".repeat(50_000)), NOW);
    wire.write(1_000);
    wire.say("250 m\r\n250 r\r\n552 5.3.4 too big\r\n");
    assert_eq!(wire.fates(), ["1: 552 to end of message"]);
    assert!(wire.written().len() > 49_000, "the chunk was announced: the server skips it");
    wire.submit(2);
    assert!(wire.written().starts_with("RSET"));
}

#[test]
fn taken_over_before_the_content_is_out() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 1);
    wire.session.submit(transaction(1, &"x".repeat(50_000)), NOW);
    wire.write(1_000);
    wire.say("250 m\r\n250 r\r\n250 queued\r\n");
    assert_eq!(wire.fates(), ["1: in doubt"]);
    assert!(wire.session.is_over());
}

#[test]
fn a_large_message_waits_for_its_recipient() {
    let large = "x".repeat(2_000_000);
    let mut wire = Wire::new("PIPELINING CHUNKING", 2);
    wire.session.submit(transaction(1, &large), NOW);
    assert_eq!(wire.written(), format!("{MAIL}{}", rcpt(1)));
    assert!(!wire.session.has_room());
    wire.say("250 m\r\n550 r\r\n");
    assert_eq!(wire.fates(), ["1: 550 to RCPT"]);
    assert_eq!(wire.written(), "");
    wire.session.submit(transaction(2, &large), NOW);
    assert_eq!(wire.written(), format!("RSET\r\n{MAIL}{}", rcpt(2)));
    wire.say("250 s\r\n250 m\r\n250 r\r\n");
    assert!(wire.written().starts_with("BDAT 2000000 LAST\r\nxxx"));
}

#[test]
fn what_the_server_does_not_offer() {
    let check = |words: &str, change: fn(&mut Transaction), expected: &str| {
        let mut wire = Wire::new(words, 1);
        let mut one = transaction(1, "A: b\r\n\r\n");
        change(&mut one);
        wire.session.submit(one, NOW);
        let written = wire.written();
        match expected.strip_prefix("MAIL") {
            Some(_) => assert!(written.starts_with(expected), "{written}"),
            None => assert_eq!((wire.fates(), written), (vec![format!("1: {expected}")], String::new())),
        }
        assert_eq!(wire.session.has_room(), !expected.starts_with("MAIL"));
    };
    let eight_bit: fn(&mut Transaction) = |one| one.message.eight_bit = true;
    let header: fn(&mut Transaction) = |one| one.message.needs_smtputf8 = true;
    let address: fn(&mut Transaction) =
        |one| one.envelope.recipients[0] = Address::parse("é@r.example").unwrap();
    check("SIZE=7", |_| {}, "message of 8 bytes exceeds the server's limit of 7 bytes");
    check("SIZE=8", |_| {}, "MAIL FROM:<b@s.example> SIZE=8\r\n");
    check("SIZE", |_| {}, "MAIL FROM:<b@s.example> SIZE=8\r\n");
    check("PIPELINING", eight_bit, "server does not offer 8BITMIME");
    check("8BITMIME", eight_bit, "MAIL FROM:<b@s.example> BODY=8BITMIME\r\n");
    check("8BITMIME", header, "server does not offer SMTPUTF8");
    check("8BITMIME", address, "server does not offer SMTPUTF8");
    check("8BITMIME SMTPUTF8", header, "MAIL FROM:<b@s.example> SMTPUTF8\r\n");
    check("8BITMIME SMTPUTF8", address, "MAIL FROM:<b@s.example> SMTPUTF8\r\n");
    check("", |one| one.envelope.return_path = None, "MAIL FROM:<>\r\n");
}

#[test]
fn not_begun_after_its_time() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 4);
    let large = "x".repeat(WINDOW);
    wire.session.submit(transaction(1, &large), NOW);
    wire.session.submit(transaction(2, &large), NOW);
    wire.written();
    let late = NOW + Duration::from_secs(1);
    wire.session.on_bytes(b"250 m\r\n250 r\r\n250 b\r\n", late);
    assert_eq!(wire.fates(), ["1: 250 to end of message", "2: not started"]);
    assert_eq!(wire.written(), "");
    wire.session.submit(transaction(3, "x"), late);
    assert_eq!(wire.fates(), ["3: not started"]);
    assert!(wire.session.has_room() && wire.session.is_idle());
}

#[test]
fn reports_tell_when() {
    let mut wire = Wire::new("PIPELINING CHUNKING", 1);
    wire.submit(1);
    wire.written();
    let later = NOW + Duration::from_millis(250);
    wire.session.on_bytes(b"250 m\r\n250 r\r\n250 b\r\n", later);
    let report = wire.session.next_report().unwrap();
    assert_eq!((report.started_at, report.finished_at), (NOW, later));
}

#[test]
fn each_command_has_its_timeout() {
    let timeouts = Timeouts::default();
    let mut wire = Wire::new("PIPELINING", 1);
    assert_eq!(wire.session.wait(), None);
    let timeout = |wire: &Wire| wire.session.wait();
    let moment = |wire: &Wire| (wire.session.wait(), wire.session.progress());
    wire.submit(1);
    assert_eq!(timeout(&wire), Some(timeouts.data.0), "being written");
    wire.written();
    assert_eq!(timeout(&wire), Some(timeouts.envelope.0));
    let before = moment(&wire);
    wire.say("250");
    assert_eq!(moment(&wire), before, "half a reply is no progress");
    wire.say(" m\r\n");
    assert_ne!(moment(&wire), before);
    assert_eq!(timeout(&wire), Some(timeouts.envelope.0));
    wire.say("250 r\r\n");
    assert_eq!(timeout(&wire), Some(timeouts.data.0));
    wire.say("354 d\r\n");
    let before = moment(&wire);
    assert_eq!(timeout(&wire), Some(timeouts.data.0));
    wire.write(3);
    assert_ne!(moment(&wire), before, "writing is progress");
    wire.written();
    assert_eq!(timeout(&wire), Some(timeouts.end_of_data.0));
    wire.say("250 e\r\n");
    assert_eq!(wire.session.wait(), None);
    wire.session.quit();
    assert_eq!(wire.written(), "QUIT\r\n");
    assert_eq!(timeout(&wire), Some(Duration::from_secs(2)));
    wire.say("221 bye\r\n");
    assert!(wire.session.is_over());
}

#[test]
fn a_reply_too_many_leaves_nothing_to_believe() {
    // RCPT, or the EHLO before, is answered twice: each reply after it is taken for the next one's,
    // and the refusal of the content is left over.
    for (words, replies, fates) in [
        ("PIPELINING CHUNKING", "250 m\r\n250 r\r\n250 r\r\n550 e\r\n", "1: in doubt"),
        ("PIPELINING CHUNKING", "451 what\r\n250 m\r\n250 r\r\n250 e\r\n", "1: in doubt"),
        ("PIPELINING CHUNKING", "250 x\r\n250 m\r\n550 r\r\n503 e\r\n", "1: in doubt"),
        ("PIPELINING", "250 m\r\n550 r\r\n550 r\r\n503 d\r\n", "1: failed"),
    ] {
        let mut wire = Wire::new(words, 1);
        wire.submit(1);
        wire.written();
        wire.say(replies);
        assert_eq!(wire.fates(), [fates], "{replies:?}");
        assert!(matches!(wire.session.ended(), Some(SessionError::Protocol(_))), "{replies:?}");
    }
    let mut wire = Wire::new("PIPELINING CHUNKING", 1);
    wire.submit(1);
    wire.written();
    wire.say("250 m\r\n250 r\r\n250 queued\r\n421 closing\r\n");
    assert_eq!(wire.fates(), ["1: 250 to end of message"], "421 may come at any time");
}

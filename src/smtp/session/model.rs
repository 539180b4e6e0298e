//! Tests the session against a model of a server: random replies, random pieces, a connection that
//! breaks anywhere.
//!
//! It must never happen that the server accepted a message and the report says that it may be sent
//! again.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;

use bytes::Bytes;
use proptest::prelude::*;

use crate::campaign::Timeouts;
use crate::mail::{Address, Envelope, SignedMessage, Timestamp};
use crate::smtp::{Capabilities, Command, Extensions, Fate, Report, Transaction};

use super::Session;

const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

/// Decisions, drawn from a finite sequence of bytes; once they are used up, everything succeeds.
#[derive(Debug)]
struct Dice(VecDeque<u8>);

impl Dice {
    /// A number below `sides`; 0 when the dice are used up.
    fn roll(&mut self, sides: usize) -> usize {
        usize::from(self.0.pop_front().unwrap_or(0)) % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == sides - 1
    }
}

/// What the server reads now.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Commands,
    /// After 354.
    Data,
    /// In a BDAT chunk: bytes left, and the reply if it has been decided or given already.
    Chunk(usize, Option<&'static str>),
    /// It has closed the connection.
    Nothing,
}

/// A server that follows the RFCs and refuses at random.
#[derive(Debug)]
struct Server {
    reading: Reading,
    input: Vec<u8>,
    chunking: bool,
    /// MAIL was accepted.
    open: bool,
    /// RSET must come next (RFC 3030 §2).
    broken: bool,
    recipients: Vec<String>,
    /// The code that MAIL was refused with.
    mail_refused: Option<u16>,
    /// The letter of the last RCPT that was not the archive's, refused or not.
    addressed: u64,
    /// The archive's RCPT was accepted.
    archive: bool,
    content: Vec<u8>,
    /// Continues after its own 421, which no server should, but some do.
    sloppy: bool,
    output: Vec<u8>,
    /// Recipient and content of each accepted message.
    taken: Vec<(String, Vec<u8>)>,
    /// The archive's copies: the letter, and its content.
    archived: Vec<(u64, Vec<u8>)>,
    /// The first refusal for each recipient, with the command refused.
    refused: HashMap<String, (u16, Command)>,
}

const REFUSALS: [&str; 3] = ["450 4.2.0 later\r\n", "550 5.1.1 no\r\n", "552-5.2.2 full\r\n552 5.2.2 up\r\n"];

impl Server {
    /// Takes bytes and handles all complete commands.
    fn take(&mut self, bytes: &[u8], dice: &mut Dice) {
        if self.reading != Reading::Nothing {
            self.input.extend_from_slice(bytes);
        }
        while self.step(dice) {}
    }

    fn step(&mut self, dice: &mut Dice) -> bool {
        match self.reading {
            Reading::Nothing => false,
            Reading::Commands => {
                let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else { return false };
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                self.command(std::str::from_utf8(&line[..end]).expect("commands are ASCII here"), dice);
                true
            }
            Reading::Data => {
                let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else { return false };
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                if line == b".\r\n" {
                    self.reading = Reading::Commands;
                    self.end_of_message(None, dice);
                    self.open = false;
                    self.broken = false;
                } else {
                    self.content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                }
                true
            }
            Reading::Chunk(left, decided) => {
                let taken = left.min(self.input.len());
                self.content.extend(self.input.drain(..taken));
                self.reading = Reading::Chunk(left - taken, decided);
                if left > taken {
                    return false;
                }
                self.reading = Reading::Commands;
                self.end_of_message(decided, dice);
                true
            }
        }
    }

    fn say(&mut self, reply: &str) {
        self.output.extend_from_slice(reply.as_bytes());
    }

    fn close(&mut self) {
        self.reading = Reading::Nothing;
        self.input.clear();
    }

    /// Refuses a command that all recipients so far depend on.
    fn refuse(&mut self, reply: &str, command: Command) {
        self.say(reply);
        for recipient in &self.recipients {
            self.refused.entry(recipient.clone()).or_insert((code(reply), command));
        }
    }

    /// A mishap that any command may meet; true if it happened. `odd` is a reply that is impossible
    /// here.
    fn mishap(&mut self, dice: &mut Dice, odd: &str) -> bool {
        if !dice.one_in(40) {
            return false;
        }
        match dice.roll(4) {
            0 => self.close(),
            1 => self.say("what is this\r\n"),
            2 => self.say(odd),
            _ => {
                self.say("421 4.3.2 bye\r\n");
                if !self.sloppy {
                    self.close();
                }
            }
        }
        true
    }

    fn command(&mut self, line: &str, dice: &mut Dice) {
        let refusal = dice.one_in(5).then(|| REFUSALS[dice.roll(REFUSALS.len())]);
        match line.split_once(':').map_or(line, |(verb, _)| verb) {
            "MAIL FROM" => {
                assert!(!self.open && !self.broken, "MAIL within a transaction");
                self.content.clear();
                self.recipients.clear();
                self.mail_refused = None;
                self.archive = false;
                if self.mishap(dice, "354 go on\r\n") {
                    return;
                }
                match refusal {
                    Some(reply) => {
                        // The refusal is recorded once RCPT names the recipient, if it comes.
                        self.say(reply);
                        self.mail_refused = Some(code(reply));
                    }
                    None => {
                        self.open = true;
                        self.say("250 2.1.0 ok\r\n");
                    }
                }
            }
            "RCPT TO" if line == format!("RCPT TO:<{ARCHIVE}>") => self.archive_rcpt(refusal, dice),
            "RCPT TO" => {
                let recipient = line["RCPT TO:<".len()..].trim_end_matches('>').to_owned();
                let letter = recipient[1..].split('.').next().and_then(|id| id.parse().ok());
                self.addressed = letter.expect("recipients begin with their letter's number");
                if let Some(code) = self.mail_refused {
                    self.refused.insert(recipient.clone(), (code, Command::Mail));
                }
                if !self.open {
                    return self.say("503 5.5.1 MAIL first\r\n");
                }
                if self.mishap(dice, "354 go on\r\n") {
                    return;
                }
                match refusal {
                    Some(reply) => {
                        self.say(reply);
                        self.refused.insert(recipient, (code(reply), Command::Rcpt));
                    }
                    None => {
                        self.recipients.push(recipient);
                        self.say("250 2.1.5 ok\r\n");
                    }
                }
            }
            "DATA" => {
                if self.mishap(dice, "250 what\r\n") {
                    return;
                }
                match (self.is_for_somebody(), refusal) {
                    (false, _) if self.open && dice.one_in(2) => self.go_ahead(),
                    (false, _) => self.say("503 5.5.1 RCPT first\r\n"),
                    (true, Some(reply)) => self.refuse(reply, Command::Data),
                    (true, None) => self.go_ahead(),
                }
            }
            "RSET" => {
                self.open = false;
                self.broken = false;
                self.recipients.clear();
                self.archive = false;
                // Only a server that really closes answers 421 to RSET.
                let sloppy = std::mem::take(&mut self.sloppy);
                if !self.mishap(dice, "354 go on\r\n") {
                    self.say("250 2.0.0 ok\r\n");
                }
                self.sloppy = sloppy;
            }
            "QUIT" => {
                self.say("221 2.0.0 bye\r\n");
                self.close();
            }
            verb => {
                let size = verb.strip_prefix("BDAT ").and_then(|rest| rest.strip_suffix(" LAST"));
                let size = size
                    .and_then(|size| size.parse().ok())
                    .unwrap_or_else(|| panic!("not a command: {line:?}"));
                assert!(self.chunking, "BDAT was not offered");
                self.content.clear();
                let early = refusal.filter(|_| self.is_for_somebody() && dice.one_in(2));
                if let Some(reply) = early {
                    self.refuse(reply, Command::EndOfMessage);
                    self.recipients.clear();
                    self.archive = false;
                    self.broken = true;
                    // It was sent already, and the chunk is skipped.
                    self.reading = Reading::Chunk(size, Some(""));
                } else {
                    self.reading = Reading::Chunk(size, None);
                }
            }
        }
    }

    fn archive_rcpt(&mut self, refusal: Option<&str>, dice: &mut Dice) {
        if !self.open {
            return self.say("503 5.5.1 MAIL first\r\n");
        }
        if self.mishap(dice, "354 go on\r\n") {
            return;
        }
        self.archive = refusal.is_none();
        self.say(refusal.unwrap_or("250 2.1.5 ok\r\n"));
    }

    fn is_for_somebody(&self) -> bool {
        !self.recipients.is_empty() || self.archive
    }

    /// Delivers the message to all of its recipients.
    fn take_over(&mut self, content: &[u8]) {
        self.taken.extend(self.recipients.iter().map(|recipient| (recipient.clone(), content.to_vec())));
        if self.archive {
            self.archived.push((self.addressed, content.to_vec()));
        }
    }

    fn go_ahead(&mut self) {
        self.say("354 go\r\n");
        self.reading = Reading::Data;
        self.content.clear();
    }

    fn end_of_message(&mut self, said: Option<&'static str>, dice: &mut Dice) {
        let content = std::mem::take(&mut self.content);
        if said.is_some() {
            return;
        }
        if !self.is_for_somebody() {
            self.broken = true;
            return self.say("554 5.5.1 no valid recipients\r\n");
        }
        // The mishap comes either before or after the message is accepted.
        let takes_first = dice.one_in(2);
        let before = (self.taken.len(), self.archived.len());
        if takes_first {
            self.take_over(&content);
        }
        if self.mishap(dice, "354 go on\r\n") {
            // RFC 5321 §4.2.5: a server that accepted it answers 250. A 421 after that would be a
            // lie.
            if self.output.ends_with(b"421 4.3.2 bye\r\n") {
                self.taken.truncate(before.0);
                self.archived.truncate(before.1);
            }
            self.broken = true;
            return;
        }
        if dice.one_in(6) {
            self.taken.truncate(before.0);
            self.archived.truncate(before.1);
            self.broken = true;
            return self.refuse(REFUSALS[dice.roll(REFUSALS.len())], Command::EndOfMessage);
        }
        if !takes_first {
            self.take_over(&content);
        }
        self.open = false;
        self.recipients.clear();
        self.archive = false;
        self.say("250 2.0.0 queued\r\n");
    }
}

/// One message of the campaign, with its content in segments.
#[derive(Debug, Clone)]
struct Letter {
    segments: Vec<Bytes>,
    late: bool,
    archive: bool,
    recipients: usize,
}

/// The code of a reply.
fn code(reply: &str) -> u16 {
    reply[..3].parse().expect("replies begin with their code")
}

impl Letter {
    fn transaction(&self, id: u64) -> Transaction {
        Transaction {
            id,
            envelope: Envelope {
                return_path: None,
                recipients: (0..self.recipients)
                    .map(|n| Address::parse(&recipient(id, n)).unwrap())
                    .collect(),
                archive: self.archive.then(|| Address::parse(ARCHIVE).unwrap()),
                is_copy: false,
            },
            message: SignedMessage {
                bytes: self.segments.iter().map(Bytes::len).sum(),
                segments: self.segments.clone(),
                message_id: String::new(),
                eight_bit: false,
                needs_smtputf8: false,
            },
            valid_until: self.late.then_some(NOW),
        }
    }

    fn content(&self, chunking: bool) -> Vec<u8> {
        let mut content = self.segments.concat();
        if !chunking && !content.is_empty() && !content.ends_with(b"\r\n") {
            content.extend_from_slice(b"\r\n");
        }
        content
    }
}

const ARCHIVE: &str = "archive@a.example";

/// The recipient `n` of a letter.
fn recipient(id: u64, n: usize) -> String {
    format!("u{id}.{n}@r.example")
}

#[derive(Debug, Clone)]
struct Scenario {
    pipelining: bool,
    chunking: bool,
    sloppy: bool,
    /// The archive also gets what was written for a refused recipient.
    strict: bool,
    depth: usize,
    window: usize,
    letters: Vec<Letter>,
    server_dice: Vec<u8>,
    moves: Vec<u8>,
}

fn letter() -> impl Strategy<Value = Letter> {
    let piece = prop_oneof![
        Just("\r\n"),
        Just("."),
        Just(".\r\n"),
        Just("\r\n.\r\n"),
        Just("Subject: hello\r\n"),
        Just("RSET\r\n"),
        Just("x"),
    ];
    let segment = proptest::collection::vec(piece, 0..6).prop_map(|pieces| Bytes::from(pieces.concat()));
    let recipients = prop_oneof![Just(1_usize), 1..5_usize];
    (proptest::collection::vec(segment, 0..4), proptest::bool::weighted(0.05), any::<bool>(), recipients)
        .prop_map(|(segments, late, archive, recipients)| Letter { segments, late, archive, recipients })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (1_usize..6, prop_oneof![Just(0_usize), Just(150), Just(100_000)]),
        proptest::collection::vec(letter(), 1..8),
        proptest::collection::vec(any::<u8>(), 0..120),
        proptest::collection::vec(any::<u8>(), 0..400),
    )
        .prop_map(|(offers, (depth, window), letters, server_dice, moves)| Scenario {
            pipelining: offers.0,
            chunking: offers.1,
            sloppy: offers.2,
            strict: offers.3,
            depth,
            window,
            letters,
            server_dice,
            moves,
        })
}

/// Plays the scenario to its end: the server, the reports, and whether the connection held.
fn play(scenario: &Scenario) -> (Server, Vec<Report>, bool) {
    let capabilities = Capabilities {
        pipelining: scenario.pipelining,
        chunking: scenario.chunking,
        ..Capabilities::default()
    };
    let extensions = Extensions { archive_strict: scenario.strict, ..Extensions::default() };
    let mut session =
        Session::new(capabilities, Timeouts::default(), scenario.depth, scenario.window).with(extensions);
    let mut server = Server {
        reading: Reading::Commands,
        input: Vec::new(),
        chunking: scenario.chunking,
        open: false,
        broken: false,
        recipients: Vec::new(),
        mail_refused: None,
        addressed: 0,
        archive: false,
        content: Vec::new(),
        sloppy: scenario.sloppy,
        output: Vec::new(),
        taken: Vec::new(),
        archived: Vec::new(),
        refused: HashMap::new(),
    };
    let mut dice = Dice(scenario.server_dice.clone().into());
    let mut moves = Dice(scenario.moves.clone().into());
    let mut letters = scenario.letters.iter().zip(0_u64..);
    let mut waiting = letters.next();
    let mut flight: Vec<u8> = Vec::new();
    let mut reports = Vec::new();
    let mut held = true;

    for _ in 0..100_000 {
        while let Some(report) = session.next_report() {
            reports.push(report);
        }
        if session.is_over() {
            break;
        }
        let piece = match moves.roll(4) {
            0 => 1_000,
            1 => 1 + moves.roll(4),
            _ => 1 + moves.roll(80),
        };
        let kind = moves.roll(32);
        if kind == 31 && moves.roll(3) == 2 {
            held = false;
            break;
        }
        let mut moved = false;
        if let Some((letter, id)) = waiting
            && session.has_room()
            && kind % 3 != 1
        {
            session.submit(letter.transaction(id), NOW);
            waiting = letters.next();
            moved = true;
        }
        if session.wants_write() && kind % 4 != 1 {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = session.chunks(&mut slices);
            let bytes: Vec<u8> =
                slices[..filled].iter().flat_map(|slice| slice.iter().copied()).take(piece).collect();
            session.wrote(bytes.len());
            flight.extend(bytes);
            moved = true;
        }
        if !flight.is_empty() && kind % 5 != 1 {
            let bytes: Vec<u8> = flight.drain(..piece.min(flight.len())).collect();
            server.take(&bytes, &mut dice);
            moved = true;
        }
        if !server.output.is_empty() && kind % 7 != 1 {
            let taken = piece.min(server.output.len());
            let bytes: Vec<u8> = server.output.drain(..taken).collect();
            session.on_bytes(&bytes, NOW);
            moved = true;
        } else if server.output.is_empty() && server.reading == Reading::Nothing {
            session.on_eof(NOW);
            moved = true;
        }
        if !moved && kind == 0 {
            if waiting.is_none() && session.is_idle() {
                session.quit();
            } else {
                assert!(session.ended().is_some(), "stuck: {session:?} {server:?}");
                session.on_timeout(NOW);
            }
        }
    }
    // The connection is lost. All or some of the bytes handed to the socket may still reach the
    // server.
    let arrives = if moves.one_in(2) { flight.len() } else { moves.roll(flight.len() + 1) };
    server.take(&flight[..arrives], &mut dice);
    session.on_eof(NOW);
    while let Some(report) = session.next_report() {
        reports.push(report);
    }
    assert!(session.is_over(), "not over: {session:?}");
    while let Some((letter, id)) = waiting {
        session.submit(letter.transaction(id), NOW);
        reports.extend(session.next_report());
        waiting = letters.next();
    }
    (server, reports, held)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_agree_with_what_the_server_took_over(scenario in scenario()) {
        let (server, mut reports, held) = play(&scenario);
        reports.sort_by_key(|report| report.id);
        let ids: Vec<u64> = reports.iter().map(|report| report.id).collect();
        let all: Vec<u64> = (0..scenario.letters.len() as u64).collect();
        prop_assert_eq!(ids, all, "exactly one report each");

        for report in &reports {
            let letter = &scenario.letters[report.id as usize];
            prop_assert_eq!(report.fates.len(), letter.recipients, "a fate for each recipient");
            let mut anybody = false;
            for (n, fate) in report.fates.iter().enumerate() {
                let to = recipient(report.id, n);
                let copies: Vec<_> = server.taken.iter().filter(|(recipient, _)| *recipient == to).collect();
                prop_assert!(copies.len() <= 1, "accepted twice");
                for (_, content) in &copies {
                    prop_assert_eq!(content, &letter.content(scenario.chunking), "changed on the way");
                }
                let taken = copies.len() == 1;
                anybody |= taken;
                match fate {
                    Fate::Replied { reply, to: Command::EndOfMessage } if reply.is_positive() => {
                        prop_assert!(taken, "accepted, but the server does not have it: {:?}", report);
                    }
                    Fate::InDoubt { .. } => {}
                    Fate::Replied { reply, to: command } => {
                        prop_assert!(!taken, "would be sent twice: {:?}", report);
                        if let (Some(refusal), true) = (server.refused.get(&to), held && reply.code != 421) {
                            prop_assert_eq!(*refusal, (reply.code, *command));
                        }
                    }
                    Fate::NotStarted { .. } => {
                        prop_assert!(!taken, "would be sent twice: {:?}", report);
                        prop_assert!(!server.refused.contains_key(&to), "was begun: {:?}", report);
                    }
                    Fate::Failed { .. } => prop_assert!(!taken, "would be sent twice: {:?}", report),
                    Fate::Unfit { .. } => prop_assert!(false, "nothing is unfit here"),
                }
            }
            let kept: Vec<_> = server.archived.iter().filter(|(id, _)| *id == report.id).collect();
            prop_assert!(kept.len() <= usize::from(letter.archive), "archived twice, or without being asked to");
            for (_, content) in &kept {
                prop_assert_eq!(content, &letter.content(scenario.chunking), "changed on the way");
            }
            let one_go = scenario.pipelining && scenario.chunking && scenario.strict;
            prop_assert!(one_go || anybody || kept.is_empty(), "the archive has a message that no recipient has");
            let accepted = report.fates.iter().any(Fate::is_accepted);
            match &report.archive {
                Some(reply) => prop_assert_eq!(kept.len() == 1, reply.is_positive(), "{:?}", report),
                None => prop_assert!(!(letter.archive && accepted), "the report has no reply for the archive"),
            }
            let left = matches!(report.fates[0], Fate::NotStarted { .. });
            prop_assert!(left || !letter.late, "begun too late");
        }
    }
}

#[test]
fn without_faults_everything_is_accepted() {
    for (pipelining, chunking) in [(true, true), (true, false), (false, true), (false, false)] {
        let letters = vec![
            Letter {
                segments: vec![Bytes::from_static(b"A: b\r\n\r\n.\r\n")],
                late: false,
                archive: true,
                recipients: 3,
            };
            50
        ];
        let scenario = Scenario {
            pipelining,
            chunking,
            sloppy: false,
            strict: pipelining,
            depth: 4,
            window: 200,
            letters,
            server_dice: vec![],
            moves: vec![],
        };
        let (server, reports, held) = play(&scenario);
        assert!(held && server.taken.len() == 150 && server.archived.len() == 50 && reports.len() == 50);
        assert!(reports.iter().all(|report| report.fates.len() == 3));
        assert!(reports.iter().flat_map(|report| &report.fates).all(Fate::is_accepted));
    }
}

//! Whole sessions without a socket: what the client says, and the replies.

use std::sync::Arc;

use super::room::Room;
use super::session::{Session, Step};
use super::*;
use crate::fuzzing::fuzz;

const MAIL_BYTES: usize = 16 << 20;
const ROOM_BYTES: usize = 24 << 20;
const RECIPIENTS: usize = 100;
const TERMS: Terms = Terms {
    host: "host.example",
    greeting: "LMTP and ESMTP",
    help: "Help",
    lmtp: true,
    login: false,
    is_strict: false,
    mail_bytes: MAIL_BYTES,
    room_bytes: ROOM_BYTES,
    recipients: RECIPIENTS,
    connections: 1,
    connections_of_one: 1,
    tls: None,
};

fn refused(what: &str) -> Answer {
    Answer::Refused { code: 550, enhanced: "5.1.1", text: format!("<{what}>: refused") }
}

/// The client's side of a session. Recipients at `ours.example` are accepted; those at
/// `later.example` can't be looked up.
struct Client {
    session: Session,
    input: Vec<u8>,
    kept: Vec<(Vec<String>, Vec<u8>)>,
    disk_full: bool,
    closed: bool,
}

impl Client {
    fn new() -> Self {
        Self::with_room(ROOM_BYTES)
    }

    fn with_room(bytes: usize) -> Self {
        Self::with_terms(TERMS, bytes, true)
    }

    fn with_terms(terms: Terms, bytes: usize, is_local: bool) -> Self {
        let session = Session::new(&Arc::new(terms), &Room::new(bytes), is_local);
        Self { session, input: Vec::new(), kept: Vec::new(), disk_full: false, closed: false }
    }

    /// After this greeting.
    fn greeted(greeting: &str) -> Self {
        let mut client = Self::new();
        client.say(&format!("{greeting} client.example\r\n"));
        client
    }

    fn say(&mut self, text: &str) -> String {
        self.say_bytes(text.as_bytes())
    }

    /// Says this, and returns the replies to it, without the last CRLF.
    fn say_bytes(&mut self, bytes: &[u8]) -> String {
        self.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        let mut unused = self.input.as_slice();
        loop {
            match self.session.advance(&mut unused, &mut out) {
                Step::Read => break,
                Step::Ask(Question::Accept(recipient)) => {
                    let answer = match recipient.rsplit_once('@').map(|(_, domain)| domain) {
                        Some("ours.example") => Answer::Accepted,
                        Some("later.example") => Answer::Failed,
                        Some(_) | None => refused(&recipient),
                    };
                    self.session.answered(answer, &mut out);
                }
                Step::Ask(Question::Login(login)) => {
                    let is_right = login.user == "news" && login.password == b"right";
                    self.session
                        .answered(if is_right { Answer::Accepted } else { refused("login") }, &mut out);
                }
                Step::Ask(Question::From(user, address)) => {
                    assert_eq!(&*user, "news");
                    let is_right = address.ends_with("@ours.example");
                    self.session
                        .answered(if is_right { Answer::Accepted } else { refused("sender") }, &mut out);
                }
                Step::Ask(Question::Keep(mail)) => {
                    let answer = if self.disk_full { Answer::Failed } else { Answer::Accepted };
                    self.session.answered(answer, &mut out);
                    if !self.disk_full {
                        self.kept.push((mail.recipients, mail.content));
                    }
                }
                Step::StartTls => {
                    self.session.secured();
                    break;
                }
                Step::Close => {
                    self.closed = true;
                    break;
                }
            }
        }
        let rest = unused.to_vec();
        self.input = rest;
        String::from_utf8(out).unwrap().trim_end().replace("\r\n", "\n")
    }

    /// Begins a transaction to these.
    fn begin(&mut self, recipients: &[&str]) {
        assert_eq!(self.say("MAIL FROM:<>\r\n"), "250 2.1.0 Ok");
        for recipient in recipients {
            assert_eq!(self.say(&format!("RCPT TO:<{recipient}>\r\n")), "250 2.1.5 Ok");
        }
    }
}

const GO: &str = "354 End data with <CR><LF>.<CR><LF>";
const KEPT: &str = "250 2.0.0 Ok: kept";

#[test]
fn lmtp_answers_for_each_recipient() {
    let mut client = Client::new();
    let hello = client.say("LHLO relay.example\r\n");
    for keyword in ["PIPELINING", "SIZE 16777216", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING"]
    {
        assert!(hello.lines().any(|line| line[4..] == *keyword), "{keyword}: {hello}");
    }
    assert!(!hello.contains("AUTH") && !hello.contains("STARTTLS"), "{hello}");
    let all = "MAIL FROM:<> SIZE=20\r\nRCPT TO:<a@ours.example>\r\nRCPT TO:<b@else.example>\r\n\
               RCPT TO:<c@later.example>\r\nRCPT TO:<d@ours.example>\r\nDATA\r\n";
    assert_eq!(
        client.say(all),
        format!(
            "250 2.1.0 Ok\n250 2.1.5 Ok\n550 5.1.1 <b@else.example>: refused\n\
             451 4.3.0 Error: not available now, try again later\n250 2.1.5 Ok\n{GO}"
        )
    );
    assert_eq!(client.say("A: b\r\n\r\n..dot\r\n.\r\n"), format!("{KEPT}\n{KEPT}"));
    let recipients = ["a@ours.example", "d@ours.example"].map(str::to_owned).to_vec();
    assert_eq!(client.kept, [(recipients, b"A: b\r\n\r\n.dot\r\n".to_vec())]);
    assert_eq!(client.say("QUIT\r\n"), "221 2.0.0 Bye");
    assert!(client.closed);
}

#[test]
fn smtp_answers_once_and_a_recipient_that_is_named_twice_is_one() {
    for hello in ["EHLO", "HELO"] {
        let mut client = Client::greeted(hello);
        client.begin(&["a@ours.example", "b@ours.example", "a@ours.example"]);
        assert_eq!(client.say("DATA\r\n"), GO);
        assert_eq!(client.say("A: b\r\n.\r\n"), KEPT);
        assert_eq!(client.kept[0].0, ["a@ours.example", "b@ours.example"]);
    }
}

#[test]
fn what_cannot_be_kept_is_deferred_for_each_recipient() {
    let mut client = Client::greeted("LHLO");
    client.disk_full = true;
    client.begin(&["a@ours.example", "b@ours.example"]);
    client.say("DATA\r\n");
    let later = "451 4.3.0 Error: can't be kept now, try again later";
    assert_eq!(client.say("A: b\r\n.\r\n"), format!("{later}\n{later}"));
    client.disk_full = false;
    client.begin(&["a@ours.example"]);
    client.say("DATA\r\n");
    assert_eq!(client.say("A: b\r\n.\r\n"), KEPT);
}

#[test]
fn nothing_is_smuggled_in_behind_a_bare_line_end() {
    let smuggled = "MAIL FROM:<x@x.example>\r\nRCPT TO:<z@ours.example>\r\nDATA\r\nA: c\r\n";
    for end in ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n\r.\r\n"] {
        let mut client = Client::greeted("EHLO");
        client.begin(&["a@ours.example"]);
        client.say("DATA\r\n");
        assert_eq!(client.say(&format!("A: b\r\n\r\ntext{end}{smuggled}\r\n.\r\n")), KEPT, "{end:?}");
        assert_eq!(client.kept.len(), 1, "{end:?}");
        assert!(client.kept[0].1.ends_with(b"DATA\r\nA: c\r\n\r\n"), "{end:?}");
    }
    let mut client = Client::greeted("EHLO");
    assert!(client.say("MAIL FROM:<>\n").starts_with("500 5.5.2"));
    assert!(client.say("NOOP\rMAIL FROM:<>\r\n").starts_with("500 5.5.2"));
}

#[test]
fn content_comes_in_chunks_too() {
    let mut client = Client::greeted("LHLO");
    client.begin(&["a@ours.example", "b@ours.example"]);
    assert_eq!(client.say("BDAT 6\r\nA: b\r\n"), "250 2.0.0 Ok: 6 bytes");
    assert_eq!(client.say("DATA\r\n"), "503 5.5.1 Error: DATA after BDAT");
    assert_eq!(client.say("RCPT TO:<c@ours.example>\r\n"), "503 5.5.1 Error: RCPT after BDAT");
    assert_eq!(client.say("BDAT 4 LAST\r\n\r\n.\n"), format!("{KEPT}\n{KEPT}"));
    assert_eq!(client.kept[0].1, b"A: b\r\n\r\n.\n");
    // The octets of a chunk that is refused are no commands.
    assert_eq!(client.say("BDAT 6 LAST\r\nQUIT\r\n"), "503 5.5.1 Error: need MAIL command");
    assert_eq!(
        client.say("MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n"),
        "250 2.1.0 Ok\n503 5.5.1 Error: no valid recipients"
    );
    assert_eq!(client.say("NOOP\r\n"), "250 2.0.0 Ok");
}

#[test]
fn sizes_and_memory_are_bounded() {
    let mut client = Client::greeted("LHLO");
    assert_eq!(client.say("MAIL FROM:<> SIZE=16777217\r\n"), "552 5.3.4 Error: mail is too large");
    client.begin(&["a@ours.example", "b@ours.example"]);
    client.say("DATA\r\n");
    let piece = "x".repeat(1 << 20);
    for _ in 0..17 {
        assert_eq!(client.say(&piece), "");
    }
    let large = "552 5.3.4 Error: mail is too large";
    assert_eq!(client.say("\r\n.\r\n"), format!("{large}\n{large}"));

    // The memory of mails that were refused or kept is free again.
    let mut client = Client::with_room(2_000_000);
    client.say("EHLO x\r\n");
    for (bytes, reply) in [
        (1_000_000, KEPT),
        (3_000_000, "452 4.3.1 Error: too many mails at once, try again later"),
        (1_900_000, KEPT),
    ] {
        client.begin(&["a@ours.example"]);
        client.say("DATA\r\n");
        assert_eq!(client.say(&format!("{}\r\n.\r\n", "x".repeat(bytes))), reply);
    }
    let mut client = Client::greeted("LHLO");
    let recipients: Vec<String> = (0..RECIPIENTS).map(|n| format!("r{n}@ours.example")).collect();
    client.begin(&recipients.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(client.say("RCPT TO:<one-more@ours.example>\r\n"), "452 4.5.3 Error: too many recipients");
}

#[test]
fn who_is_out_of_order_is_told_and_sent_away() {
    let mut client = Client::new();
    let check = |client: &mut Client, say: &str, reply: &str| {
        assert_eq!(client.say(&format!("{say}\r\n")), reply, "{say}");
    };
    check(&mut client, "MAIL FROM:<>", "503 5.5.1 Error: send LHLO, EHLO or HELO first");
    client.say("LHLO x\r\n");
    check(&mut client, "EHLO x", "503 5.5.1 Error: LMTP and SMTP in one session");
    check(&mut client, "RCPT TO:<a@ours.example>", "503 5.5.1 Error: need MAIL command");
    check(&mut client, "DATA", "503 5.5.1 Error: need MAIL command");
    check(&mut client, "AUTH PLAIN AGEAYg==", "502 5.5.1 Error: command not implemented");
    check(&mut client, "STARTTLS", "502 5.5.1 Error: command not implemented");
    check(
        &mut client,
        "MAIL FROM:<ü@x.example>",
        "553 5.6.7 Error: non-ASCII sender address without SMTPUTF8",
    );
    check(&mut client, "MAIL FROM:<> RET=HDRS", "555 5.5.4 Error: parameter RET is not offered");
    check(&mut client, "MAIL FROM:<>", "250 2.1.0 Ok");
    check(&mut client, "MAIL FROM:<>", "503 5.5.1 Error: nested MAIL command");
    check(&mut client, "DATA", "503 5.5.1 Error: no valid recipients");
    check(&mut client, "RCPT TO:<>", "501 5.1.3 Bad recipient address syntax");
    check(&mut client, "RSET", "250 2.0.0 Ok");
    // Nobody has the right to talk before the listener has answered.
    assert_eq!(client.say("LHLO x\r\nNOOP\r\n"), "503 5.5.0 Error: protocol synchronization");
    assert!(client.closed);

    let mut client = Client::greeted("LHLO");
    let replies = client.say(&"XYZZY\r\n".repeat(50));
    assert_eq!(replies.lines().count(), ERRORS as usize + 2);
    assert!(replies.ends_with("421 4.7.0 host.example too many errors") && client.closed, "{replies}");
    let mut client = Client::greeted("LHLO");
    let replies = client.say(&"NOOP\r\n".repeat(COMMANDS as usize + 9));
    assert!(replies.ends_with("too many commands without a mail") && client.closed);
    let mut client = Client::new();
    let long = format!("{}\r\n", "x".repeat(5_000));
    assert_eq!(client.say(&long), "500 5.5.2 Error: line too long");
}

#[test]
fn no_input_breaks_a_session() {
    let begin =
        "MAIL FROM:<> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<a@ours.example>\r\nRCPT TO:<b@else.example>\r\n";
    let seeds = [
        format!("LHLO relay.example\r\n{begin}DATA\r\nA: b\r\n\r\n..c\r\n.\r\nQUIT\r\n"),
        format!("EHLO relay.example\r\n{begin}BDAT 6\r\nA: b\r\nBDAT 2 LAST\r\n\r\nRSET\r\nNOOP\r\n"),
        format!("HELO relay.example\r\n{begin}DATA\r\n\r\n.\r\nVRFY a\r\nHELP\r\nBDAT 99999999999999999999 LAST\r\n"),
        "LHLO [192.0.2.1]\r\nMAIL FROM:<\"a b\"@x.example> SMTPUTF8\r\nRCPT TO:<\u{fc}@ours.example>\r\nDATA\r\n".to_owned(),
    ];
    fuzz("sessions of the listener", &seeds.map(String::into_bytes), |bytes| {
        // Whole, and as it may arrive.
        for part in [bytes.len().max(1), 7] {
            let mut client = Client::new();
            for bytes in bytes.chunks(part) {
                let said = client.say_bytes(bytes);
                let is_reply =
                    |line: &str| line.len() > 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit);
                assert!(said.lines().all(is_reply), "{said:?}");
                if client.closed {
                    break;
                }
            }
            let is_mail = |(to, mail): &(Vec<String>, Vec<u8>)| !to.is_empty() && mail.len() <= MAIL_BYTES;
            assert!(client.kept.iter().all(is_mail), "{:?}", client.kept);
        }
    });
}

fn submission(is_local: bool) -> Client {
    let tls = Tls { is_implicit: false, acceptor: Arc::new(|| unreachable!("no socket")) };
    let terms = Terms { lmtp: false, login: true, is_strict: true, tls: Some(tls), ..TERMS };
    Client::with_terms(terms, ROOM_BYTES, is_local)
}

/// `\0news\0right` and `\0news\0wrong`.
const RIGHT: &str = "AG5ld3MAcmlnaHQ=";
const WRONG: &str = "AG5ld3MAd3Jvbmc=";

#[test]
fn clients_log_in_over_tls_and_send_as_themselves() {
    let mut client = submission(false);
    assert_eq!(client.say("LHLO x\r\n"), "502 5.5.1 Error: command not implemented");
    let offers = client.say("EHLO x\r\n");
    assert!(offers.contains("250-STARTTLS") && !offers.contains("AUTH"), "{offers}");
    let clear = client.say(&format!("AUTH PLAIN {RIGHT}\r\n"));
    assert_eq!(clear, "538 5.7.11 Encryption required for requested authentication");
    assert_eq!(client.say("MAIL FROM:<a@ours.example>\r\n"), "530 5.7.0 Authentication required");
    // What comes in clear behind STARTTLS is never read as if it had come encrypted.
    assert_eq!(client.say("STARTTLS\r\nNOOP\r\n"), "503 5.5.0 Error: protocol synchronization");
    let mut client = submission(false);
    client.say("EHLO x\r\n");
    assert_eq!(client.say("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS");
    assert_eq!(
        client.say("MAIL FROM:<a@ours.example>\r\n"),
        "503 5.5.1 Error: send LHLO, EHLO or HELO first"
    );
    let offers = client.say("EHLO x\r\n");
    assert!(offers.contains("250-AUTH PLAIN") && !offers.contains("STARTTLS"), "{offers}");
    assert_eq!(client.say(&format!("AUTH LOGIN {RIGHT}\r\n")).get(..3), Some("504"));
    assert_eq!(client.say("AUTH PLAIN bm9uZQ==\r\n"), "501 5.5.2 Error: malformed authentication data");
    assert_eq!(client.say("AUTH PLAIN\r\n"), "334");
    assert_eq!(client.say("*\r\n"), "501 5.7.0 Authentication aborted");
    assert_eq!(client.say("AUTH PLAIN\r\n"), "334");
    assert_eq!(client.say(&format!("{RIGHT}\r\n")), "235 2.7.0 Authentication successful");
    assert_eq!(client.say("AUTH PLAIN\r\n"), "503 5.5.1 Error: AUTH out of sequence");
    assert_eq!(client.say("MAIL FROM:<a@other.example>\r\n"), "550 5.1.1 <sender>: refused");
    assert_eq!(client.say("RCPT TO:<a@ours.example>\r\n"), "503 5.5.1 Error: need MAIL command");
    assert_eq!(client.say("MAIL FROM:<a@ours.example>\r\n"), "250 2.1.0 Ok");
    client.say("RCPT TO:<b@ours.example>\r\nDATA\r\n");
    assert_eq!(client.say("A: b\r\n\r\nx\ny\r\n.\r\n"), "554 5.6.0 Error: lines have to end with <CR><LF>");
    assert_eq!(client.say("MAIL FROM:<a@ours.example>\r\n"), "250 2.1.0 Ok");
    client.say("RCPT TO:<b@ours.example>\r\nDATA\r\n");
    assert_eq!(client.say("A: b\r\n\r\n..x\r\n.\r\n"), "250 2.0.0 Ok: kept");
    assert_eq!(client.kept, [(vec!["b@ours.example".to_owned()], b"A: b\r\n\r\n.x\r\n".to_vec())]);
}

#[test]
fn passwords_are_not_guessed() {
    // On this machine nobody reads along, so TLS is not asked for.
    let mut client = submission(true);
    assert!(client.say("EHLO x\r\n").contains("250-AUTH PLAIN"));
    // To act for somebody else: `root\0news\0right`.
    let other = client.say("AUTH PLAIN cm9vdABuZXdzAHJpZ2h0\r\n");
    assert_eq!(other, "535 5.7.8 Error: authentication failed");
    for _ in 1..LOGINS {
        assert_eq!(client.say(&format!("AUTH PLAIN {WRONG}\r\n")), "550 5.1.1 <login>: refused");
    }
    let last = client.say(&format!("AUTH PLAIN {WRONG}\r\n"));
    assert!(last.ends_with("421 4.7.0 host.example too many logins failed") && client.closed, "{last}");
}

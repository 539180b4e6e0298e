//! Complete conversations without a socket: what the client says, and the result.

use std::net::Ipv4Addr;

use super::super::faults::Faults;
use super::super::options::{Credentials, Extensions, Tls};
use super::super::stats::Stats;
use super::*;
use crate::smtp::server::LONGEST_COMMAND;

/// The client's side of a session. What the driver would do appears in brackets among the replies.
struct Client {
    session: Session,
    common: Arc<Common>,
    input: Vec<u8>,
    taken: Vec<Accepted>,
    disk_full: bool,
}

impl Client {
    fn new(options: Options) -> Self {
        let common =
            Arc::new(Common { options, attempts: Attempts::default(), counters: Counters::default() });
        let session = Session::new(Arc::clone(&common), 1, Ipv4Addr::LOCALHOST.into());
        Self { session, common, input: Vec::new(), taken: Vec::new(), disk_full: false }
    }

    /// A session after EHLO.
    fn greeted(options: Options) -> Self {
        let mut client = Self::new(options);
        client.say("EHLO client.example\r\n");
        client
    }

    /// The same sandbox, another connection.
    fn reconnect(&mut self) {
        self.session = Session::new(Arc::clone(&self.common), 2, Ipv4Addr::LOCALHOST.into());
        self.input.clear();
        self.say("EHLO client.example\r\n");
    }

    /// Sends this in one piece; returns the replies without their CRLF, joined with ` | `.
    fn say(&mut self, text: &str) -> String {
        self.say_bytes(text.as_bytes())
    }

    fn say_bytes(&mut self, bytes: &[u8]) -> String {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let (mut unused, mut said) = (&input[..], Vec::new());
        loop {
            let mut out = Vec::new();
            let step = self.session.advance(&mut unused, &mut out);
            let text = String::from_utf8_lossy(&out).into_owned();
            said.extend(text.split_terminator("\r\n").map(str::to_owned));
            let note = match step {
                Step::Read => break,
                Step::Keep(taken) => {
                    self.taken.push(taken);
                    let full = || io::Error::from(io::ErrorKind::StorageFull);
                    self.session.kept(if self.disk_full { Err(full()) } else { Ok("4F2A".to_owned()) });
                    "[take]".to_owned()
                }
                Step::Wait(time) => format!("[wait {time:?}]"),
                Step::StartTls => {
                    self.session.secured();
                    "[tls]".to_owned()
                }
                last @ (Step::Close | Step::Drop | Step::Reset | Step::Stall { .. }) => {
                    said.push(format!("[{last:?}]"));
                    return said.join(" | ");
                }
            };
            said.push(note);
        }
        self.input = unused.to_vec();
        said.join(" | ")
    }

    /// Sends `recipient` a message by DATA and returns the reply to its end, or what came instead.
    fn send(&mut self, recipient: &str) -> String {
        self.say("RSET\r\n");
        self.say("MAIL FROM:<a@example.com>\r\n");
        let reply = self.say(&format!("RCPT TO:<{recipient}>\r\n"));
        if reply != "250 2.1.5 Ok" {
            return reply;
        }
        match self.say("DATA\r\n") {
            reply if reply.starts_with("354 ") => self.say("Subject: x\r\n\r\ntext\r\n.\r\n"),
            reply => reply,
        }
    }

    /// The same in one group with BDAT; only the last reply.
    fn send_chunk(&mut self, recipient: &str) -> String {
        let said = self.say(&format!(
            "RSET\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<{recipient}>\r\nBDAT 6 LAST\r\nA: b\r\n"
        ));
        said.split(" | ").skip(3).collect::<Vec<_>>().join(" | ")
    }

    fn stats(&self) -> Stats {
        self.common.counters.snapshot()
    }
}

/// Plain defaults, but every message is kept whole.
fn keeping() -> Options {
    Options { keep: Keep::Eml("unused".into()), ..Options::default() }
}

const OK: &str = "[take] | 250 2.0.0 Ok: queued as 4F2A";

#[test]
fn a_message_by_data() {
    let mut client = Client::new(keeping());
    let offer = client.say("EHLO client.example\r\n");
    assert_eq!(
        offer,
        "250-sandbox.localhost | 250-PIPELINING | 250-SIZE 52428800 | 250-STARTTLS | 250-ENHANCEDSTATUSCODES | \
         250-8BITMIME | 250-DSN | 250-SMTPUTF8 | 250-CHUNKING | 250 BINARYMIME"
    );
    let mail = "MAIL FROM:<a@example.com> SIZE=40 BODY=8BITMIME RET=HDRS ENVID=x1\r\n";
    assert_eq!(client.say(mail), "250 2.1.0 Ok");
    let rcpt = "RCPT TO:<b@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.com\r\n";
    assert_eq!(client.say(rcpt), "250 2.1.5 Ok");
    assert_eq!(client.say("rcpt to:<c@example.com>\r\n"), "250 2.1.5 Ok");
    assert_eq!(client.say("DATA\r\n"), "354 End data with <CR><LF>.<CR><LF>");
    assert_eq!(client.say("Message-ID: <1@x>\r\n\r\n..ü\r\n.\r\n"), OK);
    assert_eq!(client.say("QUIT\r\n"), "221 2.0.0 Bye | [Close]");
    let expected = Accepted {
        return_path: "a@example.com".to_owned(),
        recipients: vec!["b@example.com".to_owned(), "c@example.com".to_owned()],
        client: "client.example".into(),
        peer: Ipv4Addr::LOCALHOST.into(),
        protocol: "ESMTP",
        connection: 1,
        message_id: "1@x".to_owned(),
        bytes: 26,
        content: "Message-ID: <1@x>\r\n\r\n.ü\r\n".into(),
        replied: true,
    };
    assert_eq!(client.taken, [expected]);
    assert_eq!(client.stats(), Stats { accepted: 1, recipients: 2, bytes: 26, ..Stats::default() });
}

#[test]
fn a_message_in_one_group_and_the_next_behind_it() {
    let mut client = Client::greeted(keeping());
    let one = "MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nBDAT 11 LAST\r\nA: b\r\n\r\n.\r\n";
    let both = client.say(&one.repeat(2));
    let replies = format!("250 2.1.0 Ok | 250 2.1.5 Ok | {OK}");
    assert_eq!(both, format!("{replies} | {replies}"));
    assert_eq!(client.taken[1].content, b"A: b\r\n\r\n.\r\n", "no dots are taken out of chunks");
    assert_eq!(client.taken[1].return_path, "");
}

#[test]
fn the_same_conversation_in_any_pieces() {
    let text = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nBDAT 6\r\nA: b\r\nBDAT 0\r\nBDAT 2\r\n\r\nBDAT 0 LAST\r\n\
                MAIL FROM:<a@example.com>\r\nRCPT TO:<rcpt-550@example.com>\r\nBDAT 3 LAST\r\nabcMAIL FROM:<a@example.com>\r\n";
    let mut whole = Client::greeted(keeping());
    let expected = whole.say(text);
    assert_eq!(
        expected,
        format!(
            "250 2.1.0 Ok | 250 2.1.5 Ok | 250 2.0.0 Ok: 6 bytes | 250 2.0.0 Ok: 0 bytes | 250 2.0.0 Ok: 2 bytes | {OK} | \
             250 2.1.0 Ok | 550 5.1.1 <rcpt-550@example.com>: Recipient address rejected: User unknown in virtual mailbox \
             table | 554 5.5.1 Error: no valid recipients | 250 2.1.0 Ok"
        )
    );
    assert_eq!(whole.taken[0].content, b"A: b\r\n\r\n");
    for cut in 0..text.len() {
        let mut client = Client::greeted(keeping());
        let parts = [client.say(&text[..cut]), client.say(&text[cut..])];
        let said = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" | ");
        assert_eq!(said, expected, "cut at {cut}");
    }
    let mut client = Client::greeted(keeping());
    let said: Vec<_> =
        text.bytes().map(|byte| client.say_bytes(&[byte])).filter(|part| !part.is_empty()).collect();
    assert_eq!(said.join(" | "), expected, "byte by byte");
}

#[test]
fn commands_out_of_sequence() {
    let mut client = Client::new(Options::default());
    let mut check = |said: &str, reply: &str| assert_eq!(client.say(said), reply, "{said:?}");
    check("MAIL FROM:<a@example.com>\r\n", "503 5.5.1 Error: send HELO/EHLO first");
    check("HELO client.example\r\n", "250 sandbox.localhost");
    check("RCPT TO:<b@example.com>\r\n", "503 5.5.1 Error: need MAIL command");
    check("DATA\r\n", "503 5.5.1 Error: need MAIL command");
    check("BDAT 1 LAST\r\nx", "502 5.5.1 Error: BDAT is not offered");
    check("MAIL FROM:<a@example.com> SIZE=1\r\n", "555 5.5.4 Error: parameter SIZE is not offered");
    check("MAIL FROM:<a@example.com>\r\n", "250 2.1.0 Ok");
    check("MAIL FROM:<a@example.com>\r\n", "503 5.5.1 Error: nested MAIL command");
    check("DATA\r\n", "554 5.5.1 Error: no valid recipients");
    check("RSET\r\n", "250 2.0.0 Ok");
    check("RCPT TO:<b@example.com>\r\n", "503 5.5.1 Error: need MAIL command");
    check("NOOP\r\n", "250 2.0.0 Ok");
    check("VRFY bob\r\n", "252 2.0.0 bob");
    check("EXPN list\r\n", "502 5.5.1 Error: command not implemented");
    check("HELP\r\n", "214 2.0.0 See RFC 5321");
    check("XYZZY\r\n", "500 5.5.2 Error: command not recognized");
    check("\r\n", "500 5.5.2 Error: command not recognized");
    check("DATA now\r\n", "501 5.5.4 Syntax: DATA takes no parameter");
    check("MAIL FROM a@example.com\r\n", "501 5.5.4 Syntax: MAIL FROM:<reverse-path> [parameters]");
    check("MAIL FROM:<@>\r\n", "501 5.1.7 Bad sender address syntax");
    check("NOOP\n", "500 5.5.2 Error: line does not end with <CR><LF>");
    check("NO\rOP\r\n", "500 5.5.2 Error: line does not end with <CR><LF>");
    check("AUTH PLAIN\r\n", "503 5.5.1 Error: authentication not enabled");
    assert_eq!(client.stats().client_errors, 16);
    assert_eq!(client.say_bytes(b"NOOP \xff\r\n"), "500 5.5.2 Error: line is not UTF-8 text");
}

#[test]
fn within_a_transaction() {
    let mut client = Client::greeted(Options::default());
    let mut check = |said: &str, reply: &str| assert_eq!(client.say(said), reply, "{said:?}");
    check("MAIL FROM:<a@example.com> BODY=BINARYMIME\r\n", "250 2.1.0 Ok");
    check("RCPT TO:<>\r\n", "501 5.1.3 Bad recipient address syntax");
    check("RCPT TO:<b@example.com>\r\n", "250 2.1.5 Ok");
    check("DATA\r\n", "503 5.5.1 Error: BODY=BINARYMIME requires BDAT");
    check("BDAT 2\r\n\n\0", "250 2.0.0 Ok: 2 bytes");
    check("DATA\r\n", "503 5.5.1 Error: DATA after BDAT");
    check("RCPT TO:<c@example.com>\r\n", "503 5.5.1 Error: RCPT after BDAT");
    check("BDAT 0 LAST\r\n", OK);
    check("BDAT 0 LAST\r\n", "503 5.5.1 Error: need MAIL command");
}

#[test]
fn addresses_that_need_smtputf8() {
    let mut client = Client::greeted(Options::default());
    let mut check = |said: &str, reply: &str| assert_eq!(client.say(said), reply, "{said:?}");
    check("MAIL FROM:<é@example.com>\r\n", "553 5.6.7 Error: non-ASCII sender address without SMTPUTF8");
    check("MAIL FROM:<a@example.com>\r\n", "250 2.1.0 Ok");
    check("RCPT TO:<é@example.com>\r\n", "553 5.6.7 Error: non-ASCII recipient address without SMTPUTF8");
    check("RSET\r\n", "250 2.0.0 Ok");
    check("MAIL FROM:<é@example.com> SMTPUTF8 BODY=8BITMIME\r\n", "250 2.1.0 Ok");
    check("RCPT TO:<é@example.com>\r\n", "250 2.1.5 Ok");
    check("BDAT 4 LAST\r\né\r\n", OK);
    assert_eq!(client.taken[0].protocol, "UTF8SMTP");
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut client = Client::new(Options { extensions: Extensions::NONE, ..Options::default() });
    let mut check = |said: &str, reply: &str| assert_eq!(client.say(said), reply, "{said:?}");
    check("EHLO client.example\r\n", "250-sandbox.localhost | 250 STARTTLS");
    for parameter in
        ["SIZE=1", "BODY=8BITMIME", "BODY=BINARYMIME", "SMTPUTF8", "RET=FULL", "ENVID=1", "REQUIRETLS"]
    {
        let name = parameter.split('=').next().unwrap();
        check(
            &format!("MAIL FROM:<a@example.com> {parameter}\r\n"),
            &format!("555 Error: parameter {name} is not offered"),
        );
    }
    check("MAIL FROM:<a@example.com> FOO=1\r\n", "555 Error: parameter FOO=1 is not offered");
    check("MAIL FROM:<a@example.com>\r\n", "250 Ok");
    check("RCPT TO:<b@example.com> NOTIFY=NEVER\r\n", "555 Error: parameter NOTIFY or ORCPT is not offered");
    check(
        "RCPT TO:<rcpt-550@example.com>\r\n",
        "550 <rcpt-550@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
    );
    check("RCPT TO:<b@example.com>\r\n", "250 Ok");
    check("BDAT 1\r\nx", "502 Error: BDAT is not offered");
    check("RSET\r\n", "250 Ok");
    check("STARTTLS\r\n", "220 Ready to start TLS | [tls]");
    check("EHLO client.example\r\n", "250 sandbox.localhost");
}

#[test]
fn a_client_that_does_not_wait_is_cut_off() {
    const CUT: &str = "503 5.5.0 Error: SMTP protocol synchronization | [Close]";
    let poor = || {
        let extensions = Extensions { pipelining: false, ..Extensions::ALL };
        Client::greeted(Options { extensions, ..Options::default() })
    };
    assert_eq!(poor().say("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"), CUT);
    let mut client = poor();
    assert_eq!(client.send("b@example.com"), OK, "step by step is fine");
    let mut client = poor();
    client.say("MAIL FROM:<a@example.com>\r\n");
    client.say("RCPT TO:<b@example.com>\r\n");
    assert_eq!(client.say("BDAT 2 LAST\r\n\r\n"), OK, "a chunk belongs to its command");
    client.say("MAIL FROM:<a@example.com>\r\n");
    client.say("RCPT TO:<b@example.com>\r\n");
    assert_eq!(client.say("BDAT 2 LAST\r\n\r\nNOOP\r\n"), CUT);
    assert_eq!(client.taken.len(), 1, "a message answered with 503 is not accepted");

    // With PIPELINING, too, these end a group.
    let rich = || {
        let mut client = Client::greeted(Options::default());
        client.say("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n");
        client
    };
    assert_eq!(rich().say("DATA\r\nA: b\r\n"), CUT);
    assert_eq!(rich().say("EHLO client.example\r\nNOOP\r\n"), CUT);
    assert_eq!(rich().say("STARTTLS\r\nNOOP\r\n"), CUT, "nothing is carried over into TLS");
    let mut client = rich();
    client.say("DATA\r\n");
    let said = client.say("A: b\r\n.\r\nMAIL FROM:<a@example.com>\r\n");
    assert_eq!(said, format!("{OK} | 250 2.1.0 Ok"), "the next MAIL may follow the dot");
}

#[test]
fn nothing_is_smuggled_behind_a_false_end() {
    let options = Options { strict_content: false, ..keeping() };
    for end in ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n"] {
        for strict in [true, false] {
            let mut client = Client::greeted(Options { strict_content: strict, ..options.clone() });
            client.say("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n");
            client.say("DATA\r\n");
            let evil =
                format!("A: b\r\n\r\nx{end}MAIL FROM:<evil@example.com>\r\nRCPT TO:<c@example.com>\r\n");
            assert_eq!(client.say(&evil), "", "{end:?} does not end the content");
            let reply = client.say("\r\n.\r\n");
            match strict {
                true => assert!(reply.starts_with("550 5.5.2 Error: bare <"), "{end:?}: {reply}"),
                false => {
                    assert_eq!(reply, OK);
                    let content = String::from_utf8_lossy(&client.taken[0].content).into_owned();
                    assert!(content.contains("MAIL FROM:<evil@example.com>"), "{end:?}: {content:?}");
                }
            }
            assert!(client.taken.iter().all(|taken| taken.recipients == ["b@example.com"]));
        }
    }
}

#[test]
fn too_long_and_too_large() {
    let mut client = Client::greeted(Options { max_size: 20, ..Options::default() });
    let long = format!("NOOP {}\r\n", "x".repeat(LONGEST_COMMAND));
    assert_eq!(client.say(&format!("{long}NOOP\r\n")), "500 5.5.2 Error: line too long | 250 2.0.0 Ok");
    assert_eq!(client.say(&"x".repeat(5 * LONGEST_COMMAND)), "");
    assert_eq!(client.say("x\r\n"), "500 5.5.2 Error: line too long");
    let longest = format!("NOOP {}\r\n", "x".repeat(LONGEST_COMMAND - 7));
    assert_eq!((longest.len(), client.say(&longest).as_str()), (LONGEST_COMMAND, "250 2.0.0 Ok"));

    let refused = "552 5.3.4 Message size exceeds fixed limit";
    assert_eq!(client.say("MAIL FROM:<a@example.com> SIZE=21\r\n"), refused);
    let rest = client.say("RCPT TO:<b@example.com>\r\nBDAT 22 LAST\r\nA: 345678901234567\r\n\r\n");
    assert_eq!(rest, "503 5.5.1 Error: MAIL was refused | 503 5.5.1 Error: MAIL was refused");
    assert_eq!(client.stats().client_errors, 2, "the group was right, its MAIL was refused");

    let start = "MAIL FROM:<a@example.com> SIZE=20\r\nRCPT TO:<b@example.com>\r\n";
    client.say(start);
    client.say("DATA\r\n");
    let big = client.say("A: 345678901234567\r\n\r\n.\r\n");
    assert_eq!(big, "552 5.3.4 Error: message file too big");
    client.say(start);
    client.say("DATA\r\n");
    assert_eq!(client.say("A: 3456789012345\r\n\r\n.\r\n"), OK, "20 bytes are allowed");
    client.say(start);
    assert_eq!(client.say("BDAT 15\r\nA: 345678901\r\n\r"), "250 2.0.0 Ok: 15 bytes");
    assert_eq!(client.say("BDAT 6\r\n\nxxxxx"), "552 5.3.4 Error: message file too big");
    assert_eq!(client.say("BDAT 2 LAST\r\n\r\n"), "552 5.3.4 Error: message file too big");
    assert_eq!(client.taken.len(), 1);
}

#[test]
fn content_that_rfc_5321_forbids_is_refused() {
    let mut client = Client::greeted(Options::default());
    let mut send = |body: &str, content: &str| {
        client.say(&format!("RSET\r\nMAIL FROM:<a@example.com> {body}\r\nRCPT TO:<b@example.com>\r\n"));
        client.say("DATA\r\n");
        client.say(&format!("{content}.\r\n"))
    };
    assert_eq!(send("", "A: b\r\n\r\nü\r\n"), "554 5.6.3 Error: 8-bit content without BODY=8BITMIME");
    assert_eq!(send("BODY=8BITMIME", "A: b\r\n\r\nü\r\n"), OK);
    assert_eq!(send("BODY=8BITMIME", "A: ü\r\n\r\n"), "554 5.6.9 Error: 8-bit header field without SMTPUTF8");
    assert_eq!(send("", "A: b\r\n\r\nx\0\r\n"), "554 5.6.0 Error: message contains NUL");
    assert_eq!(
        send("", &format!("A: b\r\n\r\n{}\r\n", "x".repeat(999))),
        "554 5.6.0 Error: line longer than 998 octets"
    );
}

#[test]
fn recipients_script_rcpt() {
    let mut client = Client::greeted(Options::default());
    let mut check = |recipient: &str, replies: &[&str]| {
        for reply in replies {
            assert_eq!(&client.send(recipient), reply, "{recipient}");
        }
    };
    check(
        "rcpt-552-5.2.2+9@example.com",
        &["552 5.2.2 <rcpt-552-5.2.2+9@example.com>: Recipient address rejected: Mailbox full"; 2],
    );
    let busy = "451 4.7.1 <rcpt-451-twice@example.com>: Recipient address rejected: Greylisted, please try again later";
    check("rcpt-451-twice@example.com", &[busy, busy, OK, OK]);
    let grey =
        "451 4.7.1 <greylist@example.com>: Recipient address rejected: Greylisted, please try again later";
    check("greylist@example.com", &[grey, OK]);
    check("slow-rcpt-5ms@example.com", &["[wait 5ms] | 250 2.1.5 Ok"]);
    check(
        "rcpt-450-4.7.28@example.com",
        &["450 4.7.28 Our system has detected an unusual rate of unsolicited mail; try again later"],
    );
    let stats = client.stats();
    assert_eq!((stats.deferred, stats.rejected, stats.accepted, stats.client_errors), (4, 2, 3, 0));
}

#[test]
fn recipients_script_the_connection_at_rcpt() {
    for (recipient, expected) in [
        ("drop-at-rcpt@example.com", "[Drop]"),
        ("reset-at-rcpt@example.com", "[Reset]"),
        ("stall-at-rcpt@example.com", "[Stall { reading: true }]"),
        (
            "421@example.com",
            "421 4.3.2 sandbox.localhost Service shutting down, closing transmission channel | [Close]",
        ),
    ] {
        assert_eq!(Client::greeted(Options::default()).send(recipient), expected);
    }
    let garbage = Client::greeted(Options::default()).send("garbage-at-rcpt@example.com");
    assert!(garbage.ends_with("+OK maybe | [Close]") && !garbage.contains("250"), "{garbage:?}");
    let mut client = Client::greeted(Options::default());
    assert_eq!(client.send("drop-at-rcpt-once@example.com"), "[Drop]");
    client.reconnect();
    assert_eq!(client.send("drop-at-rcpt-once@example.com"), OK, "attempts are counted across connections");
    assert_eq!(client.stats().dropped, 1);
}

/// The same script has the same effect on DATA and on BDAT.
fn content_scripts(recipient: &str, expected: &[&str], taken: &[bool]) {
    for by_chunk in [false, true] {
        let mut client = Client::greeted(Options::default());
        for (i, expected) in expected.iter().enumerate() {
            let address = format!("{recipient}+{by_chunk}@example.com");
            let said = if by_chunk { client.send_chunk(&address) } else { client.send(&address) };
            let expected = expected.replace("{}", &address);
            assert_eq!(said, expected, "{recipient}, attempt {}, by chunk: {by_chunk}", i + 1);
            if said.ends_with(']') {
                client.reconnect();
            }
        }
        let replied: Vec<bool> = client.taken.iter().map(|taken| taken.replied).collect();
        assert_eq!(replied, taken, "{recipient}: accepted messages are answered");
    }
}

#[test]
fn recipients_script_the_content() {
    content_scripts("b", &[OK], &[true]);
    content_scripts("data-554", &["554 5.6.0 Message content rejected"; 2], &[]);
    content_scripts(
        "data-550-5.7.515",
        &["550 5.7.515 Access denied, sending domain does not meet the required authentication level"],
        &[],
    );
    content_scripts("data-451-once", &["451 4.3.0 Error: queue file write error", OK], &[true]);
    content_scripts(
        "predata-450-once",
        &["450 4.2.1 <{}>: Recipient address rejected: Mailbox busy", OK],
        &[true],
    );
    content_scripts(
        "data-421",
        &["421 4.3.2 sandbox.localhost Service shutting down, closing transmission channel | [Close]"],
        &[],
    );
    content_scripts("slow-200ms", &["[take] | [wait 200ms] | 250 2.0.0 Ok: queued as 4F2A"], &[true]);
    content_scripts(
        "multiline",
        &["[take] | 250-2.0.0 Message checked | 250-2.0.0 Thank you | 250 2.0.0 Ok: queued as 4F2A"],
        &[true],
    );
    content_scripts("drop-in-data-once", &["[Drop]", OK], &[true]);
    content_scripts("reset-in-data", &["[Reset]"; 2], &[]);
    content_scripts("stall-in-data", &["[Stall { reading: false }]"], &[]);
    content_scripts("drop-after-dot", &["[take] | [Drop]"; 2], &[false, false]);
    content_scripts("lose-after-dot", &["[Drop]"], &[]);
    content_scripts("reset-after-dot", &["[take] | [Reset]"], &[false]);
    content_scripts("stall-after-dot", &["[take] | [Stall { reading: true }]"], &[false]);
}

#[test]
fn replies_that_are_none() {
    let mut client = Client::greeted(Options::default());
    let garbage = client.send("garbage-after-dot@example.com");
    assert!(garbage.starts_with("[take] | ") && garbage.ends_with("+OK maybe | [Close]"), "{garbage:?}");
    assert!(!client.taken[0].replied);
    client.reconnect();
    let overlong = client.send("overlong-after-dot@example.com");
    assert_eq!(overlong.len(), "[take] | ".len() + 100_000 - 2, "a line of 100,000 octets with its CRLF");
    assert_eq!(client.stats().unanswered, 1);
}

#[test]
fn the_first_recipient_with_a_script_for_the_content_decides() {
    let mut client = Client::greeted(Options::default());
    client.say(
        "MAIL FROM:<a@example.com>\r\nRCPT TO:<x@example.com>\r\nRCPT TO:<slow-rcpt-1ms@example.com>\r\n",
    );
    client.say("RCPT TO:<data-451@example.com>\r\nRCPT TO:<data-554@example.com>\r\n");
    client.say("DATA\r\n");
    assert_eq!(client.say("A: b\r\n.\r\n"), "451 4.3.0 Error: queue file write error");
}

#[test]
fn a_group_goes_on_behind_a_slow_reply() {
    let mut client = Client::greeted(Options::default());
    let group = "MAIL FROM:<a@example.com>\r\nRCPT TO:<slow-9ms@example.com>\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n";
    let said = client.say(group);
    assert_eq!(
        said,
        "250 2.1.0 Ok | 250 2.1.5 Ok | [take] | [wait 9ms] | 250 2.0.0 Ok: queued as 4F2A | 250 2.0.0 Ok"
    );
}

#[test]
fn every_message_can_be_delayed() {
    let options = Options { delay: Some(Duration::from_millis(3)), ..Options::default() };
    let mut client = Client::greeted(options);
    assert_eq!(client.send("b@example.com"), "[take] | [wait 3ms] | 250 2.0.0 Ok: queued as 4F2A");
    assert_eq!(client.send("data-554@example.com"), "[wait 3ms] | 554 5.6.0 Message content rejected");
}

#[test]
fn a_chunk_after_a_refused_one_is_refused() {
    let mut client = Client::greeted(Options::default());
    client.say("MAIL FROM:<a@example.com>\r\nRCPT TO:<predata-451-once@example.com>\r\n");
    assert!(client.say("BDAT 1\r\nx").starts_with("451 4.7.1 "));
    assert_eq!(client.say("BDAT 1\r\nx"), "503 5.5.1 Error: an earlier chunk was refused");
    assert_eq!(client.say("BDAT 1 LAST\r\nx"), "503 5.5.1 Error: an earlier chunk was refused");
    assert_eq!(client.send_chunk("predata-451-once@example.com"), OK, "LAST has ended the transaction");
}

#[test]
fn data_may_be_answered_although_nobody_is_left() {
    let mut client = Client::greeted(Options { eager_data: true, ..Options::default() });
    client.say("MAIL FROM:<a@example.com>\r\nRCPT TO:<rcpt-550@example.com>\r\n");
    assert_eq!(client.say("DATA\r\n"), "354 End data with <CR><LF>.<CR><LF>");
    assert_eq!(client.say(".\r\n"), "554 5.5.1 Error: no valid recipients");
    assert!(client.taken.is_empty());
}

#[test]
fn a_message_that_cannot_be_kept_is_not_accepted() {
    let mut client = Client::greeted(Options::default());
    client.disk_full = true;
    let said = client.send("drop-after-dot@example.com");
    assert!(said.starts_with("[take] | 452 4.3.1 Insufficient system storage: "), "{said}");
    assert_eq!((client.stats().accepted, client.stats().unanswered, client.stats().bytes), (0, 0, 0));
}

#[test]
fn tls_comes_before_mail_when_required() {
    let mut client = Client::greeted(Options { tls: Tls::Required, ..Options::default() });
    let mail = "MAIL FROM:<a@example.com>\r\n";
    assert_eq!(client.say(mail), "530 5.7.0 Must issue a STARTTLS command first");
    assert_eq!(client.say("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS | [tls]");
    assert_eq!(client.say(mail), "503 5.5.1 Error: send HELO/EHLO first", "the session begins again");
    let offer = client.say("EHLO client.example\r\n");
    assert!(!offer.contains("STARTTLS") && offer.ends_with("250 REQUIRETLS"), "{offer}");
    assert_eq!(client.say("STARTTLS\r\n"), "503 5.5.1 Error: STARTTLS is not offered");
    assert_eq!(client.say("MAIL FROM:<a@example.com> REQUIRETLS\r\n"), "250 2.1.0 Ok");
}

fn with_auth(tls: Tls) -> Options {
    let auth = Credentials { user: "news".to_owned(), password: "secret".to_owned() };
    Options { auth: Some(auth), tls, ..Options::default() }
}

#[test]
fn auth_is_offered_and_needed_over_tls() {
    let mut client = Client::new(with_auth(Tls::Offered));
    assert!(!client.say("EHLO client.example\r\n").contains("AUTH"));
    let clear = client.say("AUTH PLAIN AG5ld3MAc2VjcmV0\r\n");
    assert_eq!(clear, "538 5.7.11 Encryption required for requested authentication");
    client.say("STARTTLS\r\n");
    assert!(client.say("EHLO client.example\r\n").contains("250-AUTH PLAIN LOGIN | "));
    assert_eq!(client.say("MAIL FROM:<a@example.com>\r\n"), "530 5.7.0 Authentication required");
    assert_eq!(client.say("AUTH PLAIN AG5ld3MAc2VjcmV0\r\n"), "235 2.7.0 Authentication successful");
    assert_eq!(client.say("AUTH PLAIN AG5ld3MAc2VjcmV0\r\n"), "503 5.5.1 Error: AUTH out of sequence");
    assert_eq!(client.send("b@example.com"), OK);
    assert_eq!(client.taken[0].protocol, "ESMTPSA");
    assert_eq!(client.stats().logins, 1);
}

#[test]
fn every_way_to_log_in() {
    let mut client = Client::new(Options { auth_in_clear: true, ..with_auth(Tls::Off) });
    let mut log_in = |lines: &[&str]| {
        client.session.logged_in = false;
        client.say("EHLO client.example\r\n");
        lines.iter().map(|line| client.say(&format!("{line}\r\n"))).collect::<Vec<_>>().join(" | ")
    };
    let (ok, failed) = ("235 2.7.0 Authentication successful", "535 5.7.8 Error: authentication failed");
    let malformed = "501 5.5.2 Error: malformed authentication data";
    let ask = "334 VXNlcm5hbWU6 | 334 UGFzc3dvcmQ6";
    assert_eq!(log_in(&["AUTH PLAIN", "AG5ld3MAc2VjcmV0"]), format!("334  | {ok}"));
    assert_eq!(log_in(&["AUTH LOGIN", "bmV3cw==", "c2VjcmV0"]), format!("{ask} | {ok}"));
    assert_eq!(log_in(&["AUTH LOGIN bmV3cw==", "c2VjcmV0"]), format!("334 UGFzc3dvcmQ6 | {ok}"));
    assert_eq!(log_in(&["AUTH PLAIN AG5ld3MAd3Jvbmc="]), failed);
    assert_eq!(log_in(&["AUTH LOGIN", "bmV3cw==", "d3Jvbmc="]), format!("{ask} | {failed}"));
    assert_eq!(log_in(&["AUTH PLAIN", "*"]), "334  | 501 5.7.0 Authentication aborted");
    assert_eq!(log_in(&["AUTH PLAIN !"]), malformed);
    assert_eq!(log_in(&["AUTH PLAIN bmV3cw=="]), malformed);
    assert_eq!(log_in(&["AUTH PLAIN ="]), malformed);
    assert_eq!(log_in(&["AUTH CRAM-MD5"]), "504 5.5.4 Error: authentication mechanism not offered");
}

#[test]
fn only_the_record_and_files_make_the_session_keep_content() {
    for (keep, record, id, content) in [
        (Keep::Discard, None, "", &b""[..]),
        (Keep::Count, Some("unused".into()), "1@x", b""),
        (Keep::Eml("unused".into()), None, "1@x", b"Message-ID: <1@x>\r\n\r\n"),
    ] {
        let mut client = Client::greeted(Options { keep, record, ..Options::default() });
        client.say("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n");
        client.say("DATA\r\n");
        client.say("Message-ID: <1@x>\r\n\r\n.\r\n");
        let taken = &client.taken[0];
        assert_eq!((taken.message_id.as_str(), taken.content.as_slice(), taken.bytes), (id, content, 21));
    }
}

#[test]
fn faults_happen_to_those_who_script_nothing() {
    let certain = |faults: Faults| Client::greeted(Options { faults: Some(faults), ..Options::default() });
    let always = |set: fn(&mut Faults)| {
        let mut faults = Faults { delay_by: Duration::from_millis(7), ..Faults::default() };
        set(&mut faults);
        certain(faults).send("b@example.com")
    };
    assert!(always(|f| f.defer_recipient = 1.0).starts_with("451 4.7.1 "));
    assert!(always(|f| f.close_service = 1.0).starts_with("421 4.3.2 "));
    assert_eq!(always(|f| f.drop_in_content = 1.0), "[Drop]");
    assert_eq!(always(|f| f.reset_in_content = 1.0), "[Reset]");
    assert_eq!(always(|f| f.defer_content = 1.0), "451 4.3.0 Error: queue file write error");
    assert_eq!(always(|f| f.refuse_content = 1.0), "554 5.6.0 Message content rejected");
    assert_eq!(always(|f| f.drop_after_content = 1.0), "[take] | [Drop]");
    assert_eq!(always(|f| f.lose_after_content = 1.0), "[Drop]");
    assert_eq!(always(|f| f.delay = 1.0), "[take] | [wait 7ms] | 250 2.0.0 Ok: queued as 4F2A");
    let mut client = certain(Faults::evenly(1.0, 1));
    let scripted = client.send("slow-rcpt-1ms-once@example.com");
    assert_eq!(scripted, "[wait 1ms] | 250 2.1.5 Ok");
    assert_eq!(client.send("slow-rcpt-1ms-once@example.com"), OK);
}

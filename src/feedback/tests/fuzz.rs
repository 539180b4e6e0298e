//! Mails that were made to break the readers: parts in parts, bombs, loops, broken charsets, and
//! all of them spoiled.
//!
//! `cargo test` reads some thousand of them; `scripts/feedback-fuzz N` reads N, and also says how
//! long the slowest took and how much memory all of them.

use std::cell::Cell;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use super::*;
use crate::fuzzing::fuzz;

/// No mail may take longer in a release.
const SECONDS: f64 = 1.0;
/// Without optimisation, and with the checks of a test.
const UNOPTIMIZED_SECONDS: f64 = 20.0;
/// So many mails are made.
const MAILS: u64 = 2_000;
/// So many of them are also spoiled.
const SEEDS: u64 = 200;
/// A mail of a bomb is packed from so many bytes.
const BOMB_BYTES: usize = 64 << 20;
/// Reading takes no more memory, whatever comes.
const MEMORY_KIB: u64 = 64 << 10;

/// The memory of this process in KiB: what it has, or the most that it had.
fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
}

/// What memory there is now; the most is counted from here on.
fn start_of_memory() -> u64 {
    if is_alone() {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
    }
    memory_kib("VmRSS")
}

/// Whether the script runs these tests, one after the other and as a release.
fn is_alone() -> bool {
    std::env::var_os("MAILRUN_FUZZ_ALONE").is_some()
}

/// Chooses; the same seed chooses the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        // Marsaglia, Xorshift RNGs, 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % most
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const HEADS: [&str; 8] = [
    "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: n@sender.example\nSubject: Undelivered Mail\n",
    "From: postmaster@mx.example\nSubject: =?utf-8?B?VW5kZWxpdmVyZWQ=?= =?x-none?q?=FF?=\nX-Failed-Recipients: a@x.example\n",
    "From: =?iso-2022-jp?B?GyRC?= <a@x.example>\nSubject: Automatic reply: x\nAuto-Submitted: auto-replied\n",
    "From: \"a@b\"@c <@d:e@f>, ;\nTo: undisclosed:;\nSubject:\n unsubscribe\n",
    "From: fbl@isp.example\nSubject: complaint about message from 192.0.2.1\n",
    "Received: from x\nReceived: from x\nMessage-ID: <<>>\nFrom: \nSubject: Delayed: 遅延\n",
    "",
    "From MAILER-DAEMON Mon Jan  1 00:00:00 2024\nFrom: no-reply@email.example\nSubject: 退信\n",
];
const TYPES: [&str; 14] = [
    "text/plain",
    "text/plain; charset=iso-2022-jp",
    "text/plain; charset=\"x-does-not-exist\"",
    "text/html; charset=utf-7",
    "text/html",
    "message/delivery-status",
    "message/global-delivery-status",
    "message/feedback-report",
    "message/disposition-notification",
    "message/rfc822",
    "text/rfc822-headers",
    "application/gzip",
    "application/tlsrpt+gzip",
    "application/zip; name=\"../../x!y!1!2.zip\"",
];
const ENCODINGS: [&str; 5] = ["7bit", "8bit", "base64", "quoted-printable", "x-uuencode"];
const BODIES: [&str; 14] = [
    "<a@x.example>: host mx.x.example[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO command)\n",
    "Hi. This is the qmail-send program.\n\n<a@x.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nFrom: n@sender.example\n",
    "The following address(es) failed:\n\n  a@x.example\n    (generated from b@y.example)\n    mailbox is full: retry timeout exceeded\n",
    "Final-Recipient: rfc822; a@x.example\nOriginal-Recipient: rfc822;b@y.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550-5.1.1 no\n 550 5.1.1 such user\n",
    "Reporting-MTA: dns; mx\n\nFinal-Recipient: utf-8; \\x{1F600}\\x{110000}\\x{@x.example\nAction: expanded\nStatus: 2.x.999\n",
    "Feedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: <a@x.example>\nRemoval-Recipient: b@y.example\n",
    "Disposition: automatic-action/MDN-sent-automatically; deleted\nFinal-Recipient: rfc822; a@x.example\n",
    "<p>Your message to <a href=\"mailto:a@x.example\">a@x&#46;example</a> <![CDATA[ &#x110000; <!-- - -- > couldn't be delivered.</P",
    "{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[{\"emailAddress\":\"a@x.example\"}]},\"mail\":{}}\n",
    "<feedback><report_metadata><org_name>x</org_name></report_metadata><record><row><count>99999999999999999999</count></row></record></feedback>",
    "{\"organization-name\":\"x\",\"policies\":[{\"summary\":{\"total-successful-session-count\":18446744073709551615}}]}",
    "=1B$B=1B(J=\n=ZZ=3D=\n\u{feff}\u{202e}a@x.example\u{0}\n",
    "H4sIAAAAAAAAA+3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA\n",
    "Ihre Nachricht konnte nicht zugestellt werden.\n\na@x.example\n収件人b@y.example不存在\n>>> RCPT TO:<c@z.example>\n<<< 452 4.2.2 Over quota\n",
];

/// A mail with parts in parts, as `dice` fall.
fn mail(dice: &mut Dice) -> Vec<u8> {
    let mut mail = dice.one(&HEADS).to_owned();
    part(dice, &mut mail, 0);
    mail.into_bytes()
}

fn part(dice: &mut Dice, mail: &mut String, depth: usize) {
    let is_leaf = depth > 14 || dice.below(3) == 0;
    if is_leaf {
        let (kind, encoding) = (dice.one(&TYPES), dice.one(&ENCODINGS));
        mail.push_str(&format!("Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n"));
        let bodies = 1 + dice.below(3);
        (0..bodies).for_each(|_| mail.push_str(dice.one(&BODIES)));
        return;
    }
    let kind = dice.one(&["mixed", "report; report-type=delivery-status", "alternative", "digest"]);
    // Some parts share a boundary, one that begins another, or have none.
    let boundary = dice.one(&["b", "bb", "=", "b-", "", "\u{e9}"]).to_owned() + &"x".repeat(dice.below(3));
    mail.push_str(&format!("Content-Type: multipart/{kind};\n boundary=\"{boundary}\"\n\n"));
    for _ in 0..1 + dice.below(3) {
        mail.push_str(&format!("--{boundary}\n"));
        part(dice, mail, depth + 1);
        mail.push('\n');
    }
    if dice.below(2) == 0 {
        mail.push_str(&format!("--{boundary}--\n"));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A ZIP archive in which each of `entries` files is `bytes`.
fn zip(bytes: &[u8], entries: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    let packed = encoder.finish().unwrap();
    let mut zip = Vec::new();
    for _ in 0..entries {
        zip.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        zip.extend_from_slice(&u32::try_from(packed.len()).unwrap().to_le_bytes());
        zip.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        zip.extend_from_slice(b"\x01\0\0\0x");
        zip.extend_from_slice(&packed);
    }
    zip
}

fn attached(kind: &str, files: &[Vec<u8>]) -> Vec<u8> {
    let mut mail =
        "From: dmarc@x.example\nSubject: Report\nContent-Type: multipart/mixed; boundary=b\n\n".to_owned();
    for file in files {
        let text = STANDARD.encode(file);
        mail.push_str(&format!(
            "--b\nContent-Type: application/{kind}\nContent-Transfer-Encoding: base64\n\n{text}\n"
        ));
    }
    mail.into_bytes()
}

/// Mails that want more than they may have.
fn bombs() -> Vec<Vec<u8>> {
    let zeros = vec![b'0'; BOMB_BYTES];
    let xml = "<feedback><record>".repeat(BOMB_BYTES / 18).into_bytes();
    let json = vec![b'['; BOMB_BYTES / 4];
    // Rows that all differ, with long names; and policies without anything.
    let rows = (0..30_000).map(|number| {
        format!(
            "<record><row><source_ip>10.0.{}.{}</source_ip></row><auth_results><spf><domain>{number:0400}</domain>\
             </spf></auth_results></record>",
            number / 256 % 256,
            number % 256
        )
    });
    let policy = "<feedback><policy_published><domain>x.example</domain></policy_published>";
    let rows = format!("{policy}{}", rows.collect::<String>()).into_bytes();
    let policies = format!("{{\"policies\": [{}{{}}]}}", "{},".repeat(5_000_000)).into_bytes();
    // As long as what is read of a mail, with a report that is as long as what is unpacked, of rows
    // whose names are long, differ and can hardly be packed.
    let (records, length) = if is_alone() { (18_000, source::MAIL_BYTES) } else { (180, 1 << 20) };
    let mut dice = Dice(7);
    let mut name = || -> String { (0..200).map(|_| char::from(b'a' + dice.below(26) as u8)).collect() };
    let longest = (0..records).map(|_| {
        let (from, signed, selector, asked) = (name(), name(), name(), name());
        format!(
            "<record><identifiers><header_from>{from}</header_from></identifiers><auth_results><dkim><domain>{signed}\
             </domain><selector>{selector}</selector></dkim><spf><domain>{asked}</domain></spf></auth_results></record>"
        )
    });
    let mut longest =
        attached("gzip", &[gzip(format!("{policy}{}", longest.collect::<String>()).as_bytes())]);
    longest.resize(length, b'\n');
    let nested = |depth: usize| {
        let parts =
            (0..depth).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n"));
        parts.collect::<String>().into_bytes()
    };
    let messages = "Content-Type: message/rfc822\n\n".repeat(20_000).into_bytes();
    let boundaries = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\n".repeat(1 << 20));
    let pipe = format!("From: MAILER-DAEMON@x.example\n\n{}", "<a@x.example>: 550 ".repeat(1 << 19));
    vec![
        gzip(&zeros),
        gzip(&gzip(&zeros)),
        attached("gzip", &[gzip(&zeros), gzip(&xml), gzip(&json)]),
        attached("gzip", &vec![gzip(&zeros); 12]),
        gzip(&rows),
        longest,
        gzip(&policies),
        attached("zip", &[zip(&zeros, 1), zip(&zeros, 40), zip(&xml, 1)]),
        attached("zip", &vec![zip(b"x", 5_000); 3]),
        nested(5_000),
        messages,
        boundaries.into_bytes(),
        pipe.into_bytes(),
        b"Content-Type: text/html\n\n<div><a href=\"x\"><!--".repeat(100_000),
        b"Subject: =?utf-8?b?4pyT?= \n".repeat(100_000),
    ]
}

/// Reads `mail`, and says how long that took.
fn seconds_of(reader: &Reader, mail: &[u8]) -> f64 {
    let start = own_seconds();
    let feedback = reader.read(mail);
    let took = own_seconds() - start;
    assert_eq!(feedback.events.is_empty(), feedback.report.is_some());
    let bad = |event: &Event| event.kind != Kind::Bounce || event.permanent != Some(true);
    assert!(!feedback.events.iter().any(|event| event.hard && bad(event)), "{:?}", feedback.events);
    // The script builds a release.
    let most = if is_alone() { SECONDS } else { UNOPTIMIZED_SECONDS };
    assert!(took < most, "{took} s for {} bytes", mail.len());
    took
}

#[test]
fn every_mail_is_read_without_a_panic() {
    // By themselves they are those of the other test; here they meet a reader that has read much.
    let bombs = if is_alone() { bombs() } else { Vec::new() };
    let mail_of = |seed: u64| mail(&mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let seeds: Vec<_> = (1..=SEEDS).map(mail_of).collect();
    // What the test itself keeps is no memory of the reader.
    let before = start_of_memory();
    let reader = Reader::default();
    let slowest = (1..=MAILS).map(|seed| seconds_of(&reader, &mail_of(seed))).fold(0.0, f64::max);
    let slowest = Cell::new(slowest);
    fuzz("mails that came back", &seeds, |mail| {
        slowest.set(slowest.get().max(seconds_of(&reader, mail)));
    });
    let after_bombs = bombs.iter().map(|bomb| seconds_of(&reader, bomb)).fold(slowest.get(), f64::max);
    report(after_bombs, before);
}

#[test]
fn no_bomb_goes_off() {
    let bombs = bombs();
    let before = start_of_memory();
    let reader = Reader::default();
    let slowest = bombs.iter().map(|bomb| seconds_of(&reader, bomb)).fold(0.0, f64::max);
    report(slowest, before);
}

/// Only where no other test takes memory at the same time.
fn report(slowest: f64, before: u64) {
    if is_alone() {
        let memory = memory_kib("VmHWM").saturating_sub(before);
        println!("  slowest: {slowest:.3} s; memory: {} MiB more", memory >> 10);
        assert!(memory <= MEMORY_KIB, "{memory} KiB");
    }
}

//! Scripted daemons on loopback.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::super::finding::Level;
use super::*;

/// Serves one connection after another: reads until `whole` says that the question is complete,
/// then gives the next answer. Returns its address, and later the questions.
fn daemon(whole: fn(&[u8]) -> bool, answers: Vec<&'static [u8]>) -> (String, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let serve = |answer: &[u8]| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4_096];
            while !whole(&asked) {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    read => asked.extend_from_slice(&buffer[..read]),
                }
            }
            stream.write_all(answer).unwrap();
            asked
        };
        answers.into_iter().map(serve).collect()
    });
    (address, thread)
}

fn ends_spamc(asked: &[u8]) -> bool {
    asked.ends_with(b"the end\r\n")
}

fn ends_instream(asked: &[u8]) -> bool {
    asked.len() > 10 && asked.ends_with(&[0; 4])
}

fn sample() -> Sample {
    Sample { row: "a.csv, row 2".to_owned(), message: b"Subject: x\r\n\r\nthe end\r\n".to_vec() }
}

fn found(checks: &Checks, files: &[(String, Vec<u8>)]) -> Vec<(Level, &'static str)> {
    check(checks, &sample(), files).iter().map(|f| (f.level, f.id.as_str())).collect()
}

#[test]
fn a_threshold_refuses() {
    let scored = |answer: &'static [u8], threshold: f64| {
        let (address, asked) = daemon(ends_spamc, vec![answer]);
        let checks = Checks { spamd: Some(address), spam_threshold: threshold, ..Checks::default() };
        let findings = found(&checks, &[]);
        let asked = asked.join().unwrap().remove(0);
        assert!(asked.starts_with(b"SYMBOLS SPAMC/1.5\r\nContent-length: 23\r\n\r\nSubject: x\r\n"));
        findings
    };
    let answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 3.2 / 5.0\r\n\r\nA,B";
    assert_eq!(scored(answer, 5.0), [(Level::Ok, "spam-score")]);
    assert_eq!(scored(answer, 3.2), [(Level::Refused, "spam-score-high")]);
    assert_eq!(scored(b"what?", 5.0), [(Level::Warning, "spamd-unreachable")]);
}

#[test]
fn every_attachment_is_scanned() {
    let answers: Vec<&[u8]> =
        vec![b"stream: OK\0", b"stream: Eicar-Test-Signature FOUND\0", b"x. ERROR\0", b"stream: OK\0"];
    let (address, asked) = daemon(ends_instream, answers);
    let checks = Checks { clamd: Some(address), ..Checks::default() };
    let files = ["a", "b", "c"].map(|name| (name.to_owned(), vec![b'x'; 70_000]));
    let expected = [(Level::Refused, "virus"), (Level::Warning, "clamd-error"), (Level::Ok, "clamd")];
    assert_eq!(found(&checks, &files), expected);
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with(b"zINSTREAM\0\0\0\0\x17Subject"));
    // Two chunks with their lengths, and the end.
    assert_eq!(asked[1].len(), 10 + 4 + 65_536 + 4 + (70_000 - 65_536) + 4);
}

#[test]
fn a_virus_is_found_in_a_row_or_a_file() {
    let answers: Vec<&[u8]> = vec![b"stream: Eicar FOUND\0", b"stream: Eicar FOUND\0"];
    let (address, asked) = daemon(ends_instream, answers);
    let checks = Checks { clamd: Some(address), ..Checks::default() };
    let files = [("the attachment `a.pdf` of a.csv, row 7".to_owned(), b"x".to_vec())];
    let seen: Vec<String> = check(&checks, &sample(), &files).into_iter().map(|f| f.seen).collect();
    asked.join().unwrap();
    let expected = ["the message of a.csv, row 2", "the attachment `a.pdf` of a.csv, row 7"];
    assert_eq!(seen, expected.map(|place| format!("ClamAV finds Eicar in {place}")));
}

#[test]
fn a_daemon_that_does_not_answer_is_a_warning() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let checks =
        Checks { spamd: Some(address), clamd: Some("/nowhere/clamd.ctl".into()), ..Checks::default() };
    assert_eq!(
        found(&checks, &[]),
        [(Level::Warning, "spamd-unreachable"), (Level::Warning, "clamd-unreachable")]
    );
    assert_eq!(found(&Checks::default(), &[]), []);
}

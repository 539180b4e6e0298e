//! Servers whose answers are nearly correct.

use super::reply::Malformed;
use super::{Capabilities, ReplyParser};
use crate::fuzzing::{fuzz, texts};
use crate::mail::Reply;

/// All replies in `pieces`, and the error that ended them.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<Malformed>) {
    let mut parser = ReplyParser::default();
    let mut replies = Vec::new();
    for mut piece in pieces {
        loop {
            let before = piece.len();
            match parser.next(&mut piece) {
                Ok(Some(reply)) => {
                    assert!(piece.len() < before, "a reply is made of something");
                    replies.push(reply);
                }
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (replies, None)
}

#[test]
fn replies_are_read_or_refused_however_they_arrive() {
    let seeds = texts(&[
        "250 2.0.0 Ok: queued as 4F1\r\n",
        "250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 20971520\r\n250 ENHANCEDSTATUSCODES\r\n",
        "550-5.1.1 The email account\r\n550-5.1.1 does not exist.\r\n550 5.1.1 See help\r\n",
        "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n421 4.3.2 bye\r\n",
        "550 5.7.515 Access denied\n250\r\n",
    ]);
    fuzz("SMTP replies", &seeds, |bytes| {
        let (replies, error) = read(std::iter::once(bytes));
        for reply in &replies {
            assert!((200..600).contains(&reply.code), "{reply:?}");
            assert!(reply.text.len() <= 1_000 && !reply.text.contains(char::is_control), "{reply:?}");
        }
        // Where the bytes are split changes nothing, except for how much of a bad line is shown.
        let split = bytes.len() / 2;
        let (halves, torn) = read([&bytes[..split], &bytes[split..]].into_iter());
        let (singles, single) = read(bytes.chunks(1));
        assert_eq!((&halves, torn.is_some()), (&replies, error.is_some()));
        assert_eq!((&singles, single.is_some()), (&replies, error.is_some()));
    });
}

#[test]
fn what_a_server_offers_is_read_or_refused() {
    let seeds = texts(&[
        "250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 20971520\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n250 DSN\r\n",
        "250-a\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-REQUIRETLS\r\n250 SIZE\r\n",
        "250-a\r\n250-LIMITS RCPTMAX=20\r\n250-DELIVERBY 240\r\n250-MT-PRIORITY STANAG4406\r\n250 BURL imap\r\n",
    ]);
    fuzz("EHLO replies", &seeds, |bytes| {
        let _ = Capabilities::parse(bytes);
    });
}

//! Mails that programs have handed over, until a campaign sends them: batch SMTP files (RFC 2442),
//! in a folder of each account. What was kept survives a kill and a power failure.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::kit::file::{self, Draft, PRIVATE};
use crate::mail::Timestamp;
use crate::smtp::batch::looks_like_command;

/// The suffix of a complete file.
const SUFFIX: &str = "bsmtp";

/// A mail with its envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpoolMail<'a> {
    /// The return path.
    pub from: &'a str,
    /// Whom it is for.
    pub recipients: &'a [String],
    /// It has bytes above 127 (RFC 6152).
    pub eight_bit: bool,
    /// It needs international addresses (RFC 6531).
    pub smtp_utf8: bool,
    /// Fields that stand in front of it.
    pub added: &'a [u8],
    /// Header and body, with CRLF at the end of each line.
    pub content: &'a [u8],
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// Accounts whose folder has a name that survives a power failure.
    durable: HashSet<String>,
}

impl Spool {
    /// Opens or makes the folder, for its owner alone.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let there = folder.ancestors().find(|above| above.is_dir()).map(Path::to_owned);
        file::create_private_folders(folder)?;
        for above in folder.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            file::sync_folder(above)?;
            if Some(above) == there.as_deref() {
                break;
            }
        }
        Ok(Self { folder: folder.to_owned(), durable: HashSet::new() })
    }

    /// Keeps mails of an account, in one file. After an error they are not there.
    pub(crate) fn keep(&mut self, account: &str, mails: &[SpoolMail<'_>], now: Timestamp) -> io::Result<()> {
        let folder = self.folder.join(account);
        if !self.durable.contains(account) || !folder.is_dir() {
            file::create_private_folders(&folder)?;
            file::sync_folder(&self.folder)?;
            self.durable.insert(account.to_owned());
        }
        publish(&folder, mails, now)
    }
}

/// Writes a file under the first name that is free. Names are in the order of time.
fn publish(folder: &Path, mails: &[SpoolMail<'_>], now: Timestamp) -> io::Result<()> {
    let mut number = 0_u32;
    loop {
        let target =
            folder.join(format!("{}-{number:04}.{SUFFIX}", now.to_utc().format("%Y%m%dT%H%M%S%6fZ")));
        let mut draft = Draft::unique(&target, PRIVATE)?;
        let mut text = io::BufWriter::new(&mut draft);
        for mail in mails {
            write(&mut text, mail)?;
        }
        text.flush()?;
        drop(text);
        match draft.publish_new() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            published => return published,
        }
    }
}

fn is_end(byte: &u8) -> bool {
    *byte == b'\n'
}

/// One transaction (RFC 2442, RFC 5321 §4.1.1). A dot in front of any line is taken away by whoever
/// reads it (RFC 5321 §4.5.2).
fn write(to: &mut impl Write, mail: &SpoolMail<'_>) -> io::Result<()> {
    let body = if mail.eight_bit { " BODY=8BITMIME" } else { "" };
    let utf8 = if mail.smtp_utf8 { " SMTPUTF8" } else { "" };
    write!(to, "MAIL FROM:<{}>{body}{utf8}\r\n", mail.from)?;
    for recipient in mail.recipients {
        write!(to, "RCPT TO:<{recipient}>\r\n")?;
    }
    to.write_all(b"DATA\r\n")?;
    for line in mail.added.split_inclusive(is_end).chain(mail.content.split_inclusive(is_end)) {
        if line.starts_with(b".") || looks_like_command(line) {
            to.write_all(b".")?;
        }
        to.write_all(line)?;
    }
    if !mail.content.is_empty() && !mail.content.ends_with(b"\n") {
        to.write_all(b"\r\n")?;
    }
    to.write_all(b".\r\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: Timestamp = Timestamp(1_780_000_123_456_789);

    fn mail<'a>(recipients: &'a [String], content: &'a [u8]) -> SpoolMail<'a> {
        let added = b"Date: now\r\n";
        SpoolMail { from: "news@a.example", recipients, eight_bit: true, smtp_utf8: false, added, content }
    }

    #[test]
    fn mails_of_an_account_are_one_file_and_dots_are_stuffed() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&dir.path().join("spool")).unwrap();
        let (one, two) = (["a@x.example".to_owned()], ["b@x.example".to_owned(), "c@x.example".to_owned()]);
        let mails = [
            mail(&one, b"A: b\r\n\r\n.x\r\n..\r\nmail from:<a@b.example>\r\nDatabase\r\n"),
            mail(&two, b"A: b\r\n\r\nno end"),
        ];
        spool.keep("news", &mails, NOW).unwrap();
        spool.keep("shop", &mails[1..], NOW).unwrap();
        spool.keep("shop", &mails[1..], NOW).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join("spool").join(name)).unwrap();
        let begin = "MAIL FROM:<news@a.example> BODY=8BITMIME\r\n";
        let second = format!(
            "{begin}RCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\nDate: now\r\nA: b\r\n\r\nno end\r\n.\r\n"
        );
        assert_eq!(
            read("news/20260528T202843456789Z-0000.bsmtp"),
            format!(
                "{begin}RCPT TO:<a@x.example>\r\nDATA\r\nDate: now\r\nA: b\r\n\r\n..x\r\n...\r\n\
                 .mail from:<a@b.example>\r\n.Database\r\n.\r\n{second}"
            )
        );
        for number in ["0000", "0001"] {
            assert_eq!(read(&format!("shop/20260528T202843456789Z-{number}.bsmtp")), second);
        }
        assert_eq!(fs::read_dir(dir.path().join("spool/shop")).unwrap().count(), 2, "nothing else is left");
    }
}

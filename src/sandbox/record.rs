//! The sandbox's record of accepted messages: a JSON line per message and recipient.
//!
//! One `write` puts the lines of a message into the file before its reply leaves. They survive a
//! kill at any moment, so the record is true whatever happens to client and sandbox. They are not
//! synced, so they may not survive a power failure. A kill can leave a torn line: its message was
//! not answered, and readers ignore it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// A message that was accepted for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in microseconds since 1970 UTC.
    pub at_us: i64,
    /// The queue id in the reply.
    pub queue_id: String,
    /// The number of the connection, from 1 for each sandbox.
    pub connection: u64,
    /// `MAIL FROM`; empty for the null return path.
    pub return_path: String,
    /// `RCPT TO`.
    pub recipient: String,
    /// The field `Message-ID` without angle brackets; empty if there is none.
    pub message_id: String,
    /// The content's size without dot-stuffing.
    pub bytes: u64,
    /// False if the reply was withheld on purpose, such as by `drop-after-dot`.
    pub replied: bool,
}

/// The record that a sandbox writes.
#[derive(Debug)]
pub(super) struct Record(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    /// The file's length up to its last whole line.
    length: u64,
}

impl Record {
    /// Opens or creates the file and removes a torn last line.
    ///
    /// Fails with `WouldBlock` if another sandbox is writing it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another sandbox is writing the record `{}`", path.display()),
            ),
            TryLockError::Error(error) => error,
        })?;
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        Ok(Self(Mutex::new(Inner { file, length })))
    }

    /// Adds entries with one `write`: either all of them are in the file afterwards, or none.
    pub(super) fn add(&self, entries: &[Entry]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(entries.len() * 256);
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = inner.file.write_all(&lines);
        if written.is_err() {
            // A full disk may have accepted a part of a line: the next one must not be appended to
            // it.
            inner.file.set_len(inner.length)?;
            return written;
        }
        inner.length += lines.len() as u64;
        Ok(())
    }
}

/// The length of the file up to its last line end.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 4096;
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        (&*file).take(end - start).read_to_end(&mut block)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads a record, in the order of acceptance, even while it is being written. Ignores a torn last
/// line.
///
/// # Errors
/// `InvalidData` for a complete line that is not an entry; otherwise those of the file.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut entries = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(entries);
        }
        entries.push(serde_json::from_slice(&line).map_err(|error| {
            let place = format!("`{}` line {}: {error}", path.display(), entries.len() + 1);
            io::Error::new(io::ErrorKind::InvalidData, place)
        })?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(recipient: &str) -> Entry {
        Entry {
            at_us: 1_780_000_000_000_000,
            queue_id: "4F2A9C01".to_owned(),
            connection: 3,
            return_path: String::new(),
            recipient: recipient.to_owned(),
            message_id: "1@\"example\"".to_owned(),
            bytes: 17,
            replied: true,
        }
    }

    #[test]
    fn what_is_added_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let record = Record::open(&path).unwrap();
        record.add(&[entry("a@example.com"), entry("b@example.com")]).unwrap();
        record.add(&[entry("ü\n@example.com")]).unwrap();
        let expected = [entry("a@example.com"), entry("b@example.com"), entry("ü\n@example.com")];
        assert_eq!(read(&path).unwrap(), expected);
    }

    #[test]
    fn a_torn_line_is_ignored_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        Record::open(&path).unwrap().add(&[entry("a@example.com"), entry("b@example.com")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let first = memchr::memchr(b'\n', &whole).unwrap() + 1;
        for length in first..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&path).unwrap(), [entry("a@example.com")], "torn at {length}");
            Record::open(&path).unwrap().add(&[entry("c@example.com")]).unwrap();
            assert_eq!(read(&path).unwrap(), [entry("a@example.com"), entry("c@example.com")]);
        }
    }

    #[test]
    fn a_long_torn_line_is_removed_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        Record::open(&path).unwrap().add(&[entry("a@example.com")]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&[b'x'; 10_000]).unwrap();
        drop(Record::open(&path).unwrap());
        assert_eq!(read(&path).unwrap(), [entry("a@example.com")]);
        std::fs::write(&path, [b'x'; 10_000]).unwrap();
        drop(Record::open(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn two_sandboxes_do_not_share_a_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let _first = Record::open(&path).unwrap();
        assert_eq!(Record::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_whole_line_of_something_else_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        std::fs::write(&path, "{}\n").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

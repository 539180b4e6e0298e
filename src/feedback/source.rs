//! Where mails come from: files, mboxes, Maildirs, folders of files, a pipe.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A longer mail is cut here: what a report says comes before the mail that it returns.
pub(crate) const MAIL_BYTES: usize = 16 << 20;
/// A longer line of an mbox is cut too.
const LINE_BYTES: usize = 1 << 20;
/// Folders below folders, this deep.
const DEPTH: usize = 16;
/// So many names of a folder are held, and put in order, at a time.
const NAMES: usize = 100_000;
const BUFFER_BYTES: usize = 64 << 10;

/// Where one mail is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// Which mail of an mbox, from 1; none where the file is one mail.
    pub number: Option<u64>,
}

/// A mail as it was found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Its bytes, without the `From ` line of an mbox.
    pub bytes: &'a [u8],
    /// The rest was longer than what is kept of a mail.
    pub is_cut: bool,
}

/// Mails could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read `{}`", path.display())]
pub struct SourceError {
    path: PathBuf,
    source: io::Error,
}

/// Shows each mail of the paths to `visit`, in the order of the paths and of names. `visit` says
/// whether to go on.
pub fn each_mail(
    paths: &[PathBuf],
    stdin: impl io::Read,
    mut visit: impl FnMut(&Source, Found<'_>) -> bool,
) -> Result<(), SourceError> {
    let mut stdin = Some(stdin);
    for path in paths {
        let failed = |source| SourceError { path: path.clone(), source };
        let goes_on = if path == Path::new("-") {
            let Some(stdin) = stdin.take() else { continue };
            mails(path, stdin, &mut visit).map_err(failed)?
        } else if fs::metadata(path).map_err(failed)?.is_dir() {
            folder(path, DEPTH, &mut visit)?
        } else {
            mails(path, File::open(path).map_err(failed)?, &mut visit).map_err(failed)?
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// A folder: a Maildir with its subfolders (`cur` and `new` of each), or any files.
fn folder(
    path: &Path,
    depth: usize,
    visit: &mut impl FnMut(&Source, Found<'_>) -> bool,
) -> Result<bool, SourceError> {
    let failed = |source| SourceError { path: path.to_owned(), source };
    let mut entries = fs::read_dir(path).map_err(failed)?;
    let is_maildir = path.join("cur").is_dir() && path.join("new").is_dir();
    loop {
        let some = entries.by_ref().take(NAMES).map(|entry| Ok(entry?.file_name()));
        let mut names = some.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        if names.is_empty() {
            return Ok(true);
        }
        names.sort();
        for name in names {
            if !entry(&path.join(&name), &name, is_maildir, depth, visit)? {
                return Ok(false);
            }
        }
    }
}

/// One name in a folder.
fn entry(
    path: &Path,
    name: &OsStr,
    is_in_maildir: bool,
    depth: usize,
    visit: &mut impl FnMut(&Source, Found<'_>) -> bool,
) -> Result<bool, SourceError> {
    // A mail that was moved in the meantime is found where it went, or the next time.
    let Ok(kind) = fs::symlink_metadata(path) else { return Ok(true) };
    if kind.is_dir() {
        // What is in `tmp` is not yet delivered.
        let is_open = depth > 0 && !(is_in_maildir && name == "tmp");
        return if is_open { folder(path, depth - 1, visit) } else { Ok(true) };
    }
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    let is_file = fs::metadata(path).is_ok_and(|target| target.is_file());
    // The files beside `cur` and `new` are those of the mail server.
    if is_hidden || is_in_maildir || !is_file {
        return Ok(true);
    }
    let read = match File::open(path) {
        Ok(file) => mails(path, file, visit),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    };
    read.map_err(|source| SourceError { path: path.to_owned(), source })
}

/// The mails of a file: those of an mbox when it begins as one.
fn mails(
    path: &Path,
    input: impl io::Read,
    visit: &mut impl FnMut(&Source, Found<'_>) -> bool,
) -> io::Result<bool> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let is_mbox = starts_with_from(&mut input)?;
    let mut mail = Vec::new();
    if !is_mbox {
        let is_cut = copy_line(&mut input, &mut mail, None, MAIL_BYTES)?;
        let source = Source { path: path.to_owned(), number: None };
        return Ok(mail.is_empty() || visit(&source, Found { bytes: &mail, is_cut }));
    }
    let mut source = Source { path: path.to_owned(), number: Some(0) };
    let (mut is_cut, mut is_first, mut after_blank) = (false, true, true);
    let mut line = Vec::new();
    loop {
        line.clear();
        let cut_line = copy_line(&mut input, &mut line, Some(b'\n'), LINE_BYTES)?;
        let is_end = line.is_empty();
        if is_end || (after_blank && is_from_line(&line, is_first)) {
            if !is_first {
                source.number = source.number.map(|number| number + 1);
                if !visit(&source, Found { bytes: &mail, is_cut }) {
                    return Ok(false);
                }
            }
            if is_end {
                return Ok(true);
            }
            (is_first, is_cut, after_blank) = (false, false, false);
            mail.clear();
            mail.shrink_to(1 << 20);
            continue;
        }
        after_blank = line.trim_ascii().is_empty();
        is_cut |= cut_line;
        let line = unquoted(&line);
        let room = MAIL_BYTES.saturating_sub(mail.len());
        is_cut |= line.len() > room;
        mail.extend_from_slice(&line[..line.len().min(room)]);
    }
}

fn starts_with_from(input: &mut impl BufRead) -> io::Result<bool> {
    // The buffer is filled by one read, which gives at least the first line of any file.
    Ok(input.fill_buf()?.starts_with(b"From "))
}

/// `From address Thu Apr 29 23:34:45 2015`: an mbox has a time there. A sentence has not.
fn is_from_line(line: &[u8], is_first: bool) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let is_time = |at: usize| {
        let digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
        at >= 2 && digit(at - 2) && digit(at - 1) && digit(at + 1) && digit(at + 2)
    };
    is_first || rest.len() < 500 && memchr::memchr_iter(b':', rest).any(is_time)
}

/// `>From ` in an mbox is `From `.
fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line }
}

/// Appends a line, or all that is left, to `to`, so that it has at most so many bytes; says whether
/// there were more.
fn copy_line(input: &mut impl BufRead, to: &mut Vec<u8>, end: Option<u8>, most: usize) -> io::Result<bool> {
    let mut is_cut = false;
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(is_cut);
        }
        let found = end.and_then(|end| memchr::memchr(end, buffer));
        let length = found.map_or(buffer.len(), |at| at + 1);
        let room = most.saturating_sub(to.len());
        is_cut |= length > room;
        to.extend_from_slice(&buffer[..length.min(room)]);
        input.consume(length);
        if found.is_some() {
            return Ok(is_cut);
        }
    }
}

/// A hash of a mail's content, the same however a mailbox stores it: line ends, blanks at the ends
/// of lines, blank lines at the end and quoted `From ` lines don't count.
pub fn content_hash(bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    // Small pieces are slow to hash: they are gathered.
    let mut gathered: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    let mut blank_lines = 0_usize;
    for line in bytes.trim_ascii_start().split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            blank_lines += 1;
            continue;
        }
        while blank_lines > 0 {
            gathered.push(b'\n');
            blank_lines -= 1;
            flush(&mut hasher, &mut gathered);
        }
        let quotes = line.iter().take_while(|byte| **byte == b'>').count();
        let line = if line[quotes..].starts_with(b"From ") { &line[quotes..] } else { line };
        gathered.extend_from_slice(line);
        gathered.push(b'\n');
        flush(&mut hasher, &mut gathered);
    }
    hasher.update(&gathered);
    hasher.finalize().to_hex()[..32].to_owned()
}

fn flush(hasher: &mut blake3::Hasher, gathered: &mut Vec<u8>) {
    if gathered.len() >= BUFFER_BYTES / 2 {
        hasher.update(gathered);
        gathered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Option<u64>, String)> {
        let mut found = Vec::new();
        let paths = [PathBuf::from("-")];
        each_mail(&paths, text.as_bytes(), |source, mail| {
            found.push((source.number, String::from_utf8(mail.bytes.to_vec()).unwrap()));
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn an_mbox_is_taken_apart() {
        let mbox = "From a Thu Apr 29 23:34:45 2015\nA: b\n\n>From x\n>>From y\nFrom z\n\nFrom here on\n\n\
                    From b Thu Apr 29 23:34:45 2015\nC: d\n";
        let first = "A: b\n\nFrom x\n>From y\nFrom z\n\nFrom here on\n\n";
        assert_eq!(read(mbox), [(Some(1), first.to_owned()), (Some(2), "C: d\n".to_owned())]);
    }

    #[test]
    fn one_mail_is_one() {
        assert_eq!(read("A: b\n\nFrom b Thu Apr 29 23:34:45 2015\n").len(), 1);
        assert_eq!(read(""), []);
        assert_eq!(read("From a\n"), [(Some(1), String::new())]);
    }

    #[test]
    fn long_mails_are_cut_in_bounded_memory() {
        let sizes = |text: &str| {
            let mut sizes = None;
            each_mail(&[PathBuf::from("-")], text.as_bytes(), |_, mail| {
                sizes = Some((mail.bytes.len(), mail.is_cut));
                true
            })
            .unwrap();
            sizes
        };
        let from = "From a 12:00\n";
        assert_eq!(sizes(&"x".repeat(MAIL_BYTES + 10)), Some((MAIL_BYTES, true)));
        assert_eq!(sizes(&format!("{from}{}", "x".repeat(LINE_BYTES + 10))), Some((LINE_BYTES, true)));
        let lines = format!("{from}{}", "x\n".repeat(MAIL_BYTES / 2 + 10));
        assert_eq!(sizes(&lines), Some((MAIL_BYTES, true)));
    }

    #[test]
    fn a_maildir_with_subfolders() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "A: b\n").unwrap();
        };
        for path in [
            "cur/1:2,S",
            "new/2",
            "tmp/3",
            "dovecot-uidlist",
            ".Sub/cur/4",
            ".Sub/new/5",
            ".Sub/tmp/6",
            ".hidden",
        ] {
            put(path);
        }
        let mut seen = Vec::new();
        each_mail(&[dir.path().to_owned()], io::empty(), |source, _| {
            seen.push(source.path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned());
            true
        })
        .unwrap();
        assert_eq!(seen, [".Sub/cur/4", ".Sub/new/5", "cur/1:2,S", "new/2"]);
    }

    #[test]
    fn the_hash_is_that_of_the_content() {
        let hash = content_hash(b"A: b\n\nFrom x\n y \n\n");
        for same in ["A: b\r\n\r\n>From x\r\n y\r\n", "A: b  \n\n>>From x\n y", "\nA: b\n\nFrom x\n y\n\n\n"]
        {
            assert_eq!(content_hash(same.as_bytes()), hash, "{same:?}");
        }
        assert_ne!(content_hash(b"A: b\n\nFrom x\n\n y"), hash);
        assert_eq!(hash.len(), 32);
    }
}

//! From a CSV file's bytes to UTF-8, as a stream in constant memory.
//!
//! A byte order mark decides first, then the campaign file, then samples from all over the file.
//! Undecodable input is never replaced with something that looks like text: it becomes [`BROKEN`],
//! which is never part of UTF-8, so that its row is detected.

use std::io::{self, Read, Seek, SeekFrom};

use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::campaign::Encoding;

/// Replaces input that can't be decoded.
const BROKEN: u8 = 0xff;

/// How much of a file's start is examined.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// How many raw bytes are read at once.
const RAW_BYTES: usize = 64 * 1024;

/// Besides the head, this many samples decide between UTF-8 and Windows-1252.
const SAMPLES: u64 = 15;
const SAMPLE_BYTES: usize = 64 * 1024;

/// The encoding that a byte order mark at the start of `head` announces, and the mark's length.
pub(super) fn mark(head: &[u8]) -> Option<(Encoding, u64)> {
    match head {
        [0xef, 0xbb, 0xbf, ..] => Some((Encoding::Utf8, 3)),
        [0xff, 0xfe, ..] => Some((Encoding::Utf16Le, 2)),
        [0xfe, 0xff, ..] => Some((Encoding::Utf16Be, 2)),
        _ => None,
    }
}

/// True for UTF-16 without a mark: see [`utf16`].
pub(super) fn looks_like_utf16(head: &[u8]) -> bool {
    utf16(head).is_some()
}

/// In UTF-16 every second byte of Western text is NUL, always on the same side.
fn utf16(head: &[u8]) -> Option<Encoding> {
    let pairs = head.len() / 2;
    let nuls = |side: usize| head.iter().skip(side).step_by(2).filter(|&&byte| byte == 0).count();
    let (first, second) = (nuls(0), nuls(1));
    let clear = |many: usize, few: usize| many * 5 > pairs && few * 20 < many;
    if pairs == 0 {
        None
    } else if clear(second, first) {
        Some(Encoding::Utf16Le)
    } else if clear(first, second) {
        Some(Encoding::Utf16Be)
    } else {
        None
    }
}

/// The encoding of `file` and the length of its mark.
pub(super) fn detect(
    file: &mut (impl Read + Seek),
    bytes: u64,
    head: &[u8],
    declared: Option<Encoding>,
) -> io::Result<(Encoding, u64)> {
    if let Some(found) = mark(head) {
        return Ok(found);
    }
    if let Some(encoding) = declared.or_else(|| utf16(head)) {
        return Ok((encoding, 0));
    }
    let mut evidence = Evidence::default();
    let head_bytes = head.len() as u64;
    evidence.add(head, head_bytes == bytes);
    if bytes > head_bytes {
        let mut sample = vec![0; SAMPLE_BYTES];
        let rest = bytes - head_bytes;
        for index in 0..SAMPLES {
            let at = (head_bytes + rest * index / SAMPLES).min(bytes.saturating_sub(SAMPLE_BYTES as u64));
            file.seek(SeekFrom::Start(at))?;
            let length = read_full(file, &mut sample)?;
            // A sample may start inside a character.
            let inside = sample[..length].iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80).count();
            evidence.add(&sample[inside..length], at + length as u64 == bytes);
        }
    }
    Ok((evidence.decides(), 0))
}

/// Reads until `buffer` is full or the file ends.
pub(super) fn read_full(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The evidence for and against UTF-8.
#[derive(Default)]
struct Evidence {
    characters: usize,
    broken: usize,
}

impl Evidence {
    fn add(&mut self, sample: &[u8], ends_the_file: bool) {
        let mut chunks = sample.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_ascii() {
                self.characters += chunk.valid().bytes().filter(|byte| byte & 0xc0 == 0xc0).count();
            }
            // The end of a sample may be truncated.
            if !chunk.invalid().is_empty() && (ends_the_file || chunks.peek().is_some()) {
                self.broken += 1;
            }
        }
    }

    /// Windows-1252 text hardly ever holds a valid UTF-8 sequence, so a few of them outweigh as
    /// many broken bytes: such a file is UTF-8 with some broken rows.
    fn decides(&self) -> Encoding {
        if self.broken > self.characters { Encoding::Windows1252 } else { Encoding::Utf8 }
    }
}

/// A file's text in UTF-8.
pub(super) struct Text<R> {
    file: R,
    /// None for UTF-8, which is passed through and checked when columns are built.
    decoding: Option<Decoding>,
}

struct Decoding {
    decoder: Decoder,
    raw: Vec<u8>,
    at: usize,
    filled: usize,
    ended: bool,
    finished: bool,
}

impl<R: Read> Text<R> {
    /// `file` is positioned after the byte order mark.
    pub(super) fn new(file: R, encoding: Encoding) -> Self {
        let table = match encoding {
            Encoding::Utf8 => None,
            Encoding::Utf16Le => Some(UTF_16LE),
            Encoding::Utf16Be => Some(UTF_16BE),
            Encoding::Windows1252 => Some(WINDOWS_1252),
        };
        let decoding = table.map(|table| Decoding {
            decoder: table.new_decoder_without_bom_handling(),
            raw: vec![0; RAW_BYTES],
            at: 0,
            filled: 0,
            ended: false,
            finished: false,
        });
        Self { file, decoding }
    }
}

impl<R: Read> Read for Text<R> {
    /// `out` should have room for many characters; with fewer than four bytes nothing can be
    /// decoded.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(decoding) = &mut self.decoding else { return self.file.read(out) };
        debug_assert!(out.len() > 4, "no room for a character and a broken one");
        while !decoding.finished {
            if decoding.at == decoding.filled && !decoding.ended {
                decoding.at = 0;
                decoding.filled = self.file.read(&mut decoding.raw)?;
                decoding.ended = decoding.filled == 0;
            }
            let written = decoding.decode(out);
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

impl Decoding {
    fn decode(&mut self, out: &mut [u8]) -> usize {
        let room = out.len() - 1;
        let raw = &self.raw[self.at..self.filled];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(raw, &mut out[..room], self.ended);
        self.at += read;
        match result {
            DecoderResult::InputEmpty => {
                self.finished = self.ended;
                written
            }
            DecoderResult::OutputFull => written,
            DecoderResult::Malformed(..) => {
                out[written] = BROKEN;
                written + 1
            }
        }
    }
}

/// The first bytes of a file.
pub(super) fn head(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    file.seek(SeekFrom::Start(0))?;
    let length = read_full(file, &mut head)?;
    head.truncate(length);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut text = Text::new(bytes, encoding);
        let mut out = Vec::new();
        let mut buffer = [0; 7];
        loop {
            let count = text.read(&mut buffer).unwrap();
            if count == 0 {
                return out;
            }
            out.extend_from_slice(&buffer[..count]);
        }
    }

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn utf16be(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn text_decodes_in_small_steps() {
        let text = "Zoë;Müller;😀;日本\r\n".repeat(20);
        assert_eq!(decoded(&utf16le(&text), Encoding::Utf16Le), text.as_bytes());
        assert_eq!(decoded(&utf16be(&text), Encoding::Utf16Be), text.as_bytes());
        assert_eq!(decoded(text.as_bytes(), Encoding::Utf8), text.as_bytes());
        assert_eq!(decoded(b"Zo\xeb \x80", Encoding::Windows1252), "Zoë €".as_bytes());
    }

    #[test]
    fn what_does_not_decode_is_no_text() {
        let mut bytes = utf16le("ab");
        bytes.extend([0x00, 0xd8]); // half of a surrogate pair
        bytes.extend(utf16le("cd"));
        bytes.push(b'x'); // half of a unit
        assert_eq!(decoded(&bytes, Encoding::Utf16Le), b"ab\xffcd\xff");
    }

    #[test]
    fn the_encoding_is_found() {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
            file
        };
        let check = |bytes: &[u8], declared, expected| {
            let mut file = file(bytes);
            let head = head(&mut file).unwrap();
            let found = detect(&mut file, bytes.len() as u64, &head, declared).unwrap();
            assert_eq!(found, expected, "{:?}", bytes[..bytes.len().min(40)].escape_ascii().to_string());
        };
        check(b"email\n", None, (Encoding::Utf8, 0));
        check("Zoë".as_bytes(), None, (Encoding::Utf8, 0));
        check(b"\xef\xbb\xbfemail\n", Some(Encoding::Windows1252), (Encoding::Utf8, 3));
        check(b"\xff\xfee\0", None, (Encoding::Utf16Le, 2));
        check(b"\xfe\xff\0e", None, (Encoding::Utf16Be, 2));
        check(&utf16le("email;name\nbob@example.com;Bob\n"), None, (Encoding::Utf16Le, 0));
        check(&utf16be("email;name\nbob@example.com;Bob\n"), None, (Encoding::Utf16Be, 0));
        check(b"email\nZo\xeb,\n", None, (Encoding::Windows1252, 0));
        check(b"email\nZo\xeb", None, (Encoding::Windows1252, 0));
        check(b"email\nZo\xeb,\n", Some(Encoding::Utf8), (Encoding::Utf8, 0));
        // One broken row does not garble the rest.
        check(
            "Zoë\nMüller\nJosé\nZo".bytes().chain([0xeb, b'\n']).collect::<Vec<_>>().as_slice(),
            None,
            (Encoding::Utf8, 0),
        );
        // The first accent may come late.
        let mut late = b"plain,ascii\n".repeat(100_000);
        late.extend(b"Zo\xeb,x\n".repeat(30_000));
        check(&late, None, (Encoding::Windows1252, 0));
        // A sample may begin and end inside a character.
        check("日本語".repeat(200_000).as_bytes(), None, (Encoding::Utf8, 0));
    }
}

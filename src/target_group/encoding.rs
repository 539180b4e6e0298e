//! From a CSV file's bytes to UTF-8, as a stream in constant memory.
//!
//! A byte order mark decides first, then the campaign file, then samples from all over the file.
//! Where they leave it open, nothing is guessed. Undecodable input is never replaced with something
//! that looks like text: it becomes [`BROKEN`], which is never part of UTF-8, so that its row is
//! detected.

use std::io::{self, Read, Seek, SeekFrom};

use encoding_rs::{Decoder, DecoderResult};

use super::error::TargetGroupError;
use super::guess::{self, Unsure};
use super::reading::Known;
use super::utf7;
use crate::campaign::{Encoding, NamedIn};

/// Replaces input that can't be decoded.
const BROKEN: u8 = 0xff;

/// How much of a file's start is examined.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// How many raw bytes are read at once.
const RAW_BYTES: usize = 64 * 1024;

/// Besides the head, at most this many samples decide on the encoding: in a short file, fewer are
/// all of it.
const SAMPLES: u64 = 15;
const SAMPLE_BYTES: usize = 64 * 1024;
/// Of each sample, so many bytes of lines beyond ASCII are evidence.
const EVIDENCE_BYTES: usize = 4 * 1024;

/// The encoding that a byte order mark at the start of `head` announces, and the mark's length.
pub(super) fn mark(head: &[u8]) -> Option<(Encoding, u64)> {
    match head {
        [0xef, 0xbb, 0xbf, ..] => Some((Encoding::UTF_8, 3)),
        [0xff, 0xfe, ..] => Some((Encoding::UTF_16LE, 2)),
        [0xfe, 0xff, ..] => Some((Encoding::UTF_16BE, 2)),
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
        Some(Encoding::UTF_16LE)
    } else if clear(first, second) {
        Some(Encoding::UTF_16BE)
    } else {
        None
    }
}

/// What is known of a file's encoding.
#[derive(Debug)]
pub(super) struct Detected {
    pub encoding: Encoding,
    pub known: Known,
    /// The length of the byte order mark.
    pub mark_bytes: u64,
    /// Lines from all over the file with bytes beyond ASCII, as they are; none for UTF-16.
    lines: Vec<u8>,
}

impl Detected {
    /// Some of the lines with characters beyond ASCII.
    pub(super) fn lines(&self) -> String {
        self.encoding.table().decode_with_bom_removal(&self.lines).0.into_owned()
    }
}

/// Detects the encoding of `file`, which has `bytes` bytes.
pub(super) fn detect(
    file: &mut (impl Read + Seek),
    bytes: u64,
    head: &[u8],
    declared: Option<Encoding>,
    named_in: NamedIn,
) -> Result<Detected, TargetGroupError> {
    let told = mark(head).map(|(encoding, mark_bytes)| (encoding, Known::Mark, mark_bytes));
    let told = told.or(declared.map(|encoding| (encoding, Known::Named, 0)));
    let told = told.or(utf16(head).map(|encoding| (encoding, Known::Detected, 0)));
    if let Some((encoding, known, mark_bytes)) = told
        && [Encoding::UTF_16LE, Encoding::UTF_16BE].contains(&encoding)
    {
        return Ok(Detected { encoding, known, mark_bytes, lines: Vec::new() });
    }
    let evidence = Evidence::of_file(file, bytes, head)
        .map_err(|error| TargetGroupError::new("can't read the file").caused_by(error))?;
    let lines = evidence.lines;
    if let Some((encoding, known, mark_bytes)) = told {
        return Ok(Detected { encoding, known, mark_bytes, lines });
    }
    let encoding = if evidence.broken > evidence.characters {
        let table = guess::guess(&lines).map_err(|unsure| cant_tell(&unsure, named_in))?;
        Encoding::of(table)
    } else if lines.is_empty() && guess::is_iso_2022_jp(&evidence.escaped) {
        Encoding::of(encoding_rs::ISO_2022_JP)
    } else if lines.is_empty()
        && let Some(text) = evidence.utf7
    {
        return Err(TargetGroupError::new(format!("the file seems to be UTF-7: it holds `{text}`")).hint(
            name_it(named_in, "write it in UTF-8; if it is plain text, say so: `encoding = \"utf-8\"`"),
        ));
    } else {
        Encoding::UTF_8
    };
    Ok(Detected { encoding, known: Known::Detected, mark_bytes: 0, lines })
}

/// The text makes sense in several encodings, or in none.
fn cant_tell(unsure: &Unsure, named_in: NamedIn) -> TargetGroupError {
    let readings: Vec<String> = (unsure.readings.iter())
        .map(|(table, text)| format!("`{text}` in {}", Encoding::of(table).name()))
        .collect();
    let problem = match readings.as_slice() {
        [] => "the file's encoding can't be told: it is not UTF-8".to_owned(),
        readings => format!("the file's encoding can't be told: it reads {}", readings.join(", ")),
    };
    let name = "name it in [target-group], such as `encoding = \"windows-1252\"`, or write the file in UTF-8";
    TargetGroupError::new(problem).hint(name_it(named_in, name))
}

fn name_it(named_in: NamedIn, in_campaign: &'static str) -> &'static str {
    match named_in {
        NamedIn::Campaign => in_campaign,
        NamedIn::CommandLine => "write the file in UTF-8",
    }
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

/// The evidence for and against UTF-8, and for other encodings.
#[derive(Default)]
struct Evidence {
    characters: usize,
    broken: usize,
    /// Lines beyond ASCII.
    lines: Vec<u8>,
    /// Lines of ASCII with an escape in them.
    escaped: Vec<u8>,
    /// A word that UTF-7 would write like this.
    utf7: Option<String>,
}

impl Evidence {
    fn of_file(file: &mut (impl Read + Seek), bytes: u64, head: &[u8]) -> io::Result<Self> {
        let mut evidence = Self::default();
        let head_bytes = head.len() as u64;
        evidence.add(head, true, head_bytes == bytes);
        if bytes > head_bytes {
            let mut sample = vec![0; SAMPLE_BYTES];
            let rest = bytes - head_bytes;
            let samples = SAMPLES.min(rest.div_ceil(SAMPLE_BYTES as u64));
            for index in 0..samples {
                let at = (head_bytes + rest * index / samples).min(bytes.saturating_sub(SAMPLE_BYTES as u64));
                file.seek(SeekFrom::Start(at))?;
                let length = read_full(file, &mut sample)?;
                // A sample may start inside a character.
                let inside = sample[..length].iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80).count();
                evidence.add(&sample[inside..length], false, at + length as u64 == bytes);
            }
        }
        Ok(evidence)
    }

    fn add(&mut self, sample: &[u8], begins: bool, ends_the_file: bool) {
        match std::str::from_utf8(sample) {
            Ok(text) => self.count(text),
            Err(_) => self.add_broken(sample, ends_the_file),
        }
        self.keep_lines(sample, begins, ends_the_file);
    }

    fn add_broken(&mut self, sample: &[u8], ends_the_file: bool) {
        let mut chunks = sample.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.count(chunk.valid());
            // The end of a sample may be truncated.
            if !chunk.invalid().is_empty() && (ends_the_file || chunks.peek().is_some()) {
                self.broken += 1;
            }
        }
    }

    fn count(&mut self, text: &str) {
        if !text.is_ascii() {
            self.characters += text.bytes().filter(|byte| byte & 0xc0 == 0xc0).count();
        }
    }

    /// Keeps lines that tell something. In no encoding is a line end part of another character.
    fn keep_lines(&mut self, mut sample: &[u8], begins: bool, ends_the_file: bool) {
        // The first and the last one may be parts of lines, cut inside a character.
        let first_end = memchr::memchr2(b'\n', b'\r', sample);
        let last_end = memchr::memrchr2(b'\n', b'\r', sample);
        if let (Some(first), Some(last)) = (first_end, last_end) {
            if first < last && !ends_the_file {
                sample = &sample[..last];
            }
            if !begins {
                sample = &sample[first + 1..];
            }
        }
        let tells = |line: &[u8]| !line.is_ascii() || memchr::memchr2(0x1b, b'+', line).is_some();
        if !tells(sample) {
            return;
        }
        let (mut kept, mut escaped) = (0, 0);
        for line in sample.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| tells(line)) {
            if !line.is_ascii() {
                let line = &line[..line.len().min(EVIDENCE_BYTES)];
                if kept < EVIDENCE_BYTES {
                    self.lines.extend_from_slice(line);
                    self.lines.push(b'\n');
                }
                kept += line.len();
            } else if escaped < EVIDENCE_BYTES && line.contains(&0x1b) {
                self.escaped.extend_from_slice(line);
                self.escaped.push(b'\n');
                escaped += line.len();
            } else if self.utf7.is_none() && line.contains(&b'+') {
                self.utf7 = utf7::word(line);
            }
        }
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
        let decoding = (encoding != Encoding::UTF_8).then(|| Decoding {
            decoder: encoding.table().new_decoder_without_bom_handling(),
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

    const CP1252: fn() -> Encoding = || Encoding::of(encoding_rs::WINDOWS_1252);

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
        assert_eq!(decoded(&utf16le(&text), Encoding::UTF_16LE), text.as_bytes());
        assert_eq!(decoded(&utf16be(&text), Encoding::UTF_16BE), text.as_bytes());
        assert_eq!(decoded(text.as_bytes(), Encoding::UTF_8), text.as_bytes());
        assert_eq!(decoded(b"Zo\xeb \x80", CP1252()), "Zoë €".as_bytes());
    }

    #[test]
    fn what_does_not_decode_is_no_text() {
        let mut bytes = utf16le("ab");
        bytes.extend([0x00, 0xd8]); // half of a surrogate pair
        bytes.extend(utf16le("cd"));
        bytes.push(b'x'); // half of a unit
        assert_eq!(decoded(&bytes, Encoding::UTF_16LE), b"ab\xffcd\xff");
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
            let found = detect(&mut file, bytes.len() as u64, &head, declared, NamedIn::Campaign).unwrap();
            assert_eq!(
                (found.encoding, found.mark_bytes),
                expected,
                "{:?}",
                bytes[..bytes.len().min(40)].escape_ascii().to_string()
            );
        };
        check(b"email\n", None, (Encoding::UTF_8, 0));
        check("Zoë".as_bytes(), None, (Encoding::UTF_8, 0));
        check(b"\xef\xbb\xbfemail\n", Some(CP1252()), (Encoding::UTF_8, 3));
        check(b"\xff\xfee\0", None, (Encoding::UTF_16LE, 2));
        check(b"\xfe\xff\0e", None, (Encoding::UTF_16BE, 2));
        check(&utf16le("email;name\nbob@example.com;Bob\n"), None, (Encoding::UTF_16LE, 0));
        check(&utf16be("email;name\nbob@example.com;Bob\n"), None, (Encoding::UTF_16BE, 0));
        check(b"email\nZo\xeb,\n", None, (CP1252(), 0));
        check(b"email\nZo\xeb", None, (CP1252(), 0));
        check(b"email\nZo\xeb,\n", Some(Encoding::UTF_8), (Encoding::UTF_8, 0));
        // One broken row does not garble the rest.
        check(
            "Zoë\nMüller\nJosé\nZo".bytes().chain([0xeb, b'\n']).collect::<Vec<_>>().as_slice(),
            None,
            (Encoding::UTF_8, 0),
        );
        // The first accent may come late.
        let mut late = b"plain,ascii\n".repeat(100_000);
        late.extend(b"Zo\xeb,x\n".repeat(30_000));
        check(&late, None, (CP1252(), 0));
        // A sample may begin and end inside a character.
        check("日本語".repeat(200_000).as_bytes(), None, (Encoding::UTF_8, 0));
    }
}

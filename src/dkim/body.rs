//! The body hash: relaxed canonicalisation (RFC 6376 §3.4.4) straight into SHA-256, over segments,
//! without a copy.
//!
//! Runs that the canonical form leaves as they are (all of a base64 attachment) go to the digest as
//! they are.

use bytes::Bytes;
use ring::digest::{Context, SHA256};

/// SHA-256 of the relaxed form of a body.
pub(super) fn hash(segments: &[Bytes]) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    canonicalize(segments, |bytes| digest.update(bytes));
    digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Passes the relaxed form of a body to `out`, piece by piece.
fn canonicalize(segments: &[Bytes], mut out: impl FnMut(&[u8])) {
    let mut relaxed = Relaxed::default();
    for segment in segments {
        relaxed.write(segment, &mut out);
    }
    relaxed.finish(&mut out);
}

/// What has been read and not yet written, because what comes next decides whether it counts.
#[derive(Debug, Default)]
struct Relaxed {
    /// A CR whose LF may be the next byte.
    carriage_return: bool,
    /// Line ends since the last other character: they vanish at the end of the body.
    line_ends: usize,
    /// White space since the last line end or other character: one space, or nothing at the end of
    /// a line.
    space: bool,
    /// Something has been written.
    started: bool,
}

impl Relaxed {
    fn write(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.carriage_return {
                self.carriage_return = false;
                if byte == b'\n' {
                    self.line_ends += 1;
                    self.space = false;
                    at += 1;
                    continue;
                }
                self.lone_carriage_return(out);
            }
            match byte {
                b'\r' => {
                    self.carriage_return = true;
                    at += 1;
                }
                b' ' | b'\t' => {
                    self.space = true;
                    at += 1;
                }
                _ => {
                    self.flush(out);
                    let end = at + plain_run(&bytes[at..]);
                    out(&bytes[at..end]);
                    at = end;
                }
            }
        }
    }

    fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        if self.carriage_return {
            self.lone_carriage_return(out);
        }
        // The empty lines at the end are one line end; a body of nothing else is empty.
        if self.started {
            out(b"\r\n");
        }
    }

    /// A CR without LF is an ordinary character. Composed messages have none.
    fn lone_carriage_return(&mut self, out: &mut impl FnMut(&[u8])) {
        self.flush(out);
        out(b"\r");
    }

    fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        for _ in 0..self.line_ends {
            out(b"\r\n");
        }
        if self.space {
            out(b" ");
        }
        self.line_ends = 0;
        self.space = false;
        self.started = true;
    }
}

/// How many bytes of `bytes`, whose first one is no white space, are their own canonical form:
/// single spaces between words and line ends without white space around them belong to it.
fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = find_unplain(&bytes[at.min(bytes.len())..]) {
        at += found;
        match &bytes[at..] {
            [b'\r', b'\n', next, ..] if *next > b' ' => at += 3,
            [b' ', next, ..] if *next > b' ' => at += 2,
            [b' ' | b'\t' | b'\r', ..] => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The first byte that may not be plain, eight bytes at a time: a tab, or one at or below 0x20
/// before another such or at the end. A single space between words, which is most of the white
/// space of a text, is skipped.
fn find_unplain(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // A borrow can mark bytes above a true hit only: what is found first is looked at, and may be
    // nothing.
    let low = |word: u64| word.wrapping_sub(ONES * 0x21) & !word & HIGH;
    let tab = |word: u64| {
        let word = word ^ (ONES * 0x09);
        word.wrapping_sub(ONES) & !word & HIGH
    };
    let mut at = 0;
    while let Some(nine) = bytes[at..].first_chunk::<9>() {
        let word = u64::from_le_bytes(*nine.first_chunk().expect("nine bytes begin with eight"));
        let after = u64::from_le_bytes(*nine.last_chunk().expect("nine bytes end with eight"));
        let hits = (low(word) & low(after)) | tab(word);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(|&byte| byte <= b' ').map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn relaxed(segments: &[&[u8]]) -> Vec<u8> {
        let segments: Vec<Bytes> = segments.iter().map(|s| Bytes::copy_from_slice(s)).collect();
        let mut out = Vec::new();
        canonicalize(&segments, |bytes| out.extend_from_slice(bytes));
        out
    }

    /// RFC 6376 §3.4.4 as it is written, line by line.
    fn by_the_letter(body: &[u8]) -> Vec<u8> {
        let text: Vec<char> = body.iter().map(|&b| char::from(b)).collect();
        let text: String = text.into_iter().collect();
        let mut lines: Vec<String> = text
            .split("\r\n")
            .map(|line| {
                let mut out = String::new();
                for c in line.chars() {
                    let space = c == ' ' || c == '\t';
                    if !(space && out.ends_with(' ')) {
                        out.push(if space { ' ' } else { c });
                    }
                }
                out.trim_end_matches(' ').to_owned()
            })
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.iter().flat_map(|line| line.chars().map(|c| c as u8).chain(*b"\r\n")).collect()
    }

    #[test]
    fn shapes_of_bodies() {
        let check = |body: &str, canonical: &str| {
            assert_eq!(String::from_utf8(relaxed(&[body.as_bytes()])).unwrap(), canonical, "{body:?}");
        };
        check("", "");
        check("\r\n\r\n", "");
        check(" \t\r\n \r\n", "");
        check("Hello", "Hello\r\n");
        check("Hello\r\n \t\r\n \r\n", "Hello\r\n");
        check(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
        check("..dot\r\n.\r\n", "..dot\r\n.\r\n");
        check("a\rb\nc", "a\rb\nc\r\n");
        check("a\r", "a\r\r\n");
        check("a\r\n\r\n  b", "a\r\n\r\n b\r\n");
    }

    #[test]
    fn the_hash_of_rfc_8463() {
        let body = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
        use base64::prelude::{BASE64_STANDARD, Engine};
        assert_eq!(
            BASE64_STANDARD.encode(hash(&[Bytes::from_static(body.as_bytes())])),
            "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
        );
    }

    proptest! {
        #[test]
        fn any_body_in_any_segments(
            body in prop::collection::vec(prop::sample::select(b" \t\r\nab=.\xc3".to_vec()), 0..120),
            cuts in prop::collection::vec(0_usize..120, 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let segments: Vec<&[u8]> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            prop_assert_eq!(relaxed(&segments), by_the_letter(&body));
        }

        #[test]
        fn long_plain_runs(words in prop::collection::vec("[a-z]{1,20}( |\r\n|  |\r\n\r\n)?", 0..60)) {
            let body = words.concat();
            prop_assert_eq!(relaxed(&[body.as_bytes()]), by_the_letter(body.as_bytes()));
        }
    }
}

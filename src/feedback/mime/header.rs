//! A header: its fields, unfolded.

use std::borrow::Cow;

use super::words;

/// More fields than this are not kept.
const FIELDS: usize = 2_000;
/// Longer fields are cut: their rest is never looked at.
const FIELD_BYTES: usize = 16 << 10;
/// A header ends here at the latest.
const HEADER_BYTES: usize = 256 << 10;

/// The fields of a header (RFC 5322 §2.2), in order.
#[derive(Debug, Default)]
pub(crate) struct Header<'a> {
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Header<'a> {
    /// Reads a header; returns it with the offset of the body. A first line that is no field means
    /// that there is no header, a later one that the body begins there, without an empty line.
    pub(crate) fn read(bytes: &'a [u8]) -> (Self, usize) {
        let bytes = &bytes[..bytes.len().min(HEADER_BYTES)];
        let mut header = Self::default();
        let mut at = 0;
        // Where the value of the last field starts; the value ends where the next field begins.
        let mut open: Option<(&'a [u8], usize)> = None;
        while at < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length + 1);
            let line = trim_end(&bytes[at..end]);
            let is_blank = line.is_empty();
            if is_blank {
                header.close(bytes, open, at);
                return (header, end);
            }
            let unfolded_parameter = |value: usize| trim_end(&bytes[value..at]).ends_with(b";");
            match (field_name(line), open) {
                _ if matches!(line[0], b' ' | b'\t') && open.is_some() => {}
                (Some(name), _) => {
                    header.close(bytes, open, at);
                    open = Some((name, at + name.len()));
                }
                // The `From ` line of an mbox, quoted or not, inside of what was returned.
                (None, None) if line.starts_with(b"From ") || line.starts_with(b">From ") => {}
                // A parameter on a line that should have been folded.
                (None, Some((_, value))) if unfolded_parameter(value) && line.contains(&b'=') => {}
                (None, _) => {
                    header.close(bytes, open, at);
                    let body = if header.fields.is_empty() { 0 } else { at };
                    return (header, body);
                }
            }
            at = end;
        }
        header.close(bytes, open, at);
        (header, at)
    }

    fn close(&mut self, bytes: &'a [u8], open: Option<(&'a [u8], usize)>, end: usize) {
        let Some((name, start)) = open else { return };
        if self.fields.len() < FIELDS {
            let value = &bytes[start..end.min(start + FIELD_BYTES)];
            let colon = memchr::memchr(b':', value).map_or(0, |at| at + 1);
            self.fields.push((name, value[colon..].trim_ascii()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether it has such a field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Takes it apart where one of these names comes again: some write groups of fields without a
    /// blank line between them.
    pub(crate) fn groups(self, names: &[&str]) -> Vec<Self> {
        let is_name = |field: &[u8], name: &str| field.eq_ignore_ascii_case(name.as_bytes());
        let mut groups = vec![Self::default()];
        for field in self.fields {
            let group = groups.last_mut().expect("there is one from the start");
            let repeats = names.iter().any(|name| is_name(field.0, name) && group.has(name));
            if repeats {
                groups.push(Self { fields: vec![field] });
            } else {
                group.fields.push(field);
            }
        }
        groups
    }

    /// The values of all fields of this name, unfolded; encoded words stay.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let named = move |field: &&(&'a [u8], &'a [u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|(_, value)| unfold(value))
    }

    /// The value of the first field of this name, unfolded; encoded words stay.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// The value of the first field of this name as people read it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| words::decode(&value))
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

/// The name of the field that begins on this line: RFC 5322 §2.2, with blanks before the colon
/// (RFC 5322 §4.5).
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', &line[..line.len().min(80)])?;
    let name = line[..colon].trim_ascii_end();
    (!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic())).then_some(name)
}

fn unfold(value: &[u8]) -> Cow<'_, str> {
    let text = match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|&byte| char::from(byte)).collect()),
    };
    if !text.contains(['\r', '\n']) {
        return text;
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Cow::Owned(lines.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded_and_the_body_found() {
        let bytes = b"From: a\r\nTO : b,\r\n c\r\nSubject: =?utf-8?q?=C3=BC?=\r\n\r\nbody";
        let (header, body) = Header::read(bytes);
        assert_eq!(header.get("to").unwrap(), "b, c");
        assert_eq!(header.text("subject").unwrap(), "ü");
        assert!(header.has("FROM") && !header.has("cc"));
        assert_eq!(&bytes[body..], b"body");
    }

    #[test]
    fn headers_that_are_broken() {
        let check = |bytes: &str, fields: usize, rest: &str| {
            let (header, body) = Header::read(bytes.as_bytes());
            assert_eq!((header.fields.len(), &bytes[body..]), (fields, rest), "{bytes:?}");
        };
        check("", 0, "");
        check("no field\nA: b\n\n", 0, "no field\nA: b\n\n");
        check("A: b\nno field\n", 1, "no field\n");
        check("From x Thu\nA: b\n\nc", 1, "c");
        check("T: multipart/mixed;\nboundary=x\n\nc", 1, "c");
        check(" folded first\nA: b\n\n", 0, " folded first\nA: b\n\n");
        check("A: b", 1, "");
    }
}

//! The objects of a file with JSON: one a line, laid out over lines, or in arrays of any size. One
//! that is broken costs itself, not the rest of the file.

use std::io::{self, BufRead, BufReader, Read};

/// A longer object is not read.
const OBJECT_BYTES: usize = 2 << 20;
/// More arrays and objects in one another are not read.
const DEPTH: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;

/// Shows the text of each object of `input` to `visit`, with the line where it begins, or why there
/// is none at a line. `visit` says whether to go on.
pub(super) fn each_object(
    input: impl Read,
    mut visit: impl FnMut(u64, Result<&[u8], &'static str>) -> bool,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut splitter = Splitter { line: 1, ..Splitter::default() };
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            break;
        }
        for byte in buffer {
            if !splitter.take(*byte, &mut visit) {
                return Ok(());
            }
        }
        let length = buffer.len();
        input.consume(length);
    }
    if !splitter.open.is_empty() {
        visit(splitter.start, Err(NO_END));
    }
    Ok(())
}

const NO_END: &str = "the object does not end";

/// Where in the file we are.
#[derive(Debug, Default)]
struct Splitter {
    line: u64,
    /// The rest of the line is no JSON.
    skips_line: bool,
    /// The object so far,
    text: Vec<u8>,
    /// where it began,
    start: u64,
    /// and the brackets that are open in it; none outside of an object.
    open: Vec<u8>,
    is_in_string: bool,
    is_escaped: bool,
    /// The last byte that was no blank.
    before: u8,
}

impl Splitter {
    /// Takes the next byte. False when `visit` wants no more.
    fn take(&mut self, byte: u8, visit: &mut impl FnMut(u64, Result<&[u8], &'static str>) -> bool) -> bool {
        let line = self.line;
        self.line += u64::from(byte == b'\n');
        if self.skips_line {
            self.skips_line = byte != b'\n';
            return true;
        }
        if self.open.is_empty() {
            return match byte {
                b'{' => {
                    self.begin(line);
                    true
                }
                // Between objects; a mark of the byte order, and RFC 7464 §2.2.
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' | 0xef | 0xbb | 0xbf | 0x1e => true,
                _ => {
                    self.skips_line = true;
                    visit(line, Err("no JSON object"))
                }
            };
        }
        if self.text.len() <= OBJECT_BYTES {
            self.text.push(byte);
        }
        if self.is_in_string {
            match byte {
                // RFC 8259 §7: a string has no line breaks. The line was cut.
                b'\n' => return self.give_up(visit, NO_END),
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return true;
        }
        let innermost = self.open.last().copied();
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return true,
            b'"' => self.is_in_string = true,
            // In an object a value follows a colon: here the next object begins, and this one was
            // cut.
            b'{' | b'[' if innermost == Some(b'{') && self.before != b':' => {
                let goes_on = self.give_up(visit, NO_END);
                if byte == b'{' {
                    self.begin(line);
                }
                return goes_on;
            }
            b'{' | b'[' if self.open.len() == DEPTH => {
                self.skips_line = true;
                return self.give_up(visit, "the object has too many levels");
            }
            b'{' | b'[' => self.open.push(byte),
            b'}' | b']' => {
                let opened = if byte == b'}' { b'{' } else { b'[' };
                if innermost != Some(opened) {
                    self.skips_line = true;
                    return self.give_up(visit, "brackets that do not match");
                }
                self.open.pop();
                if self.open.is_empty() {
                    return if self.text.len() > OBJECT_BYTES {
                        self.give_up(visit, "the object is longer than 2 MiB")
                    } else {
                        visit(self.start, Ok(&self.text))
                    };
                }
            }
            _ => {}
        }
        self.before = byte;
        true
    }

    fn begin(&mut self, line: u64) {
        self.text.clear();
        self.text.shrink_to(BUFFER_BYTES);
        self.text.push(b'{');
        self.open.push(b'{');
        (self.start, self.before) = (line, b'{');
    }

    fn give_up(
        &mut self,
        visit: &mut impl FnMut(u64, Result<&[u8], &'static str>) -> bool,
        why: &'static str,
    ) -> bool {
        self.open.clear();
        (self.is_in_string, self.is_escaped) = (false, false);
        visit(self.start, Err(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objects with their lines; faults in angle brackets.
    fn read(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_object(text.as_bytes(), |line, object| {
            found.push(match object {
                Ok(object) => format!("{line} {}", String::from_utf8_lossy(object)),
                Err(why) => format!("{line} <{why}>"),
            });
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn objects_are_found_in_lines_arrays_and_layouts() {
        let lines = "\u{feff}{\"a\":1}\n\n{\"b\":\"}{\\\"\"}\n";
        assert_eq!(read(lines), ["1 {\"a\":1}", "3 {\"b\":\"}{\\\"\"}"]);
        assert_eq!(read("[{\"a\":[{}, {}]},\n {\"b\":{}}]"), ["1 {\"a\":[{}, {}]}", "2 {\"b\":{}}"]);
        assert_eq!(read("{\n  \"a\":\n  {\n  }\n}\n{}"), ["1 {\n  \"a\":\n  {\n  }\n}", "6 {}"]);
        assert_eq!(read(""), [] as [&str; 0]);
    }

    #[test]
    fn what_is_broken_costs_no_other_object() {
        let no_end = "<the object does not end>";
        for cut in ["{\"a\":1,", "{\"a\":\"x", "{\"a\":{\"b\":1}", "{\"a\"", "{\"a\":1"] {
            let text = format!("{{\"x\":1}}\n{cut}\n{{\"y\":1}}\n");
            assert_eq!(read(&text), ["1 {\"x\":1}", &format!("2 {no_end}"), "3 {\"y\":1}"], "{cut}");
        }
        assert_eq!(read("hello {}\n{}\n"), ["1 <no JSON object>", "2 {}"]);
        assert_eq!(read("{\"a\":[}\n{}\n"), ["1 <brackets that do not match>", "2 {}"]);
        assert_eq!(read("{\"a\":1"), [format!("1 {no_end}")]);
        let deep = format!("{{\"a\":{}\n{{}}\n", "[".repeat(100));
        assert_eq!(read(&deep), ["1 <the object has too many levels>", "2 {}"]);
        let long = format!("{{\"a\":\"{}\"}}\n{{}}\n", "x".repeat(OBJECT_BYTES));
        assert_eq!(read(&long), ["1 <the object is longer than 2 MiB>", "2 {}"]);
    }
}

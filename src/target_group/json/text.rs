//! One line of JSON as a value. Numbers stay as they are written, so that none is rounded before
//! its column's type is known.

use std::borrow::Cow;
use std::fmt;

/// Values nest no deeper.
const DEEPEST: usize = 32;

/// A value (RFC 8259 §3).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    Null,
    Boolean(bool),
    /// As it is written.
    Number(&'t str),
    Text(Cow<'t, str>),
    List(Vec<Value<'t>>),
    /// In the order of the line; each name is there once.
    Object(Members<'t>),
}

pub(super) type Members<'t> = Vec<(Cow<'t, str>, Value<'t>)>;

/// Why a line is no object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    what: Cow<'static, str>,
    /// The character at fault, from 1.
    character: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON at character {}: {}", self.character, self.what)
    }
}

/// The members of the object that a line holds.
pub(super) fn object(line: &str) -> Result<Members<'_>, Fault> {
    let mut parser = Parser { line, at: 0 };
    parser.space();
    let object = match parser.peek() {
        Some(b'{') => parser.value(0)?,
        Some(_) | None => return Err(parser.fault("a row is an object in braces")),
    };
    parser.space();
    match (object, parser.peek()) {
        (Value::Object(members), None) => Ok(members),
        _ => Err(parser.fault("text after the object")),
    }
}

struct Parser<'t> {
    line: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn fault(&self, what: impl Into<Cow<'static, str>>) -> Fault {
        let before = self.line.get(..self.at).unwrap_or(self.line);
        Fault { what: what.into(), character: before.chars().count() + 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Steps over this byte, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<Value<'t>, Fault> {
        if depth > DEEPEST {
            return Err(self.fault(format!("nested deeper than {DEEPEST} levels")));
        }
        match self.peek() {
            Some(b'{') => self.members(depth),
            Some(b'[') => self.items(depth),
            Some(b'"') => Ok(Value::Text(self.text()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => {
                let words =
                    [("null", Value::Null), ("true", Value::Boolean(true)), ("false", Value::Boolean(false))];
                for (word, value) in words {
                    if self.line[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fault("a value is missing"))
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Value<'t>, Fault> {
        let mut members = Members::new();
        let mut names = std::collections::HashSet::new();
        self.at += 1;
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.fault("a name in quotes is missing"));
            }
            let start = self.at;
            let name = self.text()?;
            if !names.insert(name.clone()) {
                self.at = start;
                return Err(self.fault(format!("`{name}` is there twice")));
            }
            self.space();
            if !self.take(b':') {
                return Err(self.fault("`:` is missing"));
            }
            self.space();
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.fault("`,` or `}` is missing"));
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<Value<'t>, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err(self.fault("`,` or `]` is missing"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault("a digit is missing"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value<'t>, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(Value::Number(&self.line[start..self.at]))
    }

    fn text(&mut self) -> Result<Cow<'t, str>, Fault> {
        self.at += 1;
        let start = self.at;
        let mut text = String::new();
        let mut copied = start;
        loop {
            match self.peek() {
                None => return Err(self.fault("a quote is never closed")),
                Some(b'"') => {
                    let rest = &self.line[copied..self.at];
                    self.at += 1;
                    if copied == start {
                        return Ok(Cow::Borrowed(rest));
                    }
                    text.push_str(rest);
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    text.push_str(&self.line[copied..self.at]);
                    text.push(self.escape()?);
                    copied = self.at;
                }
                Some(0..0x20) => return Err(self.fault("a control character that is not escaped")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// What the escape here stands for (RFC 8259 §7).
    fn escape(&mut self) -> Result<char, Fault> {
        let escape = self.line.as_bytes().get(self.at + 1).copied();
        let plain = match escape {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            Some(_) | None => return Err(self.fault("an escape that JSON does not have")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// A `\u` escape, or two that are a surrogate pair.
    fn unicode(&mut self) -> Result<char, Fault> {
        let unit = |at: usize| {
            let hex = self.line.get(at..at + 6)?.strip_prefix("\\u")?;
            hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(hex, 16).ok())?
        };
        let units = unit(self.at).into_iter().chain(unit(self.at + 6));
        let decoded = char::decode_utf16(units).next();
        match decoded {
            Some(Ok(character)) => {
                self.at += 6 * character.len_utf16();
                Ok(character)
            }
            Some(Err(_)) => Err(self.fault("half of a surrogate pair")),
            None => Err(self.fault("`\\u` needs four hexadecimal digits")),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// A single value as text; of lists and objects what they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => f.write_str(text),
            Self::List(_) => f.write_str("a list"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::{fuzz, texts};

    fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Boolean(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
            (Value::Number(ours), serde_json::Value::Number(theirs)) => {
                // Theirs is not always the nearest float.
                let (ours, theirs): (f64, f64) = (ours.parse().unwrap(), theirs.as_f64().unwrap());
                ours == theirs || (ours - theirs).abs() <= ours.abs() * 1e-15
            }
            (Value::Text(ours), serde_json::Value::String(theirs)) => ours == theirs,
            (Value::List(ours), serde_json::Value::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
            }
            (Value::Object(ours), serde_json::Value::Object(theirs)) => {
                ours.len() == theirs.len()
                    && ours.iter().zip(theirs).all(|((a, x), (b, y))| a == b && same(x, y))
            }
            _ => false,
        }
    }

    #[test]
    fn what_is_read_is_what_serde_reads() {
        let seeds = texts(&[
            r#"{"email":"a@x.example","n":-1.50e+3,"tags":["a",null,true],"who":{"name":"Zoë","x":{}}}"#,
            r#" { "a" : "\u00e9\ud83d\ude00\n\/\"" , "b" : [ ] , "c" : 0 } "#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1e999,"b":[[[[[[1]]]]]]}"#,
        ]);
        fuzz("JSON lines", &seeds, |bytes| {
            let Ok(line) = std::str::from_utf8(bytes) else { return };
            match (object(line), serde_json::from_str::<serde_json::Value>(line)) {
                (Ok(ours), Ok(theirs)) => assert!(same(&Value::Object(ours), &theirs), "{line}"),
                (Ok(_), Err(error)) => assert!(error.to_string().contains("out of range"), "{line}: {error}"),
                // An object with a name twice is none of ours, nor is one that nests too deep.
                (Err(fault), Ok(theirs)) => assert!(
                    !theirs.is_object()
                        || fault.what.ends_with("is there twice")
                        || fault.what.starts_with("nested"),
                    "{line}: {fault}"
                ),
                (Err(_), Err(_)) => {}
            }
        });
    }

    #[test]
    fn faults_say_what_and_where() {
        for (line, fault) in [
            ("", "not JSON at character 1: a row is an object in braces"),
            ("[1]", "not JSON at character 1: a row is an object in braces"),
            ("{\"é\":1", "not JSON at character 7: `,` or `}` is missing"),
            ("{\"a\":1,\"a\":2}", "not JSON at character 8: `a` is there twice"),
            ("{\"a\":01}", "not JSON at character 7: `,` or `}` is missing"),
            ("{\"a\":}", "not JSON at character 6: a value is missing"),
            ("{\"a\" 1}", "not JSON at character 6: `:` is missing"),
            ("{a:1}", "not JSON at character 2: a name in quotes is missing"),
            ("{\"a\":\"b", "not JSON at character 8: a quote is never closed"),
            ("{\"a\":\"\t\"}", "not JSON at character 7: a control character that is not escaped"),
            ("{\"a\":\"\\x\"}", "not JSON at character 7: an escape that JSON does not have"),
            ("{\"a\":\"\\ud83d\"}", "not JSON at character 7: half of a surrogate pair"),
            ("{\"a\":\"\\u12\"}", "not JSON at character 7: `\\u` needs four hexadecimal digits"),
            ("{} {}", "not JSON at character 4: text after the object"),
        ] {
            assert_eq!(object(line).unwrap_err().to_string(), fault, "{line}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
        assert!(object(&deep).unwrap_err().to_string().ends_with("nested deeper than 32 levels"));
    }
}

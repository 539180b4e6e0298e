//! Texts and patterns to look for, with FreeMarker's flags.

use regex::{NoExpand, Regex};

/// `rim…`
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub regex: bool,
    pub ignore_case: bool,
    multiline: bool,
    dot_all: bool,
    comments: bool,
    pub first_only: bool,
}

/// What to look for.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Plain(String),
    Regex(Regex),
}

impl Flags {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for flag in text.chars() {
            match flag {
                'r' => flags.regex = true,
                'i' => flags.ignore_case = true,
                'm' => flags.multiline = true,
                's' => flags.dot_all = true,
                'c' => flags.comments = true,
                'f' => flags.first_only = true,
                _ => return Err(format!("`{flag}` is not a flag")),
            }
        }
        Ok(flags)
    }

    /// The pattern as the crate `regex` takes it.
    pub(super) fn written(self, text: &str) -> String {
        let mut letters = String::new();
        for (flag, letter) in [
            (self.ignore_case, 'i'),
            (self.multiline, 'm'),
            (self.dot_all, 's'),
            (self.comments && self.regex, 'x'),
        ] {
            if flag {
                letters.push(letter);
            }
        }
        let text = if self.regex { text.to_owned() } else { regex::escape(text) };
        if letters.is_empty() { text } else { format!("(?{letters}){text}") }
    }
}

impl Pattern {
    /// The first place, as bytes.
    pub(super) fn first(&self, text: &str) -> Option<(usize, usize)> {
        match self {
            Self::Plain(wanted) => text.find(wanted.as_str()).map(|at| (at, at + wanted.len())),
            Self::Regex(regex) => regex.find(text).map(|found| (found.start(), found.end())),
        }
    }

    /// The last place, as bytes.
    pub(super) fn last(&self, text: &str) -> Option<(usize, usize)> {
        match self {
            Self::Plain(wanted) => text.rfind(wanted.as_str()).map(|at| (at, at + wanted.len())),
            Self::Regex(regex) => regex.find_iter(text).last().map(|found| (found.start(), found.end())),
        }
    }

    pub(super) fn replace(&self, text: &str, to: &str, flags: Flags) -> Result<String, String> {
        let limit = usize::from(flags.first_only);
        Ok(match self {
            Self::Plain(from) if flags.first_only => text.replacen(from.as_str(), to, 1),
            Self::Plain(from) => text.replace(from.as_str(), to),
            Self::Regex(regex) if !flags.regex => regex.replacen(text, limit, NoExpand(to)).into_owned(),
            Self::Regex(regex) => regex.replacen(text, limit, expanded(to)?.as_str()).into_owned(),
        })
    }

    pub(super) fn split<'t>(&self, text: &'t str, flags: Flags) -> Vec<&'t str> {
        match self {
            Self::Plain(by) if by.is_empty() => {
                text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect()
            }
            Self::Plain(by) => text.split(by.as_str()).collect(),
            Self::Regex(regex) => {
                let mut parts: Vec<&str> = regex.split(text).collect();
                if flags.regex {
                    // As Java does: no empty texts at the end, nor an empty first one of no width.
                    while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
                        parts.pop();
                    }
                    if parts.len() > 1
                        && parts[0].is_empty()
                        && regex.find(text).is_some_and(|found| found.is_empty())
                    {
                        parts.remove(0);
                    }
                }
                parts
            }
        }
    }
}

/// Java's `$1` and `\$` as the crate `regex` writes them.
fn expanded(to: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = to.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(c) => out.push(c),
                None => return Err("the replacement ends with `\\`".to_owned()),
            },
            '$' => match chars.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    out.push_str("${");
                    out.push(digit);
                    out.push('}');
                }
                Some('{') => out.push_str("${"),
                _ => return Err("`$` in a replacement needs the number of a group".to_owned()),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}

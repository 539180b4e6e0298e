//! Findings as text.

use std::fmt;

use super::{Findings, Group, Level};
use crate::kit::outside_text;

/// The columns of a finding's text at most: longer lines are hard to read.
const WIDTH: usize = 100;
/// The columns at least, however narrow the terminal.
const NARROWEST: usize = 30;
/// What stands before the text.
const MARGIN: usize = 11;

impl Findings {
    /// One line per finding under the name of its group; what is not `ok` also says why and what
    /// fixes it. Lines of text fit into so many `columns`; `painted` gives a level's word its
    /// colour.
    pub(crate) fn report(&self, columns: usize, painted: &dyn Fn(Level, &str) -> String) -> String {
        let width = columns.saturating_sub(MARGIN).clamp(NARROWEST, WIDTH);
        let mut text = String::new();
        for group in Group::ALL {
            let mut found = self.of(group).peekable();
            if found.peek().is_none() {
                continue;
            }
            text.push_str(&format!("{}\n", group.as_str()));
            for finding in found {
                let seen = outside_text::line(&finding.seen);
                let mut lines = wrapped(&format!("{seen}  ({})", finding.id), width).into_iter();
                let word = painted(finding.level, &format!("{:<7}", finding.level));
                text.push_str(&format!("  {word}  {}\n", lines.next().unwrap_or_default()));
                text.extend(lines.map(|line| format!("           {line}\n")));
                if finding.level > Level::Ok {
                    let why = wrapped(finding.why, width - 5);
                    continued(&mut text, "why", why.iter().map(String::as_str));
                    let fix = outside_text::lines(finding.fix.as_deref().unwrap_or_default());
                    let fix: Vec<String> =
                        fix.lines().flat_map(|line| wrapped_advice(line, width - 5)).collect();
                    continued(&mut text, "fix", fix.iter().map(String::as_str));
                }
            }
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report(usize::MAX, &|_, word| word.to_owned()))
    }
}

fn continued<'a>(text: &mut String, word: &str, lines: impl Iterator<Item = &'a str>) {
    for (number, line) in lines.enumerate() {
        let word = if number == 0 { word } else { "" };
        text.push_str(&format!("           {word:<3}  {line}\n"));
    }
}

/// Advice is wrapped, but for what is in backticks. A record, or a line of a file, is there to be
/// copied, has no backticks, and is left as it is.
fn wrapped_advice(line: &str, width: usize) -> Vec<String> {
    if !line.contains('`') {
        return vec![line.to_owned()];
    }
    let mut in_code = false;
    let words = line.split(|c: char| {
        in_code ^= c == '`';
        c == ' ' && !in_code
    });
    filled(words, width)
}

/// `text` in lines of at most `width` characters, broken between words; empty for an empty text.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    filled(text.split(' '), width)
}

fn filled<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Id};
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaaa bb", 5), ["aaaaaaaa", "bb"]);
        assert!(wrapped("", 5).is_empty());
    }

    #[test]
    fn advice_is_broken_outside_of_backticks_and_what_is_copied_is_not() {
        assert_eq!(wrapped_advice("run `a b c` or `d e`", 8), ["run", "`a b c`", "or `d e`"]);
        assert_eq!(wrapped_advice("x IN TXT \"a b c\"", 8), ["x IN TXT \"a b c\""]);
    }

    #[test]
    fn the_report_is_grouped_and_says_what_fixes() {
        let mut findings = Findings::default();
        findings.push(Finding::new(Id::DuplicateRows, "1 row twice"));
        findings.push(Finding::new(Id::SpfVoid, "3 lookups").fix("x IN TXT \"a\"\ny IN TXT \"b\""));
        let expected = "\
sender
  warning  3 lookups (spf-void)
           why  verifiers may treat more than two as a permanent error (RFC 7208 §4.6.4)
           fix  x IN TXT \"a\"
                y IN TXT \"b\"

list
  note     1 row twice (duplicate-rows)
           why  each address gets one message

";
        assert_eq!(findings.to_string(), expected);
        let painted = |level: Level, word: &str| format!("<{}>{word}", level.as_str());
        let report = findings.report(45, &painted);
        assert!(report.contains("  <warning>warning  3 lookups"), "{report}");
        assert!(
            report.contains("           why  verifiers may treat more than\n                two as"),
            "{report}"
        );
        assert!(report.lines().all(|line| line.replace("<warning>", "").chars().count() <= 45), "{report}");
    }
}

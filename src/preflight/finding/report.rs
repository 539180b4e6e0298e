//! Findings as text.

use std::fmt;

use super::{Findings, Group, Level};

/// The columns of a finding's text.
const WIDTH: usize = 100;

/// One line per finding under the name of its group; what is not `ok` also says why and what fixes
/// it.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in Group::ALL {
            let mut found = self.of(group).peekable();
            if found.peek().is_none() {
                continue;
            }
            writeln!(f, "{}", group.as_str())?;
            for finding in found {
                let mut lines = wrapped(&format!("{}  ({})", finding.seen, finding.id), WIDTH).into_iter();
                writeln!(f, "  {:<7}  {}", finding.level, lines.next().unwrap_or_default())?;
                lines.try_for_each(|line| writeln!(f, "           {line}"))?;
                if finding.level > Level::Ok {
                    continued(f, "why", wrapped(finding.why, WIDTH - 5).iter().map(String::as_str))?;
                    // Never wrapped: a record or a line of a file is there to be copied.
                    continued(f, "fix", finding.fix.as_deref().unwrap_or_default().lines())?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn continued<'a>(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    lines: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    for (number, line) in lines.enumerate() {
        let word = if number == 0 { word } else { "" };
        writeln!(f, "           {word:<3}  {line}")?;
    }
    Ok(())
}

/// `text` in lines of at most `width` characters, broken between words; empty for an empty text.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
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
    }
}

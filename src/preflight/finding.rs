//! What a check found: how bad it is, what was seen, why it matters, and what mends it. Knows nothing of where
//! findings come from.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Some receivers will mind, or some recipients will get nothing. Refuses with `--strict`.
    Warning,
    /// Sending would do harm or be for nothing.
    Refused,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Domains, keys and records.
    Sender,
    /// The rows and the messages made of them.
    List,
    /// What the message says.
    Content,
    /// Capacity, time and next hop.
    Delivery,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub group: Group,
    /// Its name for machines: kebab-case, the same in every version.
    pub id: &'static str,
    /// What was seen, a fragment.
    pub seen: String,
    /// Why it matters, with the RFC or the provider's rule; empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The exact record or line that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// All that was found, in the order of the checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Level {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Refused => "refused",
        }
    }
}

impl Group {
    /// All groups, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Sender, Self::List, Self::Content, Self::Delivery];

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::List => "list",
            Self::Content => "content",
            Self::Delivery => "delivery",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Finding {
    fn new(level: Level, group: Group, id: &'static str, seen: impl Into<String>) -> Self {
        Self { level, group, id, seen: seen.into(), why: String::new(), mend: None }
    }

    /// All is well.
    pub fn ok(group: Group, id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Ok, group, id, seen)
    }

    /// Worth knowing.
    pub fn note(group: Group, id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Note, group, id, seen)
    }

    /// Some receivers will mind.
    pub fn warning(group: Group, id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Warning, group, id, seen)
    }

    /// Nothing should be sent.
    pub fn refused(group: Group, id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Refused, group, id, seen)
    }

    /// Why it matters.
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// What mends it.
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Adds several.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// All of them, in the order of the checks.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Those of one group.
    pub fn of(&self, group: Group) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(move |finding| finding.group == group)
    }

    /// The number of findings of one level.
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    /// True when nothing should be sent; `strict` counts warnings as well.
    pub fn refuse(&self, strict: bool) -> bool {
        let least = if strict { Level::Warning } else { Level::Refused };
        self.0.iter().any(|finding| finding.level >= least)
    }

    /// Turns the sender's warnings and refusals into notes: nothing leaves the machine, so no receiver will mind.
    pub fn rehearse(&mut self) {
        for finding in self.0.iter_mut().filter(|finding| finding.group == Group::Sender) {
            finding.level = finding.level.min(Level::Note);
        }
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The calm text: a line a finding under its group's name, with its reason and its remedy where there is one.
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
                    continued(f, "why", wrapped(&finding.why, WIDTH - 6).iter().map(String::as_str))?;
                    // A record or a line of a file stands as it is to be copied.
                    continued(f, "mend", finding.mend.as_deref().unwrap_or_default().lines())?;
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
        writeln!(f, "           {word:<4}  {line}")?;
    }
    Ok(())
}

/// The columns of a finding's text.
const WIDTH: usize = 100;

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
    use super::*;

    #[test]
    fn a_refusal_refuses_and_a_warning_only_when_strict() {
        let mut findings = Findings::default();
        findings.push(Finding::ok(Group::Sender, "a", "fine"));
        findings.push(Finding::note(Group::List, "b", "so so"));
        assert!(!findings.refuse(true));
        findings.push(Finding::warning(Group::Sender, "c", "not good"));
        assert!(findings.refuse(true) && !findings.refuse(false));
        findings.push(Finding::refused(Group::Sender, "d", "bad"));
        assert!(findings.refuse(false));
        findings.rehearse();
        assert!(!findings.refuse(true));
        assert_eq!((findings.count(Level::Ok), findings.count(Level::Note)), (1, 3));
        findings.push(Finding::refused(Group::Delivery, "e", "too late"));
        findings.rehearse();
        assert!(findings.refuse(false), "only the sender is rehearsed");
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaaa bb", 5), ["aaaaaaaa", "bb"]);
        assert!(wrapped("", 5).is_empty());
    }

    #[test]
    fn the_report_is_grouped_and_says_what_mends() {
        let mut findings = Findings::default();
        findings.push(Finding::note(Group::List, "b", "1 row twice"));
        findings.push(
            Finding::warning(Group::Sender, "a", "no record")
                .why("RFC 1")
                .mend("x IN TXT \"a\"\ny IN TXT \"b\""),
        );
        let expected = "sender\n  warning  no record (a)\n           why   RFC 1\n           mend  x IN TXT \"a\"\n\
                        \x20                y IN TXT \"b\"\n\nlist\n  note     1 row twice (b)\n\n";
        assert_eq!(findings.to_string(), expected);
    }
}

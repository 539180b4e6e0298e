//! Reads what programs say in their own words: who did not get the mail, and why.

use super::address;
use super::rules::{Named, Rules};

/// The words before the returned message, and what is known of that.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Its lines, without quoted ones; those that a program wrapped are joined.
    pub(super) lines: Vec<String>,
    /// The returned message, where it is in the same text.
    pub(super) original: String,
}

/// A recipient, and the words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) address: String,
    pub(super) original: Option<String>,
    /// The words right beside it.
    pub(super) reason: String,
    /// A list of those that failed has it.
    pub(super) is_listed: bool,
}

/// Longer lines are cut.
const LINE_BYTES: usize = 4 << 10;
/// Later lines are not read.
const LINES: usize = 1_500;
/// A sentence that tells whom to ask is not longer.
const SENTENCE_LINES: usize = 8;
/// The header of the mail in a report is not longer, before or behind its recipients.
const HEADER_LINES: usize = 5;
/// More recipients of one mail are not looked for.
pub(super) const RECIPIENTS: usize = 500;

/// Fields that begin the header of a returned message; the second list never stands elsewhere.
const HEADER: [&str; 9] =
    ["from:", "to:", "subject:", "date:", "cc:", "reply-to:", "sender:", "x-mailer:", "user-agent:"];
const SURE_HEADER: [&str; 8] = [
    "return-path:",
    "received:",
    "message-id:",
    "mime-version:",
    "content-type:",
    "dkim-signature:",
    "content-transfer-encoding:",
    "delivered-to:",
];

fn starts_with_any(line: &str, names: &[&str]) -> bool {
    names.iter().any(|name| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// Whether a header begins here: several lines in a row that are fields of one, or go on with one.
fn begins_header(lines: &[&str]) -> bool {
    if !starts_with_any(lines[0], &HEADER) && !starts_with_any(lines[0], &SURE_HEADER) {
        return false;
    }
    let run = || lines.iter().take(12).take_while(|line| !line.trim().is_empty());
    let fields =
        run().filter(|line| starts_with_any(line, &HEADER) || starts_with_any(line, &SURE_HEADER)).count();
    fields >= 3 && run().any(|line| starts_with_any(line, &SURE_HEADER))
}

impl Note {
    /// Takes the text apart. Reads each line once.
    pub(super) fn read(rules: &Rules, text: &str) -> Self {
        let all: Vec<&str> = text.lines().collect();
        let mut note = Self::default();
        for (at, line) in all.iter().enumerate().take(LINES) {
            let is_announced = !line.trim().is_empty() && line.len() < 120 && rules.begins_original(line);
            if is_announced || begins_header(&all[at..]) {
                let rest = if is_announced { &all[at + 1..] } else { &all[at..] };
                note.original = rest.join("\n");
                break;
            }
            note.push(line);
        }
        note
    }

    fn push(&mut self, line: &str) {
        let line = line.trim_end();
        // What people quote is no report.
        if line.starts_with('>') && !line.starts_with(">>>") {
            return;
        }
        let mut end = line.len().min(LINE_BYTES);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let line = &line[..end];
        // Postfix wraps what it says of a recipient, and indents it by four.
        if let Some(last) = self.lines.last_mut()
            && last.starts_with('<')
            && last.contains(':') | last.ends_with("(expanded from")
            && line.starts_with("    ")
            && last.len() < LINE_BYTES
        {
            last.push(' ');
            last.push_str(line.trim_start());
            return;
        }
        self.lines.push(line.to_owned());
    }

    /// Whether a line has these words.
    pub(super) fn says(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(words))
    }

    /// The words, one line after the other.
    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The recipients that the words name, in order. `own` are addresses that they are not: who got
    /// the report and who sent it. `likely` are those that the returned message was sent to.
    pub(super) fn entries(&self, rules: &Rules, own: &[String], likely: &[String]) -> Vec<Entry> {
        let is_likely = |address: &str| likely.iter().any(|other| address::same(other, address));
        let is_own = |address: &str| {
            !is_likely(address)
                && (own.iter().any(|other| address::same(other, address)) || address::is_system(address))
        };
        let mut named = self.named(rules, &is_own);
        if named.is_empty() {
            // Some write to themselves, and reports travel through the very mailbox.
            named = self.named(rules, &|address| address::is_system(address));
        }
        if named.is_empty() {
            named = self.any_address(rules, &is_own, &is_likely);
        }
        // The header of the mail is no list of those that failed, where there is one.
        if named.iter().any(|(at, found)| found.is_listed && !self.is_of_header(*at)) {
            named.retain(|(at, _)| !self.is_of_header(*at));
        }
        // A dialogue with a server may name an address that the listed one was forwarded to.
        let listed: Vec<String> = named
            .iter()
            .filter(|(_, found)| found.is_listed)
            .map(|(_, found)| found.address.clone())
            .collect();
        let is_listed =
            |address: &str| is_likely(address) || listed.iter().any(|other| address::same(other, address));
        let mut entries: Vec<Entry> = Vec::new();
        for (index, (at, found)) in named.iter().enumerate() {
            // The address that the one above was made from is no recipient of its own.
            let is_known = |entry: &Entry| {
                entry.original.as_deref().is_some_and(|original| address::same(original, &found.address))
            };
            if entries.iter().any(is_known) || !listed.is_empty() && !is_listed(&found.address) {
                continue;
            }
            let next = named.get(index + 1).map_or(self.lines.len(), |(next, _)| *next);
            let reason = self.words_beside(*at, next.max(at + 1), found.end);
            match entries.iter_mut().find(|entry| address::same(&entry.address, &found.address)) {
                Some(entry) => {
                    entry.reason.push(' ');
                    entry.reason.push_str(&reason);
                }
                None => {
                    let original = found.original.clone().or_else(|| self.expanded_from(at + 1));
                    let is_listed = found.is_listed;
                    entries.push(Entry { address: found.address.clone(), original, reason, is_listed });
                }
            }
        }
        entries
    }

    /// The recipients that lines name by a rule, but for those that can't be one.
    fn named(&self, rules: &Rules, is_other: &dyn Fn(&str) -> bool) -> Vec<(usize, Named)> {
        let lines =
            self.lines.iter().enumerate().filter(|(_, line)| line.contains('@') && !rules.is_aside(line));
        let named = lines.filter_map(|(at, line)| Some((at, rules.recipient(line)?)));
        let named = named.filter(|(_, found)| !is_other(&found.address));
        let is_aside = |at: usize, found: &Named| {
            found.is_listed && self.lines[at].len() < found.address.len() + 20 && self.is_asked_for(rules, at)
        };
        named.filter(|(at, found)| !is_aside(*at, found)).take(RECIPIENTS).collect()
    }

    /// Whether the sentence that this line ends says whom to ask, not who failed.
    fn is_asked_for(&self, rules: &Rules, at: usize) -> bool {
        let ends = |line: &String| line.trim_end().ends_with(['.', '!', '>']);
        let start = self.lines[..at].iter().rposition(ends).map_or(0, |end| end + 1);
        let start = start.max(at.saturating_sub(SENTENCE_LINES));
        let sentence = self.lines[start..at].join(" ");
        // A list of those that failed ends with a colon, whatever came before.
        let sentence = sentence.rsplit_once(". ").map_or(sentence.as_str(), |(_, last)| last);
        !sentence.trim().is_empty() && rules.is_aside(sentence) && !rules.signs_of_text(sentence).bounce
    }

    /// Whether this line is of the header of the mail, as some reports begin with it.
    fn is_of_header(&self, at: usize) -> bool {
        let is_to = |line: &str| starts_with_any(line.trim_start(), &["to:", "cc:", "an:", "para:"]);
        let is_other =
            |line: &String| starts_with_any(line.trim_start(), &["subject:", "sent:", "betreff:", "asunto:"]);
        let near = at.saturating_sub(HEADER_LINES)..self.lines.len().min(at + HEADER_LINES);
        is_to(&self.lines[at]) && self.lines[near].iter().any(is_other)
    }

    /// Names without a domain in a list of those that failed, each on a line of its own.
    pub(super) fn local_names(&self, rules: &Rules) -> impl Iterator<Item = &str> {
        let announces = |line: &String| line.trim_end().ends_with(':') && rules.signs_of_text(line).bounce;
        let start = self.lines.iter().position(announces).map_or(self.lines.len(), |at| at + 1);
        let is_name = |name: &str| {
            name.len() >= 2
                && name.len() <= 64
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let lines = self.lines[start..].iter().skip_while(|line| line.trim().is_empty());
        lines
            .take_while(|line| line.starts_with([' ', '\t']))
            .map(|line| line.split_once(" (").map_or(line.trim(), |(name, _)| name.trim()))
            .take_while(move |name| is_name(name))
            .take(RECIPIENTS)
    }

    /// Without a line that names a recipient: the only address that can be one, or those that the
    /// returned message was sent to.
    fn any_address(
        &self,
        rules: &Rules,
        is_own: &dyn Fn(&str) -> bool,
        is_likely: &dyn Fn(&str) -> bool,
    ) -> Vec<(usize, Named)> {
        let mut found: Vec<(usize, Named)> = Vec::new();
        let lines = self.lines.iter().enumerate().filter(|(_, line)| line.contains('@'));
        for (at, line) in lines.filter(|(_, line)| !rules.is_aside(line)) {
            for (start, address) in address::find(line).filter(|(_, address)| !is_own(address)) {
                if found.len() < RECIPIENTS {
                    let named = Named {
                        address: address.to_owned(),
                        original: None,
                        end: start + address.len(),
                        is_listed: false,
                    };
                    found.push((at, named));
                }
            }
        }
        if found.iter().any(|(_, named)| is_likely(&named.address)) {
            found.retain(|(_, named)| is_likely(&named.address));
        }
        let first = found.first().map(|(_, named)| named.address.clone());
        let is_first =
            |named: &Named| first.as_deref().is_some_and(|first| address::same(first, &named.address));
        if found.iter().all(|(_, named)| is_first(named) || is_likely(&named.address)) {
            found
        } else {
            Vec::new()
        }
    }

    /// On the line below, of Sendmail: `(expanded from: <a@b.example>)`; of Exim: `(generated from
    /// a@b.example)`.
    fn expanded_from(&self, at: usize) -> Option<String> {
        let line = self.lines.get(at)?.trim_start();
        let words = ["(expanded from:", "(generated from", "(ultimately generated from"];
        let rest = words.iter().find_map(|words| line.strip_prefix(words))?;
        address::first(rest).map(str::to_owned)
    }

    /// The line behind the address and the lines below it, up to the next recipient; a blank line
    /// ends them once there are words.
    fn words_beside(&self, at: usize, next: usize, end: usize) -> String {
        let mut words = self.lines[at]
            .get(end..)
            .unwrap_or_default()
            .trim_start_matches(['>', '"', '\'', ')', ':', ']', '.', ' '])
            .to_owned();
        // The reply may stand before the address: `550 <a@b.example>... unknown`.
        let before = self.lines[at].get(..end).unwrap_or_default();
        if before.trim_start_matches(['<', ' ']).starts_with(|c: char| c.is_ascii_digit()) {
            words = self.lines[at].trim_start_matches(['<', ' ']).to_owned();
        }
        for line in self.lines.get(at + 1..next).unwrap_or_default() {
            if line.trim().is_empty() {
                if words.trim().is_empty() {
                    continue;
                }
                break;
            }
            words.push(' ');
            words.push_str(line.trim());
            if words.len() > LINE_BYTES {
                break;
            }
        }
        words
    }
}

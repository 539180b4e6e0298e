//! The rules for texts: data in `rules.toml`, each with its tests.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::Regex;
use regex::bytes::{RegexSet, SetMatches};
use serde::Deserialize;

use super::address;
use super::event::Kind;
use super::regexes::{regex, set};
use crate::mail::Class;

/// The rules that come with the program.
const RULES: &str = include_str!("rules.toml");
/// Stands for an address where it need not be found exactly.
const ROUGH_ADDRESS: &str = r#"(?:"[^"]+"|[^\s<>]+)@[^\s<>]+"#;

/// The rules, ready for use. Make one and share it.
#[derive(Debug)]
pub(super) struct Rules {
    subjects: RegexSet,
    texts: RegexSet,
    mails: Vec<Mail>,
    originals: RegexSet,
    asides: RegexSet,
    permanents: RegexSet,
    recipients: RegexSet,
    addresses: Vec<Exact>,
    lists: Vec<bool>,
    reasons: RegexSet,
    reason_of: Vec<Reason>,
}

/// Finds the address in a line. Compiled for the first line that asks for it: that takes as long as
/// reading some thousand mails, and of a single mail few lines ask.
#[derive(Debug)]
struct Exact {
    text: String,
    regex: OnceLock<Regex>,
}

impl Exact {
    fn new(text: String) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    fn regex(&self) -> &Regex {
        self.regex.get_or_init(|| regex(&format!("(?i){}", self.text)))
    }
}

/// Why, in the words of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) class: Class,
    /// What the words say; the code decides where there is one.
    pub(super) permanent: Option<bool>,
}

/// The recipient that a line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) address: String,
    /// The address that it was expanded from.
    pub(super) original: Option<String>,
    /// Where the words behind the address start.
    pub(super) end: usize,
    /// The line has the form of a list of those that failed.
    pub(super) is_listed: bool,
}

/// Which kinds some text speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signs {
    pub(super) bounce: bool,
    pub(super) delay: bool,
    pub(super) delivered: bool,
    pub(super) auto_reply: bool,
    pub(super) challenge: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mail: Vec<Mail>,
    original: Vec<Plain>,
    aside: Vec<Plain>,
    permanent: Vec<Plain>,
    recipient: Vec<Recipient>,
    reason: Vec<ReasonRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests of the rules read names and tests"))]
struct Mail {
    name: String,
    r#in: Place,
    kind: Kind,
    text: String,
    tests: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Subject,
    Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests of the rules read names and tests"))]
struct Plain {
    name: String,
    text: String,
    tests: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests of the rules read names and tests"))]
struct Recipient {
    name: String,
    #[serde(default)]
    lists: bool,
    text: String,
    tests: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests of the rules read names and tests"))]
struct ReasonRule {
    name: String,
    class: String,
    permanent: Option<bool>,
    text: String,
    tests: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::read(RULES)
    }
}

/// The rules ignore the case of ASCII by themselves, and have other letters in lower case.
fn lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { text.to_lowercase().into() }
}

fn with_addresses(text: &str) -> String {
    let capture = |name: &str| format!("(?<{name}>{})", address::PATTERN);
    text.replace("{A}", &capture("address")).replace("{O}", &capture("original"))
}

impl Rules {
    fn read(text: &str) -> Self {
        let file: File = toml::from_str(text).expect("the tests read the rules");
        let in_place = |place: Place| move |rule: &&Mail| rule.r#in == place;
        let rough = |rule: &Recipient| rule.text.replace("{A}", ROUGH_ADDRESS).replace("{O}", ROUGH_ADDRESS);
        let recipients: Vec<String> = file.recipient.iter().map(rough).collect();
        let exact = |rule: &Recipient| Exact::new(with_addresses(&rule.text));
        let reason = |rule: &ReasonRule| Reason {
            class: rule.class.parse().expect("the tests read the classes"),
            permanent: rule.permanent,
        };
        Self {
            subjects: set(file.mail.iter().filter(in_place(Place::Subject)).map(|rule| rule.text.as_str())),
            texts: set(file.mail.iter().filter(in_place(Place::Text)).map(|rule| rule.text.as_str())),
            originals: set(file.original.iter().map(|rule| rule.text.as_str())),
            asides: set(file.aside.iter().map(|rule| rule.text.as_str())),
            permanents: set(file.permanent.iter().map(|rule| rule.text.as_str())),
            recipients: set(recipients.iter().map(String::as_str)),
            addresses: file.recipient.iter().map(exact).collect(),
            lists: file.recipient.iter().map(|rule| rule.lists).collect(),
            reasons: set(file.reason.iter().map(|rule| rule.text.as_str())),
            reason_of: file.reason.iter().map(reason).collect(),
            mails: file.mail,
        }
    }

    fn signs(&self, place: Place, matched: &SetMatches) -> Signs {
        let mut signs = Signs::default();
        let rules = self.mails.iter().filter(|rule| rule.r#in == place).enumerate();
        for (_, rule) in rules.filter(|(at, _)| matched.matched(*at)) {
            match rule.kind {
                Kind::Bounce => signs.bounce = true,
                Kind::Delay => signs.delay = true,
                Kind::Delivered => signs.delivered = true,
                Kind::AutoReply => signs.auto_reply = true,
                Kind::Challenge => signs.challenge = true,
                Kind::Complaint
                | Kind::NotSpam
                | Kind::Unsubscribe
                | Kind::AuthFailure
                | Kind::DmarcAggregate
                | Kind::TlsReport
                | Kind::Reputation
                | Kind::Open
                | Kind::Click
                | Kind::Other => {
                    unreachable!("the tests see the kinds of all rules")
                }
            }
        }
        signs
    }

    /// What a subject says about its mail.
    pub(super) fn signs_of_subject(&self, subject: &str) -> Signs {
        self.signs(Place::Subject, &self.subjects.matches(lower(subject).as_bytes()))
    }

    /// What words say about their mail.
    pub(super) fn signs_of_text(&self, text: &str) -> Signs {
        self.signs(Place::Text, &self.texts.matches(lower(text).as_bytes()))
    }

    /// Whether the returned message begins behind this line.
    pub(super) fn begins_original(&self, line: &str) -> bool {
        self.originals.is_match(line.as_bytes())
    }

    /// Whether words say that the failure is permanent, whatever the cause.
    pub(super) fn says_permanent(&self, text: &str) -> bool {
        self.permanents.is_match(text.as_bytes())
    }

    /// Whether the addresses of this line are not those of recipients.
    pub(super) fn is_aside(&self, line: &str) -> bool {
        self.asides.is_match(line.as_bytes())
    }

    /// The recipient that this line names, by the first rule that matches.
    pub(super) fn recipient(&self, line: &str) -> Option<Named> {
        if !line.contains('@') {
            return None;
        }
        for at in self.recipients.matches(line.as_bytes()) {
            let Some(found) = self.addresses[at].regex().captures(line) else { continue };
            let address = found.name("address").expect("each rule has one");
            let plain = address::without_words(address.as_str());
            if address::is_plausible(plain) {
                let original = found.name("original").map(|original| original.as_str().to_owned());
                return Some(Named {
                    address: plain.to_owned(),
                    original,
                    end: address.end(),
                    is_listed: self.lists[at],
                });
            }
        }
        None
    }

    /// What the words of a program mean: the first rule that matches.
    pub(super) fn reason(&self, text: &str) -> Option<Reason> {
        self.reasons.matches(lower(text).as_bytes()).iter().next().map(|at| self.reason_of[at])
    }
}

#[cfg(test)]
mod tests {
    use regex::RegexBuilder;

    use super::*;

    #[test]
    fn each_rule_matches_its_tests() {
        let file: File = toml::from_str(RULES).unwrap();
        let rules = Rules::default();
        let matches = |text: &str, test: &str| {
            RegexBuilder::new(text).case_insensitive(true).build().unwrap().is_match(test)
        };
        let mut wrong = Vec::new();
        for rule in &file.mail {
            let kinds = [Kind::Bounce, Kind::Delay, Kind::Delivered, Kind::AutoReply, Kind::Challenge];
            assert!(kinds.contains(&rule.kind), "{:?}", rule.kind);
            wrong.extend(
                rule.tests
                    .iter()
                    .filter(|test| !matches(&rule.text, test))
                    .map(|t| (rule.name.clone(), t.clone())),
            );
        }
        for rule in file.original.iter().chain(&file.aside).chain(&file.permanent) {
            wrong.extend(
                rule.tests
                    .iter()
                    .filter(|test| !matches(&rule.text, test))
                    .map(|t| (rule.name.clone(), t.clone())),
            );
        }
        for (at, rule) in file.recipient.iter().enumerate() {
            for (line, address) in &rule.tests {
                let matched = rules.recipients.matches(line.as_bytes());
                let first = matched.iter().find(|at| rules.addresses[*at].regex().is_match(line));
                let named = rules.recipient(line).map(|named| named.address);
                if first != Some(at) || named.as_ref() != Some(address) {
                    wrong.push((rule.name.clone(), format!("{line}: {first:?} {named:?}")));
                }
            }
        }
        for (at, rule) in file.reason.iter().enumerate() {
            for test in &rule.tests {
                let first = rules.reasons.matches(lower(test).as_bytes()).iter().next();
                if first != Some(at) {
                    wrong.push((rule.name.clone(), format!("{test}: {first:?}")));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn each_rule_has_tests() {
        let file: File = toml::from_str(RULES).unwrap();
        assert!(file.mail.iter().all(|rule| !rule.tests.is_empty()));
        assert!(
            file.original.iter().chain(&file.aside).chain(&file.permanent).all(|rule| !rule.tests.is_empty())
        );
        assert!(file.recipient.iter().all(|rule| !rule.tests.is_empty()));
        assert!(file.reason.iter().all(|rule| !rule.tests.is_empty()));
    }
}

//! One rule: as it is written, and as it is compared.

use serde::Deserialize;

use crate::campaign::Span;
use crate::mail::{Class, EnhancedStatus, Reply};

/// A rule as it stands in the data file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// How it is called in the log and in errors.
    pub name: String,
    /// Reply codes, any of them; 4 and 5 stand for all of 4yz and 5yz. Empty is any.
    #[serde(default)]
    pub code: Vec<u16>,
    /// Enhanced status codes, any of them; `x` stands for any number. Empty is any, or none at all.
    #[serde(default)]
    pub status: Vec<String>,
    /// Regular expression on the text, ASCII, without regard to case.
    #[serde(default)]
    pub text: Option<String>,
    /// The reason, as in the results.
    #[serde(deserialize_with = "class")]
    pub class: Class,
    /// Without it, a 4yz is tried again (after `pause`, where there is one) and a 5yz given up.
    #[serde(default)]
    pub action: Option<Do>,
    /// For how long the site gets nothing.
    #[serde(default)]
    pub pause: Option<Span>,
    /// A 5yz also suppresses the address; for `bad_mailbox` and `bad_domain` only.
    #[serde(default)]
    pub suppress: bool,
    /// Replies that this rule, and none before it, fits.
    #[serde(default)]
    pub tests: Vec<String>,
}

/// What a rule says to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Do {
    /// Try the row again later.
    TryAgain,
    /// The row ends.
    GiveUp,
    /// The site pauses, then the row is tried again.
    Pause,
    /// The run stops.
    Stop,
}

/// A rule that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The rules are not TOML, or a key or value is unknown.
    #[error("rules can't be read: {why}")]
    Toml {
        /// TOML's words.
        why: String,
    },
    /// A regular expression of the rules.
    #[error("the `text` of a rule is not a regular expression: {why}")]
    Regex {
        /// The words of the regular expressions.
        why: String,
    },
    /// One rule.
    #[error("rule `{name}`: {why}")]
    Rule {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Rule>,
}

/// Reads the rules of a data file.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>, RuleError> {
    let file: File = toml::from_str(text).map_err(|error| RuleError::Toml { why: error.to_string() })?;
    Ok(file.rule)
}

fn class<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Class, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// A reply as it stands in a test: code, perhaps a status, text.
pub(super) fn sample(text: &str) -> Option<Reply> {
    let code = text.get(..3)?.parse().ok().filter(|code| (200..600).contains(code))?;
    let rest = text.get(4..).unwrap_or_default();
    Some(match EnhancedStatus::split(rest) {
        Some((enhanced, text)) => Reply { code, enhanced: Some(enhanced), text: text.to_owned() },
        None => Reply { code, enhanced: None, text: rest.to_owned() },
    })
}

/// A rule as it is compared.
#[derive(Debug)]
pub(super) struct Fit {
    codes: Vec<u16>,
    statuses: Vec<StatusPattern>,
    /// The number of its regular expression.
    pub text: Option<usize>,
}

/// `None` is any number.
#[derive(Debug, Clone, Copy)]
struct StatusPattern {
    class: Option<u8>,
    subject: Option<u16>,
    detail: Option<u16>,
}

impl Rule {
    pub(super) fn bad(&self, why: String) -> RuleError {
        RuleError::Rule { name: self.name.clone(), why }
    }

    fn check(&self) -> Result<(), RuleError> {
        if let Some(code) = self.code.iter().find(|code| !matches!(code, 4 | 5 | 200..=599)) {
            return Err(self.bad(format!("{code} is not a reply code")));
        }
        if self.suppress && !matches!(self.class, Class::BadMailbox | Class::BadDomain) {
            return Err(self.bad(format!("class `{}` never suppresses an address", self.class)));
        }
        if self.action == Some(Do::Pause) && self.pause.is_none() {
            return Err(self.bad("`action = \"pause\"` needs `pause`".to_owned()));
        }
        if self.code.is_empty() && self.status.is_empty() && self.text.is_none() {
            return Err(self.bad("it fits everything".to_owned()));
        }
        Ok(())
    }
}

impl Fit {
    /// `text` is the number of the rule's regular expression.
    pub fn new(rule: &Rule, text: Option<usize>) -> Result<Self, RuleError> {
        rule.check()?;
        let status = |pattern: &String| {
            StatusPattern::parse(pattern).ok_or_else(|| rule.bad(format!("`{pattern}` is not a status")))
        };
        let statuses = rule.status.iter().map(status).collect::<Result<_, _>>()?;
        Ok(Self { codes: rule.code.clone(), statuses, text })
    }

    pub fn accepts(&self, code: u16, status: Option<EnhancedStatus>) -> bool {
        (self.codes.is_empty() || self.codes.iter().any(|&own| own == code || own == code / 100))
            && (self.statuses.is_empty()
                || status.is_some_and(|status| self.statuses.iter().any(|pattern| pattern.accepts(status))))
    }
}

impl StatusPattern {
    fn parse(text: &str) -> Option<Self> {
        fn number<T: std::str::FromStr>(part: Option<&str>) -> Option<Option<T>> {
            match part? {
                "x" => Some(None),
                digits => digits.parse().ok().map(Some),
            }
        }
        let mut parts = text.split('.');
        let pattern = Self {
            class: number(parts.next())?,
            subject: number(parts.next())?,
            detail: number(parts.next())?,
        };
        parts.next().is_none().then_some(pattern)
    }

    fn accepts(self, status: EnhancedStatus) -> bool {
        self.class.is_none_or(|class| class == status.class)
            && self.subject.is_none_or(|subject| subject == status.subject)
            && self.detail.is_none_or(|detail| detail == status.detail)
    }
}

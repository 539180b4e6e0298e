//! One rule, as it is compared.

use serde::Deserialize;

use crate::campaign::{PauseScope, ReplyAction as Do, ReplyRule as Rule};
use crate::mail::{Class, EnhancedStatus, Reply};

/// A rule that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The rules are not TOML, or a key or value is unknown.
    #[error("rules can't be read: {why}")]
    Toml {
        /// TOML's words.
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
    /// More rules than one pass over a reply can match.
    #[error("{own} rules in `[[reply]]` are too many: there is room for {most}")]
    TooMany {
        /// Rules of the campaign.
        own: usize,
        /// The most that it may have.
        most: usize,
    },
}

impl RuleError {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Toml { .. } => None,
            Self::TooMany { .. } => Some("combine several texts in one rule, as `one|other`"),
            Self::Rule { .. } => {
                Some("fix it in `[[reply]]`; rules are tried in order, the campaign's first")
            }
        }
    }
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

/// Parses a sample reply: code, optional enhanced status, text.
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
}

/// `None` is any number.
#[derive(Debug, Clone, Copy)]
struct StatusPattern {
    class: Option<u8>,
    subject: Option<u16>,
    detail: Option<u16>,
}

pub(super) fn bad(rule: &Rule, why: String) -> RuleError {
    RuleError::Rule { name: rule.name.clone(), why }
}

fn check(rule: &Rule) -> Result<(), RuleError> {
    if let Some(code) = rule.code.iter().find(|code| !matches!(code, 4 | 5 | 200..=599)) {
        return Err(bad(rule, format!("{code} is not a reply code")));
    }
    if rule.suppress && !matches!(rule.class, Class::BadMailbox | Class::BadDomain) {
        return Err(bad(rule, format!("class `{}` never suppresses an address", rule.class)));
    }
    if rule.action == Some(Do::Pause) && rule.pause.is_none() {
        return Err(bad(rule, "`action = \"pause\"` needs `pause`".to_owned()));
    }
    if rule.scope == PauseScope::Provider && rule.pause.is_none() {
        return Err(bad(rule, "`scope = \"provider\"` needs `pause`".to_owned()));
    }
    if rule.code.is_empty() && rule.status.is_empty() && rule.text.is_none() {
        return Err(bad(rule, "it matches every reply".to_owned()));
    }
    Ok(())
}

impl Fit {
    pub(super) fn new(rule: &Rule) -> Result<Self, RuleError> {
        check(rule)?;
        let status = |pattern: &String| {
            StatusPattern::parse(pattern).ok_or_else(|| bad(rule, format!("`{pattern}` is not a status")))
        };
        let statuses = rule.status.iter().map(status).collect::<Result<_, _>>()?;
        Ok(Self { codes: rule.code.clone(), statuses })
    }

    /// True when it matches some code for which `wanted` holds.
    pub(super) fn accepts_some(&self, wanted: impl Fn(u16) -> bool) -> bool {
        let first = |code: u16| if code < 10 { code * 100 } else { code };
        self.codes.is_empty() || self.codes.iter().any(|&code| wanted(first(code)))
    }

    pub(super) fn accepts(&self, code: u16, status: Option<EnhancedStatus>) -> bool {
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

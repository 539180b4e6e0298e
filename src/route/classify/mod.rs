//! What a server's reply means: its class, what to do next, and whether to suppress the address.
//!
//! The rules are data: `rules.toml`, where each has sample replies that it must match. A campaign
//! may put its own rules before them. The first rule that matches decides, by code, enhanced status
//! (RFC 3463 and its IANA registry) and text, a regular expression. One pass over a reply finds all
//! texts that match (`texts.rs`).
//!
//! Only a permanent failure of the mailbox or the domain suppresses an address: never policy,
//! authentication, rate or content.

mod rule;
mod texts;

use std::time::Duration;

use crate::campaign::{PauseScope, ReplyAction as Do, ReplyRule as Rule};
use crate::mail::{Class, Reply};
use rule::Fit;
pub use rule::RuleError;
use texts::{Group, MOST_RULES};

/// The rules that come with the program.
const RULES: &str = include_str!("rules.toml");

/// What a reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classification {
    /// Why it was refused.
    pub class: Class,
    /// What to do next.
    pub reaction: Reaction,
    /// The address goes on the suppression list.
    pub suppress: bool,
    /// A rule of the campaign says that the row ends, also after a reply that a later attempt may
    /// not get.
    pub is_final: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The row is tried again later.
    TryAgain,
    /// The row ends here.
    GiveUp,
    /// The site gets nothing for this long; the row is tried again.
    PauseSite(Duration),
    /// All sites of the site's provider get nothing for this long; the row is tried again.
    PauseProvider(Duration),
    /// This relay will refuse every message alike until the campaign is fixed: the run stops, and
    /// the row will be tried again. (If each domain has its own site, the answer of one must not
    /// stop the others: then the site's rows are given up.)
    StopRun,
}

/// What kept a reply from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The name could not be resolved now.
    Dns,
    /// The domain does not exist, or accepts no mail (RFC 7505).
    NoDomain,
    /// No connection, a lost connection, or a timeout.
    Connection,
    /// TLS is required, and was not offered or failed.
    Tls,
    /// AUTH was refused.
    Authentication,
    /// The server did not speak SMTP.
    Protocol,
    /// The message is larger than the next hop's SIZE (RFC 1870).
    TooLarge,
    /// The next hop lacks an extension that the message needs (8BITMIME, SMTPUTF8).
    Unfit,
}

/// The rules, ready for use. Make one and share it.
#[derive(Debug)]
pub struct Classifier {
    rules: Vec<Rule>,
    /// How many of them are the campaign's; they come first.
    own: usize,
    /// For each rule, the codes and statuses that it matches.
    fits: Vec<Fit>,
    /// The rules that may match a 4yz.
    transient: Group,
    /// The rules that may match any other reply.
    permanent: Group,
}

impl Default for Classifier {
    /// The rules that come with the program.
    fn default() -> Self {
        Self::new(Vec::new()).expect("the tests load the program's own rules")
    }
}

impl Classifier {
    /// `extra` rules, then those that come with the program. Every extra rule must match its own
    /// tests.
    pub fn new(extra: Vec<Rule>) -> Result<Self, RuleError> {
        let own = extra.len();
        let mut rules = extra;
        rules.extend(rule::parse(RULES)?);
        if rules.len() > MOST_RULES {
            return Err(RuleError::TooMany { own, most: MOST_RULES - (rules.len() - own) });
        }
        let fits = rules.iter().map(Fit::new).collect::<Result<Vec<_>, _>>()?;
        // A mistake of the campaign's is reported before the run, not in the middle of it.
        for rule in &rules[..own] {
            rule.text.as_deref().map_or(Ok(()), texts::check).map_err(|why| rule::bad(rule, why))?;
        }
        let rules_for = |wanted: fn(u16) -> bool| Group::new(&rules, own, |at| fits[at].accepts_some(wanted));
        let transient = rules_for(|code| code / 100 == 4);
        let permanent = rules_for(|code| code / 100 != 4);
        let classifier = Self { rules, own, fits, transient, permanent };
        classifier.check_tests(own)?;
        Ok(classifier)
    }

    /// The meaning of a reply that is not positive.
    pub fn classify(&self, reply: &Reply) -> Classification {
        match self.rule_of(reply) {
            Some((at, rule)) => {
                let is_final = at < self.own && rule.action == Some(Do::GiveUp);
                Classification { is_final, ..classification(rule, reply) }
            }
            // A 2yz or 3yz where another one was due.
            None => Classification {
                class: Class::Protocol,
                reaction: Reaction::TryAgain,
                suppress: false,
                is_final: false,
            },
        }
    }

    /// The name of the rule that decides.
    pub fn rule_name(&self, reply: &Reply) -> Option<&str> {
        self.rule_of(reply).map(|(_, rule)| rule.name.as_str())
    }

    fn rule_of(&self, reply: &Reply) -> Option<(usize, &Rule)> {
        let group = if reply.code / 100 == 4 { &self.transient } else { &self.permanent };
        let mut fitting = group.fitting(&self.rules, reply.text.as_bytes());
        let at = fitting.find(|at| self.fits[*at].accepts(reply.code, reply.enhanced))?;
        Some((at, &self.rules[at]))
    }

    fn check_tests(&self, own: usize) -> Result<(), RuleError> {
        for rule in &self.rules[..own] {
            for test in &rule.tests {
                let reply =
                    rule::sample(test).ok_or_else(|| rule::bad(rule, format!("`{test}` is not a reply")))?;
                let found = self.rule_name(&reply);
                if found != Some(rule.name.as_str()) {
                    let found = found.map_or("no rule".to_owned(), |name| format!("rule `{name}`"));
                    return Err(rule::bad(rule, format!("{found} matches its test `{test}`")));
                }
            }
        }
        Ok(())
    }
}

fn classification(rule: &Rule, reply: &Reply) -> Classification {
    let length = rule.pause.map_or(Duration::ZERO, |span| span.0);
    let pause = match rule.scope {
        PauseScope::Site => Reaction::PauseSite(length),
        PauseScope::Provider => Reaction::PauseProvider(length),
    };
    let reaction = match rule.action {
        Some(Do::TryAgain) => Reaction::TryAgain,
        Some(Do::GiveUp) => Reaction::GiveUp,
        Some(Do::Pause) => pause,
        Some(Do::Stop) => Reaction::StopRun,
        None if reply.is_permanent() => Reaction::GiveUp,
        None if rule.pause.is_some() => pause,
        None => Reaction::TryAgain,
    };
    // RFC 2034 §4: the status has the class of the code. If a server says both "permanent" and
    // "transient", nobody is suppressed; nor if the status is about security or policy (RFC 3463
    // §3.8), whatever the text.
    let plain = reply.enhanced.is_none_or(|status| status.class == 5 && status.subject != 7);
    let for_ever = reply.is_permanent() && plain;
    Classification {
        class: rule.class,
        reaction,
        suppress: rule.suppress && for_ever && reaction == Reaction::GiveUp,
        is_final: false,
    }
}

/// The meaning of a failure without a reply.
pub fn class_of_failure(failure: Failure) -> Classification {
    let (class, reaction) = match failure {
        Failure::Dns | Failure::Connection => (Class::Network, Reaction::TryAgain),
        Failure::NoDomain => (Class::BadDomain, Reaction::GiveUp),
        Failure::Tls => (Class::TlsRequired, Reaction::TryAgain),
        Failure::Authentication => (Class::Authentication, Reaction::StopRun),
        Failure::Protocol => (Class::Protocol, Reaction::TryAgain),
        Failure::TooLarge => (Class::TooLarge, Reaction::GiveUp),
        Failure::Unfit => (Class::Protocol, Reaction::GiveUp),
    };
    Classification { class, reaction, suppress: failure == Failure::NoDomain, is_final: false }
}

#[cfg(test)]
mod tests;

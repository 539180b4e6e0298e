//! Rules that share one automaton: one pass over a reply's text finds those that match.

use std::sync::OnceLock;

use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};

use crate::campaign::ReplyRule as Rule;

/// The most rules that there may be: those of the program and of the campaign.
pub(super) const MOST_RULES: usize = 256;
/// One regular expression may take this much memory.
const REGEX_BYTES: usize = 4 << 20;
/// Memory for the states that replies lead to, where a campaign has rules of its own; with too
/// little, each reply takes a hundred times as long.
const STATE_BYTES: usize = 16 << 20;
/// The same for the program's rules alone, which need less.
const PROGRAM_STATE_BYTES: usize = 8 << 20;

/// Some of the rules, in order.
#[derive(Debug)]
pub(super) struct Group {
    members: Vec<Member>,
    state_bytes: usize,
    /// Compiled when the first reply asks for it: a run without refusals needs none of it.
    texts: OnceLock<RegexSet>,
}

#[derive(Debug)]
struct Member {
    /// The number of the rule.
    rule: usize,
    /// The number of its regular expression; `None` matches any text.
    text: Option<usize>,
}

impl Group {
    /// The rules for which `wanted` holds; `own` of all are the campaign's.
    pub(super) fn new(rules: &[Rule], own: usize, wanted: impl Fn(usize) -> bool) -> Self {
        let mut texts = 0..;
        let member =
            |rule: usize| Member { rule, text: rules[rule].text.as_ref().and_then(|_| texts.next()) };
        let members = (0..rules.len()).filter(|rule| wanted(*rule)).map(member).collect();
        let state_bytes = if own == 0 { PROGRAM_STATE_BYTES } else { STATE_BYTES };
        Self { members, state_bytes, texts: OnceLock::new() }
    }

    /// The numbers of the rules that match `text`, in order. `rules` are those that the group was
    /// made of.
    pub(super) fn fitting(&self, rules: &[Rule], text: &[u8]) -> impl Iterator<Item = usize> {
        let matches = self.texts.get_or_init(|| self.compile(rules)).matches(text);
        let fits = move |member: &&Member| member.text.is_none_or(|text| matches.matched(text));
        self.members.iter().filter(fits).map(|member| member.rule)
    }

    fn compile(&self, rules: &[Rule]) -> RegexSet {
        let texts = self.members.iter().filter_map(|member| rules[member.rule].text.as_ref());
        RegexSetBuilder::new(texts)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(REGEX_BYTES * MOST_RULES)
            .dfa_size_limit(self.state_bytes)
            .build()
            .expect("each one was checked: the campaign's at the start, the program's by the tests")
    }
}

/// Checks that `text` can be a rule's regular expression.
pub(super) fn check(text: &str) -> Result<(), String> {
    let regex = RegexBuilder::new(text).case_insensitive(true).unicode(false).size_limit(REGEX_BYTES).build();
    regex.map(drop).map_err(|error| format!("its `text` is not a regular expression: {error}"))
}

//! Which rules' regular expressions a text fits, without trying most of them.
//!
//! Any text that fits a rule holds one of some words that can be read off its regular expression: `rate ?limit|throttl` needs `limit` or `throttl`. One pass of
//! Aho and Corasick over the text finds the words of all rules at once, and only the rules whose words are there are tried, in order, until one fits.
//! (One automaton of all regular expressions does the same in one pass, but has so many states that it never stays in the processor's cache.)
//!
//! Everything is compiled when the first reply asks for it: a run that nobody refuses needs none of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::rule::{self, RuleError};
use crate::campaign::ReplyRule as Rule;

/// One regular expression may take this much memory, and its automaton as much again.
const REGEX_BYTES: usize = 4 << 20;
/// Shorter words are in every other text.
const SHORTEST_WORD: usize = 3;
/// Words are cut to this: what follows tells little more, and makes the automaton larger than the processor's cache.
const LONGEST_WORD: usize = 12;
/// A rule with more words than this is tried on every text.
const MOST_WORDS: usize = 250;

/// The regular expressions of the rules that have one.
#[derive(Debug)]
pub(super) struct Texts {
    /// For each rule that has a text.
    regexes: Vec<Option<OnceLock<Regex>>>,
    words: OnceLock<Words>,
}

/// The words of all rules.
#[derive(Debug)]
struct Words {
    /// Case is ASCII's, and does not count.
    automaton: DFA,
    start: StateID,
    /// For each word, the rules that need it, and those of them that need nothing else.
    rules: Vec<(Marks, Marks)>,
    /// The rules that need no word, or have no text.
    wordless: Marks,
}

/// The most rules that there may be, in words of 64.
const WORDS_OF_MARKS: usize = 4;
/// The most rules that there may be: those of the program and of the campaign.
pub(super) const MOST_RULES: usize = WORDS_OF_MARKS * 64;

/// A set of rules by their number. Each reply makes two of them, so they are small and lie on the stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks([u64; WORDS_OF_MARKS]);

impl Marks {
    /// No rule.
    const NONE: Self = Self([0; WORDS_OF_MARKS]);

    /// Those of `rules` rules, at most [`MOST_RULES`], that `wanted` holds for.
    pub fn of(rules: usize, wanted: impl Fn(usize) -> bool) -> Self {
        let mut marks = Self::NONE;
        (0..rules).filter(|&rule| wanted(rule)).for_each(|rule| marks.add(rule));
        marks
    }

    fn add(&mut self, rule: usize) {
        self.0[rule / 64] |= 1 << (rule % 64);
    }

    fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(own, other)| *own |= other);
    }

    /// True when `rule` is one of them.
    pub fn has(&self, rule: usize) -> bool {
        self.0[rule / 64] & (1 << (rule % 64)) != 0
    }

    /// The rules that are in both sets, in order.
    pub fn both<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.0.iter().zip(&others.0).enumerate().flat_map(|(place, (own, other))| {
            let mut left = own & other;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(place * 64 + bit)
            })
        })
    }
}

impl Texts {
    pub fn new(rules: &[Rule]) -> Self {
        let regexes = rules.iter().map(|rule| rule.text.as_ref().map(|_| OnceLock::new())).collect();
        Self { regexes, words: OnceLock::new() }
    }

    /// Compiles all of them now, to find mistakes before a reply does.
    pub fn compile(&self, rules: &[Rule]) -> Result<(), RuleError> {
        for (rule, place) in rules.iter().zip(&self.regexes) {
            if let (Some(text), Some(place)) = (&rule.text, place) {
                let regex = compile(text).map_err(|why| rule::bad(rule, why))?;
                place.get_or_init(|| regex);
            }
        }
        Ok(())
    }

    /// The rules that `text` may fit, and those without a text of their own: no other fits. Then those of them that it fits for sure.
    pub fn candidates(&self, rules: &[Rule], text: &[u8]) -> (Marks, Marks) {
        let words = self.words.get_or_init(|| Words::new(rules));
        let mut marks = words.wordless;
        let mut sure = Marks::NONE;
        let automaton = &words.automaton;
        let mut state = words.start;
        for &byte in text {
            state = automaton.next_state(Anchored::No, state, byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                for place in 0..automaton.match_len(state) {
                    let (need, need_only) = &words.rules[automaton.match_pattern(state, place).as_usize()];
                    marks.add_all(need);
                    sure.add_all(need_only);
                }
            }
        }
        (marks, sure)
    }

    /// Whether `text` fits the regular expression of the rule with this number.
    pub fn fits(&self, rules: &[Rule], number: usize, text: &[u8]) -> bool {
        let (Some(pattern), Some(place)) = (&rules[number].text, &self.regexes[number]) else { return true };
        let regex = place.get_or_init(|| {
            compile(pattern)
                .expect("the campaign's rules were compiled before, and the tests compile the program's")
        });
        regex.is_match(text)
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .case_insensitive(true)
        .unicode(false)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| format!("its `text` is not a regular expression: {error}"))
}

impl Words {
    fn new(rules: &[Rule]) -> Self {
        let mut wordless = Marks::of(rules.len(), |number| rules[number].text.is_none());
        let mut owners: BTreeMap<Vec<u8>, (Marks, Marks)> = BTreeMap::new();
        for (number, rule) in rules.iter().enumerate() {
            let Some(text) = &rule.text else { continue };
            match words_of(text) {
                Some(words) => {
                    for word in words {
                        let (need, need_only) = owners.entry(word.text).or_insert((Marks::NONE, Marks::NONE));
                        need.add(number);
                        if word.suffices {
                            need_only.add(number);
                        }
                    }
                }
                None => wordless.add(number),
            }
        }
        let automaton = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .build(owners.keys())
            .expect("a few thousand letters are no automaton too large");
        let start = automaton.start_state(Anchored::No).expect("it is built for unanchored searches");
        Self { automaton, start, rules: owners.into_values().collect(), wordless }
    }
}

/// What each text that fits a rule holds, or may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    /// In lower case.
    text: Vec<u8>,
    /// Any text that holds it fits the rule.
    suffices: bool,
}

/// Words of which each text that fits `pattern` holds one; `None` when there are none.
fn words_of(pattern: &str) -> Option<Vec<Word>> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    let mut words = required(&parsed, true)?;
    for word in &mut words {
        word.suffices &= word.text.len() <= LONGEST_WORD;
        word.text.truncate(LONGEST_WORD);
        word.text.make_ascii_lowercase();
    }
    words.sort();
    words.dedup();
    (words.len() <= MOST_WORDS && shortest(&words) >= SHORTEST_WORD).then_some(words)
}

/// `whole` is true when what fits `part` fits all.
fn required(part: &Hir, whole: bool) -> Option<Vec<Word>> {
    match part.kind() {
        HirKind::Literal(literal) => Some(vec![Word { text: literal.0.to_vec(), suffices: whole }]),
        HirKind::Capture(capture) => required(&capture.sub, whole),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub, false),
        // Any of them will do: the one whose shortest word is the longest is found the least.
        HirKind::Concat(parts) => {
            let words = parts.iter().filter_map(|part| required(part, false));
            words.max_by_key(|words| (shortest(words), Reverse(words.len())))
        }
        HirKind::Alternation(parts) => {
            let words: Option<Vec<_>> = parts.iter().map(|part| required(part, whole)).collect();
            Some(words?.concat())
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

fn shortest(words: &[Word]) -> usize {
    words.iter().map(|word| word.text.len()).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that suffice have a `!` behind them.
    fn words(pattern: &str) -> Vec<String> {
        let shown = |word: Word| String::from_utf8(word.text).unwrap() + if word.suffices { "!" } else { "" };
        words_of(pattern).unwrap_or_default().into_iter().map(shown).collect()
    }

    #[test]
    fn words_are_what_no_fitting_text_can_lack() {
        let check = |pattern: &str, expected: &[&str]| assert_eq!(words(pattern), expected, "{pattern}");
        check("Greylist", &["greylist!"]);
        check(r"rate ?limit|\bthrottl|slow", &["limit", "slow!", "throttl"]);
        check(r"\[TSS?0[1-5]\]", &["[ts"]);
        check("(mailbox|inbox) is (full|closed)", &["inbox", "mailbox"]);
        check("(mailbox|inbox)", &["inbox!", "mailbox!"]);
        check("(abc)+x?", &["abc"]);
        check("(abc)?(defg)?", &[]);
        check("abc|[0-9]+", &[]);
        check("ab|cde", &[]);
        check("(?i)abc", &[]);
        check("a longer sentence", &["a longer sen"]);
    }

    #[test]
    fn few_rules_of_the_program_are_tried_on_every_text() {
        let rules = rule::parse(super::super::RULES).unwrap();
        let wordless =
            rules.iter().filter(|rule| rule.text.as_ref().is_some_and(|text| words_of(text).is_none()));
        let names: Vec<_> = wordless.map(|rule| rule.name.as_str()).collect();
        assert!(names.len() <= 3, "{names:?}");
    }

    /// For each rule and each text of any rule's tests: words never keep a rule from a text that it fits, nor give it one that it does not.
    #[test]
    fn words_say_what_the_regular_expressions_say() {
        let rules = rule::parse(super::super::RULES).unwrap();
        let texts = Texts::new(&rules);
        let samples = rules.iter().flat_map(|rule| &rule.tests).filter_map(|test| rule::sample(test));
        let (mut fitting, mut certain) = (0, 0);
        for reply in samples {
            let text = reply.text.to_ascii_uppercase();
            let (candidates, sure) = texts.candidates(&rules, text.as_bytes());
            for number in (0..rules.len()).filter(|&number| rules[number].text.is_some()) {
                let fits = texts.fits(&rules, number, text.as_bytes());
                assert!(candidates.has(number) || !fits, "`{}` is kept from {text}", rules[number].name);
                assert!(fits || !sure.has(number), "`{}` is given {text}", rules[number].name);
                fitting += usize::from(fits);
                certain += usize::from(sure.has(number));
            }
        }
        assert!(fitting > 100 && certain > 10, "{fitting} fits, {certain} for sure");
    }
}

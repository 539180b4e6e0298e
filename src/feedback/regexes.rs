//! Regular expressions in bounded memory: whatever texts come, and however many of these there are.
//!
//! An automaton remembers the states that texts led to, up to a limit, and then begins again with
//! none. Hostile texts reach all limits at once, so all of them together stay below what reading
//! may take.

use regex::bytes::{RegexSet, RegexSetBuilder};
use regex::{Regex, RegexBuilder};

/// One regular expression may take this much memory.
const REGEX_BYTES: usize = 8 << 20;
/// Memory for the states of a set; with less, varied texts take longer.
const SET_STATE_BYTES: usize = 3 << 19;
/// The same for a single one, in each direction: few texts reach one, or all look alike to it.
const STATE_BYTES: usize = 512 << 10;

/// One that a test has compiled.
pub(super) fn regex(text: &str) -> Regex {
    RegexBuilder::new(text)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(STATE_BYTES)
        .build()
        .expect("the tests compile it")
}

/// A set of them, without regard to the case of ASCII letters.
pub(super) fn set<'a>(texts: impl Iterator<Item = &'a str>) -> RegexSet {
    // Of bytes: words of other languages match as they are written, and the automata stay small.
    RegexSetBuilder::new(texts.map(of_bytes))
        .case_insensitive(true)
        .unicode(false)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(SET_STATE_BYTES)
        .build()
        .expect("the tests compile the rules")
}

/// Letters outside of ASCII as the bytes that they are. None may stand in a `[…]`.
fn of_bytes(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).bytes();
        let bytes: String = bytes.map(|byte| format!("\\x{byte:02X}")).collect();
        escaped.push_str(&format!("(?:{bytes})"));
    }
    escaped
}

//! What stdout can show.

use std::env;
use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

/// The characters of a line that is cut, elsewhere than on a terminal.
const COLUMNS: usize = 100;
/// Escape sequences (ECMA-48 §8.3.117) around words.
const RESET: &str = "\x1b[0m";

/// What stdout can show: elsewhere than on a terminal, plain lines of any length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Terminal {
    /// The characters of a line; `None` elsewhere than on a terminal.
    pub columns: Option<usize>,
    /// Whether colours are wanted (`NO_COLOR` says that they are not).
    pub has_colours: bool,
}

/// What a word says, as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Good,
    Doubtful,
    Bad,
    Faint,
}

impl Terminal {
    /// That of this process.
    pub(super) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::default();
        }
        let size = tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        // A terminal without a size says 0.
        Self { columns: (size > 0).then_some(size), has_colours: !is_set("NO_COLOR") && !is_dumb }
    }

    /// A word in its colour.
    pub(super) fn painted(self, colour: Colour, word: &str) -> String {
        if !self.has_colours {
            return word.to_owned();
        }
        let sequence = match colour {
            Colour::Good => "\x1b[32m",
            Colour::Doubtful => "\x1b[33m",
            Colour::Bad => "\x1b[1;31m",
            Colour::Faint => "\x1b[2m",
        };
        format!("{sequence}{word}{RESET}")
    }

    /// A line that fits, with `…` in place of what does not.
    pub(super) fn cut(self, line: &str) -> String {
        let columns = self.columns.unwrap_or(COLUMNS);
        if line.chars().count() <= columns {
            return line.to_owned();
        }
        line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_only_where_it_does_not_fit() {
        let wide = |columns| Terminal { columns, has_colours: false };
        assert_eq!(wide(Some(5)).cut("abcdef"), "abcd…");
        assert_eq!(wide(Some(6)).cut("äbcdef"), "äbcdef");
        assert_eq!(wide(None).cut("abcdef"), "abcdef");
        assert_eq!(wide(None).cut(&"x".repeat(101)).chars().count(), 100);
    }

    #[test]
    fn without_colours_a_word_is_only_a_word() {
        let plain = Terminal::default();
        assert_eq!(plain.painted(Colour::Bad, "refused"), "refused");
        let coloured = Terminal { has_colours: true, ..plain };
        assert_eq!(coloured.painted(Colour::Bad, "refused"), "\x1b[1;31mrefused\x1b[0m");
    }
}

//! Numbers and times as people read them, and places in a text.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with the words for one and for more: `1 row is`, `1,234 rows are`.
pub(crate) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { more })
}

/// A word as a shell reads it: as is where it can be, or else in quotes.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:+@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    // Within double quotes a shell still looks for these; an interactive one for `!` too.
    if word.contains('\'') && !word.contains(['"', '$', '`', '\\', '!']) {
        return Cow::Owned(format!("\"{word}\""));
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// A command of this program, to be pasted into a shell.
pub(crate) fn command<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.into_iter().map(shell_word).collect();
    format!("mailrun {}", words.join(" "))
}

/// A path as it is typed in this folder: relative where it is in it.
pub(crate) fn path_from_here(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let inside = here.as_ref().and_then(|here| path.strip_prefix(here).ok());
    inside.filter(|inside| !inside.as_os_str().is_empty()).unwrap_or(path).display().to_string()
}

/// The two largest units: `2h 5m`, `3m 20s`, `4.2s`, `310ms`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..=9 => format!("{:.1}s", duration.as_secs_f64()),
        10..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// The line and the column of the byte `offset` of `text`, both from 1; columns count characters.
///
/// # Panics
/// When `offset` is inside a character.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(counted(1, "row is", "rows are"), "1 row is");
        assert_eq!(counted(1_234, "row is", "rows are"), "1,234 rows are");
    }

    #[test]
    fn times_have_two_units() {
        for (ms, text) in
            [(310, "310ms"), (4_200, "4.2s"), (59_000, "59s"), (200_000, "3m 20s"), (7_500_000, "2h 5m")]
        {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn places_in_a_text() {
        let text = "ab\nüx\n";
        for (offset, place) in [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 2)), (99, (3, 1))] {
            assert_eq!(line_and_column(text, offset), place);
        }
    }
}

//! How often each of many reasons was given, in bounded memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// How many different reasons are counted by themselves: a list with more of them has one for every
/// row, and no use for counts.
const MOST: usize = 64;

/// Reasons, how often each was given, and for what first. Reasons that differ in a value only are
/// one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    counts: BTreeMap<Box<str>, Given>,
    /// Those beyond the ones counted by themselves.
    more: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    times: u64,
    /// As it was given first, and where.
    first: (Box<str>, Box<str>),
}

/// A reason that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cause<'a> {
    /// The reason; without its value where it was given more than once.
    pub why: &'a str,
    /// How often.
    pub rows: u64,
    /// Where it was given first: file and row.
    pub example: &'a str,
}

impl Causes {
    /// Counts a reason that was given at `place`.
    pub(crate) fn add(&mut self, why: &str, place: impl FnOnce() -> String) {
        let cause = without_value(why);
        if let Some(given) = self.counts.get_mut(&*cause) {
            given.times += 1;
        } else if self.counts.len() < MOST {
            let first = (why.into(), place().into());
            self.counts.insert(cause.into(), Given { times: 1, first });
        } else {
            self.more += 1;
        }
    }

    /// At most so many reasons, the most frequent first, and how often others were given.
    pub(crate) fn top(&self, most: usize) -> (Vec<Cause<'_>>, u64) {
        let mut sorted: Vec<Cause<'_>> = (self.counts.iter())
            .map(|(cause, Given { times, first: (why, example) })| {
                let why = if *times == 1 { why } else { cause };
                Cause { why, rows: *times, example }
            })
            .collect();
        sorted.sort_by_key(|cause| std::cmp::Reverse(cause.rows));
        let rest: u64 = sorted.iter().skip(most).map(|cause| cause.rows).sum();
        sorted.truncate(most);
        (sorted, self.more + rest)
    }
}

/// A reason with `…` in place of the value that it names: the same mistake in two rows is one
/// cause. What is quoted in the middle of a sentence is no value: a column, `@`, a format.
fn without_value(why: &str) -> Cow<'_, str> {
    let (number, rest) = why.split_at(why.find(|c: char| !c.is_ascii_digit()).unwrap_or(0));
    if !number.is_empty()
        && let Some(rest) = rest.strip_prefix(" fields, ").or_else(|| rest.strip_prefix(" field, "))
    {
        return format!("… fields, {rest}").into();
    }
    // Values may hold quotes themselves.
    const ENDS: [&str; 3] = ["` does not read as ", "` is not ", "' in the local part"];
    let end = ENDS.iter().filter_map(|end| why.find(end)).min();
    let start = |quote: &str| why.find(quote).map(|at| at + quote.len());
    let start = start(": `").or_else(|| start(": character '"));
    match (start, end) {
        (Some(start), Some(end)) if start <= end => format!("{}…{}", &why[..start], &why[end..]).into(),
        _ => why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_memory_is_bounded() {
        let mut causes = Causes::default();
        for (row, why) in ["no `@`", "too long", "no `@`", "empty"].into_iter().enumerate() {
            causes.add(why, || format!("a.csv, row {row}"));
        }
        let cause = |why, rows, example| Cause { why, rows, example };
        let expected = vec![cause("no `@`", 2, "a.csv, row 0"), cause("empty", 1, "a.csv, row 3")];
        assert_eq!(causes.top(2), (expected, 1));
        for n in 0..1_000 {
            causes.add(&format!("`{n}` is new"), || "b.csv".to_owned());
        }
        causes.add("too long", || unreachable!("it was given before"));
        let (top, more) = causes.top(2);
        let expected = vec![cause("no `@`", 2, "a.csv, row 0"), cause("too long", 2, "a.csv, row 1")];
        assert_eq!((top, more), (expected, 1_001));
        assert_eq!(causes.counts.len(), MOST);
    }

    #[test]
    fn a_reason_that_was_given_once_keeps_its_value() {
        let mut causes = Causes::default();
        let add = |causes: &mut Causes, name: &str| {
            causes.add(&format!("bad address: `{name}` is not a domain name"), String::new);
        };
        add(&mut causes, "x y");
        assert_eq!(causes.top(1).0[0].why, "bad address: `x y` is not a domain name");
        add(&mut causes, "z");
        assert_eq!(causes.top(1).0[0].why, "bad address: `…` is not a domain name");
    }

    #[test]
    fn reasons_that_differ_in_a_value_are_one() {
        let check = |why, expected| assert_eq!(without_value(why), expected);
        check(
            "column `n`: `seven` does not read as a whole number",
            "column `n`: `…` does not read as a whole number",
        );
        check("column `n`: `a` b` does not read as a date", "column `n`: `…` does not read as a date");
        check(
            "column `d`: `1.2` is not written as `%d.%m.%Y`",
            "column `d`: `…` is not written as `%d.%m.%Y`",
        );
        check("bad address: `x y` is not a domain name", "bad address: `…` is not a domain name");
        check("bad address: character 'ü' in the local part", "bad address: character '…' in the local part");
        check("10 fields, the header has 9", "… fields, the header has 9");
        check("1 field, the list has 9", "… fields, the list has 9");
        for kept in [
            "bad address: no `@`",
            "bad address: not of the form `Name <local@domain>`",
            "`member_since` has no value (welcome.hbs:3:18)",
            "column `name` holds a NUL character",
            "",
        ] {
            check(kept, kept);
        }
    }
}

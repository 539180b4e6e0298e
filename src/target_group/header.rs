//! The names of a file's columns: trimmed and unique.

use std::collections::HashMap;

use super::error::{TargetGroupError, list};
use crate::campaign::NamedIn;
use crate::kit::nearest::nearest;

/// Trims the names and calls a column without one by its number: `column_3`. A repeated name is an
/// error.
pub(super) fn names(given: impl IntoIterator<Item = String>) -> Result<Vec<String>, TargetGroupError> {
    let mut names: Vec<String> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, given) in given.into_iter().enumerate() {
        let name = match given.trim() {
            "" => format!("column_{}", index + 1),
            name => name.to_owned(),
        };
        if let Some(first) = seen.insert(name.clone(), index) {
            return Err(TargetGroupError::new(format!(
                "two columns are called `{name}`: the {} and the {}",
                ordinal(first + 1),
                ordinal(index + 1)
            ))
            .at_column(&name)
            .hint("rename one of them: templates can't distinguish them"));
        }
        names.push(name);
    }
    Ok(names)
}

/// The error for a missing column `name`. `columns` exist, and `key` of the campaign file or
/// `--column` names it.
pub(super) fn missing(name: &str, key: &str, named_in: NamedIn, columns: &[&str]) -> TargetGroupError {
    let mut hint = match nearest(name, columns.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`? "),
        None => String::new(),
    };
    if columns.iter().any(|column| column.contains('@')) {
        hint.push_str("the first line looks like a row: a header line with the columns' names is needed; ");
    }
    let problem = match named_in {
        NamedIn::Campaign => format!("no column `{name}`, which `target-group.{key}` names"),
        NamedIn::CommandLine => {
            hint.push_str("`--column` names another one; ");
            format!("no column `{name}`")
        }
    };
    hint.push_str("the columns are ");
    hint.push_str(&list(columns.iter().copied()));
    TargetGroupError::new(problem).at_column(name).hint(hint)
}

fn ordinal(number: usize) -> String {
    let suffix = match (number % 10, number % 100) {
        (1, last) if last != 11 => "st",
        (2, last) if last != 12 => "nd",
        (3, last) if last != 13 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(given: &[&str]) -> Result<Vec<String>, String> {
        names(given.iter().map(|&name| name.to_owned())).map_err(|error| error.problem)
    }

    #[test]
    fn names_are_trimmed_and_unique() {
        assert_eq!(
            named(&[" email ", "", "\tname"]),
            Ok(vec!["email".into(), "column_2".into(), "name".into()])
        );
        assert_eq!(
            named(&["email", "x", " email"]),
            Err("two columns are called `email`: the 1st and the 3rd".into())
        );
        assert_eq!(
            named(&["column_2", ""]),
            Err("two columns are called `column_2`: the 1st and the 2nd".into())
        );
    }

    #[test]
    fn a_missing_column_names_the_nearest_and_all() {
        let error = missing("emial", "email", NamedIn::Campaign, &["id", "email", "name"]);
        assert_eq!(error.problem, "no column `emial`, which `target-group.email` names");
        assert_eq!(
            error.hint.as_deref(),
            Some("did you mean `email`? the columns are `id`, `email`, `name`")
        );
        let error = missing("email", "email", NamedIn::Campaign, &["bob@example.com", "Bob"]);
        assert!(error.hint.unwrap().contains("looks like a row"));
        let many: Vec<String> = (0..25).map(|n| format!("c{n}")).collect();
        let error =
            missing("zzz", "id", NamedIn::Campaign, &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(error.hint.unwrap().ends_with("`c19` and 5 more"));
    }
}

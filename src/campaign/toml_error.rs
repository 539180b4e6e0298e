//! What the TOML reader says, in this program's words.

use crate::kit::nearest::nearest;

/// What the reader says where one of several words is needed and the value is no text.
pub(super) const NO_WORD: &str = "wanted string or table";

/// A problem, and what to do where that is known.
pub(super) type Said = (String, Option<String>);

/// `message` is the reader's, `line` the line of the file that it is about.
pub(super) fn in_our_words(message: &str, line: Option<&str>) -> Said {
    let message = message.trim().replace('\n', ", ");
    let key = line.and_then(key_of);
    unquoted(&message, line)
        .or_else(|| unknown(&message))
        .or_else(|| missing(&message))
        .or_else(|| brackets(&message, line))
        .or_else(|| wrong_type(&message, key))
        .unwrap_or((message, None))
}

/// The key of a line such as `per-hour = 1`.
fn key_of(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '"');
    (!key.is_empty() && key.chars().all(fits)).then_some(key)
}

/// A text without its quotes: `kind = news`. The reader takes it for `nan`, `inf` or `true`.
fn unquoted(message: &str, line: Option<&str>) -> Option<Said> {
    let is_syntax = ["invalid float", "invalid boolean", "string values must be quoted", "invalid string"]
        .into_iter()
        .any(|start| message.starts_with(start));
    let (key, value) = line?.split_once('=').filter(|_| is_syntax)?;
    let (key, value) = (key.trim(), value.split('#').next()?.trim());
    let starts_a_text = value.starts_with(|c: char| c.is_alphabetic());
    (starts_a_text && !value.contains(['"', '\''])).then(|| {
        let hint = format!("write {key} = \"{value}\"");
        (format!("the text `{value}` needs quotes"), Some(hint))
    })
}

fn unknown(message: &str) -> Option<Said> {
    let is_value = message.starts_with("unknown variant");
    if !is_value && !message.starts_with("unknown field") {
        return None;
    }
    let (found, expected) = message.split_once(", ").unwrap_or((message, ""));
    let found = found.split('`').nth(1)?;
    let known = expected.split('`').skip(1).step_by(2);
    let what = if is_value { "value" } else { "key" };
    let hint = nearest(found, known).map(|name| format!("did you mean `{name}`?"));
    Some((format!("unknown {what} `{found}`, {expected}"), hint))
}

fn missing(message: &str) -> Option<Said> {
    let key = message.strip_prefix("missing field ")?;
    Some((format!("the key {key} is missing"), Some("add it to its table".into())))
}

/// One table where there may be several, or the other way round: `[egress]`, `[[sender]]`.
fn brackets(message: &str, line: Option<&str>) -> Option<Said> {
    let header = line?.trim();
    let name = header.strip_prefix('[')?.split(']').next()?.trim_start_matches('[');
    let (found, expected) = message.strip_prefix("invalid type: ")?.rsplit_once(", expected ")?;
    match (found, header.starts_with("[[")) {
        ("map", false) if expected == "a sequence" => {
            Some((format!("there may be several of `{name}`"), Some(format!("write [[{name}]]"))))
        }
        // A table that is read from a list takes the list's first table for its first value.
        ("map" | "sequence", true) => Some((
            format!("`[[{name}]]` can't be used here"),
            Some(format!("a table that is there only once is written [{name}]")),
        )),
        _ => None,
    }
}

/// A value of another type: `invalid type: string "many", expected u64`.
fn wrong_type(message: &str, key: Option<&str>) -> Option<Said> {
    if message == NO_WORD {
        let what = key.map_or("the value".to_owned(), |key| format!("`{key}`"));
        return Some((format!("{what} must be a text in quotes"), None));
    }
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let wanted = match expected.trim_start_matches("a ").trim_start_matches("an ") {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" | "integer" => "a whole number",
        "f32" | "f64" | "float" => "a number",
        "boolean" => "`true` or `false`",
        "string" | "borrowed string" | "character" => "a text in quotes",
        "sequence" => "a list in `[ ]`",
        "map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => return Some((format!("{} can't be used: {other} is needed", value(found)), None)),
    };
    let what = key.map_or(String::new(), |key| format!("`{key}` is "));
    Some((format!("{what}{}, and must be {wanted}", value(found)), None))
}

/// A value as the reader names it.
fn value(found: &str) -> String {
    let kinds = [("string ", "the text "), ("integer ", ""), ("floating point ", ""), ("boolean ", "")];
    for (theirs, ours) in kinds {
        if let Some(rest) = found.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    match found {
        "sequence" => "a list".into(),
        "map" => "a table".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Campaign;

    fn check(from: &str, to: &str, problem: &str, hint: Option<&str>) {
        let text = "[campaign]\nid = \"x\"\nkind = \"news\"\n[sender]\nfrom = \"a@example.com\"\n[target-group]\n\
                    files = [\"a.csv\"]\n[template]\nsubject = \"x\"\ntext = \"a.hbs\"\n[capacity]\nper-hour = 9000\n\
                    [delivery]\nroute = \"sandbox\"\n";
        assert!(text.contains(from), "{from}");
        let error = Campaign::parse(&text.replace(from, to), "c.toml".as_ref()).unwrap_err();
        assert_eq!((error.problem.as_str(), error.hint.as_deref()), (problem, hint), "{to}");
    }

    #[test]
    fn no_word_of_the_reader_reaches_people() {
        check("[capacity]", "[egress]", "there may be several of `egress`", Some("write [[egress]]"));
        check(
            "[capacity]",
            "[[capacity]]",
            "`[[capacity]]` can't be used here",
            Some("a table that is there only once is written [capacity]"),
        );
        check("\"news\"", "news", "the text `news` needs quotes", Some("write kind = \"news\""));
        check("\"news\"", "update", "the text `update` needs quotes", Some("write kind = \"update\""));
        check("\"news\"", "inform", "the text `inform` needs quotes", Some("write kind = \"inform\""));
        check(
            "\"news\"",
            "true-news",
            "the text `true-news` needs quotes",
            Some("write kind = \"true-news\""),
        );
        let kinds = "expected one of `news`, `update`, `alarm`";
        check(
            "\"news\"",
            "\"mews\"",
            &format!("unknown value `mews`, {kinds}"),
            Some("did you mean `news`?"),
        );
        check("\"news\"", "\"x\"", &format!("unknown value `x`, {kinds}"), None);
        let many = "`per-hour` is the text \"many\", and must be a whole number, 0 or more";
        check("9000", "\"many\"", many, None);
        check("9000", "-1", "`per-hour` is `-1`, and must be a whole number, 0 or more", None);
        check("9000", "1.5", "`per-hour` is `1.5`, and must be a whole number, 0 or more", None);
        check("[\"a.csv\"]", "\"a.csv\"", "`files` is the text \"a.csv\", and must be a list in `[ ]`", None);
        check("subject = \"x\"", "subject = 5", "`subject` is `5`, and must be a text in quotes", None);
        check("id = \"x\"\n", "", "the key `id` is missing", Some("add it to its table"));
        let dsn = "[delivery.dsn]\nnotfy = [\"never\"]\n[delivery]";
        let unknown = "unknown key `notfy`, expected `notify` or `ret`";
        check("[delivery]", dsn, unknown, Some("did you mean `notify`?"));
    }
}

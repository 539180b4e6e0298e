//! What `--json` prints: one object, in one form for every command.
//!
//! It begins with `schema_version` and the `exit_code`; keys are in snake_case, times in RFC 3339,
//! durations in seconds. `docs/json.schema.json` describes the object of each command, and
//! `tests/suite/json.rs` holds it against what is printed.

use clap::ArgMatches;
use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out_json;
use crate::job::SCHEMA_VERSION;
pub(super) use crate::kit::json::extend;
use crate::kit::outside_text;

/// Prints the answer of a command that ends with `exit`.
pub(super) fn print(exit: Exit, answer: Value) -> Result<Exit, Diagnostic> {
    out_json(&document(exit, answer))?;
    Ok(exit)
}

/// Prints why a command failed. Whoever reads stdout may be gone; stderr says it too.
pub(super) fn print_error(diagnostic: &Diagnostic) {
    let mut answer = diagnostic.run().cloned().unwrap_or_else(|| json!({}));
    answer["error"] = diagnostic.json();
    let _ = print(diagnostic.code(), answer);
}

/// One of many answers of a command: an object on a line of its own.
pub(super) fn line(answer: Value) -> String {
    outside_text::json(&versioned(json!({}), answer).to_string()).into_owned()
}

fn document(exit: Exit, answer: Value) -> Value {
    versioned(json!({ "exit_code": exit.code() }), answer)
}

fn versioned(head: Value, answer: Value) -> Value {
    let mut document = json!({ "schema_version": SCHEMA_VERSION });
    for part in [head, answer] {
        extend(&mut document, part);
    }
    document
}

/// Whether the command has `--json`.
pub(super) fn is_wanted(matches: &ArgMatches) -> bool {
    matches.try_get_one::<bool>("json").is_ok_and(|json| json == Some(&true))
        || matches.subcommand().is_some_and(|(_, matches)| is_wanted(matches))
}

/// The same for arguments that can't be understood.
pub(super) fn is_among(args: &[String]) -> bool {
    args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

/// An error of clap. Its paragraphs are what is wrong, then tips, the usage, and where help is.
pub(super) fn of_clap(error: &clap::Error) -> Diagnostic {
    let text = error.render().to_string();
    let on_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.split("\n\n").map(on_one_line);
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    let hints = paragraphs.filter(|text| text.starts_with("tip:") || text.starts_with("Usage:"));
    let hint = hints.map(|text| text.trim_start_matches("tip: ").to_owned()).collect::<Vec<_>>().join("; ");
    Diagnostic::new(message).maybe_hint((!hint.is_empty()).then_some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_in_arguments_that_cant_be_understood() {
        let check = |args: &[&str], found: bool| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            assert_eq!(is_among(&args), found, "{args:?}");
        };
        check(&["mailrun", "send", "--json", "--bad"], true);
        check(&["mailrun", "send", "--jsonx"], false);
        check(&["mailrun", "send", "--", "--json"], false);
    }

    #[test]
    fn an_error_of_the_command_line_has_a_message_and_a_hint() {
        let error = crate::cli::command().try_get_matches_from(["mailrun", "send", "--limitt", "1"]);
        let diagnostic = of_clap(&error.unwrap_err());
        let json = diagnostic.json();
        assert_eq!(json["message"], "unexpected argument '--limitt' found");
        let hint = json["hint"].as_str().unwrap();
        assert!(hint.starts_with("a similar argument exists: '--limit'; Usage: mailrun send"), "{hint}");
    }
}

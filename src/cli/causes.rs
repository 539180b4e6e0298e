//! Reasons behind counts.

use serde_json::{Value, json};

use super::table::table;
use crate::kit::causes::Causes;
use crate::kit::outside_text;
use crate::kit::text::grouped;

/// Reasons that are listed.
const LISTED: usize = 5;

/// The most frequent reasons below a heading; nothing where there are none.
pub(super) fn text(heading: &str, causes: &Causes) -> String {
    let (top, more) = causes.top(LISTED);
    if top.is_empty() {
        return String::new();
    }
    let mut rows: Vec<Vec<String>> = top
        .iter()
        .map(|cause| {
            let why = format!("{}, as in {}", cause.why, cause.example);
            vec![format!("  {}", outside_text::line(&why)), grouped(cause.rows)]
        })
        .collect();
    if more > 0 {
        rows.push(vec!["  other reasons".into(), grouped(more)]);
    }
    format!("\n  {heading}\n{}", table(&rows))
}

/// The same for programs.
pub(super) fn json(causes: &Causes) -> Value {
    let (top, more) = causes.top(LISTED);
    let top: Vec<Value> = top
        .iter()
        .map(|cause| json!({ "why": cause.why, "rows": cause.rows, "example": cause.example }))
        .collect();
    json!({ "causes": top, "other": more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_from_outside_stays_in_its_line() {
        let mut causes = Causes::default();
        causes.add("no `a\n\u{1b}[2J\u{202e}b`", || "a\n.csv, row 1".to_owned());
        let text = text("why", &causes);
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}

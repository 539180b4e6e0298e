//! Charts as inline SVG.

use maud::{Markup, html};

use crate::kit::text::grouped;

/// A chart of columns is drawn in this many units, and scaled to the page.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 220.0;
/// Room above the columns for the limit's name, and below them for the first and last label.
const ABOVE: f64 = 18.0;
const BELOW: f64 = 20.0;

/// A bar of `part` of `whole`.
pub(crate) fn bar(part: u64, whole: u64) -> Markup {
    let width = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    html! {
        svg viewBox="0 0 100 4" preserveAspectRatio="none" height="10" aria-hidden="true" {
            // A part that is there can be seen.
            @if part > 0 { rect class="bar" width=(format!("{:.2}", width.max(0.4))) height="4" {} }
        }
    }
}

/// A column of a chart.
pub(crate) struct Column {
    /// What it stands for.
    pub label: String,
    /// Its height.
    pub value: u64,
}

/// Columns, and the limit that none should exceed.
pub(crate) fn columns(title: &str, columns: &[Column], limit: u64, limit_label: &str) -> Markup {
    let most = columns.iter().map(|column| column.value).max().unwrap_or(0);
    // A limit far above all columns would make them invisible.
    let shows_limit = limit <= most.saturating_mul(4);
    let top = if shows_limit { most.max(limit) } else { most }.max(1) as f64;
    let (floor, room) = (HEIGHT - BELOW, HEIGHT - BELOW - ABOVE);
    let step = WIDTH / columns.len().max(1) as f64;
    let height = |value: u64| value as f64 / top * room;
    let unit = |number: f64| format!("{number:.2}");
    let at = |value: u64| unit(floor - height(value));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
            @for (number, column) in columns.iter().enumerate() {
                rect class="bar" x=(unit(number as f64 * step)) y=(at(column.value))
                    width=(unit((step * 0.85).min(60.0))) height=(unit(height(column.value))) {
                    title { (column.label) ": " (grouped(column.value)) }
                }
            }
            line class="axis" x1="0" x2=(WIDTH) y1=(floor) y2=(floor) {}
            @if shows_limit {
                line class="limit" x1="0" x2=(WIDTH) y1=(at(limit)) y2=(at(limit)) {}
                text x="4" y=(unit(floor - height(limit) - 5.0)) { (limit_label) }
            }
            @if let (Some(first), Some(last)) = (columns.first(), columns.last()) {
                text x="0" y=(HEIGHT - 4.0) { (first.label) }
                @if columns.len() > 1 {
                    text x=(WIDTH) y=(HEIGHT - 4.0) text-anchor="end" { (last.label) }
                }
            }
        }
    }
}

/// A column of several parts, one above the other.
pub(super) struct Stack {
    /// What it stands for.
    pub label: String,
    /// From below: the class that gives its colour, its name, and its height.
    pub parts: Vec<(&'static str, &'static str, u64)>,
}

/// Columns of parts, and how high the highest is.
pub(super) fn stacks(title: &str, stacks: &[Stack]) -> Markup {
    let sum = |stack: &Stack| stack.parts.iter().fold(0_u64, |sum, (_, _, value)| sum.saturating_add(*value));
    let most = stacks.iter().map(sum).max().unwrap_or(0);
    let (floor, room) = (HEIGHT - BELOW, HEIGHT - BELOW - ABOVE);
    let step = WIDTH / stacks.len().max(1) as f64;
    let unit = |number: f64| format!("{number:.2}");
    let height = |value: u64| value as f64 / most.max(1) as f64 * room;
    let column = |number: usize, stack: &Stack| {
        let bars = stack.parts.iter().filter(|(_, _, value)| *value > 0).scan(0_u64, |below, part| {
            let bottom = *below;
            *below = bottom.saturating_add(part.2);
            Some((part, bottom, *below))
        });
        html! {
            @for ((class, name, value), bottom, top) in bars {
                rect class=(format!("bar {class}")) x=(unit(number as f64 * step)) y=(unit(floor - height(top)))
                    width=(unit((step * 0.85).min(60.0))) height=(unit(height(top) - height(bottom))) {
                    title { (stack.label) ": " (grouped(*value)) " " (name) }
                }
            }
        }
    };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
            @for (number, stack) in stacks.iter().enumerate() { (column(number, stack)) }
            line class="axis" x1="0" x2=(WIDTH) y1=(floor) y2=(floor) {}
            text x="0" y="12" { "most: " (grouped(most)) }
            @if let (Some(first), Some(last)) = (stacks.first(), stacks.last()) {
                text x="0" y=(HEIGHT - 4.0) { (first.label) }
                @if stacks.len() > 1 {
                    text x=(WIDTH) y=(HEIGHT - 4.0) text-anchor="end" { (last.label) }
                }
            }
        }
    }
}

/// A small chart in a table's cell: what is right and what is not, column by column.
pub(super) fn spark(columns: &[(u64, u64)]) -> Markup {
    let most = columns.iter().map(|(right, wrong)| right.saturating_add(*wrong)).max().unwrap_or(0).max(1);
    let height = |value: u64| value as f64 / most as f64 * 20.0;
    let unit = |number: f64| format!("{number:.2}");
    html! {
        svg class="spark" viewBox=(format!("0 0 {} 20", columns.len().max(1) * 5)) preserveAspectRatio="none"
            aria-hidden="true" {
            @for (number, (right, wrong)) in columns.iter().enumerate() {
                @if *wrong > 0 {
                    rect class="bar bad" x=(number * 5) width="4"
                        y=(unit(20.0 - height(right.saturating_add(*wrong)))) height=(unit(height(*wrong))) {}
                }
                @if *right > 0 {
                    rect class="bar good" x=(number * 5) width="4" y=(unit(20.0 - height(*right)))
                        height=(unit(height(*right))) {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_high_as_their_values() {
        let column = |value| Column { label: format!("<{value}>"), value };
        let chart = columns("t", &[column(50), column(100)], 100, "agreed").into_string();
        // 182 units of room: half of it, and all of it, up to the line of the limit.
        assert!(chart.contains("y=\"109.00\" width=\"60.00\" height=\"91.00\""), "{chart}");
        assert!(chart.contains("y=\"18.00\" width=\"60.00\" height=\"182.00\""), "{chart}");
        assert!(chart.contains("class=\"limit\" x1=\"0\" x2=\"1000\" y1=\"18.00\""), "{chart}");
        assert!(chart.contains("&lt;50&gt;: 50") && !chart.contains("<50>"), "{chart}");
        let far = columns("t", &[column(10)], 41, "agreed").into_string();
        assert!(!far.contains("limit"), "{far}");
        assert!(!columns("t", &[], 0, "agreed").into_string().contains("NaN"));
    }

    #[test]
    fn parts_stand_on_one_another() {
        let stack = |parts: &[u64]| Stack {
            label: "<a>".into(),
            parts: parts.iter().map(|value| ("good", "ours", *value)).collect(),
        };
        let chart = stacks("t", &[stack(&[50, 50]), stack(&[]), stack(&[0, 25])]).into_string();
        assert!(chart.contains("x=\"0.00\" y=\"109.00\" width=\"60.00\" height=\"91.00\""), "{chart}");
        assert!(chart.contains("x=\"0.00\" y=\"18.00\" width=\"60.00\" height=\"91.00\""), "{chart}");
        assert!(chart.contains("x=\"666.67\" y=\"154.50\" width=\"60.00\" height=\"45.50\""), "{chart}");
        assert_eq!(chart.matches("<rect").count(), 3);
        assert!(chart.contains("&lt;a&gt;: 50 ours") && !chart.contains("<a>"), "{chart}");
        assert!(!stacks("t", &[]).into_string().contains("NaN"));
    }

    #[test]
    fn a_spark_has_a_column_for_each_week() {
        let chart = spark(&[(3, 1), (0, 0), (2, 0)]).into_string();
        assert!(chart.contains("viewBox=\"0 0 15 20\""), "{chart}");
        assert!(
            chart.contains("class=\"bar bad\" x=\"0\" width=\"4\" y=\"0.00\" height=\"5.00\""),
            "{chart}"
        );
        assert!(
            chart.contains("class=\"bar good\" x=\"0\" width=\"4\" y=\"5.00\" height=\"15.00\""),
            "{chart}"
        );
        assert!(
            chart.contains("class=\"bar good\" x=\"10\" width=\"4\" y=\"10.00\" height=\"10.00\""),
            "{chart}"
        );
        assert_eq!(chart.matches("<rect").count(), 3);
        assert!(!spark(&[]).into_string().contains("NaN"));
    }

    #[test]
    fn a_part_that_is_there_can_be_seen() {
        assert!(bar(1, 1_000_000).into_string().contains("width=\"0.40\""));
        assert!(bar(1, 4).into_string().contains("width=\"25.00\""));
        assert!(!bar(0, 0).into_string().contains("rect"));
    }
}

//! The page of one run.

use std::time::Duration;

use maud::{Markup, html};

use super::chart::{self, Column};
use super::table::{Cell, Head, Holds};
use crate::campaign::ByteSize;
use crate::kit::text::{counted, duration, grouped};
use crate::mail::{Disposition, Timestamp};
use crate::results::{Latency, Summary};

/// More five-minute slots than a day has are shown by the hour.
const MOST_COLUMNS: usize = 288;

/// What a report tells of a run.
#[derive(Debug)]
pub(crate) struct RunFacts<'a> {
    /// `campaign/run`.
    pub name: &'a str,
    /// How it is or how it ended, in words.
    pub state: String,
    /// Its results.
    pub summary: &'a Summary,
    /// What was used of the agreement, in order of time.
    pub slots: &'a [Slot],
    /// What came back since, by kind.
    pub came_back: &'a [(&'static str, u64)],
    /// The agreement: messages an hour, and in five minutes.
    pub per_hour: u64,
    pub per_slot: u64,
    /// When the report was made.
    pub at: Timestamp,
}

/// Five minutes in which something was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// When they began.
    pub start: Timestamp,
    /// As how many messages the attempts in them count.
    pub used: u64,
}

/// The page's content.
pub(crate) fn run(facts: &RunFacts<'_>) -> Markup {
    let RunFacts { name, state, at, .. } = facts;
    html! {
        h1 { (name) }
        p class="faint" { (state) "; report of " (at.to_string()) }
        (parts(facts))
    }
}

/// The content without the page's heading.
pub(crate) fn parts(facts: &RunFacts<'_>) -> Markup {
    let summary = facts.summary;
    html! {
        h2 { "Outcome of " (counted(summary.rows, "row", "rows")) }
        (outcome(summary))
        @if !summary.causes.is_empty() { (causes(summary)) }
        @if !facts.slots.is_empty() { (rate(facts)) }
        @if !summary.variants.is_empty() { (variants(summary)) }
        @if !summary.domains.is_empty() { (domains(summary)) }
        @if !facts.came_back.is_empty() { (came_back(facts)) }
        @if let Some(latency) = summary.latency { (latencies(latency)) }
    }
}

fn outcome(summary: &Summary) -> Markup {
    let classes = summary.classes.iter();
    html! {
        table {
            @for (disposition, rows) in summary.dispositions.iter().filter(|(_, rows)| *rows > 0) {
                (shared(disposition.as_str(), *rows, summary.rows, tone(*disposition)))
            }
        }
        @if !summary.classes.is_empty() {
            h2 { "Why recipients were not accepted" }
            table {
                @for (class, rows) in classes { (shared(class.as_str(), *rows, summary.rows, "bad")) }
            }
        }
        @if !summary.seeds.is_empty() {
            p class="faint" {
                "copies for seed addresses, which count in none of this:"
                @for (disposition, rows) in &summary.seeds { " " (grouped(*rows)) " " (disposition.as_str()) }
            }
        }
    }
}

/// A line with its share of the whole.
fn shared(what: &str, part: u64, whole: u64, tone: &str) -> Markup {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    html! {
        tr class=(tone) {
            td { (what) }
            td class="number" { (grouped(part)) }
            td class="number" { (format!("{percent:.1} %")) }
            td class="share" { (chart::bar(part, whole)) }
        }
    }
}

/// The class that colours what ended so.
pub(crate) fn tone(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Accepted => "good",
        Disposition::Bounced | Disposition::RenderFailed | Disposition::Infected | Disposition::Invalid => {
            "bad"
        }
        Disposition::Deferred | Disposition::InDoubt => "doubtful",
        _ => "other",
    }
}

fn causes(summary: &Summary) -> Markup {
    html! {
        h2 { "Why rows were not sent" }
        table {
            @for cause in &summary.causes {
                tr {
                    td { (cause.disposition.as_str()) }
                    td { (cause.why.as_deref().unwrap_or("other reasons")) }
                    td class="number" { (grouped(cause.rows)) }
                    td { @if let Some(example) = &cause.example { "as in " (example) } }
                }
            }
        }
    }
}

/// The time with what was sent in it, beside what was agreed.
fn rate(facts: &RunFacts<'_>) -> Markup {
    let RunFacts { summary, slots, per_hour, per_slot, .. } = facts;
    let (length, limit) = match slots {
        [first, .., last] if last.start.since(first.start).as_secs() / 300 >= MOST_COLUMNS as u64 => {
            (3_600, *per_hour)
        }
        _ => (300, *per_slot),
    };
    let columns = columns(slots, length);
    let title = if length == 300 { "Sent in five minutes" } else { "Sent in an hour" };
    let label = format!("agreed: at most {}", grouped(limit));
    html! {
        h2 { (title) ", beside the agreement" }
        (chart::columns(title, &columns, limit, &label))
        p class="faint" {
            (counted(summary.attempts, "attempt", "attempts")) ", " (ByteSize(summary.bytes))
            @if let (Some(first), Some(last)) = (summary.first_attempt_at, summary.last_attempt_at) {
                " in " (duration(last.since(first)))
            }
            "; agreed: " (grouped(*per_hour)) " an hour, " (grouped(*per_slot)) " in five minutes"
        }
        details {
            summary { "as a table" }
            table {
                thead { tr { th { "from" } th class="number" { "messages" } th class="number" { "of the agreement" } } }
                @for column in columns.iter().filter(|column| column.value > 0) {
                    tr {
                        td { (column.label) }
                        td class="number" { (grouped(column.value)) }
                        td class="number" { (format!("{:.1} %", column.value as f64 * 100.0 / limit.max(1) as f64)) }
                    }
                }
            }
        }
    }
}

/// A column for each window of `length` seconds from the first to the last slot, those in which
/// nothing was sent too. A pause that is longer than the chart is wide is left out.
fn columns(slots: &[Slot], length: i64) -> Vec<Column> {
    let window = |slot: &Slot| slot.start.seconds() / length;
    let mut columns: Vec<(i64, u64)> = Vec::new();
    for slot in slots {
        let this = window(slot);
        match columns.last_mut() {
            Some((last, used)) if *last == this => *used += slot.used,
            Some((last, _)) => {
                let pause = *last + 1..this;
                if pause.end - pause.start <= MOST_COLUMNS as i64 {
                    columns.extend(pause.map(|empty| (empty, 0)));
                }
                columns.push((this, slot.used));
            }
            None => columns.push((this, slot.used)),
        }
    }
    let label = |window: i64| Timestamp(window * length * 1_000_000).to_string();
    columns.into_iter().map(|(window, value)| Column { label: label(window), value }).collect()
}

fn domains(summary: &Summary) -> Markup {
    let most = summary.domains.first().map_or(0, |domain| domain.rows);
    html! {
        h2 { "Largest of " (counted(summary.distinct_domains, "domain", "domains")) }
        table {
            @for domain in &summary.domains {
                (dispositions(&domain.domain, domain.rows, most, &domain.dispositions))
            }
        }
    }
}

fn variants(summary: &Summary) -> Markup {
    html! {
        h2 { "Variants" }
        table {
            @for variant in &summary.variants {
                (dispositions(&variant.variant, variant.rows, summary.rows, &variant.dispositions))
            }
        }
    }
}

/// A line with what the rows of `name` ended as.
fn dispositions(name: &str, rows: u64, whole: u64, dispositions: &[(Disposition, u64)]) -> Markup {
    html! {
        tr {
            td { (name) }
            td class="number" { (grouped(rows)) }
            td class="share" { (chart::bar(rows, whole)) }
            td {
                @for (number, (disposition, rows)) in dispositions.iter().enumerate() {
                    @if number > 0 { ", " }
                    (grouped(*rows)) " " (disposition.as_str())
                }
            }
        }
    }
}

fn came_back(facts: &RunFacts<'_>) -> Markup {
    let accepted = facts.summary.count(Disposition::Accepted);
    html! {
        h2 { "What came back for " (grouped(accepted)) " accepted" }
        table {
            @for (kind, events) in facts.came_back { (shared(kind, *events, accepted, "other")) }
        }
    }
}

/// The columns of [`figures`].
pub(crate) const FIGURES: Head = &[("part", Holds::Text), ("name", Holds::Text), ("count", Holds::Number)];

/// The figures of the page, one a row: of which part, for what, how many.
pub(crate) fn figures(facts: &RunFacts<'_>) -> Vec<Vec<Cell>> {
    let summary = facts.summary;
    let mut rows = Vec::new();
    let mut add = |part: &str, name: &str, count: u64| {
        rows.push(vec![Cell::text(part), Cell::text(name), Cell::Number(count)]);
    };
    for (disposition, count) in &summary.dispositions {
        add("outcome", disposition.as_str(), *count);
    }
    for (class, count) in &summary.classes {
        add("class", class.as_str(), *count);
    }
    for cause in &summary.causes {
        let why = cause.why.as_deref().unwrap_or("other reasons");
        add("cause", &format!("{}: {why}", cause.disposition.as_str()), cause.rows);
    }
    for slot in facts.slots {
        add("slot", &slot.start.to_string(), slot.used);
    }
    for variant in &summary.variants {
        for (disposition, count) in &variant.dispositions {
            add("variant", &format!("{} {}", variant.variant, disposition.as_str()), *count);
        }
    }
    for domain in &summary.domains {
        for (disposition, count) in &domain.dispositions {
            add("domain", &format!("{} {}", domain.domain, disposition.as_str()), *count);
        }
    }
    for (kind, count) in facts.came_back {
        add("came_back", kind, *count);
    }
    if let Some(Latency { p50, p90, p99, max }) = summary.latency {
        for (name, time) in [("p50_us", p50), ("p90_us", p90), ("p99_us", p99), ("max_us", max)] {
            add("latency", name, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
    }
    add("total", "attempts", summary.attempts);
    add("total", "bytes", summary.bytes);
    rows
}

fn latencies(latency: Latency) -> Markup {
    let Latency { p50, p90, p99, max } = latency;
    let micros = |time: Duration| time.as_micros() as u64;
    html! {
        h2 { "How long receivers took" }
        table {
            @for (what, time) in [("half within", p50), ("90 % within", p90), ("99 % within", p99), ("longest", max)] {
                tr {
                    td { (what) }
                    td class="number" { (duration(time)) }
                    td class="share" { (chart::bar(micros(time), micros(max))) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(seconds: i64, used: u64) -> Slot {
        Slot { start: Timestamp(seconds * 1_000_000), used }
    }

    #[test]
    fn a_pause_is_shown_unless_it_is_longer_than_the_chart() {
        let values = |slots: &[Slot], length| {
            columns(slots, length).iter().map(|column| column.value).collect::<Vec<_>>()
        };
        assert_eq!(values(&[slot(600, 5), slot(1_500, 7)], 300), [5, 0, 0, 7]);
        assert_eq!(values(&[slot(600, 5), slot(900, 7), slot(3_600, 1)], 3_600), [12, 1]);
        assert_eq!(values(&[slot(0, 5), slot(3_600 * 1_000, 7)], 3_600), [5, 7]);
        assert!(values(&[], 300).is_empty());
    }
}

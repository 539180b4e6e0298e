//! The page of a domain: who sends in its name.

use maud::{Markup, html};

use super::chart::{self, Stack};
use crate::domain::{Alignment, Class, Source, View, Week, percent};
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};
use crate::mail::Timestamp;

/// Sources on the page, the largest.
const SOURCES: usize = 200;
/// Reporters, likewise.
const REPORTERS: usize = 20;

/// The page's content. `at` is when it was made.
pub(crate) fn domain(view: &View, at: Timestamp) -> Markup {
    let times = view.since.zip(view.until);
    html! {
        h1 { (safe(&view.domain)) }
        p class="faint" {
            (counted(view.all.messages, "mail", "mails")) " in " (counted(view.reports, "DMARC report", "DMARC reports"))
            @if let Some((since, until)) = times { ", from " (day(since)) " to " (day(until)) }
            "; report of " (at.to_string())
        }
        @if !view.classes.is_empty() {
            h2 { "Who sends in the name of the domain" }
            (classes(view))
            h2 { "Week by week" }
            (weeks(view))
            h2 { "Sources" }
            (sources(view))
            h2 { "Who reports" }
            table {
                @for reporter in view.reporters.iter().take(REPORTERS) {
                    tr {
                        td { (safe(&reporter.org)) }
                        td class="number" { (counted(reporter.reports, "report", "reports")) }
                        td class="number" { (counted(reporter.messages, "mail", "mails")) }
                        td class="share" { (chart::bar(reporter.messages, view.all.messages)) }
                    }
                }
            }
        }
        @if !view.tls.is_empty() {
            h2 { "TLS towards the domain" }
            table {
                thead { tr { th { "domain" } th { "policy" } th class="number" { "sessions" } th class="number" { "failed" } } }
                @for tls in &view.tls {
                    tr {
                        td { (safe(&tls.domain)) }
                        td { (safe(&tls.policy)) }
                        td class="number" { (grouped(tls.ok.saturating_add(tls.failed))) }
                        td class="number" { (grouped(tls.failed)) }
                    }
                }
            }
        }
    }
}

/// What others wrote, with what can't be seen written out.
fn safe(text: &str) -> String {
    outside_text::line(text).into_owned()
}

fn day(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d").to_string()
}

fn tone(class: Class) -> &'static str {
    match class {
        Class::Ours => "good",
        Class::Platform => "plain",
        Class::Forwarder => "other",
        Class::Unknown => "doubtful",
        Class::Hostile => "bad",
    }
}

fn meaning(class: Class) -> &'static str {
    match class {
        Class::Ours => "servers that the domain's SPF record or the registry names",
        Class::Platform => "platforms of the registry",
        Class::Forwarder => "own mail that others passed on",
        Class::Unknown => "senders who can be known and whom nobody has named yet",
        Class::Hostile => "nothing in it is right: the domain was made up",
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", percent(part, whole))
}

fn aligned(all: &Alignment) -> Markup {
    html! {
        td class="number" { (grouped(all.messages)) }
        td class="number" { (share(all.dkim_aligned, all.messages)) }
        td class="number" { (share(all.spf_aligned, all.messages)) }
        td class="number" { (share(all.dmarc_pass, all.messages)) }
    }
}

fn head(first: &[&str], last: &[&str]) -> Markup {
    html! {
        thead { tr {
            @for name in first { th { (name) } }
            @for name in ["mails", "DKIM", "SPF", "DMARC"] { th class="number" { (name) } }
            @for name in last { th { (name) } }
        } }
    }
}

fn classes(view: &View) -> Markup {
    html! {
        div class="wide" {
            table {
                (head(&["", ""], &[""]))
                @for (class, all) in &view.classes {
                    tr class=(tone(*class)) {
                        td class="who" { span class="mark" {} " " (class.as_str()) }
                        td class="faint" { (meaning(*class)) }
                        (aligned(all))
                        td class="narrow" { (chart::bar(all.messages, view.all.messages)) }
                    }
                }
            }
        }
    }
}

fn weeks(view: &View) -> Markup {
    let stacks: Vec<Stack> = view
        .weeks
        .iter()
        .map(|week| Stack {
            label: day(week.start),
            parts: Class::ALL
                .iter()
                .filter_map(|class| Some((tone(*class), class.as_str(), *week.classes.get(class)?)))
                .collect(),
        })
        .collect();
    html! {
        (chart::stacks("Mails a week, by who sends", &stacks))
        details {
            summary { "as a table" }
            div class="wide" {
                table {
                    thead { tr {
                        th { "week from" }
                        @for name in ["mails", "DKIM", "DMARC"] { th class="number" { (name) } }
                        @for class in Class::ALL { th class="number" { (class.as_str()) } }
                    } }
                    @for week in &view.weeks {
                        tr {
                            td { (day(week.start)) }
                            td class="number" { (grouped(week.all.messages)) }
                            td class="number" { (share(week.all.dkim_aligned, week.all.messages)) }
                            td class="number" { (share(week.all.dmarc_pass, week.all.messages)) }
                            @for class in Class::ALL {
                                td class="number" { (grouped(week.classes.get(&class).copied().unwrap_or(0))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sources(view: &View) -> Markup {
    let more = view.sources.len().saturating_sub(SOURCES) + view.sources_left_out;
    html! {
        table class="rows" {
            (head(&["", "from", "SPF", "DKIM"], &["week by week"]))
            @for source in view.sources.iter().take(SOURCES) { (row(source, view)) }
        }
        p class="faint" {
            @if more > 0 { "and " (grouped(more as u64)) " more; " }
            "week by week: mails that pass DMARC, and those that fail above them"
        }
    }
}

fn row(source: &Source, view: &View) -> Markup {
    let of_week = |week: &Week| {
        let found = source.weeks.iter().find(|own| own.start == week.start);
        found.map_or((0, 0), |own| (own.all.dmarc_pass, own.all.failed()))
    };
    let weeks: Vec<(u64, u64)> = view.weeks.iter().map(of_week).collect();
    html! {
        tr class=(tone(source.class)) {
            td class="who" { span class="mark" {} " " (source.class.as_str()) }
            td {
                @if !source.organisation.is_empty() { (safe(&source.organisation)) br; }
                span class="faint" {
                    (safe(&source.network))
                    @if let Some(ptr) = &source.ptr { " " (safe(ptr)) }
                    @if source.addresses > 1 { ", " (counted(source.addresses as u64, "address", "addresses")) }
                }
            }
            td { (safe(&source.spf_domain)) }
            td {
                (safe(&source.dkim_domain))
                @if !source.selector.is_empty() { span class="faint" { " " (safe(&source.selector)) } }
            }
            (aligned(&source.all))
            td class="weeks" { (chart::spark(&weeks)) }
        }
    }
}

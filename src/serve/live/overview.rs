//! The page of all runs.

use maud::{Markup, html};

use super::super::accounts::Account;
use super::frame::{Part, run_path, safe};
use super::list::{Line, List};
use crate::kit::text::{counted, grouped};
use crate::mail::Disposition;
use crate::report;

/// Runs of a page.
pub(super) const OF_PAGE: usize = 100;

/// The runs that an account sees, from the one with this number on.
pub(super) fn parts(account: &Account, list: &List, from: usize) -> Vec<Part> {
    let seen = || list.lines.iter().filter(|line| account.sees_mail(&line.campaign, &line.from));
    let all = seen().count();
    let running = seen().filter(|line| line.is_running).count();
    let lines: Vec<&Line> = seen().skip(from).take(OF_PAGE).collect();
    let now = html! {
        p data-say {
            (counted(running as u64, "run is", "runs are")) " being sent, of " (counted(all as u64, "run", "runs"))
            " in all."
        }
    };
    let runs = html! {
        @if lines.is_empty() {
            p { "There is no run here that this account sees. " code { "mailrun send CAMPAIGN" } " starts one." }
        } @else {
            div class="wide" role="region" aria-label="Runs" tabindex="0" { (table(&lines)) }
        }
        (pages(all, from))
    };
    vec![Part::new("now", &now), Part::new("runs", &runs)]
}

fn table(lines: &[&Line]) -> Markup {
    html! {
        table {
            caption { "The latest first. Times are in UTC." }
            thead { tr {
                th scope="col" { "Run" }
                th scope="col" { "State" }
                th scope="col" class="number" { "Rows" }
                th scope="col" class="number" { "Accepted" }
                th scope="col" class="number" { "Not accepted" }
                th scope="col" class="number" { "A second" }
                th scope="col" { "Since" }
            } }
            tbody { @for line in lines { (row(line)) } }
        }
    }
}

fn row(line: &Line) -> Markup {
    let of = |wanted: &[Disposition]| {
        let own = line.counts.iter().filter(|(disposition, _)| wanted.contains(disposition));
        own.map(|(_, rows)| rows).sum::<u64>()
    };
    let accepted = of(&[Disposition::Accepted]);
    let refused = of(&[
        Disposition::Bounced,
        Disposition::Deferred,
        Disposition::InDoubt,
        Disposition::RenderFailed,
        Disposition::Infected,
    ]);
    let rate = line.per_second.map(|rate| format!("{rate:.1}"));
    html! {
        tr {
            th scope="row" { a href=(run_path(&line.name)) { (safe(&line.name)) } }
            td class=(if line.is_running { "state" } else { "" }) { (line.state) }
            td class="number" { (grouped(line.rows)) }
            td class="number good" { (grouped(accepted)) (report::bar(accepted, line.rows)) }
            td class="number bad" { (grouped(refused)) (report::bar(refused, line.rows)) }
            td class="number" { (rate.as_deref().unwrap_or("–")) }
            td { (minute(&line.started.unwrap_or(line.created).to_string())) }
        }
    }
}

/// A time to the minute.
pub(super) fn minute(text: &str) -> String {
    text.get(..16).unwrap_or(text).replace('T', " ")
}

fn pages(all: usize, from: usize) -> Markup {
    let (later, earlier) = (from.saturating_sub(OF_PAGE), from + OF_PAGE);
    html! {
        @if from > 0 || earlier < all {
            nav aria-label="More runs" {
                ul {
                    @if from > 0 { li { a href=(format!("/?from={later}")) { "Later runs" } } }
                    @if earlier < all { li { a href=(format!("/?from={earlier}")) { "Earlier runs" } } }
                }
            }
        }
    }
}

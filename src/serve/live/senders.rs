//! The page of senders: how receivers take their mail, and how far their domains are with DMARC.

use std::sync::Arc;

use maud::{Markup, html};

use super::frame::safe;
use super::overview::minute;
use crate::domain::percent;
use crate::job::{DomainFigures, SenderStanding};
use crate::kit::text::{counted, grouped};
use crate::preflight::reputation::WINDOWS;

/// The content of the page.
pub(super) fn content(senders: &[Arc<SenderStanding>]) -> Markup {
    html! {
        h1 { "Senders" }
        @if senders.is_empty() { p { "There is no run here that this account sees, and so no sender." } }
        @for sender in senders { (one(sender)) }
    }
}

fn one(sender: &SenderStanding) -> Markup {
    html! {
        section {
            h2 { (safe(&sender.domain)) }
            (addresses(sender))
            @if let Some(figures) = &sender.figures {
                (dmarc(figures))
                (reputation(&sender.domain, figures))
                (readings(&sender.domain, figures))
            } @else {
                p class="faint" { "What counts all mail of the domain is shown to accounts whose " code { "senders" } " hold it, or that see all campaigns." }
            }
        }
    }
}

fn addresses(sender: &SenderStanding) -> Markup {
    html! {
        table {
            caption { "Addresses, as " code { "mailrun sender verify" } " knows them. Times are in UTC." }
            thead { tr { th scope="col" { "From" } th scope="col" { "Verified" } th scope="col" { "Last right in DNS" } } }
            tbody {
                @for (name, note) in &sender.notes {
                    tr {
                        th scope="row" { (safe(name)) }
                        td { (note.state().unwrap_or("–")) }
                        td { (note.last_right.as_deref().map_or("–".to_owned(), minute)) }
                    }
                }
            }
        }
    }
}

fn dmarc(figures: &DomainFigures) -> Markup {
    let view = &figures.month;
    html! {
        h3 { "DMARC" }
        @if view.reports == 0 {
            p { "No DMARC report of the last 30 days was read. " code { "mailrun feedback read" } " reads them." }
        } @else {
            p {
                "Stage: " strong { (figures.stage.unwrap_or("unknown")) }
                ", as reporters saw it last. "
                (counted(view.all.messages, "mail", "mails")) " in " (counted(view.reports, "report", "reports")) " of 30 days: "
                (share(view.all.dmarc_pass, view.all.messages)) " pass, "
                (share(view.all.dkim_aligned, view.all.messages)) " by DKIM, "
                (share(view.all.spf_aligned, view.all.messages)) " by SPF."
            }
        }
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", percent(part, whole))
}

fn reputation(domain: &str, figures: &DomainFigures) -> Markup {
    html! {
        h3 { "Reputation" }
        @if figures.groups.is_empty() {
            p { "No run of the last 30 days has ended." }
        } @else {
            div class="wide" role="region" aria-label=(format!("Reputation of {domain}")) tabindex="0" {
                table {
                    caption { "All of the domain's mail, then by address or relay and by provider, in 30 days" }
                    thead { tr {
                        th scope="col" { "Mails" }
                        th scope="col" class="number" { "Accepted" }
                        th scope="col" class="number" { "Bounced" }
                        th scope="col" class="number" { "Blocked" }
                        th scope="col" class="number" { "Complaints" }
                        @for days in WINDOWS.iter().take(2) {
                            th scope="col" class="number" { "Bounced in " (counted(u64::from(*days), "day", "days")) }
                        }
                    } }
                    tbody {
                        @for group in &figures.groups {
                            @let [day, week, month] = group.windows;
                            tr {
                                th scope="row" { (safe(&group.name)) }
                                @for number in [month.accepted, month.bounced, month.blocked, month.complaints, day.bounced, week.bounced] {
                                    td class="number" { (grouped(number)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn readings(domain: &str, figures: &DomainFigures) -> Markup {
    html! {
        @if !figures.readings.is_empty() {
            h3 { "What providers say" }
            div class="wide" role="region" aria-label=(format!("What providers say of {domain}")) tabindex="0" {
                table {
                    caption { "Of the last days" }
                    thead { tr { @for name in ["Day", "Who", "Of", "Verdict"] { th scope="col" { (name) } } } }
                    tbody {
                        @for reading in &figures.readings {
                            tr {
                                td { (reading.day.to_string()) }
                                td { (reading.observer.as_str()) }
                                td { (safe(&reading.subject.to_string())) }
                                td { (reading.verdict.map_or("–", |verdict| verdict.as_str())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

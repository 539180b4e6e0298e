//! The page of one run.

use maud::{Markup, html};

use super::frame::{Part, safe};
use super::list::{of_process, outcomes};
use super::overview::minute;
use super::view::{Figures, RunView};
use crate::feedback::Logged;
use crate::job::{Complaints, Refusal};
use crate::kit::text::{counted, duration, grouped};
use crate::mail::{Disposition, Timestamp};
use crate::report::{self, RunFacts};
use crate::run::LaneSnapshot;
use crate::run_dir::RunState;

/// The parts of the page.
pub(super) fn parts(view: &RunView<'_>) -> Vec<Part> {
    vec![
        Part::new("now", &now(view)),
        Part::new("lanes", &lanes(view)),
        Part::new("figures", &figures(view)),
        Part::new("refusals", &refusals(view)),
        Part::new("feedback", &came_back(view)),
    ]
}

/// Rows by disposition, from what is at hand.
fn counts(view: &RunView<'_>) -> Vec<(Disposition, u64)> {
    let manifest = &view.manifest;
    match (view.figures.filter(|_| view.is_whole), &view.live) {
        _ if manifest.state == RunState::Finished && !manifest.outcomes.is_empty() => outcomes(manifest),
        (Some(figures), _) => {
            figures.summary.dispositions.iter().copied().filter(|(_, rows)| *rows > 0).collect()
        }
        (None, Some(live)) => of_process(live),
        (None, None) => outcomes(manifest),
    }
}

fn now(view: &RunView<'_>) -> Markup {
    let (manifest, counts) = (&view.manifest, counts(view));
    let rows = manifest.screening.rows;
    let ended: u64 = counts.iter().map(|(_, rows)| rows).sum();
    let of = |wanted| counts.iter().find(|(own, _)| *own == wanted).map_or(0, |(_, rows)| *rows);
    let left = view.figures.filter(|_| view.is_whole && manifest.state != RunState::Finished);
    let snapshot = view.live.as_ref().map(|live| &live.snapshot);
    html! {
        p {
            span class="state" { (manifest.state_word(view.is_running)) }
            @if let RunState::Interrupted { reason } = &manifest.state { @if !view.is_running { ": " (safe(&reason.to_string())) } }
            @if let Some(refused) = manifest.refused.as_ref().filter(|_| !view.is_running) { ": " (safe(&refused.why)) }
            span class="faint" {
                @if let Some(started) = manifest.started { "; began " (minute(&started.to_string())) }
                @if let Some(finished) = manifest.finished { "; ended " (minute(&finished.to_string())) }
                " UTC"
            }
        }
        div class="progress good" { (report::bar(ended, rows)) }
        p data-say {
            (grouped(ended)) " of " (counted(rows, "row has its outcome", "rows have their outcome")) ": "
            (grouped(of(Disposition::Accepted))) " accepted, " (grouped(of(Disposition::Bounced))) " bounced, "
            (grouped(of(Disposition::Deferred))) " deferred"
        }
        dl class="tiles" {
            @for (disposition, rows) in &counts {
                div class=(report::tone(*disposition)) { dt { (word(disposition.as_str())) } dd { (grouped(*rows)) } }
            }
            @if let Some(Figures { left: (waiting, again, flying), .. }) = left {
                @for (what, rows) in [("waiting", waiting), ("to retry", again), ("in flight", flying)] {
                    @if *rows > 0 { div { dt { (what) } dd { (grouped(*rows)) } } }
                }
            }
            @if let Some(snapshot) = snapshot {
                div { dt { "a second" } dd { (format!("{:.1}", snapshot.per_second)) } }
                @if let Some(left) = snapshot.time_left {
                    div { dt { "time left" } dd { (duration(left)) } }
                    div { dt { "ends, in UTC" } dd class="small" { (minute(&(view.now + left).to_string())) } }
                }
            }
        }
        @if let Some(why) = snapshot.and_then(|snapshot| snapshot.held_by.as_deref()) {
            p class="note doubtful" { "Held back: " (safe(why)) }
        }
    }
}

fn word(word: &str) -> String {
    word.replace('_', " ")
}

fn lanes(view: &RunView<'_>) -> Markup {
    let lanes: &[LaneSnapshot] = view.live.as_ref().map_or(&[], |live| &live.snapshot.lanes);
    let complaints = view.figures.map_or(&[][..], |figures| &figures.complaints);
    let own = |site: &str| complaints.iter().find(|(hop, _)| hop == site).map(|(_, own)| own);
    let others = || complaints.iter().filter(|(hop, _)| lanes.iter().all(|lane| lane.site != *hop));
    html! {
        @if !lanes.is_empty() || !complaints.is_empty() {
            h2 { "Lanes" }
            div class="wide" role="region" aria-label="Lanes" tabindex="0" {
                table {
                    caption { "Next hops, with what they complained about last" }
                    thead { tr {
                        th scope="col" { "Next hop" }
                        th scope="col" class="number" { "Waiting" }
                        th scope="col" class="number" { "In flight" }
                        th scope="col" class="number" { "Connections" }
                        th scope="col" { "State" }
                        th scope="col" class="number" { "Complaints" }
                        th scope="col" { "Last complaint" }
                    } }
                    tbody {
                        @for lane in lanes {
                            tr {
                                th scope="row" { (safe(&lane.site)) }
                                td class="number" { (grouped(lane.waiting)) }
                                td class="number" { (grouped(lane.in_flight)) }
                                td class="number" { (grouped(lane.connections)) " of " (grouped(lane.window)) }
                                td { (safe(&lane.state)) }
                                (complaint(own(&lane.site)))
                            }
                        }
                        @for (hop, own) in others() {
                            tr {
                                th scope="row" { (safe(hop)) }
                                @for _ in 0..3 { td class="number" { "–" } }
                                td { "–" }
                                (complaint(Some(own)))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn complaint(complaints: Option<&Complaints>) -> Markup {
    html! {
        td class="number" { (grouped(complaints.map_or(0, |own| own.times))) }
        td class="words" {
            @match complaints {
                Some(Complaints { last, .. }) => {
                    (safe(&last.why))
                    div class="faint" { (time(last.at)) @if let Some(class) = last.class { ", " (word(class.as_str())) } }
                }
                None => "–",
            }
        }
    }
}

/// A time to the second.
fn time(at: Timestamp) -> String {
    at.to_string().get(..19).map_or_else(|| at.to_string(), |text| text.replace('T', " "))
}

fn figures(view: &RunView<'_>) -> Markup {
    let Some(figures) = view.figures else { return html! {} };
    if !view.is_whole {
        return html! { p class="note" { "The journal of this run is being added up: what follows from it comes in a moment." } };
    }
    let mut summary = figures.summary.clone();
    let exact = outcomes(&view.manifest);
    if view.manifest.state == RunState::Finished && !exact.is_empty() {
        summary.dispositions = exact;
    }
    let capacity = &view.manifest.campaign.capacity;
    report::parts(&RunFacts {
        name: &view.name,
        state: String::new(),
        summary: &summary,
        slots: &figures.slots,
        came_back: &view.came_back,
        per_hour: capacity.per_hour,
        per_slot: capacity.per_slot(),
        at: view.now,
    })
}

fn refusals(view: &RunView<'_>) -> Markup {
    let refusals = view.figures.map_or(&[][..], |figures| &figures.refusals);
    html! {
        @if !refusals.is_empty() {
            h2 { "Refused last" }
            div class="wide" role="region" aria-label="Refused last" tabindex="0" {
                table {
                    caption { "The last first. Times are in UTC." }
                    thead { tr {
                        th scope="col" { "At" }
                        th scope="col" { "Recipient" }
                        th scope="col" { "Outcome" }
                        th scope="col" { "Why" }
                    } }
                    tbody { @for refusal in refusals { (refused(refusal)) } }
                }
            }
        }
    }
}

fn refused(refusal: &Refusal) -> Markup {
    let outcome = refusal.disposition.map_or_else(|| "to retry".to_owned(), |own| word(own.as_str()));
    html! {
        tr {
            td { (time(refusal.at)) }
            th scope="row" { (safe(&refusal.recipient)) }
            td { (outcome) @if let Some(class) = refusal.class { div class="faint" { (word(class.as_str())) } } }
            td class="words" { (safe(&refusal.why)) }
        }
    }
}

fn came_back(view: &RunView<'_>) -> Markup {
    html! {
        @if !view.last_back.is_empty() {
            h2 { "Came back last" }
            div class="wide" role="region" aria-label="Came back last" tabindex="0" {
                table {
                    caption { "Bounces, complaints and answers, the last first. Times are in UTC." }
                    thead { tr {
                        th scope="col" { "At" }
                        th scope="col" { "What" }
                        th scope="col" { "Recipient" }
                        th scope="col" { "Text" }
                    } }
                    tbody { @for logged in &view.last_back { (back(logged)) } }
                }
            }
        }
    }
}

fn back(logged: &Logged) -> Markup {
    let record = &logged.record;
    let address = record.address.as_ref().map(ToString::to_string);
    html! {
        tr {
            td { (time(record.at)) }
            td { (word(record.kind.as_str())) }
            td { (safe(address.as_deref().unwrap_or("–"))) }
            td class="words" {
                @if let Some(status) = &record.status { (safe(status)) " " }
                (safe(record.text.as_deref().unwrap_or_default()))
            }
        }
    }
}

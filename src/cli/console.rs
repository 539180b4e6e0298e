//! Notices and progress on stderr: a bar on a terminal, plain lines every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::log::{self, LogFormat};
use crate::job::{Notice, Observer, Stage};
use crate::journal::InDoubt;
use crate::kit::outside_text;
use crate::kit::text::{counted, duration, grouped};
use crate::preflight::finish_time::{Estimate, Limit};
use crate::run::Snapshot;
use crate::run_dir::Manifest;

/// How often a plain line is printed while sending or rendering.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often the number of rows read is shown.
const ROWS_EVERY: Duration = Duration::from_secs(1);
/// A bar for work whose end is known, and a line for work whose end is not.
const BAR: &str = "  {bar:32.green/dim} {percent:>3}%  {wide_msg}";
const LINE: &str = "  {msg}";

/// What is printed to stderr while a command works.
pub(super) struct Console {
    shows_progress: bool,
    is_terminal: bool,
    stage: Mutex<Shown>,
}

/// What is shown of the current stage.
#[derive(Default)]
struct Shown {
    last: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Console {
    /// As the options and the terminal allow.
    pub(super) fn new(quiet: bool, no_progress: bool, format: LogFormat) -> Self {
        Self {
            shows_progress: !quiet && !no_progress,
            // A bar is no JSON.
            is_terminal: std::io::stderr().is_terminal() && format == LogFormat::Text,
            stage: Mutex::default(),
        }
    }

    /// Shows how many rows are done, if it takes long.
    pub(super) fn rows(&self, doing: &str, rows: u64) {
        self.shown(|shown| {
            if shown.is_due(ROWS_EVERY) {
                let text = format!("{doing}: {}", counted(rows, "row", "rows"));
                if self.is_terminal { shown.bar(LINE).set_message(text) } else { log::print(&text) }
            }
        });
    }

    fn rendering(&self, rows: u64, of: u64) {
        self.shown(|shown| {
            if shown.is_due(LINE_EVERY) {
                log::print(&format!("rendering: {} of {}", grouped(rows), counted(of, "row", "rows")));
            }
        });
    }

    fn sending(&self, snapshot: &Snapshot) {
        self.shown(|shown| {
            if self.is_terminal {
                let bar = shown.bar(BAR);
                bar.set_length(snapshot.planned);
                bar.set_position(snapshot.done);
                bar.set_message(outside_text::line(&describe(snapshot)).into_owned());
            } else if shown.is_due(LINE_EVERY) {
                let (done, planned) = (grouped(snapshot.done), grouped(snapshot.planned));
                log::print(&format!("sending: {done} of {planned}, {}", describe(snapshot)));
            }
        });
    }

    /// Removes the progress of a stage.
    pub(super) fn done(&self) {
        self.shown(|shown| {
            if let Some(bar) = shown.bar.take() {
                bar.finish_and_clear();
                log::share_bar(None);
            }
            *shown = Shown::default();
        });
    }

    fn shown(&self, show: impl FnOnce(&mut Shown)) {
        if self.shows_progress {
            show(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Shown {
    /// Whether to show something again. Not at first: a short stage shows nothing.
    fn is_due(&mut self, every: Duration) -> bool {
        let last = self.last.get_or_insert_with(Instant::now);
        let due = last.elapsed() >= every;
        if due {
            *last = Instant::now();
        }
        due
    }

    /// The bar of this stage, made where there is none.
    fn bar(&mut self, template: &str) -> &ProgressBar {
        self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let style =
                ProgressStyle::with_template(template).expect("the template is a constant that parses");
            bar.set_style(style.progress_chars("━╸━"));
            log::share_bar(Some(bar.clone()));
            bar
        })
    }
}

impl Observer for Console {
    fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Warning(warning) => log::warn(&format!("warning: {warning}")),
            Notice::Finding(finding) => {
                log::warn(&format!("{}: {} ({})", finding.level, finding.seen, finding.id));
            }
            Notice::Planned(manifest, estimate) => log::print(&announce(manifest, estimate)),
            Notice::Retrying { run, from, rows } => {
                log::print(&format!("run {run}: resending {} of run {from}", counted(*rows, "row", "rows")));
            }
            Notice::Resuming { done, of } => {
                log::print(&format!("resuming: {} of {} done", grouped(*done), grouped(*of)));
            }
            Notice::InDoubt { rows, in_doubt } => {
                let what = match in_doubt {
                    InDoubt::Keep => "not resent; `in_doubt` in the results",
                    InDoubt::Resend => "resent, as requested",
                };
                log::warn(&format!(
                    "{} in flight when the run was cut off: {what}",
                    counted(*rows, "message", "messages")
                ));
            }
            Notice::Stopped { reason } => log::warn(&format!("stopped: {reason}")),
        }
    }

    fn progress(&self, stage: Stage<'_>) {
        match stage {
            Stage::Reading { rows } => self.rows("reading", rows),
            Stage::Rendering { rows, of } => self.rendering(rows, of),
            Stage::Sending(snapshot) => self.sending(snapshot),
            Stage::Done => self.done(),
        }
    }
}

/// What will happen, in one line.
fn announce(manifest: &Manifest, estimate: &Estimate) -> String {
    let capacity = &manifest.campaign.capacity;
    let screening = &manifest.screening;
    let left_out = [(screening.already_sent, "already_sent"), (screening.capped, "capped")];
    let left_out = left_out.into_iter().filter(|(rows, _)| *rows > 0);
    let before: String = left_out.map(|(rows, why)| format!("{} {why}, ", grouped(rows))).collect();
    let seeds = match u64::from(manifest.seeds) {
        0 => String::new(),
        seeds => format!(" and {}", counted(seeds, "seed address", "seed addresses")),
    };
    let run = format!("run {}/{}", manifest.campaign_id, manifest.run_id);
    let of = counted(screening.rows, "row", "rows");
    if screening.accepted == 0 {
        return format!("{run}: {before}0 of {of} to send{seeds}");
    }
    let limit = match (&estimate.limited_by, &estimate.held) {
        (Limit::Capacity, None) => format!("at {} an hour", grouped(capacity.per_hour)),
        (limit, held) => format!("limited by {}", limit.text(capacity, held.as_ref())),
    };
    let size = match &capacity.size_basis {
        Some(basis) => format!("; a message counts as {:.1} of {basis}", estimate.each),
        None => String::new(),
    };
    format!(
        "{run}: {before}{} of {of} to send{seeds}, about {} {limit}{size}",
        grouped(screening.accepted),
        duration(estimate.finish.since(estimate.start)),
    )
}

/// How far a run is.
fn describe(snapshot: &Snapshot) -> String {
    let mut text = format!("{} accepted", grouped(snapshot.counts.accepted));
    for (number, word) in [
        (snapshot.counts.bounced, "bounced"),
        (snapshot.counts.deferred, "deferred"),
        (snapshot.counts.in_doubt, "in doubt"),
        (snapshot.counts.infected, "infected"),
        (snapshot.waiting_for_retry, "to retry"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {word}", grouped(number)));
        }
    }
    // What the rest waits for is no rate, and no time follows from one.
    let left = snapshot.planned.saturating_sub(snapshot.done);
    if snapshot.waiting_for_retry > 0 && snapshot.waiting_for_retry >= left {
        text.push_str(if snapshot.held_by.is_some() {
            ", waiting"
        } else {
            ", the rest waits to be tried again"
        });
    } else {
        text.push_str(&format!(", {}/s", grouped(snapshot.per_second.round() as u64)));
        match (snapshot.time_left, &snapshot.held_by) {
            (Some(left), _) => text.push_str(&format!(", {} left", duration(left))),
            (None, Some(_)) => text.push_str(", waiting"),
            (None, None) => {}
        }
    }
    if let Some(why) = &snapshot.held_by {
        text.push_str(&format!(" ({why})"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::OutcomeCounts;

    #[test]
    fn rows_that_wait_for_another_attempt_have_no_finish_time() {
        let counts = OutcomeCounts { accepted: 90, ..OutcomeCounts::default() };
        let snapshot = Snapshot {
            planned: 100,
            done: 90,
            counts,
            in_flight: 0,
            waiting_for_retry: 10,
            per_second: 30.0,
            time_left: Some(Duration::from_millis(14)),
            held_by: None,
            unrouted: 0,
            sites: 1,
            lanes: Vec::new(),
        };
        assert_eq!(describe(&snapshot), "90 accepted, 10 to retry, the rest waits to be tried again");
        let snapshot = Snapshot { waiting_for_retry: 9, in_flight: 1, ..snapshot };
        assert_eq!(describe(&snapshot), "90 accepted, 9 to retry, 30/s, 14ms left");

        let dead = "`relay` is not reachable since 09:00: connection refused".to_owned();
        let snapshot = Snapshot {
            waiting_for_retry: 0,
            per_second: 0.0,
            time_left: None,
            held_by: Some(dead.clone()),
            ..snapshot
        };
        assert_eq!(describe(&snapshot), format!("90 accepted, 0/s, waiting ({dead})"));
        let snapshot = Snapshot { waiting_for_retry: 10, ..snapshot };
        assert_eq!(describe(&snapshot), format!("90 accepted, 10 to retry, waiting ({dead})"));
    }
}

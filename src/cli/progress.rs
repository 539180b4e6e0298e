//! How far a run is, on stderr: a bar on a terminal, plain lines every few seconds elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Common;
use super::log;
use super::text::{count, duration};
use crate::run::Snapshot;

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How often the number of rows read is shown.
const READING_EVERY: Duration = Duration::from_secs(1);

/// Shows snapshots of a run.
pub enum Progress {
    /// Nothing is shown.
    Silent,
    /// A bar.
    Bar(ProgressBar),
    /// Lines.
    Lines { last: Instant },
}

impl Progress {
    /// As the options and the terminal allow.
    pub fn new(common: &Common) -> Self {
        if common.quiet || common.no_progress {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: Instant::now() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let template = "  {bar:32.green/dim} {percent:>3}%  {msg}";
        bar.set_style(
            ProgressStyle::with_template(template)
                .expect("the template is a constant that parses")
                .progress_chars("━╸━"),
        );
        log::share_bar(bar.clone());
        Self::Bar(bar)
    }

    /// Shows one snapshot.
    pub fn show(&mut self, snapshot: &Snapshot) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_length(snapshot.planned);
                bar.set_position(snapshot.done());
                bar.set_message(describe(snapshot));
            }
            Self::Lines { last } => {
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    log::print(&format!(
                        "sending: {} of {}, {}",
                        count(snapshot.done()),
                        count(snapshot.planned),
                        describe(snapshot)
                    ));
                }
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        match self {
            Self::Silent | Self::Lines { .. } => {}
            Self::Bar(bar) => bar.finish_and_clear(),
        }
    }
}

fn describe(snapshot: &Snapshot) -> String {
    let mut text = format!("{} accepted", count(snapshot.counts.accepted));
    for (number, word) in [
        (snapshot.counts.bounced, "bounced"),
        (snapshot.counts.deferred, "deferred"),
        (snapshot.counts.in_doubt, "in doubt"),
        (snapshot.waiting_for_retry, "to retry"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {word}", count(number)));
        }
    }
    text.push_str(&format!(", {}/s", count(snapshot.per_second.round() as u64)));
    if let Some(left) = snapshot.time_left {
        text.push_str(&format!(", {} left", duration(left)));
    }
    text
}

/// How far the reading of the target group is, or the making of one, where it takes long enough to ask.
pub struct Reading {
    doing: &'static str,
    silent: bool,
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Reading {
    /// As the options and the terminal allow.
    pub fn new(common: &Common) -> Self {
        Self::doing(common, "reading")
    }

    /// The same, of something else that is done with rows.
    pub fn doing(common: &Common, doing: &'static str) -> Self {
        Self { doing, silent: common.quiet || common.no_progress, bar: None, last: Instant::now() }
    }

    /// Shows how many rows have been read.
    pub fn show(&mut self, rows: u64) {
        if self.silent || self.last.elapsed() < READING_EVERY {
            return;
        }
        self.last = Instant::now();
        if !std::io::stderr().is_terminal() {
            if self.bar.is_none() {
                log::print(&format!("{}: {} rows", self.doing, count(rows)));
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("  {msg}").expect("the template is a constant that parses"),
            );
            bar
        });
        bar.set_message(format!("{}: {} rows", self.doing, count(rows)));
    }

    /// Takes it away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

//! The log on stderr, and how it gets along with a progress bar.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::ValueEnum;
use indicatif::ProgressBar;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::kit::outside_text;
use crate::mail::Timestamp;

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);
/// The form of the log, and whether only warnings and errors are wanted.
static STYLE: OnceLock<(LogFormat, bool)> = OnceLock::new();

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log; `verbose` counts how often more was asked for.
pub(super) fn start(format: LogFormat, quiet: bool, verbose: u8) {
    // A second start in one process (tests) keeps the first.
    let _ = STYLE.set((format, quiet));
    let level = match (quiet, verbose) {
        (true, _) | (false, 0) => "mailrun=warn,error",
        (false, 1) => "mailrun=info,warn",
        (false, 2) => "mailrun=debug,info",
        (false, _) => "trace",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        // Colours are escape sequences, which nothing in a line may be.
        .with_ansi(false)
        .with_writer(AroundBar);
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The bar to step aside for, or none any more.
pub(super) fn share_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Whether only warnings and errors are wanted.
pub(super) fn is_quiet() -> bool {
    style().1
}

/// Tells a person something, unless only warnings and errors are wanted.
pub(super) fn print(lines: &str) {
    if !is_quiet() {
        emit("INFO", lines);
    }
}

/// Prints something that may be wrong.
pub(super) fn warn(lines: &str) {
    emit("WARN", lines);
}

/// Prints why the command failed.
pub(super) fn error(lines: &str) {
    emit("ERROR", lines);
}

fn style() -> (LogFormat, bool) {
    STYLE.get().copied().unwrap_or_default()
}

/// Writes lines to stderr without tearing the progress bar. Whoever read them may be gone
/// (`2>&1 | head`): then they are lost, and the run goes on.
fn emit(level: &str, lines: &str) {
    let line = match style().0 {
        LogFormat::Text => outside_text::lines(lines).into_owned(),
        LogFormat::Json => as_json(level, lines),
    };
    around_bar(|| _ = writeln!(io::stderr(), "{line}"));
}

/// One object, with the keys that the log's own lines have.
fn as_json(level: &str, lines: &str) -> String {
    let message = lines.strip_prefix("error: ").or(lines.strip_prefix("warning: ")).unwrap_or(lines);
    let object = json!({ "timestamp": Timestamp::wall().to_string(), "level": level, "message": message });
    outside_text::json(&object.to_string()).into_owned()
}

fn around_bar<T>(write: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

struct AroundBar;

/// Gets one line at a time. Never fails: the subscriber would report that on stderr too, and panic.
impl Write for AroundBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let safe = match style().0 {
            LogFormat::Text => outside_text::line(line),
            LogFormat::Json => outside_text::json(line),
        };
        around_bar(|| _ = writeln!(io::stderr(), "{safe}"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for AroundBar {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

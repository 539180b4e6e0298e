//! The log on stderr, and how it gets along with a progress bar.

use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::ProgressBar;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::args::{Common, LogFormat};

static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Starts the log as the options say.
pub fn start(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (false, 0) => "mailrun=warn,error",
        (false, 1) => "mailrun=info,warn",
        (false, 2) => "mailrun=debug,info",
        (false, _) => "trace",
    };
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_writer(AroundBar);
    // A second start in one process (tests) keeps the first.
    let _ = match common.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Tells the log which bar to step aside for.
pub fn share_bar(bar: ProgressBar) {
    let _ = BAR.set(bar);
}

/// Prints lines to stderr without tearing the progress bar.
pub fn print(lines: &str) {
    around_bar(|| eprintln!("{lines}"));
}

fn around_bar<T>(write: impl FnOnce() -> T) -> T {
    match BAR.get() {
        Some(bar) if !bar.is_finished() => bar.suspend(write),
        Some(_) | None => write(),
    }
}

struct AroundBar;

impl Write for AroundBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        around_bar(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for AroundBar {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

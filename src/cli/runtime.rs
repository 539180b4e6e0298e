//! The runtime for sockets and timers.

use tokio::runtime::{Builder, Runtime};

use super::diagnostic::Diagnostic;

/// A runtime for sockets and timers.
pub(super) fn runtime() -> Result<Runtime, Diagnostic> {
    Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).min(8))
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::of("can't start the runtime", &error))
}

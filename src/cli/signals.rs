//! SIGINT and SIGTERM: the first asks for an end in order, the second for one at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::diagnostic::Diagnostic;
use super::log;
use crate::run::Shutdown;
use crate::run_dir::StopReason;

struct Both {
    interrupt: Signal,
    terminate: Signal,
}

impl Both {
    fn listen() -> Result<Self, Diagnostic> {
        let listen = |kind| signal(kind).map_err(|error| Diagnostic::of("can't listen for signals", &error));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Waits for one of them.
pub(super) async fn first() -> Result<(), Diagnostic> {
    Both::listen()?.next().await;
    Ok(())
}

/// The first comes as [`Shutdown::Drain`], any further as [`Shutdown::Now`].
pub(super) fn listen() -> Result<mpsc::Receiver<(Shutdown, StopReason)>, Diagnostic> {
    let mut both = Both::listen()?;
    let (to, signals) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut shutdown = Shutdown::Drain;
        loop {
            let name = both.next().await;
            log::print(match shutdown {
                Shutdown::Drain => "finishing messages in flight; press Ctrl-C again to stop now",
                Shutdown::Now => "stopping now",
            });
            if to.send((shutdown, StopReason::Signal { signal: name.to_owned() })).await.is_err() {
                return;
            }
            shutdown = Shutdown::Now;
        }
    });
    Ok(signals)
}

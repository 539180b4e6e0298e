//! SIGINT, SIGTERM and SIGHUP: the first asks for an end in order, the second for one at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::diagnostic::Diagnostic;
use super::log;
use crate::run::Shutdown;
use crate::run_dir::StopReason;

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal was closed, or the connection to it lost.
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Diagnostic> {
        let listen = |kind| signal(kind).map_err(|error| Diagnostic::of("can't listen for signals", &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// Waits for one of them.
pub(super) async fn first() -> Result<(), Diagnostic> {
    Signals::listen()?.next().await;
    Ok(())
}

/// The first comes as [`Shutdown::Drain`], any further as [`Shutdown::Now`].
pub(super) fn listen() -> Result<mpsc::Receiver<(Shutdown, StopReason)>, Diagnostic> {
    listen_while("finishing messages in flight")
}

/// The same; `finishing` says what is finished before the end.
pub(super) fn listen_while(
    finishing: &'static str,
) -> Result<mpsc::Receiver<(Shutdown, StopReason)>, Diagnostic> {
    let mut received = Signals::listen()?;
    let (to, signals) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut shutdown = Shutdown::Drain;
        loop {
            let name = received.next().await;
            match shutdown {
                Shutdown::Drain => log::print(&format!("{finishing}; press Ctrl-C again to stop now")),
                Shutdown::Now => log::print("stopping now"),
            }
            if to.send((shutdown, StopReason::Signal { signal: name.to_owned() })).await.is_err() {
                return;
            }
            shutdown = Shutdown::Now;
        }
    });
    Ok(signals)
}

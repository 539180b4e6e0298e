//! Adds addresses that bounced permanently to the suppression list, on a thread of its own.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use crate::mail::Class;

/// The rows to add: at most each row of the plan once, so the plan bounds them.
#[derive(Default)]
struct Waiting {
    rows: Vec<(u32, Class)>,
    ended: bool,
}

/// See the module.
pub struct Suppressor {
    shared: Arc<(Mutex<Waiting>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Suppressor {
    /// Adds nothing: for rehearsals.
    pub fn none() -> Self {
        Self { shared: Arc::default(), thread: None }
    }

    /// Calls `add` on a thread, with rows in the order in which they came.
    pub fn spawn(mut add: impl FnMut(&[(u32, Class)]) + Send + 'static) -> std::io::Result<Self> {
        let shared: Arc<(Mutex<Waiting>, Condvar)> = Arc::default();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("suppressor".into()).spawn(move || {
            let (waiting, bell) = &*theirs;
            loop {
                let guard = waiting.lock().expect("no holder of the lock panics");
                let mut guard = bell
                    .wait_while(guard, |waiting| waiting.rows.is_empty() && !waiting.ended)
                    .expect("no holder of the lock panics");
                let rows = std::mem::take(&mut guard.rows);
                let ended = guard.ended;
                drop(guard);
                add(&rows);
                if ended {
                    return;
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has a row's address added. Never blocks on the store.
    pub fn add(&self, row: u32, class: Class) {
        if self.thread.is_some() {
            let (waiting, bell) = &*self.shared;
            waiting.lock().expect("no holder of the lock panics").rows.push((row, class));
            bell.notify_one();
        }
    }

    /// Waits until all rows are added.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let (waiting, bell) = &*self.shared;
        waiting.lock().expect("no holder of the lock panics").ended = true;
        bell.notify_one();
        if thread.join().is_err() {
            tracing::error!("the thread that adds to the suppression list ended early");
        }
    }
}

impl Drop for Suppressor {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_asked_for_is_added_before_the_end() {
        let added = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&added);
        let suppressor =
            Suppressor::spawn(move |rows| theirs.lock().unwrap().extend_from_slice(rows)).unwrap();
        for row in 0..100 {
            suppressor.add(row, Class::BadMailbox);
        }
        suppressor.finish();
        let rows: Vec<u32> = added.lock().unwrap().iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, (0..100).collect::<Vec<_>>());
    }
}

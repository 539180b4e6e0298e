//! What a page is about, and a stream of what changes in it (server-sent events, HTML Living
//! Standard §9.2): each event is a part, as it is from now on.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::capacity;
use super::frame::Part;
use super::overview;
use super::watch::{EVERY, Watch};
use crate::run_dir::StoredRun;

/// Streams at once,
const STREAMS: usize = 256;
/// and of one account.
const STREAMS_OF_ONE: usize = 64;
/// A stream ends after this time, and the page opens another: before the server ends the
/// connection.
const STREAM_TIME: Duration = Duration::from_secs(4 * 60);
/// How long a stream is silent. A comment shows a proxy that it lives.
const SILENCE: Duration = Duration::from_secs(15);

/// What a page is about.
#[derive(Clone)]
pub(super) enum Topic {
    /// The runs that an account sees, from the one with this number on.
    Runs(Arc<Account>, usize),
    /// One run.
    Run(StoredRun),
    /// The capacity accounts that campaigns of an account use.
    Capacity(Arc<Account>),
}

impl Topic {
    /// The parts, as they are now.
    pub(super) async fn parts(&self, watch: &Watch) -> Result<Vec<Part>, Problem> {
        Ok(match self {
            Self::Runs(account, from) => overview::parts(account, &*watch.list().await?, *from),
            Self::Run(run) => watch.run(run).await?.to_vec(),
            Self::Capacity(account) => capacity::parts(account, &*watch.list().await?, &watch.usage().await?),
        })
    }
}

/// How many streams are open: of each account.
type Open = Arc<Mutex<HashMap<String, usize>>>;

/// Streams of changes.
#[derive(Clone)]
pub(super) struct Streams {
    watch: Watch,
    open: Open,
    stop: Receiver<bool>,
}

/// A stream that is counted.
struct Counted {
    open: Open,
    account: String,
}

impl Counted {
    fn new(open: &Open, account: &str) -> Option<Self> {
        let mut streams = open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = streams.values().sum();
        let own = streams.entry(account.to_owned()).or_default();
        if all >= STREAMS || *own >= STREAMS_OF_ONE {
            return None;
        }
        *own += 1;
        Some(Self { open: Arc::clone(open), account: account.to_owned() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut streams = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = streams.get_mut(&self.account) {
            *own -= 1;
        }
    }
}

/// A stream between two events.
struct Stream {
    topic: Topic,
    watch: Watch,
    stop: Receiver<bool>,
    sent: HashMap<&'static str, Arc<str>>,
    began: Instant,
    spoke: Option<Instant>,
    _counted: Counted,
}

impl Streams {
    /// Streams that end when `stop` holds true.
    pub(super) fn new(watch: Watch, stop: Receiver<bool>) -> Self {
        Self { watch, open: Open::default(), stop }
    }

    /// A stream of the changes in `topic`, which begins with all its parts.
    pub(super) fn open(&self, account: &Account, topic: Topic) -> Result<Response, Problem> {
        let counted = Counted::new(&self.open, &account.name).ok_or(Problem::Busy)?;
        let stream = Stream {
            topic,
            watch: self.watch.clone(),
            stop: self.stop.clone(),
            sent: HashMap::new(),
            began: Instant::now(),
            spoke: None,
            _counted: counted,
        };
        let head = [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-store"),
            // Proxies that collect answers before they pass them on.
            (HeaderName::from_static("x-accel-buffering"), "no"),
            (HeaderName::from_static("x-content-type-options"), "nosniff"),
        ];
        let events = unfold(stream, |mut stream| async move {
            let text = stream.next().await?;
            Some((Ok::<_, Infallible>(text), stream))
        });
        Ok((head, Body::from_stream(events)).into_response())
    }
}

impl Stream {
    /// The next events; none at its end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.spoke.is_some() {
                tokio::select! {
                    () = sleep(EVERY) => {}
                    _ = self.stop.wait_for(|stop| *stop) => return None,
                }
            }
            if self.began.elapsed() > STREAM_TIME || *self.stop.borrow() {
                return None;
            }
            let Ok(parts) = self.topic.parts(&self.watch).await else {
                // It is tried again, for as long as somebody looks.
                if self.spoke.is_some_and(|at| at.elapsed() < SILENCE) {
                    continue;
                }
                self.spoke = Some(Instant::now());
                return Some(": it can't be read now\n\n".to_owned());
            };
            let mut text = String::new();
            if self.spoke.is_none() {
                text.push_str("retry: 1000\n\n");
            }
            for part in parts {
                if self.sent.get(part.id).is_none_or(|sent| *sent != part.html) {
                    text.push_str(&event(&part.html));
                    self.sent.insert(part.id, part.html);
                }
            }
            if text.is_empty() && self.spoke.is_some_and(|at| at.elapsed() >= SILENCE) {
                text.push_str(": nothing new\n\n");
            }
            if !text.is_empty() {
                self.spoke = Some(Instant::now());
                return Some(text);
            }
        }
    }
}

/// A part as an event. A line end of any kind ends a field, so that each line is a field.
fn event(html: &str) -> String {
    let mut text = "event: part\n".to_owned();
    for line in html.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_begins_no_field_of_its_own() {
        let text = event("<p>a\r\nevent: b\rid: 1\n\nretry: 0</p>");
        let fields: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
        assert_eq!(fields[0], "event: part");
        assert!(fields[1..].iter().all(|field| field.starts_with("data: ")), "{text}");
        assert!(text.ends_with("\n\n") && text.matches("\n\n").count() == 1, "{text}");
    }
}

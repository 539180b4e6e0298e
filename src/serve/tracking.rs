//! Tracked links and images. A browser is sent to what is sealed in a token and nowhere else; an
//! image is an image whatever its token is.
//!
//! A visit is answered once it is durable, within a millisecond or a few. Where the disk takes
//! longer than [`PATIENCE`], people are not kept waiting.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, LOCATION, REFERRER_POLICY, USER_AGENT,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::compose::tracked::{Deed, Opener};
use crate::feedback::Machine;
use crate::job::{LostVisits, TokenSecrets, Visit};
use crate::mail::Timestamp;

/// How long a visitor waits for the disk at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the names of images end.
const IMAGE: &str = ".gif";

/// One transparent pixel, GIF89a.
const PIXEL: [u8; 43] = [
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4, 1,
    0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b,
];

/// Fields that say that something is fetched before anybody wants it.
const PURPOSES: [&str; 4] = ["purpose", "sec-purpose", "x-purpose", "x-moz"];

/// Answers tracked links and images.
#[derive(Debug, Clone)]
pub(super) struct Tracking {
    openers: Arc<[Opener]>,
    to: mpsc::Sender<Visit>,
    lost: LostVisits,
    patience: Duration,
}

/// What is tracked of a request.
#[derive(Debug)]
pub(super) enum Tracks {
    /// Nothing: it has another token, or none.
    Nothing,
    /// The time of its link is over.
    Over,
    /// It is answered.
    Answer(Response),
}

impl Tracking {
    /// Reads tokens with `secrets`, sends visits to `to`, and counts those that find no room.
    pub(super) fn new(secrets: &TokenSecrets, to: mpsc::Sender<Visit>, lost: LostVisits) -> Self {
        Self { openers: secrets.openers().into(), to, lost, patience: PATIENCE }
    }

    /// Answers a request for a tracked link or an image.
    pub(super) async fn answer(&self, method: &Method, uri: &Uri, head: &HeaderMap) -> Tracks {
        let last = uri.path().rsplit('/').next().unwrap_or_default();
        let (token, is_image) = match last.strip_suffix(IMAGE) {
            Some(token) => (token, true),
            None => (last, false),
        };
        let tracked = self.openers.iter().find_map(|opener| opener.open(token));
        if !is_image && tracked.is_none() {
            return Tracks::Nothing;
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Tracks::Answer((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response());
        }
        let Some(tracked) = tracked else { return Tracks::Answer(image()) };
        let answer = match &tracked.deed {
            Deed::Open => image(),
            // The name of an image never leads anywhere.
            Deed::Click(_) if is_image => return Tracks::Answer(image()),
            Deed::Click(target) => {
                // A target is printable ASCII, so this can't fail; and if it did, nothing is
                // followed.
                let Ok(location) = HeaderValue::from_str(target.as_str()) else { return Tracks::Nothing };
                plain((StatusCode::FOUND, [(LOCATION, location)]).into_response())
            }
        };
        let at = Timestamp::now();
        if tracked.is_over(at) {
            return if is_image { Tracks::Answer(answer) } else { Tracks::Over };
        }
        let machine = machine(method, head);
        let (done, kept) = oneshot::channel();
        let visit = Visit { text: token.to_owned(), tracked, machine, at, done };
        match timeout(self.patience, self.to.send(visit)).await {
            // Gone or late: it is kept or counted by whoever has it.
            Ok(Ok(())) => drop(timeout(self.patience, kept).await),
            Ok(Err(_)) | Err(_) => self.lost.add(1),
        }
        Tracks::Answer(answer)
    }
}

fn image() -> Response {
    plain((StatusCode::OK, [(CONTENT_TYPE, "image/gif")], PIXEL.as_slice()).into_response())
}

/// What all answers say: keep nothing, and tell nobody where the visitor came from.
fn plain(mut response: Response) -> Response {
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    head.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    head.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    response
}

/// Why a request is no person's, as far as it says.
fn machine(method: &Method, head: &HeaderMap) -> Option<Machine> {
    if *method == Method::HEAD {
        return Some(Machine::Head);
    }
    let text = |name: &str| head.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let purpose = PURPOSES.iter().filter_map(|name| text(name)).find_map(|value| Machine::of_purpose(&value));
    purpose.or_else(|| Machine::of_program(&text(USER_AGENT.as_str()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::seal::Sealer;

    const SECRET: &[u8] = b"0123456789abcdef";

    fn token(letter: u8, last_day: u16) -> String {
        let mut text = vec![1, letter];
        text.extend_from_slice(&last_day.to_be_bytes());
        text.extend_from_slice(b"\0\0\0\x07c\0r\0");
        text.extend_from_slice(if letter == b'c' { b"https://shop.example/" } else { b"" });
        Sealer::new(SECRET, "tracking").seal(text)
    }

    fn answered(path: &str, room: usize) -> (Tracks, mpsc::Receiver<Visit>, LostVisits) {
        let (to, made) = mpsc::channel(room);
        let lost = LostVisits::default();
        let tracking = Tracking {
            openers: [Opener::new(SECRET)].into(),
            to,
            lost: lost.clone(),
            patience: Duration::ZERO,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let uri: Uri = path.parse().unwrap();
        let answer = runtime.block_on(async {
            if room == 1 {
                // Nobody takes what is sent: the channel is full.
                let (done, _) = oneshot::channel();
                let tracked = tracking.openers[0].open(&token(b'o', u16::MAX)).unwrap();
                let visit = Visit { text: String::new(), tracked, machine: None, at: Timestamp(0), done };
                tracking.to.try_send(visit).unwrap();
            }
            tracking.answer(&Method::GET, &uri, &HeaderMap::new()).await
        });
        (answer, made, lost)
    }

    #[test]
    fn a_link_whose_time_is_over_is_not_followed() {
        let (answer, mut made, _) = answered(&format!("/{}", token(b'c', 20_000)), 2);
        assert!(matches!(answer, Tracks::Over), "{answer:?}");
        assert!(made.try_recv().is_err(), "and counts for nothing");
        let (answer, mut made, _) = answered(&format!("/{}.gif", token(b'o', 20_000)), 2);
        assert!(matches!(answer, Tracks::Answer(answer) if answer.status() == 200));
        assert!(made.try_recv().is_err());
    }

    #[test]
    fn people_are_sent_on_where_nobody_keeps_visits_and_that_is_counted() {
        let (answer, made, lost) = answered(&format!("/{}", token(b'c', u16::MAX)), 1);
        let Tracks::Answer(answer) = answer else { panic!("it is answered") };
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert_eq!(answer.headers()[LOCATION], "https://shop.example/");
        assert_eq!((made.len(), lost.count()), (1, 1));
    }
}

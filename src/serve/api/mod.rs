//! What programs ask: how far runs are, and what happened to recipients. It can only be read, and
//! an account sees its own runs only: what it does not see is for it as if it did not exist.
//!
//! | file | its noun |
//! |---|---|
//! | `gate` | who asks |
//! | `answer` | JSON, and what is wrong |
//! | `reader` | runs that an account sees |
//! | `query` | what comes behind `?` |
//! | `limit` | how much of an answer is wanted |
//! | `runs` | `/v1/runs` |
//! | `rows` | `/v1/runs/{id}/rows` |
//! | `search` | `/v1/search` |
//! | `usage` | `/v1/usage` |
//! | `metrics` | `/metrics` |
//! | `events` | `/v1/events` |
//! | `notifications` | `/in365-api` |

mod answer;
mod events;
mod gate;
mod limit;
mod metrics;
mod notifications;
mod query;
mod reader;
mod rows;
mod runs;
mod search;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use ring::rand::{SecureRandom, SystemRandom};

pub(super) use self::answer::Problem;
use self::answer::written;
pub(super) use self::gate::Gate;
use self::gate::enter;
use self::reader::Reader;
use super::settings::ApiSettings;
use crate::job::Workspace;

/// What is answered, in OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub(crate) struct NoRandom;

/// A key that nobody else knows.
pub(super) fn random_key() -> Result<[u8; 32], NoRandom> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| NoRandom)?;
    Ok(key)
}

/// Answers every path.
pub(super) fn router(workspace: Arc<Workspace>, settings: &ApiSettings) -> Result<Router, NoRandom> {
    let gate = Gate::new(settings.accounts.clone(), settings.proxies.clone(), random_key()?);
    let known = Router::new()
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::one))
        .route("/v1/runs/{id}/rows", get(rows::page))
        .route("/v1/events", get(events::page))
        .route("/v1/search", get(search::page))
        .route("/v1/usage", get(usage::months))
        .route("/metrics", get(metrics::all))
        .route("/v1/openapi.json", get(|| async { written(DESCRIPTION) }))
        .route("/in365-api/{account}/notifications/id/{id}", get(notifications::by_id))
        .method_not_allowed_fallback(|| async { Problem::Method })
        .fallback(|| async { Problem::Nothing })
        .layer(middleware::from_fn_with_state(Arc::new(gate), enter))
        .with_state(Reader::new(workspace));
    Ok(Router::new().route("/health", get(|| async { "ok\n" })).merge(known))
}

//! What programs ask: how far runs are, and what happened to recipients. It can only be read, and
//! an account sees its own runs only: what it does not see is for it as if it did not exist.
//!
//! | file | its noun |
//! |---|---|
//! | `answer` | JSON, and what is wrong |
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
mod limit;
mod metrics;
mod notifications;
mod rows;
mod runs;
mod search;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::answer::written;
use super::gate::Gate;
use super::problem::Problem;
use super::reader::Reader;
use super::settings::AccountsFace;
use crate::job::Workspace;

/// What is answered, in OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

/// Answers every path.
pub(super) fn router(workspace: Arc<Workspace>, settings: &AccountsFace, key: [u8; 32]) -> Router {
    let gate = Gate::new(settings.accounts.clone(), settings.proxies.clone(), key);
    let reader = Reader::new(workspace);
    let known = Router::new()
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::one))
        .route("/v1/runs/{id}/rows", get(rows::page))
        .route("/v1/events", get(events::page))
        .route("/v1/search", get(search::page).with_state(reader.apart(search::AT_ONCE)))
        .route("/v1/usage", get(usage::months))
        .route("/metrics", get(metrics::all))
        .route("/v1/openapi.json", get(|| async { written(DESCRIPTION) }))
        .route("/in365-api/{account}/notifications/id/{id}", get(notifications::by_id))
        .method_not_allowed_fallback(|| async { Problem::Method })
        .fallback(|| async { Problem::Nothing })
        .layer(middleware::from_fn_with_state(Arc::new(gate), enter))
        .with_state(reader);
    Router::new().route("/health", get(|| async { "ok\n" })).merge(known)
}

async fn enter(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.enter(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

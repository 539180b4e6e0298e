//! What people look at: pages about runs, capacity, senders, previews and the suppression list. An
//! account sees its own runs only: what it does not see is for it as if it did not exist.
//!
//! Pages are made here, whole, and work without a script. With it they change as the runs do.
//!
//! | file | its noun |
//! |---|---|
//! | `frame` | what all pages share |
//! | `assets` | style and script |
//! | `list`, `view` | runs, as they are read |
//! | `overview`, `run`, `capacity`, `senders`, `preview`, `suppression` | pages |
//! | `forms` | what may change something |
//! | `watch` | what all viewers share |
//! | `topic` | what a page is about, and its changes |

mod assets;
mod capacity;
mod forms;
mod frame;
mod list;
mod overview;
mod preview;
mod run;
mod senders;
mod suppression;
mod topic;
mod view;
mod watch;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use maud::html;
use tokio::sync::watch::Receiver;

use self::forms::Tokens;
use self::frame::{Answer, Refused, page, parts, run_path, safe, segment};
use self::suppression::{Change, Count, Wanted};
use self::topic::{Streams, Topic};
use self::watch::Watch;
use super::accounts::Account;
use super::gate::Gate;
use super::problem::Problem;
use super::query::pairs;
use super::reader::{Reader, visible};
use super::settings::AccountsFace;
use crate::job::Workspace;
use crate::run_dir::StoredRun;

/// What all pages share.
#[derive(Clone)]
struct Live {
    reader: Reader,
    /// Previews are made apart: each screens a list.
    previews: Reader,
    watch: Watch,
    streams: Streams,
    tokens: Tokens,
    count: Count,
}

/// Answers every path. The streams of changes end when `stop` holds true.
pub(super) fn router(
    workspace: Arc<Workspace>,
    settings: &AccountsFace,
    key: [u8; 32],
    stop: Receiver<bool>,
) -> Router {
    let gate = Gate::new(settings.accounts.clone(), settings.proxies.clone(), key);
    let reader = Reader::new(workspace);
    let watch = Watch::new(reader.clone());
    let streams = Streams::new(watch.clone(), stop);
    let live = Live {
        previews: reader.apart(1),
        reader,
        streams,
        watch,
        tokens: Tokens::new(key),
        count: Count::default(),
    };
    Router::new()
        .route("/", get(runs))
        .route("/events", get(runs_events))
        .route("/runs/{campaign}/{run}", get(one))
        .route("/runs/{campaign}/{run}/events", get(one_events))
        .route("/capacity", get(capacity))
        .route("/capacity/events", get(capacity_events))
        .route("/senders", get(senders))
        .route("/previews", get(previews))
        .route("/previews/{campaign}", get(preview))
        .route("/previews/{campaign}/html", get(preview_html))
        .route("/suppression", get(suppressions).post(suppress))
        .route("/live.css", get(assets::style))
        .route("/live.js", get(assets::script))
        .method_not_allowed_fallback(|| async { Refused(Problem::Method) })
        .fallback(|| async { Refused(Problem::Nothing) })
        .layer(middleware::from_fn_with_state(Arc::new(gate), enter))
        .with_state(live)
}

async fn enter(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.enter(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => Refused(problem).into_response(),
    }
}

/// The number of the first run that is wanted.
fn from(uri: &Uri) -> Result<usize, Problem> {
    let wanted = pairs(uri, &["from"])?.pop();
    let number = wanted.map_or(Ok(0), |(_, value)| value.parse());
    number
        .ok()
        .filter(|number| *number < 1_000_000)
        .ok_or_else(|| Problem::Bad("`from` is no number".to_owned()))
}

async fn runs(State(live): State<Live>, Extension(account): Extension<Arc<Account>>, uri: Uri) -> Answer {
    let from = from(&uri)?;
    let shown = Topic::Runs(Arc::clone(&account), from).parts(&live.watch).await?;
    let content = html! { h1 { "Runs" } (parts(&shown)) };
    Ok(page(&account, "/", "Runs", &content, Some(&format!("/events?from={from}"))))
}

async fn runs_events(
    State(live): State<Live>,
    Extension(account): Extension<Arc<Account>>,
    uri: Uri,
) -> Answer {
    Ok(live.streams.open(&account, Topic::Runs(Arc::clone(&account), from(&uri)?))?)
}

type RunPath = Result<Path<(String, String)>, PathRejection>;

/// The run of a path that the account sees.
async fn seen(live: &Live, account: &Arc<Account>, path: RunPath) -> Result<StoredRun, Problem> {
    let Path((campaign, run)) = path.map_err(|_| Problem::Nothing)?;
    let (account, name) = (Arc::clone(account), format!("{campaign}/{run}"));
    live.reader.read(move |workspace| Ok(visible(workspace, &account, &name)?.0)).await
}

async fn one(State(live): State<Live>, Extension(account): Extension<Arc<Account>>, path: RunPath) -> Answer {
    let run = seen(&live, &account, path).await?;
    let name = run.dir().name();
    let campaign = run.dir().campaign_id().to_owned();
    let shown = Topic::Run(run).parts(&live.watch).await?;
    let content = html! {
        h1 { (safe(&name)) }
        p { a href=(format!("/previews/{}", segment(&campaign))) { "Previews of the campaign" } }
        (parts(&shown))
    };
    Ok(page(&account, "", &name, &content, Some(&format!("{}/events", run_path(&name)))))
}

async fn one_events(
    State(live): State<Live>,
    Extension(account): Extension<Arc<Account>>,
    path: RunPath,
) -> Answer {
    let run = seen(&live, &account, path).await?;
    Ok(live.streams.open(&account, Topic::Run(run))?)
}

async fn capacity(State(live): State<Live>, Extension(account): Extension<Arc<Account>>) -> Answer {
    let shown = Topic::Capacity(Arc::clone(&account)).parts(&live.watch).await?;
    let content = html! { h1 { "Capacity" } (parts(&shown)) };
    Ok(page(&account, "/capacity", "Capacity", &content, Some("/capacity/events")))
}

async fn capacity_events(State(live): State<Live>, Extension(account): Extension<Arc<Account>>) -> Answer {
    Ok(live.streams.open(&account, Topic::Capacity(Arc::clone(&account)))?)
}

async fn senders(State(live): State<Live>, Extension(account): Extension<Arc<Account>>) -> Answer {
    let standings = live.watch.senders(&account).await?;
    Ok(page(&account, "/senders", "Senders", &senders::content(&standings), None))
}

async fn previews(State(live): State<Live>, Extension(account): Extension<Arc<Account>>) -> Answer {
    let content = preview::campaigns(&account, &*live.watch.list().await?);
    Ok(page(&account, "/previews", "Previews", &content, None))
}

type CampaignPath = Result<Path<String>, PathRejection>;

/// The message that is wanted.
async fn message(
    live: &Live,
    account: &Arc<Account>,
    path: CampaignPath,
    uri: &Uri,
) -> Result<preview::Shown, Problem> {
    let Path(campaign) = path.map_err(|_| Problem::Nothing)?;
    let (row, list, account) = (preview::row(uri)?, live.watch.list().await?, Arc::clone(account));
    live.previews.read(move |workspace| preview::make(workspace, &account, &list, (&campaign, row))).await
}

async fn preview(
    State(live): State<Live>,
    Extension(account): Extension<Arc<Account>>,
    path: CampaignPath,
    uri: Uri,
) -> Answer {
    let shown = message(&live, &account, path, &uri).await?;
    Ok(page(&account, "/previews", "Preview", &preview::content(&shown), None))
}

async fn preview_html(
    State(live): State<Live>,
    Extension(account): Extension<Arc<Account>>,
    path: CampaignPath,
    uri: Uri,
) -> Answer {
    Ok(preview::html_part(message(&live, &account, path, &uri).await?)?)
}

async fn suppressions(
    State(live): State<Live>,
    Extension(account): Extension<Arc<Account>>,
    uri: Uri,
) -> Answer {
    if !account.suppress {
        return Err(Problem::Nothing.into());
    }
    let (wanted, count) = (Wanted::of(&uri)?, live.count.clone());
    let found = live.reader.read(move |workspace| wanted.find(workspace, &count)).await?;
    let content = suppression::content(&account, &found, &live.tokens.of(&account));
    Ok(page(&account, "/suppression", "Suppression", &content, None))
}

async fn suppress(
    State(live): State<Live>,
    Extension(account): Extension<Arc<Account>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    if !account.suppress {
        return Err(Problem::Nothing.into());
    }
    let form = live.tokens.read(&account, &headers, &body)?;
    let change = Change::of(&form)?;
    if form.get("confirmed") != "yes" {
        let content = change.confirm(&live.tokens.of(&account));
        return Ok(page(&account, "/suppression", "Suppression", &content, None));
    }
    let name = account.name.clone();
    let (address, word) = live.reader.read(move |workspace| change.make(workspace, &name)).await?;
    Ok(suppression::made(&address, word))
}

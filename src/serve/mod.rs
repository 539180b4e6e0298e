//! What runs beside the runs and answers over HTTP. It reads what runs write, and writes the
//! feedback log and the suppression list only.
//!
//! | file | its noun |
//! |---|---|
//! | `settings` | `serve.toml` |
//! | `server` | sockets, times, and the end |
//! | `certificates` | TLS files, which may change |
//! | `accounts` | who may ask the API |
//! | `proxy` | the address of a client |
//! | `gate` | who asks |
//! | `problem` | why something is not answered |
//! | `query` | what comes behind `?` |
//! | `reader` | runs that an account sees |
//! | `api` | what programs ask |
//! | `live` | what people look at |
//! | `recipients` | what recipients reach: unsubscribe links |
//! | `tracking` | and tracked links and images |
//! | `page` | pages for recipients |
//! | `words` | their languages |
//! | `submission` | mails that programs hand over |

mod accounts;
mod api;
mod certificates;
mod gate;
mod live;
mod page;
mod problem;
mod proxy;
mod query;
mod reader;
mod recipients;
mod server;
mod settings;
mod submission;
mod tracking;
mod words;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

pub(crate) use self::accounts::{BadPassword, Hash};
use self::certificates::{CertificateError, Certificates};
use self::gate::{Gate, NoRandom, random_key};
use self::recipients::Recipients;
use self::server::Listener;
pub(crate) use self::settings::Settings;
use self::settings::{AccountsFace, Face, SettingsError, TlsFiles};
use self::submission::Submission;
use self::tracking::Tracking;
use crate::job::{JobError, LostVisits, TokenSecrets, UnsubscribeRequests, Visits, Workspace};
use crate::kit::socket::{BindError, Place};
use crate::spool::Spool;

/// Requests that wait to be kept; a request that finds no room waits with them.
const WAITING: usize = 1_000;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The settings can't be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// TLS can't be configured.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A socket can't be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The state can't be used.
    #[error(transparent)]
    Job(Box<JobError>),
    /// No secret can be made.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// Mails can't be kept.
    #[error("the spool `{}` can't be used", path.display())]
    Spool {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No thread can be started.
    #[error("can't start a thread")]
    Thread(#[source] io::Error),
}

impl From<JobError> for ServeError {
    fn from(error: JobError) -> Self {
        Self::Job(Box::new(error))
    }
}

/// All faces, listening.
pub(crate) struct Serve<'w> {
    workspace: &'w Arc<Workspace>,
    recipients: Option<RecipientsFace<'w>>,
    api: Option<(Bound, Router)>,
    submission: Option<(Submission<'w>, Option<Arc<Certificates>>)>,
    page: Option<PageFace>,
}

/// What people look at.
struct PageFace {
    bound: Bound,
    settings: AccountsFace,
    key: [u8; 32],
}

/// What recipients reach.
struct RecipientsFace<'w> {
    bound: Bound,
    secrets: TokenSecrets,
    keeper: UnsubscribeRequests<'w>,
    visits: Visits<'w>,
    lost: LostVisits,
}

/// A face whose places are bound.
struct Bound {
    listener: Listener,
    certificates: Option<Arc<Certificates>>,
}

impl Bound {
    async fn bind(workspace: &Workspace, face: &Face) -> Result<Self, ServeError> {
        let certificates = certificates(workspace, face.tls.as_ref())?;
        let listener = Listener::bind(&face.listen, certificates.clone()).await?;
        Ok(Self { listener, certificates })
    }

    /// Where it is answered, with the ports that the system chose, and whether with TLS.
    fn places(&self) -> (Vec<Place>, bool) {
        (self.listener.places(), self.certificates.is_some())
    }

    /// Answers until `stop` holds true, and follows the files of its certificates meanwhile.
    async fn serve(self, workspace: &Workspace, router: Router, stop: watch::Receiver<bool>) {
        let Self { listener, certificates } = self;
        following(workspace, certificates, listener.serve(router, stop)).await;
    }
}

/// The certificates of a face, if it has any.
fn certificates(
    workspace: &Workspace,
    files: Option<&TlsFiles>,
) -> Result<Option<Arc<Certificates>>, CertificateError> {
    let Some(files) = files else { return Ok(None) };
    let certificates = Certificates::open(files)?;
    if let Some(warning) = certificates.warning() {
        workspace.warn(warning.to_string());
    }
    Ok(Some(Arc::new(certificates)))
}

/// Does this, and follows the files of the certificates meanwhile.
async fn following(
    workspace: &Workspace,
    certificates: Option<Arc<Certificates>>,
    work: impl Future<Output = ()>,
) {
    let follow: Pin<Box<dyn Future<Output = ()>>> = match &certificates {
        Some(certificates) => Box::pin(certificates.watch(|text| workspace.warn(text))),
        None => Box::pin(std::future::pending()),
    };
    tokio::select! {
        () = work => {}
        () = follow => {}
    }
}

impl<'w> Serve<'w> {
    /// Binds what the settings name. Nothing is answered before [`Self::run`].
    pub(crate) async fn bind(workspace: &'w Arc<Workspace>, settings: &Settings) -> Result<Self, ServeError> {
        let recipients = match &settings.recipients {
            Some(face) => {
                let secrets = TokenSecrets::open_all(workspace, &settings.campaigns)?;
                let keeper = UnsubscribeRequests::new(workspace, secrets.clone(), "serve")?;
                let lost = LostVisits::default();
                let visits = Visits::new(workspace, settings.people_after, lost.clone())?;
                let bound = Bound::bind(workspace, face).await?;
                Some(RecipientsFace { bound, secrets, keeper, visits, lost })
            }
            None => None,
        };
        let api = match &settings.api {
            Some(api) => {
                let router = api::router(Arc::clone(workspace), api, random_key()?);
                Some((Bound::bind(workspace, &api.face).await?, router))
            }
            None => None,
        };
        let submission = match &settings.submission {
            Some(settings) => {
                let path = settings.spool.clone();
                let spool = Spool::open(&path).map_err(|source| ServeError::Spool { path, source })?;
                let gate = Arc::new(Gate::new(settings.accounts.clone(), Vec::new(), random_key()?));
                let certificates = certificates(workspace, settings.tls.as_ref())?;
                let bound = Submission::bind(workspace, settings, gate, spool, certificates.as_ref()).await?;
                Some((bound, certificates))
            }
            None => None,
        };
        let page = match &settings.page {
            Some(page) => {
                let bound = Bound::bind(workspace, &page.face).await?;
                Some(PageFace { bound, settings: page.clone(), key: random_key()? })
            }
            None => None,
        };
        Ok(Self { workspace, recipients, api, submission, page })
    }

    /// What is answered where, and by which protocol.
    pub(crate) fn places(&self) -> Vec<(&'static str, Vec<Place>, &'static str)> {
        let recipients = self.recipients.iter().map(|face| ("recipients are", &face.bound));
        let api = self.api.iter().map(|(bound, _)| ("the API is", bound));
        let page = self.page.iter().map(|face| ("the page is", &face.bound));
        let faces = recipients.chain(api).chain(page).map(|(who, bound)| {
            let (places, has_tls) = bound.places();
            (who, places, if has_tls { "https" } else { "http" })
        });
        let submission = self.submission.iter().flat_map(|(submission, _)| submission.places());
        let submission = submission.map(|(places, is_implicit)| {
            ("submissions are", places, if is_implicit { "smtps" } else { "smtp" })
        });
        faces.chain(submission).collect()
    }

    /// Answers until `stop` holds true, then ends what was begun.
    pub(crate) fn run(self, runtime: &Runtime, stop: watch::Receiver<bool>) -> Result<(), ServeError> {
        let Self { workspace, recipients, api, submission, page } = self;
        std::thread::scope(|scope| {
            let mut keeping = Vec::new();
            let recipients = match recipients {
                Some(RecipientsFace { bound, secrets, keeper, visits, lost }) => {
                    let (to, requests) = mpsc::channel(WAITING);
                    let (to_visits, made) = mpsc::channel(WAITING);
                    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
                    let unsubscribing =
                        thread("unsubscribe").spawn_scoped(scope, move || keeper.keep(requests));
                    keeping.push(unsubscribing.map_err(ServeError::Thread)?);
                    let visiting = thread("visits").spawn_scoped(scope, move || visits.keep(made));
                    keeping.push(visiting.map_err(ServeError::Thread)?);
                    let tracking = Tracking::new(&secrets, to_visits, lost);
                    Some((bound, Recipients::new(secrets, to, tracking).router()))
                }
                None => None,
            };
            let mut spooling = None;
            let submission = match submission {
                Some((submission, certificates)) => {
                    let (keep, serve) = submission.split(stop.clone());
                    let handle = runtime.handle().clone();
                    let thread = std::thread::Builder::new()
                        .name("submission".to_owned())
                        .spawn_scoped(scope, move || keep(&handle))
                        .map_err(ServeError::Thread)?;
                    spooling = Some(thread);
                    Some(following(workspace, certificates, serve))
                }
                None => None,
            };
            let submission = async {
                if let Some(submission) = submission {
                    submission.await;
                }
            };
            let page = page.map(|PageFace { bound, settings, key }| {
                (bound, live::router(Arc::clone(workspace), &settings, key, stop.clone()))
            });
            runtime.block_on(async {
                let answer = |face: Option<(Bound, Router)>| {
                    let stop = stop.clone();
                    async move {
                        if let Some((bound, router)) = face {
                            bound.serve(workspace, router, stop).await;
                        }
                    }
                };
                tokio::join!(answer(recipients), answer(api), answer(page), submission);
                // Without a face, what else is done goes on until the end.
                drop(stop.clone().wait_for(|stop| *stop).await);
            });
            for thread in keeping.into_iter().chain(spooling) {
                if let Err(panic) = thread.join() {
                    std::panic::resume_unwind(panic);
                }
            }
            Ok(())
        })
    }
}

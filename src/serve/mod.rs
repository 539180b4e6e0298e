//! What runs beside the runs and answers over HTTP. It reads what runs write, and writes the
//! feedback log and the suppression list only.
//!
//! | file | its noun |
//! |---|---|
//! | `settings` | `serve.toml` |
//! | `server` | sockets, times, and the end |
//! | `certificates` | TLS files, which may change |
//! | `recipients` | what recipients reach: unsubscribe links |
//! | `page` | pages for recipients |
//! | `words` | their languages |

mod certificates;
mod page;
mod recipients;
mod server;
mod settings;
mod words;

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use self::certificates::{CertificateError, Certificates};
use self::recipients::Recipients;
use self::server::Listener;
pub(crate) use self::settings::Settings;
use self::settings::SettingsError;
use crate::job::{JobError, TokenSecrets, UnsubscribeRequests, Workspace};
use crate::kit::socket::{BindError, Place};

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
    workspace: &'w Workspace,
    recipients: Listener,
    certificates: Option<Arc<Certificates>>,
    secrets: TokenSecrets,
    keeper: UnsubscribeRequests<'w>,
}

impl<'w> Serve<'w> {
    /// Binds what the settings name. Nothing is answered before [`Self::run`].
    pub(crate) async fn bind(workspace: &'w Workspace, settings: &Settings) -> Result<Self, ServeError> {
        let face = &settings.recipients;
        let certificates = match &face.tls {
            Some(files) => Some(Arc::new(Certificates::open(files)?)),
            None => None,
        };
        if let Some(warning) = certificates.as_ref().and_then(|certificates| certificates.warning()) {
            workspace.warn(warning.to_string());
        }
        let secrets = TokenSecrets::open_all(workspace, &settings.campaigns)?;
        let keeper = UnsubscribeRequests::new(workspace, secrets.clone(), "serve")?;
        let recipients = Listener::bind(&face.listen, certificates.clone()).await?;
        Ok(Self { workspace, recipients, certificates, secrets, keeper })
    }

    /// Where recipients are answered, with the ports that the system chose.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.recipients.places()
    }

    /// Whether they are answered with TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.certificates.is_some()
    }

    /// Answers until `stop` holds true, then ends what was begun.
    pub(crate) fn run(self, runtime: &Runtime, stop: watch::Receiver<bool>) -> Result<(), ServeError> {
        let Self { workspace, recipients, certificates, secrets, keeper } = self;
        let (to, requests) = mpsc::channel(WAITING);
        std::thread::scope(|scope| {
            let keeping = std::thread::Builder::new()
                .name("unsubscribe".to_owned())
                .spawn_scoped(scope, move || keeper.keep(requests))
                .map_err(ServeError::Thread)?;
            let router = Recipients::new(secrets, to).router();
            runtime.block_on(async {
                let watch = async {
                    match certificates {
                        Some(certificates) => certificates.watch(|text| workspace.warn(text)).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = recipients.serve(router, stop) => {}
                    () = watch => {}
                }
            });
            if let Err(panic) = keeping.join() {
                std::panic::resume_unwind(panic);
            }
            Ok(())
        })
    }
}

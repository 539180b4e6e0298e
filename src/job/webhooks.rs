//! Events of all runs, to the receivers of webhooks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::error::{JobError, SetupError, chain};
use super::hooks::SCHEMA_VERSION;
use super::name_servers::NameServers;
use super::workspace::Workspace;
use crate::events::{Cursor, Event};
use crate::run_dir::StoredRun;
use crate::state::{self, State};
use crate::webhook::{
    Batch, Client, Courier, Disabled, Halt, Item, Keys, Patience, Place, Webhook, WebhookError,
};

/// A webhook, with what this process knows of its runs.
pub(crate) struct Receiver {
    client: Arc<Client>,
    looks: HashMap<String, Look>,
    warned: HashSet<String>,
}

/// How a run was when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    /// When its manifest was written: at every start and every end.
    manifest: Option<SystemTime>,
    /// Whether a process worked on it.
    is_leased: bool,
}

/// What became of one pass over all runs.
pub(crate) enum Delivered {
    /// Another process delivers.
    Busy,
    /// The receiver wants no more.
    Disabled(Disabled),
    /// So many events were delivered, and why it ended before all were, if it did.
    Events(u64, Option<Halt>),
}

impl Receiver {
    /// A receiver of events, with its secrets read.
    pub(crate) fn open(webhook: &Webhook, dns: &NameServers) -> Result<Self, JobError> {
        let keys = Keys::read(&webhook.secrets).map_err(WebhookError::Secret)?;
        let client = Client::new(webhook.clone(), keys, dns.resolver_over(&[])?).map_err(SetupError::Tls)?;
        Ok(Self { client: Arc::new(client), looks: HashMap::new(), warned: HashSet::new() })
    }

    /// Its webhook.
    pub(crate) fn webhook(&self) -> &Webhook {
        self.client.webhook()
    }
}

impl Workspace {
    /// Delivers the events of all runs that a receiver has not got yet, until there are no more.
    pub(crate) fn deliver(
        &self,
        receiver: &mut Receiver,
        patience: Patience,
        runtime: &Handle,
        stop: &watch::Receiver<bool>,
    ) -> Result<Delivered, JobError> {
        let (folder, name) = (self.state_dir()?, receiver.webhook().name.clone());
        if let Some(disabled) = Disabled::read(&folder, &name).map_err(WebhookError::Place)? {
            return Ok(Delivered::Disabled(disabled));
        }
        let Some(place) = Place::open(&folder, &name).map_err(WebhookError::Place)? else {
            return Ok(Delivered::Busy);
        };
        let mut courier = Courier::new(Arc::clone(&receiver.client), place, patience, stop.clone());
        let ended = self.deliver_runs(receiver, &mut courier, runtime)?;
        let ended = ended.and_then(|()| runtime.block_on(courier.finish()));
        match ended {
            Ok(()) => Ok(Delivered::Events(courier.delivered(), None)),
            Err(Halt::Place(error)) => Err(WebhookError::Place(error).into()),
            Err(halt) => Ok(Delivered::Events(courier.delivered(), Some(halt))),
        }
    }

    fn deliver_runs(
        &self,
        receiver: &mut Receiver,
        courier: &mut Courier,
        runtime: &Handle,
    ) -> Result<Result<(), Halt>, JobError> {
        let state = self.state()?;
        for run in self.runs_with_events()? {
            if !receiver.webhook().has_campaign(run.dir().campaign_id()) {
                continue;
            }
            // One run that can't be read holds up no others.
            match self.deliver_run(receiver, courier, runtime, &*state, &run) {
                Ok(Ok(())) => {}
                Ok(Err(halt)) => return Ok(Err(halt)),
                Err(error) => {
                    let warning = format!(
                        "events of run `{}` can't be read for the webhook `{}`: {}",
                        run.dir().name(),
                        receiver.webhook().name,
                        chain(&error)
                    );
                    if receiver.warned.insert(warning.clone()) {
                        self.warn(warning);
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn deliver_run(
        &self,
        receiver: &mut Receiver,
        courier: &mut Courier,
        runtime: &Handle,
        state: &dyn State,
        run: &StoredRun,
    ) -> Result<Result<(), Halt>, JobError> {
        let name = run.dir().name();
        let before = courier.cursor(&name).map(str::to_owned);
        let mut cursor = match before.as_deref().map(str::parse::<Cursor>) {
            Some(Ok(cursor)) => cursor,
            Some(Err(error)) => {
                self.warn(format!("{error}; the events of run `{name}` are delivered again"));
                Cursor::start(run.dir().run_id())
            }
            None => Cursor::start(run.dir().run_id()),
        };
        let manifest = fs::metadata(run.dir().manifest()).and_then(|file| file.modified()).ok();
        let look = Look { manifest, is_leased: run.is_leased()? };
        if receiver.looks.get(&name) == Some(&look)
            && !look.is_leased
            && !self.has_come_back(state, run, &cursor)?
        {
            return Ok(Ok(()));
        }
        let webhook = receiver.client.webhook();
        let mut gathered = Batch { items: Vec::new(), run: name.clone(), cursor: String::new() };
        let mut halted = None;
        self.events(run, &mut cursor, false, &mut |page| {
            for (event, cursor) in page.iter().filter(|(event, _)| webhook.has(event)) {
                gathered.items.push(item(event, cursor));
                if gathered.items.len() < webhook.batch {
                    continue;
                }
                let items = std::mem::take(&mut gathered.items);
                let full = Batch { items, run: name.clone(), cursor: cursor.to_string() };
                if let Err(halt) = runtime.block_on(courier.take(full)) {
                    halted = Some(halt);
                    return false;
                }
            }
            true
        })?;
        if let Some(halt) = halted {
            return Ok(Err(halt));
        }
        // What nobody asked for is behind the place too.
        gathered.cursor = cursor.to_string();
        if before.as_ref() != Some(&gathered.cursor)
            && let Err(halt) = runtime.block_on(courier.take(gathered))
        {
            return Ok(Err(halt));
        }
        receiver.looks.insert(name, look);
        Ok(Ok(()))
    }

    /// Whether something came back for a run behind `cursor`.
    fn has_come_back(&self, state: &dyn State, run: &StoredRun, cursor: &Cursor) -> Result<bool, JobError> {
        // A state without any database has no feedback, and need not get one.
        if !self.state_file()?.exists() {
            return Ok(false);
        }
        let dir = run.dir();
        let back = state.feedback()?.of_run(dir.campaign_id(), dir.run_id(), cursor.feedback)?;
        Ok(!back.is_empty())
    }

    /// All runs with events of recipients, the earliest first: those of campaigns, and messages
    /// that were sent once more.
    pub(super) fn runs_with_events(&self) -> Result<Vec<StoredRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            for store in [state::runs(&folder), Self::resent_beside(&folder)] {
                let dirs = store.list()?.into_iter();
                found.extend(dirs.map(|dir| StoredRun::new(Arc::clone(&store), dir)));
            }
        }
        found.sort_by_cached_key(|run| (run.created(), run.dir().clone()));
        Ok(found)
    }
}

/// An event as it is delivered: as `mailrun events` prints it.
fn item(event: &Event, cursor: &Cursor) -> Item {
    let mut data = json!({ "schema_version": SCHEMA_VERSION });
    for part in [event.json(), json!({ "cursor": cursor.to_string() })] {
        if let (Some(data), serde_json::Value::Object(part)) = (data.as_object_mut(), part) {
            data.extend(part);
        }
    }
    Item { id: event.id.clone(), at: event.at.to_string(), kind: event.kind.as_str(), data }
}

//! Events of all runs, to the receivers of webhooks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::error::{JobError, SetupError, chain};
use super::hooks::SCHEMA_VERSION;
use super::name_servers::NameServers;
use super::workspace::Workspace;
use crate::events::{Cursor, Event, Kind};
use crate::mail::{Disposition, Timestamp};
use crate::run_dir::StoredRun;
use crate::state::{self, State};
use crate::webhook::{
    Answer, Batch, Client, Courier, Disabled, Halt, Item, Keys, Patience, Place, Progress, Webhook,
    WebhookError,
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

/// Where a replay begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplayFrom {
    /// Behind an event of one run.
    Cursor(Cursor),
    /// At a time, in all runs.
    Time(Timestamp),
}

/// How far a webhook is.
pub(crate) struct Standing {
    /// What is on disk.
    pub progress: Progress,
    /// Whether its receiver wants no more.
    pub disabled: Option<Disabled>,
    /// How many events wait; not counted beyond [`MOST_WAITING`].
    pub waiting: u64,
}

/// How many waiting events are counted.
pub(crate) const MOST_WAITING: u64 = 100_000;

impl Receiver {
    /// A receiver of events, with its secrets read.
    pub(crate) fn open(webhook: &Webhook, dns: &NameServers) -> Result<Self, JobError> {
        let keys = Keys::read(&webhook.secrets).map_err(WebhookError::Secret)?;
        let client = Client::new(webhook.clone(), keys, dns.resolver_over(&[])?).map_err(SetupError::Tls)?;
        Ok(Self { client: Arc::new(client), looks: HashMap::new(), warned: HashSet::new() })
    }

    /// Sends one event that is made up; what the receiver answered, or why nothing was.
    pub(crate) fn test(&self, runtime: &Handle) -> Result<Answer, String> {
        let kind = self.webhook().kinds.first().copied().unwrap_or(Kind::Disposed(Disposition::Accepted));
        let event = Event::made_up(kind, Timestamp::wall());
        let item = Item { kind: "test", ..item(&event, &Cursor::start("test")) };
        runtime.block_on(self.client.ask(vec![item]))
    }

    /// Its webhook.
    pub(crate) fn webhook(&self) -> &Webhook {
        self.client.webhook()
    }
}

/// How often runs are looked at for new events.
const EVERY: Duration = Duration::from_secs(1);

impl Workspace {
    /// Delivers events as they come, until `stop` holds true. What keeps it from that is a warning,
    /// once.
    pub(crate) fn keep_delivering(
        &self,
        receiver: &mut Receiver,
        runtime: &Handle,
        stop: &mut watch::Receiver<bool>,
    ) {
        let mut said = None;
        loop {
            let patience = Patience { failures: None, wait: None };
            let problem = match self.deliver(receiver, patience, runtime, stop) {
                Ok(Delivered::Busy) => Some("another process delivers".to_owned()),
                Ok(Delivered::Disabled(Disabled { why, .. }))
                | Ok(Delivered::Events(_, Some(Halt::Disabled(why) | Halt::GaveUp(why)))) => {
                    Some(format!("it is disabled: {why}"))
                }
                Ok(Delivered::Events(_, Some(Halt::Place(error)))) => Some(error.to_string()),
                Ok(Delivered::Events(_, None | Some(Halt::Stopped))) => None,
                Err(error) => Some(chain(&error)),
            };
            if problem.is_some() && problem != said {
                let problem = problem.as_deref().unwrap_or_default();
                self.warn(format!("the webhook `{}`: {problem}", receiver.webhook().name));
            }
            said = problem;
            let stopped = runtime.block_on(async {
                // Where nobody can say so any longer, it is to end too.
                tokio::time::timeout(EVERY, stop.wait_for(|stop| *stop)).await.is_ok()
            });
            if stopped {
                return;
            }
        }
    }

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
        if ended.is_err() {
            // What was handed over may not have arrived: all runs are looked at again.
            receiver.looks.clear();
        }
        match ended {
            Ok(()) => Ok(Delivered::Events(courier.delivered(), None)),
            Err(Halt::Place(error)) => Err(WebhookError::Place(error).into()),
            Err(halt) => Ok(Delivered::Events(courier.delivered(), Some(halt))),
        }
    }

    /// Delivers events again, with the same ids. How far the webhook is stays as it was.
    pub(crate) fn replay(
        &self,
        receiver: &Receiver,
        from: &ReplayFrom,
        patience: Patience,
        runtime: &Handle,
        stop: &watch::Receiver<bool>,
    ) -> Result<Delivered, JobError> {
        let (folder, webhook) = (self.state_dir()?, receiver.webhook());
        if let Some(disabled) = Disabled::read(&folder, &webhook.name).map_err(WebhookError::Place)? {
            return Ok(Delivered::Disabled(disabled));
        }
        let place = Place::apart(&folder, &webhook.name);
        let mut courier = Courier::new(Arc::clone(&receiver.client), place, patience, stop.clone());
        let runs = match from {
            ReplayFrom::Cursor(cursor) => vec![self.find_run(&cursor.run)?],
            ReplayFrom::Time(_) => self.runs_with_events()?,
        };
        let mut ended = Ok(());
        for run in runs.iter().filter(|run| webhook.has_campaign(run.dir().campaign_id())) {
            let (mut cursor, since) = match from {
                ReplayFrom::Cursor(cursor) => (cursor.clone(), None),
                ReplayFrom::Time(since) => (Cursor::start(run.dir().run_id()), Some(*since)),
            };
            ended = self.send_events(receiver, &mut courier, runtime, run, &mut cursor, since)?;
            if ended.is_err() {
                break;
            }
        }
        let ended = ended.and_then(|()| runtime.block_on(courier.finish()));
        Ok(Delivered::Events(courier.delivered(), ended.err()))
    }

    /// How far a webhook is.
    pub(crate) fn webhook_standing(&self, webhook: &Webhook) -> Result<Standing, JobError> {
        let folder = self.state_dir()?;
        let progress = Progress::read(&folder, &webhook.name).map_err(WebhookError::Place)?;
        let disabled = Disabled::read(&folder, &webhook.name).map_err(WebhookError::Place)?;
        let mut waiting = 0;
        for run in self.runs_with_events()? {
            if !webhook.has_campaign(run.dir().campaign_id()) || waiting >= MOST_WAITING {
                continue;
            }
            let kept = progress.cursors.get(&run.dir().name()).and_then(|text| text.parse().ok());
            let mut cursor = kept.unwrap_or_else(|| Cursor::start(run.dir().run_id()));
            let counted = self.events(&run, &mut cursor, false, &mut |page| {
                waiting += page.iter().filter(|(event, _)| webhook.has(event)).count() as u64;
                waiting < MOST_WAITING
            });
            if let Err(error) = counted {
                self.warn(format!(
                    "events of run `{}` can't be counted: {}",
                    run.dir().name(),
                    chain(&error)
                ));
            }
        }
        Ok(Standing { progress, disabled, waiting: waiting.min(MOST_WAITING) })
    }

    fn deliver_runs(
        &self,
        receiver: &mut Receiver,
        courier: &mut Courier,
        runtime: &Handle,
    ) -> Result<Result<(), Halt>, JobError> {
        let state = self.state()?;
        let runs = self.runs_with_events()?;
        // A run that was removed comes never again.
        if self.knows_all_runs()? {
            let names: HashSet<String> = runs.iter().map(|run| run.dir().name()).collect();
            courier.forget(|run| !names.contains(run));
        }
        for run in runs {
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
        let mut cursor = match courier.cursor(&name).map(str::parse::<Cursor>) {
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
        let sent = self.send_events(receiver, courier, runtime, run, &mut cursor, None)?;
        if sent.is_ok() {
            receiver.looks.insert(name, look);
        }
        Ok(sent)
    }

    /// Hands the events of a run behind `cursor` to the courier, those from `since` on.
    fn send_events(
        &self,
        receiver: &Receiver,
        courier: &mut Courier,
        runtime: &Handle,
        run: &StoredRun,
        cursor: &mut Cursor,
        since: Option<Timestamp>,
    ) -> Result<Result<(), Halt>, JobError> {
        let (name, before) = (run.dir().name(), cursor.to_string());
        let webhook = receiver.client.webhook();
        let is_asked = |event: &Event| webhook.has(event) && since.is_none_or(|since| event.at >= since);
        let mut gathered = Batch { items: Vec::new(), run: name.clone(), cursor: String::new() };
        let mut halted = None;
        self.events(run, cursor, false, &mut |page| {
            for (event, cursor) in page.iter().filter(|(event, _)| is_asked(event)) {
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
        if before != gathered.cursor
            && let Err(halt) = runtime.block_on(courier.take(gathered))
        {
            return Ok(Err(halt));
        }
        Ok(Ok(()))
    }

    /// Whether something came back for a run behind `cursor`.
    fn has_come_back(&self, state: &dyn State, run: &StoredRun, cursor: &Cursor) -> Result<bool, JobError> {
        // A state without any database has no feedback, and need not get one.
        if !self.state_file()?.exists() {
            return Ok(false);
        }
        let dir = run.dir();
        Ok(state.feedback()?.has_of_run(dir.campaign_id(), dir.run_id(), cursor.feedback)?)
    }

    /// All runs with events of recipients, the earliest first: those of campaigns, and messages
    /// that were sent once more.
    pub(super) fn runs_with_events(&self) -> Result<Vec<StoredRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            for store in [state::runs(&folder), Self::resent_beside(&folder)] {
                // One without a manifest was cut off before it began.
                let dirs = store.list()?.into_iter().filter(|dir| dir.manifest().exists());
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

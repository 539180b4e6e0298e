//! Whom mails that came back concern: from tokens, `Message-ID`s and addresses to rows of runs.
//!
//! Tokens come first, since nobody can make them up; then the `Message-ID`; then the address, if it
//! was a recipient lately. Mails are looked up many at a time, so that each run's plan and journal
//! are read once for all of them, and only one run's at a time is in memory.
//!
//! A run that can't be read is reported and keeps no other mail from being attributed. Mails that
//! name it are left out: they are not kept, so that they can be read again. So are those that may
//! be about it: all that they name is an address, and no run that can be read has it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::error::{JobError, chain};
use super::read_mail::ReadMail;
use super::run_lists::RunLists;
use super::secret::token_secret;
use super::workspace::Workspace;
use crate::compose::message_id::{self, Named};
use crate::compose::return_path::{PathToken, RunHash, run_hash};
use crate::compose::token::{self, Purpose, Token};
use crate::feedback::{By, Event, Kind, Recipient};
use crate::journal::{Details, Reader, RowState, States};
use crate::mail::{Address, ListId, Timestamp};
use crate::plan::{Plan, PlanError};
use crate::run_dir::{Manifest, RunDirError, StoredRun};
use crate::state;
use crate::suppression::AddressKey;

/// An address that is all that a mail says must have been a recipient within this time.
const LATELY: Duration = Duration::from_secs(30 * 86_400);

/// The runs of a workspace, by what mails that come back say of them.
pub(super) struct RunIndex<'w> {
    workspace: &'w Workspace,
    runs: Vec<Known>,
    by_hash: HashMap<RunHash, Vec<usize>>,
    by_tag: HashMap<String, usize>,
    /// Of runs whose manifest can't be read: what mails that come back say of them.
    unreadable: Unreadable,
    /// All secrets in use.
    secrets: Vec<Vec<u8>>,
    /// What could not be read was reported once.
    reported: HashSet<String>,
    /// The run that was opened last: mails of one run come together.
    last: Option<Open>,
    /// Opened for the first link of a run that is gone.
    past: OnceCell<RunLists>,
}

/// Runs of which nothing is known but their names.
#[derive(Default)]
struct Unreadable {
    hashes: HashSet<RunHash>,
    tags: HashSet<String>,
    /// When they were created.
    created: Vec<Timestamp>,
}

/// A run, and what its mails say.
struct Known {
    run: StoredRun,
    manifest: Manifest,
    /// Its secret, as a place in [`RunIndex::secrets`]; none where it can't be read.
    secret: Option<usize>,
}

/// A row that a mail may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    run: usize,
    row: u32,
}

/// What a mail says of its rows, before any run is opened.
enum Said {
    Rows(By, Vec<Candidate>),
    /// The token of a link whose run is gone, or has no row for it.
    Link(Token, Address),
    /// A run whose rows share one message.
    Run(usize),
    /// A run that can't be read.
    Unreadable,
    Nothing,
}

/// An event without a row: which mail, which event.
type Place = (usize, usize);

impl<'w> RunIndex<'w> {
    /// Reads the manifests of all runs that are known. What can't be read is reported and left out.
    pub(super) fn open(workspace: &'w Workspace) -> Result<Self, JobError> {
        let mut index = Self {
            workspace,
            runs: Vec::new(),
            by_hash: HashMap::new(),
            by_tag: HashMap::new(),
            unreadable: Unreadable::default(),
            secrets: Vec::new(),
            reported: HashSet::new(),
            last: None,
            past: OnceCell::new(),
        };
        index.refresh()?;
        Ok(index)
    }

    /// Reads the manifests of runs that began since, or had not ended, and forgets those that are
    /// gone.
    pub(super) fn refresh(&mut self) -> Result<(), JobError> {
        let mut found = Vec::new();
        for folder in self.workspace.known_runs()? {
            let store = state::runs(&folder);
            found.extend(store.list()?.into_iter().map(|dir| StoredRun::new(store.clone(), dir)));
        }
        let ended = std::mem::take(&mut self.runs);
        let ended = ended.into_iter().filter(|known| known.manifest.finished.is_some());
        let mut ended: HashMap<PathBuf, Known> =
            ended.map(|known| (known.run.dir().path().to_owned(), known)).collect();
        self.by_hash.clear();
        self.by_tag.clear();
        self.unreadable = Unreadable::default();
        for run in found {
            if let Some(known) = ended.remove(run.dir().path()) {
                self.add(known);
                continue;
            }
            match run.manifest() {
                Ok(manifest) => {
                    let secret = self.secret_of(&run, &manifest);
                    self.add(Known { run, manifest, secret });
                }
                // It stopped before it sent anything.
                Err(error @ RunDirError::NoManifest(_)) => {
                    self.report(format!("feedback on `{}`: {error}", run.dir().name()));
                }
                Err(error) => {
                    let (campaign, id) = (run.dir().campaign_id(), run.dir().run_id());
                    self.unreadable.hashes.insert(run_hash(id));
                    self.unreadable.tags.insert(message_id::tag(campaign, id));
                    self.unreadable.created.push(run.created());
                    self.report(left_out(&run, &error));
                }
            }
        }
        if self.secrets.is_empty() {
            self.secrets.extend(token_secret(self.workspace, None));
        }
        Ok(())
    }

    /// Whether a return path with this token was made for a row of a run that is known.
    pub(super) fn knows(&self, token: &PathToken) -> bool {
        !self.verified(token).is_empty()
    }

    /// Whether it names a run that can't be read.
    pub(super) fn is_unreadable(&self, token: &PathToken) -> bool {
        self.unreadable.hashes.contains(&token.run())
    }

    /// The run's secret, as a place in the list of all.
    fn secret_of(&mut self, run: &StoredRun, manifest: &Manifest) -> Option<usize> {
        match token_secret(self.workspace, manifest.campaign.unsubscribe.as_ref()) {
            Ok(secret) => {
                let known = self.secrets.iter().position(|known| *known == secret);
                Some(known.unwrap_or_else(|| {
                    self.secrets.push(secret);
                    self.secrets.len() - 1
                }))
            }
            Err(error) => {
                self.report(format!("no token of run `{}` can be verified: {error}", run.dir().name()));
                None
            }
        }
    }

    fn add(&mut self, known: Known) {
        let (number, id) = (self.runs.len(), known.manifest.run_id.as_str());
        self.by_hash.entry(run_hash(id)).or_default().push(number);
        self.by_tag.insert(message_id::tag(&known.manifest.campaign_id, id), number);
        self.runs.push(known);
    }

    fn report(&mut self, warning: String) {
        if self.reported.insert(warning.clone()) {
            self.workspace.warn(warning);
        }
    }

    /// Finds the recipients that the events of these mails concern.
    pub(super) fn attribute(&mut self, mails: &mut [ReadMail]) -> Result<(), JobError> {
        let mut rows: BTreeMap<usize, Vec<(usize, By, u32)>> = BTreeMap::new();
        let mut within: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (number, mail) in mails.iter_mut().enumerate() {
            self.note_unsubscribe(mail);
            match self.said(mail) {
                Said::Rows(by, candidates) => match self.only(&candidates, mail) {
                    Ok(found) => found.into_iter().for_each(|found| {
                        rows.entry(found.run).or_default().push((number, by, found.row));
                    }),
                    Err((run, error)) => {
                        mail.is_left_out = true;
                        self.report(left_out(&self.runs[run].run, &error));
                    }
                },
                Said::Link(token, address) => {
                    let list_id = self.list_of(&token)?;
                    give(mail, recipient_of_link(&token, address, list_id));
                }
                Said::Run(run) => {
                    within.entry(run).or_default().insert(number);
                }
                Said::Unreadable => mail.is_left_out = true,
                Said::Nothing => {}
            }
        }
        for (run, mut rows) in rows {
            rows.sort_unstable_by_key(|(_, _, row)| *row);
            if let Err(error) = self.give_rows(run, &rows, mails) {
                self.report(left_out(&self.runs[run].run, &error));
                rows.iter().for_each(|(number, ..)| mails[*number].is_left_out = true);
            }
        }
        self.look_up_addresses(mails, &within);
        Ok(())
    }

    /// Gives rows of one run, in their order, to the mails that name them.
    fn give_rows(
        &mut self,
        run: usize,
        rows: &[(usize, By, u32)],
        mails: &mut [ReadMail],
    ) -> Result<(), JobError> {
        let open = self.open_run(run)?;
        {
            // In the order of rows, each part of the journal is read once.
            let mut details = open.details();
            for &(number, by, row) in rows {
                if row < open.plan.len() {
                    let found = open.recipient(&mut details, &self.runs[run].manifest, row, by)?;
                    give(&mut mails[number], found);
                }
            }
        }
        self.last = Some(open);
        Ok(())
    }

    /// Opens a run, or takes the one that was opened last and reads what was written since.
    fn open_run(&mut self, run: usize) -> Result<Open, JobError> {
        let known = &self.runs[run];
        match self.last.take() {
            Some(mut open) if open.is_of(known) => {
                if let Some((reader, states)) = &mut open.journal {
                    reader.catch_up(states)?;
                }
                Ok(open)
            }
            Some(_) | None => Open::new(self.workspace, known),
        }
    }

    /// A mail whose subject is the token of a link unsubscribes, whatever else it says: somebody
    /// followed the `mailto:` of `List-Unsubscribe`.
    fn note_unsubscribe(&self, mail: &mut ReadMail) {
        let is_open = match mail.feedback.kind {
            Kind::Other | Kind::AutoReply | Kind::Challenge | Kind::Delivered => true,
            Kind::Bounce
            | Kind::Delay
            | Kind::Complaint
            | Kind::NotSpam
            | Kind::Unsubscribe
            | Kind::AuthFailure
            | Kind::DmarcAggregate
            | Kind::TlsReport
            | Kind::Reputation
            | Kind::Open
            | Kind::Click => false,
        };
        let link = mail.traces.subject.as_ref().and_then(|subject| self.link(subject));
        if let Some(event) = mail.feedback.events.first_mut()
            && is_open
            && link.is_some_and(|link| link.purpose == Purpose::Unsubscribe)
        {
            (mail.feedback.kind, event.kind) = (Kind::Unsubscribe, Kind::Unsubscribe);
        }
    }

    /// The rows that a mail names, by the surest way that names any.
    fn said(&self, mail: &ReadMail) -> Said {
        let traces = &mail.traces;
        for (by, tokens) in [(By::Envelope, &traces.envelope), (By::Returned, &traces.returned)] {
            let named: BTreeSet<Candidate> = tokens.iter().flat_map(|token| self.verified(token)).collect();
            if !named.is_empty() {
                return Said::Rows(by, named.into_iter().collect());
            }
            if tokens.iter().any(|token| self.is_unreadable(token)) {
                return Said::Unreadable;
            }
        }
        let links = traces
            .subject
            .iter()
            .chain(traces.subject.is_none().then_some(&traces.links).into_iter().flatten());
        let links: Vec<Token> = links.filter_map(|text| self.link(text)).collect();
        if let Some(first) = links.first() {
            let is_one = links.iter().all(|link| link.run == first.run && link.row == first.row);
            let run = self.by_tag.get(&message_id::tag(&first.campaign, &first.run));
            let is_unreadable =
                || self.unreadable.tags.contains(&message_id::tag(&first.campaign, &first.run));
            return match (run, first.row, &first.address) {
                _ if !is_one || first.purpose != Purpose::Unsubscribe => Said::Nothing,
                (Some(&run), Some(row), _) => Said::Rows(By::Link, vec![Candidate { run, row }]),
                (_, _, Some(address)) => Said::Link(first.clone(), address.clone()),
                _ if is_unreadable() => Said::Unreadable,
                _ => Said::Nothing,
            };
        }
        for id in mail.feedback.original_message_id.iter().chain(&traces.answers) {
            let Some(named) = Named::of(id) else { continue };
            if self.unreadable.tags.contains(&named.tag) {
                return Said::Unreadable;
            }
            let Some(&run) = self.by_tag.get(&named.tag) else { continue };
            return match named.row {
                Some(row) => Said::Rows(By::MessageId, vec![Candidate { run, row }]),
                None => Said::Run(run),
            };
        }
        Said::Nothing
    }

    /// The rows that a token names, in runs of the same id too.
    fn verified(&self, token: &PathToken) -> Vec<Candidate> {
        let runs = self.by_hash.get(&token.run()).map(Vec::as_slice).unwrap_or_default();
        let row_in = |run: usize| {
            let row = token.row(self.secrets.get(self.runs[run].secret?)?)?;
            Some(Candidate { run, row })
        };
        runs.iter().filter_map(|run| row_in(*run)).collect()
    }

    /// The list of a token's run, which may be gone.
    fn list_of(&self, token: &Token) -> Result<Option<ListId>, JobError> {
        if let Some(run) = self.by_tag.get(&message_id::tag(&token.campaign, &token.run)) {
            return Ok(self.runs[*run].manifest.campaign.identity.list());
        }
        if self.past.get().is_none() {
            let past = RunLists::open(self.workspace)?;
            self.past.get_or_init(|| past);
        }
        Ok(self.past.get().and_then(|past| past.of(&token.campaign, &token.run)))
    }

    fn link(&self, text: &str) -> Option<Token> {
        self.secrets.iter().find_map(|secret| token::decode(secret, text).ok())
    }

    /// The one candidate; of several, the one whose address the mail names.
    ///
    /// # Errors
    /// The run that can't be read, and why.
    fn only(
        &self,
        candidates: &[Candidate],
        mail: &ReadMail,
    ) -> Result<Option<Candidate>, (usize, PlanError)> {
        if let [one] = candidates {
            return Ok(Some(*one));
        }
        let mut named = Vec::new();
        for candidate in candidates {
            let known = &self.runs[candidate.run];
            let plan = known.manifest.open_plan(&known.run.dir().plan());
            let plan = plan.map_err(|error| (candidate.run, error))?;
            if candidate.row < plan.len()
                && mail.feedback.events.iter().any(|event| is_about(event, &plan.address(candidate.row)))
            {
                named.push(*candidate);
            }
        }
        Ok(if let [one] = named[..] { Some(one) } else { None })
    }

    /// The last resort: addresses that were recipients lately. `within` names mails whose run is
    /// known, without the row.
    fn look_up_addresses(&mut self, mails: &mut [ReadMail], within: &BTreeMap<usize, BTreeSet<usize>>) {
        let mut wanted: HashMap<String, Vec<Place>> = HashMap::new();
        for (number, mail) in mails.iter().enumerate().filter(|(_, mail)| !mail.is_left_out) {
            for (at, event) in mail.feedback.events.iter().enumerate() {
                if mail.recipients[at].is_none() && acts(event.kind) {
                    let named = [&event.address, &event.final_address].into_iter().flatten();
                    for address in named.filter_map(|text| Address::parse(text).ok()) {
                        wanted.entry(key(&address)).or_default().push((number, at));
                    }
                }
            }
        }
        if wanted.is_empty() {
            return;
        }
        let now = self.workspace.clock().wall();
        let mut latest: Vec<usize> =
            (0..self.runs.len()).filter(|run| self.runs[*run].is_later_than(now - LATELY)).collect();
        latest.sort_by_key(|run| std::cmp::Reverse(self.runs[*run].manifest.started));
        let mut found: HashMap<Place, Recipient> = HashMap::new();
        let mut is_one_unread = self.unreadable.created.iter().any(|created| *created > now - LATELY);
        for run in latest {
            if let Err(error) = self.look_up_in(run, &wanted, mails, within, &mut found) {
                // Of a run with tokens an address alone would suppress nobody.
                is_one_unread |= !self.runs[run].manifest.campaign.sender.verp;
                self.report(left_out(&self.runs[run].run, &error));
                let named = within.get(&run).into_iter().flatten();
                named.for_each(|number| mails[*number].is_left_out = true);
            }
        }
        // Who is in no run that can be read may be in one that can't.
        if is_one_unread {
            let nobody = wanted.values().flatten().filter(|place| !found.contains_key(place));
            let is_within = |number: &usize| within.values().any(|mails| mails.contains(number));
            let numbers = nobody.map(|(number, _)| *number).filter(|number| !is_within(number));
            numbers.for_each(|number| mails[number].is_left_out = true);
        }
        for ((number, at), recipient) in found {
            mails[number].recipients[at] = Some(recipient);
        }
    }

    /// The same in one run.
    fn look_up_in(
        &self,
        run: usize,
        wanted: &HashMap<String, Vec<Place>>,
        mails: &[ReadMail],
        within: &BTreeMap<usize, BTreeSet<usize>>,
        found: &mut HashMap<Place, Recipient>,
    ) -> Result<(), JobError> {
        let known = &self.runs[run];
        let plan = known.manifest.open_plan(&known.run.dir().plan())?;
        let mut places: Vec<(u32, Place, bool)> = Vec::new();
        let mut own = String::new();
        for row in 0..plan.len() {
            let local = plan.email(row).rsplit_once('@').map_or("", |(local, _)| local);
            AddressKey::write(local, plan.domain(row), &mut own);
            for place in wanted.get(&own).into_iter().flatten() {
                let elsewhere = within.iter().any(|(other, mails)| *other != run && mails.contains(&place.0));
                let event = &mails[place.0].feedback.events[place.1];
                let is_first = event
                    .address
                    .as_deref()
                    .is_some_and(|text| Address::parse(text).is_ok_and(|address| key(&address) == own));
                if !elsewhere {
                    places.push((row, *place, is_first));
                }
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        let open = Open::with(self.workspace, known, plan)?;
        // Where a mail was sent to says more than where it was forwarded to.
        places.sort_by_key(|(row, _, is_first)| (!is_first, *row));
        let mut details = open.details();
        for (row, place, _) in places {
            let recipient = open.recipient(&mut details, &known.manifest, row, By::Address)?;
            match found.get(&place) {
                Some(other) if worth(other) >= worth(&recipient) => {}
                Some(_) | None => drop(found.insert(place, recipient)),
            }
        }
        Ok(())
    }
}

impl Known {
    fn is_later_than(&self, time: Timestamp) -> bool {
        let last = self.manifest.finished.max(self.manifest.started);
        self.manifest.started.is_some() && last.is_some_and(|last| last > time)
    }
}

/// A run whose rows are looked up.
struct Open {
    path: PathBuf,
    run: String,
    plan: Plan,
    journal: Option<(Reader, States)>,
}

impl Open {
    fn new(workspace: &Workspace, known: &Known) -> Result<Self, JobError> {
        let plan = known.manifest.open_plan(&known.run.dir().plan())?;
        Self::with(workspace, known, plan)
    }

    fn with(workspace: &Workspace, known: &Known, plan: Plan) -> Result<Self, JobError> {
        let (state, dir) = (workspace.state()?, known.run.dir());
        let reader = state.has_journal(dir).then(|| state.read_journal(dir)).transpose()?;
        let journal = reader.map(|reader| reader.states().map(|states| (reader, states))).transpose()?;
        Ok(Self { path: dir.path().to_owned(), run: known.manifest.run_id.to_string(), plan, journal })
    }

    /// Whether it is this run, and all of it can be read on.
    fn is_of(&self, known: &Known) -> bool {
        let is_same = self.path == known.run.dir().path() && self.run == known.manifest.run_id.as_str();
        is_same && self.journal.as_ref().is_some_and(|(_, states)| states.damage.is_none())
    }

    /// What [`Self::recipient`] takes: cheapest for rows in their order.
    fn details(&self) -> Option<Details<'_>> {
        self.journal.as_ref().map(|(reader, _)| reader.details())
    }

    fn recipient(
        &self,
        details: &mut Option<Details<'_>>,
        manifest: &Manifest,
        row: u32,
        by: By,
    ) -> Result<Recipient, JobError> {
        let handed_over = self.handed_over(details, manifest, row)?;
        Ok(Recipient {
            campaign: manifest.campaign_id.clone(),
            run: manifest.run_id.to_string(),
            row: Some(row),
            address: self.plan.address(row),
            list_id: manifest.campaign.identity.list(),
            by,
            trusted: by.is_token() || !manifest.campaign.sender.verp,
            handed_over,
        })
    }

    /// When the next hop accepted the row's message, or may have.
    fn handed_over(
        &self,
        details: &mut Option<Details<'_>>,
        manifest: &Manifest,
        row: u32,
    ) -> Result<Option<Timestamp>, JobError> {
        let (Some((_, states)), Some(details)) = (&self.journal, details) else { return Ok(None) };
        let started = manifest.started;
        let state = states.state(row);
        Ok(match state {
            _ if !state.may_be_mailed() => None,
            RowState::Final(_) => {
                let outcome = details.outcome(states, row)?;
                outcome.map(|outcome| outcome.last_attempt_at.unwrap_or(outcome.at)).or(started)
            }
            RowState::Untouched | RowState::Pending | RowState::Open | RowState::Unknown => started,
        })
    }
}

/// Says which run can't be read, and what that means.
fn left_out(run: &StoredRun, error: &dyn std::error::Error) -> String {
    format!("mails about run `{}` are left out, and can be read again: {}", run.dir().name(), chain(error))
}

/// A link is of a run that is gone, and holds the address.
fn recipient_of_link(token: &Token, address: Address, list_id: Option<ListId>) -> Recipient {
    Recipient {
        campaign: token.campaign.clone(),
        run: token.run.clone(),
        row: token.row,
        address,
        list_id,
        by: By::Link,
        trusted: true,
        handed_over: None,
    }
}

/// Gives a recipient that the mail as a whole names to the event that is about it: the one with its
/// address, else the first of the gravest kind.
fn give(mail: &mut ReadMail, found: Recipient) {
    let events = &mail.feedback.events;
    let named = events.iter().position(|event| is_about(event, &found.address));
    let gravest = || events.iter().position(|event| event.kind == mail.feedback.kind);
    if let Some(at) = named.or_else(gravest) {
        mail.recipients[at] = Some(found);
    }
}

fn is_about(event: &Event, address: &Address) -> bool {
    let named = [&event.address, &event.final_address].into_iter().flatten();
    named.filter_map(|text| Address::parse(text).ok()).any(|named| key(&named) == key(address))
}

fn key(address: &Address) -> String {
    AddressKey::from(address).as_str().to_owned()
}

/// Whether events of this kind change anything for their recipients: only then an address is looked
/// up in all runs.
fn acts(kind: Kind) -> bool {
    match kind {
        Kind::Bounce | Kind::Complaint | Kind::NotSpam | Kind::Unsubscribe => true,
        Kind::Delay
        | Kind::Delivered
        | Kind::AuthFailure
        | Kind::AutoReply
        | Kind::Challenge
        | Kind::DmarcAggregate
        | Kind::TlsReport
        | Kind::Reputation
        | Kind::Open
        | Kind::Click
        | Kind::Other => false,
    }
}

/// Of several runs that mailed an address, one that can have caused the mail is meant.
fn worth(recipient: &Recipient) -> (bool, bool) {
    (recipient.handed_over.is_some(), recipient.trusted)
}

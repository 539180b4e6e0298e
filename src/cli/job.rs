//! What the commands on a campaign share: load it, look its files through, find its run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};

use super::args::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use super::paths;
use crate::campaign::{Campaign, Dkim, RouteKind, Senders, Unsubscribe};
use crate::compose::{Composer, ReturnPaths, RunFacts};
use crate::dkim::Signer;
use crate::kit::file::{self, PRIVATE};
use crate::mail::Timestamp;
use crate::plan::{Freeze, Layout};
use crate::run::{self, Screening};
use crate::run_dir::{Content, Input, RunDir, RunId};
use crate::screen::Limits;
use crate::suppression::{Checker, Suppressions};
use crate::target_group::{self, TargetGroup};

/// The name of the registry of senders.
const REGISTRY: &str = "senders.toml";

/// What messages are made of, looked through: templates, attachments, keys.
pub struct Materials {
    pub campaign: Campaign,
    /// The secret of the tokens.
    secret: Vec<u8>,
    /// The columns that the templates use; `None` when that can't be known.
    columns: Option<BTreeSet<String>>,
    /// The files that messages are made of.
    files: Vec<PathBuf>,
}

/// The target group as well; no row has been read yet.
pub struct Job {
    pub materials: Materials,
    pub group: TargetGroup,
}

/// Loads a campaign, with what its sender is registered with.
///
/// # Errors
/// Exit 3 where there is a registry and the campaign's From is not in it.
pub fn load(common: &Common, path: &Path) -> Result<Campaign, Diagnostic> {
    let mut campaign = Campaign::load(path)?;
    if let Some(registry) = registry_of(common, Some(&campaign))? {
        Senders::load(&registry)?.apply(&mut campaign).map_err(|refused| {
            Diagnostic::new(refused.to_string())
                .at(registry.display())
                .hint(refused.hint())
                .exit(Exit::Refused)
        })?;
    }
    Ok(campaign)
}

/// The registry of senders: the one that the campaign names, or `senders.toml` beside it or in the state directory.
pub fn registry_of(common: &Common, campaign: Option<&Campaign>) -> Result<Option<PathBuf>, Diagnostic> {
    if let Some(named) = campaign.and_then(|campaign| campaign.sender.registry.clone()) {
        return Ok(Some(named));
    }
    let beside = campaign.map(|campaign| campaign.folder().join(REGISTRY));
    let state = paths::state_dir(common)?.join(REGISTRY);
    Ok(beside.into_iter().chain([state]).find(|path| path.is_file()))
}

impl Materials {
    /// Looks a campaign through, all but its target group. The run is not known yet.
    pub fn open(common: &Common, campaign: Campaign) -> Result<(Self, Composer), Diagnostic> {
        let secret = token_secret(common, campaign.unsubscribe.as_ref())?;
        let composer = compose(&campaign, "check", &secret)?;
        let signer = Signer::load(&campaign.dkim)?;
        // A key that only signs rehearsals may be anybody's, as in the repository's own example.
        if campaign.delivery.route != RouteKind::Sandbox {
            for warning in signer.warnings() {
                log::print(&format!("warning: {warning}"));
            }
        }
        let (columns, files) = (composer.columns(), composer.files().to_vec());
        let materials = Self { campaign, secret, columns, files };
        materials.return_paths(&"check".parse().expect("it is made of letters"))?;
        Ok((materials, composer))
    }

    /// The signatures of today, by their `use-from` and `use-until`.
    pub fn signatures(&self) -> Vec<Dkim> {
        let today = Timestamp::wall().to_utc().date_naive();
        self.campaign.dkim.iter().filter(|dkim| dkim.is_used_on(today)).cloned().collect()
    }

    /// The signer for today's signatures, its warnings told before.
    pub fn load_signer(&self) -> Result<Signer, Diagnostic> {
        Ok(Signer::load(&self.signatures())?)
    }

    /// The return paths of a run.
    pub fn return_paths(&self, run_id: &RunId) -> Result<ReturnPaths, Diagnostic> {
        let sender = &self.campaign.sender;
        ReturnPaths::new(sender.return_path(), sender.verp, run_id.as_str(), &self.secret).map_err(|error| {
            Diagnostic::of("can't make return paths", &error)
                .at(format!("{}, `sender.return-path`", self.campaign.path.display()))
                .hint("shorten its local part, or set `verp = false`")
        })
    }

    /// The composer for a run.
    pub fn composer(&self, run_id: &RunId) -> Result<Composer, Diagnostic> {
        compose(&self.campaign, run_id.as_str(), &self.secret)
    }

    /// The files that messages are made of, with their hashes.
    pub fn contents(&self) -> Result<Vec<Content>, Diagnostic> {
        let template = &self.campaign.template;
        let role = |path: &PathBuf| match path {
            path if Some(path) == template.text.as_ref() => "text",
            path if Some(path) == template.html.as_ref() => "html",
            path if template.attachments.contains(path) => "attachment",
            path if template.inline.iter().any(|inline| inline.file == *path) => "inline",
            _ => "partial",
        };
        self.files.iter().map(|path| Ok(Content::of(role(path), path)?)).collect()
    }
}

impl Job {
    /// Looks a campaign through: first what it says, then its target group.
    pub fn open(common: &Common, campaign: Campaign) -> Result<Self, Diagnostic> {
        let (materials, composer) = Materials::open(common, campaign)?;
        let mut group = target_group::open(&materials.campaign.target_group)?;
        for warning in group.warnings() {
            log::print(&format!("warning: {warning}"));
        }
        let schema = group.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        composer.check_columns(&names)?;
        for (name, place) in composer.doubtful(&names) {
            log::print(&format!("warning: a template asks for `{name}`, which is no column ({place})"));
        }
        if let Some(columns) = &materials.columns {
            group.keep_columns(columns);
        }
        Ok(Self { materials, group })
    }

    /// The target group's files with their hashes.
    pub fn inputs(&self) -> Result<Vec<Input>, Diagnostic> {
        let input = |file: &target_group::SourceFile| -> Result<Input, Diagnostic> {
            Ok(Input {
                path: file.path.clone(),
                shown: file.shown.clone(),
                bytes: file.bytes,
                hash: file.content_hash()?.to_hex().to_string(),
                rows: None,
            })
        };
        self.group.files().iter().map(input).collect()
    }

    /// What of the records the plan keeps.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.group.schema(), self.materials.columns.as_ref())
    }

    /// Reads and screens the target group, and freezes it.
    pub fn freeze(
        &self,
        list: &Arc<dyn Suppressions>,
        limit: Option<u64>,
        stop_after: Option<u64>,
        freeze: Freeze,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Screening, Diagnostic> {
        let limits = Limits { duplicates: self.materials.campaign.target_group.duplicates, rows: limit };
        let checker = Checker::open(Arc::clone(list), Timestamp::wall())?;
        Ok(run::freeze(&self.group, freeze, limits, stop_after, checker, progress)?)
    }

    /// A plan for looking at: it goes with the folder that is returned.
    pub fn freeze_aside(
        &self,
        list: &Arc<dyn Suppressions>,
        limit: Option<u64>,
        stop_after: Option<u64>,
    ) -> Result<(tempfile::TempDir, RunDir, Screening), Diagnostic> {
        let folder = tempfile::Builder::new()
            .prefix("mailrun-")
            .tempdir()
            .map_err(|error| Diagnostic::of("can't make a temporary folder", &error).exit(Exit::Usage))?;
        let id: RunId = "aside".parse().expect("it is made of letters");
        let run = RunDir::create(folder.path(), &self.materials.campaign.identity.id, &id)?;
        let freeze = Freeze::aside(&run.plan_files(), self.layout())?;
        let screening = self.freeze(list, limit, stop_after, freeze, |_| {})?;
        Ok((folder, run, screening))
    }
}

fn compose(campaign: &Campaign, run_id: &str, secret: &[u8]) -> Result<Composer, Diagnostic> {
    let facts = RunFacts { run_id: run_id.to_owned(), token_secret: secret.to_vec() };
    Ok(Composer::new(campaign, facts)?)
}

/// The secret of unsubscribe tokens and return paths: as the campaign names it, or one in the state directory.
pub fn token_secret(common: &Common, unsubscribe: Option<&Unsubscribe>) -> Result<Vec<u8>, Diagnostic> {
    if let Some(name) = unsubscribe.and_then(|unsubscribe| unsubscribe.secret_env.as_ref()) {
        let secret = std::env::var(name).unwrap_or_default();
        if secret.is_empty() {
            return Err(Diagnostic::new(format!("the environment variable `{name}` is not set"))
                .hint("it holds the secret of the unsubscribe tokens"));
        }
        return Ok(secret.into_bytes());
    }
    if let Some(path) = unsubscribe.and_then(|unsubscribe| unsubscribe.secret_file.as_ref()) {
        return fs::read(path).map_err(|error| {
            Diagnostic::of("can't read the secret of the unsubscribe tokens", &error).at(path.display())
        });
    }
    let path = paths::state_dir(common)?.join("token.key");
    own_secret(&path)
        .map_err(|error| Diagnostic::of("can't keep the secret of the tokens", &error).at(path.display()))
}

/// The secret in the file at `path`, made where there is none: readable by its owner only, complete or absent.
fn own_secret(path: &Path) -> std::io::Result<Vec<u8>> {
    const BYTES: usize = 32;
    match fs::read(path) {
        Ok(secret) if secret.len() == BYTES => return Ok(secret),
        Ok(_) => return Err(std::io::Error::other("the file is not a secret that mailrun has made")),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let mut secret = vec![0; BYTES];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    match file::create_new(path, &secret, PRIVATE) {
        Ok(()) => Ok(secret),
        // Another process was first: its secret counts.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => fs::read(path),
        Err(error) => Err(error),
    }
}

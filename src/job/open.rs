//! A job: a campaign with what its messages are made of, opened and checked.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{JobError, SenderRefused, SetupError};
use super::refused_starts::Start;
use super::secret::{document_secret, smime_password, token_secret};
use super::stdin::Spool;
use super::workspace::{Workspace, campaign_file};
use crate::campaign::{Campaign, CampaignError, Choice, Dkim, NotRegistered, Parameters, RouteKind, Senders};
use crate::compose::{Composer, ReturnPaths, RunFacts, mark_of_secret};
use crate::dkim::Signer;
use crate::kit::nearest::nearest;
use crate::objects;
use crate::plan::Layout;
use crate::results::Column;
use crate::run_dir::{Apart, Content, Input, RunId, RunStore};
use crate::scan::Scanners;
use crate::smime::{self, SmimeError};
use crate::target_group::{self, Known, TargetGroup};

/// The name of the registry of senders.
const REGISTRY: &str = "senders.toml";

/// A campaign with its templates, attachments, keys and secrets, opened and checked.
pub(crate) struct Job<'w> {
    pub(super) workspace: &'w Workspace,
    campaign: Campaign,
    /// The secret of the tokens.
    secret: Vec<u8>,
    /// The secret of the passwords of secure documents.
    document_secret: Vec<u8>,
    /// The templates, for no run yet.
    templates: Composer,
    /// What judges messages before they leave.
    scanners: Arc<Scanners>,
    /// The columns that the templates use and the results carry; `None` when that can't be known.
    columns: Option<BTreeSet<String>>,
    /// What its runs are, where they are apart from the campaign's own.
    apart: Option<Apart>,
    /// Opened when it is first needed.
    group: OnceLock<TargetGroup>,
    /// What came from stdin, where the list does.
    pub(super) stdin: Option<Spool>,
}

impl Workspace {
    /// Loads a campaign, with what its sender is registered with. `path` is its file or its folder.
    ///
    /// # Errors
    /// [`SenderRefused`] where there is a registry and the campaign's From is not in it, or is not
    /// verified and the registry requires it.
    pub(crate) fn load(&self, path: &Path) -> Result<Campaign, JobError> {
        self.load_with(path, self.parameters())
    }

    /// Like [`Self::load`], with `given` in place of what the campaign file says.
    pub(super) fn load_with(&self, path: &Path, given: &Parameters) -> Result<Campaign, JobError> {
        let mut campaign = Campaign::load_with(&campaign_file(path), given)?;
        if let Some(registry) = self.registry_of(Some(&campaign))? {
            let senders = Senders::load(&registry)?;
            let refused = match senders.apply(&mut campaign) {
                Ok(()) => self.unverified(&senders, &campaign)?,
                Err(refused) => Some(refused),
            };
            campaign.sender.is_registered = true;
            if let Some(refused) = refused {
                return Err(SenderRefused::new(refused, registry, &campaign).into());
            }
        }
        Ok(campaign)
    }

    /// The From of `campaign`, where it must be verified and is not.
    fn unverified(&self, senders: &Senders, campaign: &Campaign) -> Result<Option<NotRegistered>, JobError> {
        let from = &campaign.sender.from.address;
        if !senders.require_verified {
            return Ok(None);
        }
        let note = self.sender_notes()?.of_address(from);
        let refused = |is_pending| NotRegistered::Unverified { from: from.to_string(), is_pending };
        Ok(note.verified.is_none().then(|| refused(note.pending.is_some())))
    }

    /// The registry of senders: the one that the campaign names, or `senders.toml` beside it or in
    /// the state directory.
    pub(crate) fn registry_of(&self, campaign: Option<&Campaign>) -> Result<Option<PathBuf>, JobError> {
        if let Some(named) = campaign.and_then(|campaign| campaign.sender.registry.clone()) {
            return Ok(Some(named));
        }
        let beside = campaign.map(|campaign| campaign.folder().join(REGISTRY));
        let state = self.state_dir()?.join(REGISTRY);
        Ok(beside.into_iter().chain([state]).find(|path| path.is_file()))
    }
}

impl<'w> Job<'w> {
    /// Where it sends from.
    pub(crate) fn workspace(&self) -> &'w Workspace {
        self.workspace
    }

    /// Opens and checks a campaign, all but its target group.
    pub(crate) fn open(workspace: &'w Workspace, mut campaign: Campaign) -> Result<Self, JobError> {
        let stdin = Spool::of(&mut campaign.target_group)?;
        let secret = token_secret(workspace, campaign.unsubscribe.as_ref())?;
        let document_secret = document_secret(campaign.secure_documents.as_ref())?;
        Self::check_files(&campaign)?;
        let templates = compose(&campaign, "check", (&secret, &document_secret), false)?;
        let signer = Signer::load(&campaign.dkim)?.over(smime(workspace, &campaign)?);
        // A key that only signs rehearsals may belong to anybody, as in the repository's own
        // example.
        if campaign.delivery.route != RouteKind::Sandbox {
            signer.warnings().iter().for_each(|warning| workspace.warn(warning));
        }
        let columns = templates.columns().map(|mut columns| {
            columns.extend(campaign.results.columns.iter().cloned());
            columns
        });
        let job = Self {
            workspace,
            scanners: Arc::new(Scanners::new(&campaign.scanner)?),
            templates,
            columns,
            campaign,
            secret,
            document_secret,
            apart: None,
            group: OnceLock::new(),
            stdin,
        };
        job.return_paths(&"check".parse().expect("it is made of letters"))?;
        Ok(job)
    }

    /// The same as a rehearsal, whose runs are apart from the campaign's own.
    pub(crate) fn rehearsing(self, rehearses: bool) -> Self {
        Self { apart: rehearses.then_some(Apart::Rehearsals), ..self }
    }

    /// The same to verify a sender: its runs are apart from those of campaigns.
    pub(crate) fn verifying(self) -> Self {
        Self { apart: Some(Apart::Verifications), ..self }
    }

    /// Whether its runs are rehearsals.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.apart == Some(Apart::Rehearsals)
    }

    /// Whether its runs are the campaign's own, and not apart from them.
    pub(super) fn is_real(&self) -> bool {
        self.apart.is_none()
    }

    /// Its start, until it is a run.
    pub(super) fn start(&self) -> Start<'_> {
        self.workspace.start(&self.campaign.path, self.is_real())
    }

    /// The place with its runs.
    pub(super) fn runs(&self) -> Arc<dyn RunStore> {
        match self.apart {
            Some(apart) => self.workspace.apart_from(&self.campaign, apart),
            None => self.workspace.runs_of(&self.campaign),
        }
    }

    /// The campaign.
    pub(crate) fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// Its templates, for no run yet.
    pub(super) fn templates(&self) -> &Composer {
        &self.templates
    }

    /// The target group, its columns compared with what the templates ask for. No row has been read
    /// yet.
    pub(crate) fn target_group(&self) -> Result<&TargetGroup, JobError> {
        match self.group.get() {
            Some(group) => Ok(group),
            None => {
                let group = self.open_target_group()?;
                Ok(self.group.get_or_init(|| group))
            }
        }
    }

    fn open_target_group(&self) -> Result<TargetGroup, JobError> {
        let objects = objects::fetch(&self.campaign.target_group.files)?;
        let mut group = target_group::open_with(&self.campaign.target_group, &objects)?;
        group.warnings().iter().for_each(|warning| self.workspace.warn(warning));
        self.warn_of_marks(&group);
        let schema = group.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        self.templates.check_columns(&names)?;
        self.check_passed(&names)?;
        for (name, place) in self.templates.doubtful(&names) {
            self.workspace.warn(format!("a template uses `{name}`, which is not a column ({place})"));
        }
        for (name, meant) in self.templates.unused_defaults(&names) {
            let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
            self.workspace.warn(format!("no template uses `{name}` of [template.defaults]{meant}"));
        }
        if let Some(columns) = &self.columns {
            group.keep_columns(columns);
        }
        Ok(group)
    }

    /// Names the files whose byte order mark says another encoding than the campaign.
    fn warn_of_marks(&self, group: &TargetGroup) {
        let Some(named) = self.campaign.target_group.encoding else { return };
        for file in group.files() {
            if let Some((encoding, Known::Mark)) = file.reading.text.as_ref().map(|text| text.encoding)
                && encoding != named
            {
                self.workspace.warn(format!(
                    "`{}` is read as {}, as its byte order mark says, and not as `encoding = \"{}\"`",
                    file.shown,
                    encoding.name(),
                    named.name()
                ));
            }
        }
    }

    /// Compares the columns that the results carry with those that there are.
    fn check_passed(&self, names: &[&str]) -> Result<(), CampaignError> {
        for column in &self.campaign.results.columns {
            let error = |problem: String, hint: String| {
                self.campaign.error_at("results.columns", Some(column), problem, Some(hint))
            };
            if !names.contains(&column.as_str()) {
                let near = nearest(column, names.iter()).map(|name| format!("did you mean `{name}`?"));
                let all = || format!("the columns are `{}`", names.join("`, `"));
                let problem = format!("column `{column}` of [results] not found");
                return Err(error(problem, near.unwrap_or_else(all)));
            }
            // DuckDB does not tell names apart by their case.
            if Column::ALL.iter().any(|own| own.name().eq_ignore_ascii_case(column)) {
                let hint = "leave it out of [results], or give it another name in the list";
                return Err(error(format!("the results have a column `{column}` of their own"), hint.into()));
            }
        }
        Ok(())
    }

    /// Looks for the files that every message is made of.
    fn check_files(campaign: &Campaign) -> Result<(), CampaignError> {
        let template = &campaign.template;
        let chosen = |choice: &Option<Choice<PathBuf>>| -> Vec<PathBuf> {
            choice.iter().flat_map(Choice::all).cloned().collect()
        };
        let variants = || campaign.variants.0.values();
        let texts = chosen(&template.text).into_iter().chain(variants().flat_map(|own| chosen(&own.text)));
        let htmls = chosen(&template.html).into_iter().chain(variants().flat_map(|own| chosen(&own.html)));
        let secure = || campaign.secure_documents.iter();
        let images = template.inline.iter().map(|image| image.file.clone());
        let files = (texts.map(|file| ("template.text", "template", file)))
            .chain(htmls.map(|file| ("template.html", "template", file)))
            .chain(
                template.attachments.iter().map(|file| ("template.attachments", "attachment", file.clone())),
            )
            .chain(images.map(|file| ("template.inline.file", "inline image", file)))
            .chain(secure().flat_map(|secure| {
                let text = secure.text.iter().flat_map(Choice::all);
                let html = secure.html.iter().flat_map(Choice::all);
                let attachments = secure.attachments.iter();
                (text.map(|file| ("secure-documents.text", "template", file.clone())))
                    .chain(html.map(|file| ("secure-documents.html", "template", file.clone())))
                    .chain(
                        attachments.map(|file| ("secure-documents.attachments", "attachment", file.clone())),
                    )
            }));
        for (key, what, file) in files {
            let missing = std::fs::metadata(&file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
            if missing {
                let written = file.strip_prefix(campaign.folder()).unwrap_or(&file).to_string_lossy();
                let hint = "paths start from the campaign file's folder".to_owned();
                let problem = format!("{what} `{written}` not found");
                return Err(campaign.error_at(key, Some(&written), problem, Some(hint)));
            }
        }
        Ok(())
    }

    /// What of the target group's records the plan keeps.
    pub(super) fn layout(&self, group: &TargetGroup) -> Layout {
        let schema = group.schema();
        let passed = &self.campaign.results.columns;
        Layout::new(&schema, self.columns.as_ref()).passing(&schema, passed).with_id_type(group.id_type())
    }

    /// The signatures of today, by their `use-from` and `use-until`.
    pub(crate) fn signatures(&self) -> Vec<Dkim> {
        let today = self.workspace.clock().wall().to_utc().date_naive();
        self.campaign.dkim.iter().filter(|dkim| dkim.is_used_on(today)).cloned().collect()
    }

    /// The signer for today's signatures, that of the content among them. Its warnings were given
    /// when the job was opened.
    pub(crate) fn signer(&self) -> Result<Signer, JobError> {
        Ok(Signer::load(&self.signatures())?.over(smime(self.workspace, &self.campaign)?))
    }

    /// The scanners that the campaign names.
    pub(crate) fn scanners(&self) -> &Arc<Scanners> {
        &self.scanners
    }

    /// The return paths of a run.
    pub(crate) fn return_paths(&self, run_id: &RunId) -> Result<ReturnPaths, JobError> {
        let sender = &self.campaign.sender;
        ReturnPaths::new(sender.return_path(), sender.verp, run_id.as_str(), &self.secret)
            .map_err(|source| SetupError::ReturnPath { campaign: self.campaign.path.clone(), source }.into())
    }

    /// The composer for a run; `is_test` where its message goes to somebody else than its
    /// recipient.
    pub(crate) fn composer(&self, run_id: &RunId, is_test: bool) -> Result<Composer, JobError> {
        self.check_attachment_folder()?;
        compose(&self.campaign, run_id.as_str(), (&self.secret, &self.document_secret), is_test)
    }

    /// The files that messages are made of, with their hashes.
    pub(crate) fn contents(&self) -> Result<Vec<Content>, JobError> {
        let template = &self.campaign.template;
        let variants = || self.campaign.variants.0.values();
        let texts = || {
            let own = variants().filter_map(|variant| variant.text.as_ref());
            template.text.iter().chain(own).flat_map(Choice::all)
        };
        let htmls = || {
            let own = variants().filter_map(|variant| variant.html.as_ref());
            template.html.iter().chain(own).flat_map(Choice::all)
        };
        let secure = || self.campaign.secure_documents.iter();
        let role = |path: &PathBuf| match path {
            path if texts().any(|text| text == path) => "text",
            path if htmls().any(|html| html == path) => "html",
            path if template.attachments.contains(path) => "attachment",
            path if secure().any(|secure| secure.attachments.contains(path)) => "document",
            path if secure().any(|secure| secure.templates().any(|own| own == path)) => "password",
            path if template.inline.iter().any(|inline| inline.file == *path) => "inline",
            _ => "partial",
        };
        let files = self.templates.files().iter();
        let mut contents: Vec<Content> =
            files.map(|path| Content::of(role(path), path)).collect::<Result<_, _>>()?;
        if self.campaign.secure_documents.is_some() {
            contents.push(Content::of_secret(mark_of_secret(&self.document_secret)));
        }
        Ok(contents)
    }
}

/// The target group's files with their hashes.
pub(super) fn inputs(group: &TargetGroup) -> Result<Vec<Input>, JobError> {
    let input = |file: &target_group::SourceFile| -> Result<Input, JobError> {
        Ok(Input {
            path: match &file.object {
                Some(object) => PathBuf::from(&object.url),
                None => file.path.clone(),
            },
            shown: file.shown.clone(),
            bytes: file.bytes,
            hash: file.content_hash()?.to_hex().to_string(),
            object: file.object.as_ref().map(|object| object.version.clone()),
            partition: (file.partition.columns())
                .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
                .collect(),
            rows: None,
        })
    };
    group.files().iter().map(input).collect()
}

/// What signs the content today; nothing where the campaign has no certificate.
fn smime(workspace: &Workspace, campaign: &Campaign) -> Result<Option<smime::Signer>, JobError> {
    if campaign.smime.is_empty() {
        return Ok(None);
    }
    let day = workspace.clock().wall().to_utc().date_naive();
    let smime = campaign.smime.on(day).ok_or(SmimeError::NoneToday { day })?;
    Ok(Some(smime::Signer::load(smime, smime_password(smime)?.as_deref())?))
}

fn compose(
    campaign: &Campaign,
    run_id: &str,
    (tokens, documents): (&[u8], &[u8]),
    is_test: bool,
) -> Result<Composer, JobError> {
    let (token_secret, document_secret) = (tokens.to_vec(), documents.to_vec());
    let facts = RunFacts { run_id: run_id.to_owned(), token_secret, document_secret, is_test };
    Ok(Composer::new(campaign, facts)?)
}

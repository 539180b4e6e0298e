//! The campaign file: TOML, kebab-case, one concept a file.
//!
//! A loaded [`Campaign`] has been checked: addresses parse, values are in range, and paths start
//! from the file's folder. Unknown keys are refused, and the error names the nearest known one.
//! Secrets are never read into it: it only says where they are.

mod accounts;
mod bsmtp;
mod capacity;
mod checks;
mod choice;
mod confidential;
mod delivery;
mod dns;
mod egress;
mod error;
mod hooks;
mod identity;
mod journal;
mod keep;
mod letters;
mod mx;
mod notification;
mod parameters;
mod platforms;
mod ready;
mod reply;
mod report;
mod reputation;
mod results;
mod routes;
mod scanner;
mod secure_documents;
mod seed;
mod sender;
mod senders;
mod shaping;
mod signing;
mod smime;
mod stop;
mod target_group;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod toml_error;
mod tracking;
mod units;
mod unsubscribe;
mod variants;

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::error::Mistake;

pub use accounts::Account;
pub use bsmtp::Bsmtp;
pub use capacity::{Capacity, Pace};
pub use checks::Checks;
pub use choice::{By, Choice};
pub use delivery::{Delivery, Relay, RelayTls, RetryPolicy, RouteKind, Timeouts};
pub use dns::{IpFamily, NameServer};
pub use egress::{Egress, WarmUp};
pub use error::CampaignError;
pub use hooks::Hooks;
pub use identity::{Identity, Kind, MaxPerScope};
pub use journal::{Durability, Journal};
pub use keep::Keep;
pub use mx::{Mx, MxTls};
pub use notification::{Dsn, Notify, Return};
pub use parameters::Parameters;
pub use platforms::{Network, Platform};
pub(crate) use ready::column as ready_column;
pub use reply::{PauseScope, ReplyAction, ReplyRule};
pub use report::ReportMail;
pub use reputation::Reputation;
pub use results::{Compression, FileMode, Results};
pub use routes::DomainRoute;
pub(crate) use scanner::split_url as split_icap_url;
pub use scanner::{Scanned, Scanner, ScannerKind};
pub use secure_documents::SecureDocuments;
pub use seed::Seed;
pub use sender::Sender;
pub use senders::{NotRegistered, RegisteredSender, Senders};
pub use shaping::ShapingEntry;
pub use signing::Dkim;
pub use smime::{Smime, SmimeCertificates};
pub use stop::Stop;
pub use target_group::{
    Bare, ColumnType, Duplicates, Encoding, FilesFrom, NamedIn, S3, STDIN, StrayQuotes, TargetGroupSource,
    TypedColumn, is_object_url,
};
pub(crate) use template::is_mjml;
pub use template::{Inline, Language, Template};
pub use tracking::{Level, Tracking};
pub use units::{ByteSize, Frequency, MaxPer, Span};
pub use unsubscribe::Unsubscribe;
pub use variants::{Variant, Variants};

/// One mailing, as described by its campaign file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Campaign {
    /// `[campaign]`: its name and its kind of mail.
    #[serde(rename = "campaign")]
    pub identity: Identity,
    /// `[sender]`: who it is from.
    pub sender: Sender,
    /// `[target-group]`: who gets it.
    pub target_group: TargetGroupSource,
    /// `[template]`: what it says. Without it, the target group holds ready messages.
    #[serde(default = "Template::ready", skip_serializing_if = "Template::is_ready")]
    pub template: Template,
    /// `[variants]`: other letters, each for a share of the recipients.
    #[serde(default, skip_serializing_if = "Variants::is_empty")]
    pub variants: Variants,
    /// `[secure-documents]`: files in an encrypted ZIP, whose password follows in a second mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_documents: Option<SecureDocuments>,
    /// `[unsubscribe]`: the `List-Unsubscribe` header (RFC 2369, RFC 8058).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<Unsubscribe>,
    /// `[tracking]`: links and an image that say that a message was opened or a link followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
    /// `[smime]`: the certificate that signs the content, or several that follow one another.
    #[serde(default, skip_serializing_if = "SmimeCertificates::is_empty")]
    pub smime: SmimeCertificates,
    /// `[[dkim]]`: the signatures, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dkim: Vec<Dkim>,
    /// `[capacity]`: how many messages per hour.
    #[serde(default)]
    pub capacity: Capacity,
    /// `[delivery]`: where the mail goes, and how.
    pub delivery: Delivery,
    /// `[[relay]]`: several relays, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relay: Vec<Relay>,
    /// `[[route]]`: domains with a relay of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<DomainRoute>,
    /// `[[egress]]`: the local addresses that mail leaves from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Egress>,
    /// `[[shaping]]`: limits per provider; they override the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shaping: Vec<ShapingEntry>,
    /// `[[reply]]`: what replies mean; these rules come before the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply: Vec<ReplyRule>,
    /// `[stop]`: when a run stops automatically.
    #[serde(default)]
    pub stop: Stop,
    /// `[check]`: the scanners that `mailrun check` uses.
    #[serde(default, rename = "check", skip_serializing_if = "Checks::is_default")]
    pub checks: Checks,
    /// `[[scanner]]`: what judges each message before it leaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scanner: Vec<Scanner>,
    /// `[hooks]`: programs that run when a run ends.
    #[serde(default, skip_serializing_if = "Hooks::is_default")]
    pub hooks: Hooks,
    /// `[reputation]`: where `check` and `send` ask how the sender is seen.
    #[serde(default, skip_serializing_if = "Reputation::is_default")]
    pub reputation: Reputation,
    /// `[report]`: who hears by mail how runs ended.
    #[serde(default, skip_serializing_if = "ReportMail::is_default")]
    pub report: ReportMail,
    /// `[keep]`: what a run keeps of what its messages were made of.
    #[serde(default, skip_serializing_if = "Keep::is_default")]
    pub keep: Keep,
    /// `[seed]`: addresses of one's own that get a copy in each run.
    #[serde(default, skip_serializing_if = "Seed::is_default")]
    pub seed: Seed,
    /// `[journal]`: what an intent survives.
    #[serde(default)]
    pub journal: Journal,
    /// `[results]`: how the result files are written.
    #[serde(default)]
    pub results: Results,
    /// The campaign file itself.
    #[serde(skip)]
    pub path: PathBuf,
    /// What was said in its place; the rest of the campaign has it.
    #[serde(skip)]
    pub parameters: Parameters,
}

impl Campaign {
    /// Reads and checks the campaign file at `path`.
    pub fn load(path: &Path) -> Result<Self, CampaignError> {
        Self::load_with(path, &Parameters::default())
    }

    /// Like [`Self::load`], with `given` in place of what the file says.
    pub fn load_with(path: &Path, given: &Parameters) -> Result<Self, CampaignError> {
        let text = std::fs::read_to_string(path).map_err(|source| CampaignError::read(path, source))?;
        Self::parse_with(&text, path, given)
    }

    /// Sends this campaign by the relays, routes and addresses of `base`, under its capacity.
    pub(crate) fn leave_as(&mut self, base: &Self) {
        self.capacity.clone_from(&base.capacity);
        self.delivery.clone_from(&base.delivery);
        self.relay.clone_from(&base.relay);
        self.route.clone_from(&base.route);
        self.egress.clone_from(&base.egress);
        self.shaping.clone_from(&base.shaping);
        self.reply.clone_from(&base.reply);
    }

    /// The id in the campaign file at `path`, with `given` in place of what the file says; `None`
    /// where it says none. The rest of the file may be wrong.
    pub fn id_in(path: &Path, given: &Parameters) -> Result<Option<String>, CampaignError> {
        let text = std::fs::read_to_string(path).map_err(|source| CampaignError::read(path, source))?;
        given.id_in(&text, path)
    }

    /// Reads and checks the text of a campaign file. Relative paths start from the folder of
    /// `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CampaignError> {
        Self::parse_with(text, path, &Parameters::default())
    }

    /// Like [`Self::parse`], with `given` in place of what the text says.
    pub fn parse_with(text: &str, path: &Path, given: &Parameters) -> Result<Self, CampaignError> {
        let (table, env) = given.apply(text, path)?;
        let parsed = Self::deserialize(toml::de::Deserializer::from(table)).map_err(|error| {
            match error.span().and_then(|span| given.setting_at(span.start, text)) {
                Some((key, value)) => CampaignError::toml_in_setting(path, key, value, &error),
                None => {
                    let toml = CampaignError::toml(path, text, &error);
                    let words = error.span().filter(|_| error.message().trim() == toml_error::NO_WORD);
                    let words = words.and_then(|span| Self::words_at(span, text, path, given));
                    CampaignError { hint: words.or(toml.hint), ..toml }
                }
            }
        });
        let mut campaign = parsed?;
        campaign.path = path.to_owned();
        campaign.parameters = Parameters { env, ..given.clone() };
        campaign.resolve_paths();
        if !given.list.is_empty() {
            campaign.target_group.files.clone_from(&given.list);
            campaign.target_group.files_from = FilesFrom::CommandLine;
        }
        campaign.prepare_ready();
        campaign.check().map_err(|mistake| {
            let key = Some(mistake.key).filter(|key| given.set.contains_key(*key));
            let error = CampaignError::check(path, text, mistake);
            key.into_iter().fold(error, CampaignError::in_setting)
        })?;
        Ok(campaign)
    }

    /// An error in the value of `key` that was found after the file was read. Within it, `part` is
    /// pointed at: an item of a list, the name of a file.
    pub(crate) fn error_at(
        &self,
        key: &str,
        part: Option<&str>,
        problem: String,
        hint: Option<String>,
    ) -> CampaignError {
        let error = CampaignError::at_part(&self.path, key, part, problem, hint);
        if self.parameters.set.contains_key(key) { error.in_setting(key) } else { error }
    }

    /// The words that may be written at `span`, where only some may: the reader names them for a
    /// text that is none of them.
    fn words_at(span: Range<usize>, text: &str, path: &Path, given: &Parameters) -> Option<String> {
        let asking = format!("{}\"?\"{}", text.get(..span.start)?, text.get(span.end..)?);
        let (table, _) = given.apply(&asking, path).ok()?;
        let error = Self::deserialize(toml::de::Deserializer::from(table)).err()?;
        let words = error.message().strip_prefix("unknown variant `?`, expected ")?;
        Some(format!("write {words}, in quotes"))
    }

    /// The folder that relative paths start from.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The relays for the domains that no `[[route]]` names.
    pub fn main_relays(&self) -> Vec<&Relay> {
        routes::main_relays(&self.delivery, &self.relay, &self.route)
    }

    /// The account that its messages count against. A rehearsal keeps the pace on an account of its
    /// own, and uses none of the agreed capacity.
    pub fn capacity_account(&self) -> String {
        match self.delivery.route {
            RouteKind::Sandbox => format!("sandbox/{}", self.capacity.account),
            RouteKind::Relay | RouteKind::Mx | RouteKind::Bsmtp => self.capacity.account.clone(),
        }
    }

    /// Who goes first on a shared account: the higher number.
    pub fn priority(&self) -> u8 {
        self.capacity.priority.unwrap_or(match self.identity.kind {
            Kind::Alarm => 5,
            Kind::News | Kind::Update => 0,
        })
    }

    /// The entries of `[[egress]]` that serve the sender.
    pub fn egress(&self) -> impl Iterator<Item = &Egress> {
        let domain = self.sender.from.address.domain();
        self.egress.iter().filter(move |egress| egress.serves(domain))
    }

    fn resolve_paths(&mut self) {
        let folder = self.folder().to_owned();
        self.target_group.resolve_paths(&folder);
        self.template.resolve_paths(&folder);
        self.variants.resolve_paths(&folder);
        if let Some(secure) = &mut self.secure_documents {
            secure.resolve_paths(&folder);
        }
        for dkim in &mut self.dkim {
            dkim.key = folder.join(&dkim.key);
        }
        self.smime.resolve_paths(&folder);
        if let Some(registry) = &mut self.sender.registry {
            *registry = folder.join(&*registry);
        }
        self.delivery.resolve_paths(&folder);
        for scanner in &mut self.scanner {
            scanner.resolve_paths(&folder);
        }
        for relay in &mut self.relay {
            relay.resolve_paths(&folder);
        }
        if let Some(secret) = self.unsubscribe.as_mut().and_then(|u| u.secret_file.as_mut()) {
            *secret = folder.join(&*secret);
        }
    }

    /// Changes the paths of templates and of the files of all messages with `content`, and those of
    /// what else messages need with `other`.
    pub(crate) fn map_content_paths(
        &mut self,
        content: &dyn Fn(&Path) -> PathBuf,
        other: &dyn Fn(&Path) -> PathBuf,
    ) {
        let template = &mut self.template;
        let own =
            self.variants.0.values_mut().flat_map(|variant| variant.text.iter_mut().chain(&mut variant.html));
        for choice in template.text.iter_mut().chain(&mut template.html).chain(own) {
            choice.map(|path| content(path));
        }
        let images = template.inline.iter_mut().map(|image| &mut image.file);
        for path in template.attachments.iter_mut().chain(images).chain(&mut template.partials) {
            *path = content(path);
        }
        if let Some(secure) = &mut self.secure_documents {
            secure.map_content_paths(content, other);
        }
        let secret = self.unsubscribe.as_mut().and_then(|unsubscribe| unsubscribe.secret_file.as_mut());
        for path in template.attachment_folder.iter_mut().chain(secret) {
            *path = other(path);
        }
    }

    /// Checks what the types of single keys can't.
    fn check(&self) -> Result<(), Mistake> {
        self.identity.check()?;
        self.target_group.check()?;
        self.check_ready()?;
        self.template.check()?;
        self.check_letters()?;
        let (kind, verp) = (self.identity.kind, self.sender.verp);
        self.template.check_one_text(kind, verp, self.unsubscribe.is_some())?;
        if let Some(unsubscribe) = &self.unsubscribe {
            unsubscribe.check()?;
        }
        self.smime.check()?;
        self.capacity.check()?;
        self.delivery.check()?;
        self.sender.check(self.delivery.route)?;
        routes::check(&self.delivery, &self.relay, &self.route)?;
        for egress in &self.egress {
            egress.check()?;
        }
        if !self.egress.is_empty() && self.egress().next().is_none() {
            return Err(Mistake::new(
                "egress.senders",
                format!("no `[[egress]]` serves `{}`", self.sender.from.address.domain()),
                "add the domain of From to `senders` of one of them",
            ));
        }
        for entry in &self.shaping {
            entry.check()?;
        }
        self.stop.check()?;
        scanner::check(&self.scanner)?;
        self.check_secure_documents()?;
        self.check_tracking()?;
        self.hooks.check()?;
        self.reputation.check()?;
        self.report.check()?;
        self.seed.check(&self.template)?;
        self.results.check()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::SMALLEST;
    use super::*;

    fn refused(text: &str) -> CampaignError {
        Campaign::parse(text, Path::new("c/campaign.toml")).unwrap_err()
    }

    #[test]
    fn the_smallest_file_has_defaults_for_the_rest() {
        let campaign = Campaign::parse(SMALLEST, Path::new("c/campaign.toml")).unwrap();
        assert_eq!(campaign.capacity.per_hour, 150_000);
        assert_eq!(campaign.target_group.files, ["c/a.csv"]);
        assert_eq!(campaign.sender.return_path().to_string(), "news@example.com");
    }

    #[test]
    fn an_unknown_key_names_its_place_and_the_nearest() {
        let error = refused(&SMALLEST.replace("files =", "fils ="));
        assert_eq!(error.place, Some((7, 1)));
        assert_eq!(error.hint.as_deref(), Some("did you mean `files`?"));
    }

    #[test]
    fn a_bad_value_names_its_place() {
        let error = refused(&SMALLEST.replace("news@example.com", "news@@example.com"));
        assert_eq!(error.place.map(|(line, _)| line), Some(5));
        assert!(error.problem.contains("more than one `@`"), "{error}");
        let error = refused(&SMALLEST.replace("text = \"a.hbs\"", ""));
        assert_eq!(error.place, Some((9, 1)), "{error}");
    }

    #[test]
    fn alarms_go_first_unless_the_file_says_who_does() {
        let priority = |text: &str| Campaign::parse(text, Path::new("c/campaign.toml")).unwrap().priority();
        let kind = |kind: &str| SMALLEST.replace("id = \"x\"", &format!("id = \"x\"\nkind = \"{kind}\""));
        let alarm = kind("alarm");
        assert!(priority(&alarm) > priority(&kind("update")) && priority(&alarm) > priority(SMALLEST));
        let said = format!("{alarm}[capacity]\npriority = 2\n");
        assert_eq!(priority(&said), 2);
    }

    #[test]
    fn mails_that_are_counted_need_a_number_a_time_and_a_list() {
        let with = |keys: &str| SMALLEST.replace("id = \"x\"", &format!("id = \"x\"\n{keys}"));
        let text = with("max-per = \"2/7d\"\nmax-per-scope = \"list\"\nlist-id = \"l.example.com\"");
        let campaign = Campaign::parse(&text, Path::new("c/campaign.toml")).unwrap();
        let written = toml::to_string(&campaign).unwrap();
        assert!(written.contains("max-per = \"2/7d\"\nmax-per-scope = \"list\""), "{written}");
        let check = |keys: &str, place: (usize, usize), says: &str| {
            let error = refused(&with(keys));
            assert_eq!(error.place, Some(place), "{error}");
            assert!(error.problem.contains(says), "{error}");
        };
        check("max-per = \"2 a week\"", (4, 11), "such as \"2/7d\"");
        check("max-per = \"2/7d\"\nmax-per-scope = \"list\"", (5, 1), "no `list-id`");
        check("max-per-scope = \"campaign\"", (4, 17), "`all`");
        check("list-id = \"News <>\"", (4, 1), "`News <>` can't be a list-id");
    }

    #[test]
    fn an_archive_needs_a_relay_and_an_ascii_address() {
        let with =
            |address: &str| SMALLEST.replace("[target", &format!("archive-bcc = \"{address}\"\n[target"));
        let text = with("archive@example.com");
        let campaign = Campaign::parse(&text, Path::new("c/campaign.toml")).unwrap();
        assert!(toml::to_string(&campaign).unwrap().contains("archive-bcc = \"archive@example.com\""));
        let error = refused(&text.replace("sandbox", "mx"));
        assert_eq!(error.place.map(|(line, _)| line), Some(6), "{error}");
        assert_eq!(error.hint.as_deref(), Some("use route `relay`, or leave it out"));
        assert!(refused(&with("josé@example.com")).problem.contains("SMTPUTF8"));
        let without = Campaign::parse(SMALLEST, Path::new("c/campaign.toml")).unwrap();
        assert!(!toml::to_string(&without).unwrap().contains("archive-bcc"));
    }

    #[test]
    fn one_text_for_all_has_nothing_of_a_recipient() {
        let alarm = SMALLEST.replace("id = \"x\"", "id = \"x\"\nkind = \"alarm\"");
        let alarm = alarm.replace("[delivery]", "personalised = false\n[delivery]");
        let campaign = Campaign::parse(&alarm, Path::new("c/campaign.toml")).unwrap();
        assert!(toml::to_string(&campaign).unwrap().contains("personalised = false"));
        let check = |text: String, problem: &str, line: usize| {
            let error = refused(&text);
            assert!(error.problem.contains(problem), "{error}");
            assert_eq!(error.place.map(|(line, _)| line), Some(line), "{error}");
            assert!(error.hint.is_some());
        };
        check(alarm.replace("kind = \"alarm\"\n", ""), "a newsletter needs", 11);
        check(alarm.replace("[target", "verp = true\n[target"), "their own return path", 7);
        check(
            alarm.replace(
                "personalised",
                "attachment-columns = [\"bill\"]\nattachment-folder = \"bills\"\npersonalised",
            ),
            "column `bill`",
            12,
        );
        check(format!("{alarm}[unsubscribe]\nmailto = \"u@example.com\"\n"), "their own link", 15);
        check(
            alarm.replace("personalised = false", "to = \"All\""),
            "each message names its recipient in `To`",
            12,
        );
        check(alarm.replace("[delivery]", "to = \"All:;\"\n[delivery]"), "can't be the name of a group", 13);
        let without = Campaign::parse(SMALLEST, Path::new("c/campaign.toml")).unwrap();
        assert!(!toml::to_string(&without).unwrap().contains("personalised"));
    }

    #[test]
    fn a_password_never_goes_in_clear() {
        let relay =
            "[delivery.relay]\nhost = \"h\"\ntls = \"none\"\nusername = \"u\"\npassword-env = \"P\"\n";
        let error = refused(&format!("{SMALLEST}{relay}"));
        assert!(error.problem.contains("never sent without TLS"), "{error}");
    }
}

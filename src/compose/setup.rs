//! What is made once for a run: the templates, the common header fields, the attachments, the shape
//! of the body.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use ring::hmac;
use serde_json::{Map, Value};

use super::body::{Parts, TextPart};
use super::composer::{Composer, Names, OneText, SameBody};
use super::error::RenderFailure;
use super::in_campaign::InCampaign;
use super::letters::Letters;
use super::locals::Locals;
use super::message_id::MessageId;
use super::mime::{CommonFile, Layout};
use super::ready::Ready;
use super::row_files::RowFiles;
use super::secure::{PASSWORD, Passwords, Secure};
use super::token::Purpose;
use super::tracking::Tracking;
use super::unsubscribe::Links;
use super::{common, header};
use crate::campaign::Campaign;
use crate::mail::Timestamp;
use crate::plan::Row;
use crate::scan::Item;
use crate::template::{
    BUILT_IN, Columns, Engine, Fault, Origin, Part, Place, Source, Template, TemplateError, UNSUBSCRIBE_URL,
    Uses, Values, engine_for, foreign_in,
};

/// The text of `To` when it names nobody.
const UNDISCLOSED: &str = "Undisclosed recipients";
/// More than a `DKIM-Signature` field with a 4096-bit RSA key has.
const SIGNATURE_BYTES: u64 = 1_100;
/// Room for a header section and for what a row adds to its message.
const OWN_BYTES: usize = 4_096;

/// What a run adds to its campaign.
pub struct RunFacts {
    /// The run's id: part of every `Message-ID` and token.
    pub run_id: String,
    /// The secret of the unsubscribe tokens: at least 16 random bytes, the same for as long as
    /// links should work.
    pub token_secret: Vec<u8>,
    /// The secret of the passwords of secure documents, where the campaign has some.
    pub document_secret: Vec<u8>,
    /// True for a test message, which goes to somebody else than its recipient: its links
    /// unsubscribe nobody.
    pub is_test: bool,
}

/// Leaves out the secret.
impl fmt::Debug for RunFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunFacts").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

impl Composer {
    /// Reads and checks everything that messages are made of.
    ///
    /// # Errors
    /// For a template, partial or attachment that can't be used, and for settings that no message
    /// can be made from. Everything that can be known without a row is known here.
    pub fn new(campaign: &Campaign, run: RunFacts) -> Result<Self, TemplateError> {
        let mut own = Self::of_letters(campaign, &run, None)?;
        let id = &campaign.identity.id;
        if let (Some(secure), Some(campaign)) = (&campaign.secure_documents, campaign.of_passwords()) {
            let passwords = Passwords::new(secure, id, &run.run_id, &run.document_secret);
            let mut of_passwords = Self::of_letters(&campaign, &run, Some(&passwords))?;
            // No column: whoever composes the mail gives its value.
            for uses in [&mut of_passwords.uses.printed, &mut of_passwords.uses.tested] {
                uses.retain(|(name, _)| name != PASSWORD);
            }
            own.take_in(&of_passwords);
            own.passwords = Some(Box::new(of_passwords));
        }
        Ok(own)
    }

    /// The composer of all letters of a campaign; `tells` where they say a password.
    fn of_letters(
        campaign: &Campaign,
        run: &RunFacts,
        tells: Option<&Passwords>,
    ) -> Result<Self, TemplateError> {
        let mut all: Vec<Self> = Vec::new();
        let mut numbers = BTreeMap::new();
        for variant in campaign.letter_variants() {
            for language in campaign.letter_languages() {
                let Some(own) = campaign.letter(variant, language) else { continue };
                numbers.insert((variant.map(str::to_owned), language.map(str::to_owned)), all.len());
                all.push(Self::with_engine(&own, run, tells, &*engine_for(&own))?);
            }
        }
        let mut all = all.into_iter();
        let mut first = all.next().expect("every campaign has a letter");
        let others: Vec<Self> = all.collect();
        if !others.is_empty() || !numbers.contains_key(&(None, None)) {
            others.iter().for_each(|other| first.take_in(other));
            let column = campaign.letter_column().map(str::to_owned);
            first.letters = Some((Letters { numbers, column, campaign: campaign.clone() }, others));
        }
        Ok(first)
    }

    /// The composer of a campaign with one letter.
    pub(super) fn with_engine(
        campaign: &Campaign,
        run: &RunFacts,
        tells: Option<&Passwords>,
        engine: &dyn Engine,
    ) -> Result<Self, TemplateError> {
        let file = &campaign.path;
        let template = &campaign.template;
        let parts = parts(campaign, engine)?;
        let mut uses = Uses::default();
        let mut origins: Vec<Origin> = Vec::new();
        let mut foreign = Vec::new();
        let mut css_in_each = Vec::new();
        for template in parts.templates() {
            let uses_password = || template.uses().printed.iter().any(|(name, _)| name == PASSWORD);
            if tells.is_some() && !template.uses().whole_row && !uses_password() {
                let problem = "the password is not printed";
                let path = template.origins().first().map_or(file, |origin| &origin.path);
                return Err(TemplateError::new(path, None, problem)
                    .hint("print `{{password}}`: nobody can open the documents without it"));
            }
            css_in_each.extend(template.css_in_each().cloned());
            foreign.extend(foreign_in(template));
            uses.extend(template.uses());
            origins.extend_from_slice(template.origins());
        }
        let locals = Locals::of(campaign)?;
        let secure = Secure::of(campaign, &run.run_id, &run.document_secret)?;
        let same_for_all = uses.is_nothing()
            && secure.is_none()
            && campaign.tracking.is_none()
            && template.attachment_columns.is_empty()
            && locals.columns().next().is_none();
        let mut in_campaign = InCampaign::new(file);
        let mut compile = |key: &str, text: &str| -> Result<Box<dyn Template>, TemplateError> {
            let template = in_campaign.compile(engine, key, text)?;
            foreign.extend(foreign_in(&*template));
            uses.extend(template.uses());
            origins.extend_from_slice(template.origins());
            Ok(template)
        };
        let subject = compile(
            if tells.is_some() { "secure-documents.subject" } else { "template.subject" },
            &template.subject,
        )?;

        let mut common_header = Vec::new();
        common::fields(campaign, &mut common_header)?;
        let mut headers = Vec::new();
        for (name, value) in &campaign.sender.headers {
            common::check_field_name(campaign, name)?;
            headers.push((name.clone(), compile(&format!("sender.headers.{name}"), value)?));
        }

        // A file may be included by several.
        foreign.sort();
        foreign.dedup();

        let links = match &campaign.unsubscribe {
            Some(unsubscribe) => {
                let purpose = if run.is_test { Purpose::Test } else { Purpose::Unsubscribe };
                let (secret, id) = (&run.token_secret, &campaign.identity.id);
                let links = Links::new(unsubscribe, secret, purpose, id, &run.run_id);
                Some(links.map_err(|(problem, hint)| TemplateError::new(file, None, problem).hint(hint))?)
            }
            None => None,
        };
        let tracking = campaign.tracking.as_ref().map(|settings| {
            let (secret, id) = (&run.token_secret, &campaign.identity.id);
            Tracking::new(settings, secret, run.is_test, id, &run.run_id)
        });
        let one_click = links.as_ref().is_some_and(Links::one_click);
        if one_click {
            header::plain(&mut common_header, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        }
        let (common_files, mut attached) = common::files(campaign, parts.has_html())?;
        let boundary = boundary(&campaign.identity.id, run);
        let (secure, documents) = secure.map_or((None, Vec::new()), |(secure, files)| (Some(secure), files));
        let own_attachments = !template.attachment_columns.is_empty() || secure.is_some();
        let layout = Layout::new(&boundary, parts.has_html(), &common_files, own_attachments);
        if layout.common_bytes() > template.largest.0 {
            let problem = format!("the attachments alone have {} bytes", layout.common_bytes());
            return Err(TemplateError::new(file, None, problem)
                .hint(format!("`largest` in `[template]` is {}", template.largest)));
        }

        let mut files: Vec<PathBuf> = Vec::new();
        for origin in &origins {
            if origin.path != *file && !files.contains(&origin.path) {
                files.push(origin.path.clone());
            }
        }
        files.append(&mut attached);
        files.extend(documents);
        let scanned_documents = secure.iter().flat_map(|secure: &Secure| secure.common.iter());
        let common_items = (!campaign.scanner.is_empty())
            .then(|| common_items(common_files.iter().chain(scanned_documents)));

        let domain = campaign.sender.from.address.domain();
        let mut composer = Self {
            room: parts.bytes() * 9 / 8 + OWN_BYTES,
            parts,
            subject,
            headers,
            uses,
            strict: template.strict,
            defaults: defaults(campaign)?,
            columns: Columns {
                email: campaign.target_group.email.clone(),
                id: campaign.target_group.id.clone(),
                name: campaign.target_group.name.clone(),
            },
            common_header,
            links,
            tracking,
            message_id: MessageId::new(&campaign.identity.id, &run.run_id, domain.as_str()),
            one_text: (!template.personalised).then(|| OneText {
                group: template.to.clone().unwrap_or_else(|| UNDISCLOSED.to_owned()),
                nobody: nobody(campaign),
            }),
            layout,
            same_body: None,
            attachment_columns: template.attachment_columns.clone(),
            row_files: RowFiles::of(campaign, origins.iter().map(|origin| origin.path.as_path()))?,
            largest: template.largest.0,
            signatures: campaign.dkim.len() as u64 * SIGNATURE_BYTES + campaign.smime.most_bytes(),
            files,
            origins,
            foreign,
            css_in_each,
            locals,
            letters: None,
            in_campaign,
            common_items,
            secure,
            passwords: None,
            tells: tells.cloned(),
            ready: campaign.is_ready().then(|| Ready::of(campaign)),
        };
        if composer.is_one_text() {
            composer.check_one_text()?;
        }
        let unsubscribe_url = composer.uses.built_in.iter().find(|(name, _)| name == UNSUBSCRIBE_URL);
        if !one_click && let Some((name, place)) = unsubscribe_url {
            let error = composer.at(place, format!("there is no `{name}`"));
            return Err(error.hint("set `https` in `[unsubscribe]`"));
        }
        if same_for_all {
            composer.same_body = Some(composer.body_of_all(campaign)?);
        }
        Ok(composer)
    }

    /// Compares what the templates need with the columns that there are: a printed name that is no
    /// column and has no default would fail every row, and a column must not have a built-in name
    /// that a template uses.
    pub fn check_columns(&self, columns: &[&str]) -> Result<(), TemplateError> {
        let error = |place: &Place, problem: String| self.at(place, problem);
        for (name, place) in &self.uses.built_in {
            if columns.contains(&name.as_str()) {
                return Err(error(place, format!("`{name}` is a built-in name and a column too"))
                    .hint("give the column another name"));
            }
        }
        if self.passwords.is_some() && columns.contains(&PASSWORD) {
            let problem = format!("`{PASSWORD}` is a built-in name of secure documents and a column too");
            return Err(TemplateError::new(&self.in_campaign.path, None, problem)
                .hint("give the column another name"));
        }
        for (name, place) in self.printed() {
            if !columns.contains(&name) {
                let error = error(place, format!("`{name}` is printed, and there is no such column"));
                return Err(
                    match error.nearest(
                        name,
                        columns.iter().copied().chain(self.defaults.keys().map(String::as_str)),
                    ) {
                        error if error.hint.is_some() => error,
                        error => error.hint(format!("the columns are `{}`", columns.join("`, `"))),
                    },
                );
            }
        }
        let attachments = self.attachment_columns.iter().map(|column| ("attachment-columns", column));
        let letters =
            self.letters.iter().filter_map(|(letters, _)| Some(("subject", letters.column.as_ref()?)));
        let documents = self.secure.iter().flat_map(|secure| &secure.columns);
        let documents = documents.map(|column| ("secure-documents.attachment-columns", column));
        let passwords = self.passwords.iter().filter_map(|own| own.letters.as_ref()?.0.column.as_ref());
        let consent = self.tracking.iter().filter_map(Tracking::column);
        let documents = documents.chain(consent.map(|column| ("tracking.consent-column", column)));
        let documents = documents.chain(passwords.map(|column| ("secure-documents.subject", column)));
        let of_template = attachments.chain(self.locals.columns()).chain(letters);
        let of_template = of_template.map(|(key, column)| (format!("template.{key}"), column));
        for (key, column) in of_template.chain(documents.map(|(key, column)| (key.to_owned(), column))) {
            if !columns.contains(&column.as_str()) {
                let problem = format!("column `{column}` of `{key}` not found");
                return Err(
                    TemplateError::new(&self.in_campaign.path, None, problem).nearest(column, columns.iter())
                );
            }
        }
        Ok(())
    }

    /// Adds what another letter of the campaign needs.
    fn take_in(&mut self, other: &Self) {
        self.uses.extend(&other.uses);
        self.foreign.extend(other.foreign.iter().cloned());
        self.foreign.sort();
        self.foreign.dedup();
        self.css_in_each.extend(other.css_in_each.iter().cloned());
        for file in &other.files {
            if !self.files.contains(file) {
                self.files.push(file.clone());
            }
        }
        for origin in &other.origins {
            if !self.origins.contains(origin) {
                self.origins.push(origin.clone());
            }
        }
    }

    /// Refuses templates that use anything of a row.
    fn check_one_text(&self) -> Result<(), TemplateError> {
        let hint = "leave it out, or set `personalised = true` in `[template]`: then each row has a message of its own";
        let uses = &self.uses;
        // `message_id` is the same for all.
        let links = uses.built_in.iter().filter(|(name, _)| name == UNSUBSCRIBE_URL);
        if let Some((name, place)) = uses.printed.iter().chain(&uses.tested).chain(links).next() {
            let problem =
                format!("`{name}` differs from row to row, and `personalised = false` is one text for all");
            return Err(self.at(place, problem).hint(hint));
        }
        if let Some((key, column)) = self.locals.columns().next() {
            let problem =
                format!("`{key}` is column `{column}`, and `personalised = false` is one text for all");
            return Err(TemplateError::new(&self.in_campaign.path, None, problem).hint(hint));
        }
        if uses.whole_row {
            let problem = "a template looks at the whole row, and `personalised = false` is one text for all";
            return Err(TemplateError::new(&self.in_campaign.path, None, problem).hint(hint));
        }
        Ok(())
    }

    /// `problem` at a place of a template, wherever that is.
    fn at(&self, place: &Place, problem: String) -> TemplateError {
        let at = (place.line, place.column);
        let file = &self.in_campaign.path;
        let origin = self.origins.iter().find(|origin| origin.shown == place.template);
        match origin {
            Some(origin) if origin.path != *file => {
                TemplateError::new(&origin.path, (place.line > 0).then_some(at), problem)
            }
            Some(_) | None => {
                let problem = format!("{problem} (in `{}`)", place.template);
                TemplateError::new(file, self.in_campaign.place(&place.template, at), problem)
            }
        }
    }

    /// Renders the body that all rows have.
    fn body_of_all(&self, campaign: &Campaign) -> Result<SameBody, TemplateError> {
        let anyone = nobody(campaign);
        let values = Values::new(&anyone, &self.columns, &self.defaults, Vec::new());
        let values = values.at(self.locals.default);
        // What is the same for all is not tracked, so it needs no names and no date.
        let names = Names { message_id: String::new(), unsubscribe_url: None, list_unsubscribe: None };
        let body =
            self.body(Vec::new(), &anyone, &names, &values, Timestamp(0)).map_err(
                |failure| match failure {
                    RenderFailure::Template(Fault::NoValue { name, place }) => {
                        self.at(&place, format!("`{name}` has no value"))
                    }
                    RenderFailure::Template(Fault::Value { problem, place }) => self.at(&place, problem),
                    other => TemplateError::new(&self.in_campaign.path, None, other.to_string()),
                },
            )?;
        let ((header, body), texts, _) = body;
        Ok(SameBody { header, body, text: texts.text.text(), html: texts.html.map(|html| html.text()) })
    }
}

/// The templates of the body.
fn parts(campaign: &Campaign, engine: &dyn Engine) -> Result<Parts, TemplateError> {
    let compile =
        |path: &PathBuf, part: Part| engine.compile(Source::read(path, campaign.folder(), "template")?, part);
    let template = &campaign.template;
    match (&template.text, &template.html) {
        (Some(text), None) => Ok(Parts::Text(TextPart::new(compile(text, Part::Text)?))),
        (None, Some(html)) => Ok(Parts::Html(compile(html, Part::Html)?)),
        (Some(text), Some(html)) => Ok(Parts::Both {
            text: TextPart::new(compile(text, Part::Text)?),
            html: TextPart::new(compile(html, Part::Html)?),
        }),
        (None, None) if campaign.is_ready() => {
            let nothing = Source::value(&campaign.path, "template.text", "");
            Ok(Parts::Text(TextPart::new(engine.compile(nothing, Part::Text)?)))
        }
        (None, None) => Err(TemplateError::new(&campaign.path, None, "neither `text` nor `html` is given")
            .hint("name a template file in `[template]`")),
    }
}

/// The files of all messages as scanners get them.
fn common_items<'a>(files: impl Iterator<Item = &'a CommonFile>) -> Vec<Item> {
    files.map(|file| Item::file(&file.name, file.content.clone())).collect()
}

/// A row without values.
fn nobody(campaign: &Campaign) -> Row {
    Row {
        index: 0,
        file: 0,
        row: 0,
        email: String::new(),
        address: campaign.sender.from.address.clone(),
        id: None,
        name: None,
        values: Map::new(),
        messages: None,
    }
}

/// `[template.defaults]` as templates see them.
fn defaults(campaign: &Campaign) -> Result<Map<String, Value>, TemplateError> {
    let mut defaults = Map::new();
    for (name, value) in &campaign.template.defaults {
        if BUILT_IN.contains(&name.as_str()) {
            return Err(TemplateError::new(&campaign.path, None, format!("`{name}` is a built-in name"))
                .hint("it needs no default"));
        }
        // TOML has dates of its own; templates have texts.
        let value = match value {
            toml::Value::Datetime(moment) => Value::String(moment.to_string()),
            other => serde_json::to_value(other).unwrap_or(Value::Null),
        };
        defaults.insert(name.clone(), value);
    }
    Ok(defaults)
}

/// Known to nobody before the run: made with its secret. 20 hexadecimal digits.
fn boundary(campaign: &str, run: &RunFacts) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &run.token_secret);
    let tag = hmac::sign(&key, format!("boundary\0{campaign}\0{}", run.run_id).as_bytes());
    tag.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

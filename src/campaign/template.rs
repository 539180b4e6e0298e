//! `[template]`: what the message says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::choice::Choice;
use super::error::Mistake;
use super::identity::Kind;
use super::units::ByteSize;

/// `[template]`. Text, HTML or both; without text, it is derived from the HTML.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Template {
    /// The subject, a template itself.
    pub subject: Choice<String>,
    /// The file with the text template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Choice<PathBuf>>,
    /// The file with the HTML template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<Choice<PathBuf>>,
    /// The language of the subject, the header fields and the files whose names don't end in
    /// `.hbs`, `.ftl`, `.j2` or `.jinja`. By default, that of the first file that has one, or
    /// else Handlebars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Language>,
    /// The folder with the partials (`{{> name}}` is `name.hbs`); the templates' own folder by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partials: Option<PathBuf>,
    /// Files that every message carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<PathBuf>,
    /// Columns with the path of a file for this row, in `attachment-folder`; an empty value means
    /// no file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachment_columns: Vec<String>,
    /// The folder with the files that `attachment-columns` name, and nothing else; required with
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_folder: Option<PathBuf>,
    /// Images that the HTML names as `cid:<id>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inline: Vec<Inline>,
    /// Values for columns that are missing, null or empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, toml::Value>,
    /// The language and country of the recipients, such as `de_AT`; English by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The column with the row's own locale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale_column: Option<String>,
    /// The time zone of the recipients, such as `Europe/Vienna`; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The column with the row's own zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_column: Option<String>,
    /// True: styles of `<style>` go into the elements that they are for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inline_css: bool,
    /// True: printing a name without a value fails the row. False: it prints nothing.
    #[serde(default = "yes")]
    pub strict: bool,
    /// False: all get the same text and header, composed and signed once for many recipients of a
    /// site.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub personalised: bool,
    /// With `personalised = false`: the name of the empty group in `To` (RFC 5322 §3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The largest message, as sent.
    #[serde(default = "default_largest")]
    pub largest: ByteSize,
    /// There is no template: the files of the target group hold ready messages.
    #[serde(skip)]
    pub is_ready: bool,
}

/// A language of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Files that end in `.hbs`.
    Handlebars,
    /// Files that end in `.ftl`.
    Freemarker,
    /// Files that end in `.j2` or `.jinja`.
    Jinja,
}

impl Language {
    /// Its name, as its own people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handlebars => "Handlebars",
            Self::Freemarker => "FreeMarker",
            Self::Jinja => "Jinja",
        }
    }

    /// The language of a file, by its name: that of `letter.ftl`, and of the MJML in
    /// `letter.ftl.mjml` or `letter.mjml.ftl`.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            MJML => Self::of_file(Path::new(path.file_stem()?)),
            "hbs" => Some(Self::Handlebars),
            "ftl" => Some(Self::Freemarker),
            "j2" | "jinja" => Some(Self::Jinja),
            _ => None,
        }
    }
}

/// What the names of MJML files end in.
const MJML: &str = "mjml";

/// Whether a file is MJML: `letter.mjml`, `letter.ftl.mjml` or `letter.mjml.ftl`.
pub(crate) fn is_mjml(path: &Path) -> bool {
    let ends = |path: &Path| path.extension().is_some_and(|extension| extension == MJML);
    ends(path)
        || (Language::of_file(path).is_some() && path.file_stem().is_some_and(|stem| ends(Path::new(stem))))
}

/// One inline image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Inline {
    /// What the HTML calls it: `cid:<id>`.
    pub id: String,
    /// The file.
    pub file: PathBuf,
}

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

fn default_largest() -> ByteSize {
    ByteSize(20_000_000)
}

impl Template {
    /// The language of what is no file of its own, such as the subject.
    pub(crate) fn language(&self) -> Language {
        let mut files = self.html.iter().chain(&self.text);
        self.engine.or_else(|| files.find_map(|file| Language::of_file(file))).unwrap_or(Language::Handlebars)
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        let files = self.attachments.iter_mut().chain(self.inline.iter_mut().map(|inline| &mut inline.file));
        let folders = self.partials.iter_mut().chain(&mut self.attachment_folder);
        for path in files.chain(folders) {
            *path = folder.join(&*path);
        }
        for choice in self.text.iter_mut().chain(&mut self.html) {
            choice.map(|path| folder.join(path));
        }
    }

    /// What stands for `[template]` where messages are ready.
    pub(super) fn ready() -> Self {
        Self {
            subject: Choice::one(String::new()),
            text: None,
            html: None,
            engine: None,
            partials: None,
            attachments: Vec::new(),
            attachment_columns: Vec::new(),
            attachment_folder: None,
            inline: Vec::new(),
            defaults: BTreeMap::new(),
            locale: None,
            locale_column: None,
            zone: None,
            zone_column: None,
            inline_css: false,
            strict: true,
            personalised: true,
            to: None,
            largest: default_largest(),
            is_ready: true,
        }
    }

    /// Whether messages are ready; for serde.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.is_ready {
            return Ok(());
        }
        if self.text.is_none() && self.html.is_none() {
            return Err(Mistake::new(
                "template.subject",
                "neither `text` nor `html` is given",
                "name at least one template file",
            ));
        }
        if self.attachment_folder.is_none()
            && let Some(column) = self.attachment_columns.first()
        {
            return Err(Mistake::new(
                "template.attachment-columns",
                format!(
                    "column `{column}` names files, but `attachment-folder` does not say where they may come from"
                ),
                "set `attachment-folder = \"attachments\"`: a folder with nothing but such files, never one with keys, lists or runs",
            ));
        }
        let Some(to) = &self.to else { return Ok(()) };
        if self.personalised {
            return Err(Mistake::new(
                "template.to",
                "each message names its recipient in `To`",
                "leave `to` out, or set `personalised = false` for one text for all",
            ));
        }
        if to.trim().is_empty() || to.contains(|c: char| c.is_control() || ":;@<>".contains(c)) {
            return Err(Mistake::new(
                "template.to",
                format!("`{to}` can't be the name of a group"),
                "use plain text without `:;@<>`, such as \"Undisclosed recipients\"",
            ));
        }
        Ok(())
    }

    /// Checks that a text for all has nothing that differs between recipients.
    pub(super) fn check_one_text(&self, kind: Kind, verp: bool, unsubscribe: bool) -> Result<(), Mistake> {
        if self.personalised {
            return Ok(());
        }
        if unsubscribe {
            return Err(Mistake::new(
                "unsubscribe.https",
                "`[unsubscribe]` gives each recipient their own link, but with `personalised = false` all get one text",
                "leave `[unsubscribe]` out, or set `personalised = true`",
            ));
        }
        if kind == Kind::News {
            return Err(Mistake::new(
                "template.personalised",
                "a newsletter needs an unsubscribe link per recipient (RFC 8058), but with `personalised = false` all get one text",
                "set `kind = \"update\"` or `\"alarm\"` in `[campaign]`, or `personalised = true`",
            ));
        }
        if verp {
            return Err(Mistake::new(
                "sender.verp",
                "`verp = true` gives each recipient their own return path, but with `personalised = false` many share an envelope",
                "set `verp = false`, or `personalised = true`",
            ));
        }
        if let Some(column) = self.attachment_columns.first() {
            return Err(Mistake::new(
                "template.attachment-columns",
                format!(
                    "column `{column}` names a file per row, but with `personalised = false` all get one text"
                ),
                "use `attachments`, or set `personalised = true`",
            ));
        }
        Ok(())
    }
}

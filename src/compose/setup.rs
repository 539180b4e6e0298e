//! What is made once for a run: the templates, the common header fields, the attachments, the shape of the body.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ring::hmac;
use serde_json::{Map, Value};

use super::ahead::Ahead;
use super::attachment;
use super::error::RenderFailure;
use super::header;
use super::mime::{CommonFile, Layout};
use super::unsubscribe::Links;
use super::{Body, Composer, HTML, MessageId, OneText, Parts, RunFacts, SUBJECT, SameBody, TEXT};
use crate::campaign::{Campaign, Kind as MailKind};
use crate::plan::Row;
use crate::template::handlebars::line::Line;
use crate::template::handlebars::source::{Kind, Sources};
use crate::template::handlebars::walk::uses_of;
use crate::template::uses::{BUILT_IN, Uses};
use crate::template::values::{Columns, Values};
use crate::template::{Fault, Place, TemplateError};

/// What `To` says where it names nobody.
const UNDISCLOSED: &str = "Undisclosed recipients";
/// More than a `DKIM-Signature` field with a 4096-bit RSA key has.
const SIGNATURE_BYTES: u64 = 1_100;

impl Composer {
    /// Reads and checks everything that messages are made of.
    pub fn new(campaign: &Campaign, run: RunFacts) -> Result<Self, TemplateError> {
        let file = &campaign.path;
        let template = &campaign.template;
        let (parts, folder) = match (&template.text, &template.html) {
            (Some(text), Some(_)) => (Parts::Both, text.parent()),
            (None, Some(html)) => (Parts::Html, html.parent()),
            (Some(text), None) => (Parts::Text, text.parent()),
            (None, None) => {
                return Err(TemplateError::new(file, None, "neither `text` nor `html` is given")
                    .hint("name a template file in `[template]`"));
            }
        };
        let partials = template.partials.as_deref().or(folder);
        let mut text = Sources::new(Kind::Text, template.strict, campaign.folder(), partials);
        let mut html = Sources::new(Kind::Html, template.strict, campaign.folder(), partials);

        let mut body_uses = Uses::default();
        if let Some(path) = &template.text {
            text.add_file(TEXT, path)?;
            body_uses.extend(uses_of(&text, TEXT)?);
        }
        if let Some(path) = &template.html {
            html.add_file(HTML, path)?;
            body_uses.extend(uses_of(&html, HTML)?);
        }
        let same_for_all = body_uses.is_nothing() && template.attachment_columns.is_empty();
        let mut uses = body_uses;
        let mut in_campaign = InCampaign::new(campaign);
        uses.extend(in_campaign.add(&mut text, SUBJECT, "template.subject", &template.subject)?);

        let mut common_header = Vec::new();
        common_fields(campaign, &mut common_header)?;
        let mut headers = Vec::new();
        for (name, value) in &campaign.sender.headers {
            let shown = format!("sender.headers.{name}");
            check_header_name(campaign, name)?;
            let key = format!("main:header:{name}");
            uses.extend(in_campaign.add(&mut text, &key, &shown, value)?);
            headers.push((name.clone(), Line::new(&text, &key)));
        }

        let links = match &campaign.unsubscribe {
            Some(unsubscribe) => Some(
                Links::new(unsubscribe, &run.token_secret, &campaign.identity.id, &run.run_id)
                    .map_err(|(problem, hint)| TemplateError::new(file, None, problem).hint(hint))?,
            ),
            None => None,
        };
        let one_click = links.as_ref().is_some_and(Links::one_click);
        if one_click {
            header::plain(&mut common_header, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        }
        let (common_files, mut attached) = common_files(campaign, parts)?;
        let boundary = boundary(&campaign.identity.id, &run);
        let own_attachments = !template.attachment_columns.is_empty();
        let layout = Layout::new(&boundary, parts != Parts::Text, &common_files, own_attachments);

        if layout.common_bytes() > template.largest.0 {
            let problem = format!("the attachments alone have {} bytes", layout.common_bytes());
            return Err(TemplateError::new(file, None, problem)
                .hint(format!("`largest` in `[template]` is {}", template.largest)));
        }

        let mut files: Vec<PathBuf> = Vec::new();
        for source in text.known.values().chain(html.known.values()) {
            if source.path != *file && !files.contains(&source.path) {
                files.push(source.path.clone());
            }
        }
        files.append(&mut attached);

        let subject = Line::new(&text, SUBJECT);
        let ahead = if same_for_all { None } else { Ahead::new(&text, &html, parts) };
        let mut composer = Self {
            text,
            html,
            subject,
            ahead,
            parts,
            uses,
            strict: template.strict,
            defaults: defaults(campaign)?,
            columns: Columns {
                email: campaign.target_group.email.clone(),
                id: campaign.target_group.id.clone(),
                name: campaign.target_group.name.clone(),
            },
            common_header,
            headers,
            links,
            message_id: MessageId::new(campaign, &run),
            one_text: (!template.personalised).then(|| OneText {
                group: template.to.clone().unwrap_or_else(|| UNDISCLOSED.to_owned()),
                nobody: nobody(campaign),
            }),
            layout,
            same_body: None,
            attachment_columns: template.attachment_columns.clone(),
            folder: template.folder.clone(),
            largest: template.largest.0,
            signatures: campaign.dkim.len() as u64 * SIGNATURE_BYTES,
            files,
            campaign_file: file.clone(),
            in_campaign: in_campaign.begin,
        };
        if composer.is_one_text() {
            composer.check_one_text()?;
        }
        let unsubscribe_url = composer.uses.built_in.iter().find(|(name, _)| name == BUILT_IN[0]);
        if !one_click && let Some((name, place)) = unsubscribe_url {
            let error = composer.at(place, format!("there is no `{name}`"));
            return Err(error.hint("set `https` in `[unsubscribe]`"));
        }
        if same_for_all {
            composer.same_body = Some(composer.body_of_all(campaign)?);
        }
        Ok(composer)
    }

    /// Compares what the templates need with the columns that there are: a printed name that is no column and has
    /// no default would fail every row, and a column must not have a built-in name that a template uses.
    pub fn check_columns(&self, columns: &[&str]) -> Result<(), TemplateError> {
        let error = |place: &Place, problem: String| self.at(place, problem);
        for (name, place) in &self.uses.built_in {
            if columns.contains(&name.as_str()) {
                return Err(error(place, format!("`{name}` is a built-in name and a column too"))
                    .hint("give the column another name"));
            }
        }
        for (name, place) in self.printed() {
            if !columns.contains(&name) {
                let error = error(place, format!("`{name}` is printed, and there is no such column"));
                return Err(match error.nearest(name, columns.iter()) {
                    error if error.hint.is_some() => error,
                    error => error.hint(format!("the columns are `{}`", columns.join("`, `"))),
                });
            }
        }
        for column in &self.attachment_columns {
            if !columns.contains(&column.as_str()) {
                let problem = format!("attachment column `{column}` is not there");
                return Err(
                    TemplateError::new(&self.campaign_file, None, problem).nearest(column, columns.iter())
                );
            }
        }
        Ok(())
    }

    /// Refuses templates that use anything of a row.
    fn check_one_text(&self) -> Result<(), TemplateError> {
        let hint = "leave it out, or set `personalised = true` in `[template]`: then each row has a message of its own";
        let uses = &self.uses;
        // `message_id` is the same for all.
        let links = uses.built_in.iter().filter(|(name, _)| name == BUILT_IN[0]);
        if let Some((name, place)) = uses.printed.iter().chain(&uses.tested).chain(links).next() {
            let problem =
                format!("`{name}` differs from row to row, and `personalised = false` is one text for all");
            return Err(self.at(place, problem).hint(hint));
        }
        if uses.dynamic {
            let problem = "a template looks at the whole row, and `personalised = false` is one text for all";
            return Err(TemplateError::new(&self.campaign_file, None, problem).hint(hint));
        }
        Ok(())
    }

    /// `problem` at a place of a template, wherever that stands.
    fn at(&self, place: &Place, problem: String) -> TemplateError {
        let at = (place.line, place.column);
        match path_of(&[&self.text, &self.html], &place.template) {
            Some(path) if *path != self.campaign_file => {
                TemplateError::new(path, (place.line > 0).then_some(at), problem)
            }
            _ => {
                let problem = format!("{problem} (in `{}`)", place.template);
                TemplateError::new(
                    &self.campaign_file,
                    in_file(&self.in_campaign, &place.template, at),
                    problem,
                )
            }
        }
    }

    /// Renders the body that all rows have.
    fn body_of_all(&self, campaign: &Campaign) -> Result<SameBody, TemplateError> {
        let anyone = nobody(campaign);
        let values = Values::new(&anyone, &self.columns, &self.defaults, Vec::new());
        let body = self.body(Vec::new(), &values).map_err(|failure| match failure {
            RenderFailure::Template(Fault::NoValue { name, place }) => {
                self.at(&place, format!("`{name}` has no value"))
            }
            RenderFailure::Template(Fault::Value { problem, place }) => self.at(&place, problem),
            other => TemplateError::new(&self.campaign_file, None, other.to_string()),
        })?;
        let Body { header, segments, text, html } = body;
        Ok(SameBody { header, body: segments, text, html })
    }
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
    }
}

/// The templates that stand in the campaign file, and where they begin in it.
struct InCampaign<'a> {
    campaign: &'a Campaign,
    text: Option<String>,
    begin: BTreeMap<String, (usize, usize)>,
}

impl<'a> InCampaign<'a> {
    fn new(campaign: &'a Campaign) -> Self {
        Self { campaign, text: fs::read_to_string(&campaign.path).ok(), begin: BTreeMap::new() }
    }

    /// Adds the template that the campaign file has under the key `shown`; errors point into that file.
    fn add(
        &mut self,
        sources: &mut Sources,
        name: &str,
        shown: &str,
        template: &str,
    ) -> Result<Uses, TemplateError> {
        if let Some(file) = &self.text
            && let Some(at) = place_of_value(file, shown, template)
        {
            let before = &file[..at];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let begin = (before.matches('\n').count(), before[line_start..].chars().count());
            self.begin.insert(shown.to_owned(), begin);
        }
        let added = sources.add(name, &self.campaign.path, shown.to_owned(), template);
        added.and_then(|()| uses_of(sources, name)).map_err(|error| {
            if error.path != self.campaign.path {
                return error;
            }
            let place = error.place.and_then(|place| in_file(&self.begin, shown, place));
            TemplateError { place, problem: format!("{} (in `{shown}`)", error.problem), ..error }
        })
    }
}

/// Where the value of the key `shown` begins in a TOML text: on the key's own line, or else anywhere.
fn place_of_value(file: &str, shown: &str, value: &str) -> Option<usize> {
    let key = shown.rsplit('.').next().unwrap_or(shown);
    let mut start = 0;
    for line in file.split_inclusive('\n') {
        let after_key = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(key);
        if let Some(after_key) = after_key
            && let Some(at) = after_key.find(value)
        {
            return Some(start + line.len() - after_key.len() + at);
        }
        start += line.len();
    }
    file.find(value)
}

/// The place in the campaign file of a place in one of its templates.
fn in_file(
    begin: &BTreeMap<String, (usize, usize)>,
    shown: &str,
    (line, column): (usize, usize),
) -> Option<(usize, usize)> {
    let (lines, columns) = begin.get(shown)?;
    Some((lines + line, if line == 1 { columns + column } else { column }))
}

/// The file that errors call `shown`.
fn path_of<'a>(sources: &[&'a Sources], shown: &str) -> Option<&'a PathBuf> {
    let mut all = sources.iter().flat_map(|sources| sources.known.values());
    all.find(|source| source.shown == shown).map(|source| &source.path)
}

/// The header fields without anything from a row.
fn common_fields(campaign: &Campaign, out: &mut Vec<u8>) -> Result<(), TemplateError> {
    let sender = &campaign.sender;
    header::mailbox(out, "From", sender.from.name.as_deref(), &sender.from.address);
    if let Some(reply_to) = &sender.reply_to {
        header::mailbox(out, "Reply-To", reply_to.name.as_deref(), &reply_to.address);
    }
    header::plain(out, "MIME-Version", "1.0");
    let identity = &campaign.identity;
    let machine_read = |name: &str, value: &str| {
        if value.is_empty() || value.len() > 900 || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let problem = format!("`{value}` can't be a {name}");
            return Err(TemplateError::new(&campaign.path, None, problem).hint("use printable ASCII"));
        }
        Ok(())
    };
    if let Some(list_id) = &identity.list_id {
        machine_read("list-id", list_id)?;
        let value = if list_id.contains('<') { list_id.clone() } else { format!("<{list_id}>") };
        header::plain(out, "List-Id", &value);
    }
    let by_default;
    let feedback_id = match &identity.feedback_id {
        Some(feedback_id) => feedback_id,
        None => {
            let domain = sender.from.address.domain();
            by_default = format!("{}:{}:mailrun:{domain}", identity.id, identity.kind.as_str());
            &by_default
        }
    };
    machine_read("feedback-id", feedback_id)?;
    header::plain(out, "Feedback-ID", feedback_id);
    match identity.kind {
        // RFC 3834 §5: so that nobody's holiday notice answers.
        MailKind::Alarm => header::plain(out, "Auto-Submitted", "auto-generated"),
        MailKind::News | MailKind::Update => {}
    }
    Ok(())
}

fn check_header_name(campaign: &Campaign, name: &str) -> Result<(), TemplateError> {
    let error =
        |problem: String, hint: &str| Err(TemplateError::new(&campaign.path, None, problem).hint(hint));
    if let Some((problem, hint)) = header::refused(name) {
        return error(problem, hint);
    }
    if campaign.identity.kind == MailKind::Alarm && name.eq_ignore_ascii_case("Auto-Submitted") {
        return error(format!("the field `{name}` can't be set here"), "an alarm has it by itself");
    }
    let same = campaign.sender.headers.keys().filter(|other| other.eq_ignore_ascii_case(name)).count();
    if same > 1 {
        return error(
            format!("the field `{name}` is given twice"),
            "upper and lower case make no difference",
        );
    }
    Ok(())
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

/// Attachments and images of all messages, with their paths.
fn common_files(campaign: &Campaign, parts: Parts) -> Result<(Vec<CommonFile>, Vec<PathBuf>), TemplateError> {
    let template = &campaign.template;
    if parts == Parts::Text && !template.inline.is_empty() {
        return Err(TemplateError::new(&campaign.path, None, "inline images without an HTML template")
            .hint("set `html` in `[template]`, or make them `attachments`"));
    }
    let read = |path: &Path| fs::read(path).map_err(|source| TemplateError::read(path, "attachment", source));
    let mut files = Vec::new();
    let mut paths = Vec::new();
    for path in &template.attachments {
        files.push(CommonFile { name: attachment::file_name(path), content: read(path)?, id: None });
        paths.push(path.clone());
    }
    for image in &template.inline {
        let id = &image.id;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+$".contains(&byte);
        if id.is_empty() || id.len() > 200 || !id.bytes().all(fits) {
            return Err(TemplateError::new(
                &campaign.path,
                None,
                format!("`{id}` can't be the id of an image"),
            )
            .hint("use letters, digits, `-`, `_`, `.` and `@`"));
        }
        let content = read(&image.file)?;
        files.push(CommonFile { name: attachment::file_name(&image.file), content, id: Some(id.clone()) });
        paths.push(image.file.clone());
    }
    Ok((files, paths))
}

/// Known to nobody before the run: made with its secret. 20 hexadecimal digits.
fn boundary(campaign: &str, run: &RunFacts) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &run.token_secret);
    let tag = hmac::sign(&key, format!("boundary\0{campaign}\0{}", run.run_id).as_bytes());
    tag.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

impl MessageId {
    fn new(campaign: &Campaign, run: &RunFacts) -> Self {
        let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let name: String = run.run_id.chars().take(60).map(fits).collect();
        let whole = blake3::hash(format!("{}\0{}", campaign.identity.id, run.run_id).as_bytes());
        let tag = &whole.to_hex()[..12];
        Self {
            before: if name.is_empty() { String::new() } else { format!("{name}.") },
            after: format!(".{tag}@{}", campaign.sender.from.address.domain()),
        }
    }
}

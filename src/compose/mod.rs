//! Templates and MIME: from a row of the plan to a complete message.
//!
//! Everything that is the same for all messages is made once, in [`Composer::new`]: templates are compiled, attachments
//! encoded, header fields written. Composing a row looks at no clock and draws no random number: the same row gives
//! the same bytes, the date aside.
//!
//! Templates know the columns of the target group under their headers' names, and two names more:
//!
//! - `unsubscribe_url`: the recipient's own link, where `unsubscribe.https` is set;
//! - `message_id`: the `Message-ID`, without its angle brackets.
//!
//! A value of nothing but white space counts as no value, for `{{#if}}` too.
//!
//! With `personalised = false` there is one message for all: templates that use a column are refused, `To` is a group
//! without members, and the `Message-ID` is the same for all.

mod ahead;
mod attachment;
mod error;
mod header;
mod line_ends;
mod lines;
mod mime;
mod plain;
pub mod return_path;
mod setup;
pub mod token;
mod unsubscribe;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Map, Value};

use self::ahead::Ahead;
use self::mime::{Layout, Leaf, Texts};
use self::unsubscribe::Links;
use crate::mail::{Message, Timestamp};
use crate::plan::Row;
use crate::template::Place;
use crate::template::handlebars::helpers;
use crate::template::handlebars::line::Line;
use crate::template::handlebars::render::render;
use crate::template::handlebars::source::Sources;
use crate::template::uses::Uses;
use crate::template::values::{Columns, Values};

pub use error::RenderFailure;
pub use return_path::{NoRoom, ReturnPaths};

/// What a run adds to its campaign.
pub struct RunFacts {
    /// The run's id: part of every `Message-ID` and token.
    pub run_id: String,
    /// The secret of the unsubscribe tokens: at least 16 random bytes, the same for as long as links should work.
    pub token_secret: Vec<u8>,
}

/// Says nothing of the secret.
impl fmt::Debug for RunFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunFacts").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

/// Makes the messages of one run. Shared by all threads.
pub struct Composer {
    text: Sources,
    html: Sources,
    parts: Parts,
    /// What the templates need of a row.
    uses: Uses,
    strict: bool,
    defaults: Map<String, Value>,
    columns: Columns,
    /// The header fields that are the same for all messages.
    common_header: Vec<u8>,
    /// The fields of `[sender.headers]`: their names and their templates.
    headers: Vec<(String, Line)>,
    subject: Line,
    /// The parts of the body with their lines encoded ahead, where that can be done.
    ahead: Option<Ahead>,
    links: Option<Links>,
    message_id: MessageId,
    /// Where all get the same text.
    one_text: Option<OneText>,
    layout: Layout,
    /// The body, where every row has the same.
    same_body: Option<SameBody>,
    attachment_columns: Vec<String>,
    /// The folder that attachment columns are relative to.
    folder: PathBuf,
    largest: u64,
    /// Bytes that the signatures add.
    signatures: u64,
    /// The files whose content decides what is sent.
    files: Vec<PathBuf>,
    campaign_file: PathBuf,
    /// Where the templates of the campaign file begin in it, from 0: lines and columns before them.
    in_campaign: BTreeMap<String, (usize, usize)>,
}

/// Which templates there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    Text,
    /// The text part is made from the HTML.
    Html,
    Both,
}

/// `run.row.tag@domain`: the tag keeps runs of the same name in different campaigns apart.
#[derive(Debug)]
struct MessageId {
    before: String,
    after: String,
}

/// What stands for the row where all get the same text.
#[derive(Debug)]
struct OneText {
    /// The name of the group in `To`.
    group: String,
    nobody: Row,
}

#[derive(Debug)]
struct SameBody {
    /// The content fields of the header.
    header: Bytes,
    body: Vec<Bytes>,
    text: String,
    html: Option<String>,
}

/// What the templates gave for one row, before it was encoded: for looking at, not for sending.
#[derive(Debug)]
pub struct Rendered<'a> {
    /// The subject in one line.
    pub subject: String,
    /// The text part, lines ended by CRLF.
    pub text: Cow<'a, str>,
    /// The HTML part, lines ended by CRLF.
    pub html: Option<Cow<'a, str>>,
    /// The recipient's own link, where `unsubscribe.https` is set.
    pub unsubscribe_url: Option<String>,
}

/// A whole header section, and the body in segments.
type Encoded = (Bytes, Vec<Bytes>);

/// What is a message's own from the start.
struct Names {
    message_id: String,
    unsubscribe_url: Option<String>,
    list_unsubscribe: Option<String>,
}

/// The rest of a header section, the body, and what went into it.
struct Body {
    header: Bytes,
    segments: Vec<Bytes>,
    text: String,
    html: Option<String>,
}

/// The names under which the main templates are registered; no partial can have them.
const SUBJECT: &str = "main:subject";
const TEXT: &str = "main:text";
const HTML: &str = "main:html";

impl Composer {
    /// The columns that the templates print or test and the columns of attachments; `None` when that can't be told
    /// because a template looks at the whole row.
    pub fn columns(&self) -> Option<BTreeSet<String>> {
        if self.uses.dynamic {
            return None;
        }
        let named = self.uses.printed.iter().chain(&self.uses.tested).map(|(name, _)| name);
        Some(named.chain(&self.attachment_columns).cloned().collect())
    }

    /// The columns that must have a value in every row, each with the places that print it; those with a default
    /// and those that are only tested are not among them.
    pub fn printed(&self) -> impl Iterator<Item = (&str, &Place)> {
        let needed =
            self.uses.printed.iter().filter(|(name, _)| self.strict && !self.defaults.contains_key(name));
        needed.map(|(name, place)| (name.as_str(), place))
    }

    /// Columns that are only tested and that `columns` does not have: probably mistyped, never an error.
    pub fn doubtful(&self, columns: &[&str]) -> impl Iterator<Item = (&str, &Place)> {
        let unknown = self
            .uses
            .tested
            .iter()
            .filter(|(name, _)| !columns.contains(&name.as_str()) && !self.defaults.contains_key(name));
        unknown.map(|(name, place)| (name.as_str(), place))
    }

    /// The files whose content decides what is sent, templates first: what a run's id is made from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// True when all get the same text, the header included: every row has the message of
    /// [`Self::compose_for_all`].
    pub fn is_one_text(&self) -> bool {
        self.one_text.is_some()
    }

    /// The message that all rows get, dated `date`.
    ///
    /// # Panics
    /// Where each row has a message of its own: see [`Self::is_one_text`].
    pub fn compose_for_all(&self, date: Timestamp) -> Result<Message, RenderFailure> {
        let one_text = self.one_text.as_ref().expect("only a campaign with one text is composed for all");
        self.compose(&one_text.nobody, date)
    }

    /// The message of one row, dated `date`.
    pub fn compose(&self, row: &Row, date: Timestamp) -> Result<Message, RenderFailure> {
        let names = self.names(row)?;
        let values = self.values(row, &names);
        let (out, _) = self.header(row, date, &names, &values)?;
        let (header, body) = match (&self.same_body, &self.ahead) {
            (Some(same), _) => same.append_to(out),
            (None, Some(ahead)) => match self.body_ahead(ahead, out, &values)? {
                Ok(done) => done,
                Err(out) => self.body(out, &values)?.into_bytes(),
            },
            (None, None) => self.body(out, &values)?.into_bytes(),
        };
        self.message(header, body, names.message_id)
    }

    /// As [`Self::compose`], with what the templates gave.
    pub fn compose_shown(
        &self,
        row: &Row,
        date: Timestamp,
    ) -> Result<(Message, Rendered<'_>), RenderFailure> {
        let names = self.names(row)?;
        let values = self.values(row, &names);
        let (out, subject) = self.header(row, date, &names, &values)?;
        let (header, body, text, html) = match &self.same_body {
            Some(same) => {
                let (header, body) = same.append_to(out);
                let html = same.html.as_deref().map(Cow::Borrowed);
                (header, body, Cow::Borrowed(same.text.as_str()), html)
            }
            None => {
                let Body { header, segments, text, html } = self.body(out, &values)?;
                (header, segments, Cow::Owned(text), html.map(Cow::Owned))
            }
        };
        let message = self.message(header, body, names.message_id)?;
        let subject = header::one_line(&subject).into_owned();
        Ok((message, Rendered { subject, text, html, unsubscribe_url: names.unsubscribe_url }))
    }

    /// What a message is called, and the links that are its recipient's own.
    fn names(&self, row: &Row) -> Result<Names, RenderFailure> {
        let (unsubscribe_url, list_unsubscribe) = self.unsubscribe(row)?;
        let message_id = match &self.one_text {
            Some(_) => self.message_id.of_all(),
            None => self.message_id.of(row),
        };
        Ok(Names { message_id, unsubscribe_url, list_unsubscribe })
    }

    /// The row as templates see it.
    fn values<'a>(&'a self, row: &'a Row, names: &'a Names) -> Values<'a> {
        let built_in = self.uses.built_in.iter().map(|(name, _)| match name.as_str() {
            "message_id" => (name.as_str(), Some(names.message_id.as_str())),
            _ => (name.as_str(), names.unsubscribe_url.as_deref()),
        });
        Values::new(row, &self.columns, &self.defaults, built_in.collect())
    }

    /// The header section without the fields of the content, and the subject as it was rendered.
    fn header(
        &self,
        row: &Row,
        date: Timestamp,
        names: &Names,
        values: &Values<'_>,
    ) -> Result<(Vec<u8>, String), RenderFailure> {
        let room = self.ahead.as_ref().map_or(4_096, |ahead| ahead.bytes);
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(&self.common_header);
        match &self.one_text {
            Some(one_text) => header::group(&mut out, "To", &one_text.group),
            None => header::mailbox(&mut out, "To", row.name.as_deref(), &row.address),
        }
        let subject = self.subject.render(&self.text, values)?;
        header::text(&mut out, "Subject", &subject);
        header::date(&mut out, date);
        header::plain(&mut out, "Message-ID", &format!("<{}>", names.message_id));
        if let Some(list_unsubscribe) = &names.list_unsubscribe {
            header::plain(&mut out, "List-Unsubscribe", list_unsubscribe);
        }
        for (name, template) in &self.headers {
            let value = template.render(&self.text, values)?;
            // A field without a value is one that the template's conditions left out.
            if !header::one_line(&value).is_empty() {
                header::text(&mut out, name, &value);
            }
        }
        Ok((out, subject))
    }

    fn message(&self, header: Bytes, body: Vec<Bytes>, message_id: String) -> Result<Message, RenderFailure> {
        let header_is_ascii = header.is_ascii();
        let message = Message {
            header,
            body,
            message_id,
            eight_bit: !header_is_ascii,
            needs_smtputf8: !header_is_ascii,
        };
        self.check_size(&message)?;
        Ok(message)
    }

    /// The recipient's https link and `List-Unsubscribe`.
    fn unsubscribe(&self, row: &Row) -> Result<(Option<String>, Option<String>), RenderFailure> {
        let Some(links) = &self.links else { return Ok((None, None)) };
        let address;
        let recipient = match &row.id {
            Some(id) => id.as_str(),
            None => {
                address = row.address.to_string();
                &address
            }
        };
        if recipient.len() > token::LONGEST {
            return Err(RenderFailure::LongId { bytes: recipient.len() });
        }
        let (url, value) = links.of(recipient);
        Ok((url, Some(value)))
    }

    /// Completes the message in `out` from lines that are encoded already; gives `out` back when that can't be done.
    fn body_ahead(
        &self,
        ahead: &Ahead,
        out: Vec<u8>,
        values: &Values<'_>,
    ) -> Result<Result<Encoded, Vec<u8>>, RenderFailure> {
        let Ok(filled) = ahead.fill(&self.text, &self.html, values) else { return Ok(Err(out)) };
        let own = self.own_attachments(values.row)?;
        let written = self.layout.write(out, filled.texts(), &own);
        written.map(Ok).map_err(|mime::HoldsBoundary| RenderFailure::Boundary)
    }

    /// Completes the header section in `out` and makes the body.
    fn body(&self, out: Vec<u8>, values: &Values<'_>) -> Result<Body, RenderFailure> {
        let own = self.own_attachments(values.row)?;
        let context = values.context();
        let (text, html) = match self.parts {
            Parts::Text => (render(&self.text, TEXT, context)?, None),
            Parts::Both => (render(&self.text, TEXT, context)?, Some(render(&self.html, HTML, context)?)),
            Parts::Html => {
                let html = render(&self.html, HTML, context)?;
                (plain::from_html(&html), Some(html))
            }
        };
        let (text, html) = (line_ends::normalize(&text), html.map(|html| line_ends::normalize(&html)));
        let texts = Texts { text: Leaf::Whole(&text), html: html.as_deref().map(Leaf::Whole) };
        let written = self.layout.write(out, texts, &own);
        let (header, segments) = written.map_err(|mime::HoldsBoundary| RenderFailure::Boundary)?;
        Ok(Body { header, segments, text, html })
    }

    /// The files that a row's attachment columns name: name in the message, content.
    fn own_attachments(&self, row: &Row) -> Result<Vec<(String, Vec<u8>)>, RenderFailure> {
        let mut own = Vec::new();
        for column in &self.attachment_columns {
            let value = row.values.get(column).unwrap_or(&Value::Null);
            if helpers::is_blank(value) {
                continue;
            }
            let failure = |file: String, problem: String| RenderFailure::Attachment {
                column: column.clone(),
                file,
                problem,
            };
            let Value::String(named) = value else {
                return Err(failure(value.to_string(), "is not a path".into()));
            };
            let named = named.trim();
            let content = attachment::read_within(&self.folder, named, self.largest)
                .map_err(|problem| failure(named.to_owned(), problem))?;
            own.push((attachment::file_name(named.as_ref()), content));
        }
        Ok(own)
    }

    fn check_size(&self, message: &Message) -> Result<(), RenderFailure> {
        let body: usize = message.body.iter().map(Bytes::len).sum();
        let bytes = (message.header.len() + 2 + body) as u64 + self.signatures;
        if bytes > self.largest {
            return Err(RenderFailure::TooLarge { bytes, largest: self.largest });
        }
        Ok(())
    }
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composer")
            .field("files", &self.files)
            .field("uses", &self.uses)
            .finish_non_exhaustive()
    }
}

impl Body {
    fn into_bytes(self) -> Encoded {
        (self.header, self.segments)
    }
}

impl SameBody {
    /// Completes the header section in `out`.
    fn append_to(&self, mut out: Vec<u8>) -> Encoded {
        out.extend_from_slice(&self.header);
        (out.into(), self.body.clone())
    }
}

impl MessageId {
    fn of(&self, row: &Row) -> String {
        format!("{}{}{}", self.before, row.index, self.after)
    }

    /// It is one message, however many get it and whenever.
    fn of_all(&self) -> String {
        format!("{}all{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests;

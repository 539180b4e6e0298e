//! Composes the messages of a run, row by row.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::body::Parts;
use super::error::RenderFailure;
use super::in_campaign::InCampaign;
use super::letters::Letters;
use super::lines::Leaf;
use super::locals::Locals;
use super::message_id::MessageId;
use super::mime::{Layout, Texts};
use super::ready::{self, Ready};
use super::row_files::{self, RowFiles};
use super::secure::{PASSWORD, Passwords, Secure};
use super::tracking::Tracking;
use super::unsubscribe::Links;
use super::{attachment, header, line_ends, token};
use crate::campaign::{Scanned, ready_column};
use crate::kit::nearest::nearest;
use crate::mail::{Message, Timestamp};
use crate::plan::Row;
use crate::scan::Item;
use crate::template::{
    Columns, CssInEach, Foreign, MESSAGE_ID, Origin, Place, Template, Uses, Values, is_blank,
    render_to_string,
};

/// Makes the messages of one run. Shared by all threads.
pub struct Composer {
    pub(super) parts: Parts,
    pub(super) subject: Box<dyn Template>,
    /// The fields of `[sender.headers]`: their names and their templates.
    pub(super) headers: Vec<(String, Box<dyn Template>)>,
    /// What the templates need of a row.
    pub(super) uses: Uses,
    pub(super) strict: bool,
    pub(super) defaults: Map<String, Value>,
    pub(super) columns: Columns,
    /// The header fields that are the same for all messages.
    pub(super) common_header: Vec<u8>,
    pub(super) links: Option<Links>,
    /// Set where links and opens are tracked.
    pub(super) tracking: Option<Tracking>,
    pub(super) message_id: MessageId,
    /// Set if every row gets the same text.
    pub(super) one_text: Option<OneText>,
    pub(super) layout: Layout,
    /// The body that every row gets.
    pub(super) same_body: Option<SameBody>,
    pub(super) attachment_columns: Vec<String>,
    /// The documents that go out in an encrypted ZIP.
    pub(super) secure: Option<Secure>,
    /// What composes the mail with the password of that ZIP.
    pub(super) passwords: Option<Box<Self>>,
    /// Set in what composes those mails.
    pub(super) tells: Option<Passwords>,
    /// Set where the target group holds ready messages: no template is used.
    pub(super) ready: Option<Ready>,
    /// The files that attachment columns may name.
    pub(super) row_files: Option<RowFiles>,
    /// The most bytes that a message may have, signatures included.
    pub(super) largest: u64,
    /// Bytes that the signatures add.
    pub(super) signatures: u64,
    /// Bytes of a usual message, what it shares with others aside.
    pub(super) room: usize,
    /// The files whose content decides what is sent.
    pub(super) files: Vec<PathBuf>,
    /// Where the templates and their partials are from.
    pub(super) origins: Vec<Origin>,
    /// What the templates have of other languages.
    pub(super) foreign: Vec<Foreign>,
    /// Why styles go into the elements of each message.
    pub(super) css_in_each: Vec<CssInEach>,
    pub(super) locals: Locals,
    /// The further letters of the campaign, and what chooses.
    pub(super) letters: Option<(Letters, Vec<Self>)>,
    pub(super) in_campaign: InCampaign,
    /// The files that every message carries; kept only where something scans them.
    pub(super) common_items: Option<Vec<Item>>,
}

/// Used instead of the row if every row gets the same text.
#[derive(Debug)]
pub(super) struct OneText {
    /// The name of the group in `To`.
    pub group: String,
    pub nobody: Row,
}

#[derive(Debug)]
pub(super) struct SameBody {
    /// The content fields of the header.
    pub header: Bytes,
    pub body: Vec<Bytes>,
    pub text: String,
    pub html: Option<String>,
}

/// What the templates gave for one row, before it was encoded: for looking at, not for sending.
#[derive(Debug)]
pub struct Rendered<'a> {
    /// The subject in one line.
    pub subject: String,
    /// The text part, lines ended by CRLF.
    pub text: Cow<'a, str>,
    /// The HTML part, lines ended by CRLF; its links as the template has them.
    pub html: Option<Cow<'a, str>>,
    /// The recipient's own link, where `unsubscribe.https` is set.
    pub unsubscribe_url: Option<String>,
}

/// A message, and its parts as a scanner gets them.
#[derive(Debug, Clone)]
pub(crate) struct ToScan {
    /// The message.
    pub message: Message,
    /// Its parts; none where the campaign names no scanner.
    pub items: Vec<Item>,
}

/// A whole header section, and the body in segments.
type Encoded = (Bytes, Vec<Bytes>);

/// A row's own files: name in the message, content.
type Files = Vec<(String, Vec<u8>)>;

/// A message's own parts, known before rendering.
pub(super) struct Names {
    pub message_id: String,
    pub unsubscribe_url: Option<String>,
    pub list_unsubscribe: Option<String>,
}

impl Composer {
    /// The same, but what is done with tracked links counts for nobody: the messages go to somebody
    /// else than the rows' recipients.
    pub(crate) fn tracking_nobody(self) -> Self {
        Self { tracking: self.tracking.map(Tracking::for_nobody), ..self }
    }

    /// The columns that the templates print or test and the columns of attachments; `None` when
    /// a template looks at the whole row, so they can't be known.
    pub fn columns(&self) -> Option<BTreeSet<String>> {
        if self.ready.is_some() {
            return Some(BTreeSet::from([ready_column::MESSAGE.to_owned()]));
        }
        if self.uses.whole_row {
            return None;
        }
        let named = self.uses.printed.iter().chain(&self.uses.tested).map(|(name, _)| name);
        let locals = self.locals.columns().map(|(_, column)| column);
        let letters = self.letters.iter().filter_map(|(letters, _)| letters.column.as_ref());
        let documents = self.secure.iter().flat_map(|secure| &secure.columns);
        let passwords = self.passwords.iter().flat_map(|own| own.letters.iter());
        let letters = letters.chain(passwords.filter_map(|(letters, _)| letters.column.as_ref()));
        let consent = self.tracking.iter().filter_map(Tracking::column);
        let attached = self.attachment_columns.iter().chain(documents).chain(consent);
        Some(named.chain(attached).chain(locals).chain(letters).cloned().collect())
    }

    /// The columns that must have a value in every row, each with the places that print it; those
    /// with a default and those that are only tested are not among them.
    pub fn printed(&self) -> impl Iterator<Item = (&str, &Place)> {
        let needed =
            self.uses.printed.iter().filter(|(name, _)| self.strict && !self.defaults.contains_key(name));
        needed.map(|(name, place)| (name.as_str(), place))
    }

    /// Columns that are only tested and that `columns` does not have: probably mistyped, never an
    /// error.
    pub fn doubtful(&self, columns: &[&str]) -> impl Iterator<Item = (&str, &Place)> {
        let unknown = self
            .uses
            .tested
            .iter()
            .filter(|(name, _)| !columns.contains(&name.as_str()) && !self.defaults.contains_key(name));
        unknown.map(|(name, place)| (name.as_str(), place))
    }

    /// The names of `[template.defaults]` that no template uses and that are no columns: probably
    /// mistyped, never an error. Each comes with the name that is probably meant.
    pub fn unused_defaults(&self, columns: &[&str]) -> Vec<(&str, Option<String>)> {
        if self.uses.whole_row {
            return Vec::new();
        }
        let used: BTreeSet<&str> =
            self.uses.printed.iter().chain(&self.uses.tested).map(|(name, _)| name.as_str()).collect();
        let unused = self.defaults.keys().map(String::as_str);
        let unused = unused.filter(|name| !used.contains(name) && !columns.contains(name));
        let known = || used.iter().copied().chain(columns.iter().copied());
        unused.map(|name| (name, nearest(name, known()).map(str::to_owned))).collect()
    }

    /// The files whose content decides what is sent, templates first: what a run's id is made from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What the templates have of other languages: recipients would read it.
    pub(crate) fn foreign(&self) -> &[Foreign] {
        &self.foreign
    }

    /// Why styles are put into the elements of each message, where they are.
    pub(crate) fn css_in_each(&self) -> &[CssInEach] {
        &self.css_in_each
    }

    /// The files that rows may name as their attachments, where the campaign has a folder for them.
    pub(crate) fn row_files(&self) -> Option<&RowFiles> {
        self.row_files.as_ref()
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
        self.letter(row)?.compose_own(row, date)
    }

    /// As [`Self::compose`], with what scanners look at: exactly what is in the message.
    pub(crate) fn compose_to_scan(&self, row: &Row, date: Timestamp) -> Result<ToScan, RenderFailure> {
        self.letter(row)?.compose_own_to_scan(row, date)
    }

    /// The mail with the password of a row's documents, dated `date`, with what scanners look at;
    /// `of` where another run has sent the documents, as that row of it.
    ///
    /// # Panics
    /// Where the campaign has no secure documents.
    pub(crate) fn compose_password(
        &self,
        row: &Row,
        date: Timestamp,
        of: Option<(&str, u32)>,
    ) -> Result<ToScan, RenderFailure> {
        let own = self.passwords.as_ref().expect("only a campaign with secure documents has passwords");
        let own = own.letter(row).map_err(|failure| RenderFailure::Password(Box::new(failure)))?;
        let passwords = own.tells.as_ref().expect("what composes passwords can make them");
        let (run_id, number) = of.unwrap_or((passwords.run_id(), row.index));
        let mut row = row.clone();
        let mut with = |password: String| {
            row.values.insert(PASSWORD.to_owned(), Value::String(password));
            own.compose_own_to_scan(&row, date)
        };
        let password = passwords.of_run(run_id, number);
        let stand_in = "x".repeat(password.len());
        // Faults may quote values, and results keep them: they must not quote a password.
        with(password).map_err(|_| {
            let failure = with(stand_in).err().unwrap_or(RenderFailure::UnfitPassword);
            RenderFailure::Password(Box::new(failure))
        })
    }

    /// The mail with the password of a row's documents, where the campaign has some: documents
    /// whose password can't be told don't leave.
    pub(crate) fn compose_second(
        &self,
        row: &Row,
        date: Timestamp,
    ) -> Result<Option<Message>, RenderFailure> {
        if self.passwords.is_none() {
            return Ok(None);
        }
        Ok(Some(self.compose_password(row, date, None)?.message))
    }

    /// As [`Self::compose_for_all`], with what scanners look at.
    pub(crate) fn compose_all_to_scan(&self, date: Timestamp) -> Result<ToScan, RenderFailure> {
        let one_text = self.one_text.as_ref().expect("only a campaign with one text is composed for all");
        self.compose_to_scan(&one_text.nobody, date)
    }

    /// The letter that a row gets.
    fn letter(&self, row: &Row) -> Result<&Self, RenderFailure> {
        let Some((letters, others)) = &self.letters else { return Ok(self) };
        Ok(match letters.number(row)?.checked_sub(1) {
            Some(other) => &others[other],
            None => self,
        })
    }

    fn compose_own(&self, row: &Row, date: Timestamp) -> Result<Message, RenderFailure> {
        Ok(self.compose_own_to_scan(row, date)?.message)
    }

    fn compose_own_to_scan(&self, row: &Row, date: Timestamp) -> Result<ToScan, RenderFailure> {
        if let Some(ready) = &self.ready {
            let message = ready.message(row, date, self.message_id.of(row))?;
            self.check_size(&message)?;
            let items = self.common_items.as_ref().map_or_else(Vec::new, |_| ready::items(&message));
            return Ok(ToScan { message, items });
        }
        let names = self.names(row)?;
        let values = self.values(row, &names)?;
        let (out, _) = self.header(row, date, &names, &values)?;
        let mut items = Vec::new();
        let (header, body) = match &self.same_body {
            Some(same) => {
                if let Some(common) = &self.common_items {
                    items.extend(body_items(&same.text, same.html.as_deref()));
                    items.extend(common.iter().cloned());
                }
                same.append_to(out)
            }
            None => {
                let (encoded, texts, own) = self.body(out, row, &names, &values, date)?;
                if let Some(common) = &self.common_items {
                    let html = texts.html.map(|html| html.text());
                    items.extend(body_items(&texts.text.text(), html.as_deref()));
                    let own = own.into_iter();
                    items.extend(own.map(|(name, content)| Item::file(&name, content)));
                    items.extend(common.iter().cloned());
                }
                encoded
            }
        };
        Ok(ToScan { message: self.message(header, body, names.message_id)?, items })
    }

    /// As [`Self::compose`], with what the templates gave.
    pub fn compose_shown(
        &self,
        row: &Row,
        date: Timestamp,
    ) -> Result<(Message, Rendered<'_>), RenderFailure> {
        self.letter(row)?.compose_shown_own(row, date)
    }

    fn compose_shown_own(
        &self,
        row: &Row,
        date: Timestamp,
    ) -> Result<(Message, Rendered<'_>), RenderFailure> {
        if let Some(ready) = &self.ready {
            let message = ready.message(row, date, self.message_id.of(row))?;
            self.check_size(&message)?;
            let ready::Shown { subject, text, html } = ready::shown(&message);
            let (text, html) = (Cow::Owned(text), html.map(Cow::Owned));
            return Ok((message, Rendered { subject, text, html, unsubscribe_url: None }));
        }
        let names = self.names(row)?;
        let values = self.values(row, &names)?;
        let (out, subject) = self.header(row, date, &names, &values)?;
        let ((header, body), text, html) = match &self.same_body {
            Some(same) => {
                let html = same.html.as_deref().map(Cow::Borrowed);
                (same.append_to(out), Cow::Borrowed(same.text.as_str()), html)
            }
            None => {
                let (encoded, mut texts, _) = self.body(out, row, &names, &values, date)?;
                // Whoever looks at a message must not be taken for its recipient, and checks look
                // at where its links lead.
                if self.tracking.is_some() {
                    texts = self.parts.render(&values)?;
                }
                // The end of a text is trimmed when the message is written.
                let html = texts.html.map(|html| Cow::Owned(line_ends::normalize(&html.text())));
                (encoded, Cow::Owned(line_ends::normalize(&texts.text.text())), html)
            }
        };
        let message = self.message(header, body, names.message_id)?;
        let subject = header::one_line(&subject).into_owned();
        Ok((message, Rendered { subject, text, html, unsubscribe_url: names.unsubscribe_url }))
    }

    /// The message's id, and its recipient's own links.
    pub(super) fn names(&self, row: &Row) -> Result<Names, RenderFailure> {
        let (unsubscribe_url, list_unsubscribe) = self.unsubscribe(row)?;
        let message_id = match (&self.one_text, &self.tells) {
            (Some(_), _) => self.message_id.of_all(),
            (None, Some(_)) => self.message_id.of_password(row),
            (None, None) => self.message_id.of(row),
        };
        Ok(Names { message_id, unsubscribe_url, list_unsubscribe })
    }

    /// The row as templates see it.
    pub(super) fn values<'a>(&'a self, row: &'a Row, names: &'a Names) -> Result<Values<'a>, RenderFailure> {
        let local = self.locals.of_row(row)?;
        let built_in = self.uses.built_in.iter().map(|(name, _)| match name.as_str() {
            MESSAGE_ID => (name.as_str(), Some(names.message_id.as_str())),
            _ => (name.as_str(), names.unsubscribe_url.as_deref()),
        });
        Ok(Values::new(row, &self.columns, &self.defaults, built_in.collect()).at(local))
    }

    /// The header section without the fields of the content, and the subject as it was rendered.
    pub(super) fn header(
        &self,
        row: &Row,
        date: Timestamp,
        names: &Names,
        values: &Values<'_>,
    ) -> Result<(Vec<u8>, String), RenderFailure> {
        let mut out = Vec::with_capacity(self.room);
        out.extend_from_slice(&self.common_header);
        match &self.one_text {
            Some(one_text) => header::group(&mut out, "To", &one_text.group),
            None => header::mailbox(&mut out, "To", row.name.as_deref(), &row.address),
        }
        let subject = render_to_string(&*self.subject, values)?;
        header::text(&mut out, "Subject", &subject);
        header::date(&mut out, date);
        header::plain(&mut out, "Message-ID", &format!("<{}>", names.message_id));
        if let Some(list_unsubscribe) = &names.list_unsubscribe {
            header::plain(&mut out, "List-Unsubscribe", list_unsubscribe);
        }
        for (name, template) in &self.headers {
            let value = render_to_string(&**template, values)?;
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
        let address = row.address.to_string();
        let bytes = row.id.as_ref().unwrap_or(&address).len();
        if bytes > token::LONGEST {
            return Err(RenderFailure::LongId { bytes });
        }
        let (url, value) = links.of(row, &address);
        Ok((url, Some(value)))
    }

    /// Completes the header section in `out` and makes the body, with the texts and files that are
    /// in it: those of the encrypted ZIP as they were before.
    pub(super) fn body(
        &self,
        out: Vec<u8>,
        row: &Row,
        names: &Names,
        values: &Values<'_>,
        date: Timestamp,
    ) -> Result<(Encoded, Texts<'_>, Files), RenderFailure> {
        let mut own = self.files_of(row, &self.attachment_columns)?;
        let mut texts = self.parts.render(values)?;
        if let (Some(tracking), Some(html)) = (&self.tracking, &texts.html)
            && tracking.may(row)
        {
            let leaves = names.unsubscribe_url.as_deref();
            texts.html = Some(Leaf::whole(&tracking.of(&html.text(), row, leaves, date)));
        }
        let Some(secure) = &self.secure else {
            let encoded = self.layout.write(out, &texts, &own)?;
            return Ok((encoded, texts, own));
        };
        let documents = self.files_of(row, &secure.columns)?;
        if documents.is_empty() && secure.common.is_empty() {
            let columns = format!("`{}`", secure.columns.join("`, `"));
            return Err(RenderFailure::NoDocument { columns });
        }
        // Before the work of packing and encrypting them. What packs well is bounded too: others
        // unpack it.
        let bytes = secure.bytes(&documents);
        if bytes > self.largest {
            return Err(RenderFailure::LargeDocuments { bytes, largest: self.largest });
        }
        own.push(secure.seal(row.index, &documents));
        let encoded = self.layout.write(out, &texts, &own)?;
        // Nobody can look into the ZIP: scanners get what is in it.
        own.pop();
        own.extend(documents);
        Ok((encoded, texts, own))
    }

    /// The files that `columns` of a row name: name in the message, content.
    fn files_of(&self, row: &Row, columns: &[String]) -> Result<Files, RenderFailure> {
        let mut own = Vec::new();
        let mut left = self.largest;
        for column in columns {
            let value = row.values.get(column).unwrap_or(&Value::Null);
            if is_blank(value) {
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
            let read = match &self.row_files {
                Some(files) => files.read(named),
                None => Err(format!("can't be read without `{}`", row_files::KEY)),
            };
            let content = read.map_err(|problem| failure(named.to_owned(), problem))?;
            let Some(rest) = left.checked_sub(content.len() as u64) else {
                let problem = format!("is one too many: together they have more than {} bytes", self.largest);
                return Err(failure(named.to_owned(), problem));
            };
            left = rest;
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

/// The texts of a message as scanners get them.
fn body_items(text: &str, html: Option<&str>) -> impl Iterator<Item = Item> {
    let item = |name: &str, text: &str| Item::new(name, Scanned::Body, line_ends::normalize(text));
    let html = html.map(|html| item("the HTML part", html));
    std::iter::once(item("the text part", text)).chain(html)
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composer")
            .field("files", &self.files)
            .field("uses", &self.uses)
            .finish_non_exhaustive()
    }
}

impl SameBody {
    /// Completes the header section in `out`.
    fn append_to(&self, mut out: Vec<u8>) -> Encoded {
        out.extend_from_slice(&self.header);
        (out.into(), self.body.clone())
    }
}

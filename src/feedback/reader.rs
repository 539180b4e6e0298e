//! One mail: which reader understands it, and what it says.
//!
//! Reports in a standard form come first, then words. A bounce is looked for before an automatic
//! reply, because mail systems mark their reports as automatic too (RFC 3834 §5).

use std::cell::LazyCell;

use super::address;
use super::complaint;
use super::event::{Event, Kind};
use super::mime::{Header, Message, Part};
use super::notice::{Notice, Told};
use super::reply::{self, Judgement};
use super::report::{self, Record};
use super::reports::{self, Report};
use super::rules::{Rules, Signs};
use super::said::Feedback;
use super::ses;
use super::text::{Entry, Note};
use crate::mail::Class;
use crate::route::Classifier;

/// Words of a report beyond this are not read.
const TEXT_BYTES: usize = 96 << 10;
/// A delivery status beyond this is not read.
const STATUS_BYTES: usize = 2 << 20;
/// Of a returned message, as much is looked at.
const ORIGINAL_BYTES: usize = 256 << 10;
/// A report about a domain is in one of the first parts.
const REPORT_PARTS: usize = 10;
/// A packed report is not longer.
const REPORT_BYTES: usize = 8 << 20;
/// What mail systems call themselves.
const SYSTEM_NAMES: [&str; 14] = [
    "mailer-daemon",
    "mail deliver",
    "mail.deliver",
    "delivery system",
    "delivery subsystem",
    "postmaster",
    "mail system",
    "mail administrator",
    "system administrator",
    "gateway",
    "interscan",
    "antivirus",
    "mail service",
    "mail_service",
];
/// How the subject of a mail begins that somebody forwarded.
const FORWARDED: [&str; 8] = ["fw:", "fwd:", "wg:", "tr:", "rv:", "enc:", "i:", "转发"];
/// The programs that people write with.
const MAILERS: [&str; 8] =
    ["outlook", "apple mail", "iphone", "ipad", "thunderbird", "roundcube", "android", "zimbra"];
/// More addresses of headers are not compared.
const KNOWN_ADDRESSES: usize = 1_000;
/// What an event keeps of the words.
const EVENT_TEXT: usize = 500;

/// Reads mails that came back. Make one and share it.
#[derive(Debug, Default)]
pub struct Reader {
    classifier: Classifier,
    rules: Rules,
}

impl Reader {
    /// What a mail says. Never fails: a mail that nobody understands is [`Kind::Other`].
    pub fn read(&self, bytes: &[u8]) -> Feedback {
        if let Some(report) = domain_report(bytes) {
            return report;
        }
        let message = Message::read(bytes);
        if let Some(report) = message.parts.iter().take(REPORT_PARTS).find_map(attached_report) {
            return report;
        }
        let returned = message.parts.iter().find(|part| is_returned(part));
        let returned_bytes = returned.map(|part| part.bytes(ORIGINAL_BYTES));
        let original = match (&returned_bytes, returned) {
            // Some return the header as the header of the part.
            (_, Some(part)) if has_mail_header(&part.header) && !is_message(part) => None,
            (Some(bytes), _) => Some(Header::read(trim_start(bytes)).0),
            (None, _) => None,
        };
        let own_header = returned.map(|part| &part.header).filter(|header| has_mail_header(header));
        let original = original.as_ref().or(own_header);

        if let Some(complaint) = complaint::read(&message, original) {
            return Feedback {
                kind: complaint.kind,
                reader: "feedback-report",
                feedback_type: complaint.feedback_type,
                original_message_id: original.and_then(message_id),
                events: complaint.events,
                report: None,
            };
        }
        // A mailing list or a gateway may pass a report on as an attachment.
        if let Some(bytes) = &returned_bytes
            && !message.parts.iter().any(is_status)
            && memchr::memmem::find(bytes, b"delivery-status").is_some()
        {
            let inner = Message::read(trim_start(bytes));
            if inner.parts.iter().any(is_status) {
                return self.read_report(&inner);
            }
        }
        self.read_mail(&message, original)
    }

    /// What a report says that another mail passed on.
    fn read_report(&self, message: &Message<'_>) -> Feedback {
        let returned = message.parts.iter().find(|part| is_returned(part));
        let bytes = returned.map(|part| part.bytes(ORIGINAL_BYTES));
        let original = bytes.as_ref().map(|bytes| Header::read(trim_start(bytes)).0);
        self.read_mail(message, original.as_ref())
    }

    /// What a mail says that is no complaint.
    fn read_mail(&self, message: &Message<'_>, original: Option<&Header<'_>>) -> Feedback {
        let words = self.words(message);
        if let Some(feedback) = self.notification(&words) {
            return feedback;
        }
        let note = Note::read(&self.rules, &words);
        // A mail server may pass a report on as a text.
        if !message.parts.iter().any(is_status) && note.original.contains("delivery-status") {
            let inner = Message::read(trim_start(note.original.as_bytes()));
            if inner.parts.iter().any(is_status) {
                return self.read_report(&inner);
            }
        }
        let inline = (original.is_none() && !note.original.is_empty())
            .then(|| Header::read(trim_start(note.original.as_bytes())).0)
            .filter(|header| !header.is_empty());
        let mail = Mail { message, note: &note, original: original.or(inline.as_ref()) };
        let (reader, events) = self
            .status(&mail)
            .or_else(|| self.receipt(&mail))
            .or_else(|| self.words_of_bounce(&mail))
            .or_else(|| self.answer(&mail))
            .unwrap_or_else(|| ("none", vec![Event::new(Kind::Other, None)]));
        Feedback {
            kind: gravest(&events),
            reader,
            feedback_type: None,
            original_message_id: mail.original.and_then(message_id),
            events,
            report: None,
        }
    }

    /// The words of the mail: plain ones before those in HTML, all before the returned message.
    fn words(&self, message: &Message<'_>) -> String {
        let own = || message.parts.iter().take_while(|part| !is_returned(part));
        let is_plain = |part: &&Part<'_>| part.is("text/plain") || part.is("");
        let gather = |parts: &mut dyn Iterator<Item = &Part<'_>>| {
            let mut words = String::new();
            for part in parts {
                let left = TEXT_BYTES.saturating_sub(words.len());
                if left == 0 {
                    break;
                }
                words.push_str(&part.text(left));
                words.push('\n');
            }
            words
        };
        let plain = gather(&mut own().filter(is_plain));
        if !plain.trim().is_empty() {
            return plain;
        }
        gather(&mut own().filter(|part| part.is("text/")))
    }

    /// An event of a provider, as JSON.
    fn notification(&self, words: &str) -> Option<Feedback> {
        Some(Feedback { reader: "notification", ..self.read_notice(&ses::read(words)?) })
    }

    /// What an event of a provider says.
    pub fn read_notice(&self, notice: &Notice) -> Feedback {
        let event = |told: &Told| {
            let mut event = Event::new(told.kind, Some(told.address.clone()));
            if matches!(told.kind, Kind::Bounce | Kind::Delay) {
                let words = report::without_type(&told.words);
                let judgement = reply::judge(&self.classifier, &self.rules, words, told.status);
                describe(&mut event, judgement, words);
                event.permanent = event.permanent.or(told.permanent);
                if let Some(class) = told.class.filter(|_| !judgement.is_telling) {
                    event.class = Some(class);
                    event.hard = told.kind == Kind::Bounce
                        && matches!(class, Class::BadMailbox | Class::BadDomain)
                        && event.permanent == Some(true);
                }
            }
            event
        };
        let events: Vec<Event> = notice.recipients.iter().map(event).collect();
        Feedback {
            kind: gravest(&events),
            reader: notice.reader,
            feedback_type: notice.feedback_type.clone(),
            original_message_id: notice.original_message_id.clone(),
            events,
            report: None,
        }
    }

    /// RFC 3464, in a part of its own or in the words.
    fn status(&self, mail: &Mail<'_>) -> Option<(&'static str, Vec<Event>)> {
        let part = mail.message.parts.iter().find(|part| is_status(part));
        let records = match part {
            Some(part) => report::read(&part.bytes(STATUS_BYTES)),
            // Words may hold one where a gateway flattened the report.
            None => {
                let at = mail.note.lines.iter().position(|line| is_field(line, "final-recipient:"))?;
                let start = mail.note.lines[..at].iter().rposition(|line| line.trim().is_empty());
                let lines = &mail.note.lines[start.unwrap_or(0)..];
                report::read(lines.join("\n").as_bytes())
            }
        };
        if records.is_empty() {
            return None;
        }
        // Words are read where the report leaves something open.
        let entries = LazyCell::new(|| mail.entries(&self.rules));
        let expands = ["expanded from", "generated from"].iter().any(|words| mail.note.says(words));
        let only = records.len() == 1;
        let mut events: Vec<Event> = Vec::new();
        for record in &records {
            let event = self.event_of_record(mail, record, &entries, expands, only);
            let known = events.iter_mut().find(|other| is_about_one(other, &event));
            match known {
                // The gravest record of a recipient counts.
                Some(other) if rank(event.kind) < rank(other.kind) => *other = event,
                Some(_) => {}
                None => events.push(event),
            }
        }
        Some(("delivery-status", events))
    }

    fn event_of_record(
        &self,
        mail: &Mail<'_>,
        record: &Record,
        entries: &LazyCell<Vec<Entry>, impl FnOnce() -> Vec<Entry>>,
        expands: bool,
        only: bool,
    ) -> Event {
        let mut judgement = self.judge(&record.diagnostic, record);
        let is_whole = record.final_address.is_some() && judgement.is_telling && !expands;
        let entries: &[Entry] = if is_whole { &[] } else { entries };
        let beside = |address: &Option<String>| {
            let address = address.as_deref()?;
            entries.iter().find(|entry| {
                address::same(&entry.address, address)
                    || entry.original.as_deref().is_some_and(|original| address::same(original, address))
            })
        };
        let entry = beside(&record.final_address)
            .or_else(|| beside(&record.original_address))
            .or(entries.first().filter(|_| only && entries.len() == 1));
        let expanded_from = entry.and_then(|entry| entry.original.clone());
        let final_address = record.final_address.clone().or_else(|| entry.map(|entry| entry.address.clone()));
        let address = record
            .original_address
            .clone()
            .or(expanded_from)
            .or_else(|| final_address.clone())
            .or_else(|| mail.only_recipient())
            .or_else(|| record.name.clone());
        let mut event = Event::new(record.action, address);
        event.final_address = final_address
            .filter(|last| event.address.as_deref().is_none_or(|address| !address::same(last, address)));
        if event.kind == Kind::Delivered {
            event.status = record.status;
            return event;
        }
        let mut words = record.diagnostic.clone();
        if !judgement.is_telling
            && let Some(entry) = entry.filter(|entry| !entry.reason.trim().is_empty())
        {
            let second = self.judge(&entry.reason, record);
            if second.is_telling {
                (words, judgement) = (entry.reason.clone(), second);
            }
        }
        if !judgement.is_telling && only {
            let note = mail.note.text();
            let second = self.judge(&note, record);
            if second.is_telling {
                judgement = second;
            }
        }
        describe(&mut event, judgement, &words);
        event
    }

    fn judge(&self, words: &str, record: &Record) -> Judgement {
        reply::judge(&self.classifier, &self.rules, words, record.status)
    }

    /// RFC 8098: what became of a mail that had been delivered. Some refuse mails this way.
    fn receipt(&self, mail: &Mail<'_>) -> Option<(&'static str, Vec<Event>)> {
        let is_receipt = |part: &&Part<'_>| part.is("message/disposition-notification");
        let part = mail.message.parts.iter().find(is_receipt)?;
        let bytes = part.bytes(STATUS_BYTES);
        let (fields, _) = Header::read(trim_start(&bytes));
        let address = fields.get("original-recipient").or_else(|| fields.get("final-recipient"));
        let address = address.and_then(|value| address::of_field(&value));
        let disposition = fields.get("disposition").unwrap_or_default().to_ascii_lowercase();
        let text = mail.note.text();
        let is_refused = disposition.contains("automatic-action")
            && ["deleted", "denied", "failed"].iter().any(|word| disposition.contains(word))
            && self.rules.signs_of_text(&text).bounce;
        let mut event = Event::new(if is_refused { Kind::Bounce } else { Kind::Delivered }, address);
        if is_refused {
            describe(&mut event, reply::judge(&self.classifier, &self.rules, &text, None), &text);
        }
        Some(("disposition-notification", vec![event]))
    }

    /// A report in a program's own words.
    fn words_of_bounce(&self, mail: &Mail<'_>) -> Option<(&'static str, Vec<Event>)> {
        let subject = mail.subject();
        let text = mail.note.text();
        let by_subject = self.rules.signs_of_subject(&subject);
        let by_text = self.rules.signs_of_text(&text);
        let failed = mail.failed_recipients();
        let is_system = mail.is_from_system();
        let is_failure = by_text.bounce || by_text.delay;
        // Words that say of an address why it failed are as good as words of a failure.
        let mut signs = usize::from(is_system) * 2
            + usize::from(mail.has_null_path())
            + usize::from(by_subject.bounce || by_subject.delay) * 2
            + usize::from(is_failure) * 2
            + usize::from(!failed.is_empty()) * 3
            + usize::from(mail.original.is_some())
            + usize::from(reply::has_reply(&text));
        let is_told = LazyCell::new(|| {
            let tells =
                |entry: &Entry| reply::judge(&self.classifier, &self.rules, &entry.reason, None).is_telling;
            mail.entries(&self.rules).iter().any(tells)
        });
        if !is_failure && (is_system && mail.has_null_path() || by_subject.bounce) && *is_told {
            signs += 2;
        }
        // People write of bounces too; what looks like one must do so in every way.
        let is_report = mail.has_null_path() && !is_automatic(&mail.message.header);
        let is_sure = by_text.bounce
            && (by_subject.bounce || is_report)
            && (mail.original.is_some() || mail.has_null_path());
        // Gateways have names of their own, and some neither a null path nor the returned mail.
        let lists_failed = || mail.entries(&self.rules).iter().any(|entry| entry.is_listed);
        let is_sure = is_sure
            || by_subject.bounce && !mail.is_by_person() && (is_failure || *is_told) && lists_failed();
        let is_answer = by_subject.auto_reply || by_subject.challenge || by_subject.delivered;
        if signs < 4 || is_answer || !(is_system || is_sure || !failed.is_empty()) {
            return None;
        }
        if by_text.delivered && !by_text.bounce && !by_subject.bounce {
            return None;
        }
        let kind = kind_of_words(by_subject, by_text);
        let mut entries = mail.entries(&self.rules);
        if !failed.is_empty() {
            entries.retain(|entry| {
                entry.is_listed || failed.iter().any(|address| address::same(address, &entry.address))
            });
            let is_new =
                |address: &&String| !entries.iter().any(|entry| address::same(&entry.address, address));
            let new: Vec<Entry> =
                failed.iter().filter(is_new).map(|address| silent(address.clone())).collect();
            entries.extend(new);
        }
        let whole = LazyCell::new(|| reply::judge(&self.classifier, &self.rules, &text, None));
        if entries.is_empty() {
            entries.extend(mail.only_recipient().map(silent));
        }
        if entries.is_empty() && is_system {
            entries.extend(mail.local_recipients(&self.rules));
        }
        if entries.is_empty() && !whole.is_telling && signs < 5 {
            return None;
        }
        let mut events: Vec<Event> = Vec::new();
        for entry in &entries {
            let mut event =
                Event::new(kind, Some(entry.original.clone().unwrap_or_else(|| entry.address.clone())));
            event.final_address = entry.original.is_some().then(|| entry.address.clone());
            let own = reply::judge(&self.classifier, &self.rules, &entry.reason, None);
            match own.is_telling {
                true => {
                    // Who still tries has no permanent failure to quote.
                    if own.permanent == Some(true) && reply::has_reply(&entry.reason) {
                        event.kind = Kind::Bounce;
                    }
                    describe(&mut event, own, &entry.reason);
                }
                false => describe(&mut event, *whole, &text),
            }
            events.push(event);
        }
        if events.is_empty() {
            let mut event = Event::new(kind, None);
            describe(&mut event, *whole, &text);
            events.push(event);
        }
        if self.rules.says_permanent(&text) {
            let open =
                events.iter_mut().filter(|event| event.kind == Kind::Bounce && event.permanent.is_none());
            open.for_each(|event| event.permanent = Some(true));
        }
        Some(("text", events))
    }

    /// Answers of programs and people: nothing failed.
    fn answer(&self, mail: &Mail<'_>) -> Option<(&'static str, Vec<Event>)> {
        let subject = mail.subject();
        let header = &mail.message.header;
        let by_subject = self.rules.signs_of_subject(&subject);
        let text = mail.note.text();
        let by_text = self.rules.signs_of_text(&text);
        let sender = header.get("from").and_then(|from| address::of_field(&from));
        let kind = if by_subject.challenge || by_text.challenge && is_automatic(header) {
            Kind::Challenge
        } else if by_subject.delivered || by_text.delivered && mail.is_from_system() {
            Kind::Delivered
        } else if by_subject.auto_reply || is_automatic(header) {
            Kind::AutoReply
        } else if is_unsubscribe(&subject, mail) {
            Kind::Unsubscribe
        } else {
            return None;
        };
        let address = match kind {
            Kind::Delivered => mail.entries(&self.rules).first().map(|entry| entry.address.clone()),
            _ => sender.filter(|sender| !address::is_system(sender)),
        };
        Some(("header", vec![Event::new(kind, address)]))
    }
}

/// A report about a domain, as a file of its own or unpacked from a part.
fn domain_report(bytes: &[u8]) -> Option<Feedback> {
    let report: Report = reports::read(bytes)?;
    Some(Feedback {
        kind: report.kind(),
        reader: "domain-report",
        feedback_type: None,
        original_message_id: None,
        events: Vec::new(),
        report: Some(report),
    })
}

fn attached_report(part: &Part<'_>) -> Option<Feedback> {
    let is_data = part.is("application/") || part.is("text/xml") || part.is("text/json");
    if !is_data {
        return None;
    }
    domain_report(&part.bytes(REPORT_BYTES))
}

/// A mail, as the readers look at it.
struct Mail<'a> {
    message: &'a Message<'a>,
    note: &'a Note,
    /// The header of the returned message.
    original: Option<&'a Header<'a>>,
}

impl Mail<'_> {
    fn subject(&self) -> String {
        self.message.header.text("subject").unwrap_or_default()
    }

    fn entries(&self, rules: &Rules) -> Vec<Entry> {
        let header = &self.message.header;
        let mut own = Vec::new();
        // Not where it was delivered: some programs write the failed recipient there.
        for name in ["to", "from", "sender", "reply-to", "return-path"] {
            own.extend(header.all(name).flat_map(|value| addresses(&value)));
        }
        if let Some(original) = self.original {
            for name in ["from", "sender", "return-path", "reply-to"] {
                own.extend(original.all(name).flat_map(|value| addresses(&value)));
            }
        }
        own.truncate(KNOWN_ADDRESSES);
        self.note.entries(rules, &own, &self.recipients())
    }

    /// Whom the returned message was for, as its header says.
    fn recipients(&self) -> Vec<String> {
        let Some(original) = self.original else { return Vec::new() };
        let named =
            ["to", "cc"].iter().flat_map(|name| original.all(name).flat_map(|value| addresses(&value)));
        named.take(KNOWN_ADDRESSES).collect()
    }

    fn only_recipient(&self) -> Option<String> {
        match self.recipients().as_slice() {
            [address] => Some(address.clone()),
            _ => None,
        }
    }

    /// Mailboxes that the report names without their domain, which is that of the mail system.
    fn local_recipients(&self, rules: &Rules) -> Vec<Entry> {
        let from = self.message.header.get("from").unwrap_or_default();
        let Some((_, domain)) = address::first(&from).and_then(|from| from.rsplit_once('@')) else {
            return Vec::new();
        };
        let domain = domain.to_ascii_lowercase();
        self.note.local_names(rules).map(|name| silent(format!("{name}@{domain}"))).collect()
    }

    /// `X-Failed-Recipients` of Exim and Gmail.
    fn failed_recipients(&self) -> Vec<String> {
        let named = self.message.header.all("x-failed-recipients").flat_map(|value| addresses(&value));
        named.take(KNOWN_ADDRESSES).collect()
    }

    /// Whether a mail system sent it, or the manager of a mailing list, which refuses mails too.
    fn is_from_system(&self) -> bool {
        let from = self.message.header.text("from").unwrap_or_default().to_ascii_lowercase();
        let is_named = SYSTEM_NAMES.iter().any(|name| from.contains(name));
        let sender = address::first(&from);
        let local = sender.and_then(|sender| sender.split('@').next()).unwrap_or_default();
        let is_manager = ["-admin", "-owner", "-request", "-bounces"].iter().any(|end| local.ends_with(end));
        let is_empty = from.trim().is_empty() || from.trim() == "<>";
        is_named || is_manager || is_empty || sender.is_some_and(address::is_system)
    }

    /// Whether it looks like what a person wrote: an answer, or a mail that was forwarded.
    fn is_by_person(&self) -> bool {
        let header = &self.message.header;
        let subject = self.subject().to_lowercase();
        let is_forwarded = FORWARDED.iter().any(|prefix| subject.trim_start().starts_with(prefix));
        let mailer = header.get("x-mailer").unwrap_or_default().to_ascii_lowercase();
        is_forwarded
            || ["in-reply-to", "references", "user-agent", "thread-index"].iter().any(|name| header.has(name))
            || MAILERS.iter().any(|name| mailer.contains(name))
    }

    /// RFC 3834 §3.3, RFC 5321 §4.5.5: nobody waits for an answer.
    fn has_null_path(&self) -> bool {
        self.message.header.get("return-path").is_some_and(|path| path.trim() == "<>")
    }
}

/// Whether both name one recipient, by either address.
fn is_about_one(one: &Event, other: &Event) -> bool {
    let one = [one.address.as_deref(), one.final_address.as_deref()];
    let other = [other.address.as_deref(), other.final_address.as_deref()];
    let mut other = other.into_iter().flatten();
    other.any(|address| one.into_iter().flatten().any(|one| address::same(one, address)))
}

fn is_status(part: &Part<'_>) -> bool {
    part.is("message/delivery-status") || part.is("message/global-delivery-status")
}

/// Whether this part is the mail that came back, or its header.
fn is_returned(part: &Part<'_>) -> bool {
    is_message(part) || has_mail_header(&part.header)
}

fn is_message(part: &Part<'_>) -> bool {
    [
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "text/rfc822-header",
        "message/global-headers",
        "text/rfc822",
    ]
    .iter()
    .any(|name| part.is(name))
}

/// Parts have no such fields; whole mails do.
fn has_mail_header(header: &Header<'_>) -> bool {
    ["from", "to", "message-id", "received", "return-path"].iter().filter(|name| header.has(name)).count()
        >= 2
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    &bytes[start..]
}

fn is_field(line: &str, name: &str) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

fn addresses(value: &str) -> Vec<String> {
    address::find(value).map(|(_, address)| address.to_owned()).collect()
}

fn silent(address: String) -> Entry {
    Entry { address, original: None, reason: String::new(), is_listed: false }
}

fn message_id(header: &Header<'_>) -> Option<String> {
    let id = header.get("message-id")?;
    let id = id.trim().trim_matches(['<', '>']);
    (!id.is_empty() && id.len() < 500).then(|| id.to_owned())
}

fn kind_of_words(by_subject: Signs, by_text: Signs) -> Kind {
    if by_subject.delay || by_text.delay { Kind::Delay } else { Kind::Bounce }
}

/// RFC 3834 §5, and what came before it.
fn is_automatic(header: &Header<'_>) -> bool {
    let is = |name: &str, words: &[&str]| {
        header.get(name).is_some_and(|value| {
            let value = value.trim().to_ascii_lowercase();
            words.iter().any(|word| value.starts_with(word))
        })
    };
    is("auto-submitted", &["auto-replied", "auto-generated"])
        || ["x-autoreply", "x-autorespond", "x-autoreply-from", "x-auto-reply-from", "x-vacation"]
            .iter()
            .any(|name| header.has(name))
        || is("precedence", &["auto_reply", "auto-reply"])
        || is("x-precedence", &["auto_reply", "auto-reply"])
}

/// A mail by somebody who followed the `mailto:` of `List-Unsubscribe`.
fn is_unsubscribe(subject: &str, mail: &Mail<'_>) -> bool {
    let says = |text: &str| {
        let word = text.trim().trim_start_matches(['"', '<']).to_ascii_lowercase();
        ["unsubscribe", "abmelden", "austragen", "désabonner", "desuscribir"]
            .iter()
            .any(|name| word.starts_with(name))
    };
    let to_robot = mail.message.header.all("to").flat_map(|value| addresses(&value)).any(|address| {
        let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
        local.starts_with("unsubscribe") || local.ends_with("-unsubscribe") || local.ends_with("+unsubscribe")
    });
    says(subject) || to_robot && !subject.to_ascii_lowercase().starts_with("re:")
}

fn describe(event: &mut Event, judgement: Judgement, words: &str) {
    let is_delay = event.kind == Kind::Delay;
    event.class = Some(judgement.class);
    event.permanent = if is_delay { Some(false) } else { judgement.permanent };
    event.hard = judgement.hard && !is_delay;
    event.status = judgement.status;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let end =
        words.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= EVENT_TEXT).last();
    event.text = end.map(|end| words[..end].to_owned());
}

/// The lower, the graver.
fn rank(kind: Kind) -> usize {
    match kind {
        Kind::Bounce => 0,
        Kind::Complaint => 1,
        Kind::Unsubscribe => 2,
        Kind::NotSpam => 3,
        Kind::AuthFailure => 4,
        Kind::Delay => 5,
        Kind::Challenge => 6,
        Kind::AutoReply => 7,
        Kind::Delivered => 8,
        Kind::DmarcAggregate => 9,
        Kind::TlsReport => 10,
        Kind::Reputation => 11,
        Kind::Click => 12,
        Kind::Open => 13,
        Kind::Other => 14,
    }
}

fn gravest(events: &[Event]) -> Kind {
    events.iter().map(|event| event.kind).min_by_key(|kind| rank(*kind)).unwrap_or(Kind::Other)
}

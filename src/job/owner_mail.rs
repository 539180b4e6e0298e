//! Mail to the owner of a campaign (`[report]`): how a run ended and who was not reached, and what
//! came back in a day.
//!
//! Such a mail is a campaign of its own, with the sender, keys, way and capacity of the campaign
//! that it is about, and a list of its own: so it is signed and accounted, and it never goes to the
//! target group. Its edition is the run or the day: nobody gets it twice.

use super::error::{JobError, WorkspaceError};
use super::open::Job;
use super::workspace::Workspace;
use crate::campaign::Campaign;
use crate::feedback::{Kind, Logged};
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};
use crate::mail::{Disposition, Timestamp};
use crate::results::{Column, ResultFiles, Summary};
use crate::run_dir::{Manifest, RunDir};

/// The folder of these mails, in the state directory.
pub(super) const FOLDER: &str = "owner-mails";
/// More rows are not attached: a mail has its limits.
const ROWS: u64 = 10_000;
/// Records read at once.
const PAGE: usize = 5_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// A mail before it is a campaign.
struct Letter {
    /// The rest of its campaign's id.
    about: &'static str,
    edition: String,
    subject: String,
    body: String,
    /// The attachment's name and content.
    csv: (&'static str, Vec<u8>),
}

impl Job<'_> {
    /// The campaign that tells the owner how a finished run ended; none where nobody is to hear of
    /// it. Tests and rehearsals are not reported.
    pub(crate) fn run_report(&self, dir: &RunDir, manifest: &Manifest) -> Result<Option<Campaign>, JobError> {
        let is_test = self.is_rehearsal() || manifest.options.to.is_some();
        if self.campaign().report.to.is_empty() || is_test || manifest.finished.is_none() {
            return Ok(None);
        }
        let files = ResultFiles::open(&dir.results())?;
        let summary = Summary::of(&files)?;
        let (csv, rows) = not_reached(&files)?;
        let letter = Letter {
            about: "run",
            edition: dir.run_id().to_owned(),
            subject: subject(&dir.name(), &summary, rows),
            body: body(&dir.name(), manifest, &summary, rows),
            csv: ("not-reached.csv", csv),
        };
        self.workspace.owner_mail(self.campaign(), letter).map(Some)
    }
}

impl Workspace {
    /// The campaign that tells the owner of `base` what came back on the day (UTC) before `now`;
    /// none where nothing came, or nobody is to hear of it.
    pub(crate) fn day_report(&self, base: &Campaign, now: Timestamp) -> Result<Option<Campaign>, JobError> {
        if base.report.to.is_empty() {
            return Ok(None);
        }
        let today = now.0.div_euclid(DAY_MICROS) * DAY_MICROS;
        let day = Timestamp(today - DAY_MICROS)..Timestamp(today);
        let log = self.state()?.feedback()?;
        let (mut came, mut after) = (Vec::new(), 0);
        loop {
            let page = log.page(after, PAGE)?;
            let (last, is_full) = (page.last().map(|last| last.id), page.len() == PAGE);
            let is_meant = |one: &Logged| {
                day.contains(&one.read)
                    && one.undone.is_none()
                    && one.record.campaign.as_ref() == Some(&base.identity.id)
            };
            came.extend(page.into_iter().filter(is_meant));
            match last {
                Some(last) if is_full => after = last,
                Some(_) | None => break,
            }
        }
        if came.is_empty() {
            return Ok(None);
        }
        let name = day.start.to_utc().format("%Y-%m-%d").to_string();
        let events = counted(came.len() as u64, "event", "events");
        let letter = Letter {
            about: "day",
            subject: format!("{}: {events} came back on {name}", base.identity.id),
            body: day_body(&base.identity.id, &name, &came),
            edition: name,
            csv: ("came-back.csv", came_back(&came)),
        };
        self.owner_mail(base, letter).map(Some)
    }

    /// Writes a letter, and makes the campaign that sends it.
    fn owner_mail(&self, base: &Campaign, letter: Letter) -> Result<Campaign, JobError> {
        let place = self.state_dir()?.join(FOLDER).join(&base.identity.id);
        let folder = place.join(format!("{}-{}", letter.about, letter.edition));
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            let written =
                create_private_folders(&folder).and_then(|()| file::replace(&path, content, PRIVATE));
            written.map_err(|source| WorkspaceError::Io {
                action: "write the mail to the owner",
                path,
                source,
            })
        };
        // What others wrote is in cells: nothing in it is a template.
        write("letter.hbs", b"{{{body}}}")?;
        write(letter.csv.0, &letter.csv.1)?;
        let rows =
            base.report.to.iter().map(|to| [to.to_string(), letter.subject.clone(), letter.body.clone()]);
        write("list.csv", &table(&["email", "subject", "body"], rows))?;
        // Ids have at most 100 characters.
        let id: String = format!("report-{}-{}", letter.about, base.identity.id).chars().take(100).collect();
        let from = toml::Value::String(base.sender.from.to_string());
        let text = format!(
            "[campaign]\nid = \"{id}\"\nkind = \"update\"\nedition = \"{}\"\n[sender]\nfrom = {from}\n\
             [target-group]\nfiles = [\"list.csv\"]\n[template]\nsubject = \"{{{{{{subject}}}}}}\"\n\
             text = \"letter.hbs\"\nattachments = [\"{}\"]\n[delivery]\nroute = \"sandbox\"\n",
            letter.edition, letter.csv.0
        );
        let mut campaign = Campaign::parse(&text, &folder.join("campaign.toml"))?;
        campaign.sender.return_path.clone_from(&base.sender.return_path);
        campaign.dkim.clone_from(&base.dkim);
        campaign.leave_as(base);
        Ok(campaign)
    }
}

/// A table as CSV, without formulas.
fn table<const N: usize>(head: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let written = csv.write_record(head).and_then(|()| {
        rows.into_iter().try_for_each(|row| csv.write_record(row.iter().map(|cell| cell.as_bytes())))
    });
    written.expect("memory takes what is written to it");
    csv.into_inner().expect("memory takes what is written to it")
}

fn cell(text: &str) -> String {
    outside_text::csv_cell(&outside_text::line(text)).into_owned()
}

/// Whether the list asked for a mail that did not get there.
fn is_missing(disposition: Disposition) -> bool {
    !matches!(disposition, Disposition::Accepted | Disposition::Duplicate | Disposition::AlreadySent)
}

/// Those who were not reached, as CSV, and how many they are.
fn not_reached(files: &ResultFiles) -> Result<(Vec<u8>, u64), JobError> {
    const COLUMNS: [Column; 9] = [
        Column::Row,
        Column::SourceFile,
        Column::Email,
        Column::Disposition,
        Column::Class,
        Column::EnhancedStatus,
        Column::Reply,
        Column::Detail,
        Column::IsSeed,
    ];
    let (mut rows, mut count) = (Vec::new(), 0);
    for row in files.rows(&COLUMNS) {
        let row = row?;
        if row.is_seed || !is_missing(row.disposition) {
            continue;
        }
        count += 1;
        if count > ROWS {
            continue;
        }
        let why = row.reply.as_deref().or(row.detail.as_deref()).unwrap_or_default();
        rows.push([
            cell(row.email.as_deref().unwrap_or_default()),
            row.disposition.as_str().to_owned(),
            row.class.map_or(String::new(), |class| class.as_str().to_owned()),
            row.enhanced_status.map_or(String::new(), |status| status.to_string()),
            cell(why),
            cell(&row.source_file),
            row.row.to_string(),
        ]);
    }
    let head = ["email", "disposition", "class", "status", "reason", "file", "row"];
    Ok((table(&head, rows.into_iter()), count))
}

fn subject(name: &str, summary: &Summary, missing: u64) -> String {
    let accepted = grouped(summary.count(Disposition::Accepted));
    match missing {
        0 => format!("{name}: {accepted} accepted"),
        missing => format!("{name}: {accepted} accepted, {} not reached", grouped(missing)),
    }
}

fn body(name: &str, manifest: &Manifest, summary: &Summary, missing: u64) -> String {
    let moment = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let mut text = format!(
        "Run {name}\nstarted   {}\nfinished  {}\n\nOf {}:\n",
        moment(manifest.started),
        moment(manifest.finished),
        counted(summary.rows, "row", "rows")
    );
    for (disposition, rows) in summary.dispositions.iter().filter(|(_, rows)| *rows > 0) {
        text.push_str(&format!("  {:>11}  {}\n", grouped(*rows), disposition.as_str()));
    }
    if !summary.classes.is_empty() {
        text.push_str("\nWhy recipients were not accepted:\n");
        for (class, rows) in &summary.classes {
            text.push_str(&format!("  {:>11}  {}\n", grouped(*rows), class.as_str()));
        }
    }
    if !summary.causes.is_empty() {
        text.push_str("\nWhy rows were not sent:\n");
        for cause in &summary.causes {
            let why = cause.why.as_deref().map(outside_text::line).unwrap_or_default();
            text.push_str(&format!("  {:>11}  {}  {why}\n", grouped(cause.rows), cause.disposition.as_str()));
        }
    }
    match missing {
        0 => text.push_str("\nEverybody was reached.\n"),
        missing if missing > ROWS => text.push_str(&format!(
            "\nNot reached: {}. The first {} are attached; `mailrun results {name}` writes all.\n",
            grouped(missing),
            grouped(ROWS)
        )),
        missing => text.push_str(&format!("\nNot reached: {}; they are attached.\n", grouped(missing))),
    }
    text
}

fn day_body(campaign: &str, day: &str, came: &[Logged]) -> String {
    let mut text = format!("What came back on {day} (UTC) for {campaign}:\n");
    for kind in Kind::ALL {
        let of_kind = || came.iter().filter(|one| one.record.kind == kind);
        let events = of_kind().count() as u64;
        if events == 0 {
            continue;
        }
        text.push_str(&format!("  {:>11}  {}\n", grouped(events), kind.as_str()));
        let mut classes: Vec<_> =
            of_kind().filter_map(|one| one.record.class).map(|class| class.as_str()).collect();
        classes.sort_unstable();
        for class in classes.chunk_by(|one, next| one == next) {
            text.push_str(&format!("  {:>11}    {}\n", grouped(class.len() as u64), class[0]));
        }
    }
    text.push_str("\nThe events are attached.\n");
    text
}

/// What came back, as CSV.
fn came_back(came: &[Logged]) -> Vec<u8> {
    let rows = came.iter().take(usize::try_from(ROWS).unwrap_or(usize::MAX)).map(|one| {
        let record = &one.record;
        let address = record.address.as_ref().map(ToString::to_string).or_else(|| record.named.clone());
        [
            cell(&address.unwrap_or_default()),
            record.kind.as_str().to_owned(),
            record.class.map_or(String::new(), |class| class.as_str().to_owned()),
            cell(record.status.as_deref().unwrap_or_default()),
            cell(record.text.as_deref().unwrap_or_default()),
            one.effect.as_str().to_owned(),
            record.run.clone().unwrap_or_default(),
        ]
    });
    table(&["email", "kind", "class", "status", "reason", "effect", "run"], rows)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::tests::Silent;
    use super::super::workspace::Places;
    use super::*;
    use crate::feedback::{Import, Policy, Record};
    use crate::mail::Class;
    use crate::pacing::Clock;

    fn workspace(state: &Path) -> Workspace {
        let places = Places { state: Some(state.to_owned()), runs: None };
        Workspace::new(places, Clock::system(), Arc::new(Silent))
    }

    fn came(campaign: &str, named: &str, text: &str) -> Record {
        Record {
            class: Some(Class::MailboxFull),
            status: Some("5.2.2".into()),
            named: Some(named.to_owned()),
            text: Some(text.to_owned()),
            campaign: Some(campaign.to_owned()),
            run: Some("r1".into()),
            ..Record::of_mail(named, Kind::Bounce, Timestamp(0))
        }
    }

    #[test]
    fn the_owner_hears_of_yesterday() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace(folder.path());
        let text = "[campaign]\nid = \"news\"\n[sender]\nfrom = \"News <a@example.com>\"\n[target-group]\n\
                    files = [\"a.csv\"]\n[template]\nsubject = \"x\"\ntext = \"a.hbs\"\n[delivery]\n\
                    route = \"relay\"\n[delivery.relay]\nhost = \"relay.example\"\n[report]\nto = \"ops@example.com\"\n";
        let base = Campaign::parse(text, Path::new("campaign.toml")).unwrap();
        let log = workspace.state().unwrap().feedback().unwrap();
        let (yesterday, today) = (Timestamp(10 * DAY_MICROS + 5), Timestamp(11 * DAY_MICROS + 5));
        for (at, record) in [
            (yesterday, came("news", "bob@x.example", "{{{email}}} =full")),
            (yesterday, came("news", "=cmd()", "full\u{1b}")),
            (yesterday, came("other", "eve@x.example", "full")),
            (today, came("news", "dan@x.example", "full")),
        ] {
            let mut import = Import { id: None, source: "test".into() };
            log.append(&mut import, &[record], &Policy::default(), at).unwrap();
        }
        let report = |now| workspace.day_report(&base, now).unwrap();
        assert!(report(yesterday).is_none(), "nothing came on the day before");
        let campaign = report(today).unwrap();
        assert_eq!(campaign.identity.edition.as_deref(), Some("1970-01-11"));
        assert_eq!(campaign.identity.id, "report-day-news");
        assert_eq!(campaign.main_relays()[0].host, "relay.example");
        let read = |name: &str| std::fs::read_to_string(campaign.folder().join(name)).unwrap();
        assert_eq!(
            read("came-back.csv"),
            "email,kind,class,status,reason,effect,run\n\
             bob@x.example,bounce,mailbox_full,5.2.2,{{{email}}} =full,none,r1\n\
             '=cmd(),bounce,mailbox_full,5.2.2,full\\u{1b},none,r1\n"
        );
        assert!(read("list.csv").contains("news: 2 events came back on 1970-01-11"), "{}", read("list.csv"));
        // The same later that day, and nothing new.
        let later = report(today + Duration::from_secs(3_600)).unwrap();
        assert_eq!((later.identity.edition, later.path), (campaign.identity.edition, campaign.path));
    }
}

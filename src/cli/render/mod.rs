//! `mailrun render`: the exact message of one row or of several, and what its recipient sees.

mod index;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use self::index::Index;
use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::{out, out_bytes};
use super::{json, log};
use crate::compose::InlineImages;
use crate::job::{Job, Preview, Renderer, RowChoice};
use crate::kit::file::{Draft, PRIVATE, create_private_folders};
use crate::kit::text::counted;
use crate::mail::Address;

/// `mailrun render`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("folder").args(["out", "index"]))]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// The Nth row that passes screening, counted from 1 (default: 1)
    #[arg(long, value_name = "N", conflicts_with_all = ["email", "sample", "all"])]
    row: Option<u32>,
    /// The row with this address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["sample", "all"])]
    email: Option<Address>,
    /// N rows, spread over the list; needs --out or --index
    #[arg(long, value_name = "N", requires = "folder", conflicts_with = "all",
        value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Every row; needs --out or --index
    #[arg(long, requires = "folder")]
    all: bool,
    /// Write `<row>.eml` files to this folder instead of printing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write a page to this folder that lists the rows with subject, preheader and size, and each
    /// row's HTML (its text, if it has no HTML)
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Write the HTML part to this file, its inline images in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folder", "sample", "all"])]
    html: Option<PathBuf>,
    /// Print the text part, decoded
    #[arg(long, conflicts_with_all = ["folder", "html", "open", "sample", "all"])]
    text: bool,
    /// Show the HTML part in the browser
    #[arg(long, conflicts_with_all = ["folder", "sample", "all"])]
    open: bool,
    /// With --out or --index: print what was written as JSON
    #[arg(long, requires = "folder")]
    json: bool,
}

impl Args {
    fn choice(&self) -> RowChoice {
        match (&self.email, self.sample) {
            (Some(address), _) => RowChoice::Address(address.clone()),
            (None, Some(rows)) => RowChoice::Sample(rows),
            (None, None) if self.all => RowChoice::All,
            (None, None) => RowChoice::Number(self.row.unwrap_or(1)),
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let job = Job::open(&workspace, workspace.load(&args.campaign)?)?;
    let choice = args.choice();
    let renderer = job.renderer(&choice, (false, None))?;
    let rows = renderer.rows(&choice)?;
    let written = if let Some(folder) = &args.out {
        let mut kept = Kept::new(folder, &choice);
        for index in rows {
            let message = renderer.message(index).map_err(Diagnostic::from);
            kept.row(message, |message| write(&folder.join(file(index, "eml")), &message))?;
        }
        kept
    } else if let Some(folder) = &args.index {
        list(&job, &renderer, rows, Kept::new(folder, &choice))?
    } else {
        let images = InlineImages::read(job.campaign())?;
        for index in rows {
            one(args, index, &renderer, &images)?;
        }
        return Ok(Exit::Ok);
    };
    written.report(args.json)
}

/// Shows one row as the arguments say.
fn one(args: &Args, index: u32, renderer: &Renderer<'_>, images: &InlineImages) -> Result<(), Diagnostic> {
    if args.text {
        return out(&renderer.preview(index, images)?.text);
    }
    if !args.open && args.html.is_none() {
        return out_bytes(&renderer.message(index)?);
    }
    let preview = renderer.preview(index, images)?;
    let page = preview.html.ok_or_else(|| {
        Diagnostic::new("the campaign has no HTML part").hint("`--text` prints its text part")
    })?;
    let path = match &args.html {
        Some(path) => path.clone(),
        None => std::env::temp_dir().join(format!("mailrun-{}.html", std::process::id())),
    };
    write(&path, page.as_bytes())?;
    if args.open { open(&path) } else { Ok(()) }
}

/// Writes each row's page, and the page that lists them.
fn list<'a>(
    job: &Job<'_>,
    renderer: &Renderer<'_>,
    rows: impl Iterator<Item = u32>,
    mut kept: Kept<'a>,
) -> Result<Kept<'a>, Diagnostic> {
    let images = InlineImages::read(job.campaign())?;
    let path = kept.folder.join("index.html");
    let problem = |error: io::Error| Diagnostic::of("can't write the page", &error).at(path.display());
    let draft = create_private_folders(kept.folder).and_then(|()| Draft::create(&path)).map_err(problem)?;
    let mut page =
        Index::start(BufWriter::new(draft), job.campaign().identity.id.as_str()).map_err(problem)?;
    for index in rows {
        let preview = renderer.preview(index, &images).map_err(Diagnostic::from);
        if let Err(error) = &preview {
            page.failed(index, &error.to_string()).map_err(problem)?;
        }
        kept.row(preview, |preview: Preview| {
            let (name, content) = match &preview.html {
                Some(html) => (file(index, "html"), html),
                None => (file(index, "txt"), &preview.text),
            };
            write(&kept.folder.join(&name), content.as_bytes())?;
            page.row(index, &preview, &name).map_err(problem)
        })?;
    }
    let out = page.end(kept.written, kept.failures.len() as u64).map_err(problem)?;
    out.into_inner().map_err(io::IntoInnerError::into_error).and_then(Draft::publish).map_err(problem)?;
    Ok(kept)
}

/// What was written to a folder, and what could not be rendered.
struct Kept<'a> {
    folder: &'a Path,
    several: bool,
    written: u64,
    failures: Vec<Diagnostic>,
}

impl<'a> Kept<'a> {
    fn new(folder: &'a Path, choice: &RowChoice) -> Self {
        let several = matches!(choice, RowChoice::All | RowChoice::Sample(_));
        Self { folder, several, written: 0, failures: Vec::new() }
    }
}

impl Kept<'_> {
    /// One of several rows may fail; the row that was asked for may not.
    fn row<T>(
        &mut self,
        rendered: Result<T, Diagnostic>,
        write: impl FnOnce(T) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        match rendered {
            Ok(rendered) => {
                write(rendered)?;
                self.written += 1;
            }
            Err(error) if self.several => {
                log::error(&error.to_string());
                self.failures.push(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn report(&self, as_json: bool) -> Result<Exit, Diagnostic> {
        let Self { folder, several, written, failures } = self;
        let exit = if failures.is_empty() { Exit::Ok } else { Exit::SomeNotAccepted };
        if as_json {
            let failures: Vec<_> = failures.iter().map(Diagnostic::json).collect();
            return json::print(exit, json!({"folder": folder, "written": written, "failures": failures}));
        }
        if *several {
            log::print(&format!(
                "{} in {}, {} can't be rendered",
                counted(*written, "message", "messages"),
                folder.display(),
                counted(failures.len() as u64, "row", "rows")
            ));
        }
        Ok(exit)
    }
}

/// A row's file, named by its number.
fn file(index: u32, extension: &str) -> String {
    format!("{:08}.{extension}", index + 1)
}

fn write(path: &Path, content: &[u8]) -> Result<(), Diagnostic> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(PRIVATE);
    let folder = path.parent().unwrap_or(Path::new(""));
    create_private_folders(folder)
        .and_then(|()| options.open(path)?.write_all(content))
        .map_err(|error| Diagnostic::of("can't write the message", &error).at(path.display()))
}

/// Hands a page to the desktop's browser.
fn open(page: &Path) -> Result<(), Diagnostic> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let problem =
        |problem: String| Diagnostic::new(problem).hint(format!("open `{}` in a browser", page.display()));
    match Command::new(program).arg(page).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(problem(format!("`{program}` failed ({status})"))),
        Err(error) => Err(problem(format!("can't run `{program}`: {error}"))),
    }
}

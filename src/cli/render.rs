//! `mailrun render`: the exact message of one row, or of all rows.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out_bytes;
use super::{json, log};
use crate::job::{Job, RowChoice};
use crate::kit::file::{PRIVATE, create_private_folders};
use crate::kit::text::counted;
use crate::mail::Address;

/// `mailrun render`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// The Nth row that passes screening, counted from 1 (default: 1)
    #[arg(long, value_name = "N", conflicts_with_all = ["email", "all"])]
    row: Option<u32>,
    /// The row with this address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "all")]
    email: Option<Address>,
    /// Every row; needs --out
    #[arg(long, requires = "out")]
    all: bool,
    /// Write `<row>.eml` files to this folder instead of printing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// With --out: print what was written as JSON
    #[arg(long, requires = "out")]
    json: bool,
}

impl Args {
    fn choice(&self) -> RowChoice {
        match &self.email {
            Some(address) => RowChoice::Address(address.clone()),
            None if self.all => RowChoice::All,
            None => RowChoice::Number(self.row.unwrap_or(1)),
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let job = Job::open(&workspace, workspace.load(&args.campaign)?)?;
    let choice = args.choice();
    let renderer = job.renderer(&choice)?;
    let (mut written, mut failures) = (0, Vec::new());
    for index in renderer.rows(&choice)? {
        match (renderer.message(index), &args.out) {
            (Ok(message), Some(folder)) => {
                write(folder, index, &message)?;
                written += 1;
            }
            (Ok(message), None) => out_bytes(&message)?,
            (Err(error), _) if args.all => {
                let diagnostic = Diagnostic::from(error);
                log::error(&diagnostic.to_string());
                failures.push(diagnostic);
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    let exit = if failures.is_empty() { Exit::Ok } else { Exit::SomeNotAccepted };
    if args.json {
        let failures: Vec<_> = failures.iter().map(Diagnostic::json).collect();
        return json::print(exit, json!({"folder": args.out, "written": written, "failures": failures}));
    }
    if let (true, Some(folder)) = (args.all, &args.out) {
        log::print(&format!(
            "{} in {}, {} can't be rendered",
            counted(written, "message", "messages"),
            folder.display(),
            counted(failures.len() as u64, "row", "rows")
        ));
    }
    Ok(exit)
}

fn write(folder: &Path, index: u32, message: &[u8]) -> Result<(), Diagnostic> {
    let path = folder.join(format!("{:08}.eml", index + 1));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(PRIVATE);
    create_private_folders(folder)
        .and_then(|()| options.open(&path)?.write_all(message))
        .map_err(|error| Diagnostic::of("can't write the message", &error).at(path.display()))
}

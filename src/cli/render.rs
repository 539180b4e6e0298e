//! `mailrun render`: the exact message of one row, or of all rows.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use super::output::out_bytes;
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
    let (mut written, mut failed) = (0, 0);
    for index in renderer.rows(&choice)? {
        match (renderer.message(index), &args.out) {
            (Ok(message), Some(folder)) => {
                write(folder, index, &message)?;
                written += 1;
            }
            (Ok(message), None) => out_bytes(&message)?,
            (Err(error), _) if args.all => {
                failed += 1;
                log::error(&Diagnostic::from(error).to_string());
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    if let (true, Some(folder)) = (args.all, &args.out) {
        log::print(&format!(
            "{} in {}, {} can't be rendered",
            counted(written, "message", "messages"),
            folder.display(),
            counted(failed, "row", "rows")
        ));
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}

fn write(folder: &Path, index: u32, message: &[u8]) -> Result<(), Diagnostic> {
    let path = folder.join(format!("{:08}.eml", index + 1));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(PRIVATE);
    create_private_folders(folder)
        .and_then(|()| options.open(&path)?.write_all(message))
        .map_err(|error| Diagnostic::of("can't write the message", &error).at(path.display()))
}

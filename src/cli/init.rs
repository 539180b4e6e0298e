//! `mailrun init`: a ready-to-run campaign folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;

/// What the folder holds: path and content.
const FILES: [(&str, &str); 5] = [
    ("campaign.toml", include_str!("init/campaign.toml")),
    ("recipients.csv", include_str!("init/recipients.csv")),
    ("templates/letter.txt.hbs", include_str!("init/templates/letter.txt.hbs")),
    ("templates/letter.html.hbs", include_str!("init/templates/letter.html.hbs")),
    ("templates/footer.txt.hbs", include_str!("init/templates/footer.txt.hbs")),
];

/// `mailrun init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder to create; it must be empty if it exists
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Diagnostic> {
    let dir = &args.dir;
    let occupied = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(Diagnostic::new("the folder is not empty; nothing was written")
            .at(dir.display())
            .hint("choose a new one"));
    }
    for (name, content) in FILES {
        write(&dir.join(name), content)?;
    }
    let file = dir.join("campaign.toml");
    log::print(&format!(
        "{} is ready; nothing leaves this machine until you change its route:\n\n  \
         mailrun plan {file}\n  mailrun render {file} --row 1\n  mailrun send {file}",
        dir.display(),
        file = file.display(),
    ));
    Ok(Exit::Ok)
}

fn write(path: &Path, content: &str) -> Result<(), Diagnostic> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| Diagnostic::of("can't write the campaign folder", &error).at(path.display()))
}

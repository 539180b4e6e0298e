//! `mailrun init`: a ready-to-run campaign folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use crate::kit::text::command;

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
        let content = content.replace(
            SAMPLE_ID,
            &format!("{:<width$}", format!("\"{}\"", id_of(dir)), width = SAMPLE_ID.len()),
        );
        write(&dir.join(name), &content)?;
    }
    let file = dir.join("campaign.toml").to_string_lossy().into_owned();
    log::print(&format!(
        "{} is ready; nothing leaves this machine until you change its route:\n\n  \
         {}\n  {}\n  {}",
        dir.display(),
        command(["plan", &file]),
        command(["render", &file, "--row", "1"]),
        command(["send", &file]),
    ));
    Ok(Exit::Ok)
}

/// The campaign's id in the template of the campaign file.
const SAMPLE_ID: &str = "\"my-campaign\"";
/// The most letters of an id.
const LONGEST_ID: usize = 100;

/// The campaign's id: the name of its folder, in the letters that an id may have.
fn id_of(dir: &Path) -> String {
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let id: String = name.chars().map(|c| if fits(c) { c } else { '-' }).take(LONGEST_ID).collect();
    let id = id.trim_matches(['-', '.']);
    if id.is_empty() { "my-campaign".to_owned() } else { id.to_owned() }
}

fn write(path: &Path, content: &str) -> Result<(), Diagnostic> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| Diagnostic::of("can't write the campaign folder", &error).at(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_named_after_its_folder() {
        let check = |dir: &str, id: &str| assert_eq!(id_of(Path::new(dir)), id, "{dir}");
        check("/a/spring-news", "spring-news");
        check("/a/spring-news/", "spring-news");
        check("/a/Spring news 2026.1", "Spring-news-2026.1");
        check("/a/.hidden", "hidden");
        check("/a/さくら", "my-campaign");
        check("/", "my-campaign");
        assert_eq!(id_of(Path::new(&"x".repeat(200))).len(), LONGEST_ID);
    }
}

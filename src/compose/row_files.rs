//! The files that rows name: from the attachment folder, and from nowhere else.
//!
//! Lists come from outside, so what they name is not trusted. Every component of a path is opened
//! in the folder before it, without following links; the file must be a regular one with a single
//! name. What the campaign itself uses (keys, secrets, lists, templates) is refused even there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;

use crate::campaign::{Campaign, Choice};
use crate::target_group;
use crate::template::TemplateError;

/// The key that names the folder.
pub(super) const KEY: &str = "attachment-folder";

/// The files that rows may name.
pub(crate) struct RowFiles {
    folder: OwnedFd,
    /// The folder, links followed.
    path: PathBuf,
    /// The folder as seen from the campaign file, where it is inside that one's folder: lists of
    /// version 0.1.0 have it before their files.
    from_campaign: Option<PathBuf>,
    refused: Vec<Refused>,
    largest: u64,
}

/// A file that the campaign uses.
struct Refused {
    what: &'static str,
    /// Its path, links followed.
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Refused {
    /// None for a file that does not exist.
    fn of(what: &'static str, path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        let metadata = path.metadata().ok()?;
        Some(Self { what, path, device: metadata.dev(), inode: metadata.ino() })
    }
}

impl RowFiles {
    /// The attachment folder of a campaign, where it names one; `templates` are the files of its
    /// templates and partials.
    pub(super) fn of<'a>(
        campaign: &'a Campaign,
        templates: impl Iterator<Item = &'a Path>,
    ) -> Result<Option<Self>, TemplateError> {
        let template = &campaign.template;
        let Some(path) = &template.attachment_folder else { return Ok(None) };
        let cant_open = |source| TemplateError::read(path, "attachment folder", source);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(|error| cant_open(error.into()))?;
        let mut refused: Vec<_> = campaign.confidential();
        let lists = target_group::paths(&campaign.target_group);
        refused.extend(lists.iter().map(|list| ("a list", list.as_path())));
        let named = [&template.text, &template.html]
            .into_iter()
            .flatten()
            .flat_map(Choice::all)
            .map(PathBuf::as_path);
        refused.extend(named.chain(templates).map(|template| ("a template", template)));
        Ok(Some(Self {
            folder,
            path: path.canonicalize().map_err(cant_open)?,
            from_campaign: below(path, campaign.folder()),
            refused: refused.into_iter().filter_map(|(what, path)| Refused::of(what, path)).collect(),
            largest: template.largest.0,
        }))
    }

    /// Whether the folder holds the file or folder at `path`, or is it. What does not exist yet
    /// counts too.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // A link in the folder leads out of it, and yet the folder holds it.
        let named = match (absolute.parent(), absolute.file_name()) {
            (Some(parent), Some(name)) => resolved(parent).join(name),
            _ => absolute.clone(),
        };
        resolved(&absolute).starts_with(&self.path) || named.starts_with(&self.path)
    }

    /// Whether the folder is inside the one at `path`.
    pub(crate) fn is_inside(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| self.path.starts_with(path))
    }

    /// Reads the file that a row names. The error follows "attachment `x` …".
    pub(crate) fn read(&self, named: &str) -> Result<Vec<u8>, String> {
        let relative = Path::new(named);
        let legacy = self.from_campaign.as_ref().and_then(|folder| relative.strip_prefix(folder).ok());
        let (file, relative) = match (self.open(relative), legacy) {
            (Err(Refusal::NotFound), Some(legacy)) => (self.open(legacy), legacy),
            (Ok(_), Some(legacy)) if self.open(legacy).is_ok() => {
                return Err(format!("is ambiguous: `{KEY}` holds `{}` too", legacy.display()));
            }
            (file, _) => (file, relative),
        };
        self.content(file.map_err(String::from)?, relative)
    }

    /// Opens a file below the folder.
    fn open(&self, relative: &Path) -> Result<File, Refusal> {
        let mut components = Vec::new();
        for component in relative.components() {
            match component {
                Component::Normal(name) => components.push(name),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(Refusal::Outside);
                }
            }
        }
        let (file, folders) = components.split_last().ok_or(Refusal::NotAFile)?;
        let mut folder: Option<OwnedFd> = None;
        for name in folders {
            folder = Some(self.step(folder.as_ref(), name, OFlags::DIRECTORY)?);
        }
        // A named pipe would wait for its writer, and a terminal could become ours.
        let file = self.step(folder.as_ref(), file, OFlags::NONBLOCK | OFlags::NOCTTY)?;
        Ok(file.into())
    }

    fn step(&self, folder: Option<&OwnedFd>, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let is_folder = flags.contains(OFlags::DIRECTORY);
        openat(folder.unwrap_or(&self.folder), name, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => Refusal::NotFound,
            Errno::INVAL => Refusal::NotAPath,
            Errno::NXIO => Refusal::NotAFile,
            Errno::LOOP => Refusal::Link,
            Errno::NOTDIR if is_folder => Refusal::NotAFolder(name.to_string_lossy().into_owned()),
            other => Refusal::Unreadable(other.into()),
        })
    }

    fn content(&self, mut file: File, relative: &Path) -> Result<Vec<u8>, String> {
        let unreadable = |error: io::Error| String::from(Refusal::Unreadable(error));
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Refusal::NotAFile.into());
        }
        if metadata.nlink() != 1 {
            return Err(
                "has another name elsewhere (a hard link), so it may be any file of this machine".into()
            );
        }
        let path = self.path.join(relative.components().collect::<PathBuf>());
        let used = self.refused.iter().find(|refused| {
            (refused.device, refused.inode) == (metadata.dev(), metadata.ino()) || refused.path == path
        });
        if let Some(Refused { what, .. }) = used {
            return Err(format!("is {what} of the campaign, which is never attached"));
        }
        let too_large =
            |bytes: u64| format!("has {bytes} bytes, but a message may have at most {}", self.largest);
        if metadata.len() > self.largest {
            return Err(too_large(metadata.len()));
        }
        let mut content = Vec::new();
        file.by_ref().take(self.largest + 1).read_to_end(&mut content).map_err(unreadable)?;
        // It has grown.
        if content.len() as u64 > self.largest { Err(too_large(content.len() as u64)) } else { Ok(content) }
    }
}

/// Why a file that a row names can't be opened.
enum Refusal {
    Outside,
    NotFound,
    NotAFile,
    NotAPath,
    Link,
    NotAFolder(String),
    Unreadable(io::Error),
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Outside => format!("is outside the folder that `{KEY}` names"),
            Refusal::NotFound => format!("not found in the folder that `{KEY}` names"),
            Refusal::NotAFile => "is not a regular file".into(),
            Refusal::NotAPath => "is not a path".into(),
            Refusal::Link => "is a link, which is never followed".into(),
            Refusal::NotAFolder(name) => format!("can't be read: `{name}` is a link or a file, not a folder"),
            Refusal::Unreadable(error) => format!("can't be read: {error}"),
        }
    }
}

/// A path as seen from `folder`, where it is inside.
fn below(path: &Path, folder: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix(folder).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// An absolute path with links followed, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => resolved(parent).join(name),
        (Err(_), ..) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const CAMPAIGN: &str = r#"
[campaign]
id = "x"
[sender]
from = "News <news@example.com>"
[target-group]
files = ["files/list.csv"]
[template]
subject = "Hello"
text = "files/letter.hbs"
attachment-columns = ["own"]
attachment-folder = "files"
largest = "100 B"
[[dkim]]
domain = "example.com"
selector = "s"
key = "files/key.pem"
[unsubscribe]
https = "https://example.com/{{token}}"
secret-file = "token.key"
[delivery]
route = "relay"
[delivery.relay]
host = "relay.example"
username = "u"
password-file = "password"
"#;

    /// A campaign whose attachment folder holds what it must not.
    fn campaign() -> (tempfile::TempDir, Campaign) {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("campaign");
        fs::create_dir_all(folder.join("files/pdf")).unwrap();
        for (name, content) in [
            ("campaign/campaign.toml", CAMPAIGN),
            ("campaign/files/list.csv", "email\n"),
            ("campaign/files/letter.hbs", "Hello"),
            ("campaign/files/partial.hbs", "Bye"),
            ("campaign/files/key.pem", "k"),
            ("campaign/token.key", "t"),
            ("campaign/password", "p"),
            ("campaign/files/pdf/a.pdf", "a"),
            ("secret", "s"),
        ] {
            fs::write(outer.path().join(name), content).unwrap();
        }
        let campaign = Campaign::parse(CAMPAIGN, &folder.join("campaign.toml")).unwrap();
        (outer, campaign)
    }

    fn files(campaign: &Campaign) -> RowFiles {
        let partial = campaign.folder().join("files/partial.hbs");
        RowFiles::of(campaign, [partial.as_path()].into_iter()).unwrap().unwrap()
    }

    #[test]
    fn files_come_from_the_folder_and_from_nowhere_else() {
        let (outer, campaign) = campaign();
        let files = files(&campaign);
        for named in ["pdf/a.pdf", "./pdf/a.pdf", "pdf//a.pdf", "files/pdf/a.pdf"] {
            assert_eq!(files.read(named), Ok(b"a".to_vec()), "{named}");
        }
        let absolute = outer.path().join("secret").display().to_string();
        for named in
            ["../secret", "pdf/../../secret", absolute.as_str(), "pdf/../pdf/a.pdf", "files/../secret"]
        {
            assert_eq!(files.read(named), Err("is outside the folder that `attachment-folder` names".into()));
        }
        let not_found = "not found in the folder that `attachment-folder` names";
        for named in ["pdf/b.pdf", "password", "files/b.pdf", "campaign.toml"] {
            assert_eq!(files.read(named), Err(not_found.into()), "{named}");
        }
        for named in ["pdf", ".", "files"] {
            assert_eq!(files.read(named), Err("is not a regular file".into()), "{named}");
        }
        assert_eq!(files.read("a\0b"), Err("is not a path".into()));
        fs::write(campaign.folder().join("files/pdf/a.pdf"), [b'x'; 101]).unwrap();
        assert_eq!(files.read("pdf/a.pdf"), Err("has 101 bytes, but a message may have at most 100".into()));
    }

    #[test]
    fn links_of_either_kind_and_pipes_are_refused() {
        let (outer, campaign) = campaign();
        let files = files(&campaign);
        let folder = campaign.folder().join("files");
        symlink(outer.path().join("secret"), folder.join("link")).unwrap();
        symlink("pdf/a.pdf", folder.join("inner")).unwrap();
        symlink(outer.path(), folder.join("out")).unwrap();
        fs::hard_link(outer.path().join("secret"), folder.join("hard")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        for named in ["link", "inner"] {
            assert_eq!(files.read(named), Err("is a link, which is never followed".into()), "{named}");
        }
        assert!(files.read("out/secret").unwrap_err().contains("`out` is a link or a file, not a folder"));
        assert!(files.read("hard").unwrap_err().contains("a hard link"));
        assert_eq!(files.read("pipe"), Err("is not a regular file".into()));
    }

    #[test]
    fn what_the_campaign_uses_is_refused_even_there() {
        let (_outer, campaign) = campaign();
        let files = files(&campaign);
        for (named, what) in [
            ("key.pem", "a DKIM key"),
            ("list.csv", "a list"),
            ("letter.hbs", "a template"),
            ("partial.hbs", "a template"),
        ] {
            let refused = files.read(named).unwrap_err();
            assert_eq!(refused, format!("is {what} of the campaign, which is never attached"));
        }
        // A key that was replaced since is still the key.
        let key = campaign.folder().join("files/key.pem");
        fs::write(key.with_extension("new"), "k").unwrap();
        fs::rename(key.with_extension("new"), &key).unwrap();
        assert!(files.read("key.pem").is_err());
    }

    #[test]
    fn two_files_that_a_path_may_mean_are_ambiguous() {
        let (_outer, campaign) = campaign();
        let deep = campaign.folder().join("files/files/pdf");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("a.pdf"), "b").unwrap();
        let refused = files(&campaign).read("files/pdf/a.pdf").unwrap_err();
        assert_eq!(refused, "is ambiguous: `attachment-folder` holds `pdf/a.pdf` too");
    }

    #[test]
    fn a_folder_knows_what_it_holds() {
        let (outer, campaign) = campaign();
        let files = files(&campaign);
        let folder = campaign.folder();
        symlink(outer.path().join("secret"), folder.join("files/key-link.pem")).unwrap();
        for inside in ["files/key.pem", "files/not/yet", "files", "files/../files/x", "files/key-link.pem"] {
            assert!(files.holds(&folder.join(inside)), "{inside}");
        }
        for outside in ["runs", "files2", "token.key", "."] {
            assert!(!files.holds(&folder.join(outside)), "{outside}");
        }
        assert!(files.is_inside(folder) && !files.is_inside(&folder.join("files/pdf")));
    }
}

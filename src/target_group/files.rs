//! Resolves the campaign's paths and globs to files: in order, each once, with a check that they
//! are not replaced.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::TargetGroupError;
use super::object::FetchedObject;
use super::partition::Partition;
use super::reading::Reading;
use super::source::Source;
use crate::campaign::{self, FilesFrom, STDIN, is_object_url};

/// One file of a target group.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in results and messages: relative to the campaign file's folder if it is inside.
    pub shown: String,
    /// The columns that its folders give.
    pub partition: Partition,
    /// How it is read, and why.
    pub reading: Reading,
    /// Its size on disk.
    pub bytes: u64,
    /// The object that it was fetched from.
    pub object: Option<Arc<FetchedObject>>,
    stamp: Stamp,
}

/// Distinguishes a file from another one put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file that was found and opened.
#[derive(Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub shown: String,
    pub stamp: Stamp,
    pub file: File,
    pub object: Option<Arc<FetchedObject>>,
}

impl Found {
    pub(super) fn bytes(&self) -> u64 {
        self.stamp.bytes
    }

    pub(super) fn into_source(self, partition: Partition, reading: Reading) -> SourceFile {
        let Self { path, shown, stamp, file: _, object } = self;
        SourceFile { path, shown, partition, reading, bytes: stamp.bytes, object, stamp }
    }
}

impl SourceFile {
    /// The BLAKE3 hash of the whole file, read in constant memory.
    pub fn content_hash(&self) -> Result<blake3::Hash, TargetGroupError> {
        let file = self.open()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file).map_err(|error| unreadable(&self.shown, error))?;
        self.check_unchanged()?;
        Ok(hasher.finalize())
    }

    /// Opens the file again, if it is still the same.
    pub(super) fn open(&self) -> Result<File, TargetGroupError> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.shown, error))?;
        let metadata = file.metadata().map_err(|error| unreadable(&self.shown, error))?;
        self.compare(&metadata)?;
        Ok(file)
    }

    /// Opens the file again, if it is still the same, to read what is in it.
    pub(super) fn source(&self) -> Result<Source, TargetGroupError> {
        Source::new(self.open()?, self.reading.packing).map_err(|error| unreadable(&self.shown, error))
    }

    /// Fails if the file at this path is no longer the one that was found.
    pub(super) fn check_unchanged(&self) -> Result<(), TargetGroupError> {
        let metadata = fs::metadata(&self.path).map_err(|error| unreadable(&self.shown, error))?;
        self.compare(&metadata)
    }

    fn compare(&self, metadata: &Metadata) -> Result<(), TargetGroupError> {
        if Stamp::of(metadata) == self.stamp {
            return Ok(());
        }
        Err(TargetGroupError::new(format!("`{}` changed while it was read", self.shown))
            .in_file(&self.shown)
            .hint("write a list under another name and rename it when it is complete"))
    }
}

/// The files of the target group in the order of the campaign file, each once; those of a glob
/// sorted by name.
pub(super) fn find(
    spec: &campaign::TargetGroupSource,
    objects: &[Arc<FetchedObject>],
) -> Result<Vec<Found>, TargetGroupError> {
    let mut found: Vec<Found> = Vec::new();
    for pattern in &spec.files {
        if is_object_url(pattern) {
            if objects.is_empty() {
                let hint =
                    "an object store is read for the target group of a campaign: copy the list here first";
                return Err(TargetGroupError::of_object(pattern, "can't read an object here", hint));
            }
            for object in objects.iter().filter(|object| object.named == *pattern) {
                found.push(look_at_object(object)?);
            }
            continue;
        }
        for path in expand(pattern, spec)? {
            let file = look_at(&path, spec)?;
            let same = |other: &Found| {
                (other.stamp.device, other.stamp.inode) == (file.stamp.device, file.stamp.inode)
            };
            if !found.iter().any(same) {
                found.push(file);
            }
        }
    }
    Ok(found)
}

/// Where the files of the target group are; what a pattern can't find is left out.
pub(crate) fn paths(spec: &campaign::TargetGroupSource) -> Vec<PathBuf> {
    let files = spec.files.iter().filter(|file| !is_object_url(file));
    files.filter_map(|pattern| expand(pattern, spec).ok()).flatten().collect()
}

/// The paths that match `pattern`; `pattern` itself if a file has exactly this name.
fn expand(pattern: &str, spec: &campaign::TargetGroupSource) -> Result<Vec<PathBuf>, TargetGroupError> {
    if pattern == STDIN && spec.files_from == FilesFrom::CommandLine {
        let none = || TargetGroupError::new("the list came from stdin, which is not kept");
        return spec.stdin.clone().map(|file| vec![file]).ok_or_else(none);
    }
    if !pattern.contains(['*', '?', '[']) || Path::new(pattern).exists() {
        return Ok(vec![pattern.into()]);
    }
    let shown = shown(Path::new(pattern), &spec.folder);
    let not_a_pattern = |error: glob::PatternError| {
        TargetGroupError::new(format!("`{shown}` is not a pattern: {}", error.msg))
            .hint("`*` stands for any text, `?` for a character, `**` for any folders")
    };
    let (base, parts) = parts(pattern);
    let parts = parts.into_iter().map(Part::of).collect::<Result<Vec<_>, _>>().map_err(not_a_pattern)?;
    let mut files = Vec::new();
    find_below(&base, &parts, &[], &mut files).map_err(|error| unreadable(&shown, error))?;
    if let Some(path) = files.iter().find(|path| path.to_str().is_none()) {
        return Err(TargetGroupError::new(format!(
            "the name of `{}` is not UTF-8, and `{shown}` matches it",
            path.as_os_str().as_bytes().escape_ascii()
        ))
        .hint("rename it: results name the file of each row"));
    }
    if files.is_empty() {
        return Err(TargetGroupError::new(format!("no file matches `{shown}`")).hint(where_paths_start(spec)));
    }
    files.sort();
    Ok(files)
}

/// One name of a pattern's path.
enum Part {
    /// `**`: any folders, or none.
    AnyFolders,
    Name(glob::Pattern),
}

impl Part {
    fn of(text: &str) -> Result<Self, glob::PatternError> {
        Ok(if text == "**" { Self::AnyFolders } else { Self::Name(glob::Pattern::new(text)?) })
    }
}

/// The folder that a pattern starts from, and the rest of its names. Folders whose name exists
/// literally are not patterns, such as `/data/[2026]/` in `/data/[2026]/*.csv`.
fn parts(pattern: &str) -> (PathBuf, Vec<&str>) {
    let parts: Vec<&str> = pattern.split('/').collect();
    let literal = (1..parts.len())
        .rev()
        .find(|&count| parts[count - 1].is_empty() || Path::new(&parts[..count].join("/")).is_dir())
        .unwrap_or(0);
    let base = match parts[..literal].join("/") {
        base if base.is_empty() && literal > 0 => "/".to_owned(),
        base => base,
    };
    (base.into(), parts[literal..].to_vec())
}

/// Adds all files below `folder` that match `parts`, whatever the bytes of their names: none may be
/// missing without a word. `above` are the folders that `**` went through.
fn find_below(
    folder: &Path,
    parts: &[Part],
    above: &[(u64, u64)],
    files: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    let name = match part {
        Part::AnyFolders => {
            find_below(folder, rest, above, files)?;
            let metadata = fs::metadata(within(folder))?;
            let this = (metadata.dev(), metadata.ino());
            // A link may lead back to a folder above it.
            if above.contains(&this) {
                return Ok(());
            }
            let above = [above, &[this]].concat();
            for path in entries(folder)? {
                match path.is_dir() {
                    true => find_below(&path, parts, &above, files)?,
                    false if rest.is_empty() => files.push(path),
                    false => {}
                }
            }
            return Ok(());
        }
        Part::Name(name) => name,
    };
    if matches!(name.as_str(), "." | "..") {
        return find_below(&folder.join(name.as_str()), rest, above, files);
    }
    for path in entries(folder)? {
        if !path.file_name().is_some_and(|own| name.matches(&own.to_string_lossy())) {
            continue;
        }
        match (path.is_dir(), rest.is_empty()) {
            (true, false) => find_below(&path, rest, above, files)?,
            (false, true) => files.push(path),
            (true, true) | (false, false) => {}
        }
    }
    Ok(())
}

/// What is in a folder.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(within(folder))?.map(|entry| Ok(folder.join(entry?.file_name()))).collect()
}

/// The current folder has no name.
fn within(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn look_at(path: &Path, spec: &campaign::TargetGroupSource) -> Result<Found, TargetGroupError> {
    let is_stdin = spec.stdin.as_deref() == Some(path);
    let shown = if is_stdin { "stdin".to_owned() } else { shown(path, &spec.folder) };
    // Checked before opening: opening a named pipe would block.
    let metadata = fs::metadata(path).map_err(|error| {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let unreadable = unreadable(&shown, error);
        if is_missing { unreadable.hint(where_paths_start(spec)) } else { unreadable }
    })?;
    if !metadata.is_file() {
        let (what, hint) = if metadata.is_dir() {
            ("a folder", "name a file in it, or a pattern such as `recipients/*.csv`")
        } else {
            (
                "not a regular file",
                "write it to a file first, or send it to stdin with `--list -`: it is read more than once",
            )
        };
        return Err(TargetGroupError::new(format!("`{shown}` is {what}")).in_file(&shown).hint(hint));
    }
    let file = File::open(path).map_err(|error| unreadable(&shown, error))?;
    let stamp = Stamp::of(&file.metadata().map_err(|error| unreadable(&shown, error))?);
    Ok(Found { path: path.to_owned(), shown, stamp, file, object: None })
}

fn look_at_object(object: &Arc<FetchedObject>) -> Result<Found, TargetGroupError> {
    let (path, shown) = (object.path(), object.url.clone());
    let file = File::open(&path).map_err(|error| unreadable(&shown, error))?;
    let stamp = Stamp::of(&file.metadata().map_err(|error| unreadable(&shown, error))?);
    Ok(Found { path, shown, stamp, file, object: Some(Arc::clone(object)) })
}

fn shown(path: &Path, folder: &Path) -> String {
    // Paths of the command line are absolute.
    let whole = std::path::absolute(within(folder)).ok();
    let below = path.strip_prefix(folder).ok().or_else(|| path.strip_prefix(whole?).ok());
    let below = below.filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(path).to_string_lossy().into_owned()
}

fn where_paths_start(spec: &campaign::TargetGroupSource) -> &'static str {
    match spec.files_from {
        FilesFrom::Campaign => "paths start from the campaign file's folder",
        FilesFrom::CommandLine => "paths start from the current folder",
    }
}

/// The file at `shown` can't be read.
pub(super) fn unreadable(shown: &str, error: io::Error) -> TargetGroupError {
    TargetGroupError::new(format!("can't read `{shown}`")).in_file(shown).caused_by(error)
}

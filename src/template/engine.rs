//! What a template language is to the rest of the program.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::css_in_each::CssInEach;
use super::error::{Fault, TemplateError};
use super::uses::Uses;
use super::values::Values;
use crate::campaign::{Campaign, Language};
use crate::kit::text::line_and_column;

/// A template language, with the settings of a campaign.
pub(crate) trait Engine {
    /// Compiles and checks a template and the partials that it includes.
    ///
    /// # Errors
    /// For everything that can be known without a row: a file that can't be read, syntax, an
    /// unknown helper or option, a missing partial. The error names the file, line and column.
    fn compile(&self, source: Source, part: Part) -> Result<Box<dyn Template>, TemplateError>;
}

/// A checked template, together with the partials that it includes. Shared by all threads.
pub(crate) trait Template: fmt::Debug + Send + Sync {
    /// The names that the template and its partials use.
    fn uses(&self) -> &Uses;

    /// The language that it is in.
    fn language(&self) -> Language;

    /// Where the template (first) and its partials were read from.
    fn origins(&self) -> &[Origin];

    /// The stretches of text that come out of every rendering unchanged, for [`Output::text`]. A
    /// language that does not know them has none and writes everything as values.
    fn texts(&self) -> &[String] {
        &[]
    }

    /// Why styles are put into the elements of each message, where they are.
    fn css_in_each(&self) -> Option<&CssInEach> {
        None
    }

    /// Renders the template for one row.
    ///
    /// # Errors
    /// When a strict template prints a name without a value, or a helper can't use a value. What
    /// has been written to `out` by then is meaningless.
    fn render(&self, values: &Values<'_>, out: &mut dyn Output) -> Result<(), Fault>;
}

/// Takes what a template gives, in order.
pub(crate) trait Output {
    /// One of [`Template::texts`], by its index.
    fn text(&mut self, number: usize);

    /// What came from the row (already escaped), or any other text.
    fn value(&mut self, text: &str);

    /// Forgets what has been written: the template starts over.
    fn restart(&mut self);
}

/// The part of a message that a template is for. The subject and header fields are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Values are printed as they are.
    Text,
    /// Values are escaped.
    Html,
}

/// The text of a template and where it is from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is from.
    pub origin: Origin,
    /// With LF at the end of each line.
    pub text: String,
}

/// Where a template is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file; the campaign file for a template that is a value in it.
    pub path: PathBuf,
    /// What results and errors call it: the path relative to the campaign file's folder, or a key
    /// such as `template.subject`.
    pub shown: String,
    /// The template as it is written, with LF at the end of each line.
    pub text: Arc<str>,
}

/// What holds for all templates of a campaign.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Printing a name without a value fails the row.
    pub strict: bool,
    /// The folder of the campaign file: shown paths are relative to it.
    pub root: PathBuf,
    /// The folder with the partials.
    pub partials: Option<PathBuf>,
    /// The bytes of the largest message: what a template may give.
    pub largest: usize,
}

impl Settings {
    pub(super) fn of(campaign: &Campaign) -> Self {
        let template = &campaign.template;
        let own_folder = || template.text.as_ref().or(template.html.as_ref())?.parent();
        Self {
            strict: template.strict,
            root: campaign.folder().to_owned(),
            partials: template.partials.as_deref().or_else(own_folder).map(Path::to_owned),
            largest: template.largest.0.try_into().unwrap_or(usize::MAX),
        }
    }
}

impl Settings {
    /// The file `name` of the templates' folder, which a template includes; none where there is no
    /// such file.
    pub(super) fn included(&self, name: &str) -> Result<Option<Source>, TemplateError> {
        let Some(folder) = &self.partials else { return Ok(None) };
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        // A link may lead out of the folder: what a template includes stays in it.
        let inside = match (fs::canonicalize(folder), fs::canonicalize(&path)) {
            (Ok(folder), Ok(path)) => path.starts_with(folder),
            (Err(_), _) | (_, Err(_)) => false,
        };
        if !inside {
            return Err(TemplateError::new(&path, None, "this file is outside of the templates' folder"));
        }
        Source::read(&path, &self.root, "included file").map(Some)
    }
}

impl Source {
    /// A template that is a value in the campaign file `path`, under the key `shown`.
    pub(crate) fn value(path: &Path, shown: &str, text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let origin = Origin { path: path.to_owned(), shown: shown.to_owned(), text: text.as_str().into() };
        Self { origin, text }
    }

    /// Reads a file, which `what` names in errors; its path is shown relative to `root`.
    pub(crate) fn read(path: &Path, root: &Path, what: &str) -> Result<Self, TemplateError> {
        let bytes = fs::read(path).map_err(|source| TemplateError::read(path, what, source))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let place = line_and_column(&before, before.len());
            TemplateError::new(path, Some(place), format!("the {what} is not UTF-8")).hint("save it as UTF-8")
        })?;
        let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
        Ok(Self::value(path, &shown, text))
    }
}

/// What a template gives for one row, as one text.
pub(crate) fn render_to_string(template: &dyn Template, values: &Values<'_>) -> Result<String, Fault> {
    let mut whole = Whole { texts: template.texts(), out: String::new() };
    template.render(values, &mut whole)?;
    Ok(whole.out)
}

/// Texts and values one after the other.
struct Whole<'a> {
    texts: &'a [String],
    out: String,
}

impl Output for Whole<'_> {
    fn text(&mut self, number: usize) {
        self.out.push_str(&self.texts[number]);
    }

    fn value(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn restart(&mut self) {
        self.out.clear();
    }
}

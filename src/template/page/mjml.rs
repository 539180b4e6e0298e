//! MJML to HTML, with expressions of any language in it. Nothing is fetched: `<mj-include>` takes
//! files of the templates' folder, and no font is linked to that the template does not name.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use mrml::mjml::Mjml;
use mrml::prelude::parser::loader::{IncludeLoader, IncludeLoaderError};
use mrml::prelude::parser::{Error, Origin as From, ParseOutput, ParserOptions, Span, WarningKind};
use mrml::prelude::render::RenderOptions;

use super::mask::{Map, Masked};
use crate::campaign::Language;
use crate::kit::tags;
use crate::template::engine::{Settings, Source};
use crate::template::error::TemplateError;

/// The elements of MJML.
const ELEMENTS: [&str; 29] = [
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-include",
    "mj-navbar",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-wrapper",
];

/// Elements in one another: each takes some of the stack.
const DEEPEST: usize = 200;

/// The HTML of an MJML template, its expressions put aside in `masked`.
pub(super) fn html(
    source: &Source,
    language: Language,
    settings: &Settings,
    inlines_css: bool,
) -> Result<(String, Masked), TemplateError> {
    let mut masked = Masked::default();
    let (text, map) = masked.add(source.origin.clone(), &source.text, language)?;
    if let Some(at) = tags::too_deep(&text, DEEPEST) {
        let problem = format!("more than {DEEPEST} elements in one another");
        return Err(masked.error(map.source(at), problem));
    }
    let files =
        Arc::new(Mutex::new(Files { masked, names: vec![String::new()], maps: vec![map], error: None }));
    let loader = Includes { files: Arc::clone(&files), settings: settings.clone(), language };
    let parsed = mrml::parse_with_options(&text, &ParserOptions { include_loader: Box::new(loader) });
    let files = &mut *files.lock().expect("no holder of this lock can panic");
    if let Some(error) = files.error.take() {
        return Err(error);
    }
    let ParseOutput { element, warnings } = parsed.map_err(|error| files.error(&error))?;
    let styles = warnings.iter().find(|warning| matches!(warning.kind, WarningKind::InlineStyleUnsupported));
    if let Some(warning) = styles.filter(|_| !inlines_css) {
        let problem = "`<mj-style inline=\"inline\">` is not inlined";
        return Err(files
            .at(&warning.origin, &warning.span, problem)
            .hint("set `inline-css = true` in `[template]`"));
    }
    let html = render(&element)
        .map_err(|error| files.masked.error((0, 0), format!("MJML can't be rendered: {error}")))?;
    if let Some(unknown) = unknown_element(&html) {
        let at = text.find(&format!("<{unknown}")).map_or((0, 0), |at| files.maps[0].source(at));
        let error = files.masked.error(at, format!("`<{unknown}>` is no element of MJML"));
        return Err(error.nearest(&unknown, ELEMENTS.iter()));
    }
    if let Some(lost) = files.masked.lost(&html) {
        let problem = format!("`{}` has no place in the HTML that MJML makes", lost.text);
        let hint = "write it into a text, a button, an attribute that MJML keeps, or into `<mj-raw>`";
        return Err(files.masked.error((lost.file, lost.at.start), problem).hint(hint));
    }
    Ok((html, std::mem::take(&mut files.masked)))
}

fn render(element: &Mjml) -> Result<String, mrml::prelude::render::Error> {
    // By default, mails that use MJML's standard font would load it from Google.
    element.render(&RenderOptions { fonts: HashMap::new(), ..RenderOptions::default() })
}

/// An element that MJML did not know, and left as it was.
fn unknown_element(html: &str) -> Option<String> {
    let at = html.find("<mj-")?;
    let name = html[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-');
    Some(name.collect())
}

/// The files of a template, as they are read.
#[derive(Debug)]
struct Files {
    masked: Masked,
    /// What MJML calls each.
    names: Vec<String>,
    /// Where the text of each is from.
    maps: Vec<Map>,
    /// What went wrong with an included file: it says more than MJML does.
    error: Option<TemplateError>,
}

impl Files {
    /// An error at a place of a file, as MJML counts.
    fn at(&self, file: &From, span: &Span, problem: impl Into<String>) -> TemplateError {
        let file = match file {
            From::Root => 0,
            From::Include { path } => self.names.iter().rposition(|name| name == path).unwrap_or(0),
        };
        self.masked.error(self.maps[file].source(span.start), problem)
    }

    fn error(&self, error: &Error) -> TemplateError {
        match error {
            Error::UnexpectedElement { origin, position } => {
                self.at(origin, position, "an element has no place here, or is not closed")
            }
            Error::UnexpectedToken { origin, position } => self
                .at(origin, position, "MJML takes no text and no expression here")
                .hint("write it into `<mj-text>` or `<mj-raw>`"),
            Error::MissingAttribute { name, origin, position } => {
                self.at(origin, position, format!("the attribute `{name}` is missing"))
            }
            Error::InvalidAttribute { origin, position } => {
                self.at(origin, position, "an attribute can't be read")
            }
            Error::InvalidFormat { origin, position } => self.at(origin, position, "a value can't be read"),
            Error::IncludeLoaderError { origin, position, source } => {
                self.at(origin, position, format!("the included file `{}` is not found", source.path))
            }
            Error::EndOfStream { origin } => {
                let end = Span { start: usize::MAX, end: usize::MAX };
                self.at(origin, &end, "the file ends before its elements are closed")
            }
            Error::ParserError { origin, source } => {
                let position = source.pos();
                let text = self.masked.files[0].text.as_ref();
                let at = line_start(text, position.row as usize) + position.col.saturating_sub(1) as usize;
                let span = Span { start: at, end: at };
                self.at(origin, &span, "the markup can't be read: is a `<` or a quote too many?")
            }
            Error::SizeLimit { .. } | Error::NoRootNode => {
                self.masked.error((0, 0), "this is not MJML: `<mjml>` is missing")
            }
        }
    }
}

/// Where a line begins; lines count from 1.
fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}

/// `<mj-include>` from the folder of the templates.
#[derive(Debug)]
struct Includes {
    files: Arc<Mutex<Files>>,
    settings: Settings,
    language: Language,
}

impl IncludeLoader for Includes {
    fn resolve(&self, path: &str) -> Result<String, IncludeLoaderError> {
        let files = &mut *self.files.lock().expect("no holder of this lock can panic");
        let name = path.strip_prefix("./").unwrap_or(path);
        let read = self.settings.included(name).and_then(|source| {
            source
                .map(|source| files.masked.add(source.origin.clone(), &source.text, self.language))
                .transpose()
        });
        match read {
            Ok(Some((text, map))) => {
                files.names.push(path.to_owned());
                files.maps.push(map);
                Ok(text)
            }
            Ok(None) => Err(IncludeLoaderError::not_found(path)),
            Err(error) => {
                files.error.get_or_insert(error);
                Err(IncludeLoaderError::new(path, ErrorKind::InvalidData))
            }
        }
    }
}

//! Template languages. A template is read and checked before the first row, and rendered for each.
//!
//! Every language is an `Engine`, which compiles a `Source` to a `Template`: Handlebars, FreeMarker
//! and Jinja. A campaign may mix them. What holds for all of them:
//!
//! - Printing a name that has no value fails the row ([`Fault::NoValue`]), unless
//!   `[template] strict = false`. Testing such a name (`{{#if x}}`, `x??`, `{% if x %}`) is fine.
//! - Values are escaped in HTML and printed as they are in text (`Part`).
//! - Whatever can be known without a row is an error before the first one ([`TemplateError`]):
//!   syntax, helpers, partials. Errors of both kinds name file, line and column ([`Place`]).
//! - A template states which columns it prints and tests (`Uses`), so that a misspelt name is
//!   found before the first row.
//! - A rendering reads its row's `Values` and nothing else: no clock, no file, no random number.
//!
//! **To add a helper** that makes a text of a value, such as `{{upper name}}`: one entry in the
//! table of `helpers.rs`, which every language calls, and its line in `docs/templates.md`.
//!
//! HTML may be made of MJML, and its styles put into its elements, before its language sees it
//! (`page`).
//!
//! **To add a language**: a folder here with an implementation of `Engine`, chosen in
//! `engine_for`.

mod css_in_each;
mod engine;
mod error;
mod foreign;
mod format;
mod freemarker;
mod handlebars;
mod helpers;
mod jinja;
mod local;
mod locale;
mod page;
mod uses;
mod values;
mod zone;

use crate::campaign::{Campaign, Language};

pub(crate) use error::{Fault, Place, TemplateError};

pub(crate) use css_in_each::CssInEach;
pub(crate) use engine::{Engine, Origin, Output, Part, Source, Template, render_to_string};
pub(crate) use foreign::{Foreign, foreign_in};
pub(crate) use local::{Local, locale as locale_of};
pub(crate) use uses::{BUILT_IN, MESSAGE_ID, UNSUBSCRIBE_URL, Uses};
pub(crate) use values::{Columns, Values, is_blank};
pub(crate) use zone::Zone;

#[cfg(test)]
pub(crate) use handlebars::without_fast;

use self::engine::Settings;
use self::freemarker::FreeMarkerEngine;
use self::handlebars::HandlebarsEngine;
use self::jinja::JinjaEngine;
use self::page::PageEngine;

/// The engine of a campaign's templates, which chooses the language of each.
pub(crate) fn engine_for(campaign: &Campaign) -> Box<dyn Engine> {
    let settings = Settings::of(campaign);
    Box::new(ByLanguage {
        handlebars: HandlebarsEngine::new(settings.clone()),
        freemarker: FreeMarkerEngine::new(settings.clone()),
        jinja: JinjaEngine::new(settings.clone()),
        page: PageEngine { settings, inline_css: campaign.template.inline_css },
        default: campaign.template.language(),
    })
}

/// All languages, chosen by the names of the files.
struct ByLanguage {
    handlebars: HandlebarsEngine,
    freemarker: FreeMarkerEngine,
    jinja: JinjaEngine,
    /// What is made of MJML and styles first.
    page: PageEngine,
    /// Of what is no file of its own, and of files with other names.
    default: Language,
}

impl Engine for ByLanguage {
    fn compile(&self, source: Source, part: Part) -> Result<Box<dyn Template>, TemplateError> {
        let language = Language::of_file(&source.origin.path).unwrap_or(self.default);
        let engine: &dyn Engine = match language {
            Language::Handlebars => &self.handlebars,
            Language::Freemarker => &self.freemarker,
            Language::Jinja => &self.jinja,
        };
        if self.page.changes(&source, part) {
            return self.page.compile(source, part, language, engine);
        }
        engine.compile(source, part)
    }
}

//! Reads and compiles templates and their partials, and says what is wrong with them before a row is read.
//!
//! Handlebars prints nothing for a name without a value. So every element that prints a name is rewritten here to a
//! call of the helper that insists on one; the same pass checks helpers, their arguments and options.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Handlebars, Template, TemplateErrorReason};
use serde_json::Value;

use super::super::error::TemplateError;
use super::super::format;
use super::helpers::{self, PRINT, Signature, Sort};

/// Whether values are escaped, and which partials are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Html,
}

impl Kind {
    /// The endings of a partial's file, the preferred one first.
    fn endings(self) -> [&'static str; 2] {
        match self {
            Self::Text => [".txt.hbs", ".hbs"],
            Self::Html => [".html.hbs", ".hbs"],
        }
    }
}

/// A template as it was written.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file; for what stands in the campaign file, that.
    pub path: PathBuf,
    /// As results and errors show it.
    pub shown: String,
    /// Before the rewriting.
    pub template: Template,
    /// The length of its text.
    pub bytes: usize,
}

/// All templates of one kind, compiled.
pub(crate) struct Sources {
    pub kind: Kind,
    pub strict: bool,
    /// The folder of the campaign file: shown paths start there.
    root: PathBuf,
    /// The folder with the partials.
    partials: Option<PathBuf>,
    /// Rewritten, under the names that templates use.
    pub registry: Handlebars<'static>,
    /// As written, under the same names.
    pub known: BTreeMap<String, Source>,
}

impl Sources {
    pub(crate) fn new(kind: Kind, strict: bool, root: &Path, partials: Option<&Path>) -> Self {
        let mut registry = Handlebars::new();
        helpers::register(&mut registry, strict);
        if kind == Kind::Text {
            registry.register_escape_fn(handlebars::no_escape);
        }
        let partials = partials.map(Path::to_owned);
        Self { kind, strict, root: root.to_owned(), partials, registry, known: BTreeMap::new() }
    }

    /// Reads the template at `path` and the partials that it names.
    pub(crate) fn add_file(&mut self, name: &str, path: &Path) -> Result<(), TemplateError> {
        let text = read(path, "template")?;
        self.add(name, path, self.shown(path), &text)
    }

    /// Compiles `text` and reads the partials that it names. `shown` names it in errors.
    pub(crate) fn add(
        &mut self,
        name: &str,
        path: &Path,
        shown: String,
        text: &str,
    ) -> Result<(), TemplateError> {
        let text = text.replace("\r\n", "\n");
        let template = compile(&text, &shown).map_err(|(place, problem)| {
            TemplateError::new(path, place, problem).hint("see https://handlebarsjs.com/guide/")
        })?;
        let mut rewritten = template.clone();
        let mut rewriter = Rewriter { path, strict: self.strict, partials: Vec::new() };
        rewriter.template(&mut rewritten, None)?;
        let partials = rewriter.partials;
        self.registry.register_template(name, rewritten);
        self.known
            .insert(name.to_owned(), Source { path: path.to_owned(), shown, template, bytes: text.len() });
        for partial in partials {
            if !self.known.contains_key(&partial)
                && let Some(file) = self.file_of(&partial)
            {
                let text = read(&file, "partial")?;
                self.add(&partial, &file, self.shown(&file), &text)?;
            }
        }
        Ok(())
    }

    /// The room that most renderings of a template need, so that they grow without moving.
    pub(crate) fn capacity_of(&self, name: &str) -> usize {
        self.known.get(name).map_or(0, |source| source.bytes * 3 / 2)
    }

    fn file_of(&self, partial: &str) -> Option<PathBuf> {
        let folder = self.partials.as_ref()?;
        let endings = self.kind.endings();
        endings.iter().map(|ending| folder.join(format!("{partial}{ending}"))).find(|file| file.is_file())
    }

    /// The names of the partials that could be used, for hints.
    pub(crate) fn available(&self) -> Vec<String> {
        let Some(entries) = self.partials.as_ref().and_then(|folder| fs::read_dir(folder).ok()) else {
            return Vec::new();
        };
        let files = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = files
            .filter_map(|file| {
                self.kind.endings().iter().find_map(|end| file.strip_suffix(end)).map(str::to_owned)
            })
            .collect();
        names.sort();
        names
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

fn read(path: &Path, what: &str) -> Result<String, TemplateError> {
    let bytes = fs::read(path).map_err(|source| TemplateError::read(path, what, source))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
            Err(TemplateError::new(path, Some((line, column)), format!("the {what} is not UTF-8"))
                .hint("save it as UTF-8"))
        }
    }
}

type Place = Option<(usize, usize)>;

fn compile(text: &str, shown: &str) -> Result<Template, (Place, String)> {
    Template::compile_with_name(text, shown.to_owned()).map_err(|error| {
        let place = error.pos();
        match error.reason() {
            TemplateErrorReason::MismatchingClosedHelper(open, close)
            | TemplateErrorReason::MismatchingClosedDecorator(open, close) => {
                (place, format!("block `{open}` is closed as `{close}`"))
            }
            TemplateErrorReason::InvalidParam(parameter) => {
                (place, format!("`{parameter}` can't be an argument"))
            }
            TemplateErrorReason::InvalidSyntax(_) => match unclosed(text) {
                Some((place, problem)) => (Some(place), problem),
                None => (place, "this is no Handlebars expression".to_owned()),
            },
            other => (place, other.to_string()),
        }
    })
}

/// The first tag without its end, or block without its closing tag: what most syntax errors come from, and what
/// the parser only notices at the end of the file.
fn unclosed(text: &str) -> Option<((usize, usize), String)> {
    let place = |at: usize| {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    };
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        if text[..start].ends_with('\\') {
            at = start + 2;
            continue;
        }
        let end_mark = if text[start..].starts_with("{{!--") { "--}}" } else { "}}" };
        let Some(length) = text[start..].find(end_mark) else {
            return Some((place(start), "this `{{` has no `}}`".to_owned()));
        };
        let tag = text[start + 2..start + length].trim_start_matches(['{', '~']).trim_start();
        let word = |rest: &'static str| tag.strip_prefix(rest).map(first_word);
        if let Some(name) = word("#") {
            open.push((start, name));
        } else if let Some(name) = word("/") {
            match open.pop() {
                Some((_, opened)) if opened == name => {}
                Some((opened_at, opened)) => {
                    let (line, _) = place(opened_at);
                    let problem = format!("`{{{{/{name}}}}}` closes `{{{{#{opened}}}}}` of line {line}");
                    return Some((place(start), problem));
                }
                None => return Some((place(start), format!("`{{{{/{name}}}}}` closes nothing"))),
            }
        }
        at = start + length + end_mark.len();
    }
    let (start, name) = open.first()?;
    Some((place(*start), format!("`{{{{#{name}}}}}` is never closed")))
}

/// The first word of `rest`; `#> layout` and `#*inline` keep their name without the sign.
fn first_word(rest: &str) -> &str {
    let rest = rest.trim_start_matches(['>', '*']).trim_start();
    rest.split(|c: char| c.is_whitespace() || c == '~' || c == '}').next().unwrap_or(rest)
}

/// Whether a value must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Tested,
}

struct Rewriter<'a> {
    path: &'a Path,
    strict: bool,
    /// The partials named.
    partials: Vec<String>,
}

impl Rewriter<'_> {
    fn template(&mut self, template: &mut Template, outer: Place) -> Result<(), TemplateError> {
        let places: Vec<Place> = template.mapping.iter().map(|at| Some((at.0, at.1))).collect();
        for (index, element) in template.elements.iter_mut().enumerate() {
            // An `{{else if}}` has no place of its own.
            self.element(element, places.get(index).copied().flatten().or(outer))?;
        }
        Ok(())
    }

    fn element(&mut self, element: &mut TemplateElement, at: Place) -> Result<(), TemplateError> {
        use TemplateElement::{
            Comment, DecoratorBlock, DecoratorExpression, Expression, HelperBlock, HtmlExpression,
            PartialBlock, PartialExpression, RawString,
        };
        match element {
            RawString(_) | Comment(_) => Ok(()),
            Expression(call) | HtmlExpression(call) => self.expression(call, at),
            HelperBlock(call) => {
                let signature = self.helper(call, at, true)?;
                let raw = signature.name == "raw";
                self.arguments(call, Need::Tested, at)?;
                if !raw {
                    for inner in [&mut call.template, &mut call.inverse].into_iter().flatten() {
                        self.template(inner, at)?;
                    }
                }
                Ok(())
            }
            PartialExpression(partial) | PartialBlock(partial) => {
                let Some(name) = partial.name.as_name() else {
                    return Err(self.error(at, "the name of a partial can't be computed").hint(
                        "write one `{{> name}}` for each case into `{{#if}}`: so each can be checked before the run",
                    ));
                };
                let name = name.trim_matches(['\'', '"', '[', ']']).to_owned();
                partial.name = Parameter::Name(name.clone());
                if name != "@partial-block" {
                    self.partials.push(name);
                }
                for argument in partial.params.iter_mut().chain(partial.hash.values_mut()) {
                    self.argument(argument, Need::Tested, at)?;
                }
                match &mut partial.template {
                    Some(inner) => self.template(inner, at),
                    None => Ok(()),
                }
            }
            DecoratorBlock(block) if block.name.as_name() == Some("inline") => match &mut block.template {
                Some(inner) => self.template(inner, at),
                None => Ok(()),
            },
            DecoratorBlock(block) | DecoratorExpression(block) => {
                let name = block.name.as_name().unwrap_or_default().to_owned();
                Err(self.error(at, format!("decorator `{name}` is not known")).hint("`inline` is"))
            }
            _ => Err(self.error(at, "this is an expression that can't be checked")),
        }
    }

    /// `{{x}}`, `{{{x}}}`, `{{helper x}}`
    fn expression(&mut self, call: &mut HelperTemplate, at: Place) -> Result<(), TemplateError> {
        if call.params.is_empty() && call.hash.is_empty() {
            // A name by itself is a value, also when a helper has the same name: `title` is a common column.
            let mut value = std::mem::replace(&mut call.name, Parameter::Name(PRINT.to_owned()));
            if let Parameter::Name(name) = &value {
                value =
                    Parameter::parse(name).map_err(|_| self.error(at, format!("`{name}` is not a name")))?;
            }
            self.argument(&mut value, Need::Required, at)?;
            call.params.push(value);
            return Ok(());
        }
        let signature = self.helper(call, at, false)?;
        self.arguments(call, self.need_of(signature, Need::Required), at)?;
        if signature.sort == Sort::Lookup {
            let name = described(call);
            let lookup = Subexpression::new(
                std::mem::replace(&mut call.name, Parameter::Name(PRINT.to_owned())),
                std::mem::take(&mut call.params),
                std::mem::take(&mut call.hash),
            );
            call.params.push(Parameter::Subexpression(lookup));
            call.hash.insert("name".to_owned(), Parameter::Literal(Value::String(name)));
        }
        Ok(())
    }

    fn arguments(&mut self, call: &mut HelperTemplate, need: Need, at: Place) -> Result<(), TemplateError> {
        for argument in call.params.iter_mut().chain(call.hash.values_mut()) {
            self.argument(argument, need, at)?;
        }
        Ok(())
    }

    fn argument(&mut self, argument: &mut Parameter, need: Need, at: Place) -> Result<(), TemplateError> {
        let Parameter::Subexpression(sub) = argument else { return Ok(()) };
        let TemplateElement::Expression(call) = &mut *sub.element else {
            return Err(self.error(at, "this is an expression that can't be checked"));
        };
        if call.params.is_empty() && call.hash.is_empty() {
            // `(x)` is `x`.
            *argument = call.name.clone();
            return self.argument(argument, need, at);
        }
        let signature = self.helper(call, at, false)?;
        self.arguments(call, self.need_of(signature, need), at)?;
        if need == Need::Tested && matches!(signature.sort, Sort::Value | Sort::Default) {
            call.name = Parameter::Name(helpers::lenient(signature.name));
        }
        Ok(())
    }

    /// What a helper asks of its arguments, itself asked for `need`.
    fn need_of(&self, signature: &Signature, need: Need) -> Need {
        match signature.sort {
            Sort::Value if self.strict => need,
            Sort::Value | Sort::Default | Sort::Lookup | Sort::Test | Sort::Block => Need::Tested,
        }
    }

    /// The helper that `call` names, its arguments and options counted.
    fn helper(
        &self,
        call: &HelperTemplate,
        at: Place,
        block: bool,
    ) -> Result<&'static Signature, TemplateError> {
        static ALL: &[Signature] = &helpers::ALL;
        let name = call.name.as_name().unwrap_or_default();
        let Some(signature) = ALL.iter().find(|signature| signature.name == name) else {
            let error = self.error(at, format!("helper `{name}` is not known"));
            return Err(match block {
                true => error
                    .hint(format!("`{{{{#if {name}}}}}`, `{{{{#each {name}}}}}` or `{{{{#with {name}}}}}`?")),
                false => error.nearest(name, ALL.iter().map(|signature| signature.name)),
            });
        };
        let fits = match signature.sort {
            Sort::Block => block,
            Sort::Test => true,
            Sort::Value | Sort::Default | Sort::Lookup => !block,
        };
        if !fits {
            let form = if block {
                format!("`{{{{{name} …}}}}`")
            } else {
                format!("`{{{{#{name} …}}}}…{{{{/{name}}}}}`")
            };
            return Err(self.error(at, format!("`{name}` is written {form}")));
        }
        let (fewest, most) = signature.arguments;
        let count = call.params.len();
        if count < fewest || count > most {
            let takes = match (fewest, most) {
                (fewest, most) if fewest == most => fewest.to_string(),
                (fewest, most) if most < 10 => format!("{fewest} to {most}"),
                (fewest, _) => format!("at least {fewest}"),
            };
            return Err(self.error(at, format!("`{name}` takes {takes} arguments, not {count}")));
        }
        if let Some(option) = call.hash.keys().find(|option| !signature.options.contains(&option.as_str())) {
            let error = self.error(at, format!("`{name}` has no option `{option}`"));
            return Err(match signature.options {
                [] => error,
                options => error.hint(format!("its options are `{}`", options.join("`, `"))),
            });
        }
        self.literals(signature, call, at)?;
        Ok(signature)
    }

    /// What the template itself gives and can be wrong.
    fn literals(&self, signature: &Signature, call: &HelperTemplate, at: Place) -> Result<(), TemplateError> {
        let literal = |parameter: Option<&Parameter>| match parameter {
            Some(Parameter::Literal(Value::String(text))) => Some(text.clone()),
            _ => None,
        };
        let checked = match signature.name {
            "date" => literal(call.params.get(1).or_else(|| call.hash.get("format")))
                .map_or(Ok(()), |pattern| format::check_pattern(&pattern))
                .and_then(|()| {
                    literal(call.hash.get("zone")).map_or(Ok(()), |zone| format::offset(&zone).map(drop))
                }),
            "number" | "currency" => match literal(call.hash.get("locale")) {
                Some(locale) if format::NumberStyle::of_locale(&locale).is_none() => {
                    Err(format!("locale `{locale}` is not known"))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        checked.map_err(|problem| self.error(at, problem))
    }

    fn error(&self, at: Place, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(self.path, at, problem)
    }
}

/// `lookup prices this.code`
fn described(call: &HelperTemplate) -> String {
    let mut text = call.name.as_name().unwrap_or_default().to_owned();
    for parameter in &call.params {
        text.push(' ');
        text.push_str(match parameter {
            Parameter::Literal(Value::String(literal)) => literal,
            other => other.as_name().unwrap_or("…"),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> TemplateError {
        let mut sources = Sources::new(Kind::Text, true, Path::new("c"), None);
        sources.add("t", Path::new("c/t.hbs"), "t.hbs".into(), text).expect_err(text)
    }

    fn refused(text: &str, place: (usize, usize), problem: &str) {
        let error = error(text);
        assert_eq!((error.place, error.to_string()), (Some(place), problem.to_owned()), "{text}");
    }

    #[test]
    fn syntax_errors_have_their_place() {
        refused("a\n  {{#if x}}b\n{{name}}\n", (2, 3), "`{{#if}}` is never closed");
        refused("{{#if x}}\n{{#each y}}\n{{/if}}", (3, 1), "`{{/if}}` closes `{{#each}}` of line 2");
        refused("ab {{name\nx", (1, 4), "this `{{` has no `}}`");
        refused("{{/if}}", (1, 1), "`{{/if}}` closes nothing");
        refused("\n {{a b=}}", (2, 8), "this is no Handlebars expression");
    }

    #[test]
    fn unknown_helpers_are_named_with_the_nearest() {
        refused("x {{uper name}}", (1, 3), "helper `uper` is not known");
        assert_eq!(error("{{uper name}}").hint.as_deref(), Some("did you mean `upper`?"));
        refused("{{#items}}{{/items}}", (1, 1), "helper `items` is not known");
        assert!(error("{{#items}}{{/items}}").hint.unwrap().contains("{{#each items}}"));
        refused("{{#if a}}\n {{default (uper x) 1}}{{/if}}", (2, 2), "helper `uper` is not known");
        refused("{{log x}}", (1, 1), "helper `log` is not known");
        refused("{{#if a}}{{else if (uper b)}}{{/if}}", (1, 1), "helper `uper` is not known");
    }

    #[test]
    fn calls_are_checked() {
        refused("{{upper a b}}", (1, 1), "`upper` takes 1 arguments, not 2");
        refused("{{default a}}", (1, 1), "`default` takes at least 2 arguments, not 1");
        refused("{{date d zoom=\"+01:00\"}}", (1, 1), "`date` has no option `zoom`");
        refused("{{date d \"%Q\"}}", (1, 1), "`%Q` is not a date pattern");
        refused("{{date d zone=\"CET\"}}", (1, 1), "`CET` is not a time zone offset such as +02:00");
        refused("{{number n locale=\"xx\"}}", (1, 1), "locale `xx` is not known");
        refused("{{if a}}", (1, 1), "`if` is written `{{#if …}}…{{/if}}`");
        refused("{{#upper a}}{{/upper}}", (1, 1), "`upper` is written `{{upper …}}`");
        refused("{{> (lookup this \"x\")}}", (1, 1), "the name of a partial can't be computed");
        refused("{{* foo}}", (1, 1), "decorator `foo` is not known");
    }
}

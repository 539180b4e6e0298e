//! Renders what most templates are made of, without the crate `handlebars`.
//!
//! Most of what the crate does for a row is the same for every row: it finds helpers by their names
//! and walks paths. `{{column}}`, `{{#if column}}` and `{{> partial}}` are resolved here once, when
//! the template is compiled; the crate still renders any other element, one at a time. Where a step
//! can't be taken (a column without a value, a list where a text belongs), the crate renders the
//! whole template, or says what is wrong and where.
//!
//! What it is worth (`scripts/cost-guard render sign send`, with and without it, messages of
//! 10 KB): 56,000 instead of 196,000 instructions to render and build a message, 571,000 instead of
//! 710,000 with an Ed25519 signature, 111,000 instead of 264,000 for an unsigned one sent, journal
//! and results included. Beside an RSA-2048 signature it is lost in the noise.
//!
//! The text that comes out is the crate's own, byte for byte, or there is none: the tests compare
//! the two over random templates and rows.

use std::collections::HashMap;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Handlebars, Path, PathSeg, RenderContext, Renderable, Template};
use serde_json::Value;

use super::super::engine::{Output, Part, Settings};
use super::super::values::{Found, Values};
use super::helpers::PRINT;
use super::library::{Library, MAIN};
use super::render::Buffer;

/// A template as a list of steps. See the module.
#[derive(Debug)]
pub(super) struct Fast {
    part: Part,
    strict: bool,
    /// The most bytes of a step.
    largest: usize,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    /// A text of the template, by its number.
    Text(usize),
    /// `{{name}}`, or `{{{name}}}` when it is not escaped.
    Print { name: String, escape: bool },
    /// `{{#if name}}`, or `{{#unless name}}`.
    If { name: String, include_zero: bool, then: Vec<Step>, otherwise: Vec<Step> },
    /// Anything else.
    Other(Box<TemplateElement>),
}

/// The crate must render the template.
#[derive(Debug)]
pub(super) struct Elsewhere;

/// Makes the steps of a template.
struct Maker<'a> {
    library: &'a Library,
    texts: Vec<String>,
}

impl Fast {
    /// The steps of a template, and its texts by their numbers. `None` when an element changes what
    /// comes after it, so that elements can't be rendered one at a time.
    pub(super) fn of(library: &Library) -> Option<(Self, Vec<String>)> {
        let template = library.registry.get_template(MAIN)?;
        let mut maker = Maker { library, texts: Vec::new() };
        let steps = maker.steps(template).ok()?;
        let Settings { strict, largest, .. } = library.settings;
        Some((Self { part: library.part, strict, largest, steps }, maker.texts))
    }

    /// Renders the template for one row. After an error, `out` holds a part of it.
    pub(super) fn render(
        &self,
        registry: &Handlebars<'static>,
        values: &Values<'_>,
        out: &mut dyn Output,
    ) -> Result<(), Elsewhere> {
        self.steps(&self.steps, registry, values, out)
    }

    fn steps(
        &self,
        steps: &[Step],
        registry: &Handlebars<'static>,
        values: &Values<'_>,
        out: &mut dyn Output,
    ) -> Result<(), Elsewhere> {
        for step in steps {
            match step {
                Step::Text(number) => out.text(*number),
                Step::Print { name, escape } => self.print(values.get(name), *escape, out)?,
                Step::If { name, include_zero, then, otherwise } => {
                    let chosen = if is_true(values.get(name), *include_zero) { then } else { otherwise };
                    self.steps(chosen, registry, values, out)?;
                }
                Step::Other(element) => {
                    let mut rendered = Buffer { text: String::new(), largest: self.largest };
                    element
                        .render(registry, values.all(), &mut RenderContext::new(None), &mut rendered)
                        .map_err(|_| Elsewhere)?;
                    out.value(&rendered.text);
                }
            }
        }
        Ok(())
    }

    fn print(&self, found: Found<'_>, escape: bool, out: &mut dyn Output) -> Result<(), Elsewhere> {
        match found {
            Found::Nothing if self.strict => return Err(Elsewhere),
            Found::Nothing => {}
            // A default may be blank; the crate says that it has no value.
            Found::Text(text) if self.strict && text.trim_start().is_empty() => return Err(Elsewhere),
            Found::Text(text) if escape && self.part == Part::Html && text.bytes().any(is_escaped) => {
                out.value(&handlebars::html_escape(text));
            }
            Found::Text(text) => out.value(text),
            Found::Json(Value::Bool(value)) => out.value(if *value { "true" } else { "false" }),
            Found::Json(Value::Number(number)) => out.value(&number.to_string()),
            Found::Json(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(Elsewhere);
            }
        }
        Ok(())
    }
}

/// What `handlebars::html_escape` changes.
fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'"' | b'&' | b'\'' | b'`' | b'=')
}

/// Whether the crate takes a value for true.
fn is_true(found: Found<'_>, include_zero: bool) -> bool {
    match found {
        Found::Nothing => false,
        Found::Text(text) => !text.is_empty(),
        Found::Json(Value::Bool(value)) => *value,
        Found::Json(Value::Number(number)) => number
            .as_f64()
            .is_some_and(|number| if include_zero { !number.is_nan() } else { number.is_normal() }),
        Found::Json(Value::Null) => false,
        Found::Json(Value::String(text)) => !text.is_empty(),
        Found::Json(Value::Array(items)) => !items.is_empty(),
        Found::Json(Value::Object(fields)) => !fields.is_empty(),
    }
}

impl Maker<'_> {
    fn steps(&mut self, template: &Template) -> Result<Vec<Step>, Elsewhere> {
        let mut steps = Vec::new();
        for element in &template.elements {
            self.step(element, &mut steps)?;
        }
        Ok(steps)
    }

    fn step(&mut self, element: &TemplateElement, steps: &mut Vec<Step>) -> Result<(), Elsewhere> {
        match element {
            TemplateElement::RawString(text) => self.text(text, steps),
            TemplateElement::Comment(_) => {}
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                let escape = matches!(element, TemplateElement::Expression(_));
                steps.push(match printed(call) {
                    Some(name) => Step::Print { name: name.to_owned(), escape },
                    None => Step::Other(Box::new(element.clone())),
                });
            }
            TemplateElement::HelperBlock(call) => match tested(call) {
                Some(test) => {
                    let branch = |maker: &mut Self, template: &Option<Template>| match template {
                        Some(template) => maker.steps(template),
                        None => Ok(Vec::new()),
                    };
                    let (yes, no) = (branch(self, &call.template)?, branch(self, &call.inverse)?);
                    let (then, otherwise) = if test.positive { (yes, no) } else { (no, yes) };
                    let (name, include_zero) = (test.name.to_owned(), test.include_zero);
                    steps.push(Step::If { name, include_zero, then, otherwise });
                }
                None => steps.push(Step::Other(Box::new(element.clone()))),
            },
            TemplateElement::PartialExpression(partial) => {
                let plain = partial.params.is_empty()
                    && partial.hash.is_empty()
                    && partial.template.is_none()
                    && partial.indent.is_none();
                let found = partial.name.as_name().and_then(|name| self.library.registry.get_template(name));
                match found {
                    Some(found) if plain => {
                        for element in &found.elements {
                            self.step(element, steps)?;
                        }
                    }
                    Some(_) | None => steps.push(Step::Other(Box::new(element.clone()))),
                }
            }
            TemplateElement::PartialBlock(_) => steps.push(Step::Other(Box::new(element.clone()))),
            // `{{#*inline}}` changes what comes after it.
            _ => return Err(Elsewhere),
        }
        Ok(())
    }

    /// Texts that follow one another (around a comment or a partial) are one.
    fn text(&mut self, text: &str, steps: &mut Vec<Step>) {
        match steps.last() {
            Some(Step::Text(last)) => self.texts[*last].push_str(text),
            _ => {
                steps.push(Step::Text(self.texts.len()));
                self.texts.push(text.to_owned());
            }
        }
    }
}

/// The column that `{{column}}` prints, as the check at start-up has rewritten it.
fn printed(call: &HelperTemplate) -> Option<&str> {
    match &call.params[..] {
        [column] if call.name.as_name() == Some(PRINT) && call.hash.is_empty() => name_of(column),
        _ => None,
    }
}

struct Tested<'a> {
    name: &'a str,
    positive: bool,
    include_zero: bool,
}

/// The column that `{{#if column}}` or `{{#unless column}}` looks at.
fn tested(call: &HelperTemplate) -> Option<Tested<'_>> {
    let positive = match call.name.as_name() {
        Some("if") => true,
        Some("unless") => false,
        _ => return None,
    };
    let include_zero = include_zero(&call.hash)?;
    match &call.params[..] {
        [column] if call.block_param.is_none() => {
            Some(Tested { name: name_of(column)?, positive, include_zero })
        }
        _ => None,
    }
}

fn include_zero(options: &HashMap<String, Parameter>) -> Option<bool> {
    match options.get("includeZero") {
        None if options.is_empty() => Some(false),
        Some(Parameter::Literal(Value::Bool(value))) if options.len() == 1 => Some(*value),
        _ => None,
    }
}

/// The column of a parameter that is one, and nothing within it.
fn name_of(parameter: &Parameter) -> Option<&str> {
    match parameter {
        Parameter::Path(Path::Relative((segments, _))) => match &segments[..] {
            [PathSeg::Named(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;

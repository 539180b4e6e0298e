//! Finds the names that a template prints and tests, by walking it and its partials in the order in
//! which they are rendered.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{BlockParam, DecoratorTemplate, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg, Template};

use super::super::error::{Place, TemplateError};
use super::super::uses::{BUILT_IN, Uses};
use super::budget::STEPS;
use super::depth::{self, DEEPEST};
use super::helpers::{self, Sort};
use super::library::{Library, MAIN, Written};

/// What a template and its partials use.
///
/// # Errors
/// For a partial that does not exist or includes itself, and for what becomes too deep or too large
/// by its partials.
pub(super) fn uses_of(library: &Library) -> Result<Uses, TemplateError> {
    let source = &library.known[MAIN];
    let mut walker = Walker {
        library,
        uses: Uses::default(),
        scopes: vec![Scope::default()],
        inline: BTreeMap::new(),
        within: vec![MAIN.to_owned()],
        source,
        at: None,
        partial_block: false,
        depth: 0,
        elements: 0,
        bytes: 0,
    };
    walker.template(&source.template)?;
    Ok(walker.uses)
}

/// What a bare name means at some point of a template.
#[derive(Debug, Clone, Default)]
struct Scope {
    /// Names are fields of a value, not columns.
    inside: bool,
    /// Block parameters (`as |item|`) and the arguments of a partial: not columns.
    own: BTreeSet<String>,
}

enum Target {
    Column(String),
    /// Something within a value that a block has opened, or a variable such as `@index`.
    Inner,
    Row,
}

struct Walker<'a> {
    library: &'a Library,
    uses: Uses,
    scopes: Vec<Scope>,
    inline: BTreeMap<String, (&'a Template, &'a Written)>,
    /// The partials that are being walked, so that none includes itself.
    within: Vec<String>,
    source: &'a Written,
    at: Option<(usize, usize)>,
    partial_block: bool,
    /// How many templates are inside one another here.
    depth: usize,
    /// What the template has with all that it includes, as often as it includes it.
    elements: usize,
    bytes: usize,
}

impl<'a> Walker<'a> {
    fn template(&mut self, template: &'a Template) -> Result<(), TemplateError> {
        let outer = self.at;
        self.depth += 1;
        if self.depth > DEEPEST + 1 {
            return Err(self.error(&depth::problem()));
        }
        for (index, element) in template.elements.iter().enumerate() {
            self.at = template.mapping.get(index).map(|at| (at.0, at.1)).or(outer);
            self.element(element)?;
        }
        self.at = outer;
        self.depth -= 1;
        Ok(())
    }

    fn element(&mut self, element: &'a TemplateElement) -> Result<(), TemplateError> {
        self.elements += 1;
        if self.elements > STEPS || self.bytes > self.library.settings.largest {
            return Err(self.error("with its partials the template is larger than a message may be"));
        }
        match element {
            TemplateElement::RawString(text) => {
                self.bytes += text.len();
                Ok(())
            }
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                self.call(call, true);
                Ok(())
            }
            TemplateElement::HelperBlock(call) => self.block(call),
            TemplateElement::PartialExpression(partial) | TemplateElement::PartialBlock(partial) => {
                self.partial(partial)
            }
            TemplateElement::DecoratorBlock(block) => {
                if let (Some(Parameter::Literal(serde_json::Value::String(name))), Some(template)) =
                    (block.params.first(), &block.template)
                {
                    self.inline.insert(name.clone(), (template, self.source));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A name by itself, or a helper with its arguments; `required` when what comes out is printed.
    fn call(&mut self, call: &HelperTemplate, required: bool) {
        if call.params.is_empty() && call.hash.is_empty() {
            match &call.name {
                Parameter::Name(name) => match Parameter::parse(name) {
                    Ok(path) => self.parameter(&path, required),
                    Err(_) => self.uses.whole_row = true,
                },
                name => self.parameter(name, required),
            }
            return;
        }
        let name = call.name.as_name().unwrap_or_default();
        let sort = helpers::all().find(|signature| signature.name == name).map(|found| found.sort);
        let required = required && matches!(sort, Some(Sort::Value(_)));
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(parameter, required);
        }
    }

    fn parameter(&mut self, parameter: &Parameter, required: bool) {
        match parameter {
            Parameter::Path(path) => match self.target(path) {
                Target::Column(name) => self.column(name, required),
                Target::Inner => {}
                Target::Row => self.uses.whole_row = true,
            },
            Parameter::Subexpression(sub) => {
                if let TemplateElement::Expression(call) = sub.as_element() {
                    self.call(call, required);
                }
            }
            Parameter::Literal(_) | Parameter::Name(_) => {}
            _ => self.uses.whole_row = true,
        }
    }

    fn column(&mut self, name: String, required: bool) {
        let entry = (name, self.place());
        let set = match (BUILT_IN.contains(&entry.0.as_str()), required) {
            (true, _) => &mut self.uses.built_in,
            (false, true) => &mut self.uses.printed,
            (false, false) => &mut self.uses.tested,
        };
        set.insert(entry);
    }

    fn place(&self) -> Place {
        let (line, column) = self.at.unwrap_or((0, 0));
        Place { template: self.source.origin.shown.clone(), line, column }
    }

    /// Follows handlebars' own look-up: block parameters of any depth first, then the scope that
    /// `../` leads to.
    fn target(&self, path: &Path) -> Target {
        let Path::Relative((segments, raw)) = path else { return Target::Inner };
        let names: Vec<&str> = segments
            .iter()
            .filter_map(|segment| match segment {
                PathSeg::Named(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let from_root = raw.trim_start_matches("./").trim_start_matches("this.").starts_with("@root");
        let up = segments.len() - names.len() - usize::from(from_root);
        let first = names.first().copied();
        if !from_root && first.is_some_and(|name| self.scopes.iter().any(|scope| scope.own.contains(name))) {
            return Target::Inner;
        }
        let innermost = self.scopes.len() - 1;
        let scope = &self.scopes[innermost.checked_sub(up).unwrap_or(innermost)];
        match first {
            _ if scope.inside && !from_root => Target::Inner,
            Some(name) => Target::Column(name.to_owned()),
            None => Target::Row,
        }
    }

    fn block(&mut self, call: &'a HelperTemplate) -> Result<(), TemplateError> {
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(parameter, false);
        }
        let name = call.name.as_name().unwrap_or_default();
        if name == "raw" {
            return Ok(());
        }
        if let Some(template) = &call.template {
            if matches!(name, "each" | "with") {
                let own = match &call.block_param {
                    Some(BlockParam::Single(one)) => one.as_name().into_iter().map(str::to_owned).collect(),
                    Some(BlockParam::Pair((one, two))) => {
                        one.as_name().into_iter().chain(two.as_name()).map(str::to_owned).collect()
                    }
                    _ => BTreeSet::new(),
                };
                let row_itself = name == "with"
                    && matches!(call.params.first(), Some(Parameter::Path(path)) if matches!(self.target(path), Target::Row));
                self.scopes.push(Scope { inside: !row_itself, own });
                self.template(template)?;
                self.scopes.pop();
            } else {
                self.template(template)?;
            }
        }
        match &call.inverse {
            Some(inverse) => self.template(inverse),
            None => Ok(()),
        }
    }

    fn partial(&mut self, partial: &'a DecoratorTemplate) -> Result<(), TemplateError> {
        let name = partial.name.as_name().unwrap_or_default().trim_matches(['\'', '"', '[', ']']);
        for argument in partial.hash.values() {
            self.parameter(argument, false);
        }
        if name == "@partial-block" {
            return match (&partial.template, self.partial_block) {
                (Some(fallback), false) => self.template(fallback),
                (None, false) => {
                    Err(self.error("`{{> @partial-block}}` is not inside a partial with a block"))
                }
                (_, true) => Ok(()),
            };
        }
        let inside = match partial.params.first() {
            Some(Parameter::Path(path)) => match self.target(path) {
                Target::Row => false,
                Target::Column(column) => {
                    self.column(column, false);
                    true
                }
                Target::Inner => true,
            },
            Some(other) => {
                self.parameter(other, false);
                true
            }
            None => self.scopes.last().is_some_and(|scope| scope.inside),
        };
        let own: BTreeSet<String> = partial.hash.keys().cloned().collect();
        self.scopes.push(Scope { inside, own });
        if let Some(content) = &partial.template {
            self.template(content)?;
        }
        let found = match self.inline.get(name) {
            Some(inline) => Some(*inline),
            None => self.library.known.get(name).map(|source| (&source.template, source)),
        };
        match found {
            Some((template, source)) => self.include(name, template, source, partial.template.is_some())?,
            None if partial.template.is_some() => {}
            None => {
                let error = self.error(&format!("partial `{name}` not found"));
                return Err(error.nearest(name, self.library.available().iter()));
            }
        }
        self.scopes.pop();
        Ok(())
    }

    fn include(
        &mut self,
        name: &str,
        template: &'a Template,
        source: &'a Written,
        with_block: bool,
    ) -> Result<(), TemplateError> {
        if self.within.iter().any(|outer| outer == name) {
            return Err(self.error(&format!("partial `{name}` includes itself")));
        }
        self.within.push(name.to_owned());
        let outer = (self.source, self.at, self.partial_block);
        (self.source, self.at, self.partial_block) = (source, None, with_block);
        self.template(template)?;
        (self.source, self.at, self.partial_block) = outer;
        self.within.pop();
        Ok(())
    }

    fn error(&self, problem: &str) -> TemplateError {
        TemplateError::new(&self.source.origin.path, self.at, problem)
    }
}

//! Checks every helper call of a template, and makes what is printed insist on its value.
//!
//! Handlebars prints nothing for a name without a value. So every element that prints a name is
//! rewritten here to a call of the helper that insists on one; the same pass checks helpers, their
//! arguments and options.

use std::path::Path;

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use serde_json::Value;

use super::super::error::TemplateError;
use super::super::helpers::{Helper, Literals};
use super::helpers::{self, PRINT, ROUND, Signature, Sort};

type Place = Option<(usize, usize)>;

/// Whether a value must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Tested,
}

/// Checks and rewrites the template of the file `path`. The names of the partials that it includes.
pub(super) fn rewrite(
    template: &mut Template,
    path: &Path,
    strict: bool,
) -> Result<Vec<String>, TemplateError> {
    let mut rewriter = Rewriter { path, strict, partials: Vec::new() };
    rewriter.template(template, None)?;
    Ok(rewriter.partials)
}

struct Rewriter<'a> {
    path: &'a Path,
    strict: bool,
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
                    if let ("each", Some(round)) = (signature.name, &mut call.template) {
                        count_rounds(round);
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
            // A name by itself is a value, also when a helper has the same name: `title` is a
            // common column.
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
        self.arguments(call, self.need_of(signature.sort, Need::Required), at)?;
        if matches!(signature.sort, Sort::Lookup) {
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
        self.arguments(call, self.need_of(signature.sort, need), at)?;
        if need == Need::Tested && matches!(signature.sort, Sort::Value(_) | Sort::Default) {
            call.name = Parameter::Name(helpers::lenient(signature.name));
        }
        Ok(())
    }

    /// What a helper asks of its arguments, itself asked for `need`.
    fn need_of(&self, sort: Sort, need: Need) -> Need {
        match sort {
            Sort::Value(_) if self.strict => need,
            Sort::Value(_) | Sort::Default | Sort::Lookup | Sort::Test | Sort::Block => Need::Tested,
        }
    }

    /// The helper that `call` names, its arguments and options counted.
    fn helper(&self, call: &HelperTemplate, at: Place, block: bool) -> Result<Signature, TemplateError> {
        let name = call.name.as_name().unwrap_or_default();
        let Some(signature) = helpers::all().find(|signature| signature.name == name) else {
            let error = self.error(at, format!("helper `{name}` is not known"));
            return Err(match block {
                true => error
                    .hint(format!("`{{{{#if {name}}}}}`, `{{{{#each {name}}}}}` or `{{{{#with {name}}}}}`?")),
                false => error.nearest(name, helpers::all().map(|signature| signature.name)),
            });
        };
        let fits = match signature.sort {
            Sort::Block => block,
            Sort::Test => true,
            Sort::Value(_) | Sort::Default | Sort::Lookup => !block,
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
        if let Sort::Value(helper) = signature.sort {
            self.literals(helper, call, at)?;
        }
        Ok(signature)
    }

    /// Checks what the template itself says: patterns, zones, locales.
    fn literals(&self, helper: &Helper, call: &HelperTemplate, at: Place) -> Result<(), TemplateError> {
        fn literal(parameter: &Parameter) -> Option<&str> {
            match parameter {
                Parameter::Literal(Value::String(text)) => Some(text),
                _ => None,
            }
        }
        let arguments: Vec<Option<&str>> = call.params.iter().map(literal).collect();
        let options = call.hash.iter().filter_map(|(name, option)| Some((name.as_str(), literal(option)?)));
        let options: Vec<(&str, &str)> = options.collect();
        let literals = Literals { arguments: &arguments, options: &options };
        (helper.check)(&literals).map_err(|problem| self.error(at, problem))
    }

    fn error(&self, at: Place, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(self.path, at, problem)
    }
}

/// Makes each round of a loop count as a step, in the budget of a rendering.
fn count_rounds(round: &mut Template) {
    let texts = round.elements.iter().map(|element| match element {
        TemplateElement::RawString(text) => text.len(),
        _ => 0,
    });
    let bytes: usize = texts.sum();
    // The crate has no constructor for a call.
    let mut counted = Template::compile("{{x 0}}").expect("it is a constant that parses");
    if let Some(TemplateElement::Expression(call)) = counted.elements.first_mut() {
        call.name = Parameter::Name(ROUND.to_owned());
        call.params = vec![Parameter::Literal(Value::from(bytes))];
    }
    round.elements.splice(0..0, counted.elements);
    round.mapping.splice(0..0, round.mapping.first().cloned());
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

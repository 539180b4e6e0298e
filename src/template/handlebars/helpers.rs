//! What Handlebars calls: its own blocks and conditions, the helper behind `{{name}}`, and those
//! that every language has.
//!
//! A helper that makes a value fails the row when its argument has no value. Where a template only
//! tests a value (`{{#if (upper x)}}`, `{{default (date d) "soon"}}`), its lenient twin is called
//! instead, whose name ends in `?` and can't be written in a template.

use handlebars::{
    Context, Handlebars, HelperDef, HelperResult, Output, RenderContext, RenderError, Renderable, ScopedJson,
};
use serde_json::Value;

use super::super::helpers::{Call, HELPERS, Helper, scalar};
use super::super::local;
use super::super::values::is_blank;
use super::budget;
use super::compare::{self, Test};
use super::problem::Problem;

/// How a helper is called, for [`super::check`].
#[derive(Clone, Copy)]
pub(super) struct Signature {
    pub name: &'static str,
    pub sort: Sort,
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// The options (`name=value`) that it knows.
    pub options: &'static [&'static str],
}

/// How a helper treats its arguments, and where it may be written.
#[derive(Clone, Copy)]
pub(super) enum Sort {
    /// `{{upper x}}`: needs the value of its arguments. One that every language has.
    Value(&'static Helper),
    /// `{{default x "y"}}`: the first argument with a value.
    Default,
    /// `{{lookup list 0}}`: printed like a name.
    Lookup,
    /// `(gt x 5)` and `{{#gt x 5}}`: tests its arguments.
    Test,
    /// `{{#if x}}`: a block only.
    Block,
}

const MANY: usize = 100;

/// Those of Handlebars alone.
const OWN: [Signature; 17] = [
    signature("if", Sort::Block, (1, 1), &["includeZero"]),
    signature("unless", Sort::Block, (1, 1), &["includeZero"]),
    signature("each", Sort::Block, (1, 1), &[]),
    signature("with", Sort::Block, (1, 1), &[]),
    signature("raw", Sort::Block, (0, 0), &[]),
    signature("lookup", Sort::Lookup, (2, 2), &[]),
    signature("eq", Sort::Test, (2, 2), &[]),
    signature("ne", Sort::Test, (2, 2), &[]),
    signature("gt", Sort::Test, (2, 2), &[]),
    signature("gte", Sort::Test, (2, 2), &[]),
    signature("lt", Sort::Test, (2, 2), &[]),
    signature("lte", Sort::Test, (2, 2), &[]),
    signature("and", Sort::Test, (1, MANY), &[]),
    signature("or", Sort::Test, (1, MANY), &[]),
    signature("not", Sort::Test, (1, 1), &[]),
    signature("len", Sort::Test, (1, 1), &[]),
    signature("default", Sort::Default, (2, MANY), &[]),
];

const fn signature(
    name: &'static str,
    sort: Sort,
    arguments: (usize, usize),
    options: &'static [&'static str],
) -> Signature {
    Signature { name, sort, arguments, options }
}

/// All helpers.
pub(super) fn all() -> impl Iterator<Item = Signature> {
    let common = HELPERS
        .iter()
        .map(|helper| signature(helper.name, Sort::Value(helper), helper.arguments, helper.options));
    OWN.into_iter().chain(common)
}

/// The helper that prints a plain name; templates can't write its name.
pub(super) const PRINT: &str = "print?";

/// The helper that counts the rounds of `{{#each}}`; its argument is the text of a round in bytes.
pub(super) const ROUND: &str = "round?";

/// The lenient twin of a helper that makes a value.
pub(super) fn lenient(name: &str) -> String {
    format!("{name}?")
}

/// Gives `registry` all helpers; with `strict`, printing nothing is an error.
pub(super) fn register(registry: &mut Handlebars<'static>, strict: bool) {
    registry.unregister_helper("log");
    registry.register_helper(PRINT, Box::new(Print { strict }));
    registry.register_helper(ROUND, Box::new(Round));
    registry.register_helper("default", Box::new(Default { strict }));
    registry.register_helper(&lenient("default"), Box::new(Default { strict: false }));
    for helper in &HELPERS {
        registry.register_helper(helper.name, Box::new(Common { strict, helper }));
        registry.register_helper(&lenient(helper.name), Box::new(Common { strict: false, helper }));
    }
    for (name, test) in compare::ALL {
        registry.register_helper(name, Box::new(Comparison { test }));
    }
}

fn argument_name(helper: &handlebars::Helper<'_>, at: usize) -> String {
    match helper.param(at).and_then(|argument| argument.relative_path()) {
        Some(path) => path.clone(),
        None => format!("({} …)", helper.name().trim_end_matches('?')),
    }
}

/// `{{x}}`
struct Print {
    strict: bool,
}

impl HelperDef for Print {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = helper.param(0).map_or(&Value::Null, |argument| argument.value());
        budget::spend(value.as_str().map_or(0, str::len))?;
        // A subexpression has no name of its own: the template's check has put one beside it.
        let name = || match helper.hash_get("name").and_then(|name| scalar(name.value())) {
            Some(name) => name,
            None => argument_name(helper, 0),
        };
        match value {
            _ if !self.strict => {}
            _ if is_blank(value) => return Err(Problem::NoValue(name()).into()),
            Value::Array(_) => {
                let problem =
                    format!("`{0}` is a list: use `{{{{#each {0}}}}}` or `{{{{join {0}}}}}`", name());
                return Err(Problem::Value(problem).into());
            }
            Value::Object(_) => {
                let problem = format!("`{}` is a group of values: name one of them", name());
                return Err(Problem::Value(problem).into());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(ScopedJson::Derived(value.clone()))
    }
}

/// Writes nothing.
struct Round;

impl HelperDef for Round {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        _: &mut dyn Output,
    ) -> HelperResult {
        let bytes = helper.param(0).and_then(|bytes| bytes.value().as_u64()).unwrap_or(0);
        Ok(budget::spend(usize::try_from(bytes).unwrap_or(usize::MAX))?)
    }
}

/// `{{default nickname first_name "friend"}}`: the first that has a value.
struct Default {
    strict: bool,
}

impl HelperDef for Default {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = helper.params();
        let found = arguments.iter().find(|argument| !is_blank(argument.value()));
        if let Some(found) = found {
            budget::spend(found.value().as_str().map_or(0, str::len))?;
            return Ok(ScopedJson::Derived(found.value().clone()));
        }
        // An empty text that the template itself gives is what its author wants.
        let last = arguments.len().saturating_sub(1);
        if self.strict && arguments.get(last).is_none_or(|last| last.try_get_constant_value().is_none()) {
            return Err(Problem::NoValue(argument_name(helper, last)).into());
        }
        Ok(ScopedJson::Derived(Value::Null))
    }
}

/// A helper that every language has.
struct Common {
    strict: bool,
    helper: &'static Helper,
}

impl HelperDef for Common {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let blank = helper.params().iter().position(|argument| is_blank(argument.value()));
        // What the template itself says (`join x " "`) may be blank, what comes from the row may
        // not.
        if let Some(at) = blank
            && helper.params()[at].try_get_constant_value().is_none()
        {
            if self.strict {
                return Err(Problem::NoValue(argument_name(helper, at)).into());
            }
            return Ok(ScopedJson::Derived(Value::Null));
        }
        let arguments: Vec<&Value> = helper.params().iter().map(|argument| argument.value()).collect();
        let options: Vec<(&str, &Value)> =
            helper.hash().iter().map(|(name, option)| (*name, option.value())).collect();
        let call = Call {
            helper: self.helper.name,
            arguments: &arguments,
            options: &options,
            shown: &|| argument_name(helper, 0),
            local: local::current(),
        };
        let made = (self.helper.make)(&call).map_err(Problem::Value)?;
        budget::spend(made.len())?;
        Ok(ScopedJson::Derived(Value::String(made)))
    }
}

/// One of [`compare::ALL`], as a condition or as a block.
struct Comparison {
    test: Test,
}

impl HelperDef for Comparison {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        budget::spend(0)?;
        let side = |at| helper.param(at).map_or(&Value::Null, |argument| argument.value());
        Ok(ScopedJson::Derived(Value::Bool((self.test)(side(0), side(1)))))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &handlebars::Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let result = self.call_inner(helper, registry, context, render)?;
        let holds = result.as_json() == &Value::Bool(true);
        if !helper.is_block() {
            return Ok(out.write(if holds { "true" } else { "false" })?);
        }
        match if holds { helper.template() } else { helper.inverse() } {
            Some(template) => template.render(registry, context, render, out),
            None => Ok(()),
        }
    }
}

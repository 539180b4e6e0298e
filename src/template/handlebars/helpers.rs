//! The helpers of the templates: what they are called with, and what they do.
//!
//! A helper that makes a value fails the row when its argument has no value. Where a template only tests a value
//! (`{{#if (upper x)}}`, `{{default (date d) "soon"}}`) the lenient twin is called instead, whose name ends in `?`
//! and can't be written in a template.

use std::cmp::Ordering;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    RenderErrorReason, Renderable, ScopedJson,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::format::{self, NumberStyle};

/// What a helper is, for the check at start-up.
#[derive(Debug)]
pub(crate) struct Signature {
    pub name: &'static str,
    pub sort: Sort,
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// The `key=value` options it knows.
    pub options: &'static [&'static str],
}

/// How a helper treats its arguments, and where it may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// `{{upper x}}`: needs the value of its arguments.
    Value,
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

/// All helpers.
pub(crate) const ALL: [Signature; 25] = [
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
    signature("upper", Sort::Value, (1, 1), &[]),
    signature("lower", Sort::Value, (1, 1), &[]),
    signature("title", Sort::Value, (1, 1), &[]),
    signature("url", Sort::Value, (1, 1), &[]),
    signature("date", Sort::Value, (1, 2), &["format", "zone"]),
    signature("number", Sort::Value, (1, 1), &["decimals", "thousands", "decimal", "locale"]),
    signature("currency", Sort::Value, (2, 2), &["decimals", "thousands", "decimal", "locale"]),
    signature("join", Sort::Value, (1, 2), &[]),
];

const fn signature(
    name: &'static str,
    sort: Sort,
    arguments: (usize, usize),
    options: &'static [&'static str],
) -> Signature {
    Signature { name, sort, arguments, options }
}

/// The helper that prints a plain name; templates can't write its name.
pub(crate) const PRINT: &str = "print?";

/// The lenient twin of a helper that makes a value.
pub(crate) fn lenient(name: &str) -> String {
    format!("{name}?")
}

/// Gives `registry` all helpers; with `strict`, printing nothing is an error.
pub(crate) fn register(registry: &mut Handlebars<'static>, strict: bool) {
    registry.unregister_helper("log");
    registry.register_helper(PRINT, Box::new(Print { strict }));
    registry.register_helper("default", Box::new(DefaultHelper { strict }));
    registry.register_helper(&lenient("default"), Box::new(DefaultHelper { strict: false }));
    let values: [(&str, Make); 8] = [
        ("upper", |call| Ok(call.text()?.to_uppercase())),
        ("lower", |call| Ok(call.text()?.to_lowercase())),
        ("title", |call| Ok(format::title(&call.text()?))),
        ("url", |call| Ok(utf8_percent_encode(&call.text()?, UNRESERVED).to_string())),
        ("date", make_date),
        ("number", |call| call.number(NumberStyle::of_locale("en").expect("`en` is known"), "")),
        ("currency", make_currency),
        ("join", make_join),
    ];
    for (name, make) in values {
        registry.register_helper(name, Box::new(ValueHelper { strict, make }));
        registry.register_helper(&lenient(name), Box::new(ValueHelper { strict: false, make }));
    }
    let tests: [(&str, Test); 6] = [
        ("eq", equal),
        ("ne", |a, b| !equal(a, b)),
        ("gt", |a, b| compare(a, b).is_some_and(Ordering::is_gt)),
        ("gte", |a, b| compare(a, b).is_some_and(Ordering::is_ge)),
        ("lt", |a, b| compare(a, b).is_some_and(Ordering::is_lt)),
        ("lte", |a, b| compare(a, b).is_some_and(Ordering::is_le)),
    ];
    for (name, test) in tests {
        registry.register_helper(name, Box::new(Comparison { test }));
    }
}

/// RFC 3986 §2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a helper failed; travels inside handlebars' error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("`{0}` has no value")]
    NoValue(String),
    #[error("{0}")]
    Value(String),
}

impl From<Problem> for RenderError {
    fn from(problem: Problem) -> Self {
        RenderErrorReason::NestedError(Box::new(problem)).into()
    }
}

/// Null, or text of nothing but white space: printing it would leave a gap.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim_start().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn argument_name(helper: &Helper<'_>, at: usize) -> String {
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
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = helper.param(0).map_or(&Value::Null, |argument| argument.value());
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

/// `{{default nickname first_name "friend"}}`: the first that has a value.
struct DefaultHelper {
    strict: bool,
}

impl HelperDef for DefaultHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = helper.params();
        let found = arguments.iter().find(|argument| !is_blank(argument.value()));
        if let Some(found) = found {
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

type Test = fn(&Value, &Value) -> bool;

type Make = fn(&Call<'_, '_>) -> Result<String, String>;

/// A helper that makes a text of its first argument.
struct ValueHelper {
    strict: bool,
    make: Make,
}

impl HelperDef for ValueHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let blank = helper.params().iter().position(|argument| is_blank(argument.value()));
        // What stands in the template (`join x " "`) may be blank, what comes from the row may not.
        if let Some(at) = blank
            && helper.params()[at].try_get_constant_value().is_none()
        {
            if self.strict {
                return Err(Problem::NoValue(argument_name(helper, at)).into());
            }
            return Ok(ScopedJson::Derived(Value::Null));
        }
        let value = helper.param(0).map_or(&Value::Null, |argument| argument.value());
        let made = (self.make)(&Call { helper, value }).map_err(Problem::Value)?;
        Ok(ScopedJson::Derived(Value::String(made)))
    }
}

/// One call: the first argument, which has a value, and the options.
struct Call<'a, 'rc> {
    helper: &'a Helper<'rc>,
    value: &'a Value,
}

impl Call<'_, '_> {
    fn text(&self) -> Result<String, String> {
        scalar(self.value).ok_or_else(|| {
            let name = argument_name(self.helper, 0);
            format!("`{}` needs one value, `{name}` holds several", self.helper.name().trim_end_matches('?'))
        })
    }

    fn option(&self, name: &str) -> Option<String> {
        self.helper.hash_get(name).and_then(|option| scalar(option.value()))
    }

    fn number(&self, base: NumberStyle, symbol: &str) -> Result<String, String> {
        let mut style = match self.option("locale") {
            Some(locale) => {
                let known = NumberStyle::of_locale(&locale);
                let known = known.ok_or_else(|| format!("locale `{locale}` is not known"))?;
                NumberStyle { decimals: base.decimals, ..known }
            }
            None => base,
        };
        if let Some(decimals) = self.option("decimals") {
            let wanted = decimals.parse().ok().filter(|wanted| *wanted <= 20);
            style.decimals = Some(wanted.ok_or_else(|| format!("`{decimals}` is not a number of decimals"))?);
        }
        if let Some(thousands) = self.option("thousands") {
            style.thousands = thousands;
        }
        if let Some(decimal) = self.option("decimal") {
            style.decimal = decimal;
        }
        let text = self.text()?;
        let number = style.format(&text).ok_or_else(|| format!("`{text}` is not a number"))?;
        Ok(match (symbol, style.symbol_last) {
            ("", _) => number,
            (_, true) => format!("{number}\u{a0}{symbol}"),
            (_, false) if symbol.chars().all(char::is_alphabetic) => format!("{symbol}\u{a0}{number}"),
            (_, false) => match number.strip_prefix('-') {
                Some(number) => format!("-{symbol}{number}"),
                None => format!("{symbol}{number}"),
            },
        })
    }
}

/// A value that is one text; `None` for lists and groups.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn make_date(call: &Call<'_, '_>) -> Result<String, String> {
    let positional = call.helper.param(1).and_then(|pattern| scalar(pattern.value()));
    let pattern = positional.or_else(|| call.option("format")).unwrap_or_else(|| "%Y-%m-%d".into());
    format::date(&call.text()?, &pattern, call.option("zone").as_deref())
}

fn make_currency(call: &Call<'_, '_>) -> Result<String, String> {
    let symbol = call.helper.param(1).and_then(|symbol| scalar(symbol.value())).unwrap_or_default();
    let base = NumberStyle::of_locale("en").expect("`en` is known");
    call.number(NumberStyle { decimals: Some(2), ..base }, &symbol)
}

fn make_join(call: &Call<'_, '_>) -> Result<String, String> {
    let between = call.helper.param(1).and_then(|between| scalar(between.value()));
    let between = between.unwrap_or_else(|| ", ".into());
    match call.value {
        Value::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().filter(|item| !is_blank(item)).map(scalar).collect();
            texts
                .map(|texts| texts.join(&between))
                .ok_or_else(|| "`join` needs a list of plain values".into())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => call.text(),
    }
}

/// `(eq a b)`, `{{#eq a b}}` and the like. Columns of a CSV file are text: `(gt points 100)` compares numbers where
/// both sides can be read as one, and `(eq points 5)` where one side is one.
struct Comparison {
    test: Test,
}

impl HelperDef for Comparison {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let side = |at| helper.param(at).map_or(&Value::Null, |argument| argument.value());
        Ok(ScopedJson::Derived(Value::Bool((self.test)(side(0), side(1)))))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
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

fn equal(a: &Value, b: &Value) -> bool {
    if is_blank(a) || is_blank(b) {
        return is_blank(a) && is_blank(b);
    }
    if a == b {
        return true;
    }
    // Two texts are equal as texts only: the postcodes `07` and `7` differ.
    let one_is = |is: fn(&Value) -> bool| is(a) || is(b);
    if one_is(Value::is_number) {
        return compare(a, b).is_some_and(Ordering::is_eq);
    }
    one_is(Value::is_boolean) && scalar(a).zip(scalar(b)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b))
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    if is_blank(a) || is_blank(b) {
        return None;
    }
    if let (Some(a), Some(b)) = (as_integer(a), as_integer(b)) {
        return Some(a.cmp(&b));
    }
    match (as_number(a), as_number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (a, b) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => None,
        },
    }
}

/// Whole numbers are compared exactly, also where floating point could not tell them apart.
fn as_integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i128(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let text = text.trim();
            // Not `inf`, `nan` or `1e5x`.
            let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
            if numeric { text.parse().ok() } else { None }
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

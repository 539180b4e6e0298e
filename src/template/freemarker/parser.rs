//! Expressions to trees.

use std::sync::Arc;

use super::built_in::BuiltIn;
use super::escape::Format;
use super::lex::{Lexer, Token, Wrong, unescaped};
use super::names::{Names, Use};
use super::number::Decimal;
use super::tree::{At, BuiltInCall, Comparison, Expr, Macro, Name, Node, Operator, RangeKind, Special};

/// Operators in a row, or built-ins on a value: evaluating and dropping them nests as deeply.
const LONGEST: usize = 200;
/// The stack that a template's nesting may use.
const STACK_BYTES: usize = 384 * 1024;

/// What all files of a template have in common while they are parsed.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub names: Names,
    pub macros: Vec<Macro>,
    pub uses: Vec<Use>,
    /// The template reaches columns by computed names.
    pub whole_row: bool,
    /// The files, by number. The template itself is the first.
    pub files: Vec<Wanted>,
}

/// A file that a template includes or imports.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its name, from the templates' folder.
    pub name: String,
    /// It is text, not a template.
    pub verbatim: bool,
    /// Where it is asked for, where it must exist.
    pub needed: Option<At>,
}

/// A loop or block that its parts may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// `#list … as x`, with its variable.
    Loop(Name),
    /// `#list` that `#items` belongs into.
    List,
    Items(Name),
    Switch,
    Macro,
    Function,
}

/// Parses one file.
pub(super) struct Parser<'s> {
    pub shared: &'s mut Shared,
    pub file: u32,
    /// The format of the file's beginning must be escaped everywhere.
    pub must_escape: bool,
    pub lexer: Lexer<'s>,
    pub square: bool,
    pub format: Format,
    /// False after `auto_esc=false` in the header, and in `#noautoesc`.
    pub auto_esc: bool,
    /// What is around, the innermost last.
    pub around: Vec<Around>,
    /// Names of parameters and loop variables: no columns.
    pub locals: Vec<Name>,
    /// What `#escape` does, the innermost last.
    pub escapes: Vec<(Name, Arc<Expr>)>,
    pub attempts: usize,
    /// Where all expressions are said to be: in a string literal, which has no places of its own.
    pub fixed: Option<usize>,
    /// Where the stack was when parsing began.
    pub stack: usize,
}

/// About where the stack is.
pub(super) fn stack_now() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

type Parsed = Result<Expr, Wrong>;

impl Parser<'_> {
    pub(super) fn at(&self, byte: usize) -> At {
        At { file: self.file, byte: u32::try_from(self.fixed.unwrap_or(byte)).unwrap_or(u32::MAX) }
    }

    /// Refuses nesting that the stack does not hold.
    pub(super) fn depth(&self) -> Result<(), Wrong> {
        match self.stack.abs_diff(stack_now()) > STACK_BYTES {
            true => Err((self.lexer.at, "this is nested too deeply".to_owned())),
            false => Ok(()),
        }
    }

    /// Refuses the `count`th operator in a row.
    fn length(&self, count: usize) -> Result<(), Wrong> {
        match count > LONGEST {
            true => Err((self.lexer.at, "this expression is too long".to_owned())),
            false => Ok(()),
        }
    }

    /// Takes the next word if it is `symbol`.
    pub(super) fn takes(&mut self, symbol: &str) -> Result<bool, Wrong> {
        let found = self.lexer.peek()?.is(symbol);
        if found {
            self.lexer.next()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), Wrong> {
        let (at, token) = self.lexer.next()?;
        match token.is(symbol) {
            true => Ok(()),
            false => Err((at, format!("expected `{symbol}` before {}", shown(&token)))),
        }
    }

    pub(super) fn identifier(&mut self) -> Result<(usize, String), Wrong> {
        match self.lexer.next()? {
            (at, Token::Identifier(name)) => Ok((at, name)),
            (at, token) => Err((at, format!("expected a name instead of {}", shown(&token)))),
        }
    }

    /// An expression.
    pub(super) fn expression(&mut self) -> Parsed {
        self.depth()?;
        let mut left = self.and()?;
        for count in 0.. {
            self.length(count)?;
            let at = self.at(self.lexer.at);
            if !self.takes("||")? && !self.takes("|")? {
                return Ok(left);
            }
            left = Expr::Or { left: Box::new(left), right: Box::new(self.and()?), at };
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.equality()?;
        for count in 0.. {
            self.length(count)?;
            let at = self.at(self.lexer.at);
            let found =
                ["&&", "&", "&amp;&amp;", "\\and"].iter().any(|sign| self.takes(sign).unwrap_or(false));
            if !found {
                return Ok(left);
            }
            left = Expr::And { left: Box::new(left), right: Box::new(self.equality()?), at };
        }
        Ok(left)
    }

    fn equality(&mut self) -> Parsed {
        let left = self.relational()?;
        let comparison = match self.lexer.peek()? {
            Token::Symbol("==" | "=") => Comparison::Equal,
            Token::Symbol("!=") => Comparison::NotEqual,
            _ => return Ok(left),
        };
        self.compare(comparison, left, Self::relational)
    }

    fn relational(&mut self) -> Parsed {
        let left = self.range()?;
        let comparison = match self.lexer.peek()? {
            Token::Symbol("<" | "&lt;" | "\\lt") => Comparison::Less,
            Token::Symbol("<=" | "&lt;=" | "\\lte") => Comparison::LessOrEqual,
            Token::Symbol("&gt;" | "\\gt") => Comparison::Greater,
            Token::Symbol("&gt;=" | "\\gte") => Comparison::GreaterOrEqual,
            Token::Symbol(">") if !self.lexer.tag_end => Comparison::Greater,
            Token::Symbol(">=") if !self.lexer.tag_end => Comparison::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.compare(comparison, left, Self::range)
    }

    fn compare(&mut self, comparison: Comparison, left: Expr, right: fn(&mut Self) -> Parsed) -> Parsed {
        let (at, _) = self.lexer.next()?;
        let (left, right) = (Box::new(left), Box::new(right(self)?));
        Ok(Expr::Compare { comparison, left, right, at: self.at(at) })
    }

    fn range(&mut self) -> Parsed {
        let start = self.additive()?;
        let kind = match self.lexer.peek()? {
            Token::Symbol("..") => RangeKind::Inclusive,
            Token::Symbol("..<" | "..!") => RangeKind::Exclusive,
            Token::Symbol("..*") => RangeKind::Length,
            _ => return Ok(start),
        };
        let (at, _) = self.lexer.next()?;
        let at = self.at(at);
        let start = Box::new(start);
        if kind == RangeKind::Inclusive && !self.begins_expression()? {
            return Ok(Expr::Range { start, end: None, kind: RangeKind::Open, at });
        }
        Ok(Expr::Range { start, end: Some(Box::new(self.additive()?)), kind, at })
    }

    /// Whether the next word can begin an expression.
    fn begins_expression(&self) -> Result<bool, Wrong> {
        let mut ahead = self.lexer;
        Ok(match ahead.next()?.1 {
            Token::Identifier(name) => match name.as_str() {
                "in" | "as" | "using" => false,
                // `<@m a=x! b=2>`: the next argument.
                _ => !self.lexer.tag_end || !ahead.peek()?.is("="),
            },
            Token::Text(..) | Token::Number(_) => true,
            Token::Symbol(symbol) => {
                matches!(symbol, "(" | "[" | "{" | "." | "-" | "+" | "!") && !(self.square && symbol == "]")
            }
            Token::End => false,
        })
    }

    fn additive(&mut self) -> Parsed {
        let mut left = self.multiplicative()?;
        for count in 0.. {
            self.length(count)?;
            let operator = match self.lexer.peek()? {
                Token::Symbol("+") => Operator::Add,
                Token::Symbol("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            let (at, _) = self.lexer.next()?;
            let right = Box::new(self.multiplicative()?);
            left = Expr::Arithmetic { operator, left: Box::new(left), right, at: self.at(at) };
        }
        Ok(left)
    }

    fn multiplicative(&mut self) -> Parsed {
        let mut left = self.unary()?;
        for count in 0.. {
            self.length(count)?;
            let operator = match self.lexer.peek()? {
                Token::Symbol("*") => Operator::Multiply,
                Token::Symbol("/") => Operator::Divide,
                Token::Symbol("%") => Operator::Modulo,
                _ => return Ok(left),
            };
            let (at, _) = self.lexer.next()?;
            let right = Box::new(self.unary()?);
            left = Expr::Arithmetic { operator, left: Box::new(left), right, at: self.at(at) };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        self.depth()?;
        let sign = match self.lexer.peek()? {
            Token::Symbol(sign @ ("!" | "-" | "+")) => sign,
            _ => return self.primary(),
        };
        let (at, _) = self.lexer.next()?;
        let at = self.at(at);
        if sign == "!" {
            return Ok(Expr::Not { value: Box::new(self.unary()?), at });
        }
        let value = Box::new(self.primary()?);
        Ok(if sign == "-" { Expr::Negative { value, at } } else { Expr::Positive { value, at } })
    }

    /// A value and what follows it: members, arguments, built-ins, defaults.
    pub(super) fn primary(&mut self) -> Parsed {
        let first_use = self.shared.uses.len();
        let mut value = self.atom()?;
        for count in 0.. {
            self.length(count)?;
            let before = self.lexer;
            let (at, token) = self.lexer.next()?;
            let place = self.at(at);
            value = match token {
                Token::Symbol(".") => {
                    let key = match self.lexer.next()? {
                        (_, Token::Identifier(name)) => name,
                        (_, Token::Symbol("&gt;")) => "gt".to_owned(),
                        (_, Token::Symbol("&lt;")) => "lt".to_owned(),
                        (at, token) => {
                            return Err((at, format!("expected a name instead of {}", shown(&token))));
                        }
                    };
                    self.member(value, key, place)
                }
                Token::Symbol("[") if !(self.square && self.lexer.text[..at].ends_with([' ', '\n'])) => {
                    self.index(value, place)?
                }
                Token::Symbol("(") => {
                    let arguments = self.arguments()?;
                    if matches!(
                        value,
                        Expr::Text(_) | Expr::Number(_) | Expr::Bool(_) | Expr::List(_) | Expr::Hash(_)
                    ) {
                        return Err((at, "this can't be called".to_owned()));
                    }
                    Expr::Call { callee: Box::new(value), arguments, at: place }
                }
                Token::Symbol("?") => self.built_in(value, first_use)?,
                Token::Symbol("??") => {
                    self.tested(&value, first_use);
                    Expr::Exists(Box::new(value))
                }
                Token::Symbol("!") => {
                    self.tested(&value, first_use);
                    let otherwise =
                        if self.begins_expression()? { Some(Box::new(self.expression()?)) } else { None };
                    Expr::Default { value: Box::new(value), otherwise, at: place }
                }
                _ => {
                    self.lexer = before;
                    return Ok(value);
                }
            };
        }
        Ok(value)
    }

    /// The columns of `value` may be missing.
    fn tested(&mut self, value: &Expr, first_use: usize) {
        if matches!(value, Expr::Variable { .. } | Expr::Parenthesis(_)) {
            for used in &mut self.shared.uses[first_use..] {
                used.tested = true;
            }
        }
    }

    fn member(&mut self, mut of: Expr, key: String, at: At) -> Expr {
        if let Some(arguments) = format_of(&mut of) {
            *arguments = Some(vec![Expr::Text(key)]);
            return of;
        }
        if let Expr::Special { special, .. } = of
            && matches!(special, Special::Vars | Special::DataModel | Special::Globals)
        {
            let name = self.shared.names.number(&key);
            self.shared.uses.push(Use { name, at, tested: true, first: true });
        }
        Expr::Member { of: Box::new(of), key, at }
    }

    fn index(&mut self, mut of: Expr, at: At) -> Parsed {
        let tag_end = std::mem::replace(&mut self.lexer.tag_end, false);
        let index = self.expression()?;
        self.expect("]")?;
        self.lexer.tag_end = tag_end;
        if let Expr::Text(key) = index {
            return Ok(self.member(of, key, at));
        }
        if let Some(arguments) = format_of(&mut of) {
            *arguments = Some(vec![index]);
            return Ok(of);
        }
        if matches!(of, Expr::Special { special: Special::Vars | Special::DataModel | Special::Globals, .. })
        {
            self.shared.whole_row = true;
        }
        Ok(Expr::Index { of: Box::new(of), index: Box::new(index), at })
    }

    /// What stands in parentheses, the first of which is taken.
    fn arguments(&mut self) -> Result<Vec<Expr>, Wrong> {
        let tag_end = std::mem::replace(&mut self.lexer.tag_end, false);
        let mut arguments = Vec::new();
        while !self.takes(")")? {
            arguments.push(self.argument()?);
            self.takes(",")?;
        }
        self.lexer.tag_end = tag_end;
        Ok(arguments)
    }

    /// An expression, or a lambda.
    fn argument(&mut self) -> Parsed {
        let mut ahead = self.lexer;
        let (at, first) = ahead.next()?;
        let parameter = match first {
            Token::Identifier(name) if ahead.peek()?.is("->") => name,
            Token::Symbol("(") => {
                let mut names = Vec::new();
                loop {
                    match ahead.next()?.1 {
                        Token::Identifier(name) => names.push(name),
                        Token::Symbol(",") => {}
                        Token::Symbol(")") if ahead.peek()?.is("->") => break,
                        _ => return self.expression(),
                    }
                }
                match names.len() {
                    1 => names.remove(0),
                    _ => return Err((at, "a lambda has one parameter".to_owned())),
                }
            }
            _ => return self.expression(),
        };
        ahead.next()?;
        self.lexer = ahead;
        let parameter = self.shared.names.number(&parameter);
        if self.escapes.iter().any(|(name, _)| *name == parameter) {
            return Err((at, "this parameter has the name of `#escape`".to_owned()));
        }
        self.locals.push(parameter);
        let body = self.expression()?;
        self.locals.pop();
        Ok(Expr::Lambda { parameter, body: Box::new(body) })
    }

    fn built_in(&mut self, target: Expr, first_use: usize) -> Parsed {
        let (at, name) = self.identifier()?;
        let (built_in, fewest, most) = BuiltIn::find(&name).map_err(|problem| (at, problem))?;
        let lenient = [BuiltIn::Default, BuiltIn::Exists, BuiltIn::IfExists, BuiltIn::HasContent];
        if lenient.contains(&built_in) {
            self.tested(&target, first_use);
        }
        let loops = [
            BuiltIn::Index,
            BuiltIn::Counter,
            BuiltIn::HasNext,
            BuiltIn::IsFirst,
            BuiltIn::IsLast,
            BuiltIn::IsEvenItem,
            BuiltIn::IsOddItem,
            BuiltIn::ItemParity,
            BuiltIn::ItemParityCap,
            BuiltIn::ItemCycle,
        ];
        let of_loop = matches!(&target, Expr::Variable { name, .. } if self.is_loop_variable(*name));
        if loops.contains(&built_in) && !of_loop {
            return Err((at, format!("`?{name}` is for the variable of a loop around it")));
        }
        let escapes = self.auto_esc && self.format.is_markup();
        if escapes && matches!(built_in, BuiltIn::Html | BuiltIn::Xhtml | BuiltIn::Xml | BuiltIn::Rtf) {
            return Err((
                at,
                format!("`?{name}` would escape twice: {} is escaped automatically", self.format.name()),
            ));
        }
        if !self.format.is_markup() && matches!(built_in, BuiltIn::Esc | BuiltIn::NoEsc) {
            return Err((at, format!("`?{name}` needs an output format such as HTML")));
        }
        let arguments = if most > 0 && self.takes("(")? { Some(self.arguments()?) } else { None };
        if let Some(arguments) = &arguments {
            let count = arguments.len();
            if count < fewest || count > most {
                return Err((at, format!("`?{name}` can't take {count} arguments")));
            }
        }
        let immediate = [
            BuiltIn::Then,
            BuiltIn::Switch,
            BuiltIn::Map,
            BuiltIn::Filter,
            BuiltIn::TakeWhile,
            BuiltIn::DropWhile,
        ];
        if arguments.is_none() && immediate.contains(&built_in) {
            return Err((at, format!("`?{name}` needs arguments")));
        }
        Ok(Expr::BuiltIn(Box::new(BuiltInCall {
            built_in,
            target,
            arguments,
            format: self.format,
            at: self.at(at),
        })))
    }

    fn atom(&mut self) -> Parsed {
        let (at, token) = self.lexer.next()?;
        match token {
            Token::Number(text) => Decimal::parse(&text)
                .map(Expr::Number)
                .ok_or_else(|| (at, "this number has too many digits".to_owned())),
            Token::Text(text, true) => Ok(Expr::Text(text)),
            Token::Text(text, false) => self.literal(&text, at),
            Token::Symbol("(") => {
                let tag_end = std::mem::replace(&mut self.lexer.tag_end, false);
                let value = self.expression()?;
                self.expect(")")?;
                self.lexer.tag_end = tag_end;
                Ok(Expr::Parenthesis(Box::new(value)))
            }
            Token::Symbol("[") => {
                let mut items = Vec::new();
                while !self.takes("]")? {
                    items.push(self.expression()?);
                    self.takes(",")?;
                }
                Ok(Expr::List(items))
            }
            Token::Symbol("{") => {
                let mut entries = Vec::new();
                while !self.takes("}")? {
                    let key = self.expression()?;
                    let (at, sign) = self.lexer.next()?;
                    if !sign.is(":") && !sign.is(",") {
                        return Err((at, format!("expected `:` before {}", shown(&sign))));
                    }
                    entries.push((key, self.expression()?));
                    self.takes(",")?;
                }
                Ok(Expr::Hash(entries))
            }
            Token::Symbol(".") => self.special(),
            Token::Identifier(name) => match name.as_str() {
                "true" => Ok(Expr::Bool(true)),
                "false" => Ok(Expr::Bool(false)),
                "in" | "as" | "using" => Err((at, format!("`{name}` does not belong here"))),
                _ => Ok(self.variable(&name, at)),
            },
            token @ (Token::Symbol(_) | Token::End) => {
                Err((at, format!("expected a value instead of {}", shown(&token))))
            }
        }
    }

    pub(super) fn variable(&mut self, name: &str, at: usize) -> Expr {
        let at = self.at(at);
        let counted = [("_index", BuiltIn::Index), ("_has_next", BuiltIn::HasNext)];
        for (suffix, built_in) in counted {
            let of = name.strip_suffix(suffix).and_then(|name| self.shared.names.find(name));
            if let Some(name) = of.filter(|name| self.is_loop_variable(*name)) {
                let target = Expr::Variable { name, at };
                let call = BuiltInCall { built_in, target, arguments: None, format: self.format, at };
                return Expr::BuiltIn(Box::new(call));
            }
        }
        let name = self.shared.names.number(name);
        if !self.locals.contains(&name) && !self.escapes.iter().any(|(own, _)| *own == name) {
            let in_macro =
                self.around.iter().any(|around| matches!(around, Around::Macro | Around::Function));
            let first = !in_macro && !self.shared.names.is_assigned(name);
            self.shared.uses.push(Use { name, at, tested: self.attempts > 0, first });
        }
        Expr::Variable { name, at }
    }

    fn is_loop_variable(&self, name: Name) -> bool {
        let inner =
            self.around.iter().rev().take_while(|around| !matches!(around, Around::Macro | Around::Function));
        inner
            .into_iter()
            .any(|around| matches!(around, Around::Loop(own) | Around::Items(own) if *own == name))
    }

    fn special(&mut self) -> Parsed {
        let (at, name) = self.identifier()?;
        let snake = super::built_in::snake_case(&name);
        let special = match snake.as_str() {
            "vars" => Special::Vars,
            "main" => Special::Main,
            "namespace" => Special::Namespace,
            "globals" => Special::Globals,
            "data_model" => Special::DataModel,
            "locals" => Special::Locals,
            "error" => Special::Error,
            "locale" => Special::Locale,
            "lang" => Special::Lang,
            "template_name" | "main_template_name" | "current_template_name" => Special::TemplateName,
            "output_format" => Special::OutputFormat(self.format),
            "auto_esc" => Special::AutoEsc(self.auto_esc && self.format.is_markup()),
            "version" => Special::Version,
            "url_escaping_charset" | "output_encoding" => Special::UrlCharset,
            "now" => {
                let problem = "`.now` is not known: a letter is the same whenever it is made; use a column or `[template.defaults]`";
                return Err((at, problem.to_owned()));
            }
            "args"
            | "caller_template_name"
            | "current_node"
            | "get_optional_template"
            | "incompatible_improvements"
            | "node"
            | "pass" => {
                return Err((at, format!("`.{name}` is a feature of FreeMarker that letters can't use")));
            }
            _ => return Err((at, format!("`.{name}` is not a special variable"))),
        };
        let is_call = |symbol: &str| self.lexer.peek().is_ok_and(|token| token.is(symbol));
        if matches!(special, Special::Vars | Special::DataModel | Special::Globals)
            && !is_call(".")
            && !is_call("[")
        {
            self.shared.whole_row = true;
        }
        Ok(Expr::Special { special, at: self.at(at) })
    }

    /// A string literal, with its interpolations.
    fn literal(&mut self, raw: &str, at: usize) -> Parsed {
        let (text, escaped) = unescaped(raw).map_err(|(_, problem)| (at, problem))?;
        if text.chars().count() <= 3 {
            return Ok(Expr::Text(text));
        }
        let mut parts = Vec::new();
        let mut plain = 0;
        let mut search = 0;
        let outer = self.fixed;
        let opens =
            |from: usize| text.as_bytes()[from..].windows(2).position(|pair| matches!(pair, b"${" | b"#{"));
        while let Some(found) = opens(search) {
            let open = search + found;
            if escaped.contains(&(open + 1)) {
                search = open + 2;
                continue;
            }
            if plain < open {
                parts.push(Node::Text(text[plain..open].to_owned()));
            }
            let (value, end) = self.inside(&text, open + 2, at)?;
            let number = text[open..].starts_with('#');
            let place = self.at(at);
            parts.push(match number {
                true => Node::PrintNumber { value, digits: None, at: place },
                false => Node::Print {
                    value: self.escape_value(value),
                    format: Format::Undefined,
                    escape: false,
                    at: place,
                },
            });
            (plain, search) = (end, end);
        }
        self.fixed = outer;
        if parts.is_empty() {
            return Ok(Expr::Text(text));
        }
        if plain < text.len() {
            parts.push(Node::Text(text[plain..].to_owned()));
        }
        Ok(Expr::Joined(parts))
    }

    /// An expression in a string literal, and where its `}` ends.
    fn inside(&mut self, text: &str, at: usize, literal: usize) -> Result<(Expr, usize), Wrong> {
        let place = self.fixed.unwrap_or(literal);
        let lexer = Lexer { text, at, tag_end: false };
        let mut inner = Parser {
            shared: &mut *self.shared,
            file: self.file,
            must_escape: self.must_escape,
            lexer,
            square: self.square,
            format: self.format,
            auto_esc: self.auto_esc,
            around: self.around.clone(),
            locals: self.locals.clone(),
            escapes: self.escapes.clone(),
            attempts: self.attempts,
            fixed: Some(place),
            stack: self.stack,
        };
        let parsed = inner.expression().and_then(|value| inner.expect("}").map(|()| (value, inner.lexer.at)));
        parsed.map_err(|(_, problem)| (place, problem))
    }

    /// `value` as the `#escape`s around it make it, the innermost first.
    pub(super) fn escape_value(&self, value: Expr) -> Expr {
        self.escapes.iter().rev().fold(value, |value, (name, body)| Expr::Escaped {
            name: *name,
            value: Box::new(value),
            body: Arc::clone(body),
        })
    }
}

/// Where the format of `x?string.short` and `x?string["0.00"]` goes.
fn format_of(expr: &mut Expr) -> Option<&mut Option<Vec<Expr>>> {
    match expr {
        Expr::BuiltIn(call) if call.built_in == BuiltIn::String && call.arguments.is_none() => {
            Some(&mut call.arguments)
        }
        _ => None,
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Identifier(text) | Token::Number(text) => format!("`{text}`"),
        Token::Text(text, _) => format!("`\"{text}\"`"),
        Token::Symbol(symbol) => format!("`{symbol}`"),
        Token::End => "the end".to_owned(),
    }
}

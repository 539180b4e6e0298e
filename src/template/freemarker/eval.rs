//! Evaluates expressions.

use std::cmp::Ordering;
use std::rc::Rc;

use super::escape::Format;
use super::number::{Decimal, TooLarge};
use super::run::{Flow, Res, Run, Scope, ScopeKind, Trouble, What, placed, problem};
use super::tree::{At, Comparison, Expr, Name, Node, Operator, RangeKind, Special};
use super::value::{Markup, Range, Space, Text, Value};

impl<'a> Run<'a> {
    /// The value of an expression, which must have one.
    pub(super) fn value(&mut self, expr: &'a Expr, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        match self.eval(expr, scope)? {
            Value::Nothing => Err(self.missing(expr)),
            value => Ok(value),
        }
    }

    pub(super) fn missing(&self, expr: &Expr) -> Box<Trouble> {
        Box::new(Trouble { what: What::Missing(self.described(expr)), at: place(expr) })
    }

    /// `a.b`, as the template has it.
    fn described(&self, expr: &Expr) -> String {
        match expr {
            Expr::Variable { name, .. } => self.names.text(*name).to_owned(),
            Expr::Member { of, key, .. } => format!("{}.{key}", self.described(of)),
            Expr::Index { of, index, .. } => format!("{}[{}]", self.described(of), self.described(index)),
            Expr::Parenthesis(inner) => self.described(inner),
            Expr::Call { callee, .. } => format!("{}(…)", self.described(callee)),
            Expr::BuiltIn(call) => format!("{}?{}", self.described(&call.target), call.built_in.name()),
            Expr::Escaped { value, .. } => self.described(value),
            Expr::Number(number) => number.to_string(),
            Expr::Text(text) => format!("\"{text}\""),
            Expr::Special { .. } => ".…".to_owned(),
            _ => "…".to_owned(),
        }
    }

    /// The value of an expression, or [`Value::Nothing`].
    pub(super) fn eval(&mut self, expr: &'a Expr, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        self.enter()?;
        match expr {
            Expr::Variable { name, at } => placed(self.variable(*name, scope), *at),
            Expr::Text(text) => Ok(Value::Text(Text::Borrowed(text))),
            Expr::Number(number) => Ok(Value::Number(*number)),
            Expr::Bool(value) => Ok(Value::Bool(*value)),
            Expr::Member { of, key, at } => {
                let of = self.value(of, scope)?;
                placed(self.member(&of, key, scope), *at)
            }
            Expr::BuiltIn(call) => placed(self.call_built_in(call, scope), call.at),
            Expr::Parenthesis(inner) => self.eval(inner, scope),
            Expr::Default { value, otherwise, .. } => self.default(value, otherwise.as_deref(), scope),
            Expr::Exists(value) => Ok(Value::Bool(!matches!(self.lenient(value, scope)?, Value::Nothing))),
            Expr::And { left, right, .. } => {
                Ok(Value::Bool(self.truth(left, scope)? && self.truth(right, scope)?))
            }
            Expr::Or { left, right, .. } => {
                Ok(Value::Bool(self.truth(left, scope)? || self.truth(right, scope)?))
            }
            Expr::Not { value, .. } => Ok(Value::Bool(!self.truth(value, scope)?)),
            Expr::Compare { comparison, left, right, at } => {
                let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
                placed(self.compare(*comparison, &left, &right), *at).map(Value::Bool)
            }
            Expr::Arithmetic { operator, left, right, at } => {
                let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
                placed(self.operate(*operator, left, right), *at)
            }
            Expr::Negative { value, at } => Ok(Value::Number(self.number(value, scope, *at)?.negated())),
            Expr::Positive { value, at } => Ok(Value::Number(self.number(value, scope, *at)?)),
            Expr::List(items) => self.list_of(items, scope),
            Expr::Hash(entries) => self.hash_of(entries, scope),
            Expr::Joined(parts) => self.joined(parts, scope),
            Expr::Index { of, index, at } => {
                let of = self.value(of, scope)?;
                let index = self.value(index, scope)?;
                placed(self.index(&of, &index, scope), *at)
            }
            Expr::Call { callee, arguments, at } => self.call(callee, arguments, scope, *at),
            Expr::Range { start, end, kind, at } => self.range(start, end.as_deref(), *kind, scope, *at),
            Expr::Special { special, at } => placed(self.special(*special), *at),
            Expr::Lambda { .. } => {
                problem("a lambda stands in the arguments of `?map`, `?filter` and the like")
            }
            Expr::Escaped { name, value, body } => self.escaped(*name, value, body, scope),
        }
    }

    /// As [`Run::eval`]; what stands in parentheses may have no value anywhere.
    pub(super) fn lenient(&mut self, expr: &'a Expr, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        match (self.eval(expr, scope), expr) {
            (Err(trouble), Expr::Parenthesis(_)) if matches!(trouble.what, What::Missing(_)) => {
                Ok(Value::Nothing)
            }
            (result, _) => result,
        }
    }

    fn default(
        &mut self,
        value: &'a Expr,
        otherwise: Option<&'a Expr>,
        scope: &Scope<'_, 'a>,
    ) -> Res<Value<'a>> {
        match (self.lenient(value, scope)?, otherwise) {
            (Value::Nothing, Some(otherwise)) => self.eval(otherwise, scope),
            (Value::Nothing, None) => Ok(Value::Text(Text::Borrowed(""))),
            (value, _) => Ok(value),
        }
    }

    fn escaped(
        &mut self,
        name: Name,
        value: &'a Expr,
        body: &'a Expr,
        scope: &Scope<'_, 'a>,
    ) -> Res<Value<'a>> {
        let inner = self.eval(value, scope)?;
        let missing = matches!(inner, Value::Nothing);
        let around = Scope::new(Some(scope), ScopeKind::Plain);
        around.set(name, inner);
        let result = self.eval(body, &around);
        match &result {
            Err(trouble) if missing && matches!(trouble.what, What::Missing(_)) => Err(self.missing(value)),
            _ => result,
        }
    }

    pub(super) fn truth(&mut self, expr: &'a Expr, scope: &Scope<'_, 'a>) -> Res<bool> {
        match self.value(expr, scope)? {
            Value::Bool(value) => Ok(value),
            Value::Matches(matches) => Ok(matches.whole),
            other => {
                let result = problem(format!("expected true or false instead of {}", other.kind()));
                match place(expr) {
                    Some(at) => placed(result, at),
                    None => result,
                }
            }
        }
    }

    fn number(&mut self, expr: &'a Expr, scope: &Scope<'_, 'a>, at: At) -> Res<Decimal> {
        let value = self.value(expr, scope)?;
        placed(number(&value), at)
    }

    fn list_of(&mut self, items: &'a [Expr], scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let items = items.iter().map(|item| self.value(item, scope)).collect::<Res<Vec<_>>>()?;
        self.list(items)
    }

    fn hash_of(&mut self, entries: &'a [(Expr, Expr)], scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.value(key, scope)?;
            let Value::Text(key) = key else {
                return problem(format!("the key of a hash is a string, not {}", key.kind()));
            };
            pairs.push((key, self.value(value, scope)?));
        }
        self.hash(pairs.into_iter())
    }

    /// A string literal with interpolations. Markup in it makes it markup.
    fn joined(&mut self, parts: &'a [Node], scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let mut whole = Value::Text(Text::Borrowed(""));
        for part in parts {
            let value = match part {
                Node::Text(text) => Value::Text(Text::Borrowed(text)),
                Node::Print { value, at, .. } => {
                    let value = self.value(value, scope)?;
                    match value {
                        Value::Markup(_) => value,
                        value => Value::made(placed(self.shown(&value), *at)?),
                    }
                }
                Node::PrintNumber { value, digits, at } => {
                    let value = self.value(value, scope)?;
                    let number = placed(number(&value), *at)?;
                    Value::made(self.fixed(number, *digits))
                }
                _ => continue,
            };
            whole = self.operate(Operator::Add, whole, value)?;
        }
        Ok(whole)
    }

    /// `of.key`
    pub(super) fn member(&mut self, of: &Value<'a>, key: &str, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        match of {
            Value::Hash(hash) => Ok(hash.get(key).cloned().unwrap_or(Value::Nothing)),
            Value::Space(space) => self.in_space(*space, key, scope),
            Value::Text(_) if key == "length" => problem("a string has no `.length`; write `?length`"),
            other => problem(format!("`.{key}` needs a hash instead of {}", other.kind())),
        }
    }

    fn in_space(&mut self, space: Space, key: &str, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let Some(name) = self.names.find(key) else {
            return match space {
                Space::Locals | Space::Namespace(_) => Ok(Value::Nothing),
                Space::All | Space::Globals | Space::Data => self.looked_up(key),
            };
        };
        let number = name.0 as usize;
        match space {
            Space::All => self.variable(name, scope),
            Space::Locals => Ok(scope.get(name).unwrap_or(Value::Nothing)),
            Space::Namespace(space) => Ok(self.spaces[space][number].clone().unwrap_or(Value::Nothing)),
            Space::Data => self.column(name),
            Space::Globals => match self.globals.get(number).and_then(Clone::clone) {
                Some(value) => Ok(value),
                None => self.column(name),
            },
        }
    }

    /// `of[index]`
    fn index(&mut self, of: &Value<'a>, index: &Value<'a>, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        match index {
            Value::Range(range) => self.slice(of, *range),
            Value::Number(number) => {
                let at = number.whole().and_then(|at| usize::try_from(at).ok());
                match of {
                    Value::List(list) => {
                        Ok(at.and_then(|at| list.items.get(at)).cloned().unwrap_or(Value::Nothing))
                    }
                    Value::Matches(matches) => {
                        Ok(at.and_then(|at| matches.places.items.get(at)).cloned().unwrap_or(Value::Nothing))
                    }
                    Value::Range(range) => Ok(match at.map(|at| at as u64) {
                        Some(at) if range.length.is_none_or(|length| at < length) => {
                            Value::Number(Decimal::from(range.at(at)))
                        }
                        _ => Value::Nothing,
                    }),
                    other => {
                        let text = self.shown(other)?.into_owned();
                        self.steps(text.len() / 8)?;
                        let units: Vec<u16> = text.encode_utf16().collect();
                        match at.and_then(|at| units.get(at)) {
                            Some(unit) => self.text(String::from_utf16_lossy(&[*unit])),
                            None => problem(format!(
                                "there is no character {number} in a string of {}",
                                units.len()
                            )),
                        }
                    }
                }
            }
            key => {
                let key = self.shown(key)?;
                self.member(of, &key, scope)
            }
        }
    }

    /// `of[a..b]`
    fn slice(&mut self, of: &Value<'a>, range: Range) -> Res<Value<'a>> {
        let items = match of {
            Value::List(list) => Some(list.items.clone()),
            Value::Range(_) => Some(self.collect(of)?),
            Value::Matches(matches) => Some(matches.places.items.clone()),
            _ => None,
        };
        let units: Vec<u16> = match &items {
            Some(_) => Vec::new(),
            None => self.shown(of)?.encode_utf16().collect(),
        };
        let size = items.as_ref().map_or(units.len(), Vec::len);
        self.steps(size)?;
        let wrong = || problem(format!("the range does not fit {size} items"));
        if range.length == Some(0) {
            return if items.is_some() { self.list(Vec::new()) } else { Ok(Value::Text(Text::Borrowed(""))) };
        }
        let Ok(start) = usize::try_from(range.start) else { return wrong() };
        let allowed = if range.kind == RangeKind::Length || range.length.is_none() {
            size
        } else {
            size.wrapping_sub(1)
        };
        if start > allowed || size == 0 && allowed != size {
            return wrong();
        }
        let mut length = match range.length {
            None => size - start,
            Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
        };
        if range.down {
            // A string's range may go one character back: it is empty then.
            if items.is_none() {
                let empty = length == 2 && range.kind == RangeKind::Inclusive;
                return if empty {
                    Ok(Value::Text(Text::Borrowed("")))
                } else {
                    problem("a string can't be read backwards")
                };
            }
            if start >= size {
                return wrong();
            }
            if length > start + 1 {
                if range.kind != RangeKind::Length {
                    return wrong();
                }
                length = start + 1;
            }
            let items = items.unwrap_or_default();
            let items = (0..length).map(|back| items[start - back].clone()).collect();
            return self.list(items);
        }
        if length > size - start {
            if range.kind != RangeKind::Length {
                return wrong();
            }
            length = size - start;
        }
        match items {
            Some(items) => self.list(items[start..start + length].to_vec()),
            None => self.text(String::from_utf16_lossy(&units[start..start + length])),
        }
    }

    fn range(
        &mut self,
        start: &'a Expr,
        end: Option<&'a Expr>,
        kind: RangeKind,
        scope: &Scope<'_, 'a>,
        at: At,
    ) -> Res<Value<'a>> {
        let whole = |number: Decimal| i64::try_from(number.truncated()).unwrap_or(i64::MAX / 2);
        let start = whole(self.number(start, scope, at)?);
        let end = match end {
            Some(end) => whole(self.number(end, scope, at)?),
            None => return Ok(Value::Range(Range { start, length: None, down: false, kind })),
        };
        let (length, down) = match kind {
            RangeKind::Inclusive | RangeKind::Open => (end.abs_diff(start).saturating_add(1), end < start),
            RangeKind::Exclusive => (end.abs_diff(start), end < start),
            RangeKind::Length => (end.unsigned_abs(), end < 0),
        };
        Ok(Value::Range(Range { start, length: Some(length), down, kind }))
    }

    fn special(&mut self, special: Special) -> Res<Value<'a>> {
        Ok(match special {
            Special::Vars => Value::Space(Space::All),
            Special::Main => Value::Space(Space::Namespace(0)),
            Special::Namespace => Value::Space(Space::Namespace(self.space)),
            Special::Globals => Value::Space(Space::Globals),
            Special::DataModel => Value::Space(Space::Data),
            Special::Locals => Value::Space(Space::Locals),
            Special::Error => match self.errors.last().cloned() {
                Some(error) => self.text(error)?,
                None => return problem("`.error` is for `#recover`"),
            },
            Special::Locale => Value::made(self.settings.locale.name()),
            Special::Lang => Value::Text(Text::Borrowed(self.settings.locale.language_code())),
            Special::TemplateName => {
                Value::Text(Text::Borrowed(self.program.units[0].as_ref().map_or("", |unit| &unit.name)))
            }
            Special::OutputFormat(format) => Value::Text(Text::Borrowed(format.name())),
            Special::AutoEsc(escapes) => Value::Bool(escapes),
            Special::Version => Value::Text(Text::Borrowed("2.3.31")),
            Special::UrlCharset => Value::Text(Text::Borrowed("UTF-8")),
        })
    }

    /// Calls a function or a waiting built-in.
    fn call(
        &mut self,
        callee: &'a Expr,
        arguments: &'a [Expr],
        scope: &Scope<'_, 'a>,
        at: At,
    ) -> Res<Value<'a>> {
        let callee = self.value(callee, scope)?;
        let arguments =
            arguments.iter().map(|argument| self.eval(argument, scope)).collect::<Res<Vec<_>>>()?;
        placed(self.call_value(&callee, arguments), at)
    }

    /// Calls `callee` with values.
    pub(super) fn call_value(&mut self, callee: &Value<'a>, arguments: Vec<Value<'a>>) -> Res<Value<'a>> {
        match callee {
            Value::Macro { number, space } if self.program.macros[*number].is_function => {
                let arguments = arguments.into_iter().map(|value| (None, value)).collect();
                let kept = self.out.len();
                let flow = self.invoke(*number, *space, arguments, None)?;
                self.out.truncate(kept);
                Ok(match flow {
                    Flow::Return(value) => value,
                    Flow::Next | Flow::Break | Flow::Continue => Value::Nothing,
                })
            }
            Value::Method(method) => {
                let method = Rc::clone(method);
                self.apply(method.built_in, method.target.clone(), &arguments, method.format)
            }
            other => problem(format!("{} can't be called as a function", other.kind())),
        }
    }

    /// `left + right` and the like.
    pub(super) fn operate(
        &mut self,
        operator: Operator,
        left: Value<'a>,
        right: Value<'a>,
    ) -> Res<Value<'a>> {
        if let (Value::Number(left), Value::Number(right)) = (&left, &right) {
            return arithmetic(operator, *left, *right).map(Value::Number);
        }
        if operator != Operator::Add {
            let wrong = if matches!(left, Value::Number(_)) { &right } else { &left };
            return problem(format!("expected a number instead of {}", wrong.kind()));
        }
        let is_list =
            |value: &Value<'_>| matches!(value, Value::List(_) | Value::Range(_) | Value::Matches(_));
        match (&left, &right) {
            (Value::Hash(one), Value::Hash(other)) => {
                let entries: Vec<_> = one.entries.iter().chain(&other.entries).cloned().collect();
                self.hash(entries.into_iter())
            }
            (Value::Markup(one), other) | (other, Value::Markup(one)) => {
                let other = self.as_markup(other, one.format)?;
                let (first, second) =
                    if matches!(left, Value::Markup(_)) { (one, &other) } else { (&other, one) };
                let markup = format!("{}{}", first.markup, second.markup);
                self.steps(markup.len() / 8)?;
                Ok(Value::Markup(Rc::new(Markup { format: one.format, markup, plain: None })))
            }
            _ if is_list(&left) && is_list(&right) => {
                let mut items = self.collect(&left)?;
                items.extend(self.collect(&right)?);
                self.list(items)
            }
            _ => {
                let mut text = self.shown(&left)?.into_owned();
                text.push_str(&self.shown(&right)?);
                self.text(text)
            }
        }
    }

    /// `value` as markup of `format`.
    pub(super) fn as_markup(&mut self, value: &Value<'a>, format: Format) -> Res<Rc<Markup>> {
        if let Value::Markup(markup) = value {
            if markup.format == format {
                return Ok(Rc::clone(markup));
            }
            let Some(plain) = &markup.plain else {
                return problem(format!("{} can't become {}", markup.format.name(), format.name()));
            };
            return Ok(Rc::new(Markup {
                format,
                markup: escaped(plain, format),
                plain: Some(plain.clone()),
            }));
        }
        let plain = self.shown(value)?.into_owned();
        self.steps(plain.len() / 8)?;
        Ok(Rc::new(Markup { format, markup: escaped(&plain, format), plain: Some(plain) }))
    }

    /// Compares values of the same kind.
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Res<bool> {
        if let (Value::Text(left), Value::Text(right)) = (left, right) {
            self.steps(left.len().min(right.len()) / 64)?;
        }
        let text = |value: &Value<'_>| match value {
            Value::Text(text) => Some(text.to_string()),
            Value::Match(found) => Some(found.text.to_string()),
            _ => None,
        };
        let ordering = match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.cmp(right),
            (Value::Moment(left), Value::Moment(right)) => match left.kind == right.kind {
                true => left.utc.cmp(&right.utc),
                false => return problem("a day, a time and a moment can't be compared with each other"),
            },
            (Value::Text(left), Value::Text(right)) if is_equality(comparison) => equal(**left == **right),
            (Value::Bool(left), Value::Bool(right)) if is_equality(comparison) => equal(left == right),
            _ => match (text(left), text(right)) {
                (Some(left), Some(right)) if is_equality(comparison) => equal(left == right),
                _ => {
                    return problem(format!(
                        "{} can't be compared with {} this way",
                        left.kind(),
                        right.kind()
                    ));
                }
            },
        };
        Ok(match comparison {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        })
    }
}

fn escaped(plain: &str, format: Format) -> String {
    let mut markup = String::with_capacity(plain.len());
    format.escape(plain, &mut markup);
    markup
}

/// Where an expression stands.
fn place(expr: &Expr) -> Option<At> {
    match expr {
        Expr::Variable { at, .. }
        | Expr::Special { at, .. }
        | Expr::Member { at, .. }
        | Expr::Index { at, .. } => Some(*at),
        Expr::Call { at, .. }
        | Expr::Default { at, .. }
        | Expr::Compare { at, .. }
        | Expr::Arithmetic { at, .. } => Some(*at),
        Expr::And { at, .. } | Expr::Or { at, .. } | Expr::Not { at, .. } | Expr::Range { at, .. } => {
            Some(*at)
        }
        Expr::Negative { at, .. } | Expr::Positive { at, .. } => Some(*at),
        Expr::BuiltIn(call) => Some(call.at),
        Expr::Parenthesis(inner) | Expr::Exists(inner) | Expr::Escaped { value: inner, .. } => place(inner),
        _ => None,
    }
}

pub(super) fn number(value: &Value<'_>) -> Res<Decimal> {
    match value {
        Value::Number(number) => Ok(*number),
        other => problem(format!("expected a number instead of {}", other.kind())),
    }
}

fn arithmetic(operator: Operator, left: Decimal, right: Decimal) -> Res<Decimal> {
    let result = match operator {
        Operator::Set => Ok(Some(right)),
        Operator::Add => left.plus(right).map(Some),
        Operator::Subtract => left.minus(right).map(Some),
        Operator::Multiply => left.times(right).map(Some),
        Operator::Divide => left.over(right),
        Operator::Modulo => Ok(left.modulo(right)),
    };
    match result {
        Ok(Some(number)) => Ok(number),
        Ok(None) => problem("this divides by zero"),
        Err(TooLarge) => problem("this number gets too large"),
    }
}

fn is_equality(comparison: Comparison) -> bool {
    matches!(comparison, Comparison::Equal | Comparison::NotEqual)
}

fn equal(equal: bool) -> Ordering {
    if equal { Ordering::Equal } else { Ordering::Less }
}

//! Sequences item by item: `?map`, `?filter` and the like work on the items that are asked for.

use std::rc::Rc;

use super::built_in::BuiltIn;
use super::number::Decimal;
use super::run::{Res, Run, Scope, ScopeKind, placed, problem};
use super::tree::{BuiltInCall, Expr, Name};
use super::value::{List, Range, Value};

/// Items that are still to come.
pub(super) enum Stream<'e, 'a> {
    List(Rc<List<'a>>, usize),
    Range(Range, u64),
    Map(Box<Self>, Function<'e, 'a>),
    Filter {
        inner: Box<Self>,
        function: Function<'e, 'a>,
        how: BuiltIn,
        ahead: Option<Value<'a>>,
        ended: bool,
    },
}

/// What is done with an item.
pub(super) enum Function<'e, 'a> {
    Lambda { parameter: Name, body: &'a Expr, scope: &'e Scope<'e, 'a> },
    Value(Value<'a>),
}

impl<'e, 'a> Stream<'e, 'a> {
    /// The items of a value.
    pub(super) fn of(value: &Value<'a>) -> Res<Self> {
        match value {
            Value::List(list) => Ok(Self::List(Rc::clone(list), 0)),
            Value::Matches(matches) => Ok(Self::List(Rc::clone(&matches.places), 0)),
            Value::Range(range) => Ok(Self::Range(*range, 0)),
            other => problem(format!("expected a sequence instead of {}", other.kind())),
        }
    }

    pub(super) fn has_next(&mut self, run: &mut Run<'a>) -> Res<bool> {
        match self {
            Self::List(list, at) => Ok(*at < list.items.len()),
            Self::Range(range, at) => Ok(range.length.is_none_or(|length| *at < length)),
            Self::Map(inner, _) => inner.has_next(run),
            Self::Filter { inner, function, how, ahead, ended } => {
                while ahead.is_none() && !*ended && inner.has_next(run)? {
                    let Some(item) = inner.next(run)? else { break };
                    if *how == BuiltIn::Sequence {
                        // `?drop_while` that has found its first item.
                        *ahead = Some(item);
                        break;
                    }
                    let holds = match function.call(item.clone(), run)? {
                        Value::Bool(holds) => holds,
                        other => {
                            return problem(format!(
                                "`?{}` needs true or false instead of {}",
                                how.name(),
                                other.kind()
                            ));
                        }
                    };
                    match how {
                        BuiltIn::DropWhile if !holds => {
                            *how = BuiltIn::Sequence;
                            *ahead = Some(item);
                        }
                        BuiltIn::TakeWhile if !holds => *ended = true,
                        BuiltIn::TakeWhile | BuiltIn::Filter if holds => *ahead = Some(item),
                        _ => {}
                    }
                }
                Ok(ahead.is_some())
            }
        }
    }

    pub(super) fn next(&mut self, run: &mut Run<'a>) -> Res<Option<Value<'a>>> {
        run.enter()?;
        match self {
            Self::List(list, at) => {
                *at += 1;
                Ok(list.items.get(*at - 1).cloned())
            }
            Self::Range(range, at) => {
                *at += 1;
                Ok((range.length.is_none_or(|length| *at <= length))
                    .then(|| Value::Number(Decimal::from(range.at(*at - 1)))))
            }
            Self::Map(inner, function) => match inner.next(run)? {
                Some(item) => match function.call(item, run)? {
                    Value::Nothing => problem("`?map` got no value for an item"),
                    value => Ok(Some(value)),
                },
                None => Ok(None),
            },
            Self::Filter { .. } => {
                self.has_next(run)?;
                match self {
                    Self::Filter { ahead, .. } => Ok(ahead.take()),
                    Self::List(..) | Self::Range(..) | Self::Map(..) => Ok(None),
                }
            }
        }
    }
}

impl<'a> Function<'_, 'a> {
    fn call(&self, item: Value<'a>, run: &mut Run<'a>) -> Res<Value<'a>> {
        match self {
            Self::Value(function) => run.call_value(function, vec![item]),
            Self::Lambda { parameter, body, scope } => {
                let inner = Scope::new(Some(scope), ScopeKind::Plain);
                inner.set(*parameter, item);
                run.eval(body, &inner)
            }
        }
    }
}

impl<'a> Run<'a> {
    /// The items of an expression, not yet asked for.
    pub(super) fn stream<'e>(&mut self, expr: &'a Expr, scope: &'e Scope<'e, 'a>) -> Res<Stream<'e, 'a>> {
        if let Expr::Parenthesis(inner) = expr {
            return self.stream(inner, scope);
        }
        match expr {
            Expr::BuiltIn(call) if is_stream(expr) => self.stream_of(call, scope),
            _ => {
                let value = self.value(expr, scope)?;
                Stream::of(&value)
            }
        }
    }

    /// `x?map(…)` and the like.
    pub(super) fn stream_of<'e>(
        &mut self,
        call: &'a BuiltInCall,
        scope: &'e Scope<'e, 'a>,
    ) -> Res<Stream<'e, 'a>> {
        self.enter()?;
        {
            let Some([function]) = call.arguments.as_deref() else { return problem("this needs a function") };
            let inner = Box::new(placed(self.stream(&call.target, scope), call.at)?);
            let function = match function {
                Expr::Lambda { parameter, body } => Function::Lambda { parameter: *parameter, body, scope },
                other => match self.value(other, scope)? {
                    value @ (Value::Macro { .. } | Value::Method(_)) => Function::Value(value),
                    other => {
                        return placed(
                            problem(format!("expected a function instead of {}", other.kind())),
                            call.at,
                        );
                    }
                },
            };
            if let Function::Value(Value::Macro { number, .. }) = &function {
                let required =
                    self.program.macros[*number].parameters.iter().filter(|(_, default)| default.is_none());
                if required.count() > 1 {
                    return placed(problem("this function needs more than one argument"), call.at);
                }
            }
            Ok(match call.built_in {
                BuiltIn::Map => Stream::Map(inner, function),
                how => Stream::Filter { inner, function, how, ahead: None, ended: false },
            })
        }
    }

    /// All items of a stream.
    pub(super) fn drain(&mut self, mut stream: Stream<'_, 'a>) -> Res<Vec<Value<'a>>> {
        let mut items = Vec::new();
        while stream.has_next(self)? {
            self.steps(4)?;
            items.extend(stream.next(self)?);
        }
        Ok(items)
    }

    /// The items of a value.
    pub(super) fn collect(&mut self, value: &Value<'a>) -> Res<Vec<Value<'a>>> {
        if let Value::Range(Range { length: None, .. }) = value {
            return problem("this range has no end");
        }
        let stream = Stream::of(value)?;
        self.drain(stream)
    }
}

/// Whether an expression is `x?map(…)` or the like.
pub(super) fn is_stream(expr: &Expr) -> bool {
    match expr {
        Expr::Parenthesis(inner) => is_stream(inner),
        Expr::BuiltIn(call) => {
            matches!(call.built_in, BuiltIn::Map | BuiltIn::Filter | BuiltIn::TakeWhile | BuiltIn::DropWhile)
        }
        _ => false,
    }
}

//! What built-ins do, by what they are for.

mod dates;
mod kinds;
mod lists;
mod numbers;
mod strings;

use super::built_in::BuiltIn;
use super::escape::Format;
use super::run::{Res, Run, Scope, ScopeKind, problem};
use super::tree::{BuiltInCall, Comparison, Expr};
use super::value::{Method, Text, Value};
use std::rc::Rc;

impl<'a> Run<'a> {
    /// `x?name` and `x?name(…)`.
    pub(super) fn call_built_in(&mut self, call: &'a BuiltInCall, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        use BuiltIn as B;
        let arguments = call.arguments.as_deref();
        match call.built_in {
            B::Default | B::Exists | B::IfExists | B::HasContent => self.lenient_built_in(call, scope),
            B::Then => {
                let chosen = if self.truth(&call.target, scope)? { 0 } else { 1 };
                self.eval(&arguments.unwrap_or_default()[chosen], scope)
            }
            B::Switch => self.choose(&call.target, arguments.unwrap_or_default(), scope),
            B::Index
            | B::Counter
            | B::HasNext
            | B::IsFirst
            | B::IsLast
            | B::IsEvenItem
            | B::IsOddItem
            | B::ItemParity
            | B::ItemParityCap
            | B::ItemCycle => self.loop_built_in(call, scope),
            B::Map | B::Filter | B::TakeWhile | B::DropWhile => self.streamed(call, scope),
            B::First | B::Size | B::Join | B::SeqContains | B::SeqIndexOf | B::Min | B::Max
                if matches!(&call.target, Expr::BuiltIn(_) | Expr::Parenthesis(_)) =>
            {
                self.of_stream(call, scope)
            }
            built_in => {
                let target = self.value(&call.target, scope)?;
                let Some(arguments) = arguments else {
                    return self.without_arguments(built_in, target, call.format);
                };
                let arguments =
                    arguments.iter().map(|argument| self.value(argument, scope)).collect::<Res<Vec<_>>>()?;
                self.apply(built_in, target, &arguments, call.format)
            }
        }
    }

    fn without_arguments(&mut self, built_in: BuiltIn, target: Value<'a>, format: Format) -> Res<Value<'a>> {
        let fewest = super::built_in::ALL.iter().find(|entry| entry.0 == built_in).map_or(0, |entry| entry.2);
        if fewest > 0 {
            return Ok(Value::Method(Rc::new(Method { built_in, target, format })));
        }
        self.apply(built_in, target, &[], format)
    }

    /// A built-in with its arguments.
    pub(super) fn apply(
        &mut self,
        built_in: BuiltIn,
        target: Value<'a>,
        arguments: &[Value<'a>],
        format: Format,
    ) -> Res<Value<'a>> {
        if let Some(result) = self.of_kind(built_in, &target, format)? {
            return Ok(result);
        }
        if let Some(result) = self.of_list(built_in, &target, arguments)? {
            return Ok(result);
        }
        if let Some(result) = self.of_number(built_in, &target)? {
            return Ok(result);
        }
        if let Some(result) = self.of_date(built_in, &target, arguments)? {
            return Ok(result);
        }
        self.of_string(built_in, &target, arguments, format)
    }

    /// Those whose target may have no value.
    fn lenient_built_in(&mut self, call: &'a BuiltInCall, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let target = self.lenient(&call.target, scope)?;
        let missing = matches!(target, Value::Nothing);
        Ok(match call.built_in {
            BuiltIn::Exists => Value::Bool(!missing),
            BuiltIn::IfExists if missing => Value::Text(Text::Borrowed("")),
            BuiltIn::HasContent => Value::Bool(match &target {
                Value::Nothing => false,
                Value::Text(text) => !text.is_empty(),
                Value::Match(found) => !found.text.is_empty(),
                Value::Markup(markup) => !markup.markup.is_empty(),
                Value::List(list) => !list.items.is_empty(),
                Value::Matches(matches) => !matches.places.items.is_empty(),
                Value::Hash(hash) => !hash.entries.is_empty(),
                Value::Range(range) => range.length != Some(0),
                _ => true,
            }),
            BuiltIn::Default if missing => {
                for argument in call.arguments.as_deref().unwrap_or_default() {
                    let value = self.eval(argument, scope)?;
                    if !matches!(value, Value::Nothing) {
                        return Ok(value);
                    }
                }
                Value::Nothing
            }
            _ => target,
        })
    }

    /// `x?switch(case, result, …, default)`
    fn choose(&mut self, target: &'a Expr, arguments: &'a [Expr], scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let target = self.value(target, scope)?;
        for pair in arguments.chunks(2) {
            let [case, result] = pair else { return self.eval(&pair[0], scope) };
            let case = self.value(case, scope)?;
            if self.compare(Comparison::Equal, &target, &case)? {
                return self.eval(result, scope);
            }
        }
        problem("`?switch` has no case for this value, and no default")
    }

    fn loop_built_in(&mut self, call: &'a BuiltInCall, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let Expr::Variable { name: variable, .. } = &call.target else {
            return problem("this is for loop variables");
        };
        let found = scope.chain().find_map(|scope| match &scope.kind {
            ScopeKind::Loop { name, index, has_next } if name == variable => {
                Some((index.get(), has_next.get()))
            }
            _ => None,
        });
        let Some((index, has_next)) = found else { return problem("this is for loop variables") };
        let text = |even: &'static str, odd: &'static str| {
            Value::Text(Text::Borrowed(if index % 2 == 0 { odd } else { even }))
        };
        Ok(match call.built_in {
            BuiltIn::Counter => Value::Number((index + 1).into()),
            BuiltIn::HasNext => Value::Bool(has_next),
            BuiltIn::IsFirst => Value::Bool(index == 0),
            BuiltIn::IsLast => Value::Bool(!has_next),
            BuiltIn::IsEvenItem => Value::Bool(index % 2 == 1),
            BuiltIn::IsOddItem => Value::Bool(index % 2 == 0),
            BuiltIn::ItemParity => text("even", "odd"),
            BuiltIn::ItemParityCap => text("Even", "Odd"),
            BuiltIn::ItemCycle => {
                let arguments = call.arguments.as_deref().unwrap_or_default();
                match arguments.len() {
                    0 => return problem("`?item_cycle` needs arguments"),
                    count => self.value(&arguments[index % count], scope)?,
                }
            }
            _ => Value::Number(index.into()),
        })
    }
}

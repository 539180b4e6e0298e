//! Built-ins of sequences and hashes.

use super::super::built_in::BuiltIn;
use super::super::collate::{Collated, collated};
use super::super::number::Decimal;
use super::super::run::{Res, Run, Scope, problem};
use super::super::stream::{Stream, is_stream};
use super::super::tree::{BuiltInCall, Comparison};
use super::super::value::{Range, Space, Text, Value};

impl<'a> Run<'a> {
    /// `?map` and the like, as a whole.
    pub(super) fn streamed(&mut self, call: &'a BuiltInCall, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let stream = self.stream_of(call, scope)?;
        let items = self.drain(stream)?;
        self.list(items)
    }

    /// A built-in that asks for some of the items only.
    pub(super) fn of_stream(&mut self, call: &'a BuiltInCall, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let is_stream = is_stream(&call.target);
        let arguments = match &call.arguments {
            Some(arguments) => {
                arguments.iter().map(|argument| self.value(argument, scope)).collect::<Res<Vec<_>>>()?
            }
            None if matches!(call.built_in, BuiltIn::SeqContains | BuiltIn::SeqIndexOf | BuiltIn::Join)
                || !is_stream =>
            {
                let target = self.value(&call.target, scope)?;
                return self.without_arguments(call.built_in, target, call.format);
            }
            None => Vec::new(),
        };
        if !is_stream {
            let target = self.value(&call.target, scope)?;
            return self.apply(call.built_in, target, &arguments, call.format);
        }
        let mut stream = self.stream(&call.target, scope)?;
        match call.built_in {
            BuiltIn::First => Ok(stream.next(self)?.unwrap_or(Value::Nothing)),
            BuiltIn::SeqContains => {
                while let Some(item) = stream.next(self)? {
                    if self.same(&item, &arguments[0])? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            built_in => {
                let items = self.drain(stream)?;
                let list = self.list(items)?;
                self.apply(built_in, list, &arguments, call.format)
            }
        }
    }

    /// `None` where the built-in is of another kind.
    pub(super) fn of_list(
        &mut self,
        built_in: BuiltIn,
        target: &Value<'a>,
        arguments: &[Value<'a>],
    ) -> Res<Option<Value<'a>>> {
        use BuiltIn as B;
        Ok(Some(match built_in {
            B::Size => self.size(target)?,
            B::First => Stream::of(target)?.next(self)?.unwrap_or(Value::Nothing),
            B::Last => self.collect(target)?.pop().unwrap_or(Value::Nothing),
            B::Reverse => {
                let mut items = self.collect(target)?;
                items.reverse();
                self.list(items)?
            }
            B::Sequence => match target {
                Value::List(_) => target.clone(),
                _ => {
                    let items = self.collect(target)?;
                    self.list(items)?
                }
            },
            B::Sort => self.sort(target, &[])?,
            B::SortBy => {
                let path = match &arguments[0] {
                    Value::Text(key) => vec![key.clone()],
                    other => self
                        .collect(other)?
                        .into_iter()
                        .filter_map(|key| match key {
                            Value::Text(key) => Some(key),
                            _ => None,
                        })
                        .collect(),
                };
                self.sort(target, &path)?
            }
            B::Min | B::Max => self.extreme(built_in == B::Max, target)?,
            B::Join => self.join(target, arguments)?,
            B::Chunk => self.chunk(target, arguments)?,
            B::SeqContains => {
                let items = self.collect(target)?;
                let mut found = false;
                for item in &items {
                    found = found || self.same(item, &arguments[0])?;
                }
                Value::Bool(found)
            }
            B::SeqIndexOf | B::SeqLastIndexOf => {
                self.position(built_in == B::SeqLastIndexOf, target, arguments)?
            }
            B::Keys | B::Values => self.keys_or_values(built_in == B::Keys, target)?,
            _ => return Ok(None),
        }))
    }

    fn size(&mut self, target: &Value<'a>) -> Res<Value<'a>> {
        Ok(Value::Number(match target {
            Value::List(list) => list.items.len().into(),
            Value::Matches(matches) => matches.places.items.len().into(),
            Value::Hash(hash) => hash.entries.len().into(),
            Value::Range(Range { length: Some(length), .. }) => Decimal::from(i128::from(*length)),
            Value::Range(_) => return problem("this range has no end"),
            other => return problem(format!("`?size` needs a sequence or hash instead of {}", other.kind())),
        }))
    }

    fn keys_or_values(&mut self, keys: bool, target: &Value<'a>) -> Res<Value<'a>> {
        let items = match target {
            Value::Hash(hash) => hash
                .entries
                .iter()
                .map(|(key, value)| if keys { Value::Text(key.clone()) } else { value.clone() })
                .collect(),
            Value::Space(Space::Namespace(space)) => {
                let names = self.names;
                let own = self.spaces[*space]
                    .iter()
                    .enumerate()
                    .filter_map(|(number, value)| Some((number, value.clone()?)));
                let number =
                    |number: usize| super::super::tree::Name(u32::try_from(number).unwrap_or(u32::MAX));
                own.map(
                    |(at, value)| {
                        if keys { Value::Text(Text::Borrowed(names.text(number(at)))) } else { value }
                    },
                )
                .collect()
            }
            other => {
                return problem(format!("`?keys` and `?values` need a hash instead of {}", other.kind()));
            }
        };
        self.list(items)
    }

    fn sort(&mut self, target: &Value<'a>, path: &[Text<'a>]) -> Res<Value<'a>> {
        let items = self.collect(target)?;
        let mut keyed = Vec::with_capacity(items.len());
        for item in items {
            let mut key = item.clone();
            for name in path {
                key = match &key {
                    Value::Hash(hash) => hash.get(name).cloned().unwrap_or(Value::Nothing),
                    other => return problem(format!("`?sort_by` needs hashes instead of {}", other.kind())),
                };
            }
            let key = match key {
                Value::Text(text) => Key::Text(collated(&text)),
                Value::Match(found) => Key::Text(collated(&found.text)),
                Value::Number(number) => Key::Number(number),
                Value::Moment(moment) => Key::Moment(moment.utc),
                Value::Bool(value) => Key::Bool(value),
                Value::Nothing => return problem("an item has no such key to sort by"),
                other => return problem(format!("{} can't be sorted", other.kind())),
            };
            keyed.push((key, item));
        }
        self.steps(keyed.len() * 16)?;
        if keyed
            .windows(2)
            .any(|pair| std::mem::discriminant(&pair[0].0) != std::mem::discriminant(&pair[1].0))
        {
            return problem("only values of one kind can be sorted");
        }
        keyed.sort_by(|one, other| one.0.cmp(&other.0));
        self.list(keyed.into_iter().map(|(_, item)| item).collect())
    }

    fn extreme(&mut self, most: bool, target: &Value<'a>) -> Res<Value<'a>> {
        let mut best = Value::Nothing;
        for item in self.collect(target)? {
            if !matches!(item, Value::Number(_) | Value::Moment(_)) {
                return problem(format!("`?min` and `?max` compare numbers or dates, not {}", item.kind()));
            }
            let comparison = if most { Comparison::Greater } else { Comparison::Less };
            if matches!(best, Value::Nothing) || self.compare(comparison, &item, &best)? {
                best = item;
            }
        }
        Ok(best)
    }

    fn join(&mut self, target: &Value<'a>, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        let text = |run: &Self, at: usize| match arguments.get(at) {
            Some(value) => run.shown(value).map(|text| Some(text.into_owned())),
            None => Ok(None),
        };
        let (between, empty, last) = (text(self, 0)?.unwrap_or_default(), text(self, 1)?, text(self, 2)?);
        let items = self.collect(target)?;
        if items.is_empty() {
            return self.text(empty.unwrap_or_default());
        }
        let mut out = String::new();
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(&between);
            }
            out.push_str(&self.shown(item)?);
            self.steps(1 + between.len() / 8)?;
        }
        out.push_str(&last.unwrap_or_default());
        self.text(out)
    }

    fn chunk(&mut self, target: &Value<'a>, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        let size =
            super::super::eval::number(&arguments[0])?.whole().and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.filter(|size| (1..=100_000).contains(size)) else {
            return problem("`?chunk` needs a size from 1");
        };
        let items = self.collect(target)?;
        let mut rows = Vec::new();
        for row in items.chunks(size) {
            let mut row = row.to_vec();
            if let Some(fill) = arguments.get(1) {
                row.resize(size, fill.clone());
            }
            rows.push(self.list(row)?);
        }
        self.list(rows)
    }

    fn position(&mut self, last: bool, target: &Value<'a>, arguments: &[Value<'a>]) -> Res<Value<'a>> {
        let items = self.collect(target)?;
        let from = match arguments.get(1) {
            Some(from) => i64::try_from(super::super::eval::number(from)?.truncated()).ok(),
            None => None,
        };
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let places: Vec<i64> = match last {
            false => (from.unwrap_or(0).max(0)..size).collect(),
            true => (0..=from.unwrap_or(size - 1).min(size - 1)).rev().collect(),
        };
        for at in places {
            let item = &items[usize::try_from(at).unwrap_or(0)];
            if self.same(item, &arguments[0])? {
                return Ok(Value::Number(at.into()));
            }
        }
        Ok(Value::Number((-1_i64).into()))
    }

    /// Equal; values of different kinds are not.
    fn same(&mut self, one: &Value<'a>, other: &Value<'a>) -> Res<bool> {
        let kinds = std::mem::discriminant(one) == std::mem::discriminant(other);
        Ok(kinds && self.compare(Comparison::Equal, one, other)?)
    }
}

/// What is sorted by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Text(Collated),
    Number(Decimal),
    Moment(chrono::NaiveDateTime),
    Bool(bool),
}

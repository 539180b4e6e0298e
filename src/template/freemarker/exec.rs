//! Renders elements.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::escape::Format;
use super::number::Decimal;
use super::run::{Flow, Nested, Res, Run, Scope, ScopeKind, Trouble, What, placed, problem};
use super::stream::Stream;
use super::tree::{At, Block, Call, Comparison, Expr, List, Name, Node, Operator, Target};
use super::value::{Hash, Markup, Space, Text, Value};

impl<'a> Run<'a> {
    /// Renders the elements of a block.
    pub(super) fn block(&mut self, nodes: &'a [Node], scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Print { value, format, escape, at } => {
                    self.print(value, *format, *escape, *at, scope)?
                }
                node => match self.element(node, scope)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
            }
        }
        Ok(Flow::Next)
    }

    fn element(&mut self, node: &'a Node, scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        self.enter()?;
        match node {
            Node::Text(_) | Node::Print { .. } => Ok(Flow::Next),
            Node::PrintNumber { value, digits, at } => {
                let value = self.value(value, scope)?;
                let number = placed(super::eval::number(&value), *at)?;
                let text = self.fixed(number, *digits);
                self.out.push_str(&text);
                Ok(Flow::Next)
            }
            Node::If(branches) => self.condition(branches, scope),
            Node::List(list) => placed(self.list_element(list, scope), list.at),
            Node::Items { names, body, at } => placed(self.items(*names, body, scope), *at),
            Node::Sep(body) => {
                let inner = scope.chain().find_map(|scope| match &scope.kind {
                    ScopeKind::Loop { has_next, .. } => Some(has_next.get()),
                    ScopeKind::Plain | ScopeKind::Macro(_) | ScopeKind::Listed(_) => None,
                });
                if inner == Some(true) { self.block(body, scope) } else { Ok(Flow::Next) }
            }
            Node::Break => Ok(Flow::Break),
            Node::Continue => Ok(Flow::Continue),
            Node::Switch { value, cases, at } => self.switch(value, cases, *at, scope),
            Node::Assign { target, name, how, value, at } => {
                placed(self.assignment(target, *name, *how, value.as_ref(), scope), *at).map(|()| Flow::Next)
            }
            Node::Capture { target, name, body, format, at } => {
                placed(self.capture(target, *name, body, *format, scope), *at).map(|()| Flow::Next)
            }
            Node::Macro(number) => {
                self.define(*number);
                Ok(Flow::Next)
            }
            Node::Call(call) => placed(self.call_macro(call, scope), call.at),
            Node::Nested { arguments, at } => placed(self.nested(arguments, scope), *at),
            Node::Return(value) => Ok(Flow::Return(match value {
                Some(value) => self.eval(value, scope)?,
                None => Value::Nothing,
            })),
            Node::Include { unit, lenient, at } => placed(self.include(*unit, *lenient, scope), *at),
            Node::Import { unit, name, at } => placed(self.import(*unit, *name), *at).map(|()| Flow::Next),
            Node::Setting { name, value, at } => {
                let value = self.value(value, scope)?;
                placed(self.set(*name, &value), *at).map(|()| Flow::Next)
            }
            Node::Compress { body, single_line } => {
                let start = self.out.len();
                let flow = self.block(body, scope)?;
                let text = compressed(&self.out[start..], *single_line);
                self.out.truncate(start);
                self.out.push_str(&text);
                Ok(flow)
            }
            Node::Attempt { body, recover } => self.attempt(body, recover, scope),
            Node::Stop { message, at } => {
                let message = match message {
                    Some(message) => {
                        let message = self.value(message, scope)?;
                        self.shown(&message)?.into_owned()
                    }
                    None => "the template stops here (`#stop`)".to_owned(),
                };
                placed(problem(message), *at)
            }
        }
    }

    fn print(
        &mut self,
        expr: &'a Expr,
        format: Format,
        escape: bool,
        at: At,
        scope: &Scope<'_, 'a>,
    ) -> Res<()> {
        let value = match self.eval(expr, scope)? {
            Value::Nothing if self.strict => {
                let mut trouble = self.missing(expr);
                trouble.at = Some(at);
                return Err(trouble);
            }
            Value::Nothing => return Ok(()),
            value => value,
        };
        placed(self.write(&value, format, escape), at)
    }

    fn write(&mut self, value: &Value<'a>, format: Format, escape: bool) -> Res<()> {
        match value {
            Value::Markup(markup) if markup.format == format || format == Format::Undefined => {
                self.out.push_str(&markup.markup);
            }
            Value::Markup(markup) => {
                let Some(plain) = &markup.plain else {
                    return problem(format!("{} can't become {}", markup.format.name(), format.name()));
                };
                format.escape(plain, &mut self.out);
            }
            Value::Text(text) if escape => format.escape(text, &mut self.out),
            Value::Text(text) => self.out.push_str(text),
            value => {
                let text = self.shown(value)?.into_owned();
                match escape {
                    true => format.escape(&text, &mut self.out),
                    false => self.out.push_str(&text),
                }
            }
        }
        Ok(())
    }

    fn condition(&mut self, branches: &'a [(Option<Expr>, Block)], scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        for (condition, body) in branches {
            let holds = match condition {
                Some(condition) => self.truth(condition, scope)?,
                None => true,
            };
            if holds {
                return self.block(body, scope);
            }
        }
        Ok(Flow::Next)
    }

    fn list_element(&mut self, list: &'a List, scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        if let Expr::BuiltIn(_) | Expr::Parenthesis(_) = list.source
            && let Some((name, None)) = list.names
        {
            let stream = self.stream(&list.source, scope)?;
            return self.repeat(stream, name, &list.body, &list.otherwise, scope);
        }
        let source = self.value(&list.source, scope)?;
        match list.names {
            Some((name, None)) => {
                if let Value::Hash(_) = source {
                    return problem("a hash has two loop variables: `as key, value`");
                }
                self.repeat(Stream::of(&source)?, name, &list.body, &list.otherwise, scope)
            }
            Some(names) => {
                let pairs = self.pairs(&source, true)?;
                self.repeat_pairs(pairs, names, &list.body, &list.otherwise, scope)
            }
            None => {
                let pairs = self.pairs(&source, false)?;
                if pairs.is_empty() {
                    return self.block(&list.otherwise, scope);
                }
                let inner = Scope::new(Some(scope), ScopeKind::Listed(RefCell::new(Some(pairs))));
                self.block(&list.body, &inner)
            }
        }
    }

    /// Keys and values of a hash, or items without values where `hash_only` is false.
    fn pairs(&mut self, source: &Value<'a>, hash_only: bool) -> Res<Vec<(Value<'a>, Value<'a>)>> {
        match source {
            Value::Hash(hash) => {
                self.steps(hash.entries.len() * 4)?;
                Ok(hash
                    .entries
                    .iter()
                    .map(|(key, value)| (Value::Text(key.clone()), value.clone()))
                    .collect())
            }
            other if hash_only => problem(format!("expected a hash instead of {}", other.kind())),
            other => Ok(self.collect(other)?.into_iter().map(|item| (item, Value::Nothing)).collect()),
        }
    }

    fn repeat(
        &mut self,
        mut stream: Stream<'_, 'a>,
        name: Name,
        body: &'a Block,
        otherwise: &'a Block,
        scope: &Scope<'_, 'a>,
    ) -> Res<Flow<'a>> {
        let mut more = stream.has_next(self)?;
        if !more {
            return self.block(otherwise, scope);
        }
        let inner = Scope::new(
            Some(scope),
            ScopeKind::Loop { name, index: Cell::new(0), has_next: Cell::new(false) },
        );
        let ScopeKind::Loop { index, has_next, .. } = &inner.kind else { return Ok(Flow::Next) };
        while more {
            let Some(item) = stream.next(self)? else { break };
            more = stream.has_next(self)?;
            has_next.set(more);
            inner.set(name, item);
            match self.block(body, &inner)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow @ Flow::Return(_) => return Ok(flow),
            }
            index.set(index.get() + 1);
        }
        Ok(Flow::Next)
    }

    fn repeat_pairs(
        &mut self,
        pairs: Vec<(Value<'a>, Value<'a>)>,
        (first, second): (Name, Option<Name>),
        body: &'a Block,
        otherwise: &'a Block,
        scope: &Scope<'_, 'a>,
    ) -> Res<Flow<'a>> {
        if pairs.is_empty() {
            return self.block(otherwise, scope);
        }
        let count = pairs.len();
        for (at, (key, value)) in pairs.into_iter().enumerate() {
            self.enter()?;
            let inner = Scope::new(
                Some(scope),
                ScopeKind::Loop { name: first, index: Cell::new(at), has_next: Cell::new(at + 1 < count) },
            );
            inner.set(first, key);
            if let Some(second) = second {
                inner.set(second, value);
            }
            match self.block(body, &inner)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow @ Flow::Return(_) => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn items(
        &mut self,
        names: (Name, Option<Name>),
        body: &'a Block,
        scope: &Scope<'_, 'a>,
    ) -> Res<Flow<'a>> {
        let listed = scope.chain().find_map(|scope| match &scope.kind {
            ScopeKind::Listed(pairs) => Some(pairs.borrow_mut().take()),
            ScopeKind::Plain | ScopeKind::Macro(_) | ScopeKind::Loop { .. } => None,
        });
        match listed.flatten() {
            Some(pairs) => {
                if names.1.is_some() && pairs.iter().any(|(_, value)| matches!(value, Value::Nothing)) {
                    return problem("expected a hash: `#items` has two names");
                }
                self.repeat_pairs(pairs, names, body, const { &Vec::new() }, scope)
            }
            None => problem("`#items` was already rendered"),
        }
    }

    fn switch(
        &mut self,
        value: &'a Expr,
        cases: &'a [(Option<Expr>, Block)],
        at: At,
        scope: &Scope<'_, 'a>,
    ) -> Res<Flow<'a>> {
        let value = self.value(value, scope)?;
        let mut begin = None;
        for (number, (condition, _)) in cases.iter().enumerate() {
            let Some(condition) = condition else { continue };
            let condition = self.value(condition, scope)?;
            if placed(self.compare(Comparison::Equal, &value, &condition), at)? {
                begin = Some(number);
                break;
            }
        }
        let begin = begin.or_else(|| cases.iter().position(|(condition, _)| condition.is_none()));
        for (_, body) in begin.map_or(&[][..], |begin| &cases[begin..]) {
            match self.block(body, scope)? {
                Flow::Next => {}
                Flow::Break => break,
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn assignment(
        &mut self,
        target: &'a Target,
        name: Name,
        how: Operator,
        value: Option<&'a Expr>,
        scope: &Scope<'_, 'a>,
    ) -> Res<()> {
        let value = match value {
            Some(value) => self.value(value, scope)?,
            None => Value::Number(Decimal::from(1_usize)),
        };
        let value = if how == Operator::Set {
            value
        } else {
            let number = name.0 as usize;
            let old = match target {
                Target::Local => self.frame(scope)?.get(name),
                Target::Global => self.globals.get(number).and_then(Clone::clone),
                Target::Namespace(space) => {
                    let space = self.target_space(space.as_ref(), scope)?;
                    self.spaces[space][number].clone()
                }
            };
            match old {
                Some(old) => self.operate(how, old, value)?,
                None => {
                    let what = What::Missing(self.names.text(name).to_owned());
                    return Err(Box::new(Trouble { what, at: None }));
                }
            }
        };
        self.store(target, name, value, scope)
    }

    fn store(&mut self, target: &'a Target, name: Name, value: Value<'a>, scope: &Scope<'_, 'a>) -> Res<()> {
        match target {
            Target::Local => self.frame(scope)?.set(name, value),
            Target::Global => self.assign_global(name, value),
            Target::Namespace(space) => {
                let space = self.target_space(space.as_ref(), scope)?;
                self.assign(space, name, value);
            }
        }
        Ok(())
    }

    /// The scope of the macro that `scope` is in.
    fn frame<'r, 's>(&self, scope: &'r Scope<'s, 'a>) -> Res<&'r Scope<'s, 'a>> {
        match scope.chain().find(|scope| matches!(scope.kind, ScopeKind::Macro(_))) {
            Some(frame) => Ok(frame),
            None => problem("`#local` stands in a macro or function"),
        }
    }

    fn target_space(&mut self, space: Option<&'a Expr>, scope: &Scope<'_, 'a>) -> Res<usize> {
        let Some(space) = space else { return Ok(self.space) };
        match self.value(space, scope)? {
            Value::Space(Space::Namespace(space)) => Ok(space),
            other => problem(format!("expected a namespace instead of {}", other.kind())),
        }
    }

    fn capture(
        &mut self,
        target: &'a Target,
        name: Name,
        body: &'a Block,
        format: Format,
        scope: &Scope<'_, 'a>,
    ) -> Res<()> {
        let start = self.out.len();
        self.block(body, scope)?;
        let text = self.out.split_off(start);
        self.steps(text.len() / 8)?;
        let value = if format.is_markup() {
            Value::Markup(Rc::new(Markup { format, markup: text, plain: None }))
        } else {
            Value::made(text)
        };
        self.store(target, name, value, scope)
    }

    /// Makes a macro known in the namespace.
    pub(super) fn define(&mut self, number: usize) {
        let space = self.space;
        let name = self.program.macros[number].name;
        self.assign(space, name, Value::Macro { number, space });
    }

    fn call_macro(&mut self, call: &'a Call, scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        let (number, space) = match self.value(&call.callee, scope)? {
            Value::Macro { number, space } if !self.program.macros[number].is_function => (number, space),
            other => return problem(format!("{} can't be called as a macro", other.kind())),
        };
        let arguments = call.arguments.iter().map(|(name, value)| Ok((*name, self.eval(value, scope)?)));
        let arguments = arguments.collect::<Res<Vec<_>>>()?;
        let nested = call.body.as_ref().map(|body| Nested {
            body,
            variables: &call.variables,
            scope,
            space: self.space,
        });
        match self.invoke(number, space, arguments, nested)? {
            flow @ (Flow::Break | Flow::Continue) => Ok(flow),
            Flow::Next | Flow::Return(_) => Ok(Flow::Next),
        }
    }

    /// Calls a macro or function.
    pub(super) fn invoke(
        &mut self,
        number: usize,
        space: usize,
        arguments: Vec<(Option<Name>, Value<'a>)>,
        nested: Option<Nested<'_, 'a>>,
    ) -> Res<Flow<'a>> {
        self.enter()?;
        let called = &self.program.macros[number];
        let scope = Scope::new(None, ScopeKind::Macro(nested));
        let names = self.names;
        let own = names.text(called.name);
        let mut rest = Vec::new();
        let mut named_rest = Hash::default();
        let named = arguments.first().is_none_or(|(name, _)| name.is_some()) && !called.is_function;
        for (at, (name, value)) in arguments.into_iter().enumerate() {
            let parameter = match name {
                Some(name) => called.parameters.iter().find(|(own, _)| *own == name),
                None => called.parameters.get(at),
            };
            match (parameter, name) {
                (Some((parameter, _)), _) => {
                    if !matches!(value, Value::Nothing) {
                        scope.set(*parameter, value);
                    }
                }
                (None, _) if called.rest.is_none() => {
                    return problem(match name {
                        Some(name) => format!("`{own}` has no parameter \"{}\"", names.text(name)),
                        None => format!("`{own}` takes {} arguments", called.parameters.len()),
                    });
                }
                (None, Some(name)) => {
                    named_rest.insert(Text::Borrowed(names.text(name)), value);
                }
                (None, None) => rest.push(value),
            }
        }
        if let Some(name) = called.rest {
            let value = if named { self.hash(named_rest.entries.into_iter())? } else { self.list(rest)? };
            scope.set(name, value);
        }
        let outer = std::mem::replace(&mut self.space, space);
        let result = self.body(number, &scope);
        self.space = outer;
        result
    }

    fn body(&mut self, number: usize, scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        let called = &self.program.macros[number];
        for (parameter, default) in &called.parameters {
            if scope.get(*parameter).is_some() {
                continue;
            }
            let value = match default {
                Some(default) => self.eval(default, scope)?,
                None => Value::Nothing,
            };
            if matches!(value, Value::Nothing) {
                let own = self.names.text(called.name);
                return problem(format!(
                    "`{own}` needs a value for its parameter `{}`",
                    self.names.text(*parameter)
                ));
            }
            scope.set(*parameter, value);
        }
        self.block(&called.body, scope)
    }

    fn nested(&mut self, arguments: &'a [Expr], scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        let nested = scope.chain().find_map(|scope| match &scope.kind {
            ScopeKind::Macro(nested) => Some(*nested),
            ScopeKind::Plain | ScopeKind::Loop { .. } | ScopeKind::Listed(_) => None,
        });
        let Some(Some(nested)) = nested else { return Ok(Flow::Next) };
        let inner = Scope::new(Some(nested.scope), ScopeKind::Plain);
        for (name, argument) in nested.variables.iter().zip(arguments) {
            let value = self.eval(argument, scope)?;
            inner.set(*name, value);
        }
        if let Some(name) = nested.variables.get(arguments.len()) {
            return problem(format!("`#nested` gives no value for `{}`", self.names.text(*name)));
        }
        let outer = std::mem::replace(&mut self.space, nested.space);
        let result = self.block(nested.body, &inner);
        self.space = outer;
        result
    }

    fn include(&mut self, unit: usize, lenient: bool, scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        match &self.program.units[unit] {
            Some(unit) => {
                for number in &unit.macros {
                    self.define(*number);
                }
                self.block(&unit.body, scope)
            }
            None if lenient => Ok(Flow::Next),
            None => problem("the included file does not exist"),
        }
    }

    fn import(&mut self, number: usize, name: Name) -> Res<()> {
        let space = match self.imported.get(&number) {
            Some(space) => *space,
            None => {
                let Some(unit) = &self.program.units[number] else {
                    return problem("the imported file does not exist");
                };
                self.steps(self.names.len())?;
                self.spaces.push(vec![None; self.names.len()]);
                let space = self.spaces.len() - 1;
                self.imported.insert(number, space);
                let outer = std::mem::replace(&mut self.space, space);
                for number in &unit.macros {
                    self.define(*number);
                }
                let start = self.out.len();
                self.block(&unit.body, &Scope::new(None, ScopeKind::Plain))?;
                self.out.truncate(start);
                self.space = outer;
                space
            }
        };
        let own = self.space;
        let value = Value::Space(Space::Namespace(space));
        self.assign(own, name, value.clone());
        if own == 0 {
            self.assign_global(name, value);
        }
        Ok(())
    }

    fn attempt(&mut self, body: &'a Block, recover: &'a Block, scope: &Scope<'_, 'a>) -> Res<Flow<'a>> {
        let start = self.out.len();
        let space = self.space;
        match self.block(body, scope) {
            Err(trouble) if !matches!(trouble.what, What::Spent(_)) => {
                self.out.truncate(start);
                self.space = space;
                self.errors.push(match trouble.what {
                    What::Missing(name) => format!("`{name}` has no value"),
                    What::Problem(problem) => problem,
                    What::Spent(_) => String::new(),
                });
                let result = self.block(recover, scope);
                self.errors.pop();
                result
            }
            result => result,
        }
    }
}

/// White space as one space, or one line end where it has one; none at the ends.
fn compressed(text: &str, single_line: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_matches(|c: char| c.is_ascii_whitespace());
    while let Some(at) = rest.find(|c: char| c.is_ascii_whitespace()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let after = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let space = &rest[..rest.len() - after.len()];
        out.push(if space.contains('\n') && !single_line { '\n' } else { ' ' });
        rest = after;
    }
    out.push_str(rest);
    out
}

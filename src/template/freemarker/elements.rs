//! Tags to trees.

use std::sync::Arc;

use super::escape::Format;
use super::lex::{Lexer, Token, Wrong};
use super::parser::{Around, Parser, Shared, Wanted, stack_now};
use super::scan::{Kind, Segment, scan};
use super::strip::strip;
use super::tree::{Block, Call, Expr, List, Macro, Name, Node, Operator, Setting, Target, Unit};

/// How files begin: the output format, and whether all output must be escaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub format: Format,
    pub must_escape: bool,
}

/// Parses the file `number`, whose text is `text`.
pub(super) fn parse(text: &str, number: usize, begin: Begin, shared: &mut Shared) -> Result<Unit, Wrong> {
    let name = shared.files[number].name.clone();
    if shared.files[number].verbatim {
        return Ok(Unit { name, body: vec![Node::Text(text.to_owned())], macros: Vec::new() });
    }
    let mut scanned = scan(text)?;
    let first_macro = shared.macros.len();
    let mut elements = Elements {
        parser: Parser {
            shared,
            file: u32::try_from(number).unwrap_or(u32::MAX),
            must_escape: begin.must_escape,
            lexer: Lexer { text, at: 0, tag_end: false },
            square: scanned.square,
            format: begin.format,
            auto_esc: true,
            around: Vec::new(),
            locals: Vec::new(),
            escapes: Vec::new(),
            attempts: 0,
            fixed: None,
            stack: stack_now(),
        },
        segments: Vec::new(),
        next: 0,
    };
    let mut strips = true;
    if let Some((at, end)) = scanned.header {
        elements.header(at, end, &mut strips)?;
    }
    strip(text, &mut scanned.segments, strips)?;
    elements.segments = scanned.segments;
    let (body, ended) = elements.block()?;
    if let Some(ended) = ended {
        return Err((ended.start, format!("`{}` closes nothing", elements.shown(&ended))));
    }
    let macros = (first_macro..elements.parser.shared.macros.len()).collect();
    Ok(Unit { name, body, macros })
}

struct Elements<'s> {
    parser: Parser<'s>,
    segments: Vec<Segment>,
    next: usize,
}

type Parsed<T = Node> = Result<T, Wrong>;

impl Elements<'_> {
    fn header(&mut self, at: usize, end: usize, strips: &mut bool) -> Parsed<()> {
        self.enter(at);
        while self.parser.lexer.at < end - 1 {
            let (at, token) = self.parser.lexer.next()?;
            let Token::Identifier(name) = token else { break };
            self.parser.expect("=")?;
            let value = self.parser.primary()?;
            match (super::built_in::snake_case(&name).as_str(), value) {
                ("output_format", Expr::Text(name)) => self.parser.format = self.format_of(&name, at)?,
                ("auto_esc", Expr::Bool(auto)) => {
                    if auto && !self.parser.format.is_markup() {
                        return Err((at, "`auto_esc` needs an output format that has escapes".to_owned()));
                    }
                    self.parser.auto_esc = auto;
                    if !auto && self.parser.must_escape {
                        return Err((
                            at,
                            "`auto_esc=false` would leave a whole HTML part unescaped".to_owned(),
                        ));
                    }
                }
                ("strip_whitespace", Expr::Bool(strip)) => *strips = strip,
                ("encoding" | "strip_text", _) | ("strict_syntax", Expr::Bool(_) | Expr::Text(_)) => {}
                _ => return Err((at, format!("`{name}` is no setting of `#ftl`, or has a wrong value"))),
            }
        }
        Ok(())
    }

    fn format_of(&self, name: &str, at: usize) -> Parsed<Format> {
        let format = Format::parse(name);
        let format = format.ok_or_else(|| (at, format!("output format `{name}` is not known here")))?;
        if self.parser.must_escape && !format.is_markup() {
            return Err((
                at,
                format!("output format `{name}` would leave values unescaped in an HTML part; use `?no_esc`"),
            ));
        }
        Ok(format)
    }

    /// Words are read from `at`, in a tag.
    fn enter(&mut self, at: usize) {
        self.parser.lexer.at = at;
        self.parser.lexer.tag_end = !self.parser.square;
    }

    /// Words are read from behind the name of a directive.
    fn enter_tag(&mut self, segment: &Segment, name: &str) {
        let hash = usize::from(self.parser.lexer.text[segment.start + 1..].starts_with('#'));
        self.enter(segment.start + 1 + hash + name.len());
    }

    /// Elements until a tag that is none of theirs, which is taken.
    fn block(&mut self) -> Parsed<(Block, Option<Segment>)> {
        self.parser.depth()?;
        let mut nodes = Vec::new();
        while let Some(segment) = self.segments.get(self.next).cloned() {
            self.next += 1;
            match &segment.kind {
                Kind::Text(text) if text.is_empty() => {}
                Kind::Text(text) => nodes.push(Node::Text(text.clone())),
                Kind::Comment => {}
                Kind::Print => nodes.push(self.print(&segment)?),
                Kind::PrintNumber => nodes.push(self.print_number(&segment)?),
                Kind::Call => nodes.push(self.call(&segment)?),
                Kind::Close(_) | Kind::CloseCall(_) => return Ok((nodes, Some(segment))),
                Kind::Open(name) => {
                    let lower = name.to_ascii_lowercase();
                    if matches!(lower.as_str(), "else" | "elseif" | "case" | "default" | "recover") {
                        return Ok((nodes, Some(segment)));
                    }
                    self.enter_tag(&segment, name);
                    self.directive(&lower, &segment, &mut nodes)?;
                }
            }
        }
        Ok((nodes, None))
    }

    fn print(&mut self, segment: &Segment) -> Parsed {
        self.parser.lexer.at = segment.start + 2;
        self.parser.lexer.tag_end = false;
        let value = self.parser.expression()?;
        self.parser.expect("}")?;
        let value = self.parser.escape_value(value);
        let escape = self.parser.auto_esc && self.parser.format.is_markup();
        Ok(Node::Print { value, format: self.parser.format, escape, at: self.parser.at(segment.start) })
    }

    fn print_number(&mut self, segment: &Segment) -> Parsed {
        self.parser.lexer.at = segment.start + 2;
        self.parser.lexer.tag_end = false;
        let value = self.parser.expression()?;
        let value = self.parser.escape_value(value);
        let mut digits = None;
        if self.parser.takes(";")? {
            let (at, format) = self.parser.identifier()?;
            let mut fewest = 0;
            let mut most = None;
            let mut rest = format.as_str();
            while let Some(letter) = rest.chars().next() {
                let count = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                let wrong = || (at, format!("`{format}` is not a format such as `m2M3`"));
                let number =
                    rest[1..=count].parse::<u32>().ok().filter(|number| *number <= 30).ok_or_else(wrong)?;
                match letter {
                    'm' => fewest = number,
                    'M' => most = Some(number),
                    _ => return Err(wrong()),
                }
                rest = &rest[count + 1..];
            }
            digits = Some((fewest, most.unwrap_or(fewest.max(50))));
        }
        self.parser.expect("}")?;
        Ok(Node::PrintNumber { value, digits, at: self.parser.at(segment.start) })
    }

    /// The end of the tag, which must come now; true for `/>`.
    fn tag_end(&mut self) -> Parsed<bool> {
        let square = self.parser.square;
        let (at, token) = self.parser.lexer.next()?;
        match token {
            Token::Symbol("]") if square => Ok(false),
            Token::Symbol("/]") if square => Ok(true),
            Token::Symbol(">") => Ok(false),
            Token::Symbol("/>") => Ok(true),
            _ => Err((at, "the tag should end here".to_owned())),
        }
    }

    fn shown(&self, segment: &Segment) -> String {
        let text = &self.parser.lexer.text[segment.start..segment.end];
        if text.len() > 40 {
            format!("{}…", text.chars().take(40).collect::<String>())
        } else {
            text.to_owned()
        }
    }

    /// Elements until `</#name>`.
    fn until(&mut self, opened: &Segment) -> Parsed<Block> {
        let (body, ended) = self.block()?;
        self.closes(opened, ended)?;
        Ok(body)
    }

    /// Checks that `ended` closes `opened`.
    fn closes(&self, opened: &Segment, ended: Option<Segment>) -> Parsed<()> {
        let name = match &opened.kind {
            Kind::Open(name) => name.as_str(),
            _ => "",
        };
        match ended {
            Some(ended) if ended.kind == Kind::Close(name.to_owned()) => Ok(()),
            Some(ended) => {
                Err((ended.start, format!("`{}` comes before `#{name}` is closed", self.shown(&ended))))
            }
            None => Err((opened.start, format!("`#{name}` is never closed"))),
        }
    }

    fn directive(&mut self, name: &str, segment: &Segment, nodes: &mut Block) -> Parsed<()> {
        let at = self.parser.at(segment.start);
        let start = segment.start;
        match name {
            "if" => nodes.push(self.condition(segment)?),
            "list" | "foreach" => nodes.push(self.list(name, segment)?),
            "items" => nodes.push(self.items(segment)?),
            "sep" => {
                self.tag_end()?;
                if !self.in_loop() {
                    return Err((start, "`#sep` stands in a loop".to_owned()));
                }
                let (body, ended) = self.block()?;
                match ended {
                    Some(Segment { kind: Kind::Close(close), .. }) if close == "sep" => {}
                    _ => self.next -= usize::from(ended.is_some()),
                }
                nodes.push(Node::Sep(body));
            }
            "break" | "continue" => {
                self.tag_end()?;
                let in_switch = name == "break" && self.parser.around.contains(&Around::Switch);
                if !self.in_loop() && !in_switch {
                    return Err((start, format!("`#{name}` stands in a loop")));
                }
                nodes.push(if name == "break" { Node::Break } else { Node::Continue });
            }
            "switch" => nodes.push(self.switch(segment)?),
            "assign" | "local" | "global" => self.assign(name, segment, nodes)?,
            "macro" | "function" => nodes.push(self.macro_(name, segment)?),
            "nested" => {
                if !self.in_macro(Around::Macro) {
                    return Err((start, "`#nested` stands in a macro".to_owned()));
                }
                let mut arguments = Vec::new();
                while !self.at_tag_end()? {
                    arguments.push(self.parser.expression()?);
                    self.parser.takes(",")?;
                }
                self.tag_end()?;
                nodes.push(Node::Nested { arguments, at });
            }
            "return" => {
                let in_function = self.in_macro(Around::Function);
                if !in_function && !self.in_macro(Around::Macro) {
                    return Err((start, "`#return` stands in a macro or function".to_owned()));
                }
                let value = if self.at_tag_end()? { None } else { Some(self.parser.expression()?) };
                self.tag_end()?;
                if value.is_some() != in_function {
                    return Err((start, "a function returns a value, a macro none".to_owned()));
                }
                nodes.push(Node::Return(value));
            }
            "include" => nodes.push(self.include(segment)?),
            "import" => nodes.push(self.import(segment)?),
            "setting" => nodes.push(self.setting(segment)?),
            "outputformat" => {
                let (place, format) = self.parser.lexer.next()?;
                let Token::Text(format, _) = format else {
                    return Err((place, "an output format is a string such as \"HTML\"".to_owned()));
                };
                self.tag_end()?;
                let format = self.format_of(&format, place)?;
                let outer = std::mem::replace(&mut self.parser.format, format);
                nodes.extend(self.until(segment)?);
                self.parser.format = outer;
            }
            "autoesc" | "noautoesc" => {
                self.tag_end()?;
                if name == "autoesc" && !self.parser.format.is_markup() {
                    return Err((start, "`#autoesc` needs an output format that has escapes".to_owned()));
                }
                let outer = std::mem::replace(&mut self.parser.auto_esc, name == "autoesc");
                nodes.extend(self.until(segment)?);
                self.parser.auto_esc = outer;
            }
            "escape" => self.escape(segment, nodes)?,
            "noescape" => {
                self.tag_end()?;
                let Some(inner) = self.parser.escapes.pop() else {
                    return Err((start, "`#noescape` stands in `#escape`".to_owned()));
                };
                nodes.extend(self.until(segment)?);
                self.parser.escapes.push(inner);
            }
            "compress" => {
                let mut single_line = false;
                while !self.at_tag_end()? {
                    self.parser.identifier()?;
                    self.parser.expect("=")?;
                    single_line = matches!(self.parser.primary()?, Expr::Bool(true));
                }
                self.tag_end()?;
                nodes.push(Node::Compress { body: self.until(segment)?, single_line });
            }
            "attempt" => nodes.push(self.attempt(segment)?),
            "stop" => {
                let message = if self.at_tag_end()? { None } else { Some(self.parser.expression()?) };
                self.tag_end()?;
                nodes.push(Node::Stop { message, at });
            }
            "call" => {
                let call = self.parser.expression()?;
                self.tag_end()?;
                let (callee, arguments) = match call {
                    Expr::Call { callee, arguments, .. } => (*callee, arguments),
                    callee => (callee, Vec::new()),
                };
                let arguments = arguments.into_iter().map(|value| (None, value)).collect();
                let call = Call { callee, arguments, variables: Vec::new(), body: None, at };
                nodes.push(Node::Call(Box::new(call)));
            }
            "t" | "lt" | "rt" | "nt" | "flush" => {
                self.tag_end()?;
            }
            _ => return Err((start, format!("`#{name}` can't stand here"))),
        }
        Ok(())
    }

    fn at_tag_end(&self) -> Parsed<bool> {
        Ok(match self.parser.lexer.peek()? {
            Token::Symbol(">" | "/>") => !self.parser.square,
            Token::Symbol("]" | "/]") => self.parser.square,
            _ => false,
        })
    }

    fn in_loop(&self) -> bool {
        let inner = self.parser.around.iter().rev();
        inner
            .take_while(|around| !matches!(around, Around::Macro | Around::Function))
            .any(|around| matches!(around, Around::Loop(_) | Around::Items(_)))
    }

    fn in_macro(&self, kind: Around) -> bool {
        let inner =
            self.parser.around.iter().rev().find(|around| matches!(around, Around::Macro | Around::Function));
        inner == Some(&kind)
    }

    fn condition(&mut self, segment: &Segment) -> Parsed {
        let mut branches = Vec::new();
        let mut condition = Some(self.parser.expression()?);
        self.tag_end()?;
        loop {
            let (body, ended) = self.block()?;
            let was_else = condition.is_none();
            branches.push((condition.take(), body));
            match ended {
                Some(Segment { kind: Kind::Open(ref name), start, .. }) if !was_else => {
                    self.enter_tag(&ended.clone().expect("it was matched"), name);
                    match name.as_str() {
                        "else" => {}
                        "elseif" | "elseIf" => condition = Some(self.parser.expression()?),
                        _ => return Err((start, format!("`#{name}` can't stand here"))),
                    }
                    self.tag_end()?;
                }
                ended => {
                    self.closes(segment, ended)?;
                    return Ok(Node::If(branches));
                }
            }
        }
    }

    fn list(&mut self, name: &str, segment: &Segment) -> Parsed {
        let at = self.parser.at(segment.start);
        let (source, names) = if name == "foreach" {
            let (_, variable) = self.parser.identifier()?;
            self.word("in")?;
            let variable = self.parser.shared.names.number(&variable);
            (self.parser.expression()?, Some((variable, None)))
        } else {
            let source = self.parser.expression()?;
            let named = self.takes_word("as")?;
            (source, if named { Some(self.loop_names()?) } else { None })
        };
        self.tag_end()?;
        let outer = self.parser.locals.len();
        self.parser.around.push(match names {
            Some((first, second)) => {
                self.parser.locals.extend([first].into_iter().chain(second));
                Around::Loop(first)
            }
            None => Around::List,
        });
        let (body, ended) = self.block()?;
        self.parser.around.pop();
        self.parser.locals.truncate(outer);
        if names.is_none() && !has_items(&body) {
            return Err((segment.start, "`#list` needs `as` with a name, or `#items` in it".to_owned()));
        }
        let mut otherwise = Vec::new();
        match ended {
            Some(else_tag) if else_tag.kind == Kind::Open("else".to_owned()) => {
                self.enter_tag(&else_tag, "else");
                self.tag_end()?;
                otherwise = self.until(segment)?;
            }
            ended => self.closes(segment, ended)?,
        }
        Ok(Node::List(Box::new(List { source, names, body, otherwise, at })))
    }

    fn loop_names(&mut self) -> Parsed<(Name, Option<Name>)> {
        let (_, first) = self.parser.identifier()?;
        let first = self.parser.shared.names.number(&first);
        let second = if self.parser.takes(",")? {
            let (_, second) = self.parser.identifier()?;
            Some(self.parser.shared.names.number(&second))
        } else {
            None
        };
        Ok((first, second))
    }

    fn items(&mut self, segment: &Segment) -> Parsed {
        let inner = self.parser.around.iter().rev().find(|around| !matches!(around, Around::Switch));
        match inner {
            Some(Around::List) => {}
            Some(Around::Items(_)) => {
                return Err((segment.start, "`#items` stands in another `#items`".to_owned()));
            }
            _ => return Err((segment.start, "`#items` stands in a `#list` without `as`".to_owned())),
        }
        self.word("as")?;
        let names = self.loop_names()?;
        self.tag_end()?;
        let outer = self.parser.locals.len();
        self.parser.locals.extend([names.0].into_iter().chain(names.1));
        self.parser.around.push(Around::Items(names.0));
        let body = self.until(segment)?;
        self.parser.around.pop();
        self.parser.locals.truncate(outer);
        Ok(Node::Items { names, body, at: self.parser.at(segment.start) })
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        match self.parser.lexer.next()? {
            (_, Token::Identifier(name)) if name == word => Ok(()),
            (at, _) => Err((at, format!("expected `{word}`"))),
        }
    }

    fn takes_word(&mut self, word: &str) -> Parsed<bool> {
        let found = matches!(self.parser.lexer.peek()?, Token::Identifier(name) if name == word);
        if found {
            self.parser.lexer.next()?;
        }
        Ok(found)
    }

    fn switch(&mut self, segment: &Segment) -> Parsed {
        let value = self.parser.expression()?;
        self.tag_end()?;
        self.parser.around.push(Around::Switch);
        let mut cases = Vec::new();
        let (before, mut ended) = self.block()?;
        if before.iter().any(|node| !matches!(node, Node::Text(text) if text.trim().is_empty())) {
            return Err((segment.start, "`#switch` begins with `#case`".to_owned()));
        }
        while let Some(Segment { kind: Kind::Open(name), start, .. }) = &ended {
            let (name, start) = (name.clone(), *start);
            self.enter_tag(&ended.clone().expect("it was matched"), &name);
            let condition = match name.as_str() {
                "case" => Some(self.parser.expression()?),
                "default" => None,
                _ => break,
            };
            if condition.is_none()
                && cases.iter().any(|(condition, _): &(Option<Expr>, Block)| condition.is_none())
            {
                return Err((start, "`#switch` has two `#default`".to_owned()));
            }
            self.tag_end()?;
            let (body, next) = self.block()?;
            cases.push((condition, body));
            ended = next;
        }
        self.parser.around.pop();
        self.closes(segment, ended)?;
        Ok(Node::Switch { value, cases, at: self.parser.at(segment.start) })
    }

    fn assign(&mut self, kind: &str, segment: &Segment, nodes: &mut Block) -> Parsed<()> {
        let at = self.parser.at(segment.start);
        if kind == "local" && !self.in_macro(Around::Macro) && !self.in_macro(Around::Function) {
            return Err((segment.start, "`#local` stands in a macro or function".to_owned()));
        }
        let target = |space| match kind {
            "assign" => Target::Namespace(space),
            "local" => Target::Local,
            _ => Target::Global,
        };
        let mut assigned = Vec::new();
        loop {
            let name = match self.parser.lexer.next()? {
                (_, Token::Identifier(name) | Token::Text(name, _)) => name,
                (at, _) => return Err((at, "expected a name".to_owned())),
            };
            let name = self.parser.shared.names.number(&name);
            let how = match self.parser.lexer.peek()? {
                Token::Symbol("=") => Some((Operator::Set, true)),
                Token::Symbol("+=") => Some((Operator::Add, true)),
                Token::Symbol("-=") => Some((Operator::Subtract, true)),
                Token::Symbol("*=") => Some((Operator::Multiply, true)),
                Token::Symbol("/=") => Some((Operator::Divide, true)),
                Token::Symbol("%=") => Some((Operator::Modulo, true)),
                Token::Symbol("++") => Some((Operator::Add, false)),
                Token::Symbol("--") => Some((Operator::Subtract, false)),
                _ => None,
            };
            let Some((how, valued)) = how else {
                if !assigned.is_empty() {
                    return Err((self.parser.lexer.at, "expected `=`".to_owned()));
                }
                let space = if self.takes_word("in")? { Some(self.parser.expression()?) } else { None };
                self.tag_end()?;
                self.declare(kind, name);
                let body = self.until(segment)?;
                nodes.push(Node::Capture {
                    target: target(space),
                    name,
                    body,
                    format: self.parser.format,
                    at,
                });
                return Ok(());
            };
            self.parser.lexer.next()?;
            let value = if valued { Some(self.parser.expression()?) } else { None };
            self.declare(kind, name);
            assigned.push((name, how, value));
            self.parser.takes(",")?;
            if self.at_tag_end()?
                || matches!(self.parser.lexer.peek()?, Token::Identifier(word) if word == "in")
            {
                break;
            }
        }
        let mut space = None;
        if self.takes_word("in")? {
            if assigned.len() > 1 {
                return Err((self.parser.lexer.at, "several assignments can't have `in`".to_owned()));
            }
            space = Some(self.parser.expression()?);
        }
        self.tag_end()?;
        for (name, how, value) in assigned {
            nodes.push(Node::Assign { target: target(space.take()), name, how, value, at });
        }
        Ok(())
    }

    fn declare(&mut self, kind: &str, name: Name) {
        match kind {
            "local" => self.parser.locals.push(name),
            _ => self.parser.shared.names.assign(name),
        }
    }

    fn macro_(&mut self, kind: &str, segment: &Segment) -> Parsed {
        let inside =
            self.parser.around.iter().any(|around| matches!(around, Around::Macro | Around::Function));
        if inside {
            return Err((segment.start, format!("`#{kind}` can't stand in a macro or function")));
        }
        let name = match self.parser.lexer.next()? {
            (_, Token::Identifier(name) | Token::Text(name, _)) => name,
            (at, _) => return Err((at, "expected a name".to_owned())),
        };
        let name = self.parser.shared.names.number(&name);
        self.parser.shared.names.assign(name);
        let outer_locals = std::mem::take(&mut self.parser.locals);
        let parenthesis = self.parser.takes("(")?;
        let mut parameters: Vec<(Name, Option<Expr>)> = Vec::new();
        let mut rest = None;
        loop {
            if parenthesis && self.parser.takes(")")? || !parenthesis && self.at_tag_end()? {
                break;
            }
            let (at, parameter) = self.parser.identifier()?;
            let parameter = self.parser.shared.names.number(&parameter);
            if rest.is_some() {
                return Err((at, "no parameter comes after the one with `...`".to_owned()));
            }
            self.parser.locals.push(parameter);
            if self.parser.takes("...")? {
                rest = Some(parameter);
            } else {
                let default = if self.parser.takes("=")? { Some(self.parser.expression()?) } else { None };
                parameters.push((parameter, default));
            }
            self.parser.takes(",")?;
        }
        self.tag_end()?;
        let around = if kind == "macro" { Around::Macro } else { Around::Function };
        self.parser.around.push(around);
        let body = self.until(segment)?;
        self.parser.around.pop();
        self.parser.locals = outer_locals;
        let is_function = kind == "function";
        self.parser.shared.macros.push(Macro { name, parameters, rest, body, is_function });
        Ok(Node::Macro(self.parser.shared.macros.len() - 1))
    }

    fn call(&mut self, segment: &Segment) -> Parsed {
        self.enter(segment.start + 2);
        let name_start = self.parser.lexer.at;
        let callee = self.parser.primary()?;
        let name = self.parser.lexer.text[name_start..self.parser.lexer.at].trim().to_owned();
        let mut arguments = Vec::new();
        let mut variables = Vec::new();
        while !self.at_tag_end()? {
            if self.parser.takes(";")? {
                while !self.at_tag_end()? {
                    let (_, variable) = self.parser.identifier()?;
                    variables.push(self.parser.shared.names.number(&variable));
                    self.parser.takes(",")?;
                }
                break;
            }
            let mut ahead = self.parser.lexer;
            let named = match ahead.next()?.1 {
                Token::Identifier(name) if ahead.peek()?.is("=") => Some(name),
                _ => None,
            };
            let parameter = named.map(|name| {
                ahead.next().ok();
                self.parser.lexer = ahead;
                self.parser.shared.names.number(&name)
            });
            let (place, value) = (self.parser.lexer.at, self.parser.expression()?);
            if arguments
                .last()
                .is_some_and(|(last, _): &(Option<Name>, Expr)| last.is_some() != parameter.is_some())
            {
                return Err((place, "arguments are all named or all without names".to_owned()));
            }
            arguments.push((parameter, value));
            self.parser.takes(",")?;
        }
        let empty = self.tag_end()?;
        let mut body = None;
        if !empty {
            let outer = self.parser.locals.len();
            self.parser.locals.extend(&variables);
            let (nodes, ended) = self.block()?;
            self.parser.locals.truncate(outer);
            match ended {
                Some(Segment { kind: Kind::CloseCall(close), .. }) if close.is_empty() || close == name => {}
                Some(ended) => {
                    return Err((
                        ended.start,
                        format!("`{}` comes before `<@{name}>` is closed", self.shown(&ended)),
                    ));
                }
                None => return Err((segment.start, format!("`<@{name}>` is never closed"))),
            }
            body = Some(nodes);
        }
        let at = self.parser.at(segment.start);
        Ok(Node::Call(Box::new(Call { callee, arguments, variables, body, at })))
    }

    /// The file that a template names, from the folder of all templates.
    fn file(&mut self, verbatim: bool, needed: bool, name: &str, start: usize) -> Parsed<usize> {
        let own = self.parser.shared.files[self.parser.file as usize].name.clone();
        let base =
            if name.starts_with('/') { "" } else { own.rsplit_once('/').map_or("", |(folder, _)| folder) };
        let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." && parts.pop().is_none() || part.contains(['\\', '\0']) {
                return Err((start, format!("`{name}` is outside of the templates' folder")));
            }
            if part != ".." {
                parts.push(part);
            }
        }
        let name = parts.join("/");
        let needed = needed.then(|| self.parser.at(start));
        let files = &mut self.parser.shared.files;
        let known = files.iter().position(|file| file.name == name && file.verbatim == verbatim);
        if let Some(number) = known {
            files[number].needed = files[number].needed.or(needed);
            return Ok(number);
        }
        files.push(Wanted { name, verbatim, needed });
        Ok(files.len() - 1)
    }

    fn file_name(&mut self, what: &str) -> Parsed<String> {
        let at = self.parser.lexer.at;
        match self.parser.expression()? {
            Expr::Text(name) => Ok(name),
            _ => Err((
                at,
                format!(
                    "`#{what}` needs the name of a file as a plain string: files are read before the first row"
                ),
            )),
        }
    }

    fn include(&mut self, segment: &Segment) -> Parsed {
        let name = self.file_name("include")?;
        let (mut verbatim, mut needed) = (false, self.parser.attempts == 0);
        while !self.at_tag_end()? {
            let (at, option) = self.parser.identifier()?;
            self.parser.expect("=")?;
            match (super::built_in::snake_case(&option).as_str(), self.parser.primary()?) {
                ("parse", Expr::Bool(parse)) => verbatim = !parse,
                ("ignore_missing", Expr::Bool(ignore)) => needed &= !ignore,
                ("encoding", _) => {}
                _ => {
                    return Err((at, format!("`{option}` is no option of `#include`, or has a wrong value")));
                }
            }
        }
        self.tag_end()?;
        let lenient = self.parser.attempts == 0 && !needed;
        let unit = self.file(verbatim, needed, &name, segment.start)?;
        Ok(Node::Include { unit, lenient, at: self.parser.at(segment.start) })
    }

    fn import(&mut self, segment: &Segment) -> Parsed {
        let name = self.file_name("import")?;
        self.word("as")?;
        let (_, variable) = self.parser.identifier()?;
        self.tag_end()?;
        let variable = self.parser.shared.names.number(&variable);
        self.parser.shared.names.assign(variable);
        let unit = self.file(false, self.parser.attempts == 0, &name, segment.start)?;
        Ok(Node::Import { unit, name: variable, at: self.parser.at(segment.start) })
    }

    fn setting(&mut self, segment: &Segment) -> Parsed {
        let (at, name) = self.parser.identifier()?;
        let setting = match super::built_in::snake_case(&name).as_str() {
            "locale" => Setting::Locale,
            "number_format" => Setting::NumberFormat,
            "boolean_format" => Setting::BooleanFormat,
            "date_format" => Setting::DateFormat,
            "time_format" => Setting::TimeFormat,
            "datetime_format" => Setting::DateTimeFormat,
            "time_zone" => Setting::TimeZone,
            "url_escaping_charset" => Setting::UrlCharset,
            _ => return Err((at, format!("`{name}` is not a setting that letters have"))),
        };
        self.parser.expect("=")?;
        let value = self.parser.expression()?;
        self.tag_end()?;
        Ok(Node::Setting { name: setting, value, at: self.parser.at(segment.start) })
    }

    fn escape(&mut self, segment: &Segment, nodes: &mut Block) -> Parsed<()> {
        if self.parser.auto_esc && self.parser.format.is_markup() {
            return Err((
                segment.start,
                "`#escape` would escape twice: this output is escaped automatically".to_owned(),
            ));
        }
        let (_, name) = self.parser.identifier()?;
        let name = self.parser.shared.names.number(&name);
        self.word("as")?;
        self.parser.escapes.push((name, Arc::new(Expr::Bool(false))));
        let body = self.parser.expression()?;
        self.parser.escapes.pop();
        self.tag_end()?;
        self.parser.escapes.push((name, Arc::new(body)));
        nodes.extend(self.until(segment)?);
        self.parser.escapes.pop();
        Ok(())
    }

    fn attempt(&mut self, segment: &Segment) -> Parsed {
        self.tag_end()?;
        self.parser.attempts += 1;
        let (body, ended) = self.block()?;
        self.parser.attempts -= 1;
        match ended {
            Some(recover) if recover.kind == Kind::Open("recover".to_owned()) => {
                self.enter_tag(&recover, "recover");
                self.tag_end()?;
            }
            Some(ended) => return Err((ended.start, "`#attempt` needs `#recover`".to_owned())),
            None => return Err((segment.start, "`#attempt` is never closed".to_owned())),
        }
        let (recover, ended) = self.block()?;
        match ended {
            Some(Segment { kind: Kind::Close(name), .. }) if name == "attempt" || name == "recover" => {}
            ended => self.closes(segment, ended)?,
        }
        Ok(Node::Attempt { body, recover })
    }
}

/// Whether `#items` stands somewhere in a list.
fn has_items(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Items { .. } => true,
        Node::If(branches) | Node::Switch { cases: branches, .. } => {
            branches.iter().any(|(_, body)| has_items(body))
        }
        Node::Sep(body) | Node::Compress { body, .. } | Node::Capture { body, .. } => has_items(body),
        Node::Attempt { body, recover } => has_items(body) || has_items(recover),
        Node::Call(call) => call.body.as_ref().is_some_and(|body| has_items(body)),
        Node::List(list) => has_items(&list.body),
        _ => false,
    })
}

//! Tags to trees.

mod branches;
mod files;
mod lists;
mod macros;
mod settings;
mod variables;

use super::escape::Format;
use super::lex::{Lexer, Token, Wrong};
use super::parser::{Around, Parser, Shared, stack_now};
use super::scan::{Kind, Segment, scan};
use super::strip::strip;
use super::tree::{Block, Call, Expr, Node, Unit};

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
}

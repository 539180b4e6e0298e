//! A parsed template. Names are numbers, output formats and escaping are decided.

use super::built_in::BuiltIn;
use super::escape::Format;
use super::number::Decimal;

/// A variable's name: an index into `Names`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub u32);

/// A place: the number of the file, and the byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub file: u32,
    pub byte: u32,
}

/// Elements one after the other.
pub(super) type Block = Vec<Node>;

/// A file: the template, or what it includes or imports.
#[derive(Debug)]
pub(super) struct Unit {
    /// The name that includes use.
    pub name: String,
    pub body: Block,
    /// The macros that are defined anywhere in it: numbers of [`Program::macros`].
    pub macros: Vec<usize>,
}

/// All files of a template.
#[derive(Debug)]
pub(super) struct Program {
    /// The template itself first; none for files that don't exist.
    pub units: Vec<Option<Unit>>,
    pub macros: Vec<Macro>,
}

/// A macro or function.
#[derive(Debug)]
pub(super) struct Macro {
    pub name: Name,
    pub parameters: Vec<(Name, Option<Expr>)>,
    /// Takes all further arguments.
    pub rest: Option<Name>,
    pub body: Block,
    pub is_function: bool,
}

/// An element of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print { value: Expr, format: Format, escape: bool, at: At },
    PrintNumber { value: Expr, digits: Option<(u32, u32)>, at: At },
    If(Vec<(Option<Expr>, Block)>),
    List(Box<List>),
    Items { names: (Name, Option<Name>), body: Block, at: At },
    Sep(Block),
    Break,
    Continue,
    Switch { value: Expr, cases: Vec<(Option<Expr>, Block)>, at: At },
    Assign { target: Target, name: Name, how: Operator, value: Option<Expr>, at: At },
    Capture { target: Target, name: Name, body: Block, format: Format, at: At },
    Macro(usize),
    Call(Box<Call>),
    Nested { arguments: Vec<Expr>, at: At },
    Return(Option<Expr>),
    Include { unit: usize, lenient: bool, at: At },
    Import { unit: usize, name: Name, at: At },
    Setting { name: Setting, value: Expr, at: At },
    Compress { body: Block, single_line: bool },
    Attempt { body: Block, recover: Block },
    Stop { message: Option<Expr>, at: At },
}

/// `#list`.
#[derive(Debug)]
pub(super) struct List {
    pub source: Expr,
    /// The loop variable, and the second of a hash; none where `#items` names them.
    pub names: Option<(Name, Option<Name>)>,
    pub body: Block,
    pub otherwise: Block,
    pub at: At,
}

/// `<@name …>`.
#[derive(Debug)]
pub(super) struct Call {
    pub callee: Expr,
    pub arguments: Vec<(Option<Name>, Expr)>,
    pub variables: Vec<Name>,
    pub body: Option<Block>,
    pub at: At,
}

/// Where an assignment goes.
#[derive(Debug)]
pub(super) enum Target {
    Namespace(Option<Expr>),
    Local,
    Global,
}

/// `=`, `+=`, `++`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Set,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What `#setting` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Locale,
    NumberFormat,
    BooleanFormat,
    DateFormat,
    TimeFormat,
    DateTimeFormat,
    TimeZone,
    /// The character set of `?url`, which is always UTF-8.
    UrlCharset,
}

/// An expression.
#[derive(Debug)]
pub(super) enum Expr {
    Text(String),
    /// A string literal with interpolations.
    Joined(Vec<Node>),
    Number(Decimal),
    Bool(bool),
    List(Vec<Self>),
    Hash(Vec<(Self, Self)>),
    Variable {
        name: Name,
        at: At,
    },
    Special {
        special: Special,
        at: At,
    },
    /// `x.name`, and `x["name"]` of a literal.
    Member {
        of: Box<Self>,
        key: String,
        at: At,
    },
    Index {
        of: Box<Self>,
        index: Box<Self>,
        at: At,
    },
    Call {
        callee: Box<Self>,
        arguments: Vec<Self>,
        at: At,
    },
    BuiltIn(Box<BuiltInCall>),
    Default {
        value: Box<Self>,
        otherwise: Option<Box<Self>>,
        at: At,
    },
    Exists(Box<Self>),
    Not {
        value: Box<Self>,
        at: At,
    },
    Negative {
        value: Box<Self>,
        at: At,
    },
    Positive {
        value: Box<Self>,
        at: At,
    },
    Arithmetic {
        operator: Operator,
        left: Box<Self>,
        right: Box<Self>,
        at: At,
    },
    Compare {
        comparison: Comparison,
        left: Box<Self>,
        right: Box<Self>,
        at: At,
    },
    And {
        left: Box<Self>,
        right: Box<Self>,
        at: At,
    },
    Or {
        left: Box<Self>,
        right: Box<Self>,
        at: At,
    },
    Range {
        start: Box<Self>,
        end: Option<Box<Self>>,
        kind: RangeKind,
        at: At,
    },
    Parenthesis(Box<Self>),
    Lambda {
        parameter: Name,
        body: Box<Self>,
    },
    /// `body` with the name that `#escape` gives to `value`.
    Escaped {
        name: Name,
        value: Box<Self>,
        body: std::sync::Arc<Self>,
    },
}

/// `x?name(arguments)`.
#[derive(Debug)]
pub(super) struct BuiltInCall {
    pub built_in: BuiltIn,
    pub target: Expr,
    /// None where there are no parentheses.
    pub arguments: Option<Vec<Expr>>,
    /// The output format there, and whether it escapes.
    pub format: Format,
    pub at: At,
}

/// `.name`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Vars,
    Main,
    Namespace,
    Globals,
    DataModel,
    Locals,
    Error,
    Locale,
    Lang,
    TemplateName,
    OutputFormat(Format),
    AutoEsc(bool),
    Version,
    UrlCharset,
}

/// `==` and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `a..b`, `a..<b`, `a..*n`, `a..`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RangeKind {
    Inclusive,
    Exclusive,
    Length,
    Open,
}

//! How templates are written, and their syntax tree.

/// Delimiters and white space. A prompt's are Jinja2's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Syntax {
    pub block_start: String,
    pub block_end: String,
    pub variable_start: String,
    pub variable_end: String,
    pub comment_start: String,
    pub comment_end: String,
    pub line_statement_prefix: Option<String>,
    pub line_comment_prefix: Option<String>,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    pub keep_trailing_newline: bool,
}

impl Default for Syntax {
    fn default() -> Self {
        Syntax {
            block_start: "{%".into(),
            block_end: "%}".into(),
            variable_start: "{{".into(),
            variable_end: "}}".into(),
            comment_start: "{#".into(),
            comment_end: "#}".into(),
            line_statement_prefix: None,
            line_comment_prefix: None,
            trim_blocks: false,
            lstrip_blocks: false,
            keep_trailing_newline: false,
        }
    }
}

/// What is wrong with a template's text, and at which byte of it.
#[derive(Clone, Debug)]
pub struct Problem {
    pub message: String,
    pub at: usize,
}

impl Problem {
    pub fn new(message: impl Into<String>, at: usize) -> Self {
        Problem { message: message.into(), at }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, Default)]
pub struct Args {
    pub positional: Vec<Expr>,
    pub named: Vec<(String, Expr)>,
    pub star: Option<Box<Expr>>,
    pub star_star: Option<Box<Expr>>,
}

impl Args {
    pub fn is_empty(&self) -> bool {
        self.positional.is_empty() && self.named.is_empty() && self.star.is_none() && self.star_star.is_none()
    }
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Name(String),
    Bool(bool),
    None,
    Int(i128),
    Float(f64),
    Str(String),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, String),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Args),
    /// Without a value in the filter of a block.
    Filter(Option<Box<Expr>>, String, Args),
    Test(Box<Expr>, String, Args),
    /// Operators of the same rank, from left to right.
    Chain(Box<Expr>, Vec<(&'static str, Expr)>),
    Compare(Box<Expr>, Vec<(&'static str, Expr)>),
    Concat(Vec<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Sign(&'static str, Box<Expr>),
    Condition { test: Box<Expr>, then: Box<Expr>, otherwise: Option<Box<Expr>> },
    /// A call whose text becomes a value (marks.rs).
    Quiet(Box<Expr>),
}

#[derive(Clone, Debug)]
pub enum Target {
    Name(String),
    Attr(String, String, Span),
    Tuple(Vec<Target>),
}

#[derive(Clone, Debug)]
pub struct Macro {
    pub name: String,
    pub parameters: Vec<(String, Option<Expr>)>,
    pub body: Vec<Node>,
    pub uses_varargs: bool,
    pub uses_kwargs: bool,
    pub uses_caller: bool,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Data,
    Print(Vec<Expr>),
    If { branches: Vec<(Expr, Vec<Node>)>, otherwise: Vec<Node> },
    For { target: Target, iter: Expr, filter: Option<Expr>, recursive: bool, body: Vec<Node>, otherwise: Vec<Node> },
    Set(Target, Expr),
    SetBlock { target: Target, filter: Option<Expr>, body: Vec<Node> },
    Macro(Macro),
    Call { call: Expr, caller: Macro },
    FilterBlock { filter: Expr, body: Vec<Node> },
    With { values: Vec<(Target, Expr)>, body: Vec<Node> },
    Block { name: String, required: bool, body: Vec<Node> },
    Extends(Expr),
    Include { name: Expr, ignore_missing: bool, with_context: bool },
    Import { name: Expr, target: String, with_context: bool },
    FromImport { name: Expr, names: Vec<(String, String)>, with_context: bool },
    Do(Expr),
    AutoEscape { enabled: Expr, body: Vec<Node> },
    Break,
    Continue,
    /// A helper's call that no author wrote (marks.rs).
    Helper(String),
}

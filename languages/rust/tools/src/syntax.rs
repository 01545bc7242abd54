//! What items and types look like once read.

use crate::lex::Token;

/// A type, with its text as written.
#[derive(Clone, Debug)]
pub struct Type {
    pub kind: TypeKind,
    pub text: String,
}

#[derive(Clone, Debug)]
pub enum TypeKind {
    Path(Path),
    Ref { mutable: bool, inner: Box<Type> },
    Slice(Box<Type>),
    Array(Box<Type>, Option<u64>),
    Tuple(Vec<Type>),
    Never,
    Impl(Vec<Path>),
    Dyn(Vec<Path>),
    Pointer,
    Function,
    /// `_`, macros, qualified paths.
    Other,
}

#[derive(Clone, Debug, Default)]
pub struct Path {
    pub segments: Vec<Segment>,
}

#[derive(Clone, Debug, Default)]
pub struct Segment {
    pub name: String,
    pub types: Vec<Type>,
    /// `Item = T`
    pub bound: Vec<(String, Type)>,
    pub has_lifetime: bool,
}

impl Path {
    pub fn last(&self) -> &str {
        self.segments.last().map_or("", |segment| &segment.name)
    }
    pub fn names(&self) -> Vec<String> {
        self.segments.iter().map(|segment| segment.name.clone()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Attribute {
    /// `serde`, `derive`, `cfg`
    pub path: String,
    /// What stands in its brackets, or behind its `=`.
    pub tokens: Vec<Token>,
}

#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub all: Vec<Attribute>,
    pub doc: String,
}

impl Attributes {
    pub fn named<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Attribute> {
        self.all.iter().filter(move |attribute| attribute.path == path)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Visibility {
    Private,
    /// `pub(crate)` and the like.
    Restricted,
    Public,
}

#[derive(Clone, Debug, Default)]
pub struct Generics {
    pub types: Vec<String>,
    pub lifetimes: bool,
    pub constants: bool,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub name: String,
    pub line: u32,
    pub visibility: Visibility,
    pub attributes: Attributes,
    pub kind: ItemKind,
}

#[derive(Clone, Debug)]
pub enum ItemKind {
    Function(Function),
    Struct { generics: Generics, fields: Fields },
    Enum { generics: Generics, variants: Vec<Variant> },
    Alias { generics: Generics, target: Type },
    Constant { value: Vec<Token> },
    Use(Vec<Import>),
    Module(Option<Vec<Item>>),
    Implementation { of: Option<String>, methods: Vec<Item> },
    Trait,
    Union,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub generics: Generics,
    pub parameters: Vec<Parameter>,
    pub result: Option<Type>,
    pub is_async: bool,
    pub is_unsafe: bool,
    pub is_foreign: bool,
    pub takes_self: bool,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    /// None: a pattern.
    pub name: Option<String>,
    pub kind: Type,
}

#[derive(Clone, Debug)]
pub enum Fields {
    Unit,
    Tuple(Vec<Field>),
    Named(Vec<Field>),
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub kind: Type,
    pub attributes: Attributes,
}

#[derive(Clone, Debug)]
pub struct Variant {
    pub name: String,
    pub fields: Fields,
    pub attributes: Attributes,
    pub discriminant: Option<i64>,
}

/// `use a::b as c;` one name at a time; `name` "*" is a glob.
#[derive(Clone, Debug)]
pub struct Import {
    pub path: Vec<String>,
    pub name: String,
}

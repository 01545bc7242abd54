//! What a file offers (spec/describe.md), and how the worker calls it.

use crate::json::Json;
use crate::lex::{Kind, Token, Wrong};
use crate::schema::{one_line, Meaning, Reader, Scope};
use crate::serde::Way;
use crate::syntax::*;
use crate::world::{Module, World};

/// How an argument gets to its parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Passed {
    Owned,
    /// `&T`, of a value that the worker owns.
    Borrowed,
    Str,
    Slice,
    Path,
    OptionalStr,
    OptionalSlice,
    OptionalBorrowed,
    Context,
    BorrowedContext,
}

pub struct Parameter {
    pub name: String,
    pub schema: Json,
    pub required: bool,
    /// JSON.
    pub default: Option<Json>,
    pub doc: String,
    pub text: String,
    pub passed: Passed,
}

/// What comes of a result on its way to the answer.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// A future, to be awaited.
    pub future: bool,
    /// A Result around it.
    pub fallible: bool,
    pub stream: Option<Stream>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stream {
    /// Each item is a Result.
    pub fallible: bool,
}

pub struct Function {
    pub name: String,
    pub line: u32,
    pub doc: String,
    pub parameters: Vec<Parameter>,
    pub returned: Returned,
    pub result: Json,
    pub result_text: String,
    pub result_doc: String,
    pub warnings: Vec<String>,
}

pub struct Unavailable {
    pub name: String,
    pub line: u32,
    pub reason: String,
}

#[derive(Default)]
pub struct Description {
    pub doc: String,
    pub constants: Vec<(String, Json)>,
    pub functions: Vec<Function>,
    pub unavailable: Vec<Unavailable>,
}

impl Description {
    pub fn json(&self, path: &str, depends: Vec<String>) -> Json {
        let functions: Vec<Json> = self.functions.iter().map(|function| {
            let parameters: Vec<Json> = function.parameters.iter().map(|one| {
                if matches!(one.passed, Passed::Context | Passed::BorrowedContext) {
                    return Json::object().with("name", one.name.as_str()).with("context", true);
                }
                let mut out = Json::object().with("name", one.name.as_str()).with("schema", one.schema.clone()).with("required", one.required)
                    .with("doc", one.doc.as_str()).with("type", one.text.as_str());
                if let Some(default) = &one.default {
                    out.put("default", default.clone());
                }
                out
            }).collect();
            Json::object().with("name", function.name.as_str()).with("line", function.line).with("doc", function.doc.as_str())
                .with("async", function.returned.future).with("generator", function.returned.stream.is_some()).with("parameters", parameters)
                .with("result", Json::object().with("schema", function.result.clone()).with("doc", function.result_doc.as_str()).with("type", function.result_text.as_str()))
                .with("warnings", function.warnings.clone())
        }).collect();
        let unavailable: Vec<Json> = self.unavailable.iter()
            .map(|one| Json::object().with("name", one.name.as_str()).with("line", one.line).with("reason", one.reason.as_str())).collect();
        Json::object().with("path", path).with("module_doc", self.doc.as_str()).with("constants", Json::Object(self.constants.clone()))
            .with("functions", functions).with("unavailable", unavailable).with("depends", depends)
    }
}

pub fn describe(world: &World, file: &std::path::Path) -> Result<Description, Wrong> {
    let module = world.source(file)?;
    let mut out = Description { doc: world.doc(&module), ..Description::default() };
    let is_root = module.path.len() == 1 && module.path[0] == "lib";
    for item in module.items() {
        if is_off(&item.attributes) {
            continue;
        }
        match &item.kind {
            ItemKind::Constant { value } if item.visibility == Visibility::Public => {
                if let Some(value) = literal(value) {
                    out.constants.push((item.name.to_lowercase(), value));
                }
            }
            ItemKind::Function(function) if item.visibility == Visibility::Public && !is_hidden(&item.attributes) => {
                let made = if is_root {
                    Err("lib.rs is the root of its folder's crate; write functions in a file of their own".to_string())
                } else if let Some(condition) = condition(&item.attributes) {
                    Err(format!("it is compiled only where #[cfg({condition})] holds"))
                } else {
                    read(world, &module, item, function)
                };
                match made {
                    Ok(function) => out.functions.push(function),
                    Err(reason) => out.unavailable.push(Unavailable { name: item.name.clone(), line: item.line, reason }),
                }
            }
            ItemKind::Implementation { of: None, methods } => {
                for method in methods.iter().filter(|method| method.visibility == Visibility::Public && !is_hidden(&method.attributes) && !is_off(&method.attributes)) {
                    let ItemKind::Function(function) = &method.kind else { continue };
                    let reason = if function.takes_self {
                        format!("it is a method, and a call has no {} to call it on; write a function that takes one", item.name)
                    } else {
                        format!("it belongs to {}; write a function beside it that calls it", item.name)
                    };
                    out.unavailable.push(Unavailable { name: format!("{}::{}", item.name, method.name), line: method.line, reason });
                }
            }
            ItemKind::Module(Some(inner)) if item.visibility == Visibility::Public => {
                for function in inner.iter().filter(|one| one.visibility == Visibility::Public && matches!(one.kind, ItemKind::Function(_)) && !is_hidden(&one.attributes)) {
                    out.unavailable.push(Unavailable { name: function.name.clone(), line: function.line, reason: format!("it is inside mod {}; move it to the file's top level", item.name) });
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

fn cfg_text(attribute: &Attribute) -> String {
    fn write(tokens: &[Token], out: &mut String) {
        for token in tokens {
            match &token.kind {
                Kind::Ident(name) => out.push_str(name),
                Kind::Text(text) => out.push_str(&format!(" \"{text}\"")),
                Kind::Punct(',') => out.push_str(", "),
                Kind::Punct(c) => out.push_str(&format!(" {c}")),
                Kind::Group(_, inner) => {
                    out.push('(');
                    write(inner, out);
                    out.push(')');
                }
                _ => {}
            }
        }
    }
    let mut out = String::new();
    write(&attribute.tokens, &mut out);
    out
}

// Left out of the build for sure.
fn is_off(attributes: &Attributes) -> bool {
    attributes.named("cfg").any(|cfg| matches!(cfg_text(cfg).as_str(), "test" | "windows" | "not(unix)" | "debug_assertions"))
        || attributes.named("test").next().is_some()
}

// A condition that is not known to hold.
fn condition(attributes: &Attributes) -> Option<String> {
    attributes.named("cfg").map(cfg_text).find(|text| {
        !matches!(text.as_str(), "unix" | "not(test)" | "not(windows)" | "target_os = \"linux\"" | "not(debug_assertions)" | "target_pointer_width = \"64\"")
    })
}

fn is_hidden(attributes: &Attributes) -> bool {
    attributes.named("doc").any(|doc| doc.tokens.iter().any(|token| token.is_word("hidden")))
}

/// A literal: text, numbers, booleans, lists of them, and lists of ("name", value), which are objects. `concat!` is understood.
fn literal(tokens: &[Token]) -> Option<Json> {
    Some(match tokens {
        [Token { kind: Kind::Text(text), .. }] => Json::Text(text.clone()),
        [Token { kind: Kind::Number(text), .. }] => crate::json::number(text)?,
        [sign, Token { kind: Kind::Number(text), .. }] if sign.is('-') => crate::json::number(&format!("-{text}"))?,
        [word] if word.is_word("true") => Json::Bool(true),
        [word] if word.is_word("false") => Json::Bool(false),
        [word] if word.is_word("None") => Json::Null,
        [word, inner] if word.is_word("Some") => literal(inner.group('(')?)?,
        [word, bang, inner] if word.is_word("concat") && bang.is('!') => {
            let parts: Option<String> = inner.group('(')?.split(|token| token.is(',')).filter(|part| !part.is_empty()).map(|part| match literal(part)? {
                Json::Text(text) => Some(text),
                other => Some(other.to_string()),
            }).collect();
            Json::Text(parts?)
        }
        [reference, inner @ ..] if reference.is('&') => literal(inner)?,
        [list] => {
            let parts: Vec<&[Token]> = list.group('[')?.split(|token| token.is(',')).filter(|part| !part.is_empty()).collect();
            let pairs: Option<Vec<(String, Json)>> = parts.iter().map(|part| {
                let [pair] = part else { return None };
                let (name, value) = pair.group('(')?.split_at_checked(2)?;
                let Kind::Text(name) = &name[0].kind else { return None };
                Some((name.clone(), literal(value)?))
            }).collect();
            match pairs {
                Some(pairs) if !pairs.is_empty() => Json::Object(pairs),
                _ => Json::List(parts.into_iter().map(literal).collect::<Option<_>>()?),
            }
        }
        _ => return None,
    })
}

// The text of a parameter's own line: "* `limit` - how many (default 10)".
fn documented<'a>(line: &'a str, names: &[&str]) -> Option<(String, &'a str)> {
    let line = line.trim_start();
    let bare = line.trim_start_matches(['*', '-', '+']).trim_start();
    let listed = bare.len() < line.len();
    let (name, rest) = if let Some(quoted) = bare.strip_prefix('`') {
        quoted.split_once('`')?
    } else if listed || bare.contains(':') {
        bare.split_at(bare.find(|c: char| c != '_' && !c.is_alphanumeric())?)
    } else {
        return None;
    };
    if !names.contains(&name) {
        return None;
    }
    let rest = rest.trim_start();
    let text = rest.strip_prefix([':', '-', '–', '—'])?;
    Some((name.into(), text.trim_start_matches(['-', ' ', ':'])))
}

struct Docs {
    rest: String,
    about: Vec<(String, String)>,
    result: String,
}

/// Splits a doc comment: what it says of parameters (a list under `# Arguments` or anywhere) and of the result (`# Returns`).
fn split_docs(doc: &str, names: &[&str]) -> Docs {
    let mut out = Docs { rest: String::new(), about: Vec::new(), result: String::new() };
    let mut rest: Vec<&str> = Vec::new();
    let mut section = "";
    let mut current = false;
    let mut code = false;
    for line in doc.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            code = !code;
        }
        if !code {
            if let Some(title) = trimmed.strip_prefix('#').map(|title| title.trim_matches(['#', ' ']).to_lowercase()) {
                section = match title.as_str() {
                    "arguments" | "parameters" | "args" | "params" => "arguments",
                    "returns" | "return" | "result" => "returns",
                    _ => "",
                };
                current = false;
                if !section.is_empty() {
                    continue;
                }
            }
            if let Some((name, text)) = documented(line, names) {
                if !out.about.iter().any(|(own, _)| *own == name) {
                    out.about.push((name, text.into()));
                    current = true;
                    continue;
                }
            }
            if current && !trimmed.is_empty() && line.starts_with(' ') {
                if let Some((_, text)) = out.about.last_mut() {
                    text.push(' ');
                    text.push_str(trimmed);
                }
                continue;
            }
            current = false;
            // A tag ends a section: the engine reads it.
            let tag = ["Effect:", "Timeout:", "Secrets:", "Idempotent:"].iter().any(|tag| trimmed.starts_with(tag));
            if section == "returns" && !tag {
                out.result.push_str(trimmed);
                out.result.push(' ');
                continue;
            }
            if section == "arguments" && trimmed.is_empty() {
                continue;
            }
        }
        rest.push(line);
    }
    let text = rest.join("\n").trim().to_string();
    out.rest = text;
    while out.rest.contains("\n\n\n") {
        out.rest = out.rest.replace("\n\n\n", "\n\n");
    }
    out.result = one_line(&out.result);
    out
}

/// "how many (default 10)": the text and its default, as JSON or, where strings are expected, a bare word.
fn split_default(text: &str, schema: &Json) -> (String, Option<Result<Json, String>>) {
    let plain = text.trim_end().trim_end_matches('.');
    let Some(inner) = plain.strip_suffix(')') else { return (text.into(), None) };
    let Some(open) = inner.rfind(['(']).filter(|open| inner[open + 1..].to_lowercase().starts_with("default")) else { return (text.into(), None) };
    let value = inner[open + 8..].trim_start_matches([':', ' ', '=']).trim_matches('`').trim();
    if value.is_empty() {
        return (text.into(), None);
    }
    let before = plain[..open].trim_end().trim_end_matches(',').to_string();
    if let Some(json) = crate::json::parse(value) {
        return (before, Some(Ok(json)));
    }
    let texts = matches!(schema.get("type"), Some(Json::Text(kind)) if kind == "string") || schema.list("type").contains(&"string".into());
    if texts {
        return (before, Some(Ok(Json::Text(value.trim_matches(['"', '\'']).into()))));
    }
    (text.into(), Some(Err(value.into())))
}

fn is_named(reader: &Reader, kind: &Type, at: &Scope, crates: &[&str], wanted: &str) -> bool {
    matches!(&kind.kind, TypeKind::Path(path) if matches!(reader.meaning(path, at), Meaning::Known { name, from, .. } if name == wanted && crates.contains(&from.as_str())))
}

const STD: &[&str] = &["", "std", "core", "alloc"];

fn inner_of(kind: &Type) -> Option<&Type> {
    let TypeKind::Path(path) = &kind.kind else { return None };
    path.segments.last()?.types.first()
}

fn is_str(reader: &Reader, kind: &Type, at: &Scope) -> bool {
    is_named(reader, kind, at, STD, "str")
}

fn how_passed(reader: &Reader, kind: &Type, at: &Scope) -> Passed {
    if is_named(reader, kind, at, &["sabir"], "Context") {
        return Passed::Context;
    }
    if let TypeKind::Ref { inner, .. } = &kind.kind {
        let (inner, at) = reader.resolved(inner, at);
        return match &inner.kind {
            TypeKind::Slice(_) => Passed::Slice,
            _ if is_str(reader, &inner, &at) => Passed::Str,
            _ if is_named(reader, &inner, &at, STD, "Path") => Passed::Path,
            _ if is_named(reader, &inner, &at, &["sabir"], "Context") => Passed::BorrowedContext,
            _ => Passed::Borrowed,
        };
    }
    if is_named(reader, kind, at, STD, "Option") {
        if let Some(Type { kind: TypeKind::Ref { inner, .. }, .. }) = inner_of(kind) {
            let (inner, at) = reader.resolved(inner, at);
            return match &inner.kind {
                TypeKind::Slice(_) => Passed::OptionalSlice,
                _ if is_str(reader, &inner, &at) => Passed::OptionalStr,
                _ => Passed::OptionalBorrowed,
            };
        }
    }
    Passed::Owned
}

// What an iterator, a boxed one or a channel yields.
fn yielded(reader: &Reader, kind: &Type, at: &Scope) -> Option<Type> {
    let of_bounds = |paths: &[Path]| {
        paths.iter().filter(|path| matches!(path.last(), "Iterator" | "IntoIterator" | "DoubleEndedIterator" | "ExactSizeIterator"))
            .find_map(|path| path.segments.last()?.bound.iter().find(|(name, _)| name == "Item").map(|(_, kind)| kind.clone()))
    };
    match &kind.kind {
        TypeKind::Impl(paths) => of_bounds(paths),
        TypeKind::Path(path) => {
            let Meaning::Known { name, from, .. } = reader.meaning(path, at) else { return None };
            match (name.as_str(), inner_of(kind)) {
                ("Box", Some(Type { kind: TypeKind::Dyn(paths), .. })) => of_bounds(paths),
                ("Receiver", Some(inner)) if from == "std" => Some(inner.clone()),
                ("IntoIter", Some(inner)) if from == "std" => Some(inner.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

// What a future gives.
fn awaited(kind: &Type) -> Option<Type> {
    let of_bounds = |paths: &[Path]| {
        paths.iter().filter(|path| path.last() == "Future").find_map(|path| path.segments.last()?.bound.iter().find(|(name, _)| name == "Output").map(|(_, kind)| kind.clone()))
    };
    match &kind.kind {
        TypeKind::Impl(paths) => of_bounds(paths),
        TypeKind::Path(path) if path.last() == "Pin" => match inner_of(kind).and_then(inner_of) {
            Some(Type { kind: TypeKind::Dyn(paths), .. }) => of_bounds(paths),
            _ => None,
        },
        TypeKind::Path(path) if path.last() == "BoxFuture" => path.segments.last()?.types.first().cloned(),
        _ => None,
    }
}

// The value of a Result of whatever kind: std's, anyhow's, sabir's, io's.
fn succeeded(reader: &Reader, kind: &Type, at: &Scope) -> Option<Type> {
    let TypeKind::Path(path) = &kind.kind else { return None };
    match reader.meaning(path, at) {
        Meaning::Known { name, .. } if name == "Result" || name.ends_with("Result") => inner_of(kind).cloned(),
        _ => None,
    }
}

const UNIT: fn() -> Type = || Type { kind: TypeKind::Tuple(Vec::new()), text: "()".into() };

fn read(world: &World, module: &Module, item: &Item, function: &crate::syntax::Function) -> Result<Function, String> {
    if function.is_unsafe {
        return Err("it is unsafe, and nobody can vouch for a call; write a safe function that calls it".into());
    }
    if function.is_foreign {
        return Err("it has another language's calling convention; write a function that calls it".into());
    }
    if !function.generics.types.is_empty() || function.generics.constants {
        return Err("a generic function has no single signature; write one for one type that calls it".into());
    }
    let at = Scope::of(module);
    let mut reader = Reader::new(world, Way::In);
    let names: Vec<&str> = function.parameters.iter().filter_map(|one| one.name.as_deref()).collect();
    let docs = split_docs(&item.attributes.doc, &names);
    let mut parameters = Vec::new();
    let mut warnings = Vec::new();
    for (index, one) in function.parameters.iter().enumerate() {
        let Some(name) = &one.name else { return Err(format!("its parameter {} has no name to be passed by", index + 1)) };
        let (kind, scope) = reader.resolved(&one.kind, &at);
        let passed = how_passed(&reader, &kind, &scope);
        let mut made = Parameter { name: name.clone(), schema: Json::object(), required: true, default: None, doc: String::new(), text: one.kind.text.clone(), passed };
        if !matches!(passed, Passed::Context | Passed::BorrowedContext) {
            made.schema = reader.schema(&kind, &scope).map_err(|why| format!("its parameter {name}: {why}"))?;
            made.required = !reader.is_option(&kind, &scope);
            let about = docs.about.iter().find(|(own, _)| own == name).map_or("", |(_, text)| text);
            match split_default(&one_line(about), &made.schema) {
                (text, Some(Ok(default))) => {
                    made.doc = text;
                    made.required = false;
                    made.default = Some(default);
                }
                (text, Some(Err(value))) => {
                    made.doc = text;
                    warnings.push(format!("the default of {name} is no JSON: {value}"));
                }
                (text, None) => made.doc = text,
            }
        }
        parameters.push(made);
    }
    warnings.append(&mut reader.warnings);

    let mut reader = Reader::new(world, Way::Out);
    let mut returned = Returned { future: function.is_async, ..Returned::default() };
    let written = function.result.clone().unwrap_or_else(UNIT);
    let (mut kind, mut scope) = reader.resolved(&written, &at);
    if let Some(output) = awaited(&kind) {
        returned.future = true;
        (kind, scope) = reader.resolved(&output, &scope);
    }
    if let Some(value) = succeeded(&reader, &kind, &scope) {
        returned.fallible = true;
        (kind, scope) = reader.resolved(&value, &scope);
    } else if matches!(&kind.kind, TypeKind::Path(path) if path.last() == "Result" && path.segments.last().is_some_and(|last| last.types.is_empty())) {
        // fmt::Result
        returned.fallible = true;
        kind = UNIT();
    }
    if let Some(item) = yielded(&reader, &kind, &scope) {
        let (item, inner_scope) = reader.resolved(&item, &scope);
        let value = succeeded(&reader, &item, &inner_scope);
        returned.stream = Some(Stream { fallible: value.is_some() });
        (kind, scope) = match value {
            Some(value) => reader.resolved(&value, &inner_scope),
            None => (item, inner_scope),
        };
    }
    let result = reader.schema(&kind, &scope).map_err(|why| format!("its result: {why}"))?;
    warnings.append(&mut reader.warnings);
    warnings.dedup();
    Ok(Function {
        name: item.name.clone(), line: item.line, doc: docs.rest, parameters, returned, result,
        result_text: function.result.as_ref().map_or(String::new(), |kind| kind.text.clone()), result_doc: docs.result, warnings,
    })
}


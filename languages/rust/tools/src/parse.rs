//! Items and types out of tokens. What this does not know it skips as the compiler would see it: up to `;` or a block.

use crate::lex::{lex, Kind, Token, Wrong};
use crate::syntax::*;

pub struct File {
    pub items: Vec<Item>,
    pub doc: String,
}

pub fn parse(text: &str) -> Result<File, Wrong> {
    let tokens = lex(text)?;
    let doc: Vec<&str> = tokens.iter().map_while(|token| match &token.kind {
        Kind::InnerDoc(text) => Some(text.as_str()),
        _ => None,
    }).collect();
    let mut parser = Parser { tokens: &tokens, at: 0, text };
    let items = parser.items()?;
    Ok(File { items, doc: undented(&doc.join("\n")) })
}

/// Doc lines without the blank that usually begins them.
pub fn undented(doc: &str) -> String {
    let lines: Vec<&str> = doc.lines().collect();
    let indent = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let lines: Vec<&str> = lines.iter().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    lines.join("\n").trim().to_string()
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    text: &'a str,
}

type Parsed<T> = Result<T, Wrong>;

impl<'a> Parser<'a> {
    fn inside(&self, tokens: &'a [Token]) -> Parser<'a> {
        Parser { tokens, at: 0, text: self.text }
    }
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }
    fn after(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }
    fn word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_word(word));
        self.at += usize::from(found);
        found
    }
    fn punct(&mut self, punct: char) -> bool {
        let found = self.peek().is_some_and(|token| token.is(punct));
        self.at += usize::from(found);
        found
    }
    fn puncts(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(index, punct)| self.after(index).is_some_and(|token| token.is(punct)));
        self.at += if found { text.len() } else { 0 };
        found
    }
    fn group(&mut self, open: char) -> Option<&'a [Token]> {
        let inside = self.peek()?.group(open)?;
        self.at += 1;
        Some(inside)
    }
    fn wrong<T>(&self, message: &str) -> Parsed<T> {
        let token = self.peek().or(self.tokens.last());
        Err(Wrong { message: message.into(), line: token.map_or(1, |token| token.line), column: token.map_or(1, |token| token.column) })
    }
    fn name(&mut self, what: &str) -> Parsed<&'a str> {
        match self.peek().and_then(Token::ident) {
            Some(name) => {
                self.at += 1;
                Ok(name)
            }
            None => self.wrong(&format!("the name of {what} is missing")),
        }
    }
    fn skip_item(&mut self) {
        while let Some(token) = self.peek() {
            self.at += 1;
            if token.is(';') || token.group('{').is_some() {
                return;
            }
        }
    }

    fn attributes(&mut self) -> Parsed<Attributes> {
        let mut out = Attributes::default();
        let mut doc: Vec<String> = Vec::new();
        loop {
            match self.peek().map(|token| &token.kind) {
                Some(Kind::Doc(text)) => {
                    doc.push(text.clone());
                    self.at += 1;
                }
                Some(Kind::InnerDoc(_)) => self.at += 1,
                Some(Kind::Punct('#')) => {
                    self.at += 1;
                    let inner = self.punct('!');
                    let Some(tokens) = self.group('[') else { return self.wrong("'[' is missing behind '#'") };
                    let mut parser = self.inside(tokens);
                    let mut path = String::new();
                    while let Some(name) = parser.peek().and_then(Token::ident) {
                        path.push_str(name);
                        parser.at += 1;
                        if !parser.puncts("::") {
                            break;
                        }
                        path.push_str("::");
                    }
                    let tokens = match parser.group('(') {
                        Some(inside) => inside.to_vec(),
                        None => {
                            parser.punct('=');
                            parser.tokens[parser.at..].to_vec()
                        }
                    };
                    if inner {
                        continue;
                    }
                    match tokens.first().map(|token| &token.kind) {
                        Some(Kind::Text(text)) if path == "doc" => doc.push(text.clone()),
                        _ => out.all.push(Attribute { path, tokens }),
                    }
                }
                _ => break,
            }
        }
        out.doc = undented(&doc.join("\n"));
        Ok(out)
    }

    fn visibility(&mut self) -> Visibility {
        if !self.word("pub") {
            return Visibility::Private;
        }
        let restricted = self.peek().and_then(|token| token.group('(')).is_some_and(|inside| {
            inside.first().is_some_and(|token| ["crate", "super", "self", "in"].iter().any(|word| token.is_word(word)))
        });
        if restricted {
            self.at += 1;
            return Visibility::Restricted;
        }
        Visibility::Public
    }

    fn items(&mut self) -> Parsed<Vec<Item>> {
        let mut out = Vec::new();
        loop {
            let attributes = self.attributes()?;
            if self.peek().is_none() {
                return Ok(out);
            }
            if self.punct(';') {
                continue;
            }
            let visibility = self.visibility();
            if let Some(mut item) = self.item(visibility)? {
                item.attributes = attributes;
                out.push(item);
            }
        }
    }

    fn item(&mut self, visibility: Visibility) -> Parsed<Option<Item>> {
        let made = |name: &str, line: u32, kind: ItemKind| Ok(Some(Item { name: name.into(), line, visibility, attributes: Attributes::default(), kind }));
        let Some(first) = self.peek() else { return self.wrong("an item is missing") };
        let line = first.line;
        if let Some(function) = self.function()? {
            return made(&function.0, function.1, ItemKind::Function(function.2));
        }
        match first.ident() {
            Some("use") => {
                self.at += 1;
                let mut imports = Vec::new();
                self.imports(&mut Vec::new(), &mut imports)?;
                if !self.punct(';') {
                    return self.wrong("';' is missing behind 'use'");
                }
                made("", line, ItemKind::Use(imports))
            }
            Some("mod") => {
                self.at += 1;
                let name = self.name("a module")?;
                if let Some(tokens) = self.group('{') {
                    let items = self.inside(tokens).items()?;
                    return made(name, line, ItemKind::Module(Some(items)));
                }
                if !self.punct(';') {
                    return self.wrong("';' or '{' is missing behind the module's name");
                }
                made(name, line, ItemKind::Module(None))
            }
            Some("struct") => {
                self.at += 1;
                let line = self.peek().map_or(line, |token| token.line);
                let name = self.name("a struct")?;
                let generics = self.generics()?;
                self.where_clause();
                let fields = if let Some(tokens) = self.group('{') {
                    Fields::Named(self.inside(tokens).named_fields()?)
                } else if let Some(tokens) = self.group('(') {
                    let fields = self.inside(tokens).tuple_fields()?;
                    self.where_clause();
                    self.end_of("the struct")?;
                    Fields::Tuple(fields)
                } else {
                    self.end_of("the struct")?;
                    Fields::Unit
                };
                made(name, line, ItemKind::Struct { generics, fields })
            }
            Some("enum") => {
                self.at += 1;
                let line = self.peek().map_or(line, |token| token.line);
                let name = self.name("an enum")?;
                let generics = self.generics()?;
                self.where_clause();
                let Some(tokens) = self.group('{') else { return self.wrong("'{' is missing behind the enum's name") };
                let variants = self.inside(tokens).variants()?;
                made(name, line, ItemKind::Enum { generics, variants })
            }
            Some("type") => {
                self.at += 1;
                let name = self.name("a type")?;
                let generics = self.generics()?;
                self.where_clause();
                if !self.punct('=') {
                    self.skip_item();
                    return Ok(None);
                }
                let target = self.kind()?;
                self.skip_item();
                made(name, line, ItemKind::Alias { generics, target })
            }
            Some("const" | "static") => {
                self.at += 1;
                self.word("mut");
                let name = self.peek().and_then(Token::ident).unwrap_or("_");
                let start = self.at;
                while self.peek().is_some_and(|token| !token.is(';')) {
                    self.at += 1;
                }
                let tokens = &self.tokens[start..self.at];
                if !self.punct(';') {
                    return self.wrong("';' is missing behind the constant");
                }
                let value = tokens.iter().position(|token| token.is('=')).map_or_else(Vec::new, |at| tokens[at + 1..].to_vec());
                made(name, line, ItemKind::Constant { value })
            }
            Some("impl") => {
                self.at += 1;
                self.generics()?;
                self.punct('!');
                let first = self.kind()?;
                let (of, own) = if self.word("for") { (Some(first), self.kind()?) } else { (None, first) };
                self.where_clause();
                let last = |kind: &Type| if let TypeKind::Path(path) = &kind.kind { path.last().to_string() } else { String::new() };
                let Some(tokens) = self.group('{') else { return self.wrong("'{' is missing behind 'impl'") };
                let methods = if of.is_none() { self.inside(tokens).items()? } else { Vec::new() };
                made(&last(&own), line, ItemKind::Implementation { of: of.as_ref().map(last), methods })
            }
            Some("trait" | "union") => {
                let union = first.is_word("union");
                self.at += 1;
                let name = self.name("it")?;
                self.skip_item();
                made(name, line, if union { ItemKind::Union } else { ItemKind::Trait })
            }
            Some("unsafe" | "extern" | "auto" | "default" | "macro_rules" | "macro") => {
                self.skip_item();
                Ok(None)
            }
            Some(_) if self.macro_call() => Ok(None),
            _ => self.wrong("this is no item: expected fn, struct, enum, use, mod, const, impl or the like"),
        }
    }

    fn end_of(&mut self, what: &str) -> Parsed<()> {
        if self.punct(';') { Ok(()) } else { self.wrong(&format!("';' is missing behind {what}")) }
    }

    fn macro_call(&mut self) -> bool {
        let mut ahead = 0;
        while let Some(token) = self.after(ahead) {
            if token.is('!') {
                self.skip_macro(ahead);
                return true;
            }
            if token.ident().is_none() && !token.is(':') {
                return false;
            }
            ahead += 1;
        }
        false
    }
    fn skip_macro(&mut self, ahead: usize) {
        self.at += ahead + 1;
        while let Some(token) = self.peek() {
            self.at += 1;
            if token.group('{').is_some() || token.is(';') {
                break;
            }
        }
    }

    /// `const async unsafe extern "C" fn name<…>(…) -> T where … {`: its name, line and signature.
    fn function(&mut self) -> Parsed<Option<(String, u32, Function)>> {
        let mut ahead = 0;
        let (mut is_async, mut is_unsafe, mut is_foreign) = (false, false, false);
        loop {
            match self.after(ahead).map(|token| &token.kind) {
                Some(Kind::Ident(word)) => match word.as_str() {
                    "fn" => break,
                    "async" => is_async = true,
                    "unsafe" => is_unsafe = true,
                    "extern" => is_foreign = true,
                    "const" | "default" | "safe" => {}
                    _ => return Ok(None),
                },
                Some(Kind::Text(_)) if is_foreign => {}
                _ => return Ok(None),
            }
            ahead += 1;
        }
        self.at += ahead + 1;
        let line = self.peek().map_or(1, |token| token.line);
        let name = self.name("a function")?.to_string();
        let generics = self.generics()?;
        let Some(tokens) = self.group('(') else { return self.wrong("'(' is missing behind the function's name") };
        let mut inside = self.inside(tokens);
        let mut parameters = Vec::new();
        let mut takes_self = false;
        while inside.peek().is_some() {
            inside.attributes()?;
            if parameters.is_empty() && inside.is_self() {
                takes_self = true;
                while inside.peek().is_some_and(|token| !token.is(',')) {
                    inside.at += 1;
                }
            } else {
                parameters.push(inside.parameter()?);
            }
            if inside.peek().is_some() && !inside.punct(',') {
                return inside.wrong("',' is missing between parameters");
            }
        }
        let result = if self.puncts("->") { Some(self.kind()?) } else { None };
        self.where_clause();
        if self.group('{').is_none() && !self.punct(';') {
            return self.wrong("the function's body is missing");
        }
        Ok(Some((name, line, Function { generics, parameters, result, is_async, is_unsafe, is_foreign, takes_self })))
    }

    fn is_self(&self) -> bool {
        let mut ahead = 0;
        while let Some(token) = self.after(ahead) {
            match &token.kind {
                Kind::Punct('&') | Kind::Lifetime => {}
                Kind::Ident(word) if word == "mut" => {}
                Kind::Ident(word) => return word == "self" && !self.after(ahead + 1).is_some_and(|next| next.ident().is_some()),
                _ => return false,
            }
            ahead += 1;
        }
        false
    }

    fn parameter(&mut self) -> Parsed<Parameter> {
        let mut name = None;
        let start = self.at;
        // Up to the ':' that is no '::'.
        while let Some(token) = self.peek() {
            if token.is(':') {
                if !self.after(1).is_some_and(|next| next.is(':')) {
                    break;
                }
                self.at += 1;
            }
            if token.is(',') {
                return self.wrong("the parameter has no type");
            }
            self.at += 1;
        }
        let pattern: Vec<&Token> = self.tokens[start..self.at].iter().filter(|token| !token.is_word("mut")).collect();
        if let [only] = pattern[..] {
            name = only.ident().filter(|name| *name != "_").map(str::to_string);
        }
        if !self.punct(':') {
            return self.wrong("the parameter has no type");
        }
        Ok(Parameter { name, kind: self.kind()? })
    }

    fn generics(&mut self) -> Parsed<Generics> {
        let mut out = Generics::default();
        if !self.punct('<') {
            return Ok(out);
        }
        let mut depth = 1;
        let mut fresh = true; // at the beginning of a parameter
        while depth > 0 {
            let Some(token) = self.peek() else { return self.wrong("'>' is missing") };
            match &token.kind {
                Kind::Punct('-') if self.after(1).is_some_and(|next| next.is('>')) => self.at += 1,
                Kind::Punct('<') => depth += 1,
                Kind::Punct('>') => depth -= 1,
                Kind::Punct(',') if depth == 1 => {
                    fresh = true;
                    self.at += 1;
                    continue;
                }
                Kind::Lifetime if fresh => out.lifetimes = true,
                Kind::Ident(word) if fresh && word == "const" => out.constants = true,
                Kind::Ident(word) if fresh => out.types.push(word.clone()),
                Kind::Punct('#') | Kind::Group('[', _) => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            fresh = false;
            self.at += 1;
        }
        Ok(out)
    }

    fn where_clause(&mut self) {
        if self.word("where") {
            while self.peek().is_some_and(|token| !token.is(';') && token.group('{').is_none()) {
                self.at += 1;
            }
        }
    }

    fn named_fields(&mut self) -> Parsed<Vec<Field>> {
        let mut out = Vec::new();
        while self.peek().is_some() {
            let attributes = self.attributes()?;
            self.visibility();
            let name = self.name("a field")?.to_string();
            if !self.punct(':') {
                return self.wrong("the field has no type");
            }
            out.push(Field { name, kind: self.kind()?, attributes });
            if self.peek().is_some() && !self.punct(',') {
                return self.wrong("',' is missing between fields");
            }
        }
        Ok(out)
    }

    fn tuple_fields(&mut self) -> Parsed<Vec<Field>> {
        let mut out = Vec::new();
        while self.peek().is_some() {
            let attributes = self.attributes()?;
            self.visibility();
            out.push(Field { name: out.len().to_string(), kind: self.kind()?, attributes });
            if self.peek().is_some() && !self.punct(',') {
                return self.wrong("',' is missing between fields");
            }
        }
        Ok(out)
    }

    fn variants(&mut self) -> Parsed<Vec<Variant>> {
        let mut out: Vec<Variant> = Vec::new();
        while self.peek().is_some() {
            let attributes = self.attributes()?;
            let name = self.name("a variant")?.to_string();
            let fields = if let Some(tokens) = self.group('{') {
                Fields::Named(self.inside(tokens).named_fields()?)
            } else if let Some(tokens) = self.group('(') {
                Fields::Tuple(self.inside(tokens).tuple_fields()?)
            } else {
                Fields::Unit
            };
            let mut discriminant = out.last().map_or(Some(0), |last| last.discriminant.map(|value| value + 1));
            if self.punct('=') {
                let start = self.at;
                while self.peek().is_some_and(|token| !token.is(',')) {
                    self.at += 1;
                }
                discriminant = integer(&self.tokens[start..self.at]);
            }
            out.push(Variant { name, fields, attributes, discriminant });
            if self.peek().is_some() && !self.punct(',') {
                return self.wrong("',' is missing between variants");
            }
        }
        Ok(out)
    }

    fn imports(&mut self, before: &mut Vec<String>, out: &mut Vec<Import>) -> Parsed<()> {
        let length = before.len();
        self.puncts("::");
        loop {
            if let Some(tokens) = self.group('{') {
                let mut inside = self.inside(tokens);
                while inside.peek().is_some() {
                    inside.imports(before, out)?;
                    if inside.peek().is_some() && !inside.punct(',') {
                        return inside.wrong("',' is missing in 'use'");
                    }
                }
                break;
            }
            if self.punct('*') {
                out.push(Import { path: before.clone(), name: "*".into() });
                break;
            }
            let name = self.name("what is used")?;
            before.push(name.into());
            if self.puncts("::") {
                continue;
            }
            let known = if self.word("as") { self.name("what is used")?.to_string() } else { name.to_string() };
            if name == "self" {
                before.pop();
                let known = if known == "self" { before.last().cloned().unwrap_or_default() } else { known };
                out.push(Import { path: before.clone(), name: known });
            } else {
                out.push(Import { path: before.clone(), name: known });
            }
            break;
        }
        before.truncate(length);
        Ok(())
    }

    fn kind(&mut self) -> Parsed<Type> {
        let start = self.at;
        let kind = self.kind_inner()?;
        let (from, to) = (self.tokens.get(start).map_or(0, |token| token.start), self.tokens.get(self.at.wrapping_sub(1)).map_or(0, |token| token.end));
        let text = self.text.get(from..to).unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Type { kind, text })
    }

    fn kind_inner(&mut self) -> Parsed<TypeKind> {
        let Some(token) = self.peek() else { return self.wrong("a type is missing") };
        match &token.kind {
            Kind::Punct('&') => {
                self.at += 1;
                while self.peek().is_some_and(|token| token.kind == Kind::Lifetime) {
                    self.at += 1;
                }
                let mutable = self.word("mut");
                Ok(TypeKind::Ref { mutable, inner: Box::new(self.kind()?) })
            }
            Kind::Punct('*') => {
                self.at += 1;
                let _ = self.word("const") || self.word("mut");
                self.kind()?;
                Ok(TypeKind::Pointer)
            }
            Kind::Punct('!') => {
                self.at += 1;
                Ok(TypeKind::Never)
            }
            Kind::Group('(', tokens) => {
                self.at += 1;
                let mut inside = self.inside(tokens);
                let mut kinds = Vec::new();
                let mut comma = false;
                while inside.peek().is_some() {
                    kinds.push(inside.kind()?);
                    comma = inside.punct(',');
                    if inside.peek().is_some() && !comma {
                        return inside.wrong("',' is missing in the tuple");
                    }
                }
                if kinds.len() == 1 && !comma {
                    return Ok(kinds.remove(0).kind);
                }
                Ok(TypeKind::Tuple(kinds))
            }
            Kind::Group('[', tokens) => {
                self.at += 1;
                let mut inside = self.inside(tokens);
                let item = Box::new(inside.kind()?);
                if inside.punct(';') {
                    let length = integer(&inside.tokens[inside.at..]).and_then(|length| u64::try_from(length).ok());
                    return Ok(TypeKind::Array(item, length));
                }
                Ok(TypeKind::Slice(item))
            }
            Kind::Punct('<') => {
                // <T as Trait>::Name
                self.generics()?;
                while self.puncts("::") {
                    self.segment()?;
                }
                Ok(TypeKind::Other)
            }
            Kind::Ident(word) if word == "impl" || word == "dyn" => {
                let is_impl = word == "impl";
                self.at += 1;
                let bounds = self.bounds()?;
                Ok(if is_impl { TypeKind::Impl(bounds) } else { TypeKind::Dyn(bounds) })
            }
            Kind::Ident(word) if word == "fn" || word == "unsafe" || word == "extern" || word == "for" => {
                while self.peek().is_some_and(|token| token.group('(').is_none() && !token.is(',')) {
                    self.at += 1;
                }
                self.group('(');
                if self.puncts("->") {
                    self.kind()?;
                }
                Ok(TypeKind::Function)
            }
            Kind::Ident(word) if word == "_" => {
                self.at += 1;
                Ok(TypeKind::Other)
            }
            Kind::Ident(_) | Kind::Punct(':') => {
                let path = self.path()?;
                if self.punct('!') {
                    self.at += 1;
                    return Ok(TypeKind::Other);
                }
                Ok(TypeKind::Path(path))
            }
            _ => self.wrong("this is no type"),
        }
    }

    fn bounds(&mut self) -> Parsed<Vec<Path>> {
        let mut out = Vec::new();
        loop {
            match self.peek().map(|token| &token.kind) {
                Some(Kind::Lifetime) => self.at += 1,
                Some(Kind::Punct('?')) => {
                    self.at += 1;
                    self.path()?;
                }
                Some(Kind::Ident(word)) if word == "use" => {
                    self.at += 1;
                    self.generics()?;
                }
                Some(Kind::Ident(word)) if word == "for" => {
                    self.at += 1;
                    self.generics()?;
                    out.push(self.path()?);
                }
                Some(Kind::Group('(', tokens)) => {
                    self.at += 1;
                    out.push(self.inside(tokens).path()?);
                }
                _ => out.push(self.path()?),
            }
            if !self.punct('+') {
                return Ok(out);
            }
        }
    }

    fn path(&mut self) -> Parsed<Path> {
        self.puncts("::");
        let mut out = Path::default();
        loop {
            out.segments.push(self.segment()?);
            if !self.puncts("::") {
                return Ok(out);
            }
        }
    }

    fn segment(&mut self) -> Parsed<Segment> {
        let mut out = Segment { name: self.name("a type")?.into(), ..Segment::default() };
        let colons = self.peek().is_some_and(|token| token.is(':')) && self.after(1).is_some_and(|token| token.is(':')) && self.after(2).is_some_and(|token| token.is('<'));
        if colons {
            self.at += 2;
        }
        if let Some(tokens) = self.peek().and_then(|token| token.group('(')) {
            // Fn(A) -> B
            if out.name.starts_with("Fn") {
                self.at += 1;
                let _ = tokens;
                if self.puncts("->") {
                    self.kind()?;
                }
            }
            return Ok(out);
        }
        if !self.punct('<') {
            return Ok(out);
        }
        loop {
            if self.punct('>') {
                return Ok(out);
            }
            match self.peek().map(|token| &token.kind) {
                Some(Kind::Lifetime) => {
                    out.has_lifetime = true;
                    self.at += 1;
                }
                Some(Kind::Number(_) | Kind::Group('{', _) | Kind::Char(_) | Kind::Text(_)) => self.at += 1,
                Some(Kind::Ident(name)) if self.after(1).is_some_and(|token| token.is('=')) => {
                    self.at += 2;
                    let kind = self.kind()?;
                    out.bound.push((name.clone(), kind));
                }
                Some(Kind::Ident(_)) if self.after(1).is_some_and(|token| token.is(':')) && !self.after(2).is_some_and(|token| token.is(':')) => {
                    self.at += 2;
                    self.bounds()?;
                }
                Some(_) => {
                    let kind = self.kind()?;
                    out.types.push(kind);
                }
                None => return self.wrong("'>' is missing"),
            }
            if !self.punct(',') && !self.peek().is_some_and(|token| token.is('>')) {
                return self.wrong("',' or '>' is missing");
            }
        }
    }
}

/// A plain integer, with a sign if it has one.
pub fn integer(tokens: &[Token]) -> Option<i64> {
    let (negative, tokens) = match tokens {
        [sign, rest @ ..] if sign.is('-') => (true, rest),
        all => (false, all),
    };
    let [Token { kind: Kind::Number(text), .. }] = tokens else { return None };
    let value = if let Some(digits) = text.strip_prefix("0x") {
        i64::from_str_radix(digits, 16)
    } else if let Some(digits) = text.strip_prefix("0o") {
        i64::from_str_radix(digits, 8)
    } else if let Some(digits) = text.strip_prefix("0b") {
        i64::from_str_radix(digits, 2)
    } else {
        text.parse()
    };
    value.ok().map(|value| if negative { -value } else { value })
}

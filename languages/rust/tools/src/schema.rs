//! JSON Schema of types, as serde reads and writes them.

use std::rc::Rc;

use crate::json::Json;
use crate::lex::Token;
use crate::serde::{renamed, Settings, Way};
use crate::syntax::*;
use crate::world::{Found, Module, World};

const DEEPEST: usize = 64;

/// Why a type cannot be served.
pub type Refusal = String;
pub type Schemed = Result<Json, Refusal>;

/// Where a type stands, and what its type parameters are.
#[derive(Clone)]
pub struct Scope {
    pub module: Module,
    pub bound: Rc<Vec<(String, Type, Scope)>>,
}

impl Scope {
    pub fn of(module: &Module) -> Scope {
        Scope { module: module.clone(), bound: Rc::default() }
    }
    fn argument(&self, name: &str) -> Option<&(String, Type, Scope)> {
        self.bound.iter().find(|(own, ..)| own == name)
    }
}

/// A path's meaning, with the types in its angle brackets.
pub enum Meaning {
    Declared(Module, usize),
    /// By its last name; `from` is the crate, "" for what needs no import.
    Known { name: String, from: String, full: String },
}

pub struct Reader<'a> {
    pub world: &'a World,
    pub way: Way,
    open: Vec<(std::path::PathBuf, String)>,
    pub warnings: Vec<String>,
}

pub fn of(kind: &str) -> Json {
    Json::object().with("type", kind)
}

/// The schema or null.
pub fn nullable(schema: Json) -> Json {
    if schema.is_empty_object() {
        return schema;
    }
    let Json::Object(members) = &schema else { return schema };
    match &members[..] {
        [(name, Json::Text(kind))] if name == "type" => Json::object().with("type", vec![kind.as_str(), "null"]),
        [(name, Json::List(kinds))] if name == "type" && kinds.contains(&"null".into()) => schema,
        [(name, Json::List(choices))] if name == "anyOf" => {
            let mut choices = choices.clone();
            if !choices.contains(&of("null")) {
                choices.push(of("null"));
            }
            Json::object().with("anyOf", choices)
        }
        _ => Json::object().with("anyOf", vec![schema, of("null")]),
    }
}

fn between(least: &str, most: &str) -> Json {
    let mut out = of("integer");
    for (name, text) in [("minimum", least), ("maximum", most)] {
        if let Some(number) = crate::json::number(text) {
            out.put(name, number);
        }
    }
    out
}

fn list(items: Json, unique: bool) -> Json {
    let mut out = of("array");
    if !items.is_empty_object() {
        out.put("items", items);
    }
    if unique {
        out.put("uniqueItems", true);
    }
    out
}

pub fn tuple(items: Vec<Json>) -> Json {
    let length = items.len();
    of("array").with("prefixItems", items).with("minItems", length).with("maxItems", length)
}

/// Takes the place of a type's own description.
pub fn described(schema: Json, doc: &str) -> Json {
    if doc.is_empty() || schema.is_empty_object() {
        return schema;
    }
    let Json::Object(mut members) = schema else { return schema };
    members.retain(|(name, _)| name != "description");
    Json::Object(members).with("description", doc)
}

pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn first_paragraph(doc: &str) -> String {
    one_line(doc.trim().split("\n\n").next().unwrap_or(""))
}

fn derives(item: &Item, name: &str) -> bool {
    let named = |tokens: &[Token]| tokens.iter().any(|token| token.is_word(name));
    item.attributes.named("derive").any(|attribute| named(&attribute.tokens))
        || item.attributes.named("cfg_attr").any(|attribute| attribute.tokens.iter().any(|token| token.group('(').is_some_and(named)))
        || item.attributes.all.iter().any(|attribute| attribute.path.contains("serde_as") && named(&attribute.tokens))
}

impl<'a> Reader<'a> {
    pub fn new(world: &'a World, way: Way) -> Reader<'a> {
        Reader { world, way, open: Vec::new(), warnings: Vec::new() }
    }

    pub fn meaning(&self, path: &Path, at: &Scope) -> Meaning {
        let names = path.names();
        match self.world.find(&names, &at.module) {
            Found::Item(module, index) => Meaning::Declared(module, index),
            Found::Module => Meaning::Known { name: names.last().cloned().unwrap_or_default(), from: "crate".into(), full: names.join("::") },
            Found::Foreign(names) => Meaning::Known {
                name: names.last().cloned().unwrap_or_default(),
                from: if names.len() > 1 { names[0].clone() } else { String::new() },
                full: names.join("::"),
            },
        }
    }

    /// Follows aliases of the project: what a type is called in the end, and where that stands.
    pub fn resolved(&self, kind: &Type, at: &Scope) -> (Type, Scope) {
        let (mut kind, mut at) = (kind.clone(), at.clone());
        for _ in 0..DEEPEST {
            let TypeKind::Path(path) = &kind.kind else { break };
            if let [only] = &path.segments[..] {
                if let Some((_, bound, scope)) = at.argument(&only.name) {
                    (kind, at) = (bound.clone(), scope.clone());
                    continue;
                }
            }
            let Meaning::Declared(module, index) = self.meaning(path, &at) else { break };
            let ItemKind::Alias { generics, target } = &module.items()[index].kind else { break };
            let arguments = path.segments.last().map(|segment| segment.types.clone()).unwrap_or_default();
            let bound = generics.types.iter().cloned().zip(arguments).map(|(name, kind)| (name, kind, at.clone())).collect();
            (kind, at) = (target.clone(), Scope { module: module.clone(), bound: Rc::new(bound) });
        }
        (kind, at)
    }

    /// Errors: what JSON cannot carry, or what is unknown.
    pub fn schema(&mut self, kind: &Type, at: &Scope) -> Schemed {
        if self.open.len() > DEEPEST {
            return Ok(Json::object());
        }
        match &kind.kind {
            TypeKind::Path(path) => self.path(path, kind, at),
            TypeKind::Ref { mutable: true, .. } => Err(format!("{} is a reference to something mutable, which no call can share; take and return the value", kind.text)),
            TypeKind::Ref { inner, .. } => self.schema(inner, at),
            TypeKind::Slice(item) => Ok(list(self.schema(item, at)?, false)),
            TypeKind::Array(item, length) => {
                let Some(length) = length else { return Err(format!("the length of {} is no plain number", kind.text)) };
                Ok(list(self.schema(item, at)?, false).with("minItems", *length as i64).with("maxItems", *length as i64))
            }
            TypeKind::Tuple(kinds) if kinds.is_empty() => Ok(of("null")),
            TypeKind::Tuple(kinds) => Ok(tuple(kinds.iter().map(|kind| self.schema(kind, at)).collect::<Result<_, _>>()?)),
            TypeKind::Never => Err("! has no values".into()),
            TypeKind::Impl(_) if self.way == Way::In => Err(format!("{} has no single type; write the type itself", kind.text)),
            TypeKind::Impl(_) => Err(format!("{} says nothing of what it holds", kind.text)),
            TypeKind::Dyn(_) => Err(format!("{} says nothing of what it holds; use a struct, an enum or sabir::Value", kind.text)),
            TypeKind::Pointer => Err(format!("a pointer such as {} cannot be carried as JSON", kind.text)),
            TypeKind::Function => Err("a function cannot be carried as JSON".into()),
            TypeKind::Other => Err(format!("the type {} is not understood", kind.text)),
        }
    }

    fn argument(&mut self, types: &[Type], index: usize, name: &str, at: &Scope) -> Schemed {
        match types.get(index) {
            Some(kind) => self.schema(kind, at),
            None => Err(format!("{name} needs a type in <…>")),
        }
    }

    fn path(&mut self, path: &Path, kind: &Type, at: &Scope) -> Schemed {
        if let [only] = &path.segments[..] {
            if let Some((_, bound, scope)) = at.argument(&only.name) {
                let (bound, scope) = (bound.clone(), scope.clone());
                return self.schema(&bound, &scope);
            }
        }
        let types = path.segments.last().map(|segment| segment.types.clone()).unwrap_or_default();
        match self.meaning(path, at) {
            Meaning::Declared(module, index) => self.declared(&module, index, types, at),
            Meaning::Known { name, from, full } => self.known(&name, &from, &full, &types, kind, at),
        }
    }

    // Types of the language, its library, and crates whose types are known.
    fn known(&mut self, name: &str, from: &str, full: &str, types: &[Type], kind: &Type, at: &Scope) -> Schemed {
        let std = matches!(from, "" | "std" | "core" | "alloc");
        let date = |format: &str| Ok(of("string").with("format", format));
        match (name, from) {
            ("String" | "str", _) if std => return Ok(of("string")),
            ("bool", _) if std => return Ok(of("boolean")),
            ("char", _) if std => return Ok(of("string").with("minLength", 1i64).with("maxLength", 1i64)),
            ("f64" | "f32", _) if std => return Ok(of("number")),
            ("i64" | "isize" | "i128", _) if std => return Ok(of("integer")),
            ("u64" | "usize" | "u128", _) if std => return Ok(of("integer").with("minimum", 0i64)),
            ("i8", _) if std => return Ok(between("-128", "127")),
            ("i16", _) if std => return Ok(between("-32768", "32767")),
            ("i32", _) if std => return Ok(between("-2147483648", "2147483647")),
            ("u8", _) if std => return Ok(between("0", "255")),
            ("u16", _) if std => return Ok(between("0", "65535")),
            ("u32", _) if std => return Ok(between("0", "4294967295")),
            ("NonZeroU8", _) => return Ok(between("1", "255")),
            ("NonZeroU16", _) => return Ok(between("1", "65535")),
            ("NonZeroU32", _) => return Ok(between("1", "4294967295")),
            ("NonZeroU64" | "NonZeroUsize" | "NonZeroU128", _) => return Ok(of("integer").with("minimum", 1i64)),
            ("NonZeroI32" | "NonZeroI64", _) => return Ok(of("integer").with("not", Json::object().with("const", 0i64))),
            ("Option", _) if std => return Ok(nullable(self.argument(types, 0, name, at)?)),
            ("Box" | "Rc" | "Arc" | "Cell" | "RefCell" | "Mutex" | "RwLock" | "Reverse" | "Wrapping" | "Saturating", _) if std => {
                return self.argument(types, 0, name, at);
            }
            ("Cow", _) if std => return self.argument(types, 0, name, at),
            ("Vec" | "VecDeque" | "LinkedList" | "BinaryHeap", _) if std => return Ok(list(self.argument(types, 0, name, at)?, false)),
            ("HashSet" | "BTreeSet", _) if std => return Ok(list(self.argument(types, 0, name, at)?, true)),
            ("IndexSet", "indexmap") => return Ok(list(self.argument(types, 0, name, at)?, true)),
            ("HashMap" | "BTreeMap", _) if std => return self.map(types, kind, at),
            ("IndexMap", "indexmap") => return self.map(types, kind, at),
            ("Result", _) if std && types.len() == 2 => {
                let side = |name: &str, schema: Json| of("object").with("properties", Json::object().with(name, schema)).with("required", vec![name]).with("additionalProperties", false);
                let (ok, err) = (self.argument(types, 0, name, at)?, self.argument(types, 1, name, at)?);
                return Ok(Json::object().with("oneOf", vec![side("Ok", ok), side("Err", err)]));
            }
            ("PathBuf" | "Path" | "OsString", _) if std => return Ok(of("string")),
            ("IpAddr" | "Ipv4Addr" | "Ipv6Addr" | "SocketAddr", _) => return Ok(of("string")),
            ("PhantomData", _) if std => return Ok(of("null")),
            ("Duration", "std" | "core") => {
                return Ok(of("object").with("properties", Json::object().with("secs", of("integer").with("minimum", 0i64)).with("nanos", between("0", "4294967295")))
                    .with("required", vec!["secs", "nanos"]));
            }
            ("SystemTime", "std") => {
                return Ok(of("object").with("properties", Json::object().with("secs_since_epoch", of("integer").with("minimum", 0i64))
                    .with("nanos_since_epoch", between("0", "4294967295"))).with("required", vec!["secs_since_epoch", "nanos_since_epoch"]));
            }
            ("Value", "sabir" | "serde_json") => return Ok(Json::object()),
            ("Object", "sabir") | ("Map", "serde_json") => return Ok(of("object")),
            ("Number", "serde_json") => return Ok(of("number")),
            ("Bytes", "sabir") | ("ByteBuf" | "Bytes", "serde_bytes") => return Ok(of("string").with("contentEncoding", "base64")),
            ("Context", "sabir") if self.way == Way::In => return Err("the caller's context can only be a parameter of its own".into()),
            ("Context", "sabir") => {
                let names = ["user", "tenant", "conversation", "run"];
                let properties = names.iter().fold(Json::object(), |all, name| all.with(name, of("string")));
                return Ok(of("object").with("properties", properties).with("required", names.to_vec()));
            }
            ("Message", "sabir") => {
                let properties = Json::object().with("role", of("string")).with("content", of("string"));
                return Ok(of("object").with("properties", properties).with("required", vec!["role", "content"]));
            }
            ("DateTime", "chrono") | ("OffsetDateTime", "time") | ("Timestamp" | "Zoned", "jiff") => return date("date-time"),
            ("NaiveDate", "chrono") => return date("date"),
            ("NaiveTime" | "NaiveDateTime", "chrono") => return Ok(of("string")),
            ("Uuid", "uuid") => return date("uuid"),
            ("Url", "url") => return date("uri"),
            ("Decimal", "rust_decimal") | ("Version" | "VersionReq", "semver") => return Ok(of("string")),
            ("Error", _) if std => return Err("an error can only be the second part of a Result".into()),
            ("Instant" | "File" | "Receiver" | "Sender" | "JoinHandle" | "MutexGuard", "std") => return Err(format!("{} cannot be carried as JSON", kind.text)),
            _ => {}
        }
        if from.is_empty() {
            return Err(format!("the type {full} is declared nowhere in this file, and no `use` names it"));
        }
        if matches!(from, "crate" | "self" | "super" | "functions" | "assistants" | "memory") {
            return Err(format!("{full} is not there, or is no type"));
        }
        if std {
            return Err(format!("serde does not carry {full}"));
        }
        self.warnings.push(format!("the type {full} is of another crate, so it accepts anything here; the function refuses what does not fit"));
        Ok(Json::object())
    }

    fn map(&mut self, types: &[Type], kind: &Type, at: &Scope) -> Schemed {
        let key = self.argument(types, 0, &kind.text, at)?;
        let values = self.argument(types, 1, &kind.text, at)?;
        let mut out = of("object");
        match key.text("type") {
            "string" => {
                if let Some(options) = key.get("enum") {
                    out.put("propertyNames", Json::object().with("enum", options.clone()));
                }
            }
            "integer" => out.put("propertyNames", Json::object().with("pattern", "^-?[0-9]+$")),
            "boolean" => out.put("propertyNames", Json::object().with("enum", vec!["true", "false"])),
            _ if key.is_empty_object() => {}
            _ => return Err(format!("the keys of {} are neither strings nor integers", kind.text)),
        }
        if !values.is_empty_object() {
            out.put("additionalProperties", values);
        }
        Ok(out)
    }

    fn declared(&mut self, module: &Module, index: usize, types: Vec<Type>, at: &Scope) -> Schemed {
        let item = &module.items()[index];
        let id = (module.file.clone(), format!("{}::{}", module.path.join("::"), item.name));
        if self.open.contains(&id) {
            return Ok(Json::object());
        }
        let (ItemKind::Struct { generics, .. } | ItemKind::Enum { generics, .. } | ItemKind::Alias { generics, .. }) = &item.kind else {
            return Err(format!("{} is a trait or a union, which serde does not carry", item.name));
        };
        if generics.types.len() > types.len() {
            return Err(format!("{} needs types in <…>", item.name));
        }
        let bound = generics.types.iter().cloned().zip(types).map(|(name, kind)| (name, kind, at.clone())).collect();
        let scope = Scope { module: module.clone(), bound: Rc::new(bound) };
        if let ItemKind::Alias { target, .. } = &item.kind {
            return self.schema(target, &scope);
        }
        if item.visibility == Visibility::Private {
            return Err(format!("{} is private; make it pub, since a caller has to name it", item.name));
        }
        if generics.lifetimes && self.way == Way::In {
            return Err(format!("{} borrows what it holds; a parameter has to own it", item.name));
        }
        self.open.push(id);
        let made = self.derived(item, module, &scope);
        self.open.pop();
        let schema = made?;
        Ok(if schema.get("description").is_none() { described(schema, &first_paragraph(&item.attributes.doc)) } else { schema })
    }

    fn derived(&mut self, item: &Item, module: &Module, scope: &Scope) -> Schemed {
        let (this, other) = if self.way == Way::In { ("Deserialize", "from") } else { ("Serialize", "into") };
        let by_hand = module.items().iter().any(|one| matches!(&one.kind, ItemKind::Implementation { of: Some(of), .. } if one.name == item.name && of == this));
        if by_hand {
            return Ok(Json::object());
        }
        if derives(item, &format!("{this}_repr")) {
            let ItemKind::Enum { variants, .. } = &item.kind else { return Ok(Json::object()) };
            let values: Option<Vec<i64>> = variants.iter().map(|variant| variant.discriminant).collect();
            return Ok(values.map_or_else(|| of("integer"), |values| of("integer").with("enum", values)));
        }
        if !derives(item, this) {
            return Err(format!("{} does not derive {this}: write #[derive(serde::{this})] above it", item.name));
        }
        let settings = Settings::of(&item.attributes, self.way);
        let stands_for = settings.value(other).or_else(|| if self.way == Way::In { settings.value("try_from") } else { None });
        if let Some(name) = stands_for {
            return match type_of(name) {
                Some(kind) => self.schema(&kind, scope),
                None => Ok(Json::object()),
            };
        }
        match &item.kind {
            ItemKind::Struct { fields, .. } => self.fields(fields, &settings, settings.value("rename_all"), settings.has("transparent"), scope),
            ItemKind::Enum { variants, .. } => self.variants(variants, &settings, scope),
            _ => Ok(Json::object()),
        }
    }

    fn field(&mut self, field: &Field, settings: &Settings, scope: &Scope) -> Schemed {
        let with = settings.value("with").or_else(|| settings.value(if self.way == Way::In { "deserialize_with" } else { "serialize_with" }));
        if let Some(with) = with {
            if with == "serde_bytes" {
                return Ok(of("string").with("contentEncoding", "base64"));
            }
            self.warnings.push(format!("{with} decides what {} is, so it accepts anything here", field.name));
            return Ok(Json::object());
        }
        let schema = self.schema(&field.kind, scope).map_err(|why| format!("its field {}: {why}", field.name))?;
        Ok(described(schema, &one_line(&field.attributes.doc)))
    }

    fn fields(&mut self, fields: &Fields, outer: &Settings, rule: Option<&str>, transparent: bool, scope: &Scope) -> Schemed {
        match fields {
            Fields::Unit => Ok(of("null")),
            Fields::Tuple(all) => {
                let mut items = Vec::new();
                for field in all {
                    let settings = Settings::of(&field.attributes, self.way);
                    if !settings.skips(self.way) {
                        items.push(self.field(field, &settings, scope)?);
                    }
                }
                // A newtype is what it wraps.
                Ok(if all.len() == 1 || transparent { items.pop().unwrap_or_else(|| of("null")) } else { tuple(items) })
            }
            Fields::Named(all) => {
                let mut out = Members::default();
                for field in all {
                    let settings = Settings::of(&field.attributes, self.way);
                    if settings.skips(self.way) {
                        continue;
                    }
                    let schema = self.field(field, &settings, scope)?;
                    if transparent {
                        return Ok(schema);
                    }
                    if settings.has("flatten") {
                        out.flatten(schema).map_err(|why| format!("its field {}: {why}", field.name))?;
                        continue;
                    }
                    let name = settings.value("rename").map_or_else(|| renamed(&field.name, rule, true), str::to_string);
                    let optional = match self.way {
                        Way::In => settings.has("default") || outer.has("default") || (self.is_option(&field.kind, scope) && !settings.has("with") && !settings.has("deserialize_with")),
                        Way::Out => settings.has("skip_serializing_if"),
                    };
                    out.add(&name, schema, !optional);
                }
                if outer.has("deny_unknown_fields") {
                    out.others = Some(Json::Bool(false));
                }
                Ok(out.schema())
            }
        }
    }

    pub fn is_option(&self, kind: &Type, scope: &Scope) -> bool {
        let (kind, at) = self.resolved(kind, scope);
        matches!(&kind.kind, TypeKind::Path(path) if matches!(self.meaning(path, &at), Meaning::Known { name, .. } if name == "Option"))
    }

    fn variants(&mut self, variants: &[Variant], settings: &Settings, scope: &Scope) -> Schemed {
        let tag = settings.value("tag");
        let mut units: Vec<String> = Vec::new();
        let mut choices = Vec::new();
        for variant in variants {
            let own = Settings::of(&variant.attributes, self.way);
            if own.skips(self.way) {
                continue;
            }
            let name = own.value("rename").map_or_else(|| renamed(&variant.name, settings.value("rename_all"), false), str::to_string);
            let rule = own.value("rename_all").or_else(|| settings.value("rename_all_fields"));
            let doc = first_paragraph(&variant.attributes.doc);
            let unit = matches!(&variant.fields, Fields::Unit);
            let mut inner = Settings::default();
            if settings.has("deny_unknown_fields") {
                inner = settings.clone();
            }
            let body = self.fields(&variant.fields, &inner, rule, false, scope).map_err(|why| format!("its variant {}: {why}", variant.name))?;
            if settings.has("untagged") || own.has("untagged") {
                choices.push(described(body, &doc));
                continue;
            }
            let constant = Json::object().with("const", name.as_str());
            match (tag, settings.value("content")) {
                (Some(tag), Some(content)) => {
                    let mut members = Members::default();
                    members.add(tag, constant, true);
                    if !unit {
                        members.add(content, body, true);
                    }
                    choices.push(described(members.schema(), &doc));
                }
                (Some(tag), None) => {
                    let mut members = Members::default();
                    members.add(tag, constant, true);
                    if !unit {
                        members.flatten(body).map_err(|why| format!("its variant {}: {why}", variant.name))?;
                    }
                    choices.push(described(members.schema(), &doc));
                }
                (None, _) if unit => units.push(name),
                (None, _) => {
                    let mut members = Members::default();
                    members.add(&name, body, true);
                    members.others = Some(Json::Bool(false));
                    choices.push(described(members.schema(), &doc));
                }
            }
        }
        if !units.is_empty() {
            choices.insert(0, of("string").with("enum", units));
        }
        if choices.len() == 1 {
            return Ok(choices.remove(0));
        }
        if choices.is_empty() {
            return Err("an enum without variants has no values".into());
        }
        // Untagged variants may overlap; the first that fits is taken.
        Ok(Json::object().with(if settings.has("untagged") { "anyOf" } else { "oneOf" }, choices))
    }
}

/// The text of `#[serde(from = "Wire<u8>")]` as a type.
fn type_of(text: &str) -> Option<Type> {
    let file = crate::parse::parse(&format!("type T = {text};")).ok()?;
    match file.items.into_iter().next()?.kind {
        ItemKind::Alias { target, .. } => Some(target),
        _ => None,
    }
}

#[derive(Default)]
struct Members {
    properties: Vec<(String, Json)>,
    required: Vec<String>,
    others: Option<Json>,
    /// Flattened choices, of which one has to fit as well.
    also: Vec<Json>,
}

impl Members {
    fn add(&mut self, name: &str, schema: Json, required: bool) {
        self.properties.push((name.into(), schema));
        if required {
            self.required.push(name.into());
        }
    }

    fn flatten(&mut self, schema: Json) -> Result<(), String> {
        if schema.is_empty_object() {
            return Ok(());
        }
        let optional = schema.get("anyOf").is_some_and(|_| schema.list("anyOf").contains(&of("null")));
        if optional {
            for choice in schema.list("anyOf") {
                if choice.get("properties").is_some() {
                    for (name, inner) in members_of(choice.get("properties")) {
                        self.add(name, inner.clone(), false);
                    }
                }
            }
            return Ok(());
        }
        if schema.get("oneOf").is_some() || schema.get("anyOf").is_some() {
            // Each choice has to leave the others' members alone.
            let key = if schema.get("oneOf").is_some() { "oneOf" } else { "anyOf" };
            let choices = schema.list(key).iter().map(|choice| match choice {
                Json::Object(members) => Json::Object(members.iter().filter(|(name, _)| name != "additionalProperties").cloned().collect()),
                other => other.clone(),
            }).collect::<Vec<_>>();
            self.also.push(Json::object().with(key, choices));
            return Ok(());
        }
        if schema.text("type") != "object" {
            return Err("what is flattened has to be a struct or a map".into());
        }
        let required: Vec<&Json> = schema.list("required").iter().collect();
        for (name, inner) in members_of(schema.get("properties")) {
            self.add(name, inner.clone(), required.contains(&&Json::Text(name.clone())));
        }
        match schema.get("additionalProperties") {
            Some(Json::Bool(false)) | None => {}
            Some(others) => self.others = Some(others.clone()),
        }
        Ok(())
    }

    fn schema(self) -> Json {
        let mut out = of("object").with("properties", Json::Object(self.properties));
        if !self.required.is_empty() {
            out.put("required", self.required);
        }
        if let Some(others) = self.others {
            out.put("additionalProperties", others);
        }
        match self.also.len() {
            0 => {}
            1 => {
                for (name, value) in members_of(self.also.first()) {
                    out.put(name, value.clone());
                }
            }
            _ => out.put("allOf", self.also),
        }
        out
    }
}

fn members_of(value: Option<&Json>) -> &[(String, Json)] {
    if let Some(Json::Object(members)) = value { members } else { &[] }
}

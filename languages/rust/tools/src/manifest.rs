//! Cargo.toml, as far as the build has to know it: dependencies, with those of a workspace, and where a library begins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq)]
pub enum Toml {
    Text(String),
    /// Numbers, booleans and dates as written.
    Plain(String),
    List(Vec<Toml>),
    Table(Vec<(String, Toml)>),
}

impl Toml {
    pub fn get(&self, name: &str) -> Option<&Toml> {
        match self {
            Toml::Table(members) => members.iter().find(|(own, _)| own == name).map(|(_, value)| value),
            _ => None,
        }
    }
    pub fn at(&self, path: &[&str]) -> Option<&Toml> {
        path.iter().try_fold(self, |at, name| at.get(name))
    }
    pub fn text(&self) -> Option<&str> {
        if let Toml::Text(text) = self { Some(text) } else { None }
    }
    pub fn members(&self) -> &[(String, Toml)] {
        if let Toml::Table(members) = self { members } else { &[] }
    }
    fn is_true(&self) -> bool {
        *self == Toml::Plain("true".into())
    }
    fn entry(&mut self, name: &str) -> Option<&mut Toml> {
        let Toml::Table(members) = self else { return None };
        if !members.iter().any(|(own, _)| own == name) {
            members.push((name.into(), Toml::Table(Vec::new())));
        }
        members.iter_mut().find(|(own, _)| own == name).map(|(_, value)| value)
    }
    /// On one line.
    pub fn inline(&self) -> String {
        match self {
            Toml::Text(text) => quoted(text),
            Toml::Plain(text) => text.clone(),
            Toml::List(items) => format!("[{}]", items.iter().map(Toml::inline).collect::<Vec<_>>().join(", ")),
            Toml::Table(members) => {
                format!("{{ {} }}", members.iter().map(|(name, value)| format!("{} = {}", quoted(name), value.inline())).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// None: it is no TOML that this understands.
pub fn parse(text: &str) -> Option<Toml> {
    let mut reader = Reader { rest: text };
    let mut root = Toml::Table(Vec::new());
    let mut table: Vec<String> = Vec::new();
    let mut in_list = false;
    loop {
        reader.blanks(true);
        if reader.rest.is_empty() {
            return Some(root);
        }
        if reader.take("[[") {
            table = reader.keys()?;
            reader.blanks(false);
            if !reader.take("]]") {
                return None;
            }
            in_list = true;
            let mut at = &mut root;
            for name in &table[..table.len() - 1] {
                at = last(at.entry(name)?);
            }
            let name = table.last()?;
            let list = at.entry(name)?;
            if !matches!(list, Toml::List(_)) {
                *list = Toml::List(Vec::new());
            }
            if let Toml::List(items) = list {
                items.push(Toml::Table(Vec::new()));
            }
            continue;
        }
        if reader.take("[") {
            table = reader.keys()?;
            reader.blanks(false);
            if !reader.take("]") {
                return None;
            }
            in_list = false;
            let mut at = &mut root;
            for name in &table {
                at = last(at.entry(name)?);
            }
            continue;
        }
        let keys = reader.keys()?;
        reader.blanks(false);
        if !reader.take("=") {
            return None;
        }
        let value = reader.value(0)?;
        let mut at = &mut root;
        for name in &table {
            at = last(at.entry(name)?);
        }
        let _ = in_list;
        put(at, &keys, value)?;
    }
}

// The table that further keys belong to: a list's last one.
fn last(value: &mut Toml) -> &mut Toml {
    if matches!(value, Toml::List(items) if !items.is_empty()) {
        if let Toml::List(items) = value {
            let end = items.len() - 1;
            return &mut items[end];
        }
    }
    value
}

fn put(at: &mut Toml, keys: &[String], value: Toml) -> Option<()> {
    let (name, before) = keys.split_last()?;
    let mut at = at;
    for key in before {
        at = last(at.entry(key)?);
    }
    *at.entry(name)? = value;
    Some(())
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn blanks(&mut self, lines: bool) {
        loop {
            let trimmed = if lines { self.rest.trim_start() } else { self.rest.trim_start_matches([' ', '\t']) };
            self.rest = trimmed;
            if !self.rest.starts_with('#') || !lines {
                return;
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }
    fn keys(&mut self) -> Option<Vec<String>> {
        let mut out = Vec::new();
        loop {
            self.blanks(false);
            if self.rest.starts_with(['"', '\'']) {
                out.push(self.string()?);
            } else {
                let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(self.rest.len());
                if end == 0 {
                    return None;
                }
                out.push(self.rest[..end].into());
                self.rest = &self.rest[end..];
            }
            self.blanks(false);
            if !self.take(".") {
                return Some(out);
            }
        }
    }
    fn string(&mut self) -> Option<String> {
        for quote in ["\"\"\"", "'''"] {
            if self.take(quote) {
                self.take("\n");
                let end = self.rest.find(quote)?;
                let text = self.rest[..end].to_string();
                self.rest = &self.rest[end + 3..];
                return Some(text);
            }
        }
        if self.take("'") {
            let end = self.rest.find('\'')?;
            let text = self.rest[..end].to_string();
            self.rest = &self.rest[end + 1..];
            return Some(text);
        }
        self.take("\"");
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(out);
                }
                '\\' => match chars.next()?.1 {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    other => out.push(other),
                },
                '\n' => return None,
                c => out.push(c),
            }
        }
        None
    }
    fn value(&mut self, depth: usize) -> Option<Toml> {
        if depth > 50 {
            return None;
        }
        self.blanks(false);
        if self.rest.starts_with(['"', '\'']) {
            return self.string().map(Toml::Text);
        }
        if self.take("[") {
            let mut items = Vec::new();
            loop {
                self.blanks(true);
                if self.take("]") {
                    return Some(Toml::List(items));
                }
                items.push(self.value(depth + 1)?);
                self.blanks(true);
                if !self.take(",") && !self.rest.starts_with(']') {
                    return None;
                }
            }
        }
        if self.take("{") {
            let mut table = Toml::Table(Vec::new());
            loop {
                self.blanks(true);
                if self.take("}") {
                    return Some(table);
                }
                let keys = self.keys()?;
                self.blanks(false);
                if !self.take("=") {
                    return None;
                }
                let value = self.value(depth + 1)?;
                put(&mut table, &keys, value)?;
                self.blanks(true);
                if !self.take(",") && !self.rest.starts_with('}') {
                    return None;
                }
            }
        }
        let end = self.rest.find([',', ']', '}', '\n', '#']).unwrap_or(self.rest.len());
        let word = self.rest[..end].trim();
        self.rest = &self.rest[end..];
        (!word.is_empty()).then(|| Toml::Plain(word.into()))
    }
}

/// The Cargo.toml that holds for a folder.
#[derive(Debug)]
pub struct Manifest {
    pub folder: PathBuf,
    pub toml: Toml,
    workspace: Option<(PathBuf, Toml)>,
    /// What it was read from.
    pub files: Vec<PathBuf>,
}

impl Manifest {
    /// The nearest one at or above a folder, up to the project's root.
    pub fn above(folder: &Path, root: &Path) -> Option<Manifest> {
        for at in folder.ancestors() {
            let file = at.join("Cargo.toml");
            if file.is_file() {
                return Manifest::read(at);
            }
            if at == root || !at.starts_with(root) {
                return None;
            }
        }
        None
    }

    /// None: there is none, or it is no TOML.
    pub fn read(folder: &Path) -> Option<Manifest> {
        let toml = parse(&std::fs::read_to_string(folder.join("Cargo.toml")).ok()?)?;
        let mut files = vec![folder.join("Cargo.toml")];
        let mut workspace = None;
        for at in folder.ancestors() {
            let file = at.join("Cargo.toml");
            let Some(outer) = std::fs::read_to_string(&file).ok().and_then(|text| parse(&text)) else { continue };
            if outer.get("workspace").is_some() {
                if at != folder {
                    files.push(file);
                }
                workspace = Some((at.to_path_buf(), outer));
                break;
            }
        }
        Some(Manifest { folder: folder.into(), toml, workspace, files })
    }

    pub fn edition(&self) -> String {
        let own = self.toml.at(&["package", "edition"]);
        let given = match own {
            Some(Toml::Table(_)) => self.workspace.as_ref().and_then(|(_, outer)| outer.at(&["workspace", "package", "edition"])),
            other => other,
        };
        given.and_then(Toml::text).unwrap_or("2021").to_string()
    }

    fn absolute(value: &Toml, folder: &Path) -> Toml {
        let Toml::Table(members) = value else { return value.clone() };
        Toml::Table(members.iter().map(|(name, value)| match value {
            Toml::Text(path) if name == "path" => (name.clone(), Toml::Text(clean(&folder.join(path)).to_string_lossy().into_owned())),
            _ => (name.clone(), value.clone()),
        }).collect())
    }

    /// A table of dependencies (`dependencies`, `target.….dependencies`) with absolute paths and a workspace's versions.
    pub fn dependencies(&self, table: &Toml) -> Vec<(String, Toml)> {
        table.members().iter().map(|(name, value)| {
            if !value.get("workspace").is_some_and(Toml::is_true) {
                return (name.clone(), Manifest::absolute(value, &self.folder));
            }
            let Some((folder, outer)) = &self.workspace else { return (name.clone(), value.clone()) };
            let Some(theirs) = outer.at(&["workspace", "dependencies", name]) else { return (name.clone(), value.clone()) };
            let mut out = match Manifest::absolute(theirs, folder) {
                Toml::Table(members) => members,
                version => vec![("version".to_string(), version)],
            };
            for (key, own) in value.members() {
                match (key.as_str(), own) {
                    ("workspace", _) => {}
                    ("features", Toml::List(more)) => match out.iter_mut().find(|(name, _)| name == "features") {
                        Some((_, Toml::List(all))) => all.extend(more.iter().cloned()),
                        _ => out.push((key.clone(), own.clone())),
                    },
                    _ => out.push((key.clone(), own.clone())),
                }
            }
            (name.clone(), Toml::Table(out))
        }).collect()
    }

    /// `[patch]`, of this manifest or of its workspace.
    pub fn patches(&self) -> Vec<(String, Vec<(String, Toml)>)> {
        let (folder, toml) = match &self.workspace {
            Some((folder, outer)) => (folder, outer),
            None => (&self.folder, &self.toml),
        };
        let Some(patch) = toml.get("patch") else { return Vec::new() };
        patch.members().iter().map(|(source, table)| {
            (source.clone(), table.members().iter().map(|(name, value)| (name.clone(), Manifest::absolute(value, folder))).collect())
        }).collect()
    }

    /// Where Cargo keeps the versions that were chosen.
    pub fn lock_file(&self) -> PathBuf {
        self.workspace.as_ref().map_or(&self.folder, |(folder, _)| folder).join("Cargo.lock")
    }

    /// This package's library: its name in sources and its first file.
    pub fn own_library(&self) -> Option<(String, PathBuf)> {
        let package = self.toml.at(&["package", "name"])?.text()?;
        let lib = self.toml.get("lib");
        let path = lib.and_then(|lib| lib.get("path")).and_then(Toml::text).unwrap_or("src/lib.rs");
        let file = clean(&self.folder.join(path));
        let name = lib.and_then(|lib| lib.get("name")).and_then(Toml::text).unwrap_or(package).replace('-', "_");
        file.is_file().then_some((name, file))
    }

    /// Names of libraries whose sources are at hand: this package's own and its dependencies by path.
    pub fn libraries(&self) -> HashMap<String, PathBuf> {
        let mut out = HashMap::new();
        if let Some((name, file)) = self.own_library() {
            out.insert(name, file);
        }
        let Some(table) = self.toml.get("dependencies") else { return out };
        for (name, value) in self.dependencies(table) {
            if let Some(path) = value.get("path").and_then(Toml::text) {
                if let Some((_, file)) = Manifest::read(Path::new(path)).and_then(|other| other.own_library()) {
                    out.insert(name.replace('-', "_"), file);
                }
            }
        }
        out
    }
}

/// A path without `.` and `..`.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

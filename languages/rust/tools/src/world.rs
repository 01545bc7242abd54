//! The project's Rust files as crates and modules, as the build makes them: `functions/rust` is the crate `functions`, a file
//! is a module, a folder a module of modules; so for `assistants/rust` and `memory/rust`. Libraries of the project's Cargo.toml
//! (its own `src/lib.rs`, dependencies by path) are read as well.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::lex::{Kind, Wrong};
use crate::manifest::Manifest;
use crate::parse::{parse, File};
use crate::syntax::*;

const LARGEST_SOURCE: u64 = 4 << 20;
const MOST_STEPS: usize = 40; // of imports that lead to one another

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrateKind {
    /// A folder of the project, whose files are modules without being declared.
    Folder,
    /// Begins with a file that declares its modules.
    Library,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Crate {
    pub kind: CrateKind,
    /// The folder, or the library's first file.
    pub root: PathBuf,
}

/// A module: its crate, its path in there, and its items.
#[derive(Clone)]
pub struct Module {
    pub krate: Crate,
    pub path: Vec<String>,
    pub file: PathBuf,
    parsed: Rc<File>,
    inside: Vec<String>, // modules written within the file
}

impl Module {
    pub fn items(&self) -> &[Item] {
        let mut items = &self.parsed.items[..];
        for name in &self.inside {
            let found = items.iter().find_map(|item| match &item.kind {
                ItemKind::Module(Some(inner)) if item.name == *name => Some(&inner[..]),
                _ => None,
            });
            items = found.unwrap_or(&[]);
        }
        items
    }
}

/// What a path means.
#[derive(Clone)]
pub enum Found {
    Item(Module, usize),
    Module,
    /// A name of another crate, with that crate's name first; a name that nothing here declares stands alone.
    Foreign(Vec<String>),
}

// What a folder's Cargo.toml names, and the files that say so.
type Libraries = (HashMap<String, PathBuf>, Vec<PathBuf>);

pub struct World {
    pub root: PathBuf,
    /// Texts that stand for files.
    pub sources: HashMap<PathBuf, String>,
    files: RefCell<HashMap<PathBuf, Option<Rc<File>>>>,
    pub looked_at: RefCell<BTreeMap<PathBuf, ()>>,
    libraries: RefCell<HashMap<PathBuf, Libraries>>,
}

/// `order-total.rs` is the module order_total.
pub fn module_name(stem: &str) -> String {
    let name = stem.replace(['-', '.', ' '], "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

impl World {
    pub fn new(root: &Path) -> World {
        World { root: root.into(), sources: HashMap::new(), files: RefCell::default(), looked_at: RefCell::default(), libraries: RefCell::default() }
    }

    fn text(&self, file: &Path) -> Option<String> {
        if let Some(text) = self.sources.get(file) {
            return Some(text.clone());
        }
        if std::fs::metadata(file).ok()?.len() > LARGEST_SOURCE {
            return None;
        }
        std::fs::read_to_string(file).ok()
    }

    fn file(&self, file: &Path) -> Option<Rc<File>> {
        self.looked_at.borrow_mut().insert(file.into(), ());
        if let Some(known) = self.files.borrow().get(file) {
            return known.clone();
        }
        let parsed = self.text(file).and_then(|text| parse(&text).ok()).map(Rc::new);
        self.files.borrow_mut().insert(file.into(), parsed.clone());
        parsed
    }

    /// The crate and module path of a file of functions/rust, assistants/rust or memory/rust.
    pub fn place(&self, file: &Path) -> (Crate, Vec<String>) {
        let relative = file.strip_prefix(&self.root).unwrap_or(file);
        let parts: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let depth = if parts.len() > 2 { 2 } else { parts.len().saturating_sub(1) };
        let root = self.root.join(parts[..depth].iter().collect::<PathBuf>());
        let mut path: Vec<String> = parts[depth..].iter().map(|part| module_name(part)).collect();
        if let Some(last) = path.last_mut() {
            *last = module_name(file.file_stem().unwrap_or_default().to_string_lossy().as_ref());
        }
        (Crate { kind: CrateKind::Folder, root }, path)
    }

    /// A source by its path. Errors: what does not parse.
    pub fn source(&self, file: &Path) -> Result<Module, Wrong> {
        let Some(text) = self.text(file) else {
            return Err(Wrong { message: "it cannot be read".into(), line: 1, column: 1 });
        };
        let parsed = Rc::new(parse(&text)?);
        self.files.borrow_mut().insert(file.into(), Some(parsed.clone()));
        let (krate, path) = self.place(file);
        Ok(Module { krate, path, file: file.into(), parsed, inside: Vec::new() })
    }

    pub fn doc(&self, module: &Module) -> String {
        module.parsed.doc.clone()
    }

    fn module(&self, krate: &Crate, path: &[String]) -> Option<Module> {
        match krate.kind {
            CrateKind::Folder => self.folder_module(krate, path),
            CrateKind::Library => {
                let parsed = self.file(&krate.root)?;
                let mut at = Module { krate: krate.clone(), path: Vec::new(), file: krate.root.clone(), parsed, inside: Vec::new() };
                for name in path {
                    at = self.child(&at, name)?;
                }
                Some(at)
            }
        }
    }

    // The longest path of folders and a file; what remains are modules within it.
    fn folder_module(&self, krate: &Crate, path: &[String]) -> Option<Module> {
        let mut folder = krate.root.clone();
        for (index, name) in path.iter().enumerate() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            files.extend(self.sources.keys().filter(|file| file.parent() == Some(folder.as_path())).cloned());
            files.sort();
            let file = files.iter().find(|file| {
                file.extension().is_some_and(|extension| extension == "rs") && module_name(&file.file_stem().unwrap_or_default().to_string_lossy()) == *name
            });
            if let Some(parsed) = file.and_then(|file| self.file(file)) {
                let file = file.cloned().unwrap_or_default();
                let mut at = Module { krate: krate.clone(), path: path[..=index].to_vec(), file, parsed, inside: Vec::new() };
                for inner in &path[index + 1..] {
                    at = self.child(&at, inner)?;
                }
                return Some(at);
            }
            let inner = files.iter().find(|file| file.is_dir() && module_name(&file.file_name().unwrap_or_default().to_string_lossy()) == *name);
            folder = match inner {
                Some(inner) => inner.clone(),
                None => {
                    // It may come to be.
                    self.looked_at.borrow_mut().insert(folder.join(format!("{name}.rs")), ());
                    folder.join(name)
                }
            };
        }
        None
    }

    fn child(&self, module: &Module, name: &str) -> Option<Module> {
        let item = module.items().iter().find(|item| item.name == name && matches!(item.kind, ItemKind::Module(_)))?;
        let mut path = module.path.clone();
        path.push(name.into());
        if matches!(item.kind, ItemKind::Module(Some(_))) {
            let mut inside = module.inside.clone();
            inside.push(name.into());
            return Some(Module { path, inside, ..module.clone() });
        }
        let own = item.attributes.named("path").next().and_then(|attribute| match attribute.tokens.first().map(|token| &token.kind) {
            Some(Kind::Text(text)) => Some(text.clone()),
            _ => None,
        });
        let beside = module.file.parent()?;
        let stem = module.file.file_stem()?.to_string_lossy().into_owned();
        let mut folder = if matches!(stem.as_str(), "mod" | "lib" | "main") || module.krate.kind == CrateKind::Folder { beside.to_path_buf() } else { beside.join(stem) };
        folder.extend(&module.inside);
        let places = match own {
            Some(own) => vec![beside.join(own)],
            None => vec![folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")],
        };
        let file = places.into_iter().find(|file| file.is_file())?;
        let parsed = self.file(&file)?;
        Some(Module { krate: module.krate.clone(), path, file, parsed, inside: Vec::new() })
    }

    /// Other crates of the project that a module may name, with their first files.
    fn library(&self, name: &str, from: &Crate) -> Option<Crate> {
        let folder = if from.kind == CrateKind::Folder { from.root.clone() } else { from.root.parent()?.to_path_buf() };
        if from.kind == CrateKind::Folder {
            // Functions see memory, and assistants see both: functions::orders.
            let kinds = ["memory", "functions"];
            let own = folder.parent()?.file_name()?.to_string_lossy().into_owned();
            let seen = match own.as_str() {
                "functions" => &kinds[..1],
                "memory" => &kinds[..0],
                _ => &kinds[..],
            };
            if seen.contains(&name) && own != name {
                return Some(Crate { kind: CrateKind::Folder, root: self.root.join(name).join(folder.file_name()?) });
            }
        }
        let mut libraries = self.libraries.borrow_mut();
        let known = libraries.entry(folder.clone()).or_insert_with(|| {
            Manifest::above(&folder, &self.root).map(|manifest| (manifest.libraries(), manifest.files)).unwrap_or_default()
        });
        for file in &known.1 {
            self.looked_at.borrow_mut().insert(file.clone(), ());
        }
        known.0.get(name).map(|root| Crate { kind: CrateKind::Library, root: root.clone() })
    }

    pub fn find(&self, path: &[String], from: &Module) -> Found {
        self.find_at(path, from, 0, false)
    }

    fn find_at(&self, path: &[String], from: &Module, steps: usize, global: bool) -> Found {
        let foreign = || Found::Foreign(path.to_vec());
        if steps > MOST_STEPS || path.is_empty() {
            return foreign();
        }
        let (mut at, mut rest) = match path[0].as_str() {
            _ if global => (None, path),
            "crate" => (Some((from.krate.clone(), Vec::new())), &path[1..]),
            "self" => (Some((from.krate.clone(), from.path.clone())), &path[1..]),
            "super" => (Some((from.krate.clone(), from.path[..from.path.len().saturating_sub(1)].to_vec())), &path[1..]),
            _ => (None, path),
        };
        while let (Some((_, own)), Some("super")) = (&mut at, rest.first().map(String::as_str)) {
            own.pop();
            rest = &rest[1..];
        }
        if let Some((krate, own)) = at {
            return self.descend(&krate, own, rest, steps).unwrap_or_else(foreign);
        }
        if let Some(found) = self.within(from, rest, steps) {
            return found;
        }
        if rest.len() > 1 {
            if let Some(krate) = self.library(&rest[0], &from.krate) {
                return self.descend(&krate, Vec::new(), &rest[1..], steps).unwrap_or_else(foreign);
            }
        }
        foreign()
    }

    // A path from a module of some crate, which may be a folder alone.
    fn descend(&self, krate: &Crate, mut own: Vec<String>, rest: &[String], steps: usize) -> Option<Found> {
        let mut rest = rest;
        loop {
            if let Some(module) = self.module(krate, &own) {
                if rest.is_empty() {
                    return Some(Found::Module);
                }
                if let Some(found) = self.within(&module, rest, steps) {
                    return Some(found);
                }
            }
            let (first, others) = rest.split_first()?;
            own.push(first.clone());
            rest = others;
        }
    }

    // A path from a module's own items and imports.
    fn within(&self, module: &Module, path: &[String], steps: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        for (index, item) in module.items().iter().enumerate() {
            if item.name != *first {
                continue;
            }
            match &item.kind {
                ItemKind::Module(_) => {
                    let inner = self.child(module, first)?;
                    return if rest.is_empty() { Some(Found::Module) } else { self.within(&inner, rest, steps + 1) };
                }
                ItemKind::Struct { .. } | ItemKind::Enum { .. } | ItemKind::Alias { .. } | ItemKind::Trait | ItemKind::Union if rest.is_empty() => {
                    return Some(Found::Item(module.clone(), index));
                }
                _ => {}
            }
        }
        let imports = || module.items().iter().filter_map(|item| if let ItemKind::Use(imports) = &item.kind { Some(imports) } else { None }).flatten();
        if let Some(import) = imports().find(|import| import.name == *first) {
            let mut whole = import.path.clone();
            whole.extend_from_slice(rest);
            // `use chrono;` and the like name a crate and not themselves.
            let global = import.path.first() == Some(first);
            return Some(self.find_at(&whole, module, steps + 1, global));
        }
        for import in imports().filter(|import| import.name == "*") {
            let mut whole = import.path.clone();
            whole.extend_from_slice(path);
            let found = self.find_at(&whole, module, steps + 1, import.path.first() == Some(first));
            if !matches!(found, Found::Foreign(_)) {
                return Some(found);
            }
        }
        None
    }
}

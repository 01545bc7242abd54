//! A Cargo workspace in the engine's cache: one library for each folder of the project's Rust files, whose modules are those
//! files where they stand. Nothing is written into the project.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::manifest::{parse, quoted, Manifest, Toml};
use crate::world::module_name;

/// The libraries, each of which sees those before it.
pub const KINDS: [&str; 4] = ["memory", "functions", "assistants", "integration"];

const KEYWORDS: &[&str] = &["as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "true", "type", "unsafe", "use", "where",
    "while", "abstract", "become", "box", "do", "final", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield"];

/// A name as Rust takes it: r#type.
pub fn ident(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("r#{name}") } else { name.into() }
}

/// A file as a module of its kind's library.
#[derive(Clone, Debug)]
pub struct Source {
    pub kind: String,
    pub absolute: PathBuf,
    /// Below its kind's folder.
    pub modules: Vec<String>,
    pub is_test: bool,
}

impl Source {
    /// None: it is in none of the project's folders.
    pub fn of(project: &Path, absolute: &Path) -> Option<Source> {
        let relative = absolute.strip_prefix(project).ok()?;
        let mut parts = relative.iter().map(|part| part.to_string_lossy());
        let mut kind = parts.next()?.into_owned();
        let folder = parts.next()?;
        // Tests of several parts together: tests/integration.
        if kind == "tests" && folder == "integration" {
            kind = folder.into_owned();
        }
        if !KINDS.contains(&kind.as_str()) {
            return None;
        }
        let mut modules: Vec<String> = parts.map(|part| module_name(&part)).collect();
        *modules.last_mut()? = module_name(&absolute.file_stem()?.to_string_lossy());
        let last = modules.last().map_or("", String::as_str);
        let is_test = last.starts_with("test_") || last.ends_with("_test") || last.ends_with("_spec") || kind == "integration"
            || modules[..modules.len() - 1].iter().any(|name| matches!(name.as_str(), "tests" | "test" | "spec"));
        Some(Source { kind, absolute: absolute.into(), modules, is_test })
    }
}

pub struct Workspace {
    pub folder: PathBuf,
    project: PathBuf,
    sdk: PathBuf,
    /// `worker-…`, which is the program's name and unique in the shared target folder.
    pub name: String,
    /// What it was made from besides sources.
    pub read: Vec<PathBuf>,
}

/// What lives in the cache for all projects: compiled crates.
pub fn shared_target() -> PathBuf {
    let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = given.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache"));
    cache.join("sabir/rust/target")
}

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Once a day: what no build has written for a month is of projects that are gone, or is compiled again in seconds.
pub fn drop_old(target: &Path) {
    let age = |path: &Path| path.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    let stamp = target.join("looked-through");
    if age(&stamp).is_some_and(|age| age < KEPT / 30) {
        return;
    }
    let _ = std::fs::write(&stamp, "");
    for folder in ["debug", "debug/deps", "debug/incremental", "debug/.fingerprint", "debug/build"] {
        for entry in std::fs::read_dir(target.join(folder)).into_iter().flatten().flatten() {
            let path = entry.path();
            let kept = matches!(path.file_name().and_then(|name| name.to_str()), Some("deps" | "incremental" | ".fingerprint" | "build" | "examples" | ".cargo-lock"));
            if folder == "debug" && kept || !age(&path).is_some_and(|age| age > KEPT) {
                continue;
            }
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        }
    }
}

pub fn hash(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Leaves a file alone that has the text already, so that Cargo sees no change.
pub fn write(file: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let told = |error: std::io::Error| format!("{}: cannot write: {error}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(told)?;
    }
    std::fs::write(file, text).map_err(told)
}

#[derive(Default)]
struct Tree {
    files: Vec<Source>,
    folders: BTreeMap<String, Tree>,
}

impl Tree {
    fn write(&self, out: &mut String, indent: usize) {
        let blanks = "    ".repeat(indent);
        for source in &self.files {
            let name = source.modules.last().map_or("", String::as_str);
            let test = if source.is_test { "#[cfg(test)] " } else { "" };
            let visible = if source.is_test { "" } else { "pub " };
            out.push_str(&format!("{blanks}{test}#[path = {}] {visible}mod {};\n", quoted(&source.absolute.to_string_lossy()), ident(name)));
        }
        for (name, tree) in &self.folders {
            out.push_str(&format!("{blanks}pub mod {} {{\n", ident(name)));
            tree.write(out, indent + 1);
            out.push_str(&format!("{blanks}}}\n"));
        }
    }
}

impl Workspace {
    pub fn new(folder: &Path, project: &Path, sdk: &Path) -> Workspace {
        let mut out = Workspace { folder: folder.into(), project: project.into(), sdk: sdk.into(), name: String::new(), read: Vec::new() };
        out.name = out.package("worker");
        out
    }

    /// The package's name, unique in the shared target folder: Cargo knows a member by its name and its place in the workspace,
    /// and would take another project's library for this one's.
    pub fn package(&self, kind: &str) -> String {
        format!("{kind}-{}", hash(&self.folder.to_string_lossy()))
    }

    fn needs(&self, kind: &str) -> String {
        format!("{kind} = {{ path = \"../{kind}\", package = \"{}\" }}\n", self.package(kind))
    }

    fn language_folder(kind: &str, sources: &[Source]) -> Option<PathBuf> {
        let source = sources.iter().find(|source| source.kind == kind)?;
        source.absolute.ancestors().nth(source.modules.len()).map(Path::to_path_buf)
    }

    /// Writes everything but the worker's main file. `mentions`: whether a source names a crate, which then needs no Cargo.toml.
    pub fn write(&mut self, sources: &[Source], with_tests: bool, mentions: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| sources.iter().any(|source| source.kind == *kind)).collect();
        let mut members = kinds.clone();
        if !with_tests {
            members.push("worker");
        }
        let mut root = format!("# Generated for the engine.\n[workspace]\nresolver = \"2\"\nmembers = {:?}\n", members);
        // Users' functions and the SDK are made fast, what only ties them together quickly.
        root.push_str("\n[profile.dev]\nopt-level = 2\ndebug = \"line-tables-only\"\ndebug-assertions = false\noverflow-checks = true\nincremental = true\n");
        // No opt-level for "*": it would hold for macros' crates too, whose speed does not matter.
        root.push_str("\n[profile.dev.build-override]\nopt-level = 0\n\n[profile.dev.package.\"*\"]\ndebug = false\n");
        if !with_tests {
            root.push_str(&format!("\n[profile.dev.package.{}]\nopt-level = 1\n", self.name));
        }
        // For the project's own crates alone, so that tests share what they are made of with the worker.
        for kind in kinds.iter().filter(|_| with_tests) {
            root.push_str(&format!("\n[profile.test.package.{}]\nopt-level = 0\ndebug-assertions = true\n", self.package(kind)));
        }
        let mut locks: Vec<PathBuf> = Vec::new();
        let mut patched = HashSet::new();
        for (index, kind) in kinds.iter().enumerate() {
            let Some(language) = Workspace::language_folder(kind, sources) else { continue };
            let manifest = Manifest::above(&language, &self.project);
            let mut edition = "2021".to_string();
            let mut dependencies: Vec<(String, Toml)> = Vec::new();
            let mut more = String::new();
            if let Some(manifest) = &manifest {
                edition = manifest.edition();
                self.read.extend(manifest.files.iter().cloned());
                let lock = manifest.lock_file();
                if lock.is_file() && !locks.contains(&lock) {
                    locks.push(lock.clone());
                }
                self.read.push(lock);
                if let Some(table) = manifest.toml.get("dependencies") {
                    dependencies = manifest.dependencies(table);
                }
                if let Some((name, _)) = manifest.own_library().filter(|_| manifest.folder != language) {
                    let package = manifest.toml.at(&["package", "name"]).and_then(Toml::text).unwrap_or(&name).to_string();
                    let path = Toml::Text(manifest.folder.to_string_lossy().into_owned());
                    dependencies.push((package, Toml::Table(vec![("path".into(), path)])));
                }
                let mut section = |title: &str, table: &[(String, Toml)]| {
                    more.push_str(&format!("\n[{title}]\n"));
                    for (name, value) in table {
                        more.push_str(&format!("{} = {}\n", quoted(name), value.inline()));
                    }
                };
                if with_tests {
                    if let Some(table) = manifest.toml.get("dev-dependencies") {
                        section("dev-dependencies", &manifest.dependencies(table));
                    }
                }
                for (target, tables) in manifest.toml.get("target").map_or(&[][..], Toml::members) {
                    if let Some(table) = tables.get("dependencies") {
                        section(&format!("target.{}.dependencies", quoted(target)), &manifest.dependencies(table));
                    }
                }
                if let Some(table) = manifest.toml.get("features").filter(|_| manifest.folder == language) {
                    section("features", table.members());
                }
                for (source, table) in manifest.patches() {
                    if patched.insert(source.clone()) {
                        root.push_str(&format!("\n[patch.{}]\n", quoted(&source)));
                        for (name, value) in table {
                            root.push_str(&format!("{} = {}\n", quoted(&name), value.inline()));
                        }
                    }
                }
            }
            let mut text = format!("# Generated for the engine.\n[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = {}\npublish = false\n", self.package(kind), quoted(&edition));
            text.push_str(&format!("\n[lib]\nname = \"{kind}\"\npath = \"lib.rs\"\ndoctest = false\n\n[dependencies]\n"));
            let sabir = Toml::Table(vec![("path".into(), Toml::Text(self.sdk.join("sabir").to_string_lossy().into_owned()))]);
            dependencies.retain(|(name, _)| name != "sabir");
            dependencies.push(("sabir".into(), sabir));
            for (name, value) in [("serde", "{ version = \"1\", features = [\"derive\", \"rc\"] }"), ("serde_json", "\"1\"")] {
                if !dependencies.iter().any(|(own, _)| own == name) && (name == "serde" || mentions(name)) {
                    text.push_str(&format!("{name} = {value}\n"));
                }
            }
            for other in &kinds[..index] {
                text.push_str(&self.needs(other));
            }
            for (name, value) in &dependencies {
                text.push_str(&format!("{} = {}\n", quoted(name), value.inline()));
            }
            text.push_str(&more);
            write(&self.folder.join(kind).join("Cargo.toml"), &text)?;
            self.write_modules(kind, sources)?;
        }
        if !with_tests {
            let mut text = format!("# Generated for the engine.\n[package]\nname = \"{0}\"\nversion = \"0.0.0\"\nedition = \"2021\"\npublish = false\n\n[[bin]]\nname = \"{0}\"\npath = \"main.rs\"\n\n[dependencies]\n", self.name);
            text.push_str(&format!("sabir = {{ path = {} }}\n", quoted(&self.sdk.join("sabir").to_string_lossy())));
            for kind in &kinds {
                text.push_str(&self.needs(kind));
            }
            write(&self.folder.join("worker/Cargo.toml"), &text)?;
        }
        write(&self.folder.join("Cargo.toml"), &root)?;
        self.write_lock(&locks)
    }

    /// The library's first file, which names its modules.
    pub fn write_modules(&self, kind: &str, sources: &[Source]) -> Result<(), String> {
        let mut tree = Tree::default();
        for source in sources.iter().filter(|source| source.kind == kind) {
            let mut at = &mut tree;
            for folder in &source.modules[..source.modules.len() - 1] {
                at = at.folders.entry(folder.clone()).or_default();
            }
            at.files.push(source.clone());
        }
        let mut text = String::from("// Generated for the engine.\n#![allow(warnings)]\n\n");
        tree.write(&mut text, 0);
        write(&self.folder.join(kind).join("lib.rs"), &text)
    }

    // Versions: those of the project's Cargo.lock, then the SDK's own; Cargo keeps what it chose until one of them changes.
    fn write_lock(&self, locks: &[PathBuf]) -> Result<(), String> {
        let own = self.sdk.join("sabir/Cargo.lock");
        let mut all = String::new();
        let mut packages: Vec<String> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        let mut version = 3;
        for file in locks.iter().chain([&own]) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            all.push_str(&text);
            let Some(toml) = parse(&text) else { continue };
            if let Some(Toml::Plain(number)) = toml.get("version") {
                version = version.max(number.parse().unwrap_or(3));
            }
            let mut found = Vec::new();
            for package in if let Some(Toml::List(list)) = toml.get("package") { &list[..] } else { &[] } {
                let name = package.get("name").and_then(Toml::text).unwrap_or_default().to_string();
                if package.get("source").is_none() || names.contains(&name) {
                    continue;
                }
                let mut text = String::from("[[package]]\n");
                for (key, value) in package.members() {
                    text.push_str(&format!("{key} = {}\n", value.inline()));
                }
                packages.push(text);
                found.push(name);
            }
            names.extend(found);
        }
        let seed = self.folder.join("seed");
        let key = hash(&all);
        if std::fs::read_to_string(&seed).is_ok_and(|old| old == key) && self.folder.join("Cargo.lock").is_file() {
            return Ok(());
        }
        write(&self.folder.join("Cargo.lock"), &format!("version = {version}\n\n{}", packages.join("\n")))?;
        write(&seed, &key)
    }
}

//! The build program (spec/build.md): one worker that has every function of the project's Rust files.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::cargo::{self, Diagnostic, Place};
use crate::describe::{describe, Description, Function, Passed};
use crate::json::Json;
use crate::workspace::{drop_old, hash, ident, shared_target, Source, Workspace, KINDS};
use crate::world::World;

const MOST_ROUNDS: usize = 50; // of building again without the files that failed
const MOST_DEPENDS: usize = 2000;

struct Asked {
    path: String,
    source: Source,
    told: Description,
    text: String,
}

#[derive(Clone)]
struct Broken {
    path: String,
    message: String,
    place: Option<Place>,
    detail: String,
}

/// Lines of the generated main file: the file they are for, and its function's line.
type About = HashMap<i64, (PathBuf, u32)>;

struct Builder {
    project: PathBuf,
    sdk: PathBuf,
    cargo: String,
    workspace: Workspace,
    working: Vec<Asked>,
    broken: Vec<Broken>,
    /// Absolute paths of the broken ones, with their texts.
    hidden: HashMap<PathBuf, (String, String)>,
    version: String,
}

pub fn build(asked: &Json) -> Result<Json, String> {
    let project = PathBuf::from(asked.text("project"));
    let folder = PathBuf::from(asked.text("folder"));
    let cargo = asked.text("interpreter").to_string();
    let sdk = PathBuf::from(asked.text("sdk"));
    let mut builder = Builder {
        workspace: Workspace::new(&folder, &project, &sdk),
        sdk,
        version: version_of(&cargo), project, cargo, working: Vec::new(), broken: Vec::new(), hidden: HashMap::new(),
    };
    builder.read(asked)?;
    let target = shared_target();
    drop_old(&target);
    let sources: Vec<Source> = builder.working.iter().map(|one| one.source.clone()).collect();
    let texts: Vec<&str> = builder.working.iter().map(|one| one.text.as_str()).collect();
    builder.workspace.write(&sources, false, &|name| texts.iter().any(|text| text.contains(name)))?;
    let mut round = 0;
    let program = loop {
        if let Some(program) = builder.once(&target)? {
            break program;
        }
        round += 1;
        if round == MOST_ROUNDS {
            return Err("building again without the broken files did not end".into());
        }
    };
    let wanted = asked.text("program");
    std::fs::copy(&program, wanted).map_err(|error| format!("{wanted}: cannot write: {error}"))?;
    let depends = builder.depends(&program);
    let broken: Vec<Json> = builder.broken.iter().map(|one| {
        let mut out = Json::object().with("path", one.path.as_str()).with("message", one.message.as_str());
        if let Some(place) = &one.place {
            out = out.with("file", place.file.to_string_lossy().as_ref()).with("line", place.line).with("column", place.column);
        }
        out.with("detail", one.detail.as_str())
    }).collect();
    Ok(Json::object().with("version", 1i64).with("broken", broken).with("depends", depends))
}

fn version_of(cargo: &str) -> String {
    let said = std::process::Command::new(cargo).arg("--version").output().map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    said.split_whitespace().nth(1).unwrap_or("unknown").to_string()
}

impl Builder {
    fn read(&mut self, asked: &Json) -> Result<(), String> {
        let mut world = World::new(&self.project);
        let mut files = Vec::new();
        for file in asked.list("files") {
            let absolute = PathBuf::from(file.text("absolute"));
            match std::fs::read_to_string(&absolute) {
                Ok(text) => {
                    world.sources.insert(absolute.clone(), text);
                    files.push((file.text("path").to_string(), absolute));
                }
                Err(error) => self.broken.push(Broken { path: file.text("path").into(), message: error.to_string(), place: None, detail: String::new() }),
            }
        }
        let mut names: HashMap<(String, Vec<String>), String> = HashMap::new();
        let folders: BTreeSet<(String, Vec<String>)> = files.iter().filter_map(|(_, absolute)| Source::of(&self.project, absolute))
            .flat_map(|source| (1..source.modules.len()).map(move |length| (source.kind.clone(), source.modules[..length].to_vec()))).collect();
        for (path, absolute) in files {
            let Some(source) = Source::of(&self.project, &absolute) else { continue };
            if source.modules == ["lib"] {
                continue;
            }
            let key = (source.kind.clone(), source.modules.clone());
            let other = names.get(&key).cloned().or_else(|| folders.contains(&key).then(|| format!("the folder {}/", absolute.with_extension("").to_string_lossy())));
            let wrong = |message: String| Broken { path: path.clone(), message, place: Some(Place { file: absolute.clone(), line: 1, column: 1, label: String::new() }), detail: String::new() };
            let text = world.sources.get(&absolute).cloned().unwrap_or_default();
            if let Some(other) = other {
                self.broken.push(wrong(format!("{other} is the module {} as well; rename one of them", key.1.join("::"))));
                continue;
            }
            if source.modules.iter().any(|name| !is_name(name)) {
                self.broken.push(wrong(format!("{} cannot name a module in Rust; rename the file", source.modules.join("::"))));
                continue;
            }
            names.insert(key, path.clone());
            match describe(&world, &absolute) {
                Ok(told) => self.working.push(Asked { path, source, told, text }),
                Err(found) => {
                    let place = Place { file: absolute.clone(), line: found.line.into(), column: found.column.into(), label: String::new() };
                    self.hidden.insert(absolute, (path.clone(), text));
                    self.broken.push(Broken { path, message: found.message, place: Some(place), detail: String::new() });
                }
            }
        }
        Ok(())
    }

    fn main_file(&self) -> (String, About) {
        let mut lines: Vec<String> = vec!["// Generated for the engine: every function of the project's Rust files.".into(), "#![allow(warnings)]".into(),
            "use sabir::worker::{block_on, stream, value, Arguments, ByDebug, ByDisplay, ByError, Failed, Outcome, Worker};".into(), String::new()];
        let mut about = About::new();
        let mut adds = Vec::new();
        for asked in &self.working {
            for function in &asked.told.functions {
                let number = adds.len();
                let modules: Vec<String> = asked.source.modules.iter().map(|name| ident(name)).collect();
                let target = format!("::{}::{}::{}", asked.source.kind, modules.join("::"), ident(&function.name));
                for line in glue(number, &target, function) {
                    lines.push(line);
                    about.insert(lines.len() as i64, (asked.source.absolute.clone(), function.line));
                }
                adds.push((format!("    worker.add({:?}, {:?}, f{number});", asked.source.absolute.to_string_lossy(), function.name), asked.source.absolute.clone(), function.line));
            }
        }
        lines.push("fn main() {".into());
        lines.push(format!("    let mut worker = Worker::new({:?});", self.version));
        for (line, file, at) in adds {
            lines.push(line);
            about.insert(lines.len() as i64, (file, at));
        }
        lines.extend(["    worker.run();".into(), "}".into(), String::new()]);
        (lines.join("\n"), about)
    }

    /// Builds; None: files were dropped and it has to be done again.
    fn once(&mut self, target: &Path) -> Result<Option<PathBuf>, String> {
        let sources: Vec<Source> = self.working.iter().map(|one| one.source.clone()).collect();
        for kind in KINDS {
            if self.workspace.folder.join(kind).join("Cargo.toml").is_file() {
                self.workspace.write_modules(kind, &sources)?;
            }
        }
        let (text, about) = self.main_file();
        let main = self.workspace.folder.join("worker/main.rs");
        crate::workspace::write(&main, &text)?;
        let package = self.workspace.name.clone();
        let done = cargo::run(&self.cargo, &self.workspace.folder, target, &["build", "--package", &package])?;
        if done.succeeded {
            return match done.programs.into_iter().find(|(name, _)| *name == package) {
                Some((_, program)) => Ok(Some(program)),
                None => Err("cargo said that it built the worker, but not where".into()),
            };
        }
        let before = self.broken.len();
        for error in &done.errors {
            let own = error.places.iter().find(|place| self.working.iter().any(|one| one.source.absolute == place.file)).cloned();
            let glued = error.places.iter().filter(|place| place.file == main).find_map(|place| about.get(&place.line).cloned());
            let told = match (&own, glued) {
                (Some(place), _) if error.places.first().is_some_and(|first| first.file != main) => Some(place.clone()),
                (_, Some((file, line))) => Some(Place { file, line: line.into(), column: 0, label: String::new() }),
                (Some(place), None) => Some(place.clone()),
                _ => None,
            };
            if let Some(place) = told {
                self.drop(&place, error);
            }
        }
        if self.broken.len() > before {
            return Ok(None);
        }
        // It is about none of the files: a dependency, or the manifest.
        let texts: Vec<&str> = done.errors.iter().map(|error| error.text.as_str()).collect();
        let said = if texts.is_empty() { done.said } else { texts.join("\n") };
        Err(told_by_cargo(&said))
    }

    fn drop(&mut self, place: &Place, error: &Diagnostic) {
        let Some(index) = self.working.iter().position(|one| one.source.absolute == place.file) else { return };
        let asked = self.working.remove(index);
        let mut message = error.message.clone();
        if !place.label.is_empty() && !message.contains(&place.label) {
            message = format!("{message}: {}", place.label);
        }
        // What it needs may be in a file that is broken itself: that one is to be mended.
        if error.message.starts_with("unresolved import") || error.message.starts_with("cannot find") || error.message.starts_with("failed to resolve") {
            let cause = self.hidden.iter().find(|(file, (_, text))| {
                let module = file.file_stem().map(|stem| crate::world::module_name(&stem.to_string_lossy())).unwrap_or_default();
                message.contains(&format!("::{module}")) || message.contains(&format!("`{module}`"))
                    || message.split('`').nth(1).is_some_and(|name| text.contains(&format!(" {name}")) && asked.text.contains(&module))
            });
            if let Some((_, (path, _))) = cause {
                message = format!("{message} ({path} does not compile)");
            }
        }
        let detail = error.text.replace(&format!("{}/", self.project.display()), "");
        self.hidden.insert(asked.source.absolute.clone(), (asked.path.clone(), asked.text));
        self.broken.push(Broken { path: asked.path, message, place: Some(place.clone()), detail });
    }

    /// Sources of local crates, manifests and locks.
    fn depends(&self, program: &Path) -> Vec<String> {
        let mut out: BTreeSet<PathBuf> = self.workspace.read.iter().cloned().collect();
        let text = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
        let list = text.split_once(": ").map_or("", |(_, list)| list).replace("\\ ", "\u{0}");
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
        for name in list.split_whitespace() {
            let file = PathBuf::from(name.replace('\u{0}', " "));
            let ours = file.starts_with(&self.workspace.folder) || self.working.iter().any(|one| one.source.absolute == file)
                || file.starts_with(&self.sdk) || cargo_home.as_ref().is_some_and(|home| file.starts_with(home));
            if !ours {
                out.insert(file);
            }
        }
        out.into_iter().take(MOST_DEPENDS).map(|file| file.strip_prefix(&self.project).unwrap_or(&file).to_string_lossy().into_owned()).collect()
    }
}

/// Cargo's reason on one line, which the engine shows; all of it stands before.
pub fn told_by_cargo(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let start = lines.iter().position(|line| line.starts_with("error")).unwrap_or(0);
    let reason: Vec<&str> = lines[start..].iter().take(8).map(|line| line.trim()).filter(|line| *line != "Caused by:").collect();
    format!("{}\n{}", said.trim_end(), reason.join("; ").trim_start_matches("error: "))
}

fn is_name(name: &str) -> bool {
    !matches!(name, "crate" | "self" | "super" | "Self" | "_" | "") && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// The lines that take one function's arguments, call it and give its value.
fn glue(number: usize, target: &str, function: &Function) -> Vec<String> {
    let mut lines = vec![format!("fn f{number}(a: &mut Arguments) -> Outcome {{")];
    let mut passed = Vec::new();
    for (index, one) in function.parameters.iter().enumerate() {
        let kind = match one.passed {
            Passed::Str => ": String",
            Passed::Slice => ": Vec<_>",
            Passed::Path => ": std::path::PathBuf",
            Passed::OptionalStr => ": Option<String>",
            Passed::OptionalSlice => ": Option<Vec<_>>",
            Passed::OptionalBorrowed => ": Option<_>",
            _ => "",
        };
        let take = match (&one.default, one.required, one.passed) {
            (_, _, Passed::Context | Passed::BorrowedContext) => "a.context()".to_string(),
            (Some(default), ..) => format!("a.or({:?}, {:?})?", one.name, default.to_string()),
            (None, true, _) => format!("a.take({:?})?", one.name),
            (None, false, _) => format!("a.optional({:?})?", one.name),
        };
        lines.push(format!("    let p{index}{kind} = {take};"));
        passed.push(match one.passed {
            Passed::Owned | Passed::Context => format!("p{index}"),
            Passed::Borrowed | Passed::BorrowedContext | Passed::Str | Passed::Slice | Passed::Path => format!("&p{index}"),
            Passed::OptionalStr | Passed::OptionalSlice => format!("p{index}.as_deref()"),
            Passed::OptionalBorrowed => format!("p{index}.as_ref()"),
        });
    }
    lines.push(format!("    a.end({:?})?;", function.name));
    let mut call = format!("{target}({})", passed.join(", "));
    if function.returned.future {
        call = format!("block_on({call})?");
    }
    lines.push(format!("    let out = {call};"));
    if function.returned.fallible {
        lines.push("    let out = match out { Ok(out) => out, Err(error) => return Err((&&&Failed(error)).trouble()) };".into());
    }
    lines.push(match function.returned.stream {
        None => "    value(out)".into(),
        Some(stream) if stream.fallible => "    stream(out.into_iter().map(|one| one.map_err(|error| (&&&Failed(error)).trouble())))".into(),
        Some(_) => "    stream(out.into_iter().map(Ok))".into(),
    });
    lines.push("}".into());
    lines
}

/// The folder of a project's tests in the cache.
pub fn test_folder(project: &Path) -> PathBuf {
    shared_target().with_file_name("tests").join(hash(&project.to_string_lossy()))
}

//! What the rendering on this thread reads: its templates' texts, and what was wrong with one.

use super::emit::{HEADING_END, ISOLATED};
use super::granted::Granted;
use super::limits;
use super::marks::Explained;
use super::syntax::Problem;
use minijinja::{Error, Value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Parts a template's name from the number of its content.
const VERSION: char = '\u{3}';
/// Follows that number where the template hands over its parts.
pub const PARTS: char = '\u{4}';
const FOLDERS: [&str; 2] = ["completions/", "prompt_parts/"];
const EXTENSIONS: [&str; 4] = [".prompt", ".j2", ".md", ".txt"];

/// Says which bytes of a part's text are kept.
pub type KeepsOfPart = dyn Fn(&str, &str) -> (usize, usize);

pub trait Source {
    fn text(&self, name: &str) -> Result<Option<String>, String>;
    /// The number of the template's content, by which it is kept parsed; 0 where it is not kept.
    fn version(&self, _name: &str) -> u64 {
        0
    }
}

pub struct Reading {
    pub source: Arc<dyn Source>,
    /// What stands for a heading in the rendered text, but for the role's number and the mark's end.
    pub heading: String,
    pub problem: Option<(String, Problem)>,
    /// The names of templates that are kept, by the names that asked for them: they stay what they are during a rendering.
    known: HashMap<String, String>,
    part: Option<Arc<KeepsOfPart>>,
    /// How often each part is open now: what stands within a part of the same name belongs to it.
    open: HashMap<String, usize>,
    granted: Option<Arc<Granted>>,
    /// Where it is told which text comes from where.
    pub explained: Option<Explained>,
}

impl Reading {
    pub fn of(source: Arc<dyn Source>, heading: &str) -> Self {
        let (known, open) = (HashMap::new(), HashMap::new());
        let (problem, part, granted, explained) = (None, None, None, None);
        Reading { source, heading: heading.to_string(), problem, known, part, open, granted, explained }
    }

    pub fn with_parts(self, part: Arc<KeepsOfPart>) -> Self {
        Reading { part: Some(part), ..self }
    }

    pub fn with_granted(self, granted: Granted) -> Self {
        Reading { granted: Some(Arc::new(granted)), ..self }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

/// Puts back what was read before, also where the rendering panics.
struct Before(Option<Reading>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

pub fn within<T>(reading: Reading, body: impl FnOnce() -> T) -> T {
    let _before = Before(CURRENT.replace(Some(reading)));
    body()
}

/// With what is kept of marks, where there are any.
pub fn explained<T>(body: impl FnOnce(&mut Explained) -> T) -> Option<T> {
    CURRENT.with_borrow_mut(|current| current.as_mut().and_then(|reading| reading.explained.as_mut()).map(body))
}

pub fn begin_explaining(explained: Explained) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(reading) = current {
            reading.explained = Some(explained);
        }
    });
}

fn source() -> Option<Arc<dyn Source>> {
    CURRENT.with_borrow(|current| current.as_ref().map(|reading| reading.source.clone()))
}

/// The functions that the template may call.
pub fn granted() -> Option<Arc<Granted>> {
    CURRENT.with_borrow(|current| current.as_ref().and_then(|reading| reading.granted.clone()))
}

pub fn text_of(name: &str) -> Result<Option<String>, String> {
    source().map_or(Ok(None), |source| source.text(bare_name(name)))
}

pub fn note_problem(name: &str, problem: Problem) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(reading) = current {
            reading.problem = Some((name.to_string(), problem));
        }
    });
}

pub fn problem() -> Option<(String, Problem)> {
    CURRENT.with_borrow(|current| current.as_ref().and_then(|reading| reading.problem.clone()))
}

/// The name that minijinja knows a template by.
pub fn known_name(name: &str, is_isolated: bool) -> String {
    let found = CURRENT.with_borrow(|current| current.as_ref().and_then(|reading| reading.known.get(name).cloned()));
    let mut known = found.unwrap_or_else(|| new_name(name));
    if is_isolated {
        known.push(ISOLATED);
    }
    known
}

fn new_name(name: &str) -> String {
    let version = source().map_or(0, |source| source.version(name));
    if version == 0 {
        return name.to_string();
    }
    let mut known = String::with_capacity(name.len() + 24);
    known.push_str(name);
    known.push(VERSION);
    known.push_str(&version.to_string());
    CURRENT.with_borrow_mut(|current| {
        if let Some(reading) = current {
            if reading.part.is_some() {
                known.push(PARTS);
            }
            reading.known.insert(name.to_string(), known.clone());
        }
    });
    known
}

/// The name that asked for a template.
pub fn bare_name(known: &str) -> &str {
    known.split([VERSION, PARTS, ISOLATED]).next().unwrap_or(known)
}

/// What stands before the first heading of `text`, its role, and what stands after it.
pub fn heading_in<'t>(text: &'t str, heading: Option<&str>) -> Option<(&'t str, u32, &'t str)> {
    let (before, after) = text.split_once(heading?)?;
    let mut after = after.chars();
    let role = after.next()?.to_digit(10)?;
    Some((before, role, after.as_str().strip_prefix(HEADING_END)?))
}

/// A heading as the rendered text has it.
pub fn heading(role: u32) -> String {
    let mut heading = String::new();
    write_heading(&mut heading, role);
    heading
}

pub fn write_heading(out: &mut String, role: u32) {
    CURRENT.with_borrow(|current| out.push_str(current.as_ref().map_or("", |reading| &reading.heading)));
    out.extend(char::from_digit(role, 10));
    out.push(HEADING_END);
}

/// The part that a name of a template or a block means.
pub fn part_name(name: &str) -> &str {
    let short = FOLDERS.iter().fold(name, |name, folder| name.strip_prefix(folder).unwrap_or(name));
    EXTENSIONS.iter().find_map(|extension| short.strip_suffix(extension)).unwrap_or(short)
}

pub fn open_part(name: &Value) {
    let Some(name) = name.as_str().map(part_name) else { return };
    CURRENT.with_borrow_mut(|current| {
        if let Some(reading) = current {
            *reading.open.entry(name.to_string()).or_default() += 1;
            if let Some(explained) = &mut reading.explained {
                explained.open_part();
            }
        }
    });
}

/// What is kept of the part's text. A choice of several templates is no part.
pub fn close_part(name: &Value, text: &str) -> Result<String, Error> {
    limits::text(text.len())?;
    let whole = || Ok(text.to_string());
    let Some(name) = name.as_str().map(part_name) else { return whole() };
    let keeps = CURRENT.with_borrow_mut(|current| {
        let reading = current.as_mut()?;
        let open = reading.open.get_mut(name)?;
        *open = open.saturating_sub(1);
        if *open == 0 { reading.part.clone() } else { None }
    });
    let of_this = keeps.as_ref().map(|keeps| move |text: &str| keeps(name, text));
    let of_this = of_this.as_ref().map(|keeps| keeps as &dyn Fn(&str) -> (usize, usize));
    if let Some(text) = explained(|explained| explained.close_part(name, text, of_this)) {
        return Ok(text);
    }
    let Some(keeps) = keeps else { return whole() };
    let (from, to) = keeps(name, text);
    Ok(text.get(from..to).unwrap_or_default().to_string())
}

//! Jinja2: a template is read by Jinja2's own rules (lexer, parser, statements), written as what minijinja runs (emit), and
//! rendered with Python's values (values, operators, methods, filters, checks, functions) within fixed limits (limits). The simplest
//! are rendered without any of that (direct, tape).

mod call;
mod checks;
mod direct;
mod emit;
mod entries;
mod exact;
mod facts;
mod filters;
mod formats;
mod functions;
mod granted;
mod lexer;
mod limits;
mod map;
mod marks;
mod methods;
mod names;
mod operators;
mod parser;
mod paths;
mod reading;
mod request;
mod statements;
mod syntax;
mod tape;
mod text_filters;
mod values;

use crate::{guard, write_out, Buf, Str};
use direct::Direct;
use emit::{emit, ISOLATED};
use granted::Granted;
use map::Map;
use marks::{marked, Explained, Sites};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use parser::Callable;
use serde_json::json;
use reading::{Reading, Source};
use std::collections::HashMap;
use std::error::Error as _;
use std::ffi::c_void;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use syntax::Syntax;

/// Frames within each other: loops and scopes count one, a macro's call four, an include ten.
const MAX_NESTING: usize = 600;
/// What a rendering with marks may use up, times what one without may.
const MARKED: u64 = 16;
/// The name of no template, asked for when the work is used up.
const NO_MORE: &str = "\u{2}";

/// A rendered prompt that is no longer needs no more than this much room.
const USUAL_OUTPUT: usize = 8 << 10;

/// Parsed templates that are kept, and the bytes they were written in: what is beyond is parsed again.
const MOST_KEPT: usize = 512;
const MOST_KEPT_BYTES: usize = 32 << 20;

type Load = unsafe extern "C" fn(user: *mut c_void, name: Str, text: *mut Str) -> i32;
type LoadKept = unsafe extern "C" fn(user: *mut c_void, name: Str, text: *mut Str, version: *mut u64) -> i32;

unsafe fn loaded(is_there: bool, text: Str) -> Result<Option<String>, String> {
    if !is_there {
        return Ok(None);
    }
    match unsafe { text.text() } {
        Ok(text) => Ok(Some(text.to_string())),
        Err(message) => Err(format!("the template is {message}")),
    }
}

fn str_of(text: &str) -> Str {
    Str { data: text.as_ptr(), size: text.len() }
}

/// The caller's loader. Rendering may happen on any thread that the caller chooses.
struct Loader {
    load: Option<Load>,
    user: *mut c_void,
}

impl Source for Loader {
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(load) = self.load else { return Ok(None) };
        let mut text = str_of("");
        unsafe { loaded(load(self.user, str_of(name), &mut text) != 0, text) }
    }
}

/// The caller's loader of one rendering, whose templates are kept.
struct KeptLoader {
    load: LoadKept,
    user: *mut c_void,
}

impl Source for KeptLoader {
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let (mut text, mut version) = (str_of(""), 0);
        unsafe { loaded((self.load)(self.user, str_of(name), &mut text, &mut version) != 0, text) }
    }

    fn version(&self, name: &str) -> u64 {
        let (mut text, mut version) = (str_of(""), 0);
        unsafe { (self.load)(self.user, str_of(name), &mut text, &mut version) };
        version
    }
}

/// How templates are rendered. A prompt's are the defaults.
#[derive(Clone)]
struct Options {
    syntax: Syntax,
    undefined: UndefinedBehavior,
    /// Whether values are escaped as HTML in the template of that name.
    escapes: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    globals: Vec<(String, minijinja::Value)>,
    /// Variables whose text is HTML already.
    safe: Vec<String>,
    /// What stands for a role's heading in a template's text, but for the role's number.
    heading: Option<String>,
    /// Where the rendering is to tell which text comes from where.
    sites: Option<Sites>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            syntax: Syntax::default(),
            undefined: UndefinedBehavior::Strict,
            escapes: Arc::new(|_| false),
            globals: Vec::new(),
            safe: Vec::new(),
            heading: None,
            sites: None,
        }
    }
}

impl Options {
    fn allow_direct(&self) -> bool {
        self.sites.is_none() && self.safe.is_empty()
    }
}

pub struct Templates {
    base: Environment<'static>,
    fuel: u64,
    options: Options,
    keeps: bool,
    kept: Mutex<Arc<Parsed>>,
    load: Option<Load>,
    user: *mut c_void,
}
// `user` is the caller's, who says on which threads it may be used.
unsafe impl Send for Templates {}
unsafe impl Sync for Templates {}

/// Maps of templates by the name that minijinja knows, and the bytes of their texts.
#[derive(Default)]
struct Maps {
    by_name: HashMap<String, Arc<Map>>,
    bytes: usize,
}

/// Templates as minijinja runs them.
struct Parsed {
    environment: Environment<'static>,
    maps: Arc<Mutex<Maps>>,
}

impl Parsed {
    fn is_full(&self) -> bool {
        let maps = lock(&self.maps);
        maps.by_name.len() > MOST_KEPT || maps.bytes > MOST_KEPT_BYTES
    }

    fn map(&self, name: &str) -> Option<Arc<Map>> {
        lock(&self.maps).by_name.get(name).cloned()
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn knows(kind: Callable, name: &str) -> bool {
    match kind {
        Callable::Filter => filters::names().any(|known| known == name),
        Callable::Test => checks::names().any(|known| known == name),
    }
}

/// Collects what a template writes, up to the limit.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            self.is_full = true;
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_value(
    out: &mut minijinja::Output,
    state: &minijinja::State,
    value: &minijinja::Value,
) -> Result<(), Error> {
    // minijinja has refused what is undefined already.
    functions::check_exported(value)?;
    let escapes = state.auto_escape() != AutoEscape::None;
    if let (false, Some(text)) = (escapes, value.as_str()) {
        limits::text(text.len())?;
        return out.write_str(text).map_err(Error::from);
    }
    let text = if escapes { formats::html_of(value)? } else { values::text_of(value)? };
    out.write_str(&text).map_err(Error::from)
}

/// What every environment has; made once, since it is some hundred filters, tests and functions.
fn common() -> Environment<'static> {
    static COMMON: OnceLock<Environment<'static>> = OnceLock::new();
    let make = || {
        let mut common = Environment::new();
        common.set_debug(true);
        common.set_keep_trailing_newline(true);
        common.set_recursion_limit(MAX_NESTING);
        common.set_formatter(write_value);
        common.set_path_join_callback(|name, _parent| if limits::affords(limits::INCLUDE as u64) { name.into() } else { NO_MORE.into() });
        common.set_unknown_method_callback(methods::unknown_method);
        common.add_filter("pluralize", minijinja_contrib::filters::pluralize);
        functions::add_to(&mut common);
        filters::add_to(&mut common);
        checks::add_to(&mut common);
        common
    };
    COMMON.get_or_init(make).clone()
}

impl Templates {
    fn new(fuel: u64, options: Options) -> Self {
        let mut base = common();
        base.set_undefined_behavior(options.undefined);
        let escapes = options.escapes.clone();
        base.set_auto_escape_callback(move |name| {
            if escapes(reading::bare_name(name)) {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        base.set_fuel((fuel != 0).then_some(fuel));
        for (name, value) in &options.globals {
            base.add_global(name.clone(), value.clone());
        }
        let kept = Mutex::new(Arc::new(Self::parsed(&base, &options)));
        Templates { base, fuel, options, keeps: false, kept, load: None, user: std::ptr::null_mut() }
    }

    /// Reads `text` and writes it as what minijinja runs.
    fn translated(maps: &Mutex<Maps>, options: &Options, name: &str, text: &str) -> Result<String, Error> {
        let text = lexer::with_plain_newlines(text, options.syntax.keep_trailing_newline);
        let keep = |map: Map| {
            let mut maps = lock(maps);
            maps.bytes += text.len();
            maps.by_name.insert(name.to_string(), Arc::new(map));
        };
        match statements::parse(&text, &options.syntax, knows) {
            Ok(mut nodes) => {
                if let Some(sites) = &options.sites {
                    nodes = marked(&nodes, &text, name, options.heading.as_deref(), sites);
                }
                let is_isolated = name.ends_with(ISOLATED);
                let mut emitted = emit(&text, &nodes, is_isolated, options.heading.as_deref(), name.contains(reading::PARTS));
                if options.allow_direct() && !is_isolated && !(options.escapes)(reading::bare_name(name)) {
                    emitted.map.direct = Direct::of(&text, &nodes, options.heading.as_deref());
                }
                keep(emitted.map);
                Ok(emitted.text)
            }
            Err(problem) => {
                let message = problem.message.clone();
                keep(Map::of(&text));
                reading::note_problem(name, problem);
                Err(Error::new(ErrorKind::SyntaxError, message))
            }
        }
    }

    fn parsed(base: &Environment<'static>, options: &Options) -> Parsed {
        let mut environment = base.clone();
        let maps = Arc::new(Mutex::new(Maps::default()));
        let (into, options) = (maps.clone(), options.clone());
        environment.set_loader(move |name| {
            if name == NO_MORE {
                return Err(limits::too_much());
            }
            match reading::text_of(name) {
                Ok(Some(text)) => Self::translated(&into, &options, name, &text).map(Some),
                Ok(None) => Ok(None),
                Err(message) => {
                    reading::note_problem(name, syntax::Problem::new(message.clone(), 0));
                    Err(Error::new(ErrorKind::SyntaxError, message))
                }
            }
        });
        Parsed { environment, maps }
    }

    /// The templates parsed so far, where they are kept; else a fresh environment, so that every rendering sees them as they
    /// are now.
    fn environment(&self) -> Arc<Parsed> {
        if !self.keeps {
            return Arc::new(Self::parsed(&self.base, &self.options));
        }
        let mut kept = lock(&self.kept);
        if kept.is_full() {
            *kept = Arc::new(Self::parsed(&self.base, &self.options));
        }
        kept.clone()
    }

    fn context(&self, context: &[u8], name: &str) -> Result<minijinja::Value, String> {
        let context = values::parse_json(context)
            .map_err(|error| report("bad_json", &format!("the variables are not JSON: {error}"), name, 0, None))?;
        let Some(dict) = context.downcast_object_ref::<values::Dict>() else {
            return Err(report("bad_json", "the variables are not a JSON object", name, 0, None));
        };
        // The names of helpers are not variables.
        dict.entries().retain(|member| !member.as_str().is_some_and(|member| member.starts_with("__sb_")));
        for member in &self.options.safe {
            if let Some(value) = dict.entries().get_mut(&minijinja::Value::from(member.as_str())) {
                if let Some(text) = value.as_str().map(str::to_string) {
                    *value = minijinja::Value::from_safe_string(text);
                }
            }
        }
        Ok(context.clone())
    }

    fn render(&self, reading: Reading, name: &str, text: Option<&str>, context: &[u8]) -> Result<String, String> {
        reading::within(reading, || self.render_with(name, text, self.context(context, name)?))
    }

    fn render_kept(&self, name: &str, context: &[u8], defaults: &[u8]) -> Result<String, String> {
        let known = reading::known_name(name, false);
        let map = self.environment().map(&known);
        if let Some((direct, map)) = map.as_ref().and_then(|map| Some((map.direct.as_ref()?, map))) {
            if let (None, Some(text)) = (reading::granted(), direct.render(&map.source, context, defaults, self.fuel)) {
                return Ok(text);
            }
        }
        self.render_with(name, None, self.filled_context(context, defaults, name)?)
    }

    /// For request.rs, which compares: what direct.rs makes of the template, if anything.
    fn render_directly(&self, name: &str, context: &[u8]) -> Option<String> {
        let parsed = self.environment();
        let known = reading::known_name(name, false);
        parsed.environment.get_template(&known).ok()?;
        let map = parsed.map(&known)?;
        map.direct.as_ref()?.rendered(&map.source, context, b"", self.fuel)
    }

    /// {"text", "spans", "parts"}, the first as `render_kept` gives it. Parsed anew, with marks.
    fn explain(&self, name: &str, context: &[u8], defaults: &[u8]) -> Result<String, String> {
        let context = self.filled_context(context, defaults, name)?;
        let sites = Sites::default();
        reading::begin_explaining(Explained::new(sites.clone()));
        let fuel = self.fuel.saturating_mul(MARKED);
        let mut base = self.base.clone();
        base.set_fuel((fuel != 0).then_some(fuel));
        let parsed = Arc::new(Self::parsed(&base, &Options { sites: Some(sites), ..self.options.clone() }));
        let text = Self::run(parsed.clone(), fuel, &reading::known_name(name, false), name, context)?;
        Ok(reading::explained(|explained| explained.told(&text, |name| parsed.map(name))).unwrap_or_default())
    }

    fn filled_context(&self, context: &[u8], defaults: &[u8], name: &str) -> Result<minijinja::Value, String> {
        let context = self.context(context, name)?;
        if !defaults.is_empty() {
            let defaults = self.context(defaults, name)?;
            if let (Some(given), Some(defaults)) =
                (context.downcast_object_ref::<values::Dict>(), defaults.downcast_object_ref::<values::Dict>())
            {
                let mut given = given.entries();
                for (member, value) in defaults.snapshot() {
                    given.insert_missing(member, value);
                }
            }
        }
        if let (Some(granted), Some(given)) = (reading::granted(), context.downcast_object_ref::<values::Dict>()) {
            for root in granted.roots() {
                let Some(function) = granted::value_of(root) else { continue };
                let hidden = given.entries().insert(minijinja::Value::from(root), function);
                if hidden.is_some_and(|value| value.downcast_object_ref::<granted::Function>().is_none()) {
                    let message = format!("the variable '{root}' has the name of a function that this prompt calls");
                    return Err(report("bad_json", &message, name, 0, None));
                }
            }
        }
        Ok(context)
    }

    fn render_with(&self, name: &str, text: Option<&str>, context: minijinja::Value) -> Result<String, String> {
        let mut parsed = self.environment();
        let mut known = reading::known_name(name, false);
        if let Some(text) = text {
            let mut environment = parsed.environment.clone();
            known = name.to_string();
            Self::translated(&parsed.maps, &self.options, name, text)
                .and_then(|text| environment.add_template_owned(known.clone(), text))
                .map_err(|error| explain(&error, name, &parsed))?;
            parsed = Arc::new(Parsed { environment, maps: parsed.maps.clone() });
        }
        Self::run(parsed, self.fuel, &known, name, context)
    }

    /// `known`: as minijinja knows the template that `name` asked for.
    fn run(parsed: Arc<Parsed>, fuel: u64, known: &str, name: &str, context: minijinja::Value) -> Result<String, String> {
        limits::begin(fuel);
        let template = parsed.environment.get_template(known).map_err(|error| explain(&error, name, &parsed))?;
        let mut out = Bounded { bytes: Vec::with_capacity(USUAL_OUTPUT), most: limits::most_output(fuel), is_full: false };
        let outcome = template.render_captured_to(context, &mut out).map(drop);
        values::forget_changed();
        if out.is_full {
            let most = out.most >> 20;
            return Err(report("output", &format!("the rendered text is larger than {most} MiB"), name, 0, None));
        }
        outcome.map_err(|error| explain(&error, name, &parsed))?;
        if limits::is_spent() {
            return Err(report("fuel", limits::TOO_MUCH, name, 0, None));
        }
        String::from_utf8(out.bytes).map_err(|_| report("other", "the rendered text is not UTF-8", name, 0, None))
    }

    fn parse(&self, reading: Reading, name: &str) -> Result<String, String> {
        reading::within(reading, || {
            let parsed = self.environment();
            let outcome = parsed.environment.get_template(&reading::known_name(name, false)).map(drop);
            outcome.map_err(|error| explain(&error, name, &parsed)).map(|()| String::new())
        })
    }

    /// What a prompt reads, includes and never writes (facts.rs). `choices`: {variable: [values that it is one of]}.
    fn facts(&self, name: &str, choices: &[u8]) -> Result<String, String> {
        let choices = if choices.is_empty() { HashMap::new() } else { serde_json::from_slice(choices).unwrap_or_default() };
        let syntax = &self.options.syntax;
        let parse = |text: &str| {
            let text = lexer::with_plain_newlines(text, syntax.keep_trailing_newline);
            let parsed = statements::parse(&text, syntax, knows);
            (text, parsed)
        };
        let is_global = |name: &str| self.base.globals().any(|(global, _)| global == name) || granted::value_of(name).is_some();
        let facts = facts::Walker::new(&parse, &is_global, choices).facts(name);
        facts.ok_or_else(|| report("not_found", &format!("there is no template '{name}'"), name, 0, None))
    }

    fn variables(&self, reading: Reading, name: &str) -> Result<String, String> {
        reading::within(reading, || self.variables_here(name))
    }

    fn variables_here(&self, name: &str) -> Result<String, String> {
        limits::begin(self.fuel);
        let parsed = self.environment();
        let known = reading::known_name(name, false);
        let template = parsed.environment.get_template(&known).map_err(|error| explain(&error, name, &parsed))?;
        let special = ["loop", "self", "super", "caller", "varargs", "kwargs"];
        let mut names: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !name.starts_with("__sb_") && !special.contains(&name.as_str()))
            .filter(|name| !self.base.globals().any(|(global, _)| global == name))
            .collect();
        names.sort();
        Ok(json!(names).to_string())
    }
}

fn report(kind: &str, message: &str, template: &str, line: usize, column: Option<usize>) -> String {
    let mut out = json!({"kind": kind, "message": message, "template": template, "line": line});
    if let Some(column) = column {
        out["column"] = column.into();
    }
    out.to_string()
}

/// The innermost template error: an error inside an included part names the part, not the page that includes it.
fn innermost(error: &Error) -> &Error {
    let mut inner = error;
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(found) = source.downcast_ref::<Error>() {
            inner = found;
        }
        next = source.source();
    }
    inner
}

const SECOND_EXTENDS: &str = "tried to extend a second time in a template";

/// What an error says to the template's author.
fn message_of(error: &Error, expression: &str) -> (&'static str, String) {
    let detail = error.detail();
    let undefined = || format!("'{expression}' is undefined");
    match (error.kind(), detail) {
        (ErrorKind::UndefinedError, Some(text)) if operators::operand_of(text).is_none() => ("undefined", text.to_string()),
        (ErrorKind::UndefinedError, _) if !expression.is_empty() => ("undefined", undefined()),
        (ErrorKind::UndefinedError, _) => ("undefined", "a value is undefined".into()),
        (ErrorKind::UnknownFunction, Some(text)) => {
            ("undefined", format!("'{}' is undefined", text.trim_end_matches(" is unknown")))
        }
        (ErrorKind::UnknownMethod, Some(text)) => ("undefined", text.to_string()),
        (ErrorKind::InvalidOperation, Some("value of type undefined is not callable")) if !expression.is_empty() => {
            ("undefined", undefined())
        }
        (ErrorKind::SyntaxError, Some(text)) => ("syntax", text.to_string()),
        (ErrorKind::TemplateNotFound, Some(text)) => ("not_found", text.replace(ISOLATED, "").replace("\\u{1}", "")),
        (ErrorKind::OutOfFuel, Some(text)) => ("fuel", text.to_string()),
        (ErrorKind::OutOfFuel, None) => ("fuel", "the template ran for too many steps; a loop may be endless".into()),
        (ErrorKind::InvalidOperation, Some("recursion limit exceeded")) => (
            "fuel",
            "macros, loops or templates are too deep within each other; a macro or a template may use itself without end".into(),
        ),
        (ErrorKind::InvalidOperation, Some(text)) if text.starts_with("cycle in template inheritance") || text == SECOND_EXTENDS => {
            ("other", "a template is extended multiple times, or extends itself".into())
        }
        (ErrorKind::UnknownFilter | ErrorKind::UnknownTest, Some(text)) => {
            let mut words = text.split(' ');
            let (what, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            ("other", format!("No {what} named '{name}'."))
        }
        (_, Some(text)) => ("other", text.to_string()),
        (kind, None) => ("other", kind.to_string()),
    }
}

fn explain(error: &Error, asked: &str, parsed: &Parsed) -> String {
    let inner = innermost(error);
    if let (ErrorKind::SyntaxError, Some((name, problem))) = (inner.kind(), reading::problem()) {
        let (line, column) = parsed.map(&name).map_or((0, 0), |map| map.place(problem.at));
        return report("syntax", &problem.message, reading::bare_name(&name), line, (line > 0).then_some(column));
    }
    // An error without a place of its own (a missing part) is placed where it was asked for.
    let placed = if inner.line().is_some() { inner } else { error };
    let template = placed.name().unwrap_or(asked);
    let mut line = placed.line().unwrap_or(0);
    let mut column = None;
    let mut expression = "";
    let map = parsed.map(template);
    if let (Some(map), Some(range)) = (&map, placed.range()) {
        let operand = inner.detail().and_then(operators::operand_of);
        if let Some(span) = map.span(range.start, range.end, operand) {
            let place = map.place(span.start);
            line = place.0;
            column = Some(place.1);
            expression = map.source.get(span.start..span.end).unwrap_or("").trim();
        }
    }
    let (kind, message) = message_of(inner, expression);
    report(kind, &message, reading::bare_name(template), line, column)
}

/// # Safety
/// `user` is what `load` expects, for as long as the environment lives.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_new(load: Option<Load>, user: *mut c_void, fuel: u64) -> *mut Templates {
    let templates = || Templates { load, user, ..Templates::new(fuel, Options::default()) };
    guard(|| Box::into_raw(Box::new(templates()))).unwrap_or(std::ptr::null_mut())
}

/// # Safety
/// `heading` is readable.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_keeping(fuel: u64, heading: Str) -> *mut Templates {
    let templates = || {
        let heading = unsafe { heading.text() }.ok().filter(|heading| !heading.is_empty()).map(str::to_string);
        Templates { keeps: true, ..Templates::new(fuel, Options { heading, ..Options::default() }) }
    };
    guard(|| Box::into_raw(Box::new(templates()))).unwrap_or(std::ptr::null_mut())
}

/// Where it gives 1, `value` is JSON that stays until the next call on the thread.
type CallGranted = unsafe extern "C" fn(user: *mut c_void, name: Str, positional: Str, named: Str, value: *mut Str) -> i32;
type KeepPart = unsafe extern "C" fn(user: *mut c_void, name: Str, text: Str, from: *mut usize, to: *mut usize);

/// What one rendering reads, with templates that are kept.
#[repr(C)]
pub struct ReadingOf {
    load: LoadKept,
    part: Option<KeepPart>,
    user: *mut c_void,
    heading: Str,
    call: Option<CallGranted>,
    granted: Str,
}

impl ReadingOf {
    unsafe fn reading(&self) -> Reading {
        let heading = unsafe { self.heading.text() }.unwrap_or_default();
        let user = self.user;
        let mut reading = Reading::of(Arc::new(KeptLoader { load: self.load, user }), heading);
        let names = unsafe { self.granted.text() }.unwrap_or_default();
        if let (Some(call), false) = (self.call, names.is_empty()) {
            let call = Box::new(move |name: &str, positional: &str, named: &str| {
                let mut value = str_of("");
                let is_there = unsafe { call(user, str_of(name), str_of(positional), str_of(named), &mut value) } != 0;
                unsafe { loaded(is_there, value) }.ok().flatten()
            });
            reading = reading.with_granted(Granted { names: names.split('\n').map(str::to_string).collect(), call });
        }
        let Some(part) = self.part else { return reading };
        reading.with_parts(Arc::new(move |name, text| {
            let (mut from, mut to) = (0, text.len());
            unsafe { part(user, str_of(name), str_of(text), &mut from, &mut to) };
            (from, to)
        }))
    }
}

/// # Safety
/// `templates` came from `sb_templates_new` and was not freed before.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_free(templates: *mut Templates) {
    if !templates.is_null() {
        let _ = guard(|| drop(unsafe { Box::from_raw(templates) }));
    }
}

unsafe fn answer(
    templates: *const Templates,
    name: Str,
    out: *mut Buf,
    body: impl FnOnce(&Templates, &str) -> Result<String, String>,
) -> i32 {
    let outcome = guard(|| {
        let name = unsafe { name.text() }.map_err(|message| report("other", &format!("the name is {message}"), "", 0, None))?;
        let templates = unsafe { templates.as_ref() }.ok_or_else(|| report("other", "no environment", name, 0, None))?;
        body(templates, name)
    });
    let (status, text) = match outcome {
        Ok(Ok(text)) => (0, text),
        Ok(Err(error)) => (1, error),
        Err(panic) => (1, report("other", &panic, "", 0, None)),
    };
    unsafe { write_out(out, text) };
    status
}

impl Templates {
    fn own_reading(&self) -> Reading {
        Reading::of(Arc::new(Loader { load: self.load, user: self.user }), "")
    }
}

/// # Safety
/// `templates` is alive; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_render(templates: *mut Templates, name: Str, context: Str, out: *mut Buf) -> i32 {
    unsafe {
        answer(templates, name, out, |templates, name| templates.render(templates.own_reading(), name, None, context.bytes()))
    }
}

/// # Safety
/// As `sb_templates_render`; what `reading` points at is valid during the call.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_render_kept(
    templates: *mut Templates,
    reading: *const ReadingOf,
    name: Str,
    context: Str,
    defaults: Str,
    out: *mut Buf,
) -> i32 {
    unsafe {
        answer(templates, name, out, |templates, name| {
            reading::within((*reading).reading(), || templates.render_kept(name, context.bytes(), defaults.bytes()))
        })
    }
}

/// # Safety
/// As `sb_templates_render_kept`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_explain_kept(
    templates: *mut Templates,
    reading: *const ReadingOf,
    name: Str,
    context: Str,
    defaults: Str,
    out: *mut Buf,
) -> i32 {
    unsafe {
        answer(templates, name, out, |templates, name| {
            reading::within((*reading).reading(), || templates.explain(name, context.bytes(), defaults.bytes()))
        })
    }
}

/// # Safety
/// As `sb_templates_render`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_render_text(
    templates: *mut Templates,
    name: Str,
    text: Str,
    context: Str,
    out: *mut Buf,
) -> i32 {
    unsafe {
        answer(templates, name, out, |templates, name| {
            let text = text
                .text()
                .map_err(|message| report("syntax", &format!("the template is {message}"), name, 0, None))?;
            templates.render(templates.own_reading(), name, Some(text), context.bytes())
        })
    }
}

/// # Safety
/// As `sb_templates_render`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_variables(templates: *mut Templates, name: Str, out: *mut Buf) -> i32 {
    unsafe { answer(templates, name, out, |templates, name| templates.variables(templates.own_reading(), name)) }
}

/// # Safety
/// As `sb_templates_render_kept`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_parse_kept(
    templates: *mut Templates,
    reading: *const ReadingOf,
    name: Str,
    out: *mut Buf,
) -> i32 {
    unsafe { answer(templates, name, out, |templates, name| templates.parse((*reading).reading(), name)) }
}

/// # Safety
/// As `sb_templates_render_kept`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_variables_kept(
    templates: *mut Templates,
    reading: *const ReadingOf,
    name: Str,
    out: *mut Buf,
) -> i32 {
    unsafe { answer(templates, name, out, |templates, name| templates.variables((*reading).reading(), name)) }
}

/// # Safety
/// As `sb_templates_render_kept`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_facts_kept(
    templates: *mut Templates,
    reading: *const ReadingOf,
    name: Str,
    choices: Str,
    out: *mut Buf,
) -> i32 {
    unsafe {
        answer(templates, name, out, |templates, name| {
            reading::within((*reading).reading(), || templates.facts(name, choices.bytes()))
        })
    }
}

/// # Safety
/// As `sb_templates_render`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_answer(request: Str, out: *mut Buf) {
    let answer = guard(|| request::answer(unsafe { request.bytes() })).unwrap_or_else(|panic| report("panic", &panic, "", 0, None));
    unsafe { write_out(out, answer) };
}

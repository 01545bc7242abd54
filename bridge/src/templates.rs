//! Jinja2 by minijinja: strict about undefined variables, never escaping, bounded by fuel.

use crate::{guard, write_out, Buf, Str};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{json, Value};
use std::error::Error as _;
use std::ffi::c_void;

const MAX_NESTING: usize = 120;

type Load = unsafe extern "C" fn(user: *mut c_void, name: Str, text: *mut Str) -> i32;

/// The caller's loader. Rendering may happen on any thread that the caller chooses.
#[derive(Clone, Copy)]
struct Loader {
    load: Option<Load>,
    user: *mut c_void,
}
unsafe impl Send for Loader {}
unsafe impl Sync for Loader {}

impl Loader {
    fn text_of(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(load) = self.load else { return Ok(None) };
        let mut text = Str { data: std::ptr::null(), size: 0 };
        let name_str = Str { data: name.as_ptr(), size: name.len() };
        if unsafe { load(self.user, name_str, &mut text) } == 0 {
            return Ok(None);
        }
        match unsafe { text.text() } {
            Ok(text) => Ok(Some(text.to_string())),
            Err(message) => Err(Error::new(ErrorKind::SyntaxError, format!("template '{name}' is {message}"))),
        }
    }
}

pub struct Templates {
    base: Environment<'static>,
    loader: Loader,
}

impl Templates {
    fn new(loader: Loader, fuel: u64) -> Self {
        let mut base = Environment::new();
        base.set_undefined_behavior(UndefinedBehavior::Strict);
        base.set_auto_escape_callback(|_| AutoEscape::None);
        base.set_debug(true);
        base.set_recursion_limit(MAX_NESTING);
        base.set_fuel((fuel != 0).then_some(fuel));
        base.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        minijinja_contrib::add_to_environment(&mut base);
        Templates { base, loader }
    }

    /// A fresh environment, so that every render sees the templates as they are now.
    fn environment(&self) -> Environment<'static> {
        let mut environment = self.base.clone();
        let loader = self.loader;
        environment.set_loader(move |name| loader.text_of(name));
        environment
    }

    fn render(&self, name: &str, text: Option<&str>, context: &[u8]) -> Result<String, String> {
        let context: Value = serde_json::from_slice(context)
            .map_err(|error| report("bad_json", &format!("the variables are not JSON: {error}"), name, 0, None))?;
        if !context.is_object() {
            return Err(report("bad_json", "the variables are not a JSON object", name, 0, None));
        }
        let context = minijinja::Value::from_serialize(&context);
        let mut environment = self.environment();
        if let Some(text) = text {
            environment
                .add_template_owned(name.to_string(), text.to_string())
                .map_err(|error| explain(&error, name))?;
        }
        let template = environment.get_template(name).map_err(|error| explain(&error, name))?;
        template.render(context).map_err(|error| explain(&error, name))
    }

    fn variables(&self, name: &str) -> Result<String, String> {
        let environment = self.environment();
        let template = environment.get_template(name).map_err(|error| explain(&error, name))?;
        let mut names: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
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

fn explain(error: &Error, asked: &str) -> String {
    let inner = innermost(error);
    let kind = match inner.kind() {
        ErrorKind::UndefinedError => "undefined",
        ErrorKind::SyntaxError => "syntax",
        ErrorKind::TemplateNotFound => "not_found",
        ErrorKind::OutOfFuel => "fuel",
        _ => "other",
    };
    // An error without a place of its own (a missing part) is placed where it was asked for.
    let placed = if inner.line().is_some() { inner } else { error };
    let template = placed.name().unwrap_or(asked);
    let line = placed.line().unwrap_or(0);
    let mut column = None;
    let mut expression = "";
    if let (Some(source), Some(range)) = (placed.template_source(), placed.range()) {
        if let Some(before) = source.get(..range.start) {
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            column = Some(before[start..].chars().count() + 1);
        }
        expression = source.get(range).unwrap_or("").trim();
    }
    let message = match (inner.kind(), inner.detail()) {
        (ErrorKind::UndefinedError, None) if !expression.is_empty() => format!("'{expression}' is undefined"),
        (ErrorKind::OutOfFuel, _) => "the template ran for too many steps; a loop may be endless".to_string(),
        (_, Some(detail)) => detail.to_string(),
        (kind, None) => kind.to_string(),
    };
    report(kind, &message, template, line, column)
}

/// # Safety
/// `user` is what `load` expects, for as long as the environment lives.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_new(load: Option<Load>, user: *mut c_void, fuel: u64) -> *mut Templates {
    guard(|| Box::into_raw(Box::new(Templates::new(Loader { load, user }, fuel)))).unwrap_or(std::ptr::null_mut())
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

/// # Safety
/// `templates` is alive; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_render(templates: *mut Templates, name: Str, context: Str, out: *mut Buf) -> i32 {
    unsafe { answer(templates, name, out, |templates, name| templates.render(name, None, context.bytes())) }
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
            templates.render(name, Some(text), context.bytes())
        })
    }
}

/// # Safety
/// As `sb_templates_render`.
#[no_mangle]
pub unsafe extern "C" fn sb_templates_variables(templates: *mut Templates, name: Str, out: *mut Buf) -> i32 {
    unsafe { answer(templates, name, out, Templates::variables) }
}

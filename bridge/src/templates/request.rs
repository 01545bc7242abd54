//! One rendering as a JSON request, with the settings that Jinja2's users know and prompts do not offer: what the tests of
//! tests/jinja2 speak. A rendering is the same as a prompt's but for those settings.
//!
//! {"op": "render" | "direct" | "explain" | "facts" | "variables", "template": name, "templates": {name: text}, "variables": {…}, "globals": {…},
//!  "fuel": steps, "safe": [names], "undefined": "strict" | "lenient" | "chainable", "autoescape": [names], "syntax": {…}}

use super::syntax::Syntax;
use super::reading::{self, Reading, Source};
use super::{report, values, Options, Templates};
use minijinja::UndefinedBehavior;
use serde_json::{json, Map, Value};
use std::sync::Arc;

/// A prompt's.
const FUEL: u64 = 1_000_000;

fn syntax_of(wanted: &Map<String, Value>) -> Syntax {
    let mut syntax = Syntax::default();
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_string);
    let flag = |name: &str| wanted.get(name).and_then(Value::as_bool).unwrap_or(false);
    let mut set = |name: &str, place: fn(&mut Syntax) -> &mut String| {
        if let Some(text) = text(name).filter(|text| !text.is_empty()) {
            *place(&mut syntax) = text;
        }
    };
    set("block_start_string", |syntax| &mut syntax.block_start);
    set("block_end_string", |syntax| &mut syntax.block_end);
    set("variable_start_string", |syntax| &mut syntax.variable_start);
    set("variable_end_string", |syntax| &mut syntax.variable_end);
    set("comment_start_string", |syntax| &mut syntax.comment_start);
    set("comment_end_string", |syntax| &mut syntax.comment_end);
    syntax.line_statement_prefix = text("line_statement_prefix").filter(|text| !text.is_empty());
    syntax.line_comment_prefix = text("line_comment_prefix").filter(|text| !text.is_empty());
    syntax.trim_blocks = flag("trim_blocks");
    syntax.lstrip_blocks = flag("lstrip_blocks");
    syntax.keep_trailing_newline = flag("keep_trailing_newline");
    syntax
}

struct Texts(Vec<(String, String)>);

impl Source for Texts {
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()))
    }
}

fn names(request: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = request.get(key).and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_string).collect()).unwrap_or_default()
}

/// Rendered, and explained: what is told must be the same text, piece after piece.
fn explained(templates: &Templates, source: &Arc<dyn Source>, name: &str, variables: &[u8]) -> Result<String, String> {
    let render = || rendered(templates, source, name, variables);
    let text = render()?;
    let explained = reading::within(Reading::of(source.clone(), ""), || templates.explain(name, variables, b""));
    let told: Value = explained.as_deref().ok().and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default();
    let spans = told["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let end = spans.iter().try_fold(0, |at, span| {
        let is_next = span["from"] == at && span["line"].as_u64() > Some(0);
        span["to"].as_u64().filter(|to| is_next && *to > at)
    });
    // Chance writes another text each time.
    if (told["text"] == text && end == Some(text.len() as u64)) || render().as_ref() != Ok(&text) {
        return explained;
    }
    let message = format!("rendered {text:?}, and explained {}", explained.unwrap_or_else(|error| error));
    Err(report("panic", &message, name, 0, None))
}

/// What is rendered without minijinja's values is what is rendered with them.
fn rendered(templates: &Templates, source: &Arc<dyn Source>, name: &str, variables: &[u8]) -> Result<String, String> {
    let outcome = templates.render(Reading::of(source.clone(), ""), name, None, variables);
    match reading::within(Reading::of(source.clone(), ""), || templates.render_directly(name, variables)) {
        Some(text) if outcome.as_ref() != Ok(&text) => {
            let message = format!("rendered {outcome:?}, and directly {text:?}");
            Err(report("panic", &message, name, 0, None))
        }
        _ => outcome,
    }
}

pub fn answer(request: &[u8]) -> String {
    let request = match serde_json::from_slice(request) {
        Ok(Value::Object(request)) => request,
        Ok(_) => return report("bad_json", "the request is no JSON object", "", 0, None),
        Err(error) => return report("bad_json", &error.to_string(), "", 0, None),
    };
    let empty = Map::new();
    let object = |key: &str| request.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let texts: Vec<(String, String)> = object("templates")
        .iter()
        .filter_map(|(name, text)| text.as_str().map(|text| (name.clone(), text.to_string())))
        .collect();
    let escaping = names(&request, "autoescape");
    let options = Options {
        syntax: syntax_of(object("syntax")),
        undefined: match request.get("undefined").and_then(Value::as_str) {
            Some("lenient") => UndefinedBehavior::Lenient,
            Some("chainable") => UndefinedBehavior::Chainable,
            _ => UndefinedBehavior::Strict,
        },
        escapes: Arc::new(move |name| escaping.iter().any(|escaping| escaping == name)),
        globals: object("globals").iter().map(|(name, value)| (name.clone(), values::from_json(value.clone()))).collect(),
        safe: names(&request, "safe"),
        ..Options::default()
    };
    let fuel = request.get("fuel").and_then(Value::as_u64).filter(|fuel| *fuel > 0).unwrap_or(FUEL);
    let templates = Templates::new(fuel, options);
    let source: Arc<dyn Source> = Arc::new(Texts(texts));
    let reading = Reading::of(source.clone(), "");
    let name = request.get("template").and_then(Value::as_str).unwrap_or_default();
    let variables = Value::Object(object("variables").clone()).to_string();
    let op = request.get("op").and_then(Value::as_str);
    let outcome = match op {
        Some("variables") => templates.variables(reading, name),
        Some("facts") => reading::within(reading, || templates.facts(name, b"")),
        Some("direct") => {
            Ok(json!({ "text": reading::within(reading, || templates.render_directly(name, variables.as_bytes())) }).to_string())
        }
        Some("explain") => explained(&templates, &source, name, variables.as_bytes()),
        _ => rendered(&templates, &source, name, variables.as_bytes()),
    };
    match (outcome, op) {
        (Ok(text), Some("direct" | "explain" | "facts")) => text,
        (Ok(text), _) => json!({ "text": text }).to_string(),
        (Err(error), _) => error,
    }
}

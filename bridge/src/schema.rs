//! JSON Schema 2020-12: compile once, validate from any thread.

use crate::{guard, message_json, write_out, Buf, Str};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{json, Map, Value};
use std::sync::LazyLock;

const MAX_VIOLATIONS: usize = 20;
const MAX_SHOWN: usize = 80;

pub struct Schema {
    validator: Validator,
}

/// The exact check of one format, as JSON Schema has it.
fn exact(format: &str) -> Validator {
    let schema = json!({"format": format});
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(&schema).expect("a schema of one format is valid")
}

static DATE_TIME: LazyLock<Validator> = LazyLock::new(|| exact("date-time"));
static TIME: LazyLock<Validator> = LazyLock::new(|| exact("time"));
static DURATION: LazyLock<Validator> = LazyLock::new(|| exact("duration"));

/// Local time has no offset: most languages write a plain date-time so, and all of them read it.
fn with_or_without_offset(exact: &Validator, text: &str) -> bool {
    exact.is_valid(&Value::from(text)) || exact.is_valid(&Value::from(format!("{text}Z")))
}

/// A duration may be negative and have a fraction of its seconds, as Python and Java write them.
fn signed_duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text.strip_suffix('S').and_then(|rest| rest.split_once('.')) {
        Some((whole, fraction)) => {
            let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
            digits && DURATION.is_valid(&Value::from(format!("{whole}S")))
        }
        None => DURATION.is_valid(&Value::from(text)),
    }
}

fn compile(text: &str) -> Result<Schema, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("the schema is not JSON: {error}"))?;
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_format("date-time", |text: &str| with_or_without_offset(&DATE_TIME, text))
        .with_format("duration", signed_duration)
        .with_format("time", |text: &str| with_or_without_offset(&TIME, text))
        .offline()
        .build(&schema)
        .map_err(|error| format!("the schema is invalid at '{}': {error}", error.instance_path()))?;
    Ok(Schema { validator })
}

/// "string \"abc\"", "number 12", "object with 3 members": short enough for a message.
fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => format!("boolean {value}"),
        Value::Number(value) => format!("number {value}"),
        Value::String(text) => {
            let short: String = text.chars().take(MAX_SHOWN).collect();
            let dots = if short.len() < text.len() { "…" } else { "" };
            format!("string {}{dots}", Value::String(short))
        }
        Value::Array(items) => format!("array of {} items", items.len()),
        Value::Object(members) => format!("object with {} members", members.len()),
    }
}

fn list(values: &[Value]) -> String {
    let mut texts: Vec<String> = values.iter().take(12).map(Value::to_string).collect();
    if values.len() > texts.len() {
        texts.push("…".into());
    }
    texts.join(", ")
}

/// What would have been right, and the names that the violation is about.
fn expectation(kind: &ValidationErrorKind) -> (String, Vec<String>) {
    use ValidationErrorKind as K;
    let text = match kind {
        K::Type { kind: TypeKind::Single(one) } => one.to_string(),
        K::Type { kind: TypeKind::Multiple(set) } => {
            set.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or ")
        }
        K::Required { property } => {
            let name = property.as_str().unwrap_or_default().to_string();
            return (format!("member \"{name}\""), vec![name]);
        }
        K::AdditionalProperties { unexpected } | K::UnevaluatedProperties { unexpected } => {
            return ("no other members".into(), unexpected.clone());
        }
        K::Enum { options } => {
            let options = options.as_array().cloned().unwrap_or_default();
            format!("one of {}", list(&options))
        }
        K::Constant { expected_value } => expected_value.to_string(),
        K::Minimum { limit } => format!("at least {limit}"),
        K::Maximum { limit } => format!("at most {limit}"),
        K::ExclusiveMinimum { limit } => format!("more than {limit}"),
        K::ExclusiveMaximum { limit } => format!("less than {limit}"),
        K::MinLength { limit } => format!("at least {limit} characters"),
        K::MaxLength { limit } => format!("at most {limit} characters"),
        K::MinItems { limit } => format!("at least {limit} items"),
        K::MaxItems { limit } => format!("at most {limit} items"),
        K::AdditionalItems { limit } => format!("at most {limit} items"),
        K::MinProperties { limit } => format!("at least {limit} members"),
        K::MaxProperties { limit } => format!("at most {limit} members"),
        K::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        K::UniqueItems => "items that differ from each other".into(),
        K::Format { format } => format!("text of format {format}"),
        K::Pattern { pattern } => format!("text that matches {pattern}"),
        K::FalseSchema => "nothing here".into(),
        _ => String::new(),
    };
    (text, Vec::new())
}

fn violation(error: &ValidationError<'_>) -> Value {
    let (expected, names) = expectation(error.kind());
    let mut out = Map::new();
    out.insert("path".into(), error.instance_path().as_str().into());
    out.insert("keyword".into(), error.kind().keyword().into());
    // The instance is shown by "got" alone: it may be long, and it may be a secret.
    out.insert("message".into(), error.masked().to_string().into());
    out.insert("expected".into(), expected.into());
    out.insert("got".into(), show(error.instance()).into());
    out.insert("schema_path".into(), error.schema_path().as_str().into());
    if !names.is_empty() {
        out.insert("names".into(), json!(names));
    }
    Value::Object(out)
}

fn validate(schema: &Schema, bytes: &[u8]) -> (i32, String) {
    let instance: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => {
            let report = json!({"message": error.to_string(), "line": error.line(), "column": error.column()});
            return (2, report.to_string());
        }
    };
    if schema.validator.is_valid(&instance) {
        return (0, String::new());
    }
    let list: Vec<Value> = schema.validator.iter_errors(&instance).take(MAX_VIOLATIONS).map(|e| violation(&e)).collect();
    (1, Value::Array(list).to_string())
}

/// # Safety
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_schema_compile(schema_json: Str, error: *mut Buf) -> *mut Schema {
    match guard(|| compile(unsafe { schema_json.text() }?)).and_then(|inner| inner) {
        Ok(schema) => Box::into_raw(Box::new(schema)),
        Err(message) => {
            unsafe { write_out(error, message_json(&message)) };
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// `schema` came from `sb_schema_compile` and was not freed before.
#[no_mangle]
pub unsafe extern "C" fn sb_schema_free(schema: *mut Schema) {
    if !schema.is_null() {
        let _ = guard(|| drop(unsafe { Box::from_raw(schema) }));
    }
}

/// # Safety
/// `schema` is alive; `out` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_schema_validate(schema: *const Schema, instance_json: Str, out: *mut Buf) -> i32 {
    let Some(schema) = (unsafe { schema.as_ref() }) else {
        unsafe { write_out(out, message_json("no schema")) };
        return 2;
    };
    let (status, text) = guard(|| validate(schema, unsafe { instance_json.bytes() }))
        .unwrap_or_else(|message| (2, message_json(&message)));
    if status != 0 {
        unsafe { write_out(out, text) };
    }
    status
}

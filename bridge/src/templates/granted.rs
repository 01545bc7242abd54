//! Functions of the project that a prompt grants to its own template: `stats.mean(values)`.

use super::call::split;
use super::limits;
use super::operators::operand_undefined;
use super::reading;
use super::values::{entries_of, failed, items_of, parse_json, type_of, Dict};
use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use std::fmt;
use std::sync::Arc;

/// Calls by name, with the arguments by place and by name as JSON; None where the caller knows what went wrong.
pub type Call = dyn Fn(&str, &str, &str) -> Option<String>;

pub struct Granted {
    pub names: Vec<String>,
    pub call: Box<Call>,
}

impl Granted {
    /// The names that hide variables: `stats` for `stats.mean`.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.split('.').next().unwrap_or(name))
    }

    fn value(&self, path: String) -> Option<Value> {
        let is_function = self.names.contains(&path);
        let is_module = || self.names.iter().any(|name| name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.')));
        (is_function || is_module()).then(|| Value::from_object(Function { path, is_function }))
    }
}

/// What a name means, where it is granted.
pub fn value_of(name: &str) -> Option<Value> {
    reading::granted()?.value(name.to_string())
}

/// A granted function, or the module that it stands in.
#[derive(Debug)]
pub struct Function {
    path: String,
    is_function: bool,
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        value_of(&format!("{}.{key}", self.path))
    }

    fn call(self: &Arc<Self>, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        if !self.is_function {
            return Err(failed(format!("'{}' is no function", self.path)));
        }
        called(state, &self.path, args)
    }

    fn call_method(self: &Arc<Self>, state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match self.get_value_by_str(method) {
            Some(function) => function.call(state, args),
            None => Err(Error::new(ErrorKind::UndefinedError, format!("'{}.{method}' is undefined", self.path))),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.path)
    }
}

fn called(state: &State, name: &str, args: &[Value]) -> Result<Value, Error> {
    limits::call()?;
    let (positional, named) = split(args);
    // The operand before them is what is called.
    let mut all = positional.iter().chain(named.iter().map(|(_, value)| value));
    if let Some(index) = all.position(Value::is_undefined) {
        return Err(operand_undefined(index + 1));
    }
    let mut by_place = String::new();
    list(state, &positional, &mut by_place)?;
    let mut by_name = String::new();
    members(state, named.into_iter(), &mut by_name)?;
    let granted = reading::granted().ok_or_else(|| failed("nothing is granted here"))?;
    let Some(answer) = (granted.call)(name, &by_place, &by_name) else {
        return Err(failed(format!("{name}() failed")));
    };
    // A value is some four times as large as its text.
    limits::text(answer.len().saturating_mul(4))?;
    parse_json(answer.as_bytes()).map_err(|error| failed(format!("what {name}() gave is not to be read: {error}")))
}

// ---- Arguments as JSON, exactly as they are ----------------------------------------------------------------------------

fn list(state: &State, items: &[Value], out: &mut String) -> Result<(), Error> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        json(state, item, out)?;
    }
    out.push(']');
    Ok(())
}

fn members(state: &State, entries: impl Iterator<Item = (String, Value)>, out: &mut String) -> Result<(), Error> {
    out.push('{');
    for (index, (name, value)) in entries.enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        string(&name, out)?;
        out.push(':');
        json(state, &value, out)?;
    }
    out.push('}');
    Ok(())
}

fn string(text: &str, out: &mut String) -> Result<(), Error> {
    limits::text(text.len())?;
    out.push_str(&serde_json::to_string(text).map_err(|error| failed(error.to_string()))?);
    Ok(())
}

fn json(state: &State, value: &Value, out: &mut String) -> Result<(), Error> {
    limits::items(1)?;
    match value.kind() {
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let text = super::values::text_of(value)?;
            if text.ends_with("inf") || text == "nan" {
                return Err(failed(format!("{text} cannot be an argument of a function")));
            }
            out.push_str(&text);
        }
        ValueKind::String => string(value.as_str().unwrap_or_default(), out)?,
        ValueKind::Seq | ValueKind::Iterable => {
            let items = items_of(state, value)?;
            return deeper(|| list(state, &items, out));
        }
        ValueKind::Map if value.downcast_object_ref::<Dict>().is_some_and(|dict| !dict.is_namespace) => {
            let named = |(key, value): (Value, Value)| match key.as_str() {
                Some(name) => Ok((name.to_string(), value)),
                None => Err(failed(format!("a function's argument has names of type str, not {}", type_of(&key)))),
            };
            let entries = entries_of(value)?.into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
            return deeper(|| members(state, entries.into_iter(), out));
        }
        _ => return Err(failed(format!("a value of type {} cannot be an argument of a function", type_of(value)))),
    }
    Ok(())
}

fn deeper(body: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    limits::deeper(body).unwrap_or_else(|| Err(failed("an argument is nested too deeply")))
}

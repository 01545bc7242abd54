//! Arguments of filters, tests, functions and methods, bound to parameters as Python binds them.

use super::values::failed;
use minijinja::value::Kwargs;
use minijinja::{Error, Value};

/// A call's arguments: those by place, and those by name in the order they were given.
pub fn split(args: &[Value]) -> (Vec<Value>, Vec<(String, Value)>) {
    let Some((last, before)) = args.split_last() else { return (Vec::new(), Vec::new()) };
    if !last.is_kwargs() {
        return (args.to_vec(), Vec::new());
    }
    let Ok(kwargs) = Kwargs::try_from(last.clone()) else { return (args.to_vec(), Vec::new()) };
    let names: Vec<String> = kwargs.args().map(str::to_string).collect();
    let named = names.into_iter().filter_map(|name| kwargs.get::<Value>(&name).ok().map(|value| (name, value))).collect();
    (before.to_vec(), named)
}

/// The arguments of one call, by parameter.
pub struct Bound {
    name: &'static str,
    parameters: &'static [&'static str],
    values: Vec<Option<Value>>,
}

impl Bound {
    pub fn new(name: &'static str, parameters: &'static [&'static str], args: &[Value]) -> Result<Self, Error> {
        let (positional, named) = match args.split_last() {
            Some((last, _)) if last.is_kwargs() => {
                let named = split(args).1;
                (&args[..args.len() - 1], named)
            }
            _ => (args, Vec::new()),
        };
        if positional.len() > parameters.len() {
            let most = parameters.len();
            return Err(failed(format!("{name}() takes at most {most} arguments, {} were given", positional.len())));
        }
        let mut values = Vec::with_capacity(parameters.len());
        values.extend(positional.iter().cloned().map(Some));
        values.resize(parameters.len(), None);
        for (key, value) in named {
            let Some(index) = parameters.iter().position(|parameter| *parameter == key) else {
                return Err(failed(format!("{name}() got an unexpected keyword argument '{key}'")));
            };
            if values[index].is_some() {
                return Err(failed(format!("{name}() got multiple values for argument '{key}'")));
            }
            values[index] = Some(value);
        }
        Ok(Bound { name, parameters, values })
    }

    pub fn has(&self, index: usize) -> bool {
        self.values.get(index).is_some_and(Option::is_some)
    }

    /// Undefined when it was not given.
    pub fn get(&self, index: usize) -> Value {
        self.values.get(index).cloned().flatten().unwrap_or_default()
    }

    pub fn required(&self, index: usize) -> Result<Value, Error> {
        self.values.get(index).cloned().flatten().ok_or_else(|| {
            failed(format!("{}() is missing the argument '{}'", self.name, self.parameters.get(index).copied().unwrap_or_default()))
        })
    }

    fn wrong(&self, index: usize, expected: &str, got: &Value) -> Error {
        let parameter = self.parameters.get(index).copied().unwrap_or_default();
        failed(format!("{}(): '{parameter}' must be {expected}, not {}", self.name, super::values::type_of(got)))
    }

    pub fn text(&self, index: usize, default: &str) -> Result<String, Error> {
        match self.values.get(index).cloned().flatten() {
            None => Ok(default.to_string()),
            Some(value) => value.as_str().map(str::to_string).ok_or_else(|| self.wrong(index, "a string", &value)),
        }
    }

    /// None when it was not given, or is None.
    pub fn optional_text(&self, index: usize) -> Result<Option<String>, Error> {
        let value = self.get(index);
        if value.is_none() || value.is_undefined() {
            return Ok(None);
        }
        self.text(index, "").map(Some)
    }

    pub fn int(&self, index: usize, default: i64) -> Result<i64, Error> {
        match self.values.get(index).cloned().flatten() {
            None => Ok(default),
            Some(value) if value.is_integer() || value.kind() == minijinja::value::ValueKind::Bool => {
                let number = i128::try_from(value.clone()).unwrap_or_else(|_| i128::from(value.is_true()));
                Ok(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            }
            Some(value) => Err(self.wrong(index, "an integer", &value)),
        }
    }

    /// A count of things: what is negative counts as none.
    pub fn size(&self, index: usize, default: usize) -> Result<usize, Error> {
        let default = i64::try_from(default).unwrap_or(i64::MAX);
        Ok(usize::try_from(self.int(index, default)?).unwrap_or(0))
    }

    pub fn flag(&self, index: usize, default: bool) -> bool {
        self.values.get(index).cloned().flatten().map_or(default, |value| value.is_true())
    }
}

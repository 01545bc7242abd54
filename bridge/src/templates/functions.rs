//! Functions of templates: Jinja2's globals, and the helpers that emit.rs writes calls of.

use super::call::{split, Bound};
use super::entries::Entries;
use super::granted;
use super::limits;
use super::marks;
use super::methods::pairs_of;
use super::operators;
use super::reading;
use super::values::{check_iterable, check_key, failed, is_forbidden, items_of, note_dict_change, text_of, type_of, undefined_error};
use super::values::{Dict, List, Tuple};
use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const MAX_RANGE: i128 = 100_000;

/// Helpers of several operands, which come as arguments or as one list.
type Helper = fn(&State, &[Value]) -> Result<Value, Error>;
const HELPERS: &[(&str, Helper)] = &[
    ("__sb_list", |_, items| limits::items(items.len()).map(|()| List::value(items.to_vec()))),
    ("__sb_tuple", |_, items| limits::items(items.len()).map(|()| Tuple::value(items.to_vec()))),
    ("__sb_dict", |_, items| {
        limits::items(items.len().saturating_mul(2) + 2)?;
        let mut entries = Entries::with_capacity(items.len() / 2);
        for pair in items.chunks_exact(2) {
            check_key(&pair[0])?;
            entries.insert(pair[0].clone(), pair[1].clone());
        }
        Ok(Dict::value(entries))
    }),
    ("__sb_arith", |_, operands| operators::arithmetic(operands)),
    ("__sb_sign", |_, operands| operators::sign(operands)),
    ("__sb_concat", operators::concat),
    ("__sb_compare", operators::compare),
    ("__sb_item", operators::item),
    ("__sb_slice", operators::slice),
];

pub fn add_to(environment: &mut Environment) {
    for (name, helper) in HELPERS {
        environment.add_filter(*name, |state: &State, operands: &[Value]| {
            limits::call()?;
            helper(state, operands)
        });
        environment.add_function(*name, |state: &State, operands: Value| -> Result<Value, Error> {
            limits::call()?;
            helper(state, &operands.try_iter()?.collect::<Vec<_>>())
        });
    }
    environment.add_function("__sb_spend", |bytes: usize| limits::text(bytes));
    environment.add_function("__sb_do", |_value: Value| ());
    environment.add_filter("__sb_bool", |value: Value| value.is_true());
    environment.add_filter("__sb_iter", iterated);
    environment.add_filter("__sb_spread", |state: &State, value: Value| items_of(state, &value).map(List::value));
    environment.add_filter("__sb_unpack", |state: &State, value: Value| items_of(state, &value).map(Tuple::value));
    environment.add_filter("__sb_named", |value: Value| -> Result<Value, Error> {
        if value.kind() != ValueKind::Map {
            return Err(failed(format!("argument after ** must be a mapping, not {}", type_of(&value))));
        }
        limits::items(value.len().unwrap_or(0)).map(|()| value)
    });
    environment.add_function("__sb_global", |state: &State, name: &str| global(state, name));
    environment.add_filter("__sb_template", |value: Value| template_name(value, false));
    environment.add_filter("__sb_isolated", |value: Value| template_name(value, true));
    environment.add_function("__sb_heading", reading::heading);
    environment.add_function("__sb_open", |name: Value| reading::open_part(&name));
    environment.add_function("__sb_part", |name: Value, text: &str| reading::close_part(&name, text));
    environment.add_function("__sb_mark", |site: usize| reading::explained(|explained| explained.mark(site)).unwrap_or_default());
    environment.add_function("__sb_quiet", |is_quiet: bool| reading::explained(|explained| explained.quiet(is_quiet)).map_or("", |()| ""));
    environment.add_function("__sb_place", |site: usize| reading::explained(|explained| explained.place(site)).map_or("", |()| ""));
    environment.add_function("__sb_made", |name: &str| reading::explained(|explained| explained.note_made(name)).map_or("", |()| ""));
    environment.add_function("__sb_aloud", |operands: Value| marks::aloud(&operands));
    environment.add_function("__sb_export", exported);
    environment.add_function("__sb_setattr", set_attribute);
    environment.add_function("__sb_macro", Macro::wrap);
    environment.add_function("__sb_cycle", |index: usize| {
        Value::from_function(move |items: Rest<Value>| match items.len() {
            0 => Err(failed("cycle() needs the items")),
            count => Ok(items[index % count].clone()),
        })
    });
    environment.add_function("__sb_keep", |state: &State, items: Value, keeps: Value| -> Result<Value, Error> {
        let mut kept = Vec::new();
        for item in items_of(state, &items)? {
            limits::text(limits::MACRO_CALL)?;
            if keeps.call(state, std::slice::from_ref(&item))?.is_true() {
                kept.push(item);
            }
        }
        Ok(List::value(kept))
    });

    environment.remove_global("debug");
    environment.add_function("range", range);
    environment.add_function("dict", |args: Rest<Value>| -> Result<Value, Error> {
        let (positional, named) = split(&args);
        entries(positional, named, "dict").map(Dict::value)
    });
    environment.add_function("namespace", |args: Rest<Value>| -> Result<Value, Error> {
        let (positional, named) = split(&args);
        entries(positional, named, "namespace").map(Dict::namespace)
    });
    environment.add_function("cycler", |args: Rest<Value>| -> Result<Value, Error> {
        if args.is_empty() {
            return Err(failed("at least one item has to be provided"));
        }
        Ok(Value::from_object(Cycler { items: args.0, at: AtomicUsize::new(0) }))
    });
    environment.add_function("joiner", |args: Rest<Value>| -> Result<Value, Error> {
        let args = Bound::new("joiner", &["sep"], &args)?;
        Ok(Value::from_object(Joiner { separator: args.text(0, ", ")?, used: Mutex::new(false) }))
    });
    environment.add_function("lipsum", lipsum);
}

fn entries(
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
    name: &str,
) -> Result<Entries, Error> {
    if positional.len() > 1 {
        return Err(failed(format!("{name}() takes one argument without a name")));
    }
    let mut entries = Entries::default();
    for value in positional {
        entries.extend(pairs_of(&value)?);
    }
    entries.extend(named.into_iter().map(|(name, value)| (Value::from(name), value)));
    limits::call()?;
    limits::items(entries.len() * 2 + 4)?;
    Ok(entries)
}

/// What `for` runs over: Python iterates over neither None nor numbers.
fn iterated(value: Value) -> Result<Value, Error> {
    limits::call()?;
    if !value.is_undefined() {
        check_iterable(&value)?;
        limits::items(value.len().unwrap_or(0) / 16)?;
    }
    Ok(value)
}

fn global(state: &State, name: &str) -> Value {
    let global = || state.env().globals().find(|(known, _)| *known == name).map(|(_, value)| value);
    granted::value_of(name).or_else(global).unwrap_or_default()
}

/// The name that minijinja knows a template by, or the names of several of which the first that there is counts.
fn template_name(value: Value, is_isolated: bool) -> Result<Value, Error> {
    let known = |value: &Value| {
        value.as_str().map(|name| Value::from(reading::known_name(name, is_isolated)))
    };
    if let Some(name) = known(&value) {
        return Ok(name);
    }
    if value.is_undefined() {
        return Err(undefined_error());
    }
    check_iterable(&value)?;
    Ok(List::value(value.try_iter()?.map(|name| known(&name).unwrap_or(name)).collect()))
}

fn exported(module: Value, name: &str, template: Value) -> Result<Value, Error> {
    let value = module.get_attr(name)?;
    if value.is_undefined() {
        let message = format!(
            "the template {} (imported here) does not export the requested name '{name}'",
            super::values::repr_of(&template)?
        );
        return Ok(Value::from_object(NotExported { message }));
    }
    Ok(value)
}

fn set_attribute(target: Value, name: &str, value: Value) -> Result<(), Error> {
    if target.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "cannot assign attribute on undefined object"));
    }
    let Some(namespace) = target.downcast_object::<Dict>().filter(|dict| dict.is_namespace) else {
        return Err(failed("cannot assign attribute on non-namespace object"));
    };
    limits::call()?;
    note_dict_change(&namespace, &value);
    let old = namespace.entries().insert(Value::from(name), value);
    drop(old);
    Ok(())
}

fn range(args: Rest<Value>) -> Result<Value, Error> {
    let numbers = args.iter().map(|value| {
        let number = if value.kind() == ValueKind::Bool { Some(i128::from(value.is_true())) } else { None };
        let number = number.or_else(|| value.is_integer().then(|| i128::try_from(value.clone()).ok()).flatten());
        number.ok_or_else(|| {
            if value.is_undefined() {
                undefined_error()
            } else {
                failed(format!("'{}' object cannot be interpreted as an integer", type_of(value)))
            }
        })
    });
    let numbers: Vec<i128> = numbers.collect::<Result<_, _>>()?;
    let (start, stop, step) = match numbers.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        other => return Err(failed(format!("range() takes one to three arguments, {} were given", other.len()))),
    };
    if step == 0 {
        return Err(failed("range() arg 3 must not be zero"));
    }
    let span = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
    let count = if span <= 0 { 0 } else { (span - 1) / step.saturating_abs() + 1 };
    if count > MAX_RANGE {
        return Err(Error::new(ErrorKind::OutOfFuel, format!("Range too big. The maximum size for a range is {MAX_RANGE}.")));
    }
    limits::items(count as usize / 2)?;
    Ok(List::value((0..count).map(|index| operators::int_value(start + index * step)).collect()))
}

// ---- Macros ------------------------------------------------------------------------------------------------------------

/// A macro whose arguments are bound as Jinja2 binds them, around minijinja's own.
#[derive(Debug)]
struct Macro {
    inner: Value,
    name: String,
    parameters: Vec<String>,
    takes_varargs: bool,
    takes_kwargs: bool,
    uses_caller: bool,
}

impl Macro {
    fn wrap(inner: Value, name: String, parameters: Vec<String>, flags: u32) -> Value {
        let has = |bit: u32| flags & (1 << bit) != 0;
        Value::from_object(Macro { inner, name, parameters, takes_varargs: has(0), takes_kwargs: has(1), uses_caller: has(2) })
    }
}

impl Object for Macro {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["name", "arguments", "catch_varargs", "catch_kwargs", "caller"])
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" => Value::from(self.name.as_str()),
            "arguments" => Tuple::value(self.parameters.iter().map(|name| Value::from(name.as_str())).collect()),
            "catch_varargs" => Value::from(self.takes_varargs),
            "catch_kwargs" => Value::from(self.takes_kwargs),
            "caller" => Value::from(self.uses_caller),
            _ => return None,
        })
    }

    fn call(self: &Arc<Self>, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        limits::text(limits::MACRO_CALL)?;
        let (mut positional, named) = split(args);
        let rest = positional.split_off(positional.len().min(self.parameters.len()));
        if !rest.is_empty() && !self.takes_varargs {
            let most = self.parameters.len();
            return Err(failed(format!("macro '{}' takes not more than {most} argument(s)", self.name)));
        }
        let given = positional.len();
        positional.resize(self.parameters.len(), Value::UNDEFINED);
        let mut caller = None;
        let mut more = Entries::default();
        for (name, value) in named {
            if let Some(index) = self.parameters.iter().position(|parameter| *parameter == name) {
                if index < given {
                    return Err(failed(format!("macro '{}' got multiple values for argument '{name}'", self.name)));
                }
                positional[index] = value;
            } else if name == "caller" && self.uses_caller {
                caller = Some(value);
            } else if self.takes_kwargs {
                more.insert(Value::from(name), value);
            } else {
                return Err(failed(format!("macro '{}' takes no keyword argument '{name}'", self.name)));
            }
        }
        if self.takes_varargs {
            positional.push(Tuple::value(rest));
        }
        if self.takes_kwargs {
            positional.push(Dict::value(more));
        }
        if let Some(caller) = caller {
            positional.push(Kwargs::from_iter([("caller", caller)]).into());
        }
        self.inner.call(state, &positional)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Macro '{}'>", self.name)
    }
}

/// A name that a template does not export: an error once it is used, not where it is imported.
#[derive(Debug)]
pub struct NotExported {
    pub message: String,
}

impl Object for NotExported {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn call(self: &Arc<Self>, _state: &State<'_, '_>, _args: &[Value]) -> Result<Value, Error> {
        Err(Error::new(ErrorKind::UndefinedError, self.message.clone()))
    }

    fn render(self: &Arc<Self>, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

// ---- Small objects -----------------------------------------------------------------------------------------------------

#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Cycler {
    fn current(&self) -> Value {
        self.items.get(self.at.load(Ordering::Relaxed) % self.items.len().max(1)).cloned().unwrap_or_default()
    }
}

impl Object for Cycler {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("current")).then(|| self.current())
    }

    fn call_method(self: &Arc<Self>, _state: &State<'_, '_>, method: &str, _args: &[Value]) -> Result<Value, Error> {
        match method {
            "next" => {
                let current = self.current();
                self.at.fetch_add(1, Ordering::Relaxed);
                Ok(current)
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

#[derive(Debug)]
struct Joiner {
    separator: String,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _state: &State<'_, '_>, _args: &[Value]) -> Result<Value, Error> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Value::from(if std::mem::replace(&mut *used, true) { self.separator.as_str() } else { "" }))
    }
}

// ---- lipsum ------------------------------------------------------------------------------------------------------------

const LIPSUM: &str = "a ac accumsan ad adipiscing aenean aliquam aliquet amet ante aptent arcu at auctor augue bibendum \
    blandit commodo condimentum congue consectetuer consequat convallis cras cubilia cum curabitur cursus dapibus diam \
    dictum dis dolor donec dui duis egestas eget eleifend elementum elit enim erat eros est et etiam eu euismod facilisi \
    fames faucibus felis fermentum feugiat fringilla fusce gravida habitant hendrerit iaculis id imperdiet in integer \
    ipsum justo lacinia lacus laoreet lectus leo libero ligula lobortis lorem luctus maecenas magna malesuada massa \
    mattis mauris metus mi molestie mollis montes morbi nam nascetur nec neque nibh nisi nisl non nostra nulla nunc odio \
    orci ornare parturient pede pellentesque penatibus per pharetra placerat porta posuere potenti praesent pretium \
    primis proin pulvinar purus quam quis quisque rhoncus ridiculus risus rutrum sagittis sapien scelerisque sed sem \
    semper senectus sit sociis sodales sollicitudin suscipit suspendisse taciti tellus tempor tempus tincidunt torquent \
    tortor tristique turpis ullamcorper ultrices ultricies urna ut varius vehicula vel velit venenatis vestibulum vitae \
    vivamus viverra volutpat vulputate";

/// Numbers that differ from call to call; nothing that must not be guessed comes from them.
pub fn some_number(below: usize) -> usize {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let mut x = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ seed;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) % below.max(1) as u64) as usize
}

fn lipsum(args: Rest<Value>) -> Result<Value, Error> {
    let args = Bound::new("lipsum", &["n", "html", "min", "max"], &args)?;
    let (count, html) = (args.size(0, 5)?, args.flag(1, true));
    let (least, most) = (args.size(2, 20)?, args.size(3, 100)?);
    let words: Vec<&str> = LIPSUM.split_ascii_whitespace().collect();
    limits::text(count.saturating_mul(most.max(1)).saturating_mul(20))?;
    let mut paragraphs = Vec::new();
    for _ in 0..count {
        let length = least + some_number(most.saturating_sub(least).max(1));
        let mut paragraph = String::new();
        let (mut next_comma, mut next_stop, mut begins) = (3 + some_number(5), 10 + some_number(10), true);
        for index in 0..length {
            let word = words[some_number(words.len())];
            paragraph += &if begins { super::methods::capitalized(word) } else { word.to_string() };
            begins = index >= next_stop;
            if begins {
                paragraph.push('.');
                (next_comma, next_stop) = (index + 3 + some_number(5), index + 10 + some_number(10));
            } else if index >= next_comma {
                paragraph.push(',');
                next_comma = index + 3 + some_number(5);
            }
            paragraph.push(' ');
        }
        let paragraph = paragraph.trim_end().trim_end_matches([',', '.']).to_string() + ".";
        paragraphs.push(if html { format!("<p>{paragraph}</p>") } else { paragraph });
    }
    let text = paragraphs.join(if html { "\n" } else { "\n\n" });
    Ok(if html { Value::from_safe_string(text) } else { Value::from(text) })
}

/// Whether `value` can be used, for what accepts only defined values.
pub fn check_defined(state: &State, value: &Value) -> Result<(), Error> {
    if is_forbidden(state, value) {
        return Err(operators::operand_undefined(0));
    }
    check_exported(value)
}

pub fn check_exported(value: &Value) -> Result<(), Error> {
    if let Some(missing) = value.downcast_object_ref::<NotExported>() {
        return Err(Error::new(ErrorKind::UndefinedError, missing.message.clone()));
    }
    Ok(())
}

/// A text to show: what is not defined becomes nothing, or an error.
pub fn shown(state: &State, value: &Value) -> Result<String, Error> {
    check_defined(state, value)?;
    text_of(value)
}

//! Jinja2's filters. Those that are about text alone are in text_filters.rs.

use super::call::{split, Bound};
use super::formats;
use super::functions::{check_defined, shown, some_number};
use super::limits;
use super::methods;
use super::operators::{equal, like, order};
use super::text_filters;
use super::values::{check_key, entries_of, failed, is_forbidden, items_of, type_of, undefined_error, BoundMethod, Dict, List, Tuple};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::cmp::Ordering;
use std::collections::HashSet;

pub type Body = fn(&State, Bound) -> Result<Value, Error>;

/// A filter by name; its parameters begin with the value that is filtered.
pub struct Filter {
    pub name: &'static str,
    pub parameters: &'static [&'static str],
    pub body: Body,
}

const fn filter(name: &'static str, parameters: &'static [&'static str], body: Body) -> Filter {
    Filter { name, parameters, body }
}

const CASE_ATTRIBUTE: &[&str] = &["value", "case_sensitive", "attribute"];

const FILTERS: &[Filter] = &[
    filter("abs", &["value"], abs),
    filter("attr", &["value", "name"], attr),
    filter("batch", &["value", "linecount", "fill_with"], batch),
    filter("count", &["value"], length),
    filter("d", &["value", "default_value", "boolean"], default),
    filter("default", &["value", "default_value", "boolean"], default),
    filter("dictsort", &["value", "case_sensitive", "by", "reverse"], dictsort),
    filter("e", &["value"], escape),
    filter("escape", &["value"], escape),
    filter("filesizeformat", &["value", "binary"], filesizeformat),
    filter("first", &["seq"], first),
    filter("float", &["value", "default"], float),
    filter("forceescape", &["value"], forceescape),
    filter("groupby", &["value", "attribute", "default", "case_sensitive"], groupby),
    filter("int", &["value", "default", "base"], int),
    filter("items", &["value"], items),
    filter("join", &["value", "d", "attribute"], join),
    filter("last", &["seq"], last),
    filter("length", &["value"], length),
    filter("list", &["value"], list),
    filter("max", CASE_ATTRIBUTE, |state, args| extreme(state, args, Ordering::Greater)),
    filter("min", CASE_ATTRIBUTE, |state, args| extreme(state, args, Ordering::Less)),
    filter("random", &["seq"], random),
    filter("reverse", &["value"], reverse),
    filter("round", &["value", "precision", "method"], round),
    filter("safe", &["value"], |state, args| Ok(Value::from_safe_string(shown(state, &args.get(0))?))),
    filter("slice", &["value", "slices", "fill_with"], slice),
    filter("sort", &["value", "reverse", "case_sensitive", "attribute"], sort),
    filter("string", &["value"], |state, args| Ok(like(args.get(0).is_safe(), shown(state, &args.get(0))?))),
    filter("sum", &["iterable", "attribute", "start"], sum),
    filter("unique", CASE_ATTRIBUTE, unique),
    // Of minijinja, not of Jinja2.
    filter("bool", &["value"], |_, args| Ok(Value::from(args.get(0).is_true()))),
];

/// Filters that take other filters, tests or free arguments.
type Free = fn(&State, &[Value]) -> Result<Value, Error>;
const FREE_FILTERS: &[(&str, Free)] = &[
    ("format", format),
    ("map", map),
    ("reject", |state, args| chosen(state, args, false, false)),
    ("rejectattr", |state, args| chosen(state, args, true, false)),
    ("select", |state, args| chosen(state, args, false, true)),
    ("selectattr", |state, args| chosen(state, args, true, true)),
];

/// Those of minijinja's own filters that Jinja2 does not have and that need no bound.
const KEPT: &[&str] = &["pluralize"];
const REMOVED: &[&str] = &["chain", "zip"];

pub fn names() -> impl Iterator<Item = &'static str> {
    let bound = FILTERS.iter().chain(text_filters::FILTERS).map(|filter| filter.name);
    bound.chain(FREE_FILTERS.iter().map(|(name, _)| *name)).chain(KEPT.iter().copied())
}

pub fn add_to(environment: &mut Environment) {
    for name in REMOVED {
        environment.remove_filter(name);
    }
    for filter in FILTERS.iter().chain(text_filters::FILTERS) {
        environment.add_filter(filter.name, |state: &State, args: &[Value]| {
            let accepts_undefined = matches!(filter.name, "default" | "d");
            if let Some(value) = args.first().filter(|_| !accepts_undefined) {
                check_defined(state, value)?;
            }
            limits::call()?;
            (filter.body)(state, Bound::new(filter.name, filter.parameters, args)?)
        });
    }
    for (name, body) in FREE_FILTERS {
        environment.add_filter(*name, |state: &State, args: &[Value]| {
            if let Some(value) = args.first() {
                check_defined(state, value)?;
            }
            limits::call()?;
            body(state, args)
        });
    }
}

// ---- Attributes --------------------------------------------------------------------------------------------------------

/// The value at a dotted path; undefined where it ends early.
fn at_path(state: &State, value: &Value, path: &Value, default: Option<&Value>) -> Result<Value, Error> {
    let mut found = value.clone();
    let step = |found: &Value, part: &str| -> Result<Value, Error> {
        if found.is_undefined() {
            return Err(undefined_error());
        }
        Ok(match part.parse::<usize>() {
            Ok(index) => found.get_item(&Value::from(index))?,
            Err(_) => formats::attribute(found, part),
        })
    };
    match path.as_str() {
        Some(path) => {
            for part in path.split('.') {
                found = step(&found, part)?;
                if found.is_undefined() {
                    if let Some(default) = default {
                        return Ok(default.clone());
                    }
                }
            }
        }
        None => found = found.get_item(path)?,
    }
    if is_forbidden(state, &found) {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            format!("'{}' has no attribute '{path}'", type_of(value)),
        ));
    }
    Ok(found)
}

fn folded(value: Value, case_sensitive: bool) -> Value {
    if case_sensitive {
        return value;
    }
    match value.as_str() {
        Some(text) => Value::from(text.to_lowercase()),
        None => value,
    }
}

/// `sort` by what `key` gives; the first comparison that fails ends it.
pub fn sorted(
    values: Vec<Value>,
    reverse: bool,
    key: &dyn Fn(&Value) -> Result<Value, Error>,
) -> Result<Vec<Value>, Error> {
    limits::items(values.len())?;
    let mut keyed = Vec::with_capacity(values.len());
    for value in values {
        keyed.push((key(&value)?, value));
    }
    let mut problem = None;
    keyed.sort_by(|(left, _), (right, _)| {
        if problem.is_some() {
            return Ordering::Equal;
        }
        let ordering = limits::items(1).and_then(|()| order("<", left, right));
        let ordering = ordering.unwrap_or_else(|error| {
            problem = Some(error);
            Ordering::Equal
        });
        if reverse {
            ordering.reverse()
        } else {
            ordering
        }
    });
    match problem {
        Some(error) => Err(error),
        None => Ok(keyed.into_iter().map(|(_, value)| value).collect()),
    }
}

/// A key of `sort` and `groupby`: of several attributes, separated by commas, a tuple.
fn sort_key(state: &State, value: &Value, attribute: &Value, case_sensitive: bool, default: Option<&Value>) -> Result<Value, Error> {
    if attribute.is_undefined() || attribute.is_none() {
        return Ok(folded(value.clone(), case_sensitive));
    }
    match attribute.as_str().filter(|paths| paths.contains(',')) {
        Some(paths) => {
            let keys = paths.split(',').map(|path| at_path(state, value, &Value::from(path), default));
            let keys: Vec<Value> = keys.collect::<Result<_, _>>()?;
            Ok(Tuple::value(keys.into_iter().map(|key| folded(key, case_sensitive)).collect()))
        }
        None => Ok(folded(at_path(state, value, attribute, default)?, case_sensitive)),
    }
}

// ---- Numbers -----------------------------------------------------------------------------------------------------------

fn abs(_: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    match value.kind() {
        ValueKind::Bool => Ok(Value::from(i64::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            let number = i128::try_from(value).unwrap_or_default();
            Ok(super::operators::int_value(number.saturating_abs()))
        }
        ValueKind::Number => Ok(Value::from(f64::try_from(value).unwrap_or_default().abs())),
        _ => Err(failed(format!("bad operand type for abs(): '{}'", type_of(&value)))),
    }
}

pub fn as_float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(|number| number as f64),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::String => {
            let text = value.as_str()?.trim().replace('_', "");
            text.parse().ok()
        }
        _ => None,
    }
}

fn float(_: &State, args: Bound) -> Result<Value, Error> {
    let default = if args.has(1) { args.get(1) } else { Value::from(0.0) };
    Ok(as_float(&args.get(0)).map_or(default, Value::from))
}

fn int(_: &State, args: Bound) -> Result<Value, Error> {
    let default = if args.has(1) { args.get(1) } else { Value::from(0) };
    let base = u32::try_from(args.int(2, 10)?).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or_else(|| failed("int() base must be >= 2 and <= 36"))?;
    let value = args.get(0);
    if let Some(text) = value.as_str() {
        let text = text.trim().replace('_', "").to_lowercase();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        let prefix = match base {
            16 => "0x",
            8 => "0o",
            2 => "0b",
            _ => "",
        };
        let digits = digits.strip_prefix(prefix).unwrap_or(digits);
        if let Ok(number) = i128::from_str_radix(digits, base) {
            return Ok(super::operators::int_value(if negative { -number } else { number }));
        }
    } else if value.is_integer() {
        return Ok(value);
    }
    let number = as_float(&value).filter(|number| number.is_finite() && number.abs() < 1e38);
    Ok(number.map_or(default, |number| super::operators::int_value(number.trunc() as i128)))
}

fn round(_: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    let number = as_float(&value).filter(|_| value.kind() != ValueKind::String);
    let number = number.ok_or_else(|| failed(format!("round() needs a number, not {}", type_of(&value))))?;
    let precision = args.int(1, 0)?.clamp(-300, 300) as i32;
    let method = args.text(2, "common")?;
    if value.is_integer() && method == "common" {
        let factor = 10i128.checked_pow(precision.min(0).unsigned_abs());
        let whole = i128::try_from(value).unwrap_or_default();
        // Ties go to the even neighbour.
        let rounded = factor.map_or(Some(0), |factor| {
            let (quotient, rest) = (whole.div_euclid(factor), whole.rem_euclid(factor));
            let up = rest * 2 > factor || (rest * 2 == factor && quotient % 2 != 0);
            (quotient + i128::from(up)).checked_mul(factor)
        });
        return rounded.map(super::operators::int_value).ok_or_else(|| failed("the number is too large"));
    }
    let factor = 10f64.powi(precision);
    let rounded = match method.as_str() {
        // Rust rounds exact ties to even as Python does.
        "common" if precision >= 0 => format!("{number:.*}", precision as usize).parse().unwrap_or(number),
        "common" => (number * factor).round_ties_even() / factor,
        "ceil" => (number * factor).ceil() / factor,
        "floor" => (number * factor).floor() / factor,
        _ => return Err(failed("method must be common, ceil or floor")),
    };
    Ok(Value::from(rounded))
}

fn filesizeformat(_: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    let bytes = as_float(&value).ok_or_else(|| failed(format!("filesizeformat needs a number, not {}", type_of(&value))))?;
    Ok(Value::from(formats::file_size(bytes, args.flag(1, false))))
}

// ---- Any value ---------------------------------------------------------------------------------------------------------

fn attr(_: &State, args: Bound) -> Result<Value, Error> {
    let (value, name) = (args.get(0), args.text(1, "")?);
    if name.starts_with("__") {
        return Ok(Value::UNDEFINED);
    }
    if methods::has_method(&value, &name) {
        return Ok(Value::from_object(BoundMethod { of: value, name }));
    }
    // Of a dict, attributes are its methods: items are not reached so.
    if value.downcast_object_ref::<Dict>().is_some_and(|dict| !dict.is_namespace) {
        return Ok(Value::UNDEFINED);
    }
    Ok(formats::attribute(&value, &name))
}

fn default(_: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    if value.is_undefined() || (args.flag(2, false) && !value.is_true()) {
        return Ok(if args.has(1) { args.get(1) } else { Value::from("") });
    }
    Ok(value)
}

fn escape(_: &State, args: Bound) -> Result<Value, Error> {
    Ok(Value::from_safe_string(formats::html_of(&args.get(0))?))
}

fn forceescape(state: &State, args: Bound) -> Result<Value, Error> {
    Ok(Value::from_safe_string(formats::escaped(&shown(state, &args.get(0))?)))
}

fn length(_: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    if value.is_undefined() {
        return Ok(Value::from(0));
    }
    limits::text(value.as_str().map_or(0, str::len) / 8)?;
    match value.len() {
        Some(length) => Ok(Value::from(length)),
        None => Err(failed(format!("object of type '{}' has no len()", type_of(&value)))),
    }
}

// ---- Sequences ---------------------------------------------------------------------------------------------------------

fn list(state: &State, args: Bound) -> Result<Value, Error> {
    items_of(state, &args.get(0)).map(List::value)
}

fn first(state: &State, args: Bound) -> Result<Value, Error> {
    Ok(items_of(state, &args.get(0))?.into_iter().next().unwrap_or_default())
}

fn last(state: &State, args: Bound) -> Result<Value, Error> {
    Ok(items_of(state, &args.get(0))?.pop().unwrap_or_default())
}

fn random(state: &State, args: Bound) -> Result<Value, Error> {
    let items = items_of(state, &args.get(0))?;
    Ok(items.get(some_number(items.len())).cloned().unwrap_or_default())
}

fn reverse(state: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    if let Some(text) = value.as_str() {
        limits::text(text.len())?;
        return Ok(like(value.is_safe(), text.chars().rev().collect()));
    }
    let mut items = items_of(state, &value)?;
    items.reverse();
    Ok(List::value(items))
}

fn items(_: &State, args: Bound) -> Result<Value, Error> {
    let value = args.get(0);
    if value.is_undefined() {
        return Ok(List::value(Vec::new()));
    }
    if value.kind() != ValueKind::Map {
        return Err(failed("Can only get item pairs from a mapping."));
    }
    Ok(List::value(entries_of(&value)?.into_iter().map(|(key, value)| Tuple::value(vec![key, value])).collect()))
}

fn batch(state: &State, args: Bound) -> Result<Value, Error> {
    let items = items_of(state, &args.get(0))?;
    args.required(1)?;
    let (count, fill) = (args.size(1, 1)?.max(1), args.get(2));
    let fills = args.has(2) && !fill.is_none();
    limits::items(if fills { count } else { 0 })?;
    let mut batches: Vec<Vec<Value>> = items.chunks(count).map(<[Value]>::to_vec).collect();
    if let Some(last) = batches.last_mut().filter(|_| fills) {
        last.resize(count, fill);
    }
    Ok(List::value(batches.into_iter().map(List::value).collect()))
}

fn slice(state: &State, args: Bound) -> Result<Value, Error> {
    let items = items_of(state, &args.get(0))?;
    args.required(1)?;
    let (count, fill) = (args.size(1, 1)?.max(1), args.get(2));
    limits::items(count)?;
    let (each, more) = (items.len() / count, items.len() % count);
    let mut slices = Vec::with_capacity(count);
    let mut at = 0;
    for index in 0..count {
        let length = each + usize::from(index < more);
        let mut part = items[at..at + length].to_vec();
        at += length;
        if index >= more && more > 0 && args.has(2) && !fill.is_none() {
            part.push(fill.clone());
        }
        slices.push(List::value(part));
    }
    Ok(List::value(slices))
}

fn sort(state: &State, args: Bound) -> Result<Value, Error> {
    let items = items_of(state, &args.get(0))?;
    let (case_sensitive, attribute) = (args.flag(2, false), args.get(3));
    let key = |value: &Value| sort_key(state, value, &attribute, case_sensitive, None);
    sorted(items, args.flag(1, false), &key).map(List::value)
}

fn dictsort(_: &State, args: Bound) -> Result<Value, Error> {
    let entries = entries_of(&args.get(0))?;
    let case_sensitive = args.flag(1, false);
    let by = match args.text(2, "key")?.as_str() {
        "key" => 0,
        "value" => 1,
        _ => return Err(failed("You can only sort by either \"key\" or \"value\"")),
    };
    let pairs = entries.into_iter().map(|(key, value)| Tuple::value(vec![key, value])).collect();
    let key = |pair: &Value| Ok(folded(pair.get_item(&Value::from(by))?, case_sensitive));
    sorted(pairs, args.flag(3, false), &key).map(List::value)
}

fn unique(state: &State, args: Bound) -> Result<Value, Error> {
    let (case_sensitive, attribute) = (args.flag(1, false), args.get(2));
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for value in items_of(state, &args.get(0))? {
        let key = sort_key(state, &value, &attribute, case_sensitive, None)?;
        check_key(&key)?;
        if seen.insert(key) {
            kept.push(value);
        }
    }
    Ok(List::value(kept))
}

fn extreme(state: &State, args: Bound, wanted: Ordering) -> Result<Value, Error> {
    let (case_sensitive, attribute) = (args.flag(1, false), args.get(2));
    let mut best: Option<(Value, Value)> = None;
    for value in items_of(state, &args.get(0))? {
        let key = sort_key(state, &value, &attribute, case_sensitive, None)?;
        let better = match &best {
            None => true,
            Some((best, _)) => order("<", &key, best)? == wanted,
        };
        if better {
            best = Some((key, value));
        }
    }
    Ok(best.map(|(_, value)| value).unwrap_or_default())
}

fn groupby(state: &State, args: Bound) -> Result<Value, Error> {
    let attribute = args.required(1)?;
    let default = args.has(2).then(|| args.get(2));
    let case_sensitive = args.flag(3, false);
    let key = |value: &Value| sort_key(state, value, &attribute, case_sensitive, default.as_ref());
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for value in sorted(items_of(state, &args.get(0))?, false, &key)? {
        let folded = key(&value)?;
        match groups.last_mut() {
            Some((known, _, group)) if equal(known, &folded)? => group.push(value),
            _ => {
                let shown = sort_key(state, &value, &attribute, true, default.as_ref())?;
                groups.push((folded, shown, vec![value]));
            }
        }
    }
    let group = |(_, key, values): (Value, Value, Vec<Value>)| Tuple::named(vec![key, List::value(values)], &["grouper", "list"]);
    Ok(List::value(groups.into_iter().map(group).collect()))
}

fn sum(state: &State, args: Bound) -> Result<Value, Error> {
    let attribute = args.get(1);
    let mut total = if args.has(2) { args.get(2) } else { Value::from(0) };
    let plus = Value::from("+");
    for value in items_of(state, &args.get(0))? {
        let value = if attribute.is_undefined() || attribute.is_none() {
            value
        } else {
            at_path(state, &value, &attribute, None)?
        };
        total = super::operators::arithmetic(&[total, plus.clone(), value])?;
    }
    Ok(total)
}

fn join(state: &State, args: Bound) -> Result<Value, Error> {
    let items = items_of(state, &args.get(0))?;
    let separator = if args.has(1) { args.get(1) } else { Value::from("") };
    let attribute = args.get(2);
    let escapes = state.auto_escape() != minijinja::AutoEscape::None;
    let write = |value: &Value| if escapes { formats::html_of(value) } else { shown(state, value) };
    let separator = write(&separator)?;
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let item = if attribute.is_undefined() || attribute.is_none() {
            item.clone()
        } else {
            at_path(state, item, &attribute, None)?
        };
        if index > 0 {
            limits::text(separator.len())?;
            text += &separator;
        }
        text += &write(&item)?;
    }
    Ok(like(escapes, text))
}

// ---- Filters of filters ------------------------------------------------------------------------------------------------

fn format(_: &State, args: &[Value]) -> Result<Value, Error> {
    let (positional, named) = split(args);
    let Some((text, rest)) = positional.split_first() else { return Err(failed("format() needs a text")) };
    if !rest.is_empty() && !named.is_empty() {
        return Err(failed("can't handle positional and keyword arguments at the same time"));
    }
    let text = if text.as_str().is_some() { text.clone() } else { Value::from(super::values::text_of(text)?) };
    if named.is_empty() {
        // One mapping alone is what `%(name)s` reads.
        let mapping = rest.first().filter(|value| rest.len() == 1 && value.kind() == ValueKind::Map);
        return formats::printf(&text, rest, mapping);
    }
    let mapping = Dict::value(named.into_iter().map(|(name, value)| (Value::from(name), value)).collect());
    formats::printf(&text, &[], Some(&mapping))
}

fn map(state: &State, args: &[Value]) -> Result<Value, Error> {
    let (positional, named) = split(args);
    let Some((value, rest)) = positional.split_first() else { return Err(failed("map() needs a value")) };
    // Nothing to map is nothing, as in Jinja2.
    if value.is_none() {
        return Ok(List::value(Vec::new()));
    }
    let items = items_of(state, value)?;
    let mut mapped = Vec::with_capacity(items.len());
    let attribute = named.iter().find(|(name, _)| name == "attribute").map(|(_, value)| value);
    if let Some(attribute) = attribute.filter(|_| rest.is_empty()) {
        let default = named.iter().find(|(name, _)| name == "default").map(|(_, value)| value);
        if let Some((name, _)) = named.iter().find(|(name, _)| !matches!(name.as_str(), "attribute" | "default")) {
            return Err(failed(format!("Unexpected keyword argument '{name}'")));
        }
        for item in items {
            mapped.push(at_path(state, &item, attribute, default)?);
        }
        return Ok(List::value(mapped));
    }
    let Some(filter) = rest.first().and_then(Value::as_str) else { return Err(failed("map requires a filter argument")) };
    let more = with_named(&rest[1..], named.clone());
    for item in items {
        limits::call()?;
        let args: Vec<Value> = std::iter::once(item).chain(more.iter().cloned()).collect();
        mapped.push(state.apply_filter(filter, &args)?);
    }
    Ok(List::value(mapped))
}

fn with_named(positional: &[Value], named: Vec<(String, Value)>) -> Vec<Value> {
    let mut args = positional.to_vec();
    if !named.is_empty() {
        args.push(minijinja::value::Kwargs::from_iter(named).into());
    }
    args
}

fn chosen(state: &State, args: &[Value], by_attribute: bool, keep: bool) -> Result<Value, Error> {
    let (positional, named) = split(args);
    let Some((value, mut rest)) = positional.split_first() else { return Err(failed("select() needs a value")) };
    if value.is_none() {
        return Ok(List::value(Vec::new()));
    }
    let mut attribute = None;
    if by_attribute {
        let Some((first, more)) = rest.split_first() else { return Err(failed("Missing parameter for attribute name")) };
        attribute = Some(first);
        rest = more;
    }
    let mut kept = Vec::new();
    for item in items_of(state, value)? {
        limits::call()?;
        let tested = match attribute {
            Some(attribute) => {
                // A missing attribute is for the test to judge.
                let default = Value::UNDEFINED;
                at_path(state, &item, attribute, Some(&default)).unwrap_or_default()
            }
            None => item.clone(),
        };
        let passes = match rest.first().map(|test| (test.as_str(), test)) {
            None if is_forbidden(state, &tested) => return Err(undefined_error()),
            None => tested.is_true(),
            Some((Some(test), _)) => {
                let more = with_named(&rest[1..], named.clone());
                let args: Vec<Value> = std::iter::once(tested).chain(more).collect();
                state.perform_test(test, &args)?
            }
            Some((None, other)) => return Err(failed(format!("a test's name must be a string, not {}", type_of(other)))),
        };
        if passes == keep {
            kept.push(item);
        }
    }
    Ok(List::value(kept))
}

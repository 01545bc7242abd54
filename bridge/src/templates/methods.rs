//! Methods of Python's strings, lists, tuples and dicts.

use super::call::{split, Bound};
use super::entries::Entries;
use super::formats;
use super::limits;
use super::operators::{equal, like};
use super::values::{check_key, entries_of, failed, items_of, note_change, note_dict_change, text_of, Dict, List, Tuple};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};
use std::sync::Arc;

const STRING_METHODS: &[&str] = &[
    "capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "format", "format_map", "index", "isalnum",
    "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle",
    "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex",
    "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill",
];
const TUPLE_METHODS: &[&str] = &["count", "index"];
const LIST_METHODS: &[&str] = &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
const DICT_METHODS: &[&str] = &["clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];

pub fn has_method(value: &Value, name: &str) -> bool {
    let methods = match value.kind() {
        ValueKind::String => STRING_METHODS,
        _ if value.downcast_object_ref::<Tuple>().is_some() => TUPLE_METHODS,
        _ if value.downcast_object_ref::<List>().is_some() => LIST_METHODS,
        _ if value.downcast_object_ref::<Dict>().is_some_and(|dict| !dict.is_namespace) => DICT_METHODS,
        _ => &[],
    };
    methods.contains(&name)
}

fn unknown() -> Error {
    Error::from(ErrorKind::UnknownMethod)
}

/// Methods of values that are no objects.
pub fn unknown_method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => string_method(state, value, method, args),
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        // Of minijinja's own values.
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

// ---- Strings -----------------------------------------------------------------------------------------------------------

fn cased(text: &str, keeps: fn(char) -> bool, breaks: fn(char) -> bool) -> Value {
    Value::from(text.chars().any(keeps) && !text.chars().any(breaks))
}

fn all(text: &str, test: fn(char) -> bool) -> Value {
    Value::from(!text.is_empty() && text.chars().all(test))
}

pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase())
}

/// As Python's own `title`: every run of letters begins with a capital.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    out
}

pub fn trimmed(text: &str, chars: Option<&str>, left: bool, right: bool) -> String {
    let is_trimmed = |c: char| chars.map_or(c.is_whitespace(), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(is_trimmed) } else { text };
    let text = if right { text.trim_end_matches(is_trimmed) } else { text };
    text.to_string()
}

/// Fills `text` up to `width` characters: so much of the filling on its left, the rest on its right.
pub fn justified(text: &str, width: usize, fill: char, left: fn(usize, usize) -> usize) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count());
    limits::text(text.len() + missing.saturating_mul(fill.len_utf8()))?;
    let before = left(missing, width);
    let fills = |count: usize| fill.to_string().repeat(count);
    Ok(fills(before) + text + &fills(missing - before))
}

fn strings(parts: impl Iterator<Item = String>, most: usize) -> Result<Value, Error> {
    limits::items(most.saturating_mul(2))?;
    Ok(List::value(parts.map(Value::from).collect()))
}

fn split_words(text: &str, most: Option<usize>, from_right: bool) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = if from_right { text.trim_end() } else { text.trim_start() };
    while !rest.is_empty() {
        if most == Some(words.len()) {
            words.push(rest.to_string());
            break;
        }
        let cut = if from_right { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
        let Some(at) = cut else {
            words.push(rest.to_string());
            break;
        };
        let width = rest[at..].chars().next().map_or(1, char::len_utf8);
        if from_right {
            words.push(rest[at + width..].to_string());
            rest = rest[..at].trim_end();
        } else {
            words.push(rest[..at].to_string());
            rest = rest[at + width..].trim_start();
        }
    }
    if from_right {
        words.reverse();
    }
    words
}

pub fn split_text(text: &str, separator: Option<&str>, most: i64, from_right: bool) -> Result<Value, Error> {
    limits::text(text.len().saturating_mul(8))?;
    let most = usize::try_from(most).ok();
    let parts: Vec<String> = match separator {
        None => split_words(text, most, from_right),
        Some("") => return Err(failed("empty separator")),
        Some(separator) if from_right => {
            let parts = text.rsplitn(most.map_or(usize::MAX, |most| most + 1), separator);
            let mut parts: Vec<String> = parts.map(str::to_string).collect();
            parts.reverse();
            parts
        }
        Some(separator) => text.splitn(most.map_or(usize::MAX, |most| most + 1), separator).map(str::to_string).collect(),
    };
    let count = parts.len();
    strings(parts.into_iter(), count)
}

fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}' | '\u{1d}' | '\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends_line) {
        let width = if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        lines.push(&rest[..if keep_ends { at + width } else { at }]);
        rest = &rest[at + width..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// The part of `text` between two character positions, and where it begins in bytes.
fn between<'a>(text: &'a str, args: &Bound) -> Result<(&'a str, usize), Error> {
    let length = text.chars().count() as i64;
    let place = |index: usize, default: i64| -> Result<usize, Error> {
        let value = if args.get(index).is_none() { default } else { args.int(index, default)? };
        let value = if value < 0 { (value + length).max(0) } else { value.min(length) };
        Ok(text.char_indices().nth(value as usize).map_or(text.len(), |(at, _)| at))
    };
    let (start, end) = (place(1, 0)?, place(2, length)?);
    Ok((text.get(start..end).unwrap_or(""), start))
}

fn affix(text: &str, args: &Bound, test: fn(&str, &str) -> bool) -> Result<Value, Error> {
    let (part, _) = between(text, args)?;
    let wanted = args.required(0)?;
    if let Some(tuple) = wanted.downcast_object_ref::<Tuple>() {
        return Ok(Value::from(tuple.items().iter().any(|wanted| wanted.as_str().is_some_and(|wanted| test(part, wanted)))));
    }
    Ok(Value::from(test(part, &args.text(0, "")?)))
}

fn found(text: &str, args: &Bound, last: bool, must: bool) -> Result<Value, Error> {
    let wanted = args.text(0, "")?;
    let (part, start) = between(text, args)?;
    let at = if last { part.rfind(&wanted) } else { part.find(&wanted) };
    match at {
        Some(at) => Ok(Value::from(text[..start + at].chars().count())),
        None if must => Err(failed("substring not found")),
        None => Ok(Value::from(-1)),
    }
}

const NOTHING: &[&str] = &[];

fn string_method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let text = value.as_str().unwrap_or_default();
    let bind = |name: &'static str, parameters: &'static [&'static str]| Bound::new(name, parameters, args);
    limits::call()?;
    limits::text(text.len())?;
    let safe = value.is_safe();
    Ok(match method {
        "format" => {
            let (positional, named) = split(args);
            let named: Vec<_> = named.into_iter().map(|(name, value)| (Value::from(name), value)).collect();
            return formats::str_format(value, &positional, &named);
        }
        "format_map" => {
            let args = bind("format_map", &["mapping"])?;
            return formats::str_format(value, &[], &entries_of(&args.required(0)?)?);
        }
        "upper" => bind("upper", NOTHING).map(|_| like(safe, text.to_uppercase()))?,
        "lower" => bind("lower", NOTHING).map(|_| like(safe, text.to_lowercase()))?,
        "casefold" => bind("casefold", NOTHING).map(|_| Value::from(text.to_lowercase().replace('ß', "ss")))?,
        "capitalize" => bind("capitalize", NOTHING).map(|_| like(safe, capitalized(text)))?,
        "title" => bind("title", NOTHING).map(|_| like(safe, titled(text)))?,
        "swapcase" => {
            bind("swapcase", NOTHING)?;
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            Value::from(text.chars().map(swap).collect::<String>())
        }
        "islower" => bind("islower", NOTHING).map(|_| cased(text, char::is_lowercase, char::is_uppercase))?,
        "isupper" => bind("isupper", NOTHING).map(|_| cased(text, char::is_uppercase, char::is_lowercase))?,
        "istitle" => bind("istitle", NOTHING).map(|_| Value::from(text.chars().any(char::is_alphabetic) && titled(text) == text))?,
        "isspace" => bind("isspace", NOTHING).map(|_| all(text, char::is_whitespace))?,
        "isdigit" | "isdecimal" | "isnumeric" => bind("isdigit", NOTHING).map(|_| all(text, char::is_numeric))?,
        "isalnum" => bind("isalnum", NOTHING).map(|_| all(text, char::is_alphanumeric))?,
        "isalpha" => bind("isalpha", NOTHING).map(|_| all(text, char::is_alphabetic))?,
        "isascii" => bind("isascii", NOTHING).map(|_| Value::from(text.is_ascii()))?,
        "isprintable" => bind("isprintable", NOTHING).map(|_| Value::from(!text.chars().any(char::is_control)))?,
        "isidentifier" => bind("isidentifier", NOTHING).map(|_| Value::from(super::lexer::is_identifier(text)))?,
        "strip" | "lstrip" | "rstrip" => {
            let args = bind("strip", &["chars"])?;
            let chars = args.optional_text(0)?;
            like(safe, trimmed(text, chars.as_deref(), method != "rstrip", method != "lstrip"))
        }
        "removeprefix" => {
            let prefix = bind("removeprefix", &["prefix"])?.text(0, "")?;
            like(safe, text.strip_prefix(prefix.as_str()).unwrap_or(text).to_string())
        }
        "removesuffix" => {
            let suffix = bind("removesuffix", &["suffix"])?.text(0, "")?;
            like(safe, text.strip_suffix(suffix.as_str()).unwrap_or(text).to_string())
        }
        "replace" => {
            let args = bind("replace", &["old", "new", "count"])?;
            let (old, new) = (args.text(0, "")?, args.text(1, "")?);
            like(safe, replaced(text, &old, &new, args.int(2, -1)?)?)
        }
        "split" | "rsplit" => {
            let args = bind("split", &["sep", "maxsplit"])?;
            return split_text(text, args.optional_text(0)?.as_deref(), args.int(1, -1)?, method == "rsplit");
        }
        "splitlines" => {
            let args = bind("splitlines", &["keepends"])?;
            let lines = split_lines(text, args.flag(0, false));
            let count = lines.len();
            strings(lines.into_iter().map(str::to_string), count)?
        }
        "partition" | "rpartition" => {
            let separator = bind("partition", &["sep"])?.text(0, "")?;
            if separator.is_empty() {
                return Err(failed("empty separator"));
            }
            let parts = if method == "partition" { text.split_once(&separator) } else { text.rsplit_once(&separator) };
            let parts = match parts {
                Some((before, after)) => [before, &separator, after],
                None if method == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Tuple::value(parts.into_iter().map(Value::from).collect())
        }
        "startswith" => affix(text, &bind("startswith", &["prefix", "start", "end"])?, |text, part| text.starts_with(part))?,
        "endswith" => affix(text, &bind("endswith", &["suffix", "start", "end"])?, |text, part| text.ends_with(part))?,
        "find" => found(text, &bind("find", &["sub", "start", "end"])?, false, false)?,
        "rfind" => found(text, &bind("rfind", &["sub", "start", "end"])?, true, false)?,
        "index" => found(text, &bind("index", &["sub", "start", "end"])?, false, true)?,
        "rindex" => found(text, &bind("rindex", &["sub", "start", "end"])?, true, true)?,
        "count" => {
            let args = bind("count", &["sub", "start", "end"])?;
            let wanted = args.text(0, "")?;
            let (part, _) = between(text, &args)?;
            Value::from(if wanted.is_empty() { part.chars().count() + 1 } else { part.matches(wanted.as_str()).count() })
        }
        "center" | "ljust" | "rjust" => {
            let args = bind("center", &["width", "fillchar"])?;
            let fill = args.text(1, " ")?;
            let mut chars = fill.chars();
            let (Some(fill), None) = (chars.next(), chars.next()) else {
                return Err(failed("the fill character must be exactly one character long"));
            };
            let left: fn(usize, usize) -> usize = match method {
                "center" => |missing, width| missing / 2 + (missing & width & 1),
                "ljust" => |_, _| 0,
                _ => |missing, _| missing,
            };
            like(safe, justified(text, args.size(0, 0)?, fill, left)?)
        }
        "zfill" => {
            let width = bind("zfill", &["width"])?.size(0, 0)?;
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            Value::from(sign.to_string() + &justified(digits, width.saturating_sub(sign.len()), '0', |missing, _| missing)?)
        }
        "expandtabs" => {
            let size = bind("expandtabs", &["tabsize"])?.size(0, 8)?;
            limits::text(size.saturating_mul(text.matches('\t').count()))?;
            let mut out = String::new();
            let mut column = 0;
            for c in text.chars() {
                match c {
                    '\t' if size == 0 => {}
                    '\t' => {
                        let fill = size - column % size;
                        out += &" ".repeat(fill);
                        column += fill;
                    }
                    _ => {
                        out.push(c);
                        column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
                    }
                }
            }
            Value::from(out)
        }
        "join" => {
            let args = bind("join", &["iterable"])?;
            let items = items_of(state, &args.required(0)?)?;
            let mut out = String::new();
            for (index, item) in items.iter().enumerate() {
                let part = if safe { formats::html_of(item)? } else { text_of(item)? };
                limits::text(text.len())?;
                out += if index > 0 { text } else { "" };
                out += &part;
            }
            like(safe, out)
        }
        _ => return Err(unknown()),
    })
}

pub fn replaced(text: &str, old: &str, new: &str, count: i64) -> Result<String, Error> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    limits::text(text.len().saturating_add(found.min(most).saturating_mul(new.len())).saturating_mul(4))?;
    Ok(text.replacen(old, new, most))
}

// ---- Lists and tuples --------------------------------------------------------------------------------------------------

fn place(index: i64, len: usize) -> usize {
    let index = if index < 0 { index.saturating_add(len as i64).max(0) } else { index };
    usize::try_from(index).unwrap_or(0).min(len)
}

pub fn tuple_method(items: &[Value], method: &str, args: &[Value]) -> Result<Value, Error> {
    let wanted = match method {
        "index" | "count" => Bound::new("index", &["value"], args)?.required(0)?,
        _ => return Err(unknown()),
    };
    limits::items(items.len())?;
    let mut count = 0;
    for (index, item) in items.iter().enumerate() {
        if equal(item, &wanted)? {
            if method == "index" {
                return Ok(Value::from(index));
            }
            count += 1;
        }
    }
    if method == "index" {
        return Err(failed("the value is not in the list"));
    }
    Ok(Value::from(count))
}

pub fn list_method(list: &Arc<List>, state: &State, method: &str, args: &[Value]) -> Result<Value, Error> {
    let bind = |name: &'static str, parameters: &'static [&'static str]| Bound::new(name, parameters, args);
    limits::call()?;
    let none = Value::from(());
    match method {
        "append" => {
            let value = bind("append", &["object"])?.required(0)?;
            limits::items(1)?;
            note_change(list, &value);
            list.items().push(value);
            Ok(none)
        }
        "extend" => {
            let more = items_of(state, &bind("extend", &["iterable"])?.required(0)?)?;
            more.iter().for_each(|value| note_change(list, value));
            list.items().extend(more);
            Ok(none)
        }
        "insert" => {
            let args = bind("insert", &["index", "object"])?;
            let value = args.required(1)?;
            let len = list.items().len();
            limits::items(len / 16 + 1)?;
            note_change(list, &value);
            list.items().insert(place(args.int(0, 0)?, len), value);
            Ok(none)
        }
        "pop" => {
            let index = bind("pop", &["index"])?.int(0, -1)?;
            limits::items(list.items().len() / 16)?;
            let mut items = list.items();
            let at = if index < 0 { index + items.len() as i64 } else { index };
            match usize::try_from(at).ok().filter(|at| *at < items.len()) {
                Some(at) => Ok(items.remove(at)),
                None if items.is_empty() => Err(failed("pop from empty list")),
                None => Err(failed("pop index out of range")),
            }
        }
        "remove" => {
            let wanted = bind("remove", &["value"])?.required(0)?;
            let items = list.snapshot();
            let at = tuple_method(&items, "index", &[wanted])?.as_usize().unwrap_or(0);
            let removed = list.items().remove(at);
            drop(removed);
            Ok(none)
        }
        "clear" => {
            bind("clear", NOTHING)?;
            let old = std::mem::take(&mut *list.items());
            drop(old);
            Ok(none)
        }
        "reverse" => {
            bind("reverse", NOTHING)?;
            list.items().reverse();
            Ok(none)
        }
        "copy" => {
            bind("copy", NOTHING)?;
            let items = list.snapshot();
            limits::items(items.len())?;
            Ok(List::value(items))
        }
        "sort" => {
            let args = bind("sort", &["key", "reverse"])?;
            let sorted = super::filters::sorted(list.snapshot(), args.flag(1, false), &|value| Ok(value.clone()))?;
            *list.items() = sorted;
            Ok(none)
        }
        _ => {
            let items = list.snapshot();
            tuple_method(&items, method, args)
        }
    }
}

// ---- Dicts -------------------------------------------------------------------------------------------------------------

pub fn dict_method(dict: &Arc<Dict>, method: &str, args: &[Value]) -> Result<Value, Error> {
    if dict.is_namespace {
        return Err(unknown());
    }
    let bind = |name: &'static str, parameters: &'static [&'static str]| Bound::new(name, parameters, args);
    limits::call()?;
    let none = Value::from(());
    let list = |values: Vec<Value>| -> Result<Value, Error> {
        limits::items(values.len())?;
        Ok(List::value(values))
    };
    match method {
        "keys" => bind("keys", NOTHING).and_then(|_| list(dict.entries().keys().cloned().collect())),
        "values" => bind("values", NOTHING).and_then(|_| list(dict.entries().values().cloned().collect())),
        "items" => {
            bind("items", NOTHING)?;
            let entries = dict.snapshot();
            list(entries.into_iter().map(|(key, value)| Tuple::value(vec![key, value])).collect())
        }
        "get" => {
            let args = bind("get", &["key", "default"])?;
            let key = args.required(0)?;
            check_key(&key)?;
            let found = dict.entries().get(&key).cloned();
            Ok(found.unwrap_or_else(|| if args.has(1) { args.get(1) } else { none }))
        }
        "copy" => {
            bind("copy", NOTHING)?;
            let entries = dict.snapshot();
            limits::items(entries.len())?;
            Ok(Dict::value(entries))
        }
        "pop" => {
            let args = bind("pop", &["key", "default"])?;
            let key = args.required(0)?;
            check_key(&key)?;
            limits::items(dict.entries().len() / 4)?;
            let found = dict.entries().remove(&key);
            match found {
                Some(value) => Ok(value),
                None if args.has(1) => Ok(args.get(1)),
                None => Err(failed(format!("no key {} in the dict", super::values::repr_of(&args.get(0))?))),
            }
        }
        "popitem" => {
            bind("popitem", NOTHING)?;
            let last = dict.entries().pop();
            let (key, value) = last.ok_or_else(|| failed("popitem(): dictionary is empty"))?;
            Ok(Tuple::value(vec![key, value]))
        }
        "setdefault" => {
            let args = bind("setdefault", &["key", "default"])?;
            let key = args.required(0)?;
            check_key(&key)?;
            if let Some(value) = dict.entries().get(&key) {
                return Ok(value.clone());
            }
            let value = if args.has(1) { args.get(1) } else { none };
            limits::items(1)?;
            note_dict_change(dict, &value);
            dict.entries().insert(key, value.clone());
            Ok(value)
        }
        "update" => {
            let (positional, named) = split(args);
            let mut more = Entries::default();
            for value in positional {
                more.extend(pairs_of(&value)?);
            }
            more.extend(named.into_iter().map(|(name, value)| (Value::from(name), value)));
            limits::items(more.len())?;
            more.values().for_each(|value| note_dict_change(dict, value));
            dict.entries().extend(more);
            Ok(none)
        }
        "clear" => {
            bind("clear", NOTHING)?;
            let old = std::mem::take(&mut *dict.entries());
            drop(old);
            Ok(none)
        }
        _ => Err(unknown()),
    }
}

/// The entries of a mapping, or of an iterable of pairs.
pub fn pairs_of(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() == ValueKind::Map {
        return entries_of(value);
    }
    super::values::check_iterable(value)?;
    let mut pairs = Vec::new();
    for item in value.try_iter()? {
        limits::items(1)?;
        let pair: Vec<Value> = item.try_iter()?.take(3).collect();
        let [key, value] = pair.as_slice() else { return Err(failed("the dict needs pairs of key and value")) };
        check_key(key)?;
        pairs.push((key.clone(), value.clone()));
    }
    Ok(pairs)
}

//! Python's lists, tuples and dicts as minijinja's objects, and how Python writes values.

use super::entries::Entries;
use super::limits;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, UndefinedBehavior, Value};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

// ---- Ends of life ------------------------------------------------------------------------------------------------------
// A chain of a million lists within each other must not be dropped by as many nested calls, and lists that contain each
// other must not outlive the rendering.

thread_local! {
    static GRAVES: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static BURYING: Cell<bool> = const { Cell::new(false) };
    static CHANGED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
}

fn bury(values: impl Iterator<Item = Value>) {
    let nested = values.filter(|value| value.as_object().is_some());
    if GRAVES.try_with(|graves| graves.borrow_mut().extend(nested)).is_err() || BURYING.get() {
        return;
    }
    BURYING.set(true);
    while let Some(value) = GRAVES.with(|graves| graves.borrow_mut().pop()) {
        drop(value);
    }
    BURYING.set(false);
}

/// Empties what templates changed during a rendering, so that cycles end.
pub fn forget_changed() {
    for value in CHANGED.take() {
        if let Some(list) = value.downcast_object_ref::<List>() {
            bury(std::mem::take(&mut *lock(&list.items)).into_iter());
        } else if let Some(dict) = value.downcast_object_ref::<Dict>() {
            bury(std::mem::take(&mut *lock(&dict.entries)).into_iter().map(|(_, value)| value));
        }
    }
}

fn changed(holder: Value, by: &Value) {
    if by.as_object().is_some() {
        CHANGED.with(|changed| changed.borrow_mut().push(holder));
    }
}

// ---- Lists and tuples --------------------------------------------------------------------------------------------------

#[derive(Debug, Default)]
pub struct List {
    items: Mutex<Vec<Value>>,
}

impl Drop for List {
    fn drop(&mut self) {
        let items = self.items.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if items.iter().any(|item| item.as_object().is_some()) {
            bury(std::mem::take(items).into_iter());
        }
    }
}

impl List {
    pub fn value(items: Vec<Value>) -> Value {
        Value::from_object(List { items: Mutex::new(items) })
    }

    pub fn items(&self) -> MutexGuard<'_, Vec<Value>> {
        lock(&self.items)
    }

    /// The items as they are now. Two locks at once, of what may be the same list, would wait for each other.
    pub fn snapshot(&self) -> Vec<Value> {
        self.items().clone()
    }
}

pub fn note_change(list: &Arc<List>, by: &Value) {
    changed(Value::from_dyn_object(list.clone()), by);
}

pub fn note_dict_change(dict: &Arc<Dict>, by: &Value) {
    changed(Value::from_dyn_object(dict.clone()), by);
}

fn seq_compare(left: &[Value], right: &[Value]) -> Ordering {
    if !limits::affords_items(left.len() + right.len()) {
        return Ordering::Less;
    }
    let ordering = limits::deeper(|| {
        for (left, right) in left.iter().zip(right) {
            if !limits::affords_items(1) {
                return Ordering::Less;
            }
            if left != right {
                return left.cmp(right).then(Ordering::Less);
            }
        }
        left.len().cmp(&right.len())
    });
    ordering.unwrap_or_else(|| {
        limits::affords(u64::MAX);
        Ordering::Less
    })
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.kind() != ValueKind::Number {
            return None;
        }
        self.items().get(key.as_usize()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, _key: &str) -> Option<Value> {
        None
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items().len())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items().len())
    }

    fn call_method(self: &Arc<Self>, state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        super::methods::list_method(self, state, method, args)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<List>()?;
        let left = self.snapshot();
        let right = other.snapshot();
        Some(seq_compare(&left, &right))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.snapshot();
        write_sequence(f, &items, "[", "]")
    }
}

#[derive(Debug)]
pub struct Tuple {
    items: Vec<Value>,
    names: &'static [&'static str],
}

impl Drop for Tuple {
    fn drop(&mut self) {
        bury(std::mem::take(&mut self.items).into_iter());
    }
}

impl Tuple {
    pub fn value(items: Vec<Value>) -> Value {
        Value::from_object(Tuple { items, names: &[] })
    }

    /// What `groupby` gives: a tuple whose items have names too.
    pub fn named(items: Vec<Value>, names: &'static [&'static str]) -> Value {
        Value::from_object(Tuple { items, names })
    }

    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Object for Tuple {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(name) = key.as_str() {
            return self.get_value_by_str(name);
        }
        if key.kind() != ValueKind::Number {
            return None;
        }
        self.items.get(key.as_usize()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let index = self.names.iter().position(|name| *name == key)?;
        self.items.get(index).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }

    fn call_method(self: &Arc<Self>, _state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        super::methods::tuple_method(&self.items, method, args)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(seq_compare(&self.items, &other.downcast_ref::<Tuple>()?.items))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sequence(f, &self.items, "(", if self.items.len() == 1 { ",)" } else { ")" })
    }
}

// ---- Dicts and namespaces ----------------------------------------------------------------------------------------------

#[derive(Debug, Default)]
pub struct Dict {
    entries: Mutex<Entries>,
    /// Of `namespace()`: its entries are attributes that `{% set %}` may assign.
    pub is_namespace: bool,
}

impl Drop for Dict {
    fn drop(&mut self) {
        let entries = self.entries.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if entries.iter().any(|(key, value)| key.as_object().is_some() || value.as_object().is_some()) {
            bury(std::mem::take(entries).into_iter().flat_map(|(key, value)| [key, value]));
        }
    }
}

impl Dict {
    pub fn value(entries: Entries) -> Value {
        Value::from_object(Dict { entries: Mutex::new(entries), is_namespace: false })
    }

    pub fn namespace(entries: Entries) -> Value {
        Value::from_object(Dict { entries: Mutex::new(entries), is_namespace: true })
    }

    pub fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }

    /// As `List::snapshot`.
    pub fn snapshot(&self) -> Entries {
        self.entries().clone()
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        check_key(key).ok()?;
        self.entries().get(key).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.entries().get_str(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let entries = self.entries();
        if !limits::affords_items(entries.len()) {
            return Enumerator::Empty;
        }
        Enumerator::Values(entries.keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.entries().len())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.is_namespace || !self.entries().is_empty()
    }

    fn call_method(self: &Arc<Self>, _state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        super::methods::dict_method(self, method, args)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Dict>()?;
        // Copies are what such a comparison costs.
        if !limits::affords_items(self.entries().len().saturating_mul(8)) {
            return Some(Ordering::Less);
        }
        let left = self.snapshot();
        let right = other.snapshot();
        let same = limits::deeper(|| {
            left.len() == right.len()
                && left.iter().all(|(key, value)| limits::affords_items(1) && right.get(key) == Some(value))
        });
        if same.is_none() {
            limits::affords(u64::MAX);
        }
        Some(if same == Some(true) { Ordering::Equal } else { left.len().cmp(&right.len()).then(Ordering::Less) })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.snapshot();
        if self.is_namespace {
            f.write_str("<Namespace ")?;
        }
        let written = limits::deeper(|| {
            f.write_str("{")?;
            for (index, (key, value)) in entries.iter().enumerate() {
                if !limits::affords_items(1) {
                    break;
                }
                f.write_str(if index > 0 { ", " } else { "" })?;
                write_repr(f, key)?;
                f.write_str(": ")?;
                write_repr(f, value)?;
            }
            f.write_str("}")
        });
        written.unwrap_or_else(|| f.write_str("{...}"))?;
        f.write_str(if self.is_namespace { ">" } else { "" })
    }
}

// ---- Callables ---------------------------------------------------------------------------------------------------------

/// A method that was taken and not yet called: `x|attr("upper")`.
#[derive(Debug)]
pub struct BoundMethod {
    pub of: Value,
    pub name: String,
}

impl Object for BoundMethod {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.of.call_method(state, &self.name, args)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<method {}>", self.name)
    }
}

// ---- Text --------------------------------------------------------------------------------------------------------------

/// Python's shortest text of a float.
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf".into() } else { "inf".into() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn write_string(f: &mut impl Write, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    f.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c == quote => write!(f, "\\{c}")?,
            c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(f, "\\x{:02x}", c as u32)?,
            c if (0x80..=0xa0).contains(&(c as u32)) || c as u32 == 0xad => write!(f, "\\x{:02x}", c as u32)?,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{e000}'..='\u{f8ff}' => {
                write!(f, "\\u{:04x}", c as u32)?;
            }
            c => f.write_char(c)?,
        }
    }
    f.write_char(quote)
}

fn write_sequence(f: &mut impl Write, items: &[Value], open: &str, close: &str) -> fmt::Result {
    let written = limits::deeper(|| {
        f.write_str(open)?;
        for (index, item) in items.iter().enumerate() {
            if !limits::affords_items(1) {
                break;
            }
            f.write_str(if index > 0 { ", " } else { "" })?;
            write_repr(f, item)?;
        }
        f.write_str(close)
    });
    written.unwrap_or_else(|| write!(f, "{open}...{close}"))
}

/// As Python's `repr`.
fn write_repr(f: &mut impl Write, value: &Value) -> fmt::Result {
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            if !limits::affords(text.len() as u64) {
                return Ok(());
            }
            if value.is_safe() {
                f.write_str("Markup(")?;
                write_string(f, text)?;
                return f.write_str(")");
            }
            write_string(f, text)
        }
        ValueKind::Undefined => f.write_str("Undefined"),
        _ => write_text(f, value),
    }
}

fn write_text(f: &mut impl Write, value: &Value) -> fmt::Result {
    match value.kind() {
        ValueKind::Number if !value.is_integer() => {
            f.write_str(&float_text(f64::try_from(value.clone()).unwrap_or_default()))
        }
        ValueKind::Seq | ValueKind::Iterable if !is_ours(value) => {
            let items: Vec<Value> = value.try_iter().map(|items| items.take(1 << 20).collect()).unwrap_or_default();
            write_sequence(f, &items, "[", "]")
        }
        _ => write!(f, "{value}"),
    }
}

fn is_ours(value: &Value) -> bool {
    value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Tuple>().is_some()
}

/// As Python's `str`.
pub fn text_of(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    if let Some(string) = value.as_str() {
        limits::text(string.len())?;
        text.push_str(string);
    } else {
        write_text(&mut text, value)?;
        limits::text(text.len())?;
    }
    Ok(text)
}

pub fn repr_of(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    write_repr(&mut text, value)?;
    limits::text(text.len())?;
    Ok(text)
}

/// The name of a value's type in Python, for messages.
pub fn type_of(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "Undefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number => {
            if value.is_integer() {
                "int"
            } else {
                "float"
            }
        }
        ValueKind::String => {
            if value.is_safe() {
                "Markup"
            } else {
                "str"
            }
        }
        ValueKind::Map => {
            if value.downcast_object_ref::<Dict>().is_some_and(|dict| !dict.is_namespace) {
                "dict"
            } else {
                "object"
            }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            if value.downcast_object_ref::<Tuple>().is_some() {
                "tuple"
            } else {
                "list"
            }
        }
        _ => "object",
    }
}

// ---- Keys --------------------------------------------------------------------------------------------------------------

/// Whether `key` can be a key: what is looked up by its hash must not change, nor be without end.
pub fn check_key(key: &Value) -> Result<(), Error> {
    match key.kind() {
        ValueKind::Undefined => Err(undefined_error()),
        ValueKind::Map | ValueKind::Iterable | ValueKind::Plain => Err(failed(format!("unhashable type: '{}'", type_of(key)))),
        ValueKind::Seq => {
            let Some(tuple) = key.downcast_object_ref::<Tuple>() else { return Err(failed("unhashable type: 'list'")) };
            let checked = limits::deeper(|| {
                limits::items(tuple.items.len().saturating_mul(4))?;
                tuple.items.iter().try_for_each(check_key)
            });
            checked.unwrap_or_else(|| Err(limits::too_much()))
        }
        _ => Ok(()),
    }
}

// ---- From and to other values ------------------------------------------------------------------------------------------

pub fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(value),
        serde_json::Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                Value::from(number)
            } else if let Some(number) = number.as_u64() {
                Value::from(number)
            } else {
                Value::from(number.as_f64().unwrap_or(f64::NAN))
            }
        }
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => List::value(items.into_iter().map(from_json).collect()),
        serde_json::Value::Object(members) => {
            Dict::value(members.into_iter().map(|(name, value)| (Value::from(name), from_json(value))).collect())
        }
    }
}

/// As `from_json`, without a tree in between.
pub fn parse_json(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    HAS_LARGE.set(false);
    let value = Json.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    if HAS_LARGE.get() {
        return super::exact::parse(text);
    }
    Ok(value)
}

thread_local! {
    /// Whether a number was read that may be a larger integer than serde_json knows.
    static HAS_LARGE: Cell<bool> = const { Cell::new(false) };
}
/// 2 to the 63rd.
const LARGE: f64 = 9_223_372_036_854_775_808.0;

/// What most lists and objects do not exceed.
const FEW: usize = 7;

struct Json;

impl<'de> DeserializeSeed<'de> for Json {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::from(value), Value::from))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= LARGE {
            HAS_LARGE.set(true);
        }
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(FEW);
        while let Some(item) = items.next_element_seed(Json)? {
            list.push(item);
        }
        Ok(List::value(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut entries = Entries::with_capacity(FEW);
        while let Some(name) = members.next_key_seed(Json)? {
            entries.insert(name, members.next_value_seed(Json)?);
        }
        Ok(Dict::value(entries))
    }
}

pub fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

pub fn undefined_error() -> Error {
    Error::from(ErrorKind::UndefinedError)
}

/// Whether `value` is undefined and may not be used so; what `x if false` gives may be.
pub fn is_forbidden(state: &State, value: &Value) -> bool {
    value.is_undefined() && state.undefined_behavior() == UndefinedBehavior::Strict && state.format(value.clone()).is_err()
}

/// The items of whatever Python would iterate over.
pub fn items_of(state: &State, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return if is_forbidden(state, value) { Err(undefined_error()) } else { Ok(Vec::new()) };
    }
    if let Some(list) = value.downcast_object_ref::<List>() {
        let items = list.items();
        limits::items(items.len())?;
        return Ok(items.clone());
    }
    if let Some(tuple) = value.downcast_object_ref::<Tuple>() {
        limits::items(tuple.items.len())?;
        return Ok(tuple.items.clone());
    }
    check_iterable(value)?;
    let mut items = Vec::new();
    for item in value.try_iter()? {
        limits::items(1)?;
        items.push(item);
    }
    Ok(items)
}

pub fn is_iterable(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Iterable => true,
        ValueKind::Map => value.downcast_object_ref::<Dict>().is_none_or(|dict| !dict.is_namespace),
        _ => false,
    }
}

pub fn check_iterable(value: &Value) -> Result<(), Error> {
    if is_iterable(value) {
        Ok(())
    } else {
        Err(failed(format!("'{}' object is not iterable", type_of(value))))
    }
}

/// The entries of a mapping.
pub fn entries_of(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        let entries = dict.entries();
        limits::items(entries.len())?;
        return Ok(entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    let object = value.as_object().filter(|object| object.repr() == ObjectRepr::Map);
    let Some(pairs) = object.and_then(|object| object.try_iter_pairs()) else {
        return Err(failed(format!("'{}' object is not a mapping", type_of(value))));
    };
    let pairs: Vec<(Value, Value)> = pairs.collect();
    limits::items(pairs.len())?;
    Ok(pairs)
}

//! Values of any type, exact: what a parameter without a closer type receives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::{json, Error, Result};

/// The members of an object.
pub type Object = BTreeMap<String, Value>;

/// Anything that JSON can hold, and bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// A number that neither i64 nor f64 holds exactly, as its digits: 18446744073709551616.
    Big(String),
    Float(f64),
    String(String),
    /// They came as a blob; fewer than 64 KiB arrive as base64 text.
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Object(Object),
}

static NULL: Value = Value::Null;

impl Value {
    /// Any serializable value as one of these.
    pub fn of(value: impl Serialize) -> Result<Value> {
        let written = crate::ser::write(&value, "").map_err(|why| Error::new("invalid_arguments", why, ""))?;
        written.into_value().map_err(|why| Error::new("invalid_arguments", why, ""))
    }

    /// A value of this type, if it fits.
    pub fn to<T: DeserializeOwned>(self) -> Result<T> {
        T::deserialize(self).map_err(|why| Error::new("invalid_result", why.to_string(), ""))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Int(value) = self { Some(*value) } else { None }
    }

    /// Any number, rounded where it has to be.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Big(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(value) = self { Some(value) } else { None }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(items) = self { Some(items) } else { None }
    }

    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(members) = self { Some(members) } else { None }
    }

    /// An object's member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }
}

/// An object's member, or null.
impl Index<&str> for Value {
    type Output = Value;
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }
}

/// An array's item, or null.
impl Index<usize> for Value {
    type Output = Value;
    fn index(&self, at: usize) -> &Value {
        self.as_array().and_then(|items| items.get(at)).unwrap_or(&NULL)
    }
}

/// As JSON text; bytes are base64.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        json::write(&mut text, self);
        out.write_str(&text)
    }
}

macro_rules! from {
    ($($kind:ty => $make:expr),* $(,)?) => { $(impl From<$kind> for Value {
        fn from(value: $kind) -> Value {
            $make(value)
        }
    })* };
}
from! {
    bool => Value::Bool, i64 => Value::Int, f64 => Value::Float, String => Value::String, Vec<Value> => Value::Array, Object => Value::Object,
    i32 => |value| Value::Int(i64::from(value)), u32 => |value| Value::Int(i64::from(value)),
    &str => |value: &str| Value::String(value.into()),
}

/// Arguments by name: `args! { text: "hello", times: 2 }`.
#[macro_export]
macro_rules! args {
    ($($name:ident : $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut members = $crate::Object::new();
        $(members.insert(stringify!($name).trim_start_matches("r#").to_string(), $crate::Value::of(&$value).expect("an argument that JSON can hold"));)*
        $crate::Value::Object(members)
    }};
}

/// A name that the two ends of this crate's own serializers know: a `Value` passes through them as it is.
pub(crate) const WHOLE: &str = "$sabir::Value";
/// The same for a number's digits.
pub(crate) const DIGITS: &str = "$sabir::Big";

thread_local! {
    static HANDED: RefCell<Option<Value>> = const { RefCell::new(None) };
}

pub(crate) fn hand(value: Value) {
    HANDED.with(|handed| *handed.borrow_mut() = Some(value));
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_newtype_struct(WHOLE, AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(HANDED.with(|handed| handed.borrow_mut().take()).unwrap_or_default())
    }
    fn visit_none<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Big(value.to_string()), Value::Int))
    }
    fn visit_i128<E>(self, value: i128) -> std::result::Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Big(value.to_string()), Value::Int))
    }
    fn visit_u128<E>(self, value: u128) -> std::result::Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Big(value.to_string()), Value::Int))
    }
    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Value::Float(value))
    }
    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.into()))
    }
    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_bytes<E>(self, value: &[u8]) -> std::result::Result<Value, E> {
        Ok(Value::Bytes(value.into()))
    }
    fn visit_byte_buf<E>(self, value: Vec<u8>) -> std::result::Result<Value, E> {
        Ok(Value::Bytes(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> std::result::Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Value, A::Error> {
        let mut members = Object::new();
        while let Some((name, value)) = access.next_entry()? {
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Big(digits) => serializer.serialize_newtype_struct(DIGITS, digits),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_bytes(value),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// A byte sequence: base64 text in JSON, a blob when it is large. (A `Vec<u8>` is an array of numbers, as serde has it.)
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes)
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Bytes, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Bytes;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("base64 text")
            }
            fn visit_bytes<E>(self, value: &[u8]) -> std::result::Result<Bytes, E> {
                Ok(Bytes(value.into()))
            }
            fn visit_byte_buf<E>(self, value: Vec<u8>) -> std::result::Result<Bytes, E> {
                Ok(Bytes(value))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<Bytes, E> {
                from_base64(value).map(Bytes).ok_or_else(|| E::custom("expected base64 text"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> std::result::Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = access.next_element()? {
                    bytes.push(byte);
                }
                if bytes.is_empty() { Err(A::Error::custom("expected base64 text")) } else { Ok(Bytes(bytes)) }
            }
        }
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn to_base64(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for part in data.chunks(3) {
        let bits = u32::from(part[0]) << 16 | u32::from(*part.get(1).unwrap_or(&0)) << 8 | u32::from(*part.get(2).unwrap_or(&0));
        for i in 0..4 {
            out.push(if i <= part.len() { char::from(BASE64[(bits >> (18 - 6 * i) & 63) as usize]) } else { '=' });
        }
    }
    out
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if text.len() % 4 != 0 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for (number, part) in text.chunks(4).enumerate() {
        let padding = part.iter().rev().take_while(|digit| **digit == b'=').count();
        if padding > 2 || (padding > 0 && (number + 1) * 4 != text.len()) {
            return None;
        }
        let mut bits = 0u32;
        for digit in &part[..4 - padding] {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * padding;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(out)
}

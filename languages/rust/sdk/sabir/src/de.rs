//! Values as Rust types. A value that has no exact place in its type is refused; the error says where it is.

use std::fmt::{self, Display};

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor};

use crate::value::{from_base64, hand, to_base64, Value, WHOLE};

/// What does not fit, and its JSON Pointer.
#[derive(Debug)]
pub struct Misfit {
    path: String,
    why: String,
}

impl Misfit {
    fn within(mut self, step: &str) -> Misfit {
        self.path.insert_str(0, &format!("/{}", step.replace('~', "~0").replace('/', "~1")));
        self
    }
}

impl Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { out.write_str(&self.why) } else { write!(out, "{}: {}", self.path, self.why) }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: Display>(message: T) -> Misfit {
        Misfit { path: String::new(), why: message.to_string() }
    }
}

const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

impl Value {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Value::Null => Unexpected::Other("null"),
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Int(value) => Unexpected::Signed(*value),
            Value::Big(_) => Unexpected::Other("a number beyond 64 bits"),
            Value::Float(value) => Unexpected::Float(*value),
            Value::String(value) => Unexpected::Str(value),
            Value::Bytes(_) => Unexpected::Other("bytes"),
            Value::Array(_) => Unexpected::Other("an array"),
            Value::Object(_) => Unexpected::Other("an object"),
        }
    }

    fn misfit(&self, expected: &dyn Expected) -> Misfit {
        de::Error::invalid_type(self.unexpected(), expected)
    }

    // 3.0 is an integer in JSON Schema.
    fn integral(self) -> Value {
        match self {
            Value::Float(value) if value.fract() == 0.0 && value.abs() <= LARGEST_EXACT => Value::Int(value as i64),
            other => other,
        }
    }
}

macro_rules! integers {
    ($($name:ident),*) => { $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integral().deserialize_any(visitor)
    })* };
}
macro_rules! floats {
    ($($name:ident),*) => { $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.as_f64() {
            Some(value) if value.is_finite() => visitor.visit_f64(value),
            _ => Err(self.misfit(&visitor)),
        }
    })* };
}
macro_rules! texts {
    ($($name:ident),*) => { $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Value::String(text) => visitor.visit_string(text),
            Value::Bytes(bytes) => visitor.visit_string(to_base64(&bytes)),
            other => Err(other.misfit(&visitor)),
        }
    })* };
}
macro_rules! sequences {
    ($($name:ident($($more:ty),*)),*) => { $(fn $name<V: Visitor<'de>>(self, $(_: $more,)* visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Value::Array(items) => visit_items(items, visitor),
            other => Err(other.misfit(&visitor)),
        }
    })* };
}

fn visit_items<'de, V: Visitor<'de>>(items: Vec<Value>, visitor: V) -> Result<V::Value, Misfit> {
    let length = items.len();
    let mut access = Items { items: items.into_iter(), index: 0 };
    let out = visitor.visit_seq(&mut access)?;
    if access.items.len() > 0 {
        return Err(de::Error::custom(format!("{length} items, where {} are expected", access.index)));
    }
    Ok(out)
}

impl<'de> Deserializer<'de> for Value {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Big(ref digits) => {
                if let Ok(value) = digits.parse::<u64>() {
                    visitor.visit_u64(value)
                } else if let Ok(value) = digits.parse::<i128>() {
                    visitor.visit_i128(value)
                } else if let Ok(value) = digits.parse::<u128>() {
                    visitor.visit_u128(value)
                } else {
                    Err(self.misfit(&visitor))
                }
            }
            Value::Float(value) => visitor.visit_f64(value),
            Value::String(value) => visitor.visit_string(value),
            Value::Bytes(value) => visitor.visit_byte_buf(value),
            Value::Array(items) => visit_items(items, visitor),
            Value::Object(members) => visitor.visit_map(Members { members: members.into_iter(), name: String::new(), value: None }),
        }
    }

    integers! {deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64, deserialize_i128, deserialize_u8, deserialize_u16,
        deserialize_u32, deserialize_u64, deserialize_u128}
    floats! {deserialize_f32, deserialize_f64}
    texts! {deserialize_char, deserialize_str, deserialize_string, deserialize_identifier}
    sequences! {deserialize_seq(), deserialize_tuple(usize), deserialize_tuple_struct(&'static str, usize)}

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_any(visitor)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_byte_buf(visitor)
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::String(text) => match from_base64(&text) {
                Some(bytes) => visitor.visit_byte_buf(bytes),
                None => Err(de::Error::custom("expected base64 text")),
            },
            other => Err(other.misfit(&visitor)),
        }
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.is_null() { visitor.visit_unit() } else { Err(self.misfit(&visitor)) }
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        if name == WHOLE {
            hand(self);
            return visitor.visit_unit();
        }
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if matches!(self, Value::Object(_)) { self.deserialize_any(visitor) } else { Err(self.misfit(&visitor)) }
    }
    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Value::String(variant) => visitor.visit_enum(Variant { name: variant, value: None }),
            Value::Object(members) if members.len() == 1 => {
                let (name, value) = members.into_iter().next().unwrap_or_default();
                visitor.visit_enum(Variant { name, value: Some(value) })
            }
            other => Err(other.misfit(&visitor)),
        }
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }
}

impl IntoDeserializer<'_, Misfit> for Value {
    type Deserializer = Value;
    fn into_deserializer(self) -> Value {
        self
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = Misfit;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let out = seed.deserialize(item).map_err(|misfit| misfit.within(&self.index.to_string()))?;
        self.index += 1;
        Ok(Some(out))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members {
    members: std::collections::btree_map::IntoIter<String, Value>,
    name: String,
    value: Option<Value>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Misfit;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        self.value = Some(value);
        self.name.clone_from(&name);
        seed.deserialize(Key(name)).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        seed.deserialize(self.value.take().unwrap_or_default()).map_err(|misfit| misfit.within(&self.name))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

// An object's key: a map's key may be an integer, a boolean or a unit variant too.
struct Key(String);

macro_rules! numeric_keys {
    ($($name:ident: $visit:ident $kind:ty),*) => { $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0.parse::<$kind>() {
            Ok(key) => visitor.$visit(key),
            Err(_) => Err(de::Error::invalid_type(Unexpected::Str(&self.0), &visitor)),
        }
    })* };
}

impl<'de> Deserializer<'de> for Key {
    type Error = Misfit;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_string(self.0)
    }
    numeric_keys! {deserialize_bool: visit_bool bool, deserialize_i8: visit_i8 i8, deserialize_i16: visit_i16 i16, deserialize_i32: visit_i32 i32,
        deserialize_i64: visit_i64 i64, deserialize_i128: visit_i128 i128, deserialize_u8: visit_u8 u8, deserialize_u16: visit_u16 u16,
        deserialize_u32: visit_u32 u32, deserialize_u64: visit_u64 u64, deserialize_u128: visit_u128 u128}
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_enum(Variant { name: self.0, value: None })
    }
    serde::forward_to_deserialize_any! {f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any}
}

struct Variant {
    name: String,
    value: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Misfit;
    type Variant = VariantBody;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, VariantBody), Misfit> {
        let value = seed.deserialize(Key(self.name.clone()))?;
        Ok((value, VariantBody { name: self.name, value: self.value }))
    }
}

struct VariantBody {
    name: String,
    value: Option<Value>,
}

impl VariantBody {
    fn body(self) -> Result<(String, Value), Misfit> {
        match self.value {
            Some(value) => Ok((self.name, value)),
            None => Err(de::Error::custom(format!("{} needs its value: {{\"{}\": …}}", self.name, self.name))),
        }
    }
}

impl<'de> VariantAccess<'de> for VariantBody {
    type Error = Misfit;
    fn unit_variant(self) -> Result<(), Misfit> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(value) => Err(value.misfit(&"a variant without a value").within(&self.name)),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        let (name, value) = self.body()?;
        seed.deserialize(value).map_err(|misfit| misfit.within(&name))
    }
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Misfit> {
        let (name, value) = self.body()?;
        value.deserialize_tuple(length, visitor).map_err(|misfit| misfit.within(&name))
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        let (name, value) = self.body()?;
        value.deserialize_struct("", fields, visitor).map_err(|misfit| misfit.within(&name))
    }
}

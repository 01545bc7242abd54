//! Rust values as JSON text with blobs beside it: strings and byte sequences of 64 KiB or more.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize, Serializer};

use crate::json::{self, write_float, write_string};
use crate::value::{to_base64, Value, DIGITS};

/// The size from which a string or a byte sequence is a blob.
pub const BLOB: usize = 65536;

/// JSON text; where it says null, `places` may name a blob: its JSON Pointer, and whether it is bytes.
#[derive(Debug, Default)]
pub struct Written {
    pub text: String,
    pub places: Vec<(String, bool)>,
    pub blobs: Vec<Vec<u8>>,
    path: String,
    digits: bool,
}

impl Written {
    /// The member `blobs` of params and results, with a comma before it; "" where there are none.
    pub fn listed(&self) -> String {
        if self.places.is_empty() {
            return String::new();
        }
        let mut out = String::from(",\"blobs\":[");
        for (index, (at, bytes)) in self.places.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str("{\"at\":");
            write_string(&mut out, at);
            out.push_str(if *bytes { ",\"type\":\"bytes\"}" } else { ",\"type\":\"string\"}" });
        }
        out.push(']');
        out
    }

    pub fn into_value(self) -> Result<Value, String> {
        let mut value = json::parse(&self.text)?;
        for ((at, bytes), blob) in self.places.into_iter().zip(self.blobs) {
            let put = if bytes { Value::Bytes(blob) } else { Value::String(String::from_utf8(blob).unwrap_or_default()) };
            match pointed(&mut value, &at) {
                Some(place) => *place = put,
                None => return Err(format!("the blob at {at} has no place")),
            }
        }
        Ok(value)
    }
}

/// What a JSON Pointer points to.
pub fn pointed<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    let mut at = value;
    for step in pointer.strip_prefix('/')?.split('/') {
        at = match at {
            Value::Array(items) if step == "0" || (!step.starts_with('0') && step.bytes().all(|digit| digit.is_ascii_digit())) => items.get_mut(step.parse::<usize>().ok()?)?,
            Value::Object(members) => members.get_mut(&step.replace("~1", "/").replace("~0", "~"))?,
            _ => return None,
        };
    }
    Some(at)
}

/// `at` is the JSON Pointer of the value as a whole. Errors: what JSON cannot carry, and where.
pub fn write<T: Serialize + ?Sized>(value: &T, at: &str) -> Result<Written, String> {
    let mut out = Written { path: at.into(), ..Written::default() };
    match value.serialize(&mut out) {
        Ok(()) => Ok(out),
        Err(Failure(why)) if out.path.len() > at.len() => Err(format!("{}: {why}", &out.path[at.len()..])),
        Err(Failure(why)) => Err(why),
    }
}

#[derive(Debug)]
pub struct Failure(String);

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: Display>(message: T) -> Failure {
        Failure(message.to_string())
    }
}

macro_rules! whole {
    ($($name:ident: $kind:ty),*) => { $(fn $name(self, value: $kind) -> Result<(), Failure> {
        self.text.push_str(&value.to_string());
        Ok(())
    })* };
}

impl<'a> Serializer for &'a mut Written {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    whole! {serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128}

    fn serialize_f32(self, value: f32) -> Result<(), Failure> {
        if value.is_finite() {
            self.text.push_str(&format!("{value:?}"));
            return Ok(());
        }
        self.serialize_f64(f64::from(value))
    }
    fn serialize_f64(self, value: f64) -> Result<(), Failure> {
        if !value.is_finite() {
            return Err(Failure(format!("JSON has no {value}")));
        }
        write_float(&mut self.text, value);
        Ok(())
    }
    fn serialize_char(self, value: char) -> Result<(), Failure> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<(), Failure> {
        if std::mem::take(&mut self.digits) {
            self.text.push_str(value);
        } else if value.len() >= BLOB {
            self.text.push_str("null");
            self.places.push((self.path.clone(), false));
            self.blobs.push(value.as_bytes().to_vec());
        } else {
            write_string(&mut self.text, value);
        }
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Failure> {
        if value.len() >= BLOB {
            self.text.push_str("null");
            self.places.push((self.path.clone(), true));
            self.blobs.push(value.to_vec());
        } else {
            write_string(&mut self.text, &to_base64(value));
        }
        Ok(())
    }
    fn serialize_none(self) -> Result<(), Failure> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Failure> {
        self.text.push_str("null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failure> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Failure> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Failure> {
        self.digits = name == DIGITS;
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, variant: &'static str, value: &T) -> Result<(), Failure> {
        let mut members = self.serialize_map(None)?;
        members.member(variant, value)?;
        members.close()
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Failure> {
        Ok(Items::open(self, None))
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Failure> {
        Ok(Items::open(self, None))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Failure> {
        Ok(Items::open(self, None))
    }
    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Items<'a>, Failure> {
        Ok(Items::open(self, Some(variant)))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Failure> {
        Ok(Members::open(self, None))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Failure> {
        Ok(Members::open(self, None))
    }
    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Members<'a>, Failure> {
        Ok(Members::open(self, Some(variant)))
    }
}

fn step_into(path: &mut String, name: &str) {
    path.push('/');
    if name.contains(['~', '/']) {
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        path.push_str(name);
    }
}

// {"Variant": before a variant's own fields.
fn open_variant(out: &mut Written, variant: Option<&str>) {
    if let Some(variant) = variant {
        out.text.push('{');
        write_string(&mut out.text, variant);
        out.text.push(':');
        step_into(&mut out.path, variant);
    }
}

pub struct Items<'a> {
    out: &'a mut Written,
    index: usize,
    path: usize, // its length before this value
    variant: bool,
}

impl<'a> Items<'a> {
    fn open(out: &'a mut Written, variant: Option<&str>) -> Items<'a> {
        let path = out.path.len();
        open_variant(out, variant);
        out.text.push('[');
        Items { out, index: 0, path, variant: variant.is_some() }
    }
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        if self.index > 0 {
            self.out.text.push(',');
        }
        let path = self.out.path.len();
        step_into(&mut self.out.path, &self.index.to_string());
        value.serialize(&mut *self.out)?;
        self.out.path.truncate(path);
        self.index += 1;
        Ok(())
    }
    fn close(self) -> Result<(), Failure> {
        self.out.text.push_str(if self.variant { "]}" } else { "]" });
        self.out.path.truncate(self.path);
        Ok(())
    }
}

macro_rules! items {
    ($($kind:ident $method:ident),*) => { $(impl ser::$kind for Items<'_> {
        type Ok = ();
        type Error = Failure;
        fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
            self.item(value)
        }
        fn end(self) -> Result<(), Failure> {
            self.close()
        }
    })* };
}
items! {SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field}

pub struct Members<'a> {
    out: &'a mut Written,
    first: bool,
    path: usize,
    name: String,
    variant: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Written, variant: Option<&str>) -> Members<'a> {
        let path = out.path.len();
        open_variant(out, variant);
        out.text.push('{');
        Members { out, first: true, path, name: String::new(), variant: variant.is_some() }
    }
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        if !std::mem::take(&mut self.first) {
            self.out.text.push(',');
        }
        write_string(&mut self.out.text, name);
        self.out.text.push(':');
        let path = self.out.path.len();
        step_into(&mut self.out.path, name);
        value.serialize(&mut *self.out)?;
        self.out.path.truncate(path);
        Ok(())
    }
    fn close(self) -> Result<(), Failure> {
        self.out.text.push_str(if self.variant { "}}" } else { "}" });
        self.out.path.truncate(self.path);
        Ok(())
    }
}

macro_rules! members {
    ($($kind:ident),*) => { $(impl ser::$kind for Members<'_> {
        type Ok = ();
        type Error = Failure;
        fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Failure> {
            self.member(name, value)
        }
        fn end(self) -> Result<(), Failure> {
            self.close()
        }
    })* };
}
members! {SerializeStruct, SerializeStructVariant}

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Failure;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        let mut written = Written::default();
        key.serialize(&mut written)?;
        self.name = match json::parse(&written.text).map_err(Failure)? {
            _ if !written.places.is_empty() => return Err(Failure("a key of 64 KiB or more".into())),
            Value::String(name) => name,
            Value::Int(_) | Value::Big(_) | Value::Bool(_) => written.text,
            _ => return Err(Failure(format!("a key has to be a string, not {}", written.text))),
        };
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let name = std::mem::take(&mut self.name);
        self.member(&name, value)
    }
    fn end(self) -> Result<(), Failure> {
        self.close()
    }
}

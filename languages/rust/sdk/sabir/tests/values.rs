//! Values against serde_json, which knows the same types.

use std::collections::{BTreeMap, HashMap};

use sabir::{args, Bytes, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Inner {
    x: f64,
    #[serde(default)]
    more: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Outside {
    Unit,
    New(Inner),
    Pair(u8, bool),
    Named { of: i64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Inside {
    Unit,
    New(Inner),
    Named { of: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Whole(i64),
    Part(f64),
    Text(String),
    Many(Vec<Untagged>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

// What is written here reads as serde_json writes it, and comes back as it was.
fn both_ways<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
    let own = Value::of(&value).unwrap();
    let theirs: serde_json::Value = serde_json::to_value(&value).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&own.to_string()).unwrap(), theirs, "{value:?}");
    assert_eq!(own.to::<T>().unwrap(), value);
}

#[test]
fn serde_types_are_carried_as_serde_json_carries_them() {
    both_ways((1u8, -1i64, u64::MAX, 1.5f64, true, 'é', "text \" \\ \n \u{1}".to_string(), ()));
    both_ways(vec![Some(1), None]);
    both_ways(HashMap::from([(7u16, vec!["a".to_string()])]));
    for one in [Outside::Unit, Outside::New(Inner::default()), Outside::Pair(1, true), Outside::Named { of: -3 }] {
        both_ways(one);
    }
    for one in [Inside::Unit, Inside::New(Inner { x: 0.1, more: Some("m".into()) }), Inside::Named { of: 2.5 }] {
        both_ways(one);
    }
    both_ways(Untagged::Many(vec![Untagged::Whole(1), Untagged::Part(1.5), Untagged::Text("t".into())]));
    both_ways(Flat { id: 1, inner: Inner { x: 1.0, more: None }, rest: BTreeMap::from([("other".into(), args! { deep: [1, 2] })]) });
}

#[test]
fn large_numbers_are_exact_or_refused() {
    let big = Value::Big("123456789012345678901234567890".into());
    assert_eq!(big.to_string(), "123456789012345678901234567890");
    assert_eq!(big.clone().to::<i128>().unwrap(), 123456789012345678901234567890);
    assert_eq!(big.clone().to::<Value>().unwrap(), big);
    assert!(big.clone().to::<u64>().is_err());
    assert!(big.clone().to::<serde_json::Value>().is_err());
    assert_eq!(Value::of(u64::MAX).unwrap().to::<u64>().unwrap(), u64::MAX);
    assert_eq!(Value::Float(3.0).to::<i32>().unwrap(), 3);
    assert!(Value::Float(3.5).to::<i32>().is_err());
}

#[test]
fn what_json_cannot_carry_is_refused_with_its_place() {
    let error = Value::of(args_of(f64::NAN)).unwrap_err();
    assert!(error.message.contains("/list/1") && error.message.contains("NaN"), "{error}");
    assert!(Value::of(HashMap::from([((1, 2), 3)])).is_err());
    let error = args! { list: [1, 2], inner: args! { x: "a" } }.to::<Outer>().unwrap_err();
    assert!(error.message.starts_with("/inner/x: "), "{error}");
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Outer {
    list: Vec<i32>,
    inner: Inner,
}

fn args_of(number: f64) -> BTreeMap<&'static str, Vec<f64>> {
    BTreeMap::from([("list", vec![1.0, number])])
}

#[test]
fn bytes_are_base64_text_and_stay_bytes_when_large() {
    assert_eq!(Value::of(Bytes(vec![1, 2, 255])).unwrap(), Value::String("AQL/".into()));
    assert_eq!(Value::String("AQL/".into()).to::<Bytes>().unwrap(), Bytes(vec![1, 2, 255]));
    let large = Bytes(vec![7; 70_000]);
    assert_eq!(Value::of(&large).unwrap(), Value::Bytes(large.0.clone()));
    assert_eq!(args! { a: large }.to::<BTreeMap<String, Bytes>>().unwrap()["a"], large);
    for wrong in ["A", "AQL", "AQ=L", "====", "AQL\n"] {
        assert!(Value::String(wrong.into()).to::<Bytes>().is_err(), "{wrong}");
    }
}

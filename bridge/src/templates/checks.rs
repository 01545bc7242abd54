//! Jinja2's tests: what may stand after `is`.

use super::call::Bound;
use super::filters;
use super::functions::NotExported;
use super::limits;
use super::operators::{compared, contains, equal, operand_undefined};
use super::values::{failed, is_forbidden, is_iterable, type_of, Dict};
use minijinja::value::{ObjectRepr, ValueKind};
use minijinja::{Environment, Error, State, Value};

type Check = fn(&State, &Value, &Value) -> Result<bool, Error>;

/// Tests of a value alone; the second operand is undefined.
const ALONE: &[(&str, Check)] = &[
    ("boolean", |_, value, _| Ok(value.kind() == ValueKind::Bool)),
    ("callable", |_, value, _| Ok(is_callable(value))),
    ("defined", |_, value, _| Ok(!is_missing(value))),
    ("undefined", |_, value, _| Ok(is_missing(value))),
    ("escaped", |_, value, _| Ok(value.is_safe())),
    ("safe", |_, value, _| Ok(value.is_safe())),
    ("even", |_, value, _| Ok(integer(value)? % 2 == 0)),
    ("odd", |_, value, _| Ok(integer(value)? % 2 != 0)),
    ("false", |_, value, _| Ok(value.kind() == ValueKind::Bool && !value.is_true())),
    ("true", |_, value, _| Ok(value.kind() == ValueKind::Bool && value.is_true())),
    ("filter", |_, value, _| Ok(value.as_str().is_some_and(|name| filters::names().any(|known| known == name)))),
    ("test", |_, value, _| Ok(value.as_str().is_some_and(|name| names().any(|known| known == name)))),
    ("float", |_, value, _| Ok(value.kind() == ValueKind::Number && !value.is_integer())),
    ("integer", |_, value, _| Ok(value.is_integer())),
    ("iterable", |_, value, _| Ok(is_iterable(value))),
    ("lower", |_, value, _| Ok(has_case(value, char::is_lowercase, char::is_uppercase))),
    ("upper", |_, value, _| Ok(has_case(value, char::is_uppercase, char::is_lowercase))),
    ("mapping", |_, value, _| Ok(is_mapping(value))),
    ("none", |_, value, _| Ok(value.is_none())),
    ("number", |_, value, _| Ok(matches!(value.kind(), ValueKind::Number | ValueKind::Bool))),
    ("sequence", |_, value, _| Ok(is_iterable(value) && !value.is_undefined())),
    ("string", |_, value, _| Ok(value.kind() == ValueKind::String)),
];

/// Tests of a value against another.
const AGAINST: &[(&str, Check)] = &[
    ("divisibleby", |_, value, other| {
        let by = integer(other)?;
        if by == 0 {
            return Err(failed("division by zero"));
        }
        Ok(integer(value)? % by == 0)
    }),
    ("sameas", |_, value, other| Ok(is_same(value, other))),
    ("in", |state, value, other| contains(state, other, value)),
    ("startingwith", |_, value, other| Ok(value.as_str().zip(other.as_str()).is_some_and(|(text, part)| text.starts_with(part)))),
    ("endingwith", |_, value, other| Ok(value.as_str().zip(other.as_str()).is_some_and(|(text, part)| text.ends_with(part)))),
    ("==", |_, value, other| equal(value, other)),
    ("eq", |_, value, other| equal(value, other)),
    ("equalto", |_, value, other| equal(value, other)),
    ("!=", |_, value, other| equal(value, other).map(|same| !same)),
    ("ne", |_, value, other| equal(value, other).map(|same| !same)),
    ("<", |state, value, other| compared(state, "<", value, other)),
    ("lt", |state, value, other| compared(state, "<", value, other)),
    ("lessthan", |state, value, other| compared(state, "<", value, other)),
    ("<=", |state, value, other| compared(state, "<=", value, other)),
    ("le", |state, value, other| compared(state, "<=", value, other)),
    (">", |state, value, other| compared(state, ">", value, other)),
    ("gt", |state, value, other| compared(state, ">", value, other)),
    ("greaterthan", |state, value, other| compared(state, ">", value, other)),
    (">=", |state, value, other| compared(state, ">=", value, other)),
    ("ge", |state, value, other| compared(state, ">=", value, other)),
];

pub fn names() -> impl Iterator<Item = &'static str> {
    ALONE.iter().chain(AGAINST).map(|(name, _)| *name)
}

pub fn add_to(environment: &mut Environment) {
    environment.remove_test("int");
    for (name, check) in ALONE {
        environment.add_test(*name, |state: &State, args: &[Value]| {
            let args = Bound::new(name, &["value"], args)?;
            let value = args.get(0);
            if !matches!(*name, "defined" | "undefined") && is_forbidden(state, &value) {
                return Err(operand_undefined(0));
            }
            limits::call()?;
            check(state, &value, &Value::UNDEFINED)
        });
    }
    for (name, check) in AGAINST {
        environment.add_test(*name, |state: &State, args: &[Value]| {
            let args = Bound::new(name, &["value", "other"], args)?;
            let (value, other) = (args.get(0), args.required(1)?);
            for (index, operand) in [&value, &other].into_iter().enumerate() {
                if is_forbidden(state, operand) {
                    return Err(operand_undefined(index));
                }
            }
            limits::call()?;
            check(state, &value, &other)
        });
    }
}

fn is_missing(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<NotExported>().is_some()
}

fn integer(value: &Value) -> Result<i128, Error> {
    match value.kind() {
        ValueKind::Bool => Ok(i128::from(value.is_true())),
        ValueKind::Number => {
            let number = i128::try_from(value.clone());
            number.map_err(|_| failed("a whole number is needed"))
        }
        _ => Err(failed(format!("a whole number is needed, not {}", type_of(value)))),
    }
}

fn has_case(value: &Value, keeps: fn(char) -> bool, breaks: fn(char) -> bool) -> bool {
    value.as_str().filter(|text| limits::affords(text.len() as u64)).is_some_and(|text| text.chars().any(keeps) && !text.chars().any(breaks))
}

fn is_mapping(value: &Value) -> bool {
    value.downcast_object_ref::<Dict>().is_some_and(|dict| !dict.is_namespace)
}

fn is_callable(value: &Value) -> bool {
    let Some(object) = value.as_object() else { return false };
    let ours = is_mapping(value) || is_missing(value);
    match object.repr() {
        ObjectRepr::Plain => !ours,
        // Macros are maps of what is known about them.
        ObjectRepr::Map => !ours && object.get_value_by_str("arguments").is_some(),
        _ => false,
    }
}

fn is_same(value: &Value, other: &Value) -> bool {
    match (value.as_object(), other.as_object()) {
        (Some(_), Some(_)) => same_object(value, other),
        (None, None) => value.kind() == other.kind() && value.is_integer() == other.is_integer() && value == other,
        _ => false,
    }
}

fn same_object(value: &Value, other: &Value) -> bool {
    use super::values::{List, Tuple};
    use std::sync::Arc;
    fn same<T: 'static>(value: &Value, other: &Value) -> bool {
        value.downcast_object::<T>().zip(other.downcast_object::<T>()).is_some_and(|(left, right)| Arc::ptr_eq(&left, &right))
    }
    same::<List>(value, other) || same::<Tuple>(value, other) || same::<Dict>(value, other)
}

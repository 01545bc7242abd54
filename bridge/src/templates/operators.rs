//! Python's operators on values, within the limits of a rendering.

use super::formats;
use super::limits;
use super::values::{failed, is_forbidden, text_of, type_of, Dict, List, Tuple};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};
use std::cmp::Ordering;

#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Int(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Number::Int),
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

pub fn int_value(number: i128) -> Value {
    match i64::try_from(number) {
        Ok(small) => Value::from(small),
        Err(_) => Value::from(number),
    }
}

/// An undefined operand, told by its place among the operands.
pub fn operand_undefined(index: usize) -> Error {
    Error::new(ErrorKind::UndefinedError, format!("\u{1}{index}"))
}

/// The place that `operand_undefined` wrote into an error's detail.
pub fn operand_of(detail: &str) -> Option<usize> {
    detail.strip_prefix('\u{1}')?.parse().ok()
}

fn unsupported(operator: &str, left: &Value, right: &Value) -> Error {
    failed(format!("unsupported operand type(s) for {operator}: '{}' and '{}'", type_of(left), type_of(right)))
}

fn too_large() -> Error {
    failed("the number is too large")
}

/// `[a, "+", b, "-", c]`, from left to right.
pub fn arithmetic(operands: &[Value]) -> Result<Value, Error> {
    let mut result = operands.first().cloned().unwrap_or_default();
    for (index, pair) in operands[1..].chunks(2).enumerate() {
        let [operator, right] = pair else { break };
        if result.is_undefined() {
            return Err(operand_undefined(index));
        }
        if right.is_undefined() {
            return Err(operand_undefined(index + 1));
        }
        result = binary(operator.as_str().unwrap_or_default(), &result, right)?;
    }
    Ok(result)
}

fn binary(operator: &str, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (number(left), number(right)) {
        return numeric(operator, a, b);
    }
    match operator {
        "+" => add(left, right),
        "*" => {
            if let Some(Number::Int(times)) = number(right) {
                return repeat(left, times).unwrap_or_else(|| Err(unsupported(operator, left, right)));
            }
            if let Some(Number::Int(times)) = number(left) {
                return repeat(right, times).unwrap_or_else(|| Err(unsupported(operator, left, right)));
            }
            Err(unsupported(operator, left, right))
        }
        "%" if left.kind() == ValueKind::String => {
            let args = match right.downcast_object_ref::<Tuple>() {
                Some(tuple) => tuple.items().to_vec(),
                None => vec![right.clone()],
            };
            let named = right.downcast_object_ref::<Dict>().map(|_| right);
            formats::printf(left, &args, named)
        }
        _ => Err(unsupported(operator, left, right)),
    }
}

fn numeric(operator: &str, left: Number, right: Number) -> Result<Value, Error> {
    let divides = matches!(operator, "/" | "//" | "%");
    if divides && right.float() == 0.0 {
        return Err(failed("division by zero"));
    }
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        let result = match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "//" => a.checked_div_euclid(b).map(|quotient| if b < 0 && a.rem_euclid(b) != 0 { quotient - 1 } else { quotient }),
            "%" => a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
            "**" if b >= 0 => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            _ => return float_operation(operator, left.float(), right.float()),
        };
        return result.map(int_value).ok_or_else(too_large);
    }
    float_operation(operator, left.float(), right.float())
}

fn float_operation(operator: &str, a: f64, b: f64) -> Result<Value, Error> {
    let result = match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "//" => (a / b).floor(),
        "%" => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                rest + b
            } else {
                rest
            }
        }
        _ => {
            if a == 0.0 && b < 0.0 {
                return Err(failed("0.0 cannot be raised to a negative power"));
            }
            let power = a.powf(b);
            if power.is_nan() && !a.is_nan() && !b.is_nan() || power.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(too_large());
            }
            power
        }
    };
    Ok(Value::from(result))
}

fn add(left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        limits::text(a.len() + b.len())?;
        return Ok(like(left.is_safe() || right.is_safe(), {
            if left.is_safe() != right.is_safe() {
                let escaped = |value: &Value, text: &str| if value.is_safe() { text.to_string() } else { formats::escaped(text) };
                escaped(left, a) + &escaped(right, b)
            } else {
                [a, b].concat()
            }
        }));
    }
    if let (Some(a), Some(b)) = (left.downcast_object_ref::<List>(), right.downcast_object_ref::<List>()) {
        let mut a = a.snapshot();
        let b = b.snapshot();
        limits::items(a.len() + b.len())?;
        a.extend(b);
        return Ok(List::value(a));
    }
    if let (Some(a), Some(b)) = (left.downcast_object_ref::<Tuple>(), right.downcast_object_ref::<Tuple>()) {
        limits::items(a.items().len() + b.items().len())?;
        return Ok(Tuple::value([a.items(), b.items()].concat()));
    }
    Err(unsupported("+", left, right))
}

/// A text that is as safe to print as `safe` says.
pub fn like(safe: bool, text: String) -> Value {
    if safe {
        Value::from_safe_string(text)
    } else {
        Value::from(text)
    }
}

fn repeat(value: &Value, times: i128) -> Option<Result<Value, Error>> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    if let Some(text) = value.as_str() {
        return Some(limits::text(text.len().saturating_mul(times)).map(|()| like(value.is_safe(), text.repeat(times))));
    }
    let (items, is_list) = match (value.downcast_object_ref::<List>(), value.downcast_object_ref::<Tuple>()) {
        (Some(list), _) => (list.snapshot(), true),
        (_, Some(tuple)) => (tuple.items().to_vec(), false),
        _ => return None,
    };
    Some(limits::items(items.len().saturating_mul(times)).map(|()| {
        let repeated = std::iter::repeat_n(items, times).flatten().collect();
        if is_list {
            List::value(repeated)
        } else {
            Tuple::value(repeated)
        }
    }))
}

/// `["-", x]`.
pub fn sign(operands: &[Value]) -> Result<Value, Error> {
    let [sign, value] = operands else { return Err(failed("a sign needs a value")) };
    if value.is_undefined() {
        return Err(operand_undefined(0));
    }
    let minus = sign.as_str() == Some("-");
    match number(value) {
        Some(Number::Int(number)) if minus => number.checked_neg().map(int_value).ok_or_else(too_large),
        Some(Number::Int(number)) => Ok(int_value(number)),
        Some(Number::Float(number)) => Ok(Value::from(if minus { -number } else { number })),
        None => Err(failed(format!("bad operand type for unary {sign}: '{}'", type_of(value)))),
    }
}

pub fn concat(state: &State, operands: &[Value]) -> Result<Value, Error> {
    let escapes = state.auto_escape() != minijinja::AutoEscape::None || operands.iter().any(Value::is_safe);
    let mut text = String::new();
    for (index, operand) in operands.iter().enumerate() {
        if is_forbidden(state, operand) {
            return Err(operand_undefined(index));
        }
        let part = text_of(operand)?;
        if escapes && !operand.is_safe() {
            text += &formats::escaped(&part);
        } else {
            text += &part;
        }
    }
    Ok(like(escapes, text))
}

// ---- Comparisons -------------------------------------------------------------------------------------------------------

pub fn equal(left: &Value, right: &Value) -> Result<bool, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        limits::text(a.len().min(b.len()) / 16)?;
        return Ok(a == b);
    }
    // Python's True is 1; a list is no tuple.
    let same = match (number(left), number(right)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => a == b,
        (Some(a), Some(b)) => a.float() == b.float(),
        _ => type_of(left) == type_of(right) && left == right,
    };
    if limits::is_spent() {
        return Err(limits::too_much());
    }
    Ok(same)
}

pub fn order(operator: &str, left: &Value, right: &Value) -> Result<Ordering, Error> {
    if let (Some(a), Some(b)) = (number(left), number(right)) {
        return Ok(match (a, b) {
            (Number::Int(a), Number::Int(b)) => a.cmp(&b),
            _ => a.float().partial_cmp(&b.float()).unwrap_or(Ordering::Equal),
        });
    }
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        limits::text(a.len().min(b.len()) / 16)?;
        return Ok(a.cmp(b));
    }
    let items = |value: &Value| {
        let list = value.downcast_object_ref::<List>().map(|list| list.snapshot());
        list.or_else(|| value.downcast_object_ref::<Tuple>().map(|tuple| tuple.items().to_vec()))
    };
    if type_of(left) == type_of(right) {
        if let (Some(a), Some(b)) = (items(left), items(right)) {
            return limits::deeper(|| ordered_items(operator, &a, &b)).unwrap_or_else(|| Err(limits::too_much()));
        }
    }
    if left.is_undefined() || right.is_undefined() {
        return Err(operand_undefined(usize::from(!left.is_undefined())));
    }
    Err(failed(format!("'{operator}' not supported between instances of '{}' and '{}'", type_of(left), type_of(right))))
}

fn ordered_items(operator: &str, left: &[Value], right: &[Value]) -> Result<Ordering, Error> {
    for (left, right) in left.iter().zip(right) {
        limits::items(1)?;
        if !equal(left, right)? {
            return order(operator, left, right);
        }
    }
    Ok(left.len().cmp(&right.len()))
}

pub fn contains(state: &State, holder: &Value, item: &Value) -> Result<bool, Error> {
    if let Some(text) = holder.as_str() {
        let Some(part) = item.as_str() else {
            return Err(failed(format!("'in <string>' requires string as left operand, not {}", type_of(item))));
        };
        limits::text(text.len() / 16)?;
        return Ok(text.contains(part));
    }
    if holder.kind() == ValueKind::Map {
        return Ok(holder.as_object().is_some_and(|object| object.get_value(item).is_some()));
    }
    for candidate in super::values::items_of(state, holder)? {
        if equal(&candidate, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `[a, "<", b, "in", c]`: true when each pair is.
pub fn compare(state: &State, operands: &[Value]) -> Result<Value, Error> {
    for (index, triple) in operands.windows(3).step_by(2).enumerate() {
        let [left, operator, right] = triple else { break };
        for (offset, operand) in [left, right].into_iter().enumerate() {
            if is_forbidden(state, operand) {
                return Err(operand_undefined(index + offset));
            }
        }
        if !compared(state, operator.as_str().unwrap_or_default(), left, right)? {
            return Ok(Value::from(false));
        }
    }
    Ok(Value::from(true))
}

pub fn compared(state: &State, operator: &str, left: &Value, right: &Value) -> Result<bool, Error> {
    Ok(match operator {
        "==" => equal(left, right)?,
        "!=" => !equal(left, right)?,
        "in" => contains(state, right, left)?,
        "not in" => !contains(state, right, left)?,
        "<" => order("<", left, right)? == Ordering::Less,
        "<=" => order("<=", left, right)? != Ordering::Greater,
        ">" => order(">", left, right)? == Ordering::Greater,
        _ => order(">=", left, right)? != Ordering::Less,
    })
}

/// `[value, key]`.
pub fn item(state: &State, operands: &[Value]) -> Result<Value, Error> {
    let [value, key] = operands else { return Err(failed("an item needs a value and a key")) };
    if value.is_undefined() {
        if state.undefined_behavior() == minijinja::UndefinedBehavior::Chainable {
            return Ok(Value::UNDEFINED);
        }
        return Err(operand_undefined(0));
    }
    if is_forbidden(state, key) {
        return Err(operand_undefined(1));
    }
    // Python's characters are counted from the start.
    limits::text(value.as_str().map_or(1, |text| text.len() / 4))?;
    if let (ValueKind::Bool, ValueKind::String | ValueKind::Seq) = (key.kind(), value.kind()) {
        return value.get_item(&Value::from(i64::from(key.is_true())));
    }
    value.get_item(key)
}

// ---- Slices ------------------------------------------------------------------------------------------------------------

/// `[value, start, stop, step]`.
pub fn slice(state: &State, operands: &[Value]) -> Result<Value, Error> {
    let [value, start, stop, step] = operands else { return Err(failed("a slice needs four operands")) };
    if is_forbidden(state, value) {
        return Err(operand_undefined(0));
    }
    let bound = |value: &Value| -> Result<Option<i64>, Error> {
        if value.is_none() {
            return Ok(None);
        }
        match number(value) {
            Some(Number::Int(number)) => Ok(Some(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)),
            _ => Err(failed("slice indices must be integers or None")),
        }
    };
    let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(failed("slice step cannot be zero"));
    }
    if let Some(text) = value.as_str() {
        limits::text(text.len())?;
        let chars: Vec<char> = text.chars().collect();
        return Ok(like(value.is_safe(), picked(chars.len(), start, stop, step).map(|index| chars[index]).collect()));
    }
    if value.kind() == ValueKind::Map || !super::values::is_iterable(value) {
        return Err(failed(format!("'{}' object cannot be sliced", type_of(value))));
    }
    let items = super::values::items_of(state, value)?;
    let result = picked(items.len(), start, stop, step).map(|index| items[index].clone()).collect();
    Ok(if value.downcast_object_ref::<Tuple>().is_some() { Tuple::value(result) } else { List::value(result) })
}

fn picked(len: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let len = len as i64;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |bound: i64| (if bound < 0 { bound.saturating_add(len) } else { bound }).clamp(low, high);
    let first = start.map_or(if step > 0 { low } else { high }, clamp);
    let last = stop.map_or(if step > 0 { high } else { low }, clamp);
    let mut at = first;
    std::iter::from_fn(move || {
        if (step > 0 && at >= last) || (step < 0 && at <= last) {
            return None;
        }
        let index = at as usize;
        at = at.saturating_add(step);
        Some(index)
    })
}

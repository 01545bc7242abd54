//! One Jinja2 expression over the members of a JSON object, such as `amount > 100`: is it true?

use crate::{guard, write_out, Buf, Str};
use minijinja::{Environment, UndefinedBehavior, Value};

const FUEL: u64 = 10_000;

fn is_true(expression: &str, context: &str) -> Result<bool, String> {
    let context: serde_json::Value = serde_json::from_str(context).map_err(|error| error.to_string())?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let compiled = environment.compile_expression(expression).map_err(|error| said(&error))?;
    let value = compiled.eval(Value::from_serialize(&context)).map_err(|error| said(&error))?;
    if value.is_undefined() {
        return Err("it is undefined".to_string());
    }
    Ok(value.is_true())
}

fn said(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

/// # Safety
/// `expression` and `context_json` are readable; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_expression(expression: Str, context_json: Str, error: *mut Buf) -> i32 {
    let answer = guard(|| is_true(unsafe { expression.text() }?, unsafe { context_json.text() }?)).and_then(|answer| answer);
    match answer {
        Ok(answer) => i32::from(answer),
        Err(message) => {
            unsafe { write_out(error, message) };
            -1
        }
    }
}

/// # Safety
/// As [`sb_expression`].
#[no_mangle]
pub unsafe extern "C" fn sb_expression_check(expression: Str, error: *mut Buf) -> i32 {
    let checked = guard(|| {
        let text = unsafe { expression.text() }?;
        Environment::new().compile_expression(text).map(|_| ()).map_err(|error| said(&error))
    })
    .and_then(|checked| checked);
    match checked {
        Ok(()) => 0,
        Err(message) => {
            unsafe { write_out(error, message) };
            1
        }
    }
}

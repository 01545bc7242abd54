//! Keeps what outlives a run, in the project's one store: every other language reads it too.

use sabir::{memory, Value};

/// Keeps a result under a name, in place of the one that was there.
///
/// # Arguments
///
/// * `result` - anything that JSON can hold
/// * `name` - what to ask for it by (default latest)
///
/// # Returns
///
/// the result's version: 1 for the first of that name, then 2, and so on
pub fn store_result(result: &Value, name: &str) -> sabir::Result<u64> {
    memory::put(&format!("results/{name}"), result)
}

/// Gives back the result that was last stored under a name, or null if there is none.
///
/// # Arguments
///
/// * `name` - the name it was stored under (default latest)
///
/// Effect: read
pub fn retrieve_result(name: &str) -> sabir::Result<Option<Value>> {
    memory::get(&format!("results/{name}"))
}

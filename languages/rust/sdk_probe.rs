//! Does through the SDK what tests/languages/sdk_behaviour.json asks.

use sabir::memory::{self, PutOptions};
use sabir::{args, Context, Error, Message, Object, Value};
use serde::Serialize;

/// The SDK's call.
pub fn probe_call(address: &str, arguments: Object) -> sabir::Result<Value> {
    sabir::call(address, arguments)
}

#[derive(Serialize)]
pub struct Told {
    pub r#type: String,
    pub message: String,
    pub hint: String,
}

/// The error that comes.
pub fn probe_call_error(address: &str, arguments: Object) -> Result<Told, String> {
    match sabir::call::<Value>(address, arguments) {
        Ok(_) => Err("there was no error".into()),
        Err(Error { kind, message, hint, .. }) => Ok(Told { r#type: kind, message, hint }),
    }
}

/// The addresses of all functions.
pub fn probe_functions() -> sabir::Result<Vec<String>> {
    let mut addresses: Vec<String> = sabir::functions()?.into_iter().map(|one| one.address).collect();
    addresses.sort();
    Ok(addresses)
}

/// memory put
///
/// * `namespace` - where (default "")
pub fn probe_put(key: &str, value: Value, namespace: &str) -> sabir::Result<u64> {
    memory::put_with(key, &value, &PutOptions { namespace, ..PutOptions::default() })
}

/// Conditional put.
pub fn probe_put_if(key: &str, value: Value, version: u64) -> Object {
    let told = match memory::put_with(key, &value, &PutOptions { if_version: Some(version), ..PutOptions::default() }) {
        Ok(version) => args! { version: version },
        Err(error) => args! { type: error.kind },
    };
    told.as_object().cloned().unwrap_or_default()
}

/// memory get
///
/// * `namespace` - where (default "")
pub fn probe_get(key: &str, namespace: &str) -> sabir::Result<Option<Value>> {
    memory::get_from(namespace, key)
}

#[derive(Serialize)]
pub struct Item {
    pub key: String,
    pub value: Value,
}

/// memory list
pub fn probe_list(prefix: &str) -> sabir::Result<Vec<Item>> {
    Ok(memory::list("", prefix)?.into_iter().map(|item| Item { key: item.key, value: item.value }).collect())
}

/// memory delete
pub fn probe_delete(key: &str) -> sabir::Result<bool> {
    memory::delete("", key)
}

/// Adds a message.
pub fn probe_append(conversation: &str, role: String, content: String) -> sabir::Result<u64> {
    memory::append(conversation, &Message { role, content })
}

/// The last messages.
///
/// * `limit` - how many (default 0)
pub fn probe_messages(conversation: &str, limit: usize) -> sabir::Result<Vec<Message>> {
    memory::messages(conversation, limit)
}

/// A completion's text.
pub fn probe_render(name: &str, variables: Object) -> sabir::Result<String> {
    sabir::render(name, variables)
}

/// A model's reply.
pub fn probe_complete(prompt: &str) -> sabir::Result<String> {
    Ok(sabir::complete(prompt)?.content)
}

#[derive(Serialize)]
pub struct Answered {
    pub content: String,
    pub conversation_is_set: bool,
}

/// Asks an assistant.
pub fn probe_ask(assistant: &str, message: &str) -> sabir::Result<Answered> {
    let answer = sabir::ask(assistant, message, "")?;
    Ok(Answered { content: answer.content, conversation_is_set: !answer.conversation.is_empty() })
}

/// A secret's value.
///
/// Secrets: probe_secret
pub fn probe_secret(name: &str) -> sabir::Result<String> {
    sabir::secret(name)
}

/// The type of the error.
pub fn probe_secret_error(name: &str) -> String {
    sabir::secret(name).err().map_or(String::new(), |error| error.kind)
}

/// Reports each step.
pub fn probe_progress(steps: u32) -> u32 {
    for step in 1..=steps {
        sabir::progress(step.into(), steps.into(), "");
    }
    steps
}

/// Writes one record.
pub fn probe_log(message: String) -> String {
    sabir::log("info", &message);
    message
}

/// The caller's context.
pub fn probe_context(context: Context) -> Context {
    context
}

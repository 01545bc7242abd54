//! The project's one store, which every language shares.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{channel, named, Message, Object, Result, Value};

/// Of `put_with`.
#[derive(Clone, Debug, Default)]
pub struct PutOptions<'a> {
    /// "" = the usual one.
    pub namespace: &'a str,
    /// Only when the item has this version; 0: only when the key is new. Else an error of kind "conflict".
    pub if_version: Option<u64>,
    pub ttl: Option<Duration>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    pub key: String,
    pub value: Value,
    pub version: u64,
    pub updated_ms: u64,
}

fn within(namespace: &str, mut params: Object) -> Object {
    if !namespace.is_empty() {
        params.insert("namespace".into(), namespace.into());
    }
    params
}

/// Stores a value and gives its version.
pub fn put(key: &str, value: &(impl Serialize + ?Sized)) -> Result<u64> {
    put_with(key, value, &PutOptions::default())
}

/// Stores under conditions.
pub fn put_with(key: &str, value: &(impl Serialize + ?Sized), options: &PutOptions<'_>) -> Result<u64> {
    #[derive(Deserialize)]
    struct Put {
        version: u64,
    }
    let mut params = within(options.namespace, named("key", key));
    if let Some(version) = options.if_version {
        params.insert("if_version".into(), Value::of(version)?);
    }
    if let Some(ttl) = options.ttl {
        params.insert("ttl_ms".into(), Value::of(ttl.as_millis() as u64)?);
    }
    Ok(channel::ask::<Put>("memory.put", params, "value", value)?.version)
}

/// An item's value; None when there is none.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    get_from("", key)
}

/// `get` in a namespace.
pub fn get_from<T: DeserializeOwned>(namespace: &str, key: &str) -> Result<Option<T>> {
    #[derive(Deserialize)]
    struct Got {
        found: bool,
        #[serde(default)]
        value: Value,
    }
    let got: Got = channel::ask("memory.get", within(namespace, named("key", key)), "", &())?;
    if !got.found {
        return Ok(None);
    }
    got.value.to().map(Some).map_err(|mut error| {
        error.message = format!("the item {key} does not fit: {}", error.message);
        error
    })
}

/// The items whose keys begin with `prefix`, in the order of their keys.
pub fn list(namespace: &str, prefix: &str) -> Result<Vec<Item>> {
    #[derive(Deserialize)]
    struct Listed {
        items: Vec<Item>,
    }
    const PAGE: usize = 1000;
    let mut all: Vec<Item> = Vec::new();
    loop {
        let mut params = within(namespace, named("prefix", prefix));
        params.insert("limit".into(), Value::of(PAGE)?);
        if let Some(last) = all.last() {
            params.insert("after".into(), last.key.clone().into());
        }
        let page = channel::ask::<Listed>("memory.list", params, "", &())?.items;
        let end = page.len() < PAGE;
        all.extend(page);
        if end {
            return Ok(all);
        }
    }
}

/// Whether there was such an item.
pub fn delete(namespace: &str, key: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Deleted {
        deleted: bool,
    }
    Ok(channel::ask::<Deleted>("memory.delete", within(namespace, named("key", key)), "", &())?.deleted)
}

/// Adds a message to a conversation's log and gives its number.
pub fn append(conversation: &str, message: &Message) -> Result<u64> {
    #[derive(Deserialize)]
    struct Appended {
        seq: u64,
    }
    Ok(channel::ask::<Appended>("memory.append", named("conversation", conversation), "message", message)?.seq)
}

/// A conversation's last messages, oldest first; limit 0 = the engine's own.
pub fn messages(conversation: &str, limit: usize) -> Result<Vec<Message>> {
    #[derive(Deserialize)]
    struct Logged {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Listed {
        messages: Vec<Logged>,
    }
    let mut params = named("conversation", conversation);
    if limit > 0 {
        params.insert("limit".into(), Value::of(limit)?);
    }
    let listed: Listed = channel::ask("memory.messages", params, "", &())?;
    Ok(listed.messages.into_iter().map(|one| one.message).collect())
}

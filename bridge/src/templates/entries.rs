//! A dict's entries in the order of their insertion. Most dicts have a few, whose keys are compared sooner than one is hashed;
//! a larger one has a table of its keys' hashes.

use hashbrown::HashTable;
use minijinja::Value;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

const FEW: usize = 8;

#[derive(Clone, Debug, Default)]
pub struct Entries {
    pairs: Vec<(Value, Value)>,
    /// Places in `pairs` by the hashes of their keys; empty as long as there are few.
    table: HashTable<usize>,
}

fn hash(key: &Value) -> u64 {
    static STATE: OnceLock<RandomState> = OnceLock::new();
    STATE.get_or_init(RandomState::new).hash_one(key)
}

impl Entries {
    pub fn with_capacity(count: usize) -> Self {
        Entries { pairs: Vec::with_capacity(count), table: HashTable::new() }
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn place(&self, key: &Value) -> Option<usize> {
        if self.table.is_empty() {
            return self.pairs.iter().position(|(known, _)| known == key);
        }
        self.table.find(hash(key), |place| self.pairs[*place].0 == *key).copied()
    }

    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.place(key).map(|place| &self.pairs[place].1)
    }

    pub fn get_str(&self, key: &str) -> Option<&Value> {
        if self.table.is_empty() {
            return self.pairs.iter().find(|(known, _)| known.as_str() == Some(key)).map(|(_, value)| value);
        }
        self.get(&Value::from(key))
    }

    pub fn get_mut(&mut self, key: &Value) -> Option<&mut Value> {
        self.place(key).map(|place| &mut self.pairs[place].1)
    }

    /// The value that was there before.
    pub fn insert(&mut self, key: Value, value: Value) -> Option<Value> {
        if let Some(place) = self.place(&key) {
            return Some(std::mem::replace(&mut self.pairs[place].1, value));
        }
        if !self.table.is_empty() {
            let pairs = &self.pairs;
            self.table.insert_unique(hash(&key), pairs.len(), |place| hash(&pairs[*place].0));
        }
        self.pairs.push((key, value));
        if self.table.is_empty() && self.pairs.len() > FEW {
            self.index();
        }
        None
    }

    pub fn insert_missing(&mut self, key: Value, value: Value) {
        if self.place(&key).is_none() {
            self.insert(key, value);
        }
    }

    fn index(&mut self) {
        self.table.clear();
        if self.pairs.len() <= FEW {
            return;
        }
        let pairs = &self.pairs;
        for (place, (key, _)) in pairs.iter().enumerate() {
            self.table.insert_unique(hash(key), place, |place| hash(&pairs[*place].0));
        }
    }

    /// What follows the entry moves up.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        let (_, value) = self.pairs.remove(self.place(key)?);
        self.index();
        Some(value)
    }

    pub fn pop(&mut self) -> Option<(Value, Value)> {
        let last = self.pairs.len().checked_sub(1)?;
        if let Ok(entry) = self.table.find_entry(hash(&self.pairs[last].0), |place| *place == last) {
            entry.remove();
        }
        self.pairs.pop()
    }

    pub fn retain(&mut self, keeps: impl Fn(&Value) -> bool) {
        let before = self.pairs.len();
        self.pairs.retain(|(key, _)| keeps(key));
        if self.pairs.len() < before {
            self.index();
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.pairs.iter().map(|(key, value)| (key, value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &Value> {
        self.pairs.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.pairs.iter().map(|(_, value)| value)
    }
}

impl Extend<(Value, Value)> for Entries {
    fn extend<T: IntoIterator<Item = (Value, Value)>>(&mut self, pairs: T) {
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl FromIterator<(Value, Value)> for Entries {
    fn from_iter<T: IntoIterator<Item = (Value, Value)>>(pairs: T) -> Self {
        let mut entries = Entries::default();
        entries.extend(pairs);
        entries
    }
}

impl IntoIterator for Entries {
    type Item = (Value, Value);
    type IntoIter = std::vec::IntoIter<(Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

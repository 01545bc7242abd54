"use strict";
// The project's memory: the same data from every language, scoped by the caller's context.

const {request} = require("./channel.cjs");

/** Items in the order of their keys, each {key, value, version, updatedMs (Unix milliseconds)}; also read by key. */
class Items extends Array {
  static get [Symbol.species]() {
    return Array;
  }

  /** The value stored under `key`, or undefined. */
  get(key) {
    return this.find((item) => item.key === key)?.value;
  }

  has(key) {
    return this.some((item) => item.key === key);
  }

  toObject() {
    return Object.fromEntries(this.map((item) => [item.key, item.value]));
  }
}

const paging = {size: 500};

/**
 * Stores a JSON value and returns its version, 1 for a new key.
 *
 * ifVersion: store only when the present version is this one (0: only when the key is new), else SabirError "conflict".
 * ttl: seconds after which the item is gone.
 */
async function put(key, value, {namespace = "default", ifVersion, ttl} = {}) {
  const params = {namespace, key, value};
  if (ifVersion !== undefined && ifVersion !== null) params.if_version = ifVersion;
  if (ttl !== undefined && ttl !== null) params.ttl_ms = Math.trunc(ttl * 1000);
  return (await request("memory.put", params, ["value"])).version;
}

/** The value stored under `key`, or `default` (null unless given). */
async function get(key, {namespace = "default", default: otherwise = null} = {}) {
  const result = await request("memory.get", {namespace, key}, [], true);
  return result.found ? (result.value ?? null) : otherwise;
}

/** All items whose key starts with `prefix`, as Items. */
async function list(prefix = "", {namespace = "default"} = {}) {
  const found = new Items();
  for (let after = ""; ;) {
    const params = {namespace, prefix, limit: paging.size};
    if (after) params.after = after;
    const page = (await request("memory.list", params, [], true)).items;
    for (const item of page) {
      found.push({key: item.key, value: item.value ?? null, version: item.version ?? 0, updatedMs: item.updated_ms ?? 0});
    }
    if (page.length < paging.size) return found;
    after = page.at(-1).key;
  }
}

/** Removes an item; whether there was one. */
async function remove(key, {namespace = "default"} = {}) {
  return (await request("memory.delete", {namespace, key})).deleted;
}

/** Adds a message {role, content} to a conversation's log and returns its number. */
async function append(conversation, message) {
  return (await request("memory.append", {conversation, message}, ["message"])).seq;
}

/** A conversation's last messages, oldest first. */
async function messages(conversation, {limit = 50} = {}) {
  const result = await request("memory.messages", {conversation, limit}, [], true);
  return result.messages.map((entry) => entry.message);
}

module.exports = {Items, append, delete: remove, get, list, messages, paging, put};

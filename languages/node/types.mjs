// TypeScript and JSDoc types to JSON Schema 2020-12, as docs/function-schema.md says.
import {typeOfText} from "./declarations.mjs";
import {description} from "./docs.mjs";

/** Under this key a schema says what a JSON value becomes before the function sees it: date, bytes, bigint, set, map, url. */
export const CONVERT = Symbol("convert");

// Types that name each other double at every step; a file's types together have at most this many parts.
const MAX_PARTS = 20_000;
const MAX_DEPTH = 60;

const ANY = () => ({});
const of = (type) => ({type});

export function arrayOf(items) {
  return Object.keys(items).length > 0 ? {type: "array", items} : {type: "array"};
}

function mapOf(values) {
  return Object.keys(values).length > 0 ? {type: "object", additionalProperties: values} : {type: "object"};
}

export function enumOf(values) {
  const out = {};
  if (values.every((value) => typeof value === "string")) out.type = "string";
  else if (values.every((value) => Number.isInteger(value))) out.type = "integer";
  return {...out, enum: values};
}

export function anyOf(choices) {
  const unique = new Map();
  for (const choice of choices) {
    const keys = Object.keys(choice);
    if (keys.length === 0) return {};
    for (const one of keys.length === 1 && choice.anyOf ? choice.anyOf : [choice]) {
      const key = JSON.stringify(one);
      if (!unique.has(key)) unique.set(key, one);
    }
  }
  const all = [...unique.values()];
  if (all.length === 1) return all[0];
  if (all.every((one) => Object.keys(one).length === 1 && one.type !== undefined)) return {type: [...new Set(all.flatMap((one) => one.type))]};
  return {anyOf: all};
}

const WORDS = {
  string: () => of("string"), number: () => of("number"), boolean: () => of("boolean"),
  bigint: () => ({type: "integer", [CONVERT]: "bigint"}), null: () => of("null"), undefined: () => of("null"), void: () => of("null"),
  any: ANY, unknown: ANY, never: ANY, object: () => of("object"),
  String: () => of("string"), Number: () => of("number"), Boolean: () => of("boolean"), BigInt: () => ({type: "integer", [CONVERT]: "bigint"}),
  Date: () => ({type: "string", format: "date-time", [CONVERT]: "date"}), URL: () => ({type: "string", format: "uri", [CONVERT]: "url"}),
};
const BYTES = new Set(["Uint8Array", "Buffer", "ArrayBuffer", "Uint8ClampedArray", "ArrayBufferLike"]);
const NUMBERS = new Set(["Int8Array", "Int16Array", "Int32Array", "Uint16Array", "Uint32Array", "Float32Array", "Float64Array"]);
const ARRAYS = new Set(["Array", "ReadonlyArray", "Iterable", "ArrayLike", "array"]);
const SETS = new Set(["Set", "ReadonlySet"]);
const MAPS = new Set(["Map", "ReadonlyMap"]);
export const PROMISES = new Set(["Promise", "PromiseLike", "Awaited"]);
export const STREAMS = new Set(["AsyncGenerator", "Generator", "AsyncIterable", "AsyncIterator", "Iterator", "IterableIterator",
  "AsyncIterableIterator", "ReadableStream", "AsyncIteratorObject", "IteratorObject", "Readable"]);

/** A type that no value from JSON can have. */
export class Unservable extends Error {}

/** The types of one file. warn(text) receives what could not be told. */
export class Types {
  constructor(file, typedefs, isJsDoc) {
    this.file = file;
    this.typedefs = typedefs;
    this.isJsDoc = isJsDoc;
    this.parts = 0;
    this.warn = () => {};
  }

  /** The type's text as written. */
  text(type) {
    if (type.text !== undefined) return type.text;
    const {tokens, source} = this.file;
    return type.from === undefined || type.from >= type.to ? "" : source.slice(tokens[type.from].start, tokens[type.to - 1].end);
  }

  /** Whether the type is sabir's Context. */
  isContext(type) {
    if (type?.k !== "name" || (type.name !== "Context" && !type.name.endsWith(".Context"))) {
      const imported = type?.k === "name" ? this.file.imports.get(type.name) : undefined;
      return imported?.module === "sabir" && imported.name === "Context";
    }
    if (type.name === "Context") {
      if (this.file.types.has("Context") || this.typedefs.has("Context")) return false;
      const imported = this.file.imports.get("Context");
      return imported === undefined || imported.module === "sabir";
    }
    const [first] = type.name.split(".");
    return type.imported === true || first.toLowerCase() === "sabir" || this.file.imports.get(first)?.module === "sabir";
  }

  /** {schema, optional}: optional where `undefined` is among the choices. Errors: Unservable. */
  schema(type, scope = {names: new Map(), open: []}) {
    if (++this.parts > MAX_PARTS || scope.open.length > MAX_DEPTH) {
      if (this.parts === MAX_PARTS + 1) this.warn("its types are too large to describe: anything is accepted below");
      return {};
    }
    switch (type.k) {
      case "literal":
        return enumOf([type.value]);
      case "array":
        return arrayOf(this.schema(type.item, scope));
      case "tuple":
        return this.tuple(type, scope);
      case "object":
        return this.object(type, scope);
      case "union":
        return this.union(type, scope);
      case "and":
        return this.intersection(type, scope);
      case "function":
        throw new Unservable("a function, which JSON cannot carry");
      case "name":
        return this.named(type, scope);
      default:
        this.warn(`the type ${this.text(type)} is not evaluated: anything is accepted`);
        return {};
    }
  }

  union(type, scope) {
    const literals = [];
    const choices = [];
    let hasNull = false;
    let place = -1;
    for (const one of flat(type)) {
      if (one.k === "name" && one.name === "undefined") continue;
      if (one.k === "name" && (one.name === "null" || one.name === "void")) {
        hasNull = true;
      } else if (one.k === "literal" || (one.k === "name" && (one.name === "true" || one.name === "false"))) {
        if (place < 0) place = choices.length;
        literals.push(one.k === "literal" ? one.value : one.name === "true");
      } else {
        choices.push(this.schema(one, scope));
      }
    }
    const both = literals.includes(true) && literals.includes(false);
    const others = both ? literals.filter((value) => typeof value !== "boolean") : literals;
    if (both) choices.splice(place, 0, of("boolean"));
    if (others.length > 0) choices.splice(Math.max(place, 0), 0, enumOf([...new Set(others)]));
    if (hasNull) choices.push(of("null"));
    return choices.length === 0 ? of("null") : anyOf(choices);
  }

  tuple(type, scope) {
    const fixed = type.items.filter((item) => !item.rest);
    const rest = type.items.find((item) => item.rest);
    const out = {type: "array"};
    const prefix = fixed.map((item) => this.schema(item.type, scope));
    if (prefix.length > 0) out.prefixItems = prefix;
    out.minItems = fixed.filter((item) => !item.optional).length;
    if (rest === undefined) {
      out.maxItems = fixed.length;
    } else {
      const items = this.schema(rest.type, scope);
      if (items.items !== undefined) out.items = items.items;
    }
    return out;
  }

  object(type, scope) {
    if (type.mapped !== undefined) return this.mapped(type, scope);
    const properties = {};
    const required = [];
    for (const member of type.members) {
      if (member.type?.k === "function") continue;
      let schema = member.type === null ? {} : this.schema(member.type, scope);
      const text = description(member.doc) || member.text || "";
      if (text !== "") schema = {...schema, description: text};
      if (member.value !== undefined) schema = {...schema, default: member.value};
      define(properties, member.name, schema);
      if (!member.optional && !hasUndefined(member.type)) required.push(member.name);
    }
    if (type.index !== null && type.index !== undefined) {
      const values = this.schema(type.index, scope);
      if (type.members.length === 0) return mapOf(values);
      const out = {type: "object", properties};
      if (required.length > 0) out.required = required;
      if (Object.keys(values).length > 0) out.additionalProperties = values;
      return out;
    }
    const out = {type: "object", properties};
    if (required.length > 0) out.required = required;
    out.additionalProperties = false;
    return type.members.length === 0 ? of("object") : out;
  }

  mapped(type, scope) {
    const keys = type.mapped.keys === null ? null : this.literals(type.mapped.keys, scope);
    const values = this.schema(type.index, scope);
    if (keys === null) return mapOf(values);
    const out = {type: "object", properties: Object.fromEntries(keys.map((key) => [key, values]))};
    if (!type.mapped.optional) out.required = keys;
    out.additionalProperties = false;
    return out;
  }

  intersection(type, scope) {
    const all = type.of.map((one) => this.schema(one, scope)).filter((one) => Object.keys(one).length > 0);
    if (all.length === 1) return all[0];
    if (all.length > 0 && all.every((one) => one.type === "object")) return merged(all);
    if (all.some((one) => one.type === "string" || one.type === "number")) return all.find((one) => one.type !== "object");
    this.warn(`the type ${this.text(type)} is not evaluated: anything is accepted`);
    return {};
  }

  // The strings of a union of literals; null when the type is anything else.
  literals(type, scope) {
    const found = this.schema(type, scope);
    return Array.isArray(found.enum) && found.enum.every((value) => typeof value === "string") ? found.enum : null;
  }

  named(type, scope) {
    const {name, args} = type;
    if (scope.names.has(name)) {
      const bound = scope.names.get(name);
      return bound === null ? {} : this.schema(bound.type, bound.scope);
    }
    const declared = this.file.types.get(name) ?? this.typedefs.get(name);
    if (declared !== undefined) return this.declared(name, declared, args, scope);
    const first = args[0] === undefined ? () => ({}) : () => this.schema(args[0], scope);
    if (name === "true" || name === "false") return enumOf([name === "true"]);
    if (Object.hasOwn(WORDS, name)) return WORDS[name]();
    if (BYTES.has(name)) return {type: "string", contentEncoding: "base64", [CONVERT]: name === "ArrayBuffer" ? "buffer" : "bytes"};
    if (NUMBERS.has(name)) return arrayOf(of("number"));
    if (ARRAYS.has(name)) return arrayOf(first());
    if (SETS.has(name)) return {...arrayOf(first()), uniqueItems: true, [CONVERT]: "set"};
    if (MAPS.has(name)) return {...mapOf(args[1] === undefined ? {} : this.schema(args[1], scope)), [CONVERT]: "map"};
    if (STREAMS.has(name)) return arrayOf(first());
    if (PROMISES.has(name) || name === "Readonly" || name === "NoInfer") return first();
    if (name === "NonNullable") return withoutNull(first());
    if (name === "Partial" || name === "Required" || name === "Pick" || name === "Omit") return this.utility(name, args, scope);
    if (name === "Record" || name === "Object") return this.record(args, scope);
    if (name === "Exclude" || name === "Extract") return this.filtered(name, type, args, scope);
    if (name === "Uppercase" || name === "Lowercase" || name === "Capitalize" || name === "Uncapitalize") return of("string");
    if (name === "Function" || name === "CallableFunction") throw new Unservable("a function, which JSON cannot carry");
    if (name === "symbol" || name === "Symbol") throw new Unservable("a symbol, which JSON cannot carry");
    if (this.isJsDoc && ["int", "integer", "Integer"].includes(name)) return of("integer");
    if (this.isJsDoc && ["bool", "float", "double", "str"].includes(name)) return of({bool: "boolean", str: "string"}[name] ?? "number");
    if (/^[A-Z]$/.test(name)) return {};
    const [base] = name.split(".");
    const isEnumMember = name.includes(".") && this.file.types.get(base)?.k === "enum";
    if (isEnumMember) return this.declared(base, this.file.types.get(base), [], scope);
    const where = type.imported || this.file.imports.has(base) ? "comes from another file" : "is not known";
    this.warn(`the type ${name} ${where}: anything is accepted`);
    return {};
  }

  declared(name, declared, args, scope) {
    if (scope.open.includes(name)) return {};
    const names = new Map();
    (declared.parameters ?? []).forEach((parameter, index) => names.set(parameter, args[index] === undefined ? null : {type: args[index], scope}));
    const inner = {names, open: [...scope.open, name]};
    let found;
    switch (declared.k) {
      case "enum":
        if (declared.values.some((value) => value === undefined) || declared.values.length === 0) {
          this.warn(`the enum ${name} has values that are computed: anything is accepted`);
          return {};
        }
        return enumOf([...new Set(declared.values)]);
      case "class":
        this.warn(`the type ${name} is a class: anything is accepted`);
        return {};
      case "interface":
        found = this.object(declared.body, inner);
        if (declared.bases.length > 0) {
          const bases = declared.bases.map((base) => this.schema(base, inner)).filter((base) => base.type === "object");
          found = merged([...bases, found]);
        }
        break;
      default:
        found = this.schema(declared.type, inner);
    }
    const text = description(declared.doc);
    return text === "" || found.description !== undefined || Object.keys(found).length === 0 ? found : {...found, description: text};
  }

  utility(name, args, scope) {
    const base = args[0] === undefined ? {} : this.schema(args[0], scope);
    if (base.properties === undefined) return base;
    const keys = args[1] === undefined ? null : this.literals(args[1], scope);
    const out = {...base, properties: {...base.properties}};
    if (name === "Partial") delete out.required;
    else if (name === "Required") out.required = Object.keys(out.properties);
    else if (keys !== null) {
      for (const key of Object.keys(out.properties)) if (keys.includes(key) === (name === "Omit")) delete out.properties[key];
      out.required = (out.required ?? []).filter((key) => key in out.properties);
      if (out.required.length === 0) delete out.required;
    }
    delete out.description;
    return ordered(out);
  }

  record(args, scope) {
    if (args.length < 2) return of("object");
    const keys = this.literals(args[0], scope);
    const values = this.schema(args[1], scope);
    if (keys === null) return mapOf(values);
    return {type: "object", properties: Object.fromEntries(keys.map((key) => [key, values])), required: keys, additionalProperties: false};
  }

  filtered(name, type, args, scope) {
    const all = args[0] === undefined ? {} : this.schema(args[0], scope);
    const some = args[1] === undefined ? {} : this.schema(args[1], scope);
    if (!Array.isArray(all.enum) || !Array.isArray(some.enum)) {
      this.warn(`the type ${this.text(type)} is not evaluated: anything is accepted`);
      return {};
    }
    return enumOf(all.enum.filter((value) => some.enum.includes(value) === (name === "Extract")));
  }
}

function define(object, name, value) {
  Object.defineProperty(object, name, {value, enumerable: true, configurable: true, writable: true});
}

function flat(type) {
  return type.k === "union" ? type.of.flatMap(flat) : [type];
}

/** Whether a value may be left out: `undefined` is among the choices. */
export function hasUndefined(type) {
  return type !== null && type !== undefined && type.k === "union" && flat(type).some((one) => one.k === "name" && one.name === "undefined");
}

function withoutNull(schema) {
  if (Array.isArray(schema.type)) return anyOf(schema.type.filter((type) => type !== "null").map(of));
  if (Array.isArray(schema.anyOf)) return anyOf(schema.anyOf.filter((one) => one.type !== "null"));
  return schema;
}

function ordered({type, properties, required, additionalProperties, ...rest}) {
  const out = {type, properties};
  if (required !== undefined) out.required = required;
  if (additionalProperties !== undefined) out.additionalProperties = additionalProperties;
  return {...out, ...rest};
}

function merged(all) {
  const properties = {};
  const required = new Set();
  let open = false;
  let values;
  for (const one of all) {
    for (const [name, schema] of Object.entries(one.properties ?? {})) define(properties, name, schema);
    for (const name of one.required ?? []) required.add(name);
    if (one.additionalProperties !== false) {
      open = true;
      if (one.additionalProperties !== undefined) values = one.additionalProperties;
    }
  }
  const out = {type: "object", properties};
  if (required.size > 0) out.required = [...required];
  if (!open) out.additionalProperties = false;
  else if (values !== undefined) out.additionalProperties = values;
  return out;
}

/** JSDoc's @typedef comments as declared types: {object with properties}, or an alias. */
export function typedefsOf(docs) {
  const out = new Map();
  for (const doc of docs) {
    for (const {name, type, properties} of doc.typedefs) {
      if (name === "") continue;
      const alias = type === "" ? null : typeOfText(type);
      out.set(name, properties.length > 0 ? {k: "alias", parameters: doc.templates, type: objectOf(properties), doc: null}
        : {k: "alias", parameters: doc.templates, type: alias ?? {k: "other", text: type}, doc: null});
    }
  }
  return out;
}

/** JSDoc's properties ({name: "a.b", type, optional, value, text}) as an object type. */
export function objectOf(properties) {
  const members = [];
  for (const property of properties) {
    const parts = property.name.split(".");
    let at = members;
    for (const part of parts.slice(0, -1)) {
      const found = at.find((member) => member.name === part);
      if (found === undefined) break;
      const holder = found.type?.k === "array" ? found.type.item : found.type;
      if (holder?.k === "object") at = holder.members;
      else {
        const made = {k: "object", members: [], index: null};
        found.type = found.type?.k === "array" ? {k: "array", item: made} : made;
        at = made.members;
      }
    }
    const type = property.type === "" ? null : typeOfText(property.type) ?? {k: "other", text: property.type};
    const value = literalOf(property.value);
    at.push({name: parts.at(-1), optional: property.optional || type?.optional === true, type, doc: null, text: property.text, value});
  }
  return {k: "object", members, index: null};
}

/** A JSDoc default's value: [n=3], [name="x"]; undefined where it is no literal. */
export function literalOf(text) {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text.replace(/^'([^'"\\]*)'$/, '"$1"'));
  } catch {
    return undefined;
  }
}

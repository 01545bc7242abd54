// TypeScript and JSDoc types to JSON Schema 2020-12, as docs/function-schema.md says.
import {typeOfText} from "./typesyntax.mjs";
import {description, docOf} from "./docs.mjs";

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
const CASES = {
  Uppercase: (text) => text.toUpperCase(), Lowercase: (text) => text.toLowerCase(),
  Capitalize: (text) => text.slice(0, 1).toUpperCase() + text.slice(1), Uncapitalize: (text) => text.slice(0, 1).toLowerCase() + text.slice(1),
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

/** The types of one file. */
export class Types {
  /** shared: what the files of one source have in common. siblings: where types come from, or null. */
  constructor(path, file, typedefs, isJsDoc, siblings = null, shared = {parts: 0, isResult: false, warn: () => {}}) {
    this.path = path;
    this.file = file;
    this.typedefs = typedefs;
    this.isJsDoc = isJsDoc;
    this.siblings = siblings;
    this.shared = shared;
  }

  /** What could not be told. */
  warn(text) {
    this.shared.warn(text);
  }

  /** Names bound to the bounds of type parameters: {names, open}, the scope of a function or of a declared type. */
  bound(parameters, args = [], scope = {names: new Map(), open: []}) {
    const names = new Map();
    const inner = {names, open: scope.open};
    parameters.forEach(({name, bound, otherwise}, index) => {
      if (args[index] !== undefined) names.set(name, {type: args[index], scope, types: args.types ?? this});
      else if ((otherwise ?? bound) !== null) names.set(name, {type: otherwise ?? bound, scope: inner, types: this, own: name});
      else names.set(name, null);
    });
    return inner;
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
    const {shared} = this;
    if (++shared.parts > MAX_PARTS || scope.open.length > MAX_DEPTH) {
      if (shared.parts === MAX_PARTS + 1) this.warn("its types are too large to describe: anything is accepted below");
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
      case "schema":
        return type.schema;
      case "function":
        throw new Unservable("a function, which JSON cannot carry");
      case "name":
        return this.named(type, scope);
      case "template":
        return this.template(type, scope);
      case "keyof": {
        const keys = this.keys(type.of, scope);
        return keys === null ? of("string") : enumOf(keys);
      }
      case "typeof":
        return this.typeOf(type);
      case "member":
        return this.member(type, scope);
      case "conditional":
        return this.conditional(type, scope);
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
      // Nothing from JSON stands for a function or a signal.
      if (member.type?.k === "function" || isSignal(member.type)) continue;
      const written = member.type ?? (member.doc === null ? null : typeOfText(docOf(member.doc).type));
      let schema = written === null ? {} : this.schema(written, scope);
      schema = {...schema, ...docOf(member.doc).constraints};
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
    const {keys: from, name, optional} = type.mapped;
    const keys = from === null ? null : from.k === "keyof" ? this.keys(from.of, scope) : this.literals(from, scope);
    if (keys === null) return mapOf(this.schema(type.index, scope));
    const properties = {};
    for (const key of keys) {
      const names = new Map(scope.names).set(name, {type: {k: "literal", value: key}, scope, types: this});
      define(properties, key, this.schema(type.index, {...scope, names}));
    }
    const out = {type: "object", properties};
    // `keyof T` keeps what is optional in T.
    const base = from.k === "keyof" && optional === null ? this.schema(from.of, scope).required ?? [] : keys;
    const required = optional === true ? [] : keys.filter((key) => base.includes(key));
    if (required.length > 0) out.required = required;
    out.additionalProperties = false;
    return out;
  }

  // The names of an object type's members; null where any name may be one.
  keys(type, scope) {
    const found = this.schema(type, scope);
    return found.properties === undefined || found.additionalProperties !== false ? null : Object.keys(found.properties);
  }

  // T["name"], T[number], T[keyof T]
  member(type, scope) {
    const base = this.schema(type.of, scope);
    if (type.key.k === "name" && type.key.name === "number" && base.type === "array") {
      return base.prefixItems === undefined ? base.items ?? {} : union([...base.prefixItems, ...(base.items === undefined ? [] : [base.items])]);
    }
    const at = type.key.k === "literal" && typeof type.key.value === "number" ? base.prefixItems?.[type.key.value] : undefined;
    if (at !== undefined) return at;
    const keys = this.literals(type.key, scope);
    if (keys !== null && base.properties !== undefined && keys.every((key) => Object.hasOwn(base.properties, key))) {
      return union(keys.map((key) => base.properties[key]));
    }
    if (typeof base.additionalProperties === "object") return base.additionalProperties;
    this.warn(`the type ${this.text(type)} is not evaluated: anything is accepted`);
    return {};
  }

  // `X extends Y ? A : B`, for each choice of X, where it can be told; else anything.
  conditional(type, scope) {
    const {warn} = this.shared;
    let isKnown = true;
    // What a type that is not evaluated says of itself is no news here.
    this.shared.warn = () => (isKnown = false);
    const check = this.schema(type.check, scope);
    const bound = this.schema(type.bound, scope);
    this.shared.warn = warn;
    const told = isKnown ? choicesOf(check).map((one) => extendsType(one, bound)) : [null];
    if (told.includes(null)) {
      this.warn(`the type ${this.text(type)} is not evaluated: anything is accepted`);
      return {};
    }
    const choices = [];
    for (const [held, branch] of [[true, type.yes], [false, type.no]]) {
      const isNever = branch.k === "name" && branch.name === "never";
      if (told.includes(held) && !isNever) choices.push(this.schema(this.narrowed(type, branch, check, bound, held), scope));
    }
    return choices.length === 0 ? {not: {}} : union(choices);
  }

  // Where a branch is what was checked (`T extends string ? T : never`), the choices that led to it.
  narrowed(type, branch, check, bound, held) {
    if (branch.k !== "name" || type.check.k !== "name" || branch.name !== type.check.name) return branch;
    return {k: "schema", schema: union(choicesOf(check).filter((one) => extendsType(one, bound) === held))};
  }

  // The type of a constant.
  typeOf(type) {
    const [first, ...rest] = type.name.split(".");
    const found = this.lookUp(first, (types, name) => (types.file.constants?.has(name) ? {value: types.file.constants.get(name), fixed: types.file.fixed.has(name)} : undefined));
    let value = found?.value;
    for (const part of rest) value = value !== null && typeof value === "object" && Object.hasOwn(value, part) ? value[part] : undefined;
    if (value === undefined) {
      this.warn(`the type typeof ${type.name} is not evaluated: anything is accepted`);
      return {};
    }
    return ofValue(value, found.fixed || (rest.length === 0 && typeof value !== "object"));
  }

  // `id-${number}`: the texts it may be, or a pattern.
  template(type, scope) {
    let texts = [""];
    let pattern = "";
    for (const part of type.parts) {
      if (typeof part === "string") {
        texts = texts?.map((text) => text + part) ?? null;
        pattern += part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
        continue;
      }
      const schema = this.schema(part, scope);
      const some = Array.isArray(schema.enum) ? schema.enum.map(String) : schema.type === "boolean" ? ["true", "false"] : null;
      texts = texts === null || some === null || texts.length * some.length > 1000 ? null : texts.flatMap((text) => some.map((one) => text + one));
      if (some !== null) pattern += `(?:${some.map((one) => one.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|")})`;
      else if (schema.type === "number") pattern += "-?[0-9]+(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?";
      else if (schema.type === "integer") pattern += "-?[0-9]+";
      else pattern += "[\\s\\S]*";
    }
    return texts === null ? {type: "string", pattern: `^${pattern}$`} : enumOf([...new Set(texts)]);
  }

  intersection(type, scope) {
    const all = type.of.map((one) => this.schema(one, scope)).filter((one) => Object.keys(one).length > 0);
    if (all.length === 1) return all[0];
    if (all.length > 0 && all.every((one) => one.type === "object")) return merged(all);
    if (all.some((one) => one.type === "string" || one.type === "number")) return all.find((one) => one.type !== "object");
    const [choice, ...more] = all.filter((one) => one.anyOf !== undefined);
    const others = all.filter((one) => one.type === "object");
    if (choice !== undefined && more.length === 0 && others.length === all.length - 1 && choice.anyOf.every((one) => one.type === "object")) {
      return {...choice, anyOf: choice.anyOf.map((one) => merged([...others, one]))};
    }
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
      if (bound === null) return {};
      // A bound may name its own parameter: <T extends Comparable<T>>.
      const inner = bound.own === undefined ? bound.scope : {...bound.scope, names: new Map(bound.scope.names).set(bound.own, null)};
      return bound.types.schema(bound.type, {...inner, open: scope.open});
    }
    const declared = this.file.types.get(name) ?? this.typedefs.get(name);
    if (declared !== undefined) return this.declared(name, declared, args, scope);
    if (this.isContext(type)) return {};
    const elsewhere = this.imported(type);
    if (elsewhere !== null) return elsewhere.types.declared(elsewhere.name, elsewhere.found, Object.assign([...args], {types: this}), scope);
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
    if (Object.hasOwn(CASES, name)) {
      const {enum: texts} = first();
      return Array.isArray(texts) ? enumOf(texts.map((text) => CASES[name](String(text)))) : of("string");
    }
    if (name === "Function" || name === "CallableFunction") throw new Unservable("a function, which JSON cannot carry");
    if (name === "symbol" || name === "Symbol") throw new Unservable("a symbol, which JSON cannot carry");
    if (this.isJsDoc && ["int", "integer", "Integer"].includes(name)) return of("integer");
    if (this.isJsDoc && ["bool", "float", "double", "str"].includes(name)) return of({bool: "boolean", str: "string"}[name] ?? "number");
    if (/^[A-Z]$/.test(name) && !type.imported) return {};
    const [base, member] = name.split(".");
    const holder = member === undefined ? undefined : this.file.types.get(base) ?? this.imported({name: base})?.found;
    if (holder?.k === "enum") {
      const value = holder.values[holder.names.indexOf(member)];
      if (value !== undefined) return enumOf([value]);
    }
    const where = type.imported || this.file.imports.has(base) ? "comes from another file" : "is not known";
    this.warn(`the type ${name} ${where}: anything is accepted`);
    return {};
  }

  // What an import names in the file that it comes from: {types, name, found}; null where that cannot be told.
  imported(type) {
    const pick = (types, name) => {
      const found = types.file.types.get(name) ?? types.typedefs.get(name);
      return found === undefined ? undefined : {types, name, found};
    };
    if (type.imported) return type.module ? this.siblings?.find(type.module, this.path)?.exported(type.name, pick) ?? null : null;
    return this.lookUp(type.name, pick) ?? null;
  }

  // pick(types, local name) of the file where `name` is declared, through imports; undefined where it is nowhere.
  lookUp(name, pick, depth = 0) {
    const own = pick(this, name);
    if (own !== undefined) return own;
    const [first, ...rest] = name.split(".");
    const from = this.file.imports.get(first);
    if (from === undefined || depth > MAX_DEPTH) return undefined;
    const other = this.siblings?.find(from.module, this.path);
    if (from.name === "*") return rest.length === 0 ? undefined : other?.exported(rest.join("."), pick, depth + 1);
    return rest.length > 0 ? undefined : other?.exported(from.name, pick, depth + 1);
  }

  exported(name, pick, depth = 0) {
    if (depth > MAX_DEPTH) return undefined;
    const {aliases, reexports, stars} = this.file;
    const again = reexports.get(name);
    if (again !== undefined) return this.siblings?.find(again.module, this.path)?.exported(again.name, pick, depth + 1);
    const found = this.lookUp(aliases.get(name) ?? name, pick, depth);
    if (found !== undefined) return found;
    for (const module of stars) {
      const inside = this.siblings?.find(module, this.path)?.exported(name, pick, depth + 1);
      if (inside !== undefined) return inside;
    }
    return undefined;
  }

  declared(name, declared, args, scope) {
    if (scope.open.includes(declared)) return {};
    const inner = this.bound(declared.parameters ?? [], args, scope);
    inner.open = [...scope.open, declared];
    let found;
    switch (declared.k) {
      case "enum":
        if (declared.values.some((value) => value === undefined) || declared.values.length === 0) {
          this.warn(`the enum ${name} has values that are computed: anything is accepted`);
          return {};
        }
        found = enumOf([...new Set(declared.values)]);
        break;
      case "class":
        if (declared.behaves && !this.shared.isResult) {
          throw new Unservable(`an object of the class ${name}, which JSON cannot make; take an interface, and make the object from it`);
        }
        if (declared.json !== undefined) found = declared.json.k === "other" ? {} : this.schema(declared.json, inner);
        else found = this.inherited(declared, this.object(declared.body, inner), inner);
        break;
      case "interface":
        found = this.inherited(declared, this.object(declared.body, inner), inner);
        break;
      default:
        found = this.schema(declared.type, inner);
    }
    const {constraints} = docOf(declared.doc);
    if (Object.keys(constraints).length > 0) found = {...found, ...constraints};
    const text = description(declared.doc);
    return text === "" || found.description !== undefined || Object.keys(found).length === 0 ? found : {...found, description: text};
  }

  inherited(declared, own, scope) {
    if (declared.bases.length === 0) return own;
    const bases = declared.bases.map((base) => this.schema(base, scope));
    const out = merged([...bases.filter((base) => base.type === "object"), own]);
    // What is not known of a base may be there.
    if (bases.some((base) => base.type !== "object")) delete out.additionalProperties;
    return out;
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

// What `typeof` gives for a constant; fixed: its very value.
function ofValue(value, fixed) {
  if (value === null) return of("null");
  if (Array.isArray(value)) {
    const items = value.map((item) => ofValue(item, fixed));
    return fixed ? {type: "array", prefixItems: items, minItems: items.length, maxItems: items.length} : arrayOf(items.length === 0 ? {} : anyOf(items));
  }
  if (typeof value === "object") {
    const properties = {};
    for (const [name, item] of Object.entries(value)) define(properties, name, ofValue(item, fixed));
    return {type: "object", properties, required: Object.keys(properties), additionalProperties: false};
  }
  return fixed ? enumOf([value]) : of(typeof value === "bigint" ? "integer" : typeof value);
}

// The single choices of a schema: of a union its parts, of an enum its values.
function choicesOf(schema) {
  if (Array.isArray(schema.anyOf)) return schema.anyOf.flatMap(choicesOf);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => enumOf([value]));
  return Array.isArray(schema.type) ? schema.type.map(of) : [schema];
}

// Whether each value of one choice is a value of `bound`; null where that cannot be told.
function extendsType(one, bound) {
  if (Object.keys(bound).length === 0) return true;
  if (Object.keys(one).length === 0) return null;
  const options = choicesOf(bound);
  const text = JSON.stringify(one);
  if (options.some((option) => JSON.stringify(option) === text)) return true;
  if (one.enum !== undefined) {
    const [value] = one.enum;
    return options.some((option) => option.enum === undefined && option.type === (value === null ? "null" : typeof value));
  }
  const isScalar = (schema) => schema.enum !== undefined || ["string", "number", "integer", "boolean", "null"].includes(schema.type);
  if (!isScalar(one)) return options.every(isScalar) ? false : null;
  return options.some((option) => Object.keys(option).length === 1 && option.type === one.type) ? true : options.every((option) => isScalar(option) || option.type) ? false : null;
}

// Either of them, their single values in one enum.
function union(choices) {
  if (choices.length === 0) return of("null");
  return choices.every((one) => Array.isArray(one.enum)) ? enumOf([...new Set(choices.flatMap((one) => one.enum))]) : anyOf(choices);
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

/** Whether it is an AbortSignal, which the worker fills in and aborts when the call is cancelled. */
export function isSignal(type) {
  const all = type === null || type === undefined ? [] : flat(type).filter((one) => !(one.k === "name" && ["undefined", "null"].includes(one.name)));
  return all.length === 1 && all[0].k === "name" && all[0].name === "AbortSignal";
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
      out.set(name, properties.length > 0 ? {k: "alias", parameters: templatesOf(doc), type: objectOf(properties), doc: null}
        : {k: "alias", parameters: templatesOf(doc), type: alias ?? {k: "other", text: type}, doc: null});
    }
  }
  return out;
}

/** JSDoc's @template as type parameters. */
export function templatesOf(doc) {
  return doc.templates.map(({name, bound}) => ({name, bound: bound === "" ? null : typeOfText(bound), otherwise: null}));
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

// A file's public functions as the engine's description of them: names, parameters, schemas, doc comments.
//
// The source is read and never run.
import {declarationOf, declarationsOf} from "./declarations.mjs";
import {docOf} from "./docs.mjs";
import {Siblings} from "./siblings.mjs";
import {PROMISES, STREAMS, Types, Unservable, arrayOf, hasUndefined, isSignal, literalOf, objectOf, templatesOf, typedefsOf} from "./types.mjs";
import {typeOfText} from "./typesyntax.mjs";

/**
 * {functions, unavailable, module_doc, constants, isModule, tokens, depends} of a source. A function's `keywordsOptional` (not for the engine) tells
 * that its destructured parameter has a default. Errors: Unreadable.
 */
export function read(path, source) {
  const siblings = new Siblings((other, text) => typesOf(other, text, siblings, types.shared));
  const types = typesOf(path, source, siblings);
  const {file} = types;
  const out = {functions: [], unavailable: [], module_doc: moduleDoc(file), constants: {}, isModule: file.isModule, tokens: file.tokens};
  for (const [name, value] of file.constants) out.constants[name.toLowerCase()] = value;
  const seen = new Set();
  for (const {name, local, line} of file.exports) {
    if (name.startsWith("_") || seen.has(name)) continue;
    seen.add(name);
    const all = file.functions.get(local);
    if (all === undefined) {
      if (file.imports.has(local)) out.unavailable.push({name, line, reason: "functions of other files are served from those files"});
      else if (file.values.has(local)) out.unavailable.push({name, line: file.values.get(local), reason: "it is made when the file runs; write it as a function"});
      continue;
    }
    const declared = all.find((one) => one.body) ?? null;
    if (declared === null) continue;
    const doc = docOf(declared.doc ?? all[0].doc);
    if (doc.isPrivate) continue;
    try {
      out.functions.push(functionOf(name, declared, doc, types, all.length > 1));
    } catch (error) {
      if (!(error instanceof Unservable)) throw error;
      out.unavailable.push({name, line: declared.line, reason: error.message});
    }
  }
  for (const [name, line] of file.values) {
    if (name.startsWith("_") || seen.has(name) || !file.exports.length) continue;
    if (source.includes(`exports.${name}`)) out.unavailable.push({name, line, reason: "it is made when the file runs; write it as a function"});
  }
  for (const {module, ...one} of file.unavailable) {
    // A file of types alone has nothing that could be called.
    const other = module === undefined ? null : siblings.find(module, path)?.file;
    const isOfTypes = other && other.stars.length === 0 && !other.exports.some(({local}) => other.functions.has(local) || other.values.has(local));
    if (!one.name.startsWith("_") && !isOfTypes) out.unavailable.push(one);
  }
  out.unavailable.sort((a, b) => a.line - b.line);
  out.depends = [...siblings.used].sort();
  return out;
}

// What was read last of a path: many sources take their types from the same files.
const parsed = new Map();
const MAX_PARSED = 500;

function parse(path, source) {
  const known = parsed.get(path);
  if (known?.source === source) return known;
  const file = declarationsOf(source);
  const isTypeScript = /\.[mc]?ts$/.test(path);
  const docs = isTypeScript ? [] : [...file.orphans, ...file.tokens.map((token) => token.doc).filter((doc) => doc !== null)].map(docOf);
  // `@import {Order} from "./models.js"`
  for (const text of docs.flatMap((doc) => doc.imports)) {
    for (const [name, from] of declarationsOf(`import ${text}`).imports) file.imports.set(name, from);
  }
  const one = {source, file, typedefs: typedefsOf(docs), isTypeScript};
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(path, one);
  return one;
}

function typesOf(path, source, siblings, shared) {
  const {file, typedefs, isTypeScript} = parse(path, source);
  return new Types(path, file, typedefs, !isTypeScript, siblings, shared);
}

/** The parameters of a function whose declaration in its file is not known, from its own text; null for native code. */
export function readFunction(text) {
  const declared = declarationOf(text);
  if (declared === null) return null;
  const file = {types: new Map(), imports: new Map(), constants: new Map(), aliases: new Map(), reexports: new Map(), stars: [], tokens: [], source: ""};
  try {
    return functionOf(declared.name ?? "function", {...declared, doc: null}, docOf(null), new Types("", file, new Map(), false), false);
  } catch (error) {
    if (error instanceof Unservable) return null;
    throw error;
  }
}

function moduleDoc(file) {
  const [first] = file.tokens;
  const comment = file.orphans.find((doc) => first === undefined || doc.first < first.line) ??
    (first?.type === "string" || first?.value === "import" || (first?.doc && docOf(first.doc).isModule) ? first.doc : null);
  const doc = docOf(comment);
  return doc.typedefs.length > 0 ? "" : doc.text;
}

function functionOf(name, declared, doc, types, overloaded) {
  const warnings = [];
  const scope = types.bound([...declared.typeParameters, ...templatesOf(doc)]);
  const out = {name, line: declared.line, doc: doc.text, async: declared.async, generator: declared.generator, parameters: [],
    result: {schema: {}, doc: doc.result.text || (doc.yields?.text ?? ""), type: ""}, warnings, keywordsOptional: false};
  const fill = (what, type) => {
    types.shared.warn = (text) => warnings.push(`${what}: ${text}`);
    try {
      return types.schema(type, scope);
    } catch (error) {
      if (error instanceof Unservable) throw new Unservable(`${what} is ${error.message}`);
      throw error;
    }
  };
  const typed = parametersByDoc(declared.parameters, doc);
  declared.parameters.forEach((parameter, index) => {
    const isLast = index === declared.parameters.length - 1;
    if (parameter.pattern === "array") throw new Unservable(`parameter ${index + 1} is a destructured array; give it a name`);
    if (parameter.pattern !== null) {
      if (!isLast) throw new Unservable(`parameter ${index + 1} is a destructured object, which only the last parameter can be`);
      keywords(parameter, typed[index], types, fill, out);
      return;
    }
    out.parameters.push(positional(parameter, typed[index], types, fill, out));
  });
  types.shared.isResult = true;
  try {
    result(declared, doc, types, fill, out);
  } finally {
    types.shared.isResult = false;
  }
  if (overloaded) warnings.push("it is overloaded: the schema is that of the implementation");
  return out;
}

// For each parameter its JSDoc entry with `members`, those of `options.name` below it, and `loose`, entries of any other name.
function parametersByDoc(parameters, doc) {
  const roots = doc.params.filter((entry) => !entry.name.includes("."));
  const below = (root) => doc.params.filter((entry) => entry.name.startsWith(`${root}.`)).map((entry) => ({...entry, name: entry.name.slice(root.length + 1)}));
  const names = new Set(parameters.map((parameter) => parameter.name));
  return parameters.map((parameter) => {
    if (parameter.name !== null) {
      const entry = roots.find((one) => one.name === parameter.name);
      return entry === undefined ? null : {...entry, members: below(entry.name)};
    }
    const loose = roots.filter((one) => !names.has(one.name));
    const keys = new Set((parameter.pattern === "array" ? [] : parameter.pattern).map((one) => one.key));
    const root = loose.find((one) => !keys.has(one.name)) ?? null;
    return {type: "", text: "", ...root, members: root === null ? [] : below(root.name), loose: loose.filter((one) => keys.has(one.name))};
  });
}

function typeOfDoc(entry) {
  if (entry === null || entry === undefined || entry.type === "") return null;
  return typeOfText(entry.type) ?? {k: "other", text: entry.type};
}

function positional(parameter, entry, types, fill, out) {
  const {name} = parameter;
  const what = `parameter '${name}'`;
  // `/** @type {Date} */ at` stands right before the name.
  let type = parameter.type ?? typeOfDoc(entry) ?? typeOfDoc(parameter.doc === null ? null : docOf(parameter.doc));
  if (entry !== null && entry.members.length > 0 && parameter.type === null) {
    const made = objectOf(entry.members);
    type = type?.k === "array" || /\[\]$|^Array/.test(entry.type) ? {k: "array", item: made, text: entry.type} : {...made, text: entry.type};
  }
  const one = {name, kind: parameter.rest ? "variadic" : "positional", schema: {}, required: true, context: false, doc: entry?.text ?? "",
    type: type === null ? "" : types.text(type)};
  if (type === null && name === "context" && !parameter.rest && parameter.value === null) one.context = true;
  if (type !== null && isContextType(types, type)) one.context = true;
  if (isSignal(type)) one.signal = true;
  if (one.context || one.signal) {
    one.required = false;
    return one;
  }
  if (type === null) {
    if (parameter.value?.literal !== undefined && parameter.value.literal !== null) {
      one.schema = ofLiteral(parameter.value.literal);
    }
    if (Object.keys(one.schema).length === 0) out.warnings.push(`${what} has no type: anything is accepted`);
  } else {
    one.schema = fill(what, type);
  }
  if (parameter.rest) {
    // Described is an item's schema's array.
    one.schema = parameter.type === null && type !== null && !/\[\]$|^Array/.test(entry?.type ?? "") ? arrayOf(one.schema)
      : one.schema.type === "array" ? one.schema : {type: "array"};
    one.required = false;
    return one;
  }
  if (parameter.optional || parameter.value !== null || entry?.optional || type?.optional || hasUndefined(type)) one.required = false;
  const value = parameter.value?.literal ?? (parameter.value === null ? literalOf(entry?.value) : undefined);
  if (value !== undefined && value !== null) one.default = value;
  return one;
}

function isContextType(types, type) {
  const all = type.k === "union" ? type.of.filter((one) => !(one.k === "name" && ["undefined", "null"].includes(one.name))) : [type];
  return all.length === 1 && types.isContext(all[0]);
}

// What a default says where no type does.
function ofLiteral(value) {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "number":
      return {type: typeof value};
    case "bigint":
      return {type: "integer"};
    default:
      return Array.isArray(value) ? {type: "array"} : {};
  }
}

// The properties of a destructured object as keyword parameters.
function keywords(parameter, entry, types, fill, out) {
  const declaredType = parameter.type ?? typeOfDoc(entry);
  let whole = null;
  if (declaredType !== null && entry.members.length === 0) whole = fill("the destructured parameter", declaredType);
  else if (entry.members.length > 0) whole = fill("the destructured parameter", objectOf(entry.members));
  const filled = filledMembers(types, declaredType);
  out.keywordsOptional = parameter.value !== null || parameter.optional;
  const given = whole?.properties ?? {};
  const rest = parameter.pattern.find((one) => one.rest);
  const taken = new Set();
  const add = (key, value, doc) => {
    const loose = entry.loose.find((one) => one.name === key) ?? null;
    const looseType = typeOfDoc(loose);
    const one = {name: key, kind: "keyword", schema: {}, required: true, context: filled.get(key) === "context", doc: loose?.text || doc, type: ""};
    taken.add(key);
    if (!one.context && declaredType === null && looseType === null && key === "context" && value === null) one.context = true;
    if (looseType !== null && isContextType(types, looseType)) one.context = true;
    if (filled.get(key) === "signal" || isSignal(looseType)) one.signal = true;
    if (one.context || one.signal) {
      one.required = false;
      out.parameters.push(one);
      return;
    }
    if (Object.hasOwn(given, key)) {
      const {description = "", default: otherwise, ...schema} = given[key];
      one.schema = schema;
      if (one.doc === "") one.doc = description;
      one.required = whole.required?.includes(key) ?? false;
      if (otherwise !== undefined) one.default = otherwise;
    } else if (looseType !== null) {
      one.schema = fill(`parameter '${key}'`, looseType);
      one.type = types.text(looseType);
      if (loose.optional || looseType.optional || hasUndefined(looseType)) one.required = false;
    } else {
      if (value?.literal !== undefined && value.literal !== null) one.schema = ofLiteral(value.literal);
      if (Object.keys(one.schema).length === 0) out.warnings.push(`parameter '${key}' has no type: anything is accepted`);
      if (out.keywordsOptional) one.required = false;
    }
    if (value !== null) one.required = false;
    if (value?.literal !== undefined && value.literal !== null) one.default = value.literal;
    out.parameters.push(one);
  };
  for (const {key, value, rest: isRest} of parameter.pattern) if (!isRest) add(key, value, "");
  if (rest === undefined) return;
  // What the rest takes: the type's other members, and any name where the type is open.
  for (const key of Object.keys(given)) if (!taken.has(key)) add(key, null, "");
  if (whole === null || whole.properties === undefined || whole.additionalProperties !== false) {
    const schema = whole !== null && typeof whole.additionalProperties === "object" ? whole.additionalProperties : {};
    out.parameters.push({name: rest.key, kind: "keyword_variadic", schema, required: false, context: false, doc: "", type: ""});
  }
}

// An object type's members that the worker fills in: name → "context" or "signal".
function filledMembers(types, type) {
  const out = new Map();
  let at = type;
  for (let depth = 0; at?.k === "name" && depth < 10; ++depth) {
    const declared = types.file.types.get(at.name) ?? types.typedefs.get(at.name);
    at = declared?.k === "interface" ? declared.body : declared?.k === "alias" ? declared.type : null;
  }
  for (const part of at?.k === "and" ? at.of : [at]) {
    for (const member of part?.members ?? []) {
      if (member.type !== null && isContextType(types, member.type)) out.set(member.name, "context");
      else if (isSignal(member.type)) out.set(member.name, "signal");
    }
  }
  return out;
}

function result(declared, doc, types, fill, out) {
  let type = declared.result;
  if (type === null && doc.yields !== null && declared.generator) type = typeOfDoc(doc.yields);
  else if (type === null) type = typeOfDoc(doc.result);
  const fromYields = declared.result === null && doc.yields !== null && declared.generator;
  if (type === null) return;
  out.result.type = types.text(type);
  let inner = type;
  while (inner.k === "name" && PROMISES.has(inner.name) && inner.args.length > 0) [inner] = inner.args;
  if (inner.k === "name" && STREAMS.has(inner.name) && !types.file.types.has(inner.name)) {
    out.generator = true;
    [inner] = inner.args;
  } else if (declared.generator && !fromYields) {
    inner = inner.k === "array" ? inner.item : inner.k === "name" && inner.name === "Array" ? inner.args[0] : inner;
  }
  if (inner !== undefined) out.result.schema = fill("its result", inner);
}

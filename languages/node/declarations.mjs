// The functions, types, exports and constants that a file declares at its top level. Bodies are skipped.
import {tokensOf} from "./syntax.mjs";
import {TypeCursor, negated, numberOf} from "./typesyntax.mjs";

const MAX_DEPTH = 100;
const MODIFIERS = new Set(["public", "private", "protected", "readonly", "override", "accessor"]);

class Cursor extends TypeCursor {
  // Functions

  /** The parameters between parentheses. */
  parameters() {
    const end = this.token.match;
    const out = [];
    ++this.i;
    while (this.i < end) {
      const from = this.i;
      const {doc} = this.token;
      while (this.is("@")) {
        ++this.i;
        while (this.isName() || this.is(".")) ++this.i;
        if (this.is("(")) this.skipBrackets();
      }
      while (this.isName() && MODIFIERS.has(this.token.value) && (this.isName(1) || this.is("{", 1) || this.is("[", 1))) ++this.i;
      const parameter = {name: null, pattern: null, rest: this.accept("..."), optional: false, type: null, value: null, doc, line: this.token?.line};
      if (this.is("{")) parameter.pattern = this.pattern();
      else if (this.is("[")) {
        parameter.pattern = "array";
        this.skipBrackets();
      } else if (this.isName()) parameter.name = this.tokens[this.i++].value;
      if (this.accept("?")) parameter.optional = true;
      if (this.accept(":")) parameter.type = this.type();
      if (this.is("=")) {
        ++this.i;
        parameter.value = this.value(end);
      }
      if (parameter.name !== "this" && (parameter.name !== null || parameter.pattern !== null)) out.push(parameter);
      while (this.i < end && !this.is(",")) this.skipBrackets();
      ++this.i;
      if (this.i <= from) this.i = from + 1;
    }
    this.i = end + 1;
    return out;
  }

  /** A destructured object: [{key, value, rest}]. */
  pattern() {
    const end = this.token.match;
    const out = [];
    ++this.i;
    while (this.i < end) {
      const {doc} = this.token;
      const rest = this.accept("...");
      const {token} = this;
      const plain = token.type === "name" || token.type === "string";
      ++this.i;
      const one = {key: plain ? token.value : null, value: null, rest, doc, line: token.line};
      if (this.accept(":")) {
        if (this.token?.match >= 0) this.skipBrackets();
        else ++this.i;
      }
      if (this.accept("=")) one.value = this.value(end);
      if (one.key !== null) out.push(one);
      while (this.i < end && !this.is(",")) this.skipBrackets();
      ++this.i;
    }
    this.i = end + 1;
    return out;
  }

  /** A default: {literal} where it is one, else {}. */
  value() {
    const from = this.i;
    const literal = this.literal();
    if (literal !== undefined && (this.token === undefined || this.is(",") || this.is(")") || this.is("}") || this.is("]") || this.is(";") || this.token.newline)) {
      return {literal};
    }
    this.i = from;
    this.skipExpression();
    return {};
  }

  /** A literal's value; undefined where it is none. */
  literal(depth = 0) {
    const {token} = this;
    if (token === undefined || depth > MAX_DEPTH) return undefined;
    let out;
    if (token.type === "string" || (token.type === "template" && token.value !== null)) {
      ++this.i;
      out = token.value;
    } else if (token.type === "number") {
      ++this.i;
      out = numberOf(token.value);
    } else if ((this.is("-") || this.is("+")) && this.peek()?.type === "number") {
      this.i += 2;
      out = numberOf(this.tokens[this.i - 1].value);
      if (token.value === "-") out = negated(out);
    } else if (this.is("true") || this.is("false")) {
      ++this.i;
      out = token.value === "true";
    } else if (this.is("null") || this.is("undefined")) {
      ++this.i;
      out = null;
    } else if (this.is("[")) {
      out = [];
      const end = token.match;
      ++this.i;
      while (this.i < end) {
        const item = this.literal(depth + 1);
        if (item === undefined) return undefined;
        out.push(item);
        if (!this.accept(",") && this.i < end) return undefined;
      }
      this.i = end + 1;
    } else if (this.is("{")) {
      const members = [];
      const end = token.match;
      ++this.i;
      while (this.i < end) {
        const key = this.token;
        if (!["name", "string", "number"].includes(key.type) || !this.is(":", 1)) return undefined;
        this.i += 2;
        const item = this.literal(depth + 1);
        if (item === undefined) return undefined;
        members.push([key.value, item]);
        if (!this.accept(",") && this.i < end) return undefined;
      }
      this.i = end + 1;
      out = Object.fromEntries(members);
    } else {
      return undefined;
    }
    while (this.is("as") || this.is("satisfies")) {
      ++this.i;
      if (!this.accept("const")) this.type();
    }
    return out;
  }

  /** `function …` with its name, from `async` or `function`. null when it is none. */
  functionLike(doc) {
    const start = this.token;
    let async = false;
    if (this.is("async") && this.is("function", 1) && !this.peek().newline) {
      async = true;
      ++this.i;
    }
    if (!this.accept("function")) return null;
    const generator = this.accept("*");
    const name = this.isName() ? this.tokens[this.i++].value : null;
    return this.afterName({name, line: start.line, doc, async, generator});
  }

  // From `<T>(` on; the body, if any, is skipped.
  afterName(declared) {
    const typeParameters = this.typeParameters();
    if (!this.is("(")) return null;
    const parameters = this.parameters();
    const result = this.accept(":") ? this.type() : null;
    const body = this.is("{");
    if (body) this.skipBrackets();
    return {...declared, typeParameters, parameters, result, body};
  }

  /** `(a, b) => …`, `a => …`, `async <T>(a) => …`; null, with nothing taken, when it is none. */
  arrow(doc) {
    const at = this.i;
    const {line} = this.token;
    const async = this.is("async") && !this.peek()?.newline && (this.is("(", 1) || this.is("<", 1) || (this.isName(1) && this.is("=>", 2)));
    if (async) ++this.i;
    const declared = {name: null, line, doc, async, generator: false, body: true};
    if (this.isName() && this.is("=>", 1)) {
      const name = this.token.value;
      this.i += 2;
      this.arrowBody();
      return {...declared, typeParameters: [], result: null, parameters: [{name, pattern: null, rest: false, optional: false, type: null, value: null, doc: null, line}]};
    }
    const typeParameters = this.typeParameters();
    if (this.is("(")) {
      const parameters = this.parameters();
      const result = this.accept(":") ? this.type() : null;
      if (this.accept("=>")) {
        this.arrowBody();
        return {...declared, typeParameters, parameters, result};
      }
    }
    this.i = at;
    return null;
  }

  arrowBody() {
    if (this.is("{")) this.skipBrackets();
    else this.skipExpression();
  }
}

/**
 * What a file declares: functions (local name → declaration), exports [{name, local, line}], types, imports, constants,
 * unavailable, orphans. Errors: Unreadable.
 */
export function declarationsOf(source) {
  const {tokens, orphans} = tokensOf(source);
  const cursor = new Cursor(source, tokens);
  const file = {functions: new Map(), exports: [], types: new Map(), imports: new Map(), constants: new Map(), values: new Map(),
    // For those who import from the file: exported name → local name, or {module, name} of another file; and `export *`.
    aliases: new Map(), reexports: new Map(), stars: [],
    // Constants written `as const`.
    fixed: new Set(),
    unavailable: [], orphans, tokens, source, isModule: false};
  while (cursor.token !== undefined) {
    const from = cursor.i;
    statement(cursor, file);
    if (cursor.i <= from) cursor.i = from + 1;
  }
  return file;
}

/** The declaration in the text of a function, as Function.prototype.toString gives it; null for native code. */
export function declarationOf(text) {
  const tries = [`(${text})`, `(function ${text.replace(/^(?:async\s+)?(?:static\s+)?\*?\s*/, "")})`];
  for (const one of tries) {
    const {tokens} = tokensOf(one);
    const cursor = new Cursor(one, tokens);
    cursor.i = 1;
    const found = cursor.functionLike(null) ?? cursor.arrow(null);
    if (found !== null && !/\{\s*\[native code\]\s*\}$/.test(text)) return found;
  }
  return null;
}

function statement(cursor, file) {
  const {token} = cursor;
  const {doc} = token;
  if (token.type !== "name") {
    if (cursor.is("@")) {
      // A class's decorators.
      ++cursor.i;
      while (cursor.isName() && !cursor.is("class") && !cursor.is("export")) {
        ++cursor.i;
        if (!cursor.accept(".")) break;
      }
      if (cursor.is("(")) cursor.skipBrackets();
      return;
    }
    if (token.match >= 0 && cursor.is("{")) cursor.skipBrackets();
    else cursor.skipStatement();
    return;
  }
  if (cursor.is("import") && !cursor.is("(", 1) && !cursor.is(".", 1)) {
    file.isModule = true;
    importStatement(cursor, file);
  } else if (cursor.is("export")) {
    file.isModule = true;
    ++cursor.i;
    exportStatement(cursor, file, doc);
  } else if ((cursor.is("module") && cursor.is(".", 1) && cursor.is("exports", 2)) || (cursor.is("exports") && cursor.is(".", 1))) {
    commonExport(cursor, file, doc);
  } else if (declaration(cursor, file, doc) === null) {
    if (["if", "while", "for", "with", "switch"].includes(token.value) && cursor.is("(", 1)) {
      ++cursor.i;
      cursor.skipBrackets();
      if (cursor.is("{")) cursor.skipBrackets();
    } else if (["else", "do", "try", "finally", "catch"].includes(token.value)) {
      ++cursor.i;
      if (cursor.is("(")) cursor.skipBrackets();
      if (cursor.is("{")) cursor.skipBrackets();
    } else {
      cursor.skipStatement();
    }
  }
}

function importStatement(cursor, file) {
  ++cursor.i;
  const from = cursor.i;
  // [local name, the module's own name]; "*" is all of the module.
  const names = [];
  if (cursor.is("type") && !cursor.is("from", 1) && !cursor.is(",", 1) && !cursor.is("=", 1)) ++cursor.i;
  while (cursor.token !== undefined && cursor.token.type !== "string" && !cursor.is(";") && !cursor.is("=")) {
    if (cursor.is("{")) {
      const end = cursor.token.match;
      ++cursor.i;
      while (cursor.i < end) {
        if (cursor.is("type") && (cursor.isName(1) || cursor.peek()?.type === "string") && !cursor.is("as", 1)) ++cursor.i;
        const original = cursor.token.value;
        ++cursor.i;
        names.push([cursor.accept("as") ? cursor.token?.value ?? original : original, original]);
        while (cursor.i < end && !cursor.is(",")) cursor.skipBrackets();
        ++cursor.i;
      }
      cursor.i = end;
    } else if (cursor.is("*") && cursor.is("as", 1)) {
      cursor.i += 2;
      names.push([cursor.token?.value ?? "", "*"]);
    } else if (cursor.isName() && !cursor.is("from")) {
      names.push([cursor.token.value, "default"]);
    }
    if (++cursor.i - from > 100_000) break;
  }
  if (cursor.is("=")) {
    cursor.skipStatement();
    for (const [name] of names) file.imports.set(name, {module: "", name});
    return;
  }
  const module = cursor.token?.type === "string" ? cursor.token.value : "";
  for (const [local, name] of names) file.imports.set(local, {module, name});
  ++cursor.i;
  if (cursor.is("with") || cursor.is("assert")) {
    ++cursor.i;
    if (cursor.is("{")) cursor.skipBrackets();
  }
  cursor.accept(";");
}

function exportStatement(cursor, file, doc) {
  const {line} = cursor.tokens[cursor.i - 1];
  const exported = (name, local) => file.exports.push({name, local, line});
  if (cursor.accept("default")) {
    const start = cursor.i;
    const named = cursor.functionLike(doc);
    if (named !== null) {
      if (named.name === null) unnamed(file, line);
      else {
        define(file, named);
        exported(named.name, named.name);
      }
      return;
    }
    if (cursor.is("class") || cursor.is("abstract") || (cursor.is("interface") && cursor.isName(1))) {
      const local = cursor.tokens[cursor.i + (cursor.is("abstract") ? 2 : 1)]?.value;
      if (local !== undefined) file.aliases.set("default", local);
      declaration(cursor, file, doc);
      return;
    }
    const anonymous = cursor.isName() || cursor.is("(") || cursor.is("<") ? cursor.arrow(doc) : null;
    if (anonymous !== null) {
      unnamed(file, line);
    } else if (cursor.is("{")) {
      members(cursor, file, exported);
    } else if (cursor.isName() && (cursor.peek() === undefined || cursor.is(";", 1) || cursor.peek().newline)) {
      exported(cursor.token.value, cursor.token.value);
      file.aliases.set("default", cursor.token.value);
      ++cursor.i;
      cursor.accept(";");
      return;
    }
    cursor.skipStatement({begun: cursor.i > start});
    return;
  }
  if (cursor.is("*") || (cursor.is("type") && cursor.is("*", 1))) {
    const typesOnly = cursor.accept("type");
    const name = cursor.is("as", 1) ? cursor.peek(2)?.value : null;
    let module = "";
    while (cursor.token !== undefined && cursor.token.type !== "string" && !cursor.is(";")) ++cursor.i;
    if (cursor.token?.type === "string") {
      module = cursor.token.value;
      if (name === null) file.stars.push(module);
      else file.reexports.set(name, {module, name: "*"});
    }
    cursor.skipStatement();
    if (typesOnly) return;
    file.unavailable.push({name: "*", line, reason: "functions of other files are served from those files", module});
    return;
  }
  const typeOnly = cursor.is("type") && cursor.is("{", 1);
  if (typeOnly) ++cursor.i;
  if (cursor.is("{")) {
    const end = cursor.token.match;
    const names = [];
    const all = [];
    ++cursor.i;
    while (cursor.i < end) {
      const isType = cursor.is("type") && cursor.isName(1) && !cursor.is("as", 1);
      if (isType) ++cursor.i;
      const local = cursor.token.value;
      ++cursor.i;
      let name = local;
      if (cursor.accept("as")) name = cursor.tokens[cursor.i++].value;
      all.push([name, local]);
      if (!isType) names.push([name, local]);
      if (!cursor.accept(",")) break;
    }
    cursor.i = end + 1;
    const elsewhere = cursor.is("from");
    const module = elsewhere && cursor.peek()?.type === "string" ? cursor.peek().value : null;
    for (const [name, local] of all) {
      if (module !== null) file.reexports.set(name, {module, name: local});
      else if (name !== local) file.aliases.set(name, local);
    }
    cursor.skipStatement();
    if (typeOnly) return;
    for (const [name, local] of names) {
      if (elsewhere) file.unavailable.push({name, line, reason: "functions of other files are served from those files"});
      else exported(name === "default" ? local : name, local);
    }
    return;
  }
  if (cursor.is("=")) {
    ++cursor.i;
    cursor.skipStatement();
    return;
  }
  const names = declaration(cursor, file, doc);
  if (names === null) cursor.skipStatement();
  else for (const name of names) exported(name, name);
}

function unnamed(file, line) {
  file.unavailable.push({name: "default", line, reason: "a default export without a name; write `export function name`"});
}

// module.exports = …, module.exports.name = …, exports.name = …
function commonExport(cursor, file, doc) {
  const {line} = cursor.token;
  cursor.i += cursor.is("module") ? 3 : 1;
  let name = null;
  if (cursor.is(".") && cursor.isName(1) && cursor.is("=", 2)) {
    name = cursor.peek().value;
    cursor.i += 2;
  }
  if (!cursor.accept("=")) {
    cursor.skipStatement();
    return;
  }
  const exported = (name_, local) => file.exports.push({name: name_, local, line});
  if (cursor.is("module") || cursor.is("exports")) {
    // module.exports = exports = …
    const at = cursor.i;
    cursor.i += cursor.is("module") ? 3 : 1;
    if (name !== null || !cursor.accept("=")) cursor.i = at;
  }
  if (name === null && cursor.is("{")) {
    members(cursor, file, exported);
    cursor.accept(";");
    return;
  }
  const found = cursor.functionLike(doc) ?? (cursor.token === undefined ? null : cursor.arrow(doc));
  if (found !== null) {
    const local = name ?? found.name;
    if (local === null) unnamed(file, line);
    else {
      const key = file.functions.has(local) ? `${local} of line ${line}` : local;
      define(file, {...found, name: local}, key);
      exported(local, key);
    }
    cursor.accept(";");
    return;
  }
  if (cursor.isName() && (cursor.peek() === undefined || cursor.is(";", 1) || cursor.peek().newline)) exported(name ?? cursor.token.value, cursor.token.value);
  else if (name !== null && mayBeFunction(cursor.token)) file.values.set(name, line);
  cursor.skipStatement();
}

// {a, b: c, d(x) {…}, e: (x) => …}
function members(cursor, file, exported) {
  const end = cursor.token.match;
  ++cursor.i;
  while (cursor.i < end) {
    const {token} = cursor;
    const {doc, line} = token;
    let async = false;
    if (cursor.is("async") && !cursor.is(",", 1) && !cursor.is(":", 1) && !cursor.is("(", 1)) {
      async = true;
      ++cursor.i;
    }
    const generator = cursor.accept("*");
    const key = cursor.token;
    if (key !== undefined && (key.type === "name" || key.type === "string")) {
      ++cursor.i;
      const inside = `${key.value} of line ${line}`;
      if (cursor.is("(") || cursor.is("<")) {
        const method = cursor.afterName({name: key.value, line, doc, async, generator});
        if (method !== null) {
          define(file, method, inside);
          exported(key.value, inside);
        }
      } else if (cursor.accept(":")) {
        const found = cursor.functionLike(doc) ?? cursor.arrow(doc);
        if (found !== null) {
          define(file, {...found, name: key.value}, inside);
          exported(key.value, inside);
        } else if (cursor.isName() && (cursor.is(",", 1) || cursor.i + 1 === end)) {
          exported(key.value, cursor.token.value);
        }
      } else if (cursor.is(",") || cursor.i === end) {
        exported(key.value, key.value);
      }
    }
    while (cursor.i < end && !cursor.is(",")) cursor.skipBrackets();
    ++cursor.i;
  }
  cursor.i = end + 1;
}

function define(file, declared, key = declared.name) {
  const all = file.functions.get(key);
  if (all === undefined) file.functions.set(key, [declared]);
  else all.push(declared);
}

// A declaration's names; null when the statement is none.
function declaration(cursor, file, doc) {
  const {token} = cursor;
  if (cursor.is("declare") && cursor.isName(1) && !cursor.peek().newline) {
    ++cursor.i;
    const before = new Map(file.functions);
    const names = declaration(cursor, file, doc);
    file.functions = before;
    return names === null ? null : [];
  }
  if (cursor.is("function") || (cursor.is("async") && cursor.is("function", 1))) {
    const found = cursor.functionLike(doc);
    if (found === null || found.name === null) return [];
    cursor.accept(";");
    define(file, found);
    return [found.name];
  }
  if ((cursor.is("const") && !cursor.is("enum", 1)) || cursor.is("let") || cursor.is("var")) {
    return cursor.isName(1) || cursor.is("{", 1) || cursor.is("[", 1) ? variables(cursor, file, doc) : null;
  }
  if (cursor.is("abstract") && cursor.is("class", 1)) ++cursor.i;
  if (cursor.is("class")) {
    classDeclaration(cursor, file, doc);
    return [];
  }
  if (cursor.is("interface") && cursor.isName(1)) {
    cursor.i += 2;
    const name = cursor.tokens[cursor.i - 1].value;
    const parameters = cursor.typeParameters();
    const bases = [];
    if (cursor.accept("extends")) {
      do {
        const base = cursor.postfix();
        if (base !== null) bases.push(base);
      } while (cursor.accept(","));
    }
    if (!cursor.is("{")) return [];
    const body = cursor.object();
    const known = file.types.get(name);
    if (known?.k === "interface") {
      known.body.members.push(...body.members);
      known.bases.push(...bases);
    } else {
      file.types.set(name, {k: "interface", parameters, bases, body, doc, line: token.line});
    }
    return [];
  }
  if (cursor.is("type") && cursor.isName(1) && (cursor.is("=", 2) || cursor.is("<", 2)) && !cursor.peek().newline) {
    cursor.i += 2;
    const name = cursor.tokens[cursor.i - 1].value;
    const parameters = cursor.typeParameters();
    if (cursor.accept("=")) {
      const type = cursor.type();
      file.types.set(name, {k: "alias", parameters, type: type ?? {k: "other"}, doc, line: token.line});
    }
    cursor.accept(";");
    return [];
  }
  if (cursor.is("enum") || (cursor.is("const") && cursor.is("enum", 1))) {
    cursor.i += cursor.is("enum") ? 1 : 2;
    if (!cursor.isName() || !cursor.is("{", 1)) return null;
    const name = cursor.token.value;
    ++cursor.i;
    file.types.set(name, {k: "enum", ...enumValues(cursor), doc, line: token.line});
    return [];
  }
  if ((cursor.is("namespace") || cursor.is("module") || cursor.is("global")) && (cursor.isName(1) || cursor.peek()?.type === "string" || cursor.is("{", 1)) && !cursor.peek().newline) {
    ++cursor.i;
    while (cursor.token !== undefined && !cursor.is("{")) ++cursor.i;
    if (cursor.token !== undefined) cursor.skipBrackets();
    return [];
  }
  return null;
}

function classDeclaration(cursor, file, doc) {
  const {line} = cursor.token;
  ++cursor.i;
  const name = cursor.isName() && !cursor.is("extends") && !cursor.is("implements") ? cursor.tokens[cursor.i++].value : null;
  const parameters = cursor.typeParameters();
  const bases = [];
  if (cursor.accept("extends")) {
    const base = cursor.postfix();
    bases.push(base ?? {k: "other"});
  }
  while (cursor.token !== undefined && !cursor.is("{")) {
    if (cursor.is("(") || cursor.is("[")) cursor.skipBrackets();
    else ++cursor.i;
  }
  if (cursor.token === undefined) return;
  const body = classBody(cursor);
  if (name !== null) file.types.set(name, {k: "class", name, parameters, bases, ...body, doc, line});
}

// Between a class's braces: {body: {k: "object", members, index}, behaves, json}. behaves tells that it has methods, a
// constructor or private fields, so that no plain object can stand for it; json is what toJSON gives, {k: "other"} where
// that is not written, and absent without it.
function classBody(cursor) {
  const end = cursor.token.match;
  const members = [];
  let behaves = false;
  let json;
  // `private` is TypeScript's word alone: such members are there when the object becomes JSON.
  let index = null;
  ++cursor.i;
  while (cursor.i < end) {
    const from = cursor.i;
    const {doc, line} = cursor.token;
    const words = new Set();
    while (cursor.is("@")) {
      ++cursor.i;
      while (cursor.isName() || cursor.is(".")) ++cursor.i;
      if (cursor.is("(")) cursor.skipBrackets();
    }
    while (cursor.isName() && (MODIFIERS.has(cursor.token.value) || ["static", "declare", "abstract", "async", "get", "set"].includes(cursor.token.value)) &&
      (cursor.isName(1) || ["string", "number", "private"].includes(cursor.peek()?.type) || cursor.is("[", 1) || cursor.is("*", 1) || cursor.is("{", 1))) {
      words.add(cursor.token.value);
      ++cursor.i;
    }
    cursor.accept("*");
    const {token} = cursor;
    if (token === undefined) break;
    const hidden = words.has("static") || words.has("private") || words.has("protected") || token.type === "private";
    if (words.has("static") && cursor.is("{")) {
      cursor.skipBrackets();
    } else if (token.type === "name" || token.type === "string" || token.type === "number" || token.type === "private") {
      ++cursor.i;
      const optional = cursor.accept("?");
      cursor.accept("!");
      if (cursor.is("(") || cursor.is("<")) {
        if (!words.has("static")) behaves = true;
        if (token.value === "constructor") {
          const properties = parameterProperties(cursor);
          members.push(...properties.filter((one) => !one.hidden));
          if (properties.some((one) => one.hidden)) index = {k: "name", name: "any", args: []};
        } else {
          const method = cursor.afterName({});
          if (token.value === "toJSON" && !words.has("static")) json = method?.result ?? {k: "other"};
        }
      } else {
        const type = cursor.accept(":") ? cursor.type() : null;
        const value = cursor.accept("=") ? cursor.value() : null;
        if (hidden && !words.has("static")) {
          behaves = true;
          if (token.type !== "private") index = {k: "name", name: "any", args: []};
        }
        if (!hidden) {
          const literal = value?.literal ?? undefined;
          members.push({name: token.value, optional: optional || value !== null, type: type ?? typeOfLiteral(literal), doc, line, value: literal});
        }
      }
    } else if (cursor.is("[")) {
      cursor.skipBrackets();
      if (cursor.is("(")) behaves = true;
    }
    while (cursor.i < end && !cursor.is(";") && (cursor.i === from || !cursor.token.newline)) cursor.skipBrackets();
    cursor.accept(";");
    if (cursor.i <= from) cursor.i = from + 1;
  }
  cursor.i = end + 1;
  return {body: {k: "object", members, index}, behaves, json};
}

function typeOfLiteral(value) {
  return ["string", "number", "boolean", "bigint"].includes(typeof value) ? {k: "name", name: typeof value, args: []} : null;
}

// `constructor(public readonly name: string)` declares a member.
function parameterProperties(cursor) {
  const at = cursor.i;
  const end = cursor.token.match;
  const out = [];
  for (let i = at + 1; i < end; ++i) {
    const starts = cursor.tokens[i - 1].value === "(" || cursor.tokens[i - 1].value === ",";
    if (starts && ["public", "readonly", "private", "protected", "override"].includes(cursor.tokens[i].value) && cursor.tokens[i + 1].type === "name") {
      cursor.i = i;
      let hidden = false;
      while (["public", "readonly", "private", "protected", "override"].includes(cursor.token.value) && cursor.isName(1)) {
        if (cursor.is("private") || cursor.is("protected")) hidden = true;
        ++cursor.i;
      }
      const {value: name, doc, line} = cursor.token;
      ++cursor.i;
      const optional = cursor.accept("?");
      const type = cursor.accept(":") ? cursor.type() : null;
      const value = cursor.accept("=") ? cursor.value() : null;
      out.push({name, hidden, optional, type: type ?? typeOfLiteral(value?.literal), doc, line});
    }
    if (cursor.tokens[i].match > i) i = cursor.tokens[i].match;
  }
  cursor.i = at;
  cursor.afterName({});
  return out;
}

function enumValues(cursor) {
  const end = cursor.token.match;
  const names = [];
  const values = [];
  let next = 0;
  ++cursor.i;
  while (cursor.i < end) {
    names.push(cursor.token.value);
    ++cursor.i;
    if (cursor.accept("=")) {
      const value = cursor.value();
      next = value.literal;
    }
    values.push(next);
    next = typeof next === "number" ? next + 1 : undefined;
    while (cursor.i < end && !cursor.is(",")) cursor.skipBrackets();
    ++cursor.i;
  }
  cursor.i = end + 1;
  return {names, values};
}

// Whether the expression that starts here may give a function.
function mayBeFunction(token) {
  return token !== undefined && token.type === "name" && !["new", "class", "typeof", "void", "delete", "true", "false", "null", "undefined"].includes(token.value);
}

function variables(cursor, file, doc) {
  const isConstant = cursor.is("const");
  const {line} = cursor.token;
  const names = [];
  ++cursor.i;
  do {
    if (!cursor.isName()) {
      // Destructured.
      cursor.skipBrackets();
      cursor.skipExpression();
      continue;
    }
    const name = cursor.token.value;
    ++cursor.i;
    names.push(name);
    cursor.accept("!");
    const annotated = cursor.accept(":") ? cursor.type() : null;
    if (!cursor.accept("=")) {
      if (!cursor.is(",") && !cursor.is(";")) break;
      continue;
    }
    const found = cursor.token === undefined ? null : cursor.functionLike(doc) ?? cursor.arrow(doc);
    if (found !== null) {
      define(file, {...found, name, line, annotated});
      cursor.skipExpression({begun: true});
      continue;
    }
    const isMade = mayBeFunction(cursor.token);
    const value = cursor.value();
    if ("literal" in value) {
      if (isConstant) file.constants.set(name, value.literal);
      if (cursor.tokens[cursor.i - 2]?.value === "as" && cursor.tokens[cursor.i - 1]?.value === "const") file.fixed.add(name);
    } else if (isMade) {
      file.values.set(name, line);
    }
    cursor.skipExpression({begun: true});
  } while (cursor.accept(","));
  cursor.accept(";");
  return names;
}

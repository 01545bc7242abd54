// The functions, types, exports and constants that a file declares at its top level. Bodies are skipped.
import {tokensOf} from "./syntax.mjs";

const MAX_DEPTH = 100;
const MODIFIERS = new Set(["public", "private", "protected", "readonly", "override", "accessor"]);

class Cursor {
  constructor(source, tokens) {
    this.source = source;
    this.tokens = tokens;
    this.i = 0;
    this.depth = 0;
  }

  get token() {
    return this.tokens[this.i];
  }

  peek(ahead = 1) {
    return this.tokens[this.i + ahead];
  }

  is(value, ahead = 0) {
    const token = this.tokens[this.i + ahead];
    return token !== undefined && token.value === value && (token.type === "punct" || token.type === "name");
  }

  isName(ahead = 0) {
    return this.tokens[this.i + ahead]?.type === "name";
  }

  accept(value) {
    if (!this.is(value)) return false;
    ++this.i;
    return true;
  }

  text(from, to) {
    return from < to ? this.source.slice(this.tokens[from].start, this.tokens[to - 1].end) : "";
  }

  skipBrackets() {
    this.i = this.token.match < 0 ? this.i + 1 : this.token.match + 1;
  }

  // To the end of an expression: a comma, semicolon or closing bracket at its level, or a line that begins anew.
  skipExpression({comma = true} = {}) {
    const from = this.i;
    while (this.token !== undefined) {
      const {token} = this;
      if (token.type === "punct" && (token.value === ";" || token.value === ")" || token.value === "]" || token.value === "}")) return;
      if (comma && token.type === "punct" && token.value === ",") return;
      if (token.newline && this.i > from && endsExpression(this.tokens[this.i - 1]) && beginsStatement(token)) return;
      if (token.type === "name" && this.is("<", 1) && !token.newline) {
        // Type arguments may have commas: new Map<string, number>().
        const at = this.i;
        ++this.i;
        if (this.typeArguments() !== null && (this.is("(") || this.is(")"))) continue;
        this.i = at;
      }
      if (token.match >= 0) this.i = token.match + 1;
      else ++this.i;
    }
  }

  skipStatement() {
    const from = this.i;
    this.skipExpression({comma: false});
    if (!this.accept(";") && this.i === from) ++this.i;
  }

  // Types

  /** A type, as {k, …, from, to} with the token range it was written in; null when there is none. */
  type() {
    if (++this.depth > MAX_DEPTH) {
      --this.depth;
      return null;
    }
    const from = this.i;
    let found = this.union();
    if (found !== null && this.is("extends") && !this.noConditional) {
      // A conditional type is not evaluated.
      ++this.i;
      this.noConditional = true;
      this.union();
      this.noConditional = false;
      if (this.accept("?")) {
        this.type();
        if (this.accept(":")) this.type();
      }
      found = {k: "other"};
    }
    --this.depth;
    if (found === null) {
      this.i = Math.max(this.i, from);
      return null;
    }
    return {...found, from, to: this.i};
  }

  union() {
    const all = [];
    this.accept("|");
    do {
      const one = this.intersection();
      if (one === null) return null;
      all.push(one);
    } while (this.accept("|"));
    return all.length === 1 ? all[0] : {k: "union", of: all};
  }

  intersection() {
    const all = [];
    this.accept("&");
    do {
      const one = this.postfix();
      if (one === null) return null;
      all.push(one);
    } while (this.accept("&"));
    return all.length === 1 ? all[0] : {k: "and", of: all};
  }

  postfix() {
    const from = this.i;
    let found = this.primary();
    if (found === null) return null;
    found = {...found, from, to: this.i};
    while (this.is("[") && !this.token.newline) {
      if (this.is("]", 1)) {
        this.i += 2;
        found = {k: "array", item: found, from, to: this.i};
      } else {
        this.skipBrackets();
        found = {k: "other", from, to: this.i};
      }
    }
    if (this.jsdoc) {
      if (this.accept("=")) found = {...found, optional: true};
      if (this.accept("!")) return found;
    }
    return found;
  }

  primary() {
    const {token} = this;
    if (token === undefined) return null;
    if (token.type === "string") {
      ++this.i;
      return {k: "literal", value: token.value};
    }
    if (token.type === "template") {
      ++this.i;
      return token.value === null ? {k: "name", name: "string", args: []} : {k: "literal", value: token.value};
    }
    if (token.type === "number") {
      ++this.i;
      return {k: "literal", value: numberOf(token.value)};
    }
    if (token.type === "punct") return this.punctuated();
    if (token.type !== "name") return null;
    if (this.jsdoc && token.value === "function" && this.is("(", 1)) {
      ++this.i;
      this.skipBrackets();
      if (this.accept(":")) this.type();
      return {k: "function"};
    }
    if (["keyof", "typeof", "unique", "infer"].includes(token.value) && !this.endsType(1)) {
      ++this.i;
      if (token.value === "typeof" && this.is("import")) ++this.i;
      this.postfix();
      return {k: "other"};
    }
    if (token.value === "readonly" && !this.endsType(1)) {
      ++this.i;
      return this.postfix();
    }
    if (token.value === "asserts" && this.isName(1) && !this.peek().newline) {
      this.i += 2;
      if (this.accept("is")) this.type();
      return {k: "name", name: "void", args: []};
    }
    if ((token.value === "new" || (token.value === "abstract" && this.is("new", 1)))) {
      this.i += token.value === "new" ? 1 : 2;
      this.typeParameters();
      if (this.is("(")) this.skipBrackets();
      if (this.accept("=>")) this.type();
      return {k: "function"};
    }
    if (token.value === "import" && this.is("(", 1)) {
      ++this.i;
      this.skipBrackets();
      let name = "import";
      while (this.accept(".")) name = this.tokens[this.i++]?.value ?? name;
      return {k: "name", name, args: this.typeArguments() ?? [], imported: true};
    }
    ++this.i;
    if (this.is("is") && this.token.newline === false && (token.value === "this" || !this.endsType(1))) {
      ++this.i;
      this.type();
      return {k: "name", name: "boolean", args: []};
    }
    let name = token.value;
    while (this.is(".") && (this.isName(1) || (this.jsdoc && this.is("<", 1)))) {
      ++this.i;
      if (this.is("<")) break;
      name += `.${this.token.value}`;
      ++this.i;
    }
    return {k: "name", name, args: this.is("<") && !this.token.newline ? (this.typeArguments() ?? []) : []};
  }

  // Whether the token `ahead` cannot begin a type, so that the word before it is a name of its own.
  endsType(ahead) {
    const token = this.peek(ahead);
    return token === undefined || (token.type === "punct" && !["(", "[", "{", "<", "-"].includes(token.value));
  }

  punctuated() {
    const {token} = this;
    switch (token.value) {
      case "-":
        if (this.peek()?.type !== "number") return null;
        this.i += 2;
        return {k: "literal", value: negated(numberOf(this.tokens[this.i - 1].value))};
      case "{":
        return this.object();
      case "[":
        return this.tuple();
      case "<":
        this.typeParameters();
        return this.is("(") ? this.punctuated() : null;
      case "(": {
        if (this.tokens[token.match + 1]?.value === "=>") {
          this.i = token.match + 2;
          this.type();
          return {k: "function"};
        }
        const {match} = token;
        ++this.i;
        const noConditional = this.noConditional;
        this.noConditional = false;
        const inner = this.type();
        this.noConditional = noConditional;
        this.i = match + 1;
        return inner ?? {k: "other"};
      }
      case "*":
        if (!this.jsdoc) return null;
        ++this.i;
        return {k: "name", name: "any", args: []};
      case "?":
      case "!": {
        if (!this.jsdoc) return null;
        ++this.i;
        const inner = this.postfix();
        if (inner === null) return {k: "name", name: "any", args: []};
        return token.value === "?" ? {k: "union", of: [inner, {k: "name", name: "null", args: []}]} : inner;
      }
      case "...": {
        if (!this.jsdoc) return null;
        ++this.i;
        return this.postfix();
      }
      default:
        return null;
    }
  }

  tuple() {
    const end = this.token.match;
    const items = [];
    ++this.i;
    while (this.i < end) {
      const rest = this.accept("...");
      let optional = false;
      if (this.isName() && (this.is(":", 1) || (this.is("?", 1) && this.is(":", 2)))) {
        optional = this.is("?", 1);
        this.i += optional ? 3 : 2;
      }
      const type = this.type();
      if (this.accept("?")) optional = true;
      items.push({type: type ?? {k: "other"}, optional, rest});
      if (!this.accept(",")) break;
    }
    this.i = end + 1;
    return {k: "tuple", items};
  }

  /** The members between braces: {k: "object", members, index}. */
  object() {
    const end = this.token.match;
    const out = {k: "object", members: [], index: null};
    if (end < 0) return null;
    ++this.i;
    while (this.i < end) {
      const from = this.i;
      this.member(out, end);
      while (this.i < end && (this.is(";") || this.is(","))) ++this.i;
      if (this.i === from) ++this.i;
    }
    this.i = end + 1;
    return out;
  }

  member(out, end) {
    const {doc} = this.token;
    if (this.is("+") || this.is("-")) ++this.i;
    if (this.is("readonly") && !(this.is(":", 1) || this.is("?", 1) || this.is("(", 1))) ++this.i;
    if ((this.is("get") || this.is("set")) && (this.isName(1) || this.peek()?.type === "string")) ++this.i;
    if (this.is("[")) {
      const {match} = this.token;
      if (this.isName(1) && this.is("in", 2)) {
        // A mapped type: for each key in a union, or for any key.
        this.i += 3;
        const keys = this.type();
        this.i = match + 1;
        const optional = this.is("?") || (this.is("-") && this.is("?", 1) ? false : this.is("+"));
        while (this.is("?") || this.is("+") || this.is("-")) ++this.i;
        const type = this.accept(":") ? this.type() : null;
        out.mapped = {keys, optional};
        out.index = type ?? {k: "name", name: "any", args: []};
        return;
      }
      if (this.isName(1) && this.is(":", 2)) {
        this.i = match + 1;
        out.index = this.accept(":") ? this.type() : {k: "name", name: "any", args: []};
        return;
      }
      this.i = match + 1;
      this.memberType(end);
      return;
    }
    const {token} = this;
    if (token.type !== "name" && token.type !== "string" && token.type !== "number") {
      if (this.is("(") || this.is("<")) this.memberType(end);
      else ++this.i;
      return;
    }
    ++this.i;
    const optional = this.accept("?");
    const type = this.memberType(end);
    out.members.push({name: token.value, optional, type, doc, line: token.line});
  }

  memberType(end) {
    if (this.is("(") || this.is("<")) {
      this.typeParameters();
      if (this.is("(")) this.skipBrackets();
      if (this.accept(":")) this.type();
      return {k: "function"};
    }
    if (!this.accept(":")) return null;
    const type = this.type();
    if (type !== null) return type;
    while (this.i < end && !this.is(";") && !this.is(",")) this.skipBrackets();
    return {k: "other"};
  }

  /** `<A, B>` as types; null, with nothing taken, when it is not that. */
  typeArguments() {
    const at = this.i;
    if (!this.accept("<")) return null;
    const all = [];
    while (!this.is(">")) {
      const one = this.type();
      if (one === null || (!this.accept(",") && !this.is(">"))) {
        this.i = at;
        return null;
      }
      all.push(one);
    }
    ++this.i;
    return all;
  }

  /** The names in `<A, B extends C = D>`. */
  typeParameters() {
    const names = [];
    if (!this.accept("<")) return names;
    while (this.token !== undefined && !this.is(">") && !this.is(")") && !this.is("{")) {
      while (this.is("const") || this.is("in") || this.is("out")) ++this.i;
      if (this.isName()) names.push(this.token.value);
      ++this.i;
      if (this.accept("extends")) this.type();
      if (this.accept("=")) this.type();
      if (!this.accept(",")) break;
    }
    this.accept(">");
    return names;
  }

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

const CONTINUES = new Set([".", "?.", "(", "[", "+", "-", "*", "/", "%", "=", "==", "===", "!=", "!==", "<", ">", "<=", "&&", "||", "??", "?", ":", "=>", ",", "&", "|", "^"]);

function beginsStatement(token) {
  if (token.type === "template") return false;
  if (token.type === "punct") return !CONTINUES.has(token.value);
  return !(token.type === "name" && ["instanceof", "in", "as", "satisfies", "of"].includes(token.value));
}

function endsExpression(token) {
  return token.type !== "punct" || [")", "]", "}", "++", "--", ">"].includes(token.value);
}

function numberOf(text) {
  const digits = text.replaceAll("_", "");
  if (digits.endsWith("n")) {
    const big = BigInt(digits.slice(0, -1));
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
  }
  return Number(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
}

const negated = (number) => (number === 0 ? 0 : -number);

/**
 * What a file declares: functions (local name → declaration), exports [{name, local, line}], types, imports, constants,
 * unavailable, orphans. Errors: Unreadable.
 */
export function declarationsOf(source) {
  const {tokens, orphans} = tokensOf(source);
  const cursor = new Cursor(source, tokens);
  const file = {functions: new Map(), exports: [], types: new Map(), imports: new Map(), constants: new Map(), classes: new Set(), values: new Map(),
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

/** A JSDoc type's text as a type; null where it cannot be read. */
export function typeOfText(text) {
  let tokens;
  try {
    ({tokens} = tokensOf(text));
  } catch {
    return null;
  }
  const cursor = new Cursor(text, tokens);
  cursor.jsdoc = true;
  const type = cursor.type();
  return type === null || cursor.token !== undefined ? null : {...type, text};
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
  const names = [];
  while (cursor.token !== undefined && cursor.token.type !== "string" && !cursor.is(";") && !cursor.is("=")) {
    if (cursor.isName() && !cursor.is("from") && !cursor.is("as") && !cursor.is("type")) {
      if (cursor.is("as", -1)) names.pop();
      const original = cursor.is("as", 1) ? cursor.token.value : null;
      names.push([cursor.token.value, original]);
      if (original !== null) {
        cursor.i += 2;
        names.pop();
        names.push([cursor.token?.value ?? original, original]);
      }
    }
    if (++cursor.i - from > 100_000) break;
  }
  if (cursor.is("=")) {
    cursor.skipStatement();
    for (const [name] of names) file.imports.set(name, {module: "", name});
    return;
  }
  const module = cursor.token?.type === "string" ? cursor.token.value : "";
  for (const [local, original] of names) file.imports.set(local, {module, name: original ?? local});
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
    const named = cursor.functionLike(doc);
    if (named !== null) {
      if (named.name === null) unnamed(file, line);
      else {
        define(file, named);
        exported(named.name, named.name);
      }
      return;
    }
    if (cursor.is("class") || cursor.is("abstract")) {
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
      ++cursor.i;
      cursor.accept(";");
      return;
    }
    cursor.skipStatement();
    return;
  }
  if (cursor.is("*")) {
    cursor.skipStatement();
    file.unavailable.push({name: "*", line, reason: "functions of other files are served from those files"});
    return;
  }
  const typeOnly = cursor.is("type") && cursor.is("{", 1);
  if (typeOnly) ++cursor.i;
  if (cursor.is("{")) {
    const end = cursor.token.match;
    const names = [];
    ++cursor.i;
    while (cursor.i < end) {
      const isType = cursor.is("type") && cursor.isName(1) && !cursor.is("as", 1);
      if (isType) ++cursor.i;
      const local = cursor.token.value;
      ++cursor.i;
      let name = local;
      if (cursor.accept("as")) name = cursor.tokens[cursor.i++].value;
      if (!isType) names.push([name, local]);
      if (!cursor.accept(",")) break;
    }
    cursor.i = end + 1;
    const elsewhere = cursor.is("from");
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
  else if (name !== null) file.values.set(name, line);
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
    ++cursor.i;
    const name = cursor.isName() && !cursor.is("extends") ? cursor.token.value : null;
    while (cursor.token !== undefined && !cursor.is("{")) {
      if (cursor.is("(") || cursor.is("[")) cursor.skipBrackets();
      else ++cursor.i;
    }
    if (cursor.token !== undefined) cursor.skipBrackets();
    if (name !== null) {
      file.classes.add(name);
      file.types.set(name, {k: "class", line: token.line});
    }
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
    cursor.skipExpressionEnd();
    return [];
  }
  if (cursor.is("enum") || (cursor.is("const") && cursor.is("enum", 1))) {
    cursor.i += cursor.is("enum") ? 1 : 2;
    if (!cursor.isName() || !cursor.is("{", 1)) return null;
    const name = cursor.token.value;
    ++cursor.i;
    file.types.set(name, {k: "enum", values: enumValues(cursor), doc, line: token.line});
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

Cursor.prototype.skipExpressionEnd = function () {
  this.accept(";");
};

function enumValues(cursor) {
  const end = cursor.token.match;
  const values = [];
  let next = 0;
  ++cursor.i;
  while (cursor.i < end) {
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
  return values;
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
      cursor.skipExpression();
      continue;
    }
    const value = cursor.value();
    if ("literal" in value) {
      if (isConstant) file.constants.set(name, value.literal);
    } else {
      file.values.set(name, line);
    }
    cursor.skipExpression();
  } while (cursor.accept(","));
  cursor.accept(";");
  return names;
}

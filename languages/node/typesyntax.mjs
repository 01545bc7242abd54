// Types as TypeScript and JSDoc write them, read from tokens.
import {tokensOf} from "./syntax.mjs";

const MAX_DEPTH = 100;

/** A place among tokens, and what is read from there on: types. */
export class TypeCursor {
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
  //
  // begun: part of the expression has been taken already, so that a new line may end it at once.
  skipExpression({comma = true, begun = false} = {}) {
    const from = begun ? this.i - 1 : this.i;
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

  skipStatement({begun = false} = {}) {
    const from = begun ? -1 : this.i;
    this.skipExpression({comma: false, begun});
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
      ++this.i;
      this.noConditional = true;
      const bound = this.union();
      this.noConditional = false;
      let yes = null;
      let no = null;
      if (this.accept("?")) {
        yes = this.type();
        if (this.accept(":")) no = this.type();
      }
      found = bound === null || yes === null || no === null ? {k: "other"} : {k: "conditional", check: {...found, from, to: found.to ?? this.i}, bound, yes, no};
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
    if (++this.depth > MAX_DEPTH) {
      --this.depth;
      return null;
    }
    let found = this.primary();
    --this.depth;
    if (found === null) return null;
    found = {...found, from, to: this.i};
    while (this.is("[") && !this.token.newline) {
      if (this.is("]", 1)) {
        this.i += 2;
        found = {k: "array", item: found, from, to: this.i};
      } else {
        const {match} = this.token;
        ++this.i;
        const key = this.type();
        this.i = match + 1;
        found = {k: "member", of: found, key: key ?? {k: "other"}, from, to: this.i};
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
      return token.value === null ? this.template(token) : {k: "literal", value: token.value};
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
      const isImport = token.value === "typeof" && this.accept("import");
      // `typeof X["a"]` is the type of a member of X; `keyof X["a"]` are the keys of that member.
      const inner = token.value === "typeof" && !isImport ? this.primary() : this.postfix();
      if (token.value === "keyof" && inner !== null) return {k: "keyof", of: inner};
      return token.value === "typeof" && inner?.k === "name" && !inner.imported ? {k: "typeof", name: inner.name} : {k: "other"};
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
      const module = this.tokens[this.i + 2];
      ++this.i;
      this.skipBrackets();
      let name = "import";
      while (this.accept(".")) name = this.tokens[this.i++]?.value ?? name;
      return {k: "name", name, args: this.typeArguments() ?? [], imported: true, module: module?.type === "string" ? module.value : ""};
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
        const name = this.peek().value;
        this.i += 3;
        const keys = this.type();
        const renamed = this.is("as");
        this.i = match + 1;
        const removes = this.is("-") && this.is("?", 1);
        const optional = removes ? false : this.is("?") || (this.is("+") && this.is("?", 1)) ? true : null;
        while (this.is("?") || this.is("+") || this.is("-")) ++this.i;
        const type = this.accept(":") ? this.type() : null;
        out.mapped = {keys: renamed ? null : keys, name, optional};
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

  /** What is in `<A, B extends C = D>`: [{name, bound, otherwise}]. */
  typeParameters() {
    const out = [];
    if (!this.accept("<")) return out;
    while (this.token !== undefined && !this.is(">") && !this.is(")") && !this.is("{")) {
      while (this.is("const") || this.is("in") || this.is("out")) ++this.i;
      const one = {name: this.isName() ? this.token.value : "", bound: null, otherwise: null};
      ++this.i;
      if (this.accept("extends")) one.bound = this.type();
      if (this.accept("=")) one.otherwise = this.type();
      if (one.name !== "") out.push(one);
      if (!this.accept(",")) break;
    }
    this.accept(">");
    return out;
  }

  // `id-${number}`: {k: "template", parts}, in turn a text and a type.
  template(token) {
    const text = this.source.slice(token.start + 1, token.end - 1);
    const parts = [];
    let at = 0;
    for (let open = text.indexOf("${"); open >= 0; open = text.indexOf("${", at)) {
      let depth = 1;
      let end = open + 2;
      for (; end < text.length && depth > 0; ++end) depth += text[end] === "{" ? 1 : text[end] === "}" ? -1 : 0;
      if (this.depth > 20) return {k: "other"};
      parts.push(text.slice(at, open), typeOfText(text.slice(open + 2, end - 1), {jsdoc: this.jsdoc, depth: this.depth + 1}) ?? {k: "other"});
      at = end;
    }
    return {k: "template", parts: [...parts, text.slice(at)]};
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

export function numberOf(text) {
  const digits = text.replaceAll("_", "");
  if (digits.endsWith("n")) {
    const big = BigInt(digits.slice(0, -1));
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
  }
  return Number(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
}

export const negated = (number) => (number === 0 ? 0 : -number);

/** A JSDoc type's text as a type; null where it cannot be read. */
export function typeOfText(text, {jsdoc = true, depth = 0} = {}) {
  let tokens;
  try {
    ({tokens} = tokensOf(text));
  } catch {
    return null;
  }
  const cursor = new TypeCursor(text, tokens);
  cursor.jsdoc = jsdoc;
  cursor.depth = depth;
  const type = cursor.type();
  return type === null || cursor.token !== undefined ? null : {...type, text};
}

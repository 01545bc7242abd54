// Whether a module is right JavaScript once its plainest types are taken out, as V8 sees it.
//
// Only where the answer is yes is it of use: V8 then takes nothing that Node's TypeScript parser would refuse. That parser
// is a WebAssembly module, which costs more than all the rest of a short describing to start.
import vm from "node:vm";

const AsyncFunction = (async () => {}).constructor;
const MAX_DEPTH = 50;
const NAME = /^[A-Za-z_$][\w$]*$/;
const NUMBER = /^(?:0|[1-9][0-9]{0,14})$/;
// What may stand for a type and is a word of the language.
const OWN_TYPES = new Set(["void", "null", "true", "false"]);
const RESERVED = new Set(["break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete", "do", "else", "enum", "export",
  "extends", "false", "finally", "for", "function", "if", "import", "in", "instanceof", "new", "null", "return", "super", "switch", "this", "throw",
  "true", "try", "typeof", "var", "void", "while", "with", "implements", "interface", "let", "package", "private", "protected", "public", "static",
  "yield", "await"]);
// Words that are more than a name somewhere in a type.
const TYPE_WORDS = new Set(["abstract", "accessor", "as", "asserts", "async", "constructor", "declare", "from", "get", "global", "infer", "is", "keyof", "module",
  "namespace", "of", "out", "override", "readonly", "require", "satisfies", "set", "type", "unique", "using"]);
const ACCESS_WORDS = new Set(["new", "get", "set", "readonly", "constructor"]);
// No name for a type of one's own.
const BUILT_IN = new Set(["any", "bigint", "boolean", "never", "number", "object", "string", "symbol", "undefined", "unknown"]);
const BEGINS_STATEMENT = new Set(["export", "import", "const", "let", "var", "function", "async", "class", "interface", "type"]);
const ASSIGNING = new Set(["+", "-", "*", "/", "%", "&", "|", "^", "<", ">", "&&", "||", "??"]);

const STATEMENT = "var $sabir;";

/** Takes types out of a token list, where they are of the plainest kind and stand where they cannot be anything else. */
class Eraser {
  constructor(source, tokens) {
    this.source = source;
    this.tokens = tokens;
    // [from, to, text in their place], in no order: types; and what makes a module of a script.
    this.ranges = [];
    this.linkage = [];
    this.starts = new Set();
  }

  is(i, value) {
    const token = this.tokens[i];
    return token !== undefined && token.value === value && (token.type === "punct" || token.type === "name");
  }

  // A name of its own that has no other meaning.
  isOwnName(i) {
    const token = this.tokens[i];
    return token?.type === "name" && token.end - token.start === token.value.length && NAME.test(token.value) && !RESERVED.has(token.value) &&
      !TYPE_WORDS.has(token.value);
  }

  isPropertyName(i) {
    const token = this.tokens[i];
    return token?.type === "name" && token.end - token.start === token.value.length && NAME.test(token.value) && !ACCESS_WORDS.has(token.value);
  }

  // The same line as the token before.
  follows(i) {
    return this.tokens[i]?.newline === false;
  }

  erase(from, to, instead = "") {
    this.ranges.push([this.tokens[from].start, this.tokens[to - 1].end, instead]);
    this.starts.add(this.tokens[from].start);
  }

  // Types: each gives the index after what it took, or -1.

  type(from, depth = 0) {
    if (depth > MAX_DEPTH) return -1;
    let at = from;
    while (true) {
      at = this.array(at, depth);
      if (at < 0 || !this.is(at, "|")) return at;
      ++at;
    }
  }

  array(from, depth) {
    let at = this.single(from, depth);
    while (at > 0 && this.is(at, "[") && this.follows(at)) at = this.is(at + 1, "]") ? at + 2 : -1;
    return at;
  }

  single(from, depth) {
    const token = this.tokens[from];
    if (token === undefined) return -1;
    if (token.type === "string") return this.source.slice(token.start, token.end).includes("\\") ? -1 : from + 1;
    if (token.type === "number") {
      const next = this.tokens[from + 1];
      return NUMBER.test(this.source.slice(token.start, token.end)) && (next?.type === "punct" || next?.start !== token.end) ? from + 1 : -1;
    }
    if (token.type === "punct") {
      if (token.value === "{") return this.object(from, depth);
      if (token.value !== "(") return -1;
      const at = this.type(from + 1, depth + 1);
      return at === token.match && !this.is(at + 1, "=>") ? at + 1 : -1;
    }
    if (OWN_TYPES.has(token.value)) return token.end - token.start === token.value.length ? from + 1 : -1;
    if (!this.isOwnName(from)) return -1;
    if (BUILT_IN.has(token.value)) return this.is(from + 1, ".") || this.is(from + 1, "<") ? -1 : from + 1;
    let at = from + 1;
    while (this.is(at, ".")) {
      if (!this.isOwnName(at + 1)) return -1;
      at += 2;
    }
    if (!this.is(at, "<")) return at;
    return this.follows(at) ? this.typeArguments(at, depth) : -1;
  }

  typeArguments(from, depth) {
    let at = from;
    do at = this.type(at + 1, depth + 1);
    while (at > 0 && this.is(at, ","));
    return at > 0 && this.is(at, ">") ? at + 1 : -1;
  }

  object(from, depth) {
    const end = this.tokens[from].match;
    let at = from + 1;
    while (at < end) {
      if (this.is(at, "readonly") && this.follows(at + 1) && !this.is(at + 1, ":") && !this.is(at + 1, "?")) ++at;
      const key = this.tokens[at];
      if (key.type === "string" ? this.source.slice(key.start, key.end).includes("\\") : !this.isPropertyName(at)) return -1;
      ++at;
      if (this.is(at, "?")) ++at;
      if (!this.is(at, ":")) return -1;
      at = this.type(at + 1, depth + 1);
      if (at < 0 || at > end) return -1;
      if (this.is(at, ";") || this.is(at, ",")) ++at;
      else if (at < end && this.follows(at)) return -1;
    }
    return end + 1;
  }

  // `=`, and not the end of `>=`.
  isAssignment(i) {
    return i > 0 && this.is(i, "=") && !(this.is(i - 1, ">") && this.tokens[i].start === this.tokens[i - 1].end);
  }

  // Where types stand

  // `: Type`; the index after it, `from` where there is none, or -1.
  annotation(from) {
    return this.is(from, ":") ? this.type(from + 1) : from;
  }

  // The types between a parameter list's parentheses.
  parameters(open) {
    const end = this.tokens[open].match;
    let at = open + 1;
    while (at < end) {
      const isRest = this.is(at, "...");
      if (isRest) ++at;
      const isName = this.isOwnName(at);
      const isPattern = this.is(at, "{") || this.is(at, "[");
      if (isName) ++at;
      else if (isPattern) at = this.tokens[at].match + 1;
      const typed = this.is(at, "?") && isName && !isRest && (this.is(at + 1, ":") || this.is(at + 1, ",") || at + 1 === end) ? at + 1 : at;
      const after = this.annotation(typed);
      const isDefault = typed === at && this.isAssignment(after);
      if ((isName || isPattern) && after > at && (after === end || this.is(after, ",") || isDefault)) this.erase(at, after);
      while (at < end && !this.is(at, ",")) at = this.tokens[at].match > at ? this.tokens[at].match + 1 : at + 1;
      ++at;
    }
  }

  // `function name(…): Type {`
  function(from) {
    let at = from + 1;
    if (this.is(at, "*")) ++at;
    if (this.tokens[at]?.type === "name") ++at;
    if (!this.is(at, "(")) return;
    this.parameters(at);
    const close = this.tokens[at].match;
    const after = this.annotation(close + 1);
    if (after > close + 1 && this.is(after, "{")) this.erase(close + 1, after);
  }

  // `(a: string) => …`, and `const f = (a: string): string => …`, where the colon cannot belong to a conditional expression.
  arrow(open) {
    const close = this.tokens[open].match;
    if (this.is(close + 1, "=>")) {
      this.parameters(open);
      return;
    }
    const before = open - (this.is(open - 1, "async") ? 2 : 1);
    if (!this.is(before, "=") || !this.isOwnName(before - 1) || !(this.is(before - 2, "const") || this.is(before - 2, "let"))) return;
    const after = this.annotation(close + 1);
    if (after <= close + 1 || !this.is(after, "=>") || !this.follows(after)) return;
    this.parameters(open);
    this.erase(close + 1, after);
  }

  // `const a: Type =`
  variable(from) {
    if (!this.isOwnName(from + 1) || !this.is(from + 2, ":")) return;
    const after = this.annotation(from + 2);
    if (this.isAssignment(after)) this.erase(from + 2, after);
  }

  // `new Map<string, number>()`
  creation(from) {
    if (!this.isOwnName(from + 1) || !this.is(from + 2, "<") || !this.follows(from + 2)) return;
    const after = this.typeArguments(from + 2, 0);
    if (after > 0 && this.is(after, "(")) this.erase(from + 2, after);
  }

  // At a statement of the file itself: `interface A {…}`, `type A = …;`, `import type {…}`. A statement is left in its place, so
  // that what stands before and after does not become one.
  statement(from) {
    const first = this.is(from, "export") ? from + 1 : from;
    if (this.is(first, "interface") && this.follows(first + 1) && this.isTypeName(first + 1) && this.is(first + 2, "{")) {
      const after = this.object(first + 2, 0);
      if (after > 0) this.erase(from, after, STATEMENT);
    } else if (this.is(first, "type") && this.follows(first + 1) && this.isTypeName(first + 1) && this.is(first + 2, "=")) {
      const after = this.type(this.is(first + 3, "|") ? first + 4 : first + 3);
      const next = this.tokens[after];
      if (after > 0 && (next === undefined || this.is(after, ";") || (next.newline && next.type === "name" && BEGINS_STATEMENT.has(next.value)))) {
        this.erase(from, after, STATEMENT);
      }
    } else if (this.is(from, "import") && this.is(from + 1, "type") && this.is(from + 2, "{")) {
      this.erase(from + 1, from + 2);
    } else if (this.is(from, "import") && this.is(from + 1, "{")) {
      const end = this.tokens[from + 1].match;
      for (let i = from + 2; i < end; ++i) {
        const begins = this.is(i - 1, "{") || this.is(i - 1, ",");
        if (begins && this.is(i, "type") && this.isOwnName(i + 1) && (this.is(i + 2, ",") || this.is(i + 2, "}"))) this.erase(i, i + 1);
      }
    }
  }

  isTypeName(i) {
    return this.isOwnName(i) && !BUILT_IN.has(this.tokens[i].value);
  }

  // Whether the `<` may be meant to open type arguments.
  mayCloseAngle(from) {
    for (let at = from + 1; at < this.tokens.length && at - from < 100; ++at) {
      const {type, value, match} = this.tokens[at];
      if (type !== "punct") continue;
      if (value === ">") return true;
      if (value === ";" || value === ")" || value === "]" || value === "}" || value === "{") return false;
      if (match >= 0) at = match;
    }
    return true;
  }

  /** The source without the types that were taken out. */
  erased() {
    const {tokens} = this;
    let depth = 0;
    for (let i = 0; i < tokens.length; ++i) {
      const token = tokens[i];
      const before = tokens[i - 1];
      if (token.type === "name" && token.member !== true && before?.value !== "?.") {
        const begins = depth === 0 && (before === undefined || this.is(i - 1, ";") || (this.is(i - 1, "}") && token.newline));
        if (begins && (token.value === "export" || token.value === "interface" || token.value === "type" || token.value === "import")) {
          const count = this.ranges.length;
          this.statement(i);
          // What is gone as a whole is not looked into.
          if (this.ranges.length > count && this.ranges.at(-1)[2] === STATEMENT) {
            const end = this.ranges.at(-1)[1];
            while (i + 1 < tokens.length && tokens[i + 1].start < end) ++i;
            continue;
          }
        }
        if (depth === 0 && (token.value === "export" || token.value === "import")) this.link(i);
        if (token.value === "function") this.function(i);
        else if (token.value === "const" || token.value === "let" || token.value === "var") this.variable(i);
        else if (token.value === "new") this.creation(i);
      } else if (token.type === "punct") {
        const {value} = token;
        if (token.match >= 0) {
          ++depth;
          if (value === "(") this.arrow(i);
        } else if (value === ")" || value === "]" || value === "}") {
          --depth;
        }
      }
    }
    this.ranges.sort((a, b) => a[0] - b[0]);
    // One within another: nothing is known for certain.
    return this.ranges.some(([from], index) => index > 0 && from < this.ranges[index - 1][1]) ? null : this.without(this.ranges);
  }

  /** What is left of `erased` when it is to be a function's body. */
  body() {
    return this.without([...this.ranges, ...this.linkage].sort((a, b) => a[0] - b[0]));
  }

  // The source without ranges in their order; one within another goes with it.
  without(ranges) {
    let out = "";
    let at = 0;
    for (const [from, to, instead] of ranges) {
      if (from < at) continue;
      out += this.source.slice(at, from) + (instead || " ");
      at = to;
    }
    return out + this.source.slice(at);
  }

  // `import … from "a"`, `export {…} from "a"`, `export default`, `export`.
  link(from) {
    const {tokens} = this;
    const {start} = tokens[from];
    let at = from + 1;
    let instead = ";";
    if (this.is(from, "import")) {
      if (this.is(at, "(") || this.is(at, ".")) return;
      while (tokens[at] !== undefined && tokens[at].type !== "string") at = Math.max(at, tokens[at].match) + 1;
    } else if (this.is(at, "{")) {
      at = tokens[at].match;
      if (this.is(at + 1, "from") && tokens[at + 2]?.type === "string") at += 2;
    } else if (this.is(at, "*")) {
      while (tokens[at] !== undefined && tokens[at].type !== "string") ++at;
    } else if (this.is(at, "default")) {
      instead = "$sabir = ";
    } else {
      --at;
      instead = " ";
    }
    if (tokens[at] !== undefined) this.linkage.push([start, tokens[at].end, instead]);
  }

  // What V8 takes and Node's TypeScript parser may refuse: `f() = 1`, which throws when it runs; `case (a): b => c`; `a < b > /c/`;
  // `namespace` or `in` at the end of a line; `with {…}` on a line of its own.
  mayBeRefused() {
    const {tokens, ranges} = this;
    let erased = 0;
    for (let i = 0; i < tokens.length; ++i) {
      const token = tokens[i];
      const {type, value} = token;
      while (erased < ranges.length && ranges[erased][1] <= token.start) ++erased;
      if (erased < ranges.length && ranges[erased][0] <= token.start) continue;
      if (type === "name") {
        if (!token.member && tokens[i + 1]?.newline !== false && (TYPE_WORDS.has(value) || value === "in" || value === "instanceof")) return true;
        if (value === "with" && token.newline) return true;
      } else if (type === "template" && value === null) {
        const text = this.source.slice(token.start, token.end);
        const inside = text.slice(text.indexOf("${"));
        if (/\+\+|--/.test(inside) || (inside.includes(")") && /=|\b(?:of|in)\b/.test(inside))) return true;
      } else if (type === "punct" && value === ")") {
        if (this.is(i + 1, ":") && this.is(i + 3, "=>") && !this.starts.has(tokens[i + 1].start)) return true;
        if (this.is(i + 1, "++") || this.is(i + 1, "--") || this.is(i + 1, "of") || this.is(i + 1, "in")) return true;
        let at = i + 1;
        while (tokens[at]?.type === "punct" && ASSIGNING.has(tokens[at].value) && (at === i + 1 || tokens[at].start === tokens[at - 1].end)) ++at;
        const adjoins = at === i + 1 || tokens[at]?.start === tokens[at - 1].end;
        const compares = at === i + 2 && this.is(i + 1, ">");
        if (adjoins && !compares && (this.is(at, "=") || (at > i + 1 && this.is(at, "<=")))) return true;
      } else if (type === "punct" && value === "<") {
        if (this.mayCloseAngle(i)) return true;
      } else if (type === "punct" && (value === "++" || value === "--")) {
        const operand = tokens[i + 1];
        if (operand !== undefined && operand.type !== "name" && (operand.type !== "punct" || operand.value === "/")) return true;
        for (let at = i + 1; at < tokens.length; ++at) {
          const one = tokens[at];
          if (this.is(at, "(") || this.is(at, "new") || one.type === "template") return true;
          if (one.type === "punct" && one.match >= 0) at = one.match;
          else if (one.type !== "name" && one.type !== "private" && one.value !== "." && one.value !== "?.") break;
        }
      }
    }
    return false;
  }
}

/** Whether the module `source`, whose tokens are `tokens`, is right for certain. Nothing is run. */
export function isRightForCertain(source, tokens) {
  if (vm.SourceTextModule === undefined || source.charCodeAt(0) === 0xfeff) return false;
  const eraser = new Eraser(source, tokens);
  const text = eraser.erased();
  if (text === null || eraser.mayBeRefused()) return false;
  try {
    // Node ends itself where it is to show one of the errors whose end V8 places before their start. So V8 is asked without
    // Node first, about the body of a function.
    return Boolean(new AsyncFunction(`"use strict";${eraser.body().replace(/^#!/, "//")}\n`)) && Boolean(new vm.SourceTextModule(text, {identifier: "source"}));
  } catch {
    return false;
  }
}

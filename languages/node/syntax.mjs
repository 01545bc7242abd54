// JavaScript and TypeScript source as tokens: names, literals and punctuation, each with the comment above it.
//
// Nothing is run. Work is linear in the source's length, and nesting is bounded.

/** A place where the source cannot be read. line and column count from 1. */
export class Unreadable extends Error {
  constructor(message, line, column) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

const MAX_NESTING = 200;
const MAX_BRACKETS = 500;
// Read by expressions as far as they go: most sources are read before the interpreter has compiled a loop over their characters.
const OPERATOR = /=>|\.\.\.|===|!==|==|!=|<=|&&|\|\||\?\?|\?\.(?![0-9])|\+\+|--|[-+*/%=<>!&|^~?:;,.()[\]{}@#]/y;
const BLANKS = /[ \t\r\u00a0\ufeff\u2028\u2029\f\v]+/y;
const NUMBER = /(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][-+]?[0-9_]+)?)n?/y;
const PLAIN_NAME = /[a-zA-Z0-9_$]+/y;
// After these words an expression follows, so a slash begins a regular expression.
const BEFORE_EXPRESSION = new Set(["return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "instanceof",
  "yield", "await", "default", "extends"]);
const BEFORE_CONDITION = new Set(["if", "while", "for", "with"]);
const CLOSER = {"(": ")", "[": "]", "{": "}"};
const NAME_START = /[\p{ID_Start}$_\\]/u;
const NAME_PART = /[\p{ID_Continue}$\u200c\u200d\\]/u;

// Whether `expression`, a sticky one, takes something at `at`: up to its lastIndex.
function taken(expression, source, at) {
  expression.lastIndex = at;
  return expression.test(source);
}

class Lexer {
  constructor(source) {
    this.source = source;
    this.at = 0;
    this.line = 1;
    this.lineStart = 0;
    this.depth = 0;
    this.previous = null;
    // For each open bracket: what a slash means after its closer, and where it is.
    this.open = [];
    this.afterCloser = true;
    this.doc = null;
    if (source.startsWith("#!")) this._toLineEnd();
    if (source.charCodeAt(0) === 0xfeff) this.at = 1;
  }

  fail(message, from = this.at, line = this.line) {
    const start = this.source.lastIndexOf("\n", from - 1) + 1;
    throw new Unreadable(message, line, from - start + 1);
  }

  _toLineEnd() {
    const end = this.source.indexOf("\n", this.at);
    this.at = end < 0 ? this.source.length : end;
  }

  _newline() {
    ++this.line;
    this.lineStart = this.at + 1;
  }

  // Blanks and comments; keeps the comments that stand directly above what follows.
  _skip() {
    const {source} = this;
    let newline = false;
    this.doc = null;
    while (this.at < source.length) {
      const c = source[this.at];
      if (c === "\n") {
        this._newline();
        newline = true;
        ++this.at;
      } else if (taken(BLANKS, source, this.at)) {
        this.at = BLANKS.lastIndex;
      } else if (c === "/" && source[this.at + 1] === "/") {
        const {line} = this;
        const from = this.at;
        this._toLineEnd();
        const own = this.previous === null || newline || from === this.lineStart;
        if (!own) continue;
        const text = source.slice(from, this.at).trimEnd();
        if (/^\/\/\/?\s*(?:@ts-|eslint|prettier|<reference|#|biome|istanbul|c8|v8)/.test(text)) continue;
        const body = text.replace(/^\/\/+ ?/, "");
        if (this.doc?.kind === "lines" && this.doc.last === line - 1) {
          this.doc.lines.push(body);
          this.doc.last = line;
        } else {
          if (this.doc !== null) this._orphan();
          this.doc = {kind: "lines", lines: [body], first: line, last: line};
        }
      } else if (c === "/" && source[this.at + 1] === "*") {
        const {line} = this;
        const from = this.at;
        const end = source.indexOf("*/", from + 2);
        if (end < 0) this.fail("a comment that does not end");
        for (let i = source.indexOf("\n", from); i >= 0 && i < end; i = source.indexOf("\n", i + 1)) {
          this.at = i;
          this._newline();
          newline = true;
        }
        this.at = end + 2;
        const text = source.slice(from + 2, end);
        if (text.startsWith("*") && text !== "*") {
          if (this.doc !== null) this._orphan();
          const lines = text.slice(1).split("\n").map((one) => one.trimEnd().replace(/^\s*\* ?/, ""));
          lines[0] = lines[0].trimStart();
          this.doc = {kind: "block", lines, first: line, last: this.line};
        }
      } else {
        break;
      }
    }
    if (this.doc?.kind === "lines" && this.doc.last < this.line - 1) this._orphan();
    return newline;
  }

  // A comment that belongs to no definition: the file's own, or one of JSDoc's @typedef.
  _orphan() {
    this.orphans ??= [];
    this.orphans.push(this.doc);
    this.doc = null;
  }

  /** The next token; null at the end. */
  next() {
    const newline = this._skip();
    const {source} = this;
    if (this.at >= source.length) {
      if (this.doc !== null) this._orphan();
      return null;
    }
    const token = {type: "punct", value: "", start: this.at, end: 0, line: this.line, newline, doc: this.doc, match: -1,
      member: false, opener: null};
    const c = source[this.at];
    const code = c.charCodeAt(0);
    if ((code >= 97 && code <= 122) || (code >= 65 && code <= 90) || c === "_" || c === "$" || (code > 127 && NAME_START.test(this._point())) || c === "\\") {
      token.type = "name";
      token.value = this._name();
    } else if (c === "#" && source[this.at + 1] !== undefined) {
      ++this.at;
      token.type = "private";
      token.value = `#${this._name()}`;
    } else if ((code >= 48 && code <= 57) || (c === "." && /[0-9]/.test(source[this.at + 1] ?? ""))) {
      token.type = "number";
      token.value = this._number();
    } else if (c === '"' || c === "'") {
      token.type = "string";
      token.value = this._string(c);
    } else if (c === "`") {
      token.type = "template";
      token.value = this._template();
    } else if (c === "/" && this._expectsExpression()) {
      token.type = "regex";
      this._regex();
    } else {
      if (!taken(OPERATOR, source, this.at)) this.fail(`a character that has no meaning here: ${this._point()}`);
      token.value = source.slice(this.at, OPERATOR.lastIndex);
      this.at = OPERATOR.lastIndex;
      this._bracket(token);
    }
    token.end = this.at;
    this.previous = token;
    return token;
  }

  _point() {
    return String.fromCodePoint(this.source.codePointAt(this.at));
  }

  _name() {
    const {source} = this;
    const from = this.at;
    while (this.at < source.length) {
      if (taken(PLAIN_NAME, source, this.at)) this.at = PLAIN_NAME.lastIndex;
      const code = source.charCodeAt(this.at);
      if ((code > 127 || code === 92) && NAME_PART.test(this._point())) {
        this.at += this._point().length;
        if (code === 92 && source[this.at] === "u" && source[this.at + 1] === "{") {
          const end = source.indexOf("}", this.at);
          this.at = end < 0 ? source.length : end + 1;
        }
      } else break;
    }
    if (this.at === from) this.fail("a name is missing after #");
    return unescaped(source.slice(from, this.at));
  }

  _number() {
    taken(NUMBER, this.source, this.at);
    const from = this.at;
    this.at = NUMBER.lastIndex;
    return this.source.slice(from, this.at);
  }

  _string(quote) {
    const {source} = this;
    const from = this.at;
    for (++this.at; this.at < source.length; ++this.at) {
      const c = source[this.at];
      if (c === "\\") {
        ++this.at;
        if (source[this.at] === "\r" && source[this.at + 1] === "\n") ++this.at;
        if (source[this.at] === "\n") this._newline();
      } else if (c === quote) {
        ++this.at;
        return unescaped(source.slice(from + 1, this.at - 1));
      } else if (c === "\n") {
        break;
      }
    }
    return this.fail("a string that does not end on its line", from);
  }

  // The text of a template without substitutions, else null.
  _template() {
    const {source} = this;
    const from = this.at;
    const {line} = this;
    let plain = true;
    for (++this.at; this.at < source.length; ++this.at) {
      const c = source[this.at];
      if (c === "\\") {
        ++this.at;
        if (source[this.at] === "\n") this._newline();
      } else if (c === "\n") {
        this._newline();
      } else if (c === "`") {
        ++this.at;
        return plain ? unescaped(source.slice(from + 1, this.at - 1)) : null;
      } else if (c === "$" && source[this.at + 1] === "{") {
        plain = false;
        this.at += 2;
        this._substitution(from, line);
      }
    }
    return this.fail("a template that does not end", from, line);
  }

  _substitution(from, line) {
    if (++this.depth > MAX_NESTING) this.fail("templates nested too deeply", from, line);
    const {open, previous} = this;
    this.open = [];
    this.previous = {type: "punct", value: "("};
    while (true) {
      this._skip();
      if (this.source[this.at] === "}" && this.open.length === 0) break;
      if (this.next() === null) this.fail("a template that does not end", from, line);
    }
    this.open = open;
    this.previous = previous;
    --this.depth;
  }

  _regex() {
    const {source} = this;
    const from = this.at;
    let inClass = false;
    for (++this.at; this.at < source.length && source[this.at] !== "\n"; ++this.at) {
      const c = source[this.at];
      if (c === "\\") ++this.at;
      else if (c === "[") inClass = true;
      else if (c === "]") inClass = false;
      else if (c === "/" && !inClass) {
        ++this.at;
        while (/[a-zA-Z]/.test(source[this.at] ?? "")) ++this.at;
        return;
      }
    }
    this.fail("a regular expression that does not end", from);
  }

  _expectsExpression() {
    const {previous} = this;
    if (previous === null) return true;
    if (previous.type === "name") return BEFORE_EXPRESSION.has(previous.value) && previous.member !== true;
    if (previous.type !== "punct") return false;
    if (previous.value === ")" || previous.value === "}") return this.afterCloser;
    return previous.value !== "]" && previous.value !== "++" && previous.value !== "--";
  }

  _bracket(token) {
    const {value} = token;
    const {previous} = this;
    if (value in CLOSER) {
      let expression = false;
      if (value === "(") expression = previous?.type === "name" && BEFORE_CONDITION.has(previous.value);
      if (value === "{") {
        // A block, after which a slash begins a regular expression, unless it is an object or a function's body in one.
        expression = previous === null || (previous.type === "punct" && [")", ";", "{", "}", "=>"].includes(previous.value)) ||
          (previous.type === "name" && ["else", "do", "try", "finally"].includes(previous.value));
      }
      if (this.open.length >= MAX_BRACKETS) this.fail("brackets nested too deeply", token.start);
      this.open.push({value, token, expression});
    } else if (value === ")" || value === "]" || value === "}") {
      const opened = this.open.pop();
      if (opened === undefined) this.fail(`'${value}' closes nothing`, token.start);
      if (CLOSER[opened.value] !== value) {
        this.fail(`'${value}' where '${CLOSER[opened.value]}' should close the '${opened.value}' of line ${opened.token.line}`, token.start);
      }
      this.afterCloser = opened.expression;
      token.opener = opened.token;
    }
  }
}

const ESCAPES = {n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", 0: "\0"};

function unescaped(text) {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r?\n)|([\s\S]))/g, (_, braces, four, two, line, one) => {
    if (line !== undefined) return "";
    if (one !== undefined) return ESCAPES[one] ?? one;
    const point = Number.parseInt(braces ?? four ?? two, 16);
    return point > 0x10ffff ? "" : String.fromCodePoint(point);
  });
}

/**
 * The source's tokens, each opening bracket with `match`, the index of its closing one, and `orphans`, the comments that
 * belong to no definition. Errors: Unreadable.
 */
export function tokensOf(source) {
  const lexer = new Lexer(source);
  const tokens = [];
  const index = new Map();
  for (let token = lexer.next(); token !== null; token = lexer.next()) {
    if (token.type === "name" && tokens.at(-1)?.value === ".") token.member = true;
    if (token.type === "punct" && token.value in CLOSER) index.set(token, tokens.length);
    if (token.opener !== null) {
      tokens[index.get(token.opener)].match = tokens.length;
      token.opener = null;
    }
    tokens.push(token);
  }
  const opened = lexer.open.at(-1);
  if (opened !== undefined) lexer.fail(`'${opened.value}' is not closed`, opened.token.start, opened.token.line);
  return {tokens, orphans: lexer.orphans ?? []};
}

// Doc comments: the prose, and what JSDoc's tags say of parameters, results and types.

const KNOWN = new Set(["param", "arg", "argument", "returns", "return", "yields", "yield", "type", "template", "typedef", "callback",
  "property", "prop", "async", "function", "func", "method", "generator", "public", "export", "exports", "module", "file", "fileoverview",
  "overview", "import", "private", "internal", "satisfies", "overload", "this", "default", "defaultvalue", "name", "kind"]);

// Tags of a member or type that JSON Schema has words for.
const CONSTRAINTS = Object.fromEntries(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
  "format", "minItems", "maxItems", "uniqueItems", "deprecated"].map((name) => [name.toLowerCase(), name]));

// The end of `{…}` that starts the text; -1 when it does not close.
function closing(text) {
  let depth = 0;
  let quote = "";
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (quote !== "") {
      if (c === "\\") ++i;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "'" || c === "`") quote = c;
    else if (c === "{") ++depth;
    else if (c === "}" && --depth === 0) return i;
  }
  return -1;
}

function takeType(text) {
  if (!text.startsWith("{")) return ["", text];
  const end = closing(text);
  return end < 0 ? ["", text] : [text.slice(1, end).trim(), text.slice(end + 1).trim()];
}

// "[name=3] - text" or "name text"
function takeName(text) {
  let name;
  let rest;
  let optional = false;
  let value;
  if (text.startsWith("[")) {
    let depth = 0;
    let end = 0;
    for (; end < text.length; ++end) {
      if (text[end] === "[") ++depth;
      else if (text[end] === "]" && --depth === 0) break;
    }
    optional = true;
    [name, value] = split(text.slice(1, end), "=");
    rest = text.slice(end + 1);
  } else {
    const match = /^[\p{ID_Continue}$.[\]]*/u.exec(text);
    name = match[0].replace(/\[\]/g, "");
    rest = text.slice(match[0].length);
  }
  return {name: name.trim(), optional, value: value?.trim(), text: rest.trim().replace(/^[-–—:]\s*/, "")};
}

function split(text, at) {
  const index = text.indexOf(at);
  return index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}

/**
 * text: the prose and the tags that are not JSDoc's own; params: [{name, type, optional, value, text}]; result {type, text};
 * yields {type, text} or null; type: of @type; typedefs [{name, type, properties}]; isPrivate.
 */
export function docOf(comment) {
  const out = {text: "", params: [], result: {type: "", text: ""}, yields: null, type: "", typedefs: [], templates: [], imports: [], constraints: {}, isPrivate: false, isModule: false};
  if (comment === null || comment === undefined) return out;
  const prose = [];
  let current = null;
  const blocks = [];
  for (const line of comment.lines) {
    const match = /^\s*@([A-Za-z]+)\b\s*(.*)$/.exec(line);
    const tag = match?.[1].toLowerCase();
    if (match !== null && (KNOWN.has(tag) || Object.hasOwn(CONSTRAINTS, tag) || tag === "astype" || tag === "integer")) {
      current = {tag, lines: [match[2]]};
      blocks.push(current);
    } else if (match !== null) {
      current = null;
      prose.push(line);
    } else if (/^\s*(?:Effect|Idempotent|Secrets|Timeout):/.test(line)) {
      current = null;
      prose.push(line);
    } else if (current !== null && (line.trim() !== "" || unbalanced(current.lines))) {
      current.lines.push(line.trim());
    } else {
      if (current === null || line.trim() !== "") prose.push(line);
      current = null;
    }
  }
  let typedef = null;
  for (const {tag, lines} of blocks) {
    const text = lines.join(" ").trim();
    const [type, rest] = takeType(text);
    if (tag === "param" || tag === "arg" || tag === "argument") out.params.push({type, ...takeName(rest)});
    else if (tag === "returns" || tag === "return") out.result = {type, text: rest.replace(/^[-–—:]\s*/, "")};
    else if (tag === "yields" || tag === "yield") out.yields = {type, text: rest.replace(/^[-–—:]\s*/, "")};
    else if (tag === "type") out.type = type;
    else if (tag === "template") {
      const names = rest.replace(/\s-\s.*$/, "").split(",").map((name) => name.trim().split(/[\s=[]/)[0]);
      out.templates.push(...names.map((name) => ({name, bound: type})));
    } else if (tag === "import") out.imports.push(text);
    else if (tag === "integer" || (tag === "astype" && text === "integer")) out.constraints.type = "integer";
    else if (tag === "default" || tag === "defaultvalue") {
      const value = literal(text);
      if (value !== undefined) out.constraints.default = value;
    } else if (Object.hasOwn(CONSTRAINTS, tag)) {
      const value = tag === "pattern" || tag === "format" ? text : tag === "uniqueitems" || tag === "deprecated" ? true : literal(text);
      if (value !== undefined && value !== "") out.constraints[CONSTRAINTS[tag]] = value;
    }
    else if (tag === "typedef") {
      typedef = {type, name: takeName(rest).name, properties: []};
      out.typedefs.push(typedef);
    } else if ((tag === "property" || tag === "prop") && typedef !== null) typedef.properties.push({type, ...takeName(rest)});
    else if (tag === "private" || tag === "internal") out.isPrivate = true;
    else if (["module", "file", "fileoverview", "overview"].includes(tag)) {
      out.isModule = true;
      if (tag !== "module" && text !== "") prose.unshift(text);
    }
  }
  while (prose.length > 0 && prose[0].trim() === "") prose.shift();
  while (prose.length > 0 && prose.at(-1).trim() === "") prose.pop();
  out.text = prose.join("\n").replace(/\n{3,}/g, "\n\n");
  return out;
}

function literal(text) {
  try {
    return JSON.parse(text.replace(/^'([^'"\\]*)'$/, '"$1"'));
  } catch {
    return undefined;
  }
}

function unbalanced(lines) {
  const text = lines.join(" ");
  return text.startsWith("{") && closing(text) < 0;
}

/** A comment's prose on one line, for a member's description. */
export function description(comment) {
  return docOf(comment).text.replace(/\s+/g, " ").trim();
}

// JSON Schema to GBNF, the grammar notation of llama.cpp.
//
// What a grammar of this file lets through is JSON on one line, with ", " and ": " as separators and members in the
// schema's order, required ones first. The subset: type, enum, const, properties, required, additionalProperties of an
// object without properties, items, prefixItems, minItems, maxItems, minLength, maxLength, anyOf, oneOf, allOf of
// objects, $ref into the same schema, format date, time and date-time, and non-negative minimum. Anything else (pattern,
// multipleOf, upper bounds) widens to the type, so that a caller still validates.

const kBase = {
  hex: '[0-9a-fA-F]',
  char: '[^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" hex hex hex hex)',
  string: '"\\"" char* "\\""',
  digits: '[0-9] | [1-9] [0-9]{1,15}',
  fraction: '("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
  integer: '"-"? digits',
  number: '"-"? digits fraction',
  natural: 'digits',
  positive: '[1-9] [0-9]{0,15}',
  unsigned: 'digits fraction',
  boolean: '"true" | "false"',
  null: '"null"',
  value: 'string | number | boolean | null | array | object',
  array: '"[" (value (", " value)*)? "]"',
  object: '"{" (member (", " member)*)? "}"',
  member: 'string ": " value',
  date: '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])',
  clock: '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})?',
  zone: '"Z" | [-+] [0-2] [0-9] ":" [0-5] [0-9]',
};

// Lengths above this are left to validation: llama.cpp unrolls a repetition.
const kMaxRepetition = 256;

export function literal(text) {
  const escaped = [...text].map((c) => {
    if (c === '"' || c === '\\') return '\\' + c;
    const code = c.codePointAt(0);
    if (code >= 0x20 && code < 0x7f) return c;
    return code < 0x100 ? '\\x' + code.toString(16).padStart(2, '0')
      : code < 0x10000 ? '\\u' + code.toString(16).padStart(4, '0')
      : '\\U' + code.toString(16).padStart(8, '0');
  }).join('');
  return `"${escaped}"`;
}

// JSON text in the spelling that the grammars produce: one line, ", " and ": ".
export function spelled(value) {
  if (Array.isArray(value)) return `[${value.map(spelled).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${spelled(v)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}

export class GrammarBuilder {
  #rules = new Map();
  #names = 0;

  // Adds `expression` under `name` or a fresh name, and returns the name.
  rule(expression, name = `r${++this.#names}`) {
    this.#rules.set(name, expression);
    return name;
  }

  base(name) {
    if (!this.#rules.has(name)) {
      this.#rules.set(name, kBase[name]);
      for (const word of kBase[name].replace(/"(\\.|[^"\\])*"|\[(\\.|[^\]\\])*\]/g, ' ').match(/[a-z]+/g) ?? []) {
        if (kBase[word]) this.base(word);
      }
    }
    return name;
  }

  // An expression for the JSON texts that fit `schema`; `$ref`s resolve inside `root`.
  schema(schema, root = schema, refs = new Map()) {
    if (schema === true || schema === undefined || schema === null) return this.base('value');
    if (schema === false) throw new Error('a schema that nothing fits');
    if (schema.$ref !== undefined) return this.#reference(schema.$ref, root, refs);
    if (schema.const !== undefined) return literal(spelled(schema.const));
    if (schema.enum !== undefined) return `(${schema.enum.map((v) => literal(spelled(v))).join(' | ')})`;
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices) return `(${choices.map((s) => this.schema(s, root, refs)).join(' | ')})`;
    if (schema.allOf) return this.schema(this.#merged(schema, root), root, refs);
    if (Array.isArray(schema.type)) {
      return `(${schema.type.map((type) => this.schema({...schema, type}, root, refs)).join(' | ')})`;
    }
    switch (schema.type ?? (schema.properties ? 'object' : schema.items || schema.prefixItems ? 'array' : undefined)) {
      case 'string': return this.#string(schema);
      case 'integer': return this.#integer(schema);
      case 'number': return this.base(schema.minimum >= 0 || schema.exclusiveMinimum >= 0 ? 'unsigned' : 'number');
      case 'boolean': return this.base('boolean');
      case 'null': return this.base('null');
      case 'array': return this.#array(schema, root, refs);
      case 'object': return this.#object(schema, root, refs);
      default: return this.base('value');
    }
  }

  // REQUIRES: a rule named "root".
  text() {
    return [...this.#rules].map(([name, expression]) => `${name} ::= ${expression}`).join('\n');
  }

  #reference(ref, root, refs) {
    if (!refs.has(ref)) {
      if (!ref.startsWith('#')) throw new Error(`$ref "${ref}" is outside the schema`);
      let target = root;
      for (const part of ref.slice(1).split('/').filter(Boolean)) {
        target = target?.[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')];
      }
      if (target === undefined) throw new Error(`$ref "${ref}" points nowhere`);
      const name = `ref${refs.size + 1}x${++this.#names}`;
      refs.set(ref, name);
      this.rule(this.schema(target, root, refs), name);
    }
    return refs.get(ref);
  }

  #merged(schema, root) {
    const merged = {...schema, allOf: undefined};
    for (let part of schema.allOf) {
      while (part.$ref?.startsWith('#/')) {
        part = part.$ref.slice(2).split('/').reduce((node, key) => node?.[key], root) ?? {};
      }
      merged.type ??= part.type;
      merged.properties = {...merged.properties, ...part.properties};
      merged.required = [...(merged.required ?? []), ...(part.required ?? [])];
      for (const key of ['enum', 'const', 'items']) merged[key] ??= part[key];
    }
    return merged;
  }

  #string(schema) {
    const quoted = (inner) => `"\\"" ${inner} "\\""`;
    if (schema.format === 'date') return quoted(this.base('date'));
    if (schema.format === 'time') return quoted(`${this.base('clock')} (${this.base('zone')})?`);
    if (schema.format === 'date-time') {
      return quoted(`${this.base('date')} "T" ${this.base('clock')} (${this.base('zone')})?`);
    }
    const min = schema.minLength ?? 0;
    const max = schema.maxLength;
    if (max !== undefined && max <= kMaxRepetition) return quoted(`${this.base('char')}{${min},${max}}`);
    if (min > 0 && min <= kMaxRepetition) return quoted(`${this.base('char')}{${min},}`);
    return this.base('string');
  }

  #integer(schema) {
    const min = schema.minimum ?? (schema.exclusiveMinimum === undefined ? undefined : schema.exclusiveMinimum + 1);
    const max = schema.maximum ?? (schema.exclusiveMaximum === undefined ? undefined : schema.exclusiveMaximum - 1);
    if (min !== undefined && max !== undefined && max >= min && max - min < kMaxRepetition) {
      return `(${Array.from({length: max - min + 1}, (_, i) => literal(String(min + i))).join(' | ')})`;
    }
    return this.base(min >= 1 ? 'positive' : min >= 0 ? 'natural' : 'integer');
  }

  #array(schema, root, refs) {
    if (schema.prefixItems && schema.items === false) {
      return `"[" ${schema.prefixItems.map((s) => this.schema(s, root, refs)).join(' ", " ')} "]"`;
    }
    const item = this.rule(this.schema(schema.items ?? true, root, refs));
    const min = Math.min(schema.minItems ?? 0, kMaxRepetition);
    const max = schema.maxItems <= kMaxRepetition ? schema.maxItems : undefined;
    if (max === 0) return '"[]"';
    const more = `(", " ${item}){${Math.max(min - 1, 0)},${max === undefined ? '' : max - 1}}`;
    return min > 0 ? `"[" ${item} ${more} "]"` : `"[" (${item} ${more})? "]"`;
  }

  #object(schema, root, refs) {
    const entries = Object.entries(schema.properties ?? {});
    if (entries.length === 0) {
      if (schema.additionalProperties === false) return '"{}"';
      if (typeof schema.additionalProperties === 'object') {
        const member = this.rule(`${this.base('string')} ": " ${this.schema(schema.additionalProperties, root, refs)}`);
        return `"{" (${member} (", " ${member})*)? "}"`;
      }
      return this.base('object');
    }
    const isRequired = new Set(schema.required ?? []);
    const member = ([key, s]) => this.rule(`${literal(JSON.stringify(key) + ': ')} ${this.schema(s, root, refs)}`);
    const required = entries.filter(([key]) => isRequired.has(key)).map(member);
    const optional = entries.filter(([key]) => !isRequired.has(key)).map(member);
    const tail = (names) => names.map((name) => ` (", " ${name})?`).join('');
    if (required.length > 0) return `"{" ${required.join(' ", " ')}${tail(optional)} "}"`;
    const starts = optional.map((name, i) => name + tail(optional.slice(i + 1)));
    return `"{" (${starts.join(' | ')})? "}"`;
  }
}

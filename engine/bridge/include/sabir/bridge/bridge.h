// The C ABI of the Rust static library in bridge/: Jinja2 (minijinja), JSON Schema 2020-12 (jsonschema) and source
// parsing (tree-sitter). SQLite is compiled into the same library and used through its own sqlite3.h.
//
// Threads: any; handles may be shared between threads for calls that take them const. Ownership: whatever a function
// returns through an out parameter is freed with the function named beside it. No function throws or aborts on bad
// input: a Rust panic is caught at the boundary and becomes an error text.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct sb_str {
  const char* data;
  std::size_t size;
};

// Owned bytes; free with sb_free.
struct sb_buf {
  char* data;
  std::size_t size;
};
void sb_free(sb_buf buffer);

// ---- JSON Schema ---------------------------------------------------------------------------------------------------
struct sb_schema;  // immutable once compiled
// Returns null and a JSON error {"message"} in *error when the schema itself is invalid.
sb_schema* sb_schema_compile(sb_str schema_json, sb_buf* error);
void sb_schema_free(sb_schema* schema);
// 0 = valid; 1 = *out has [{"path": JSON Pointer into the instance, "keyword", "message", "expected", "got"}] (at most
// 20); 2 = `instance_json` is not JSON, *out has {"message", "line", "column"}. Depth is bounded at 128.
int sb_schema_validate(const sb_schema* schema, sb_str instance_json, sb_buf* out);

// ---- Source parsing ------------------------------------------------------------------------------------------------
// Flat syntax tree, in preorder. Languages: "python", "ruby", "cpp", "java". Bounded: 16 MiB of source, 2 M nodes, depth 1024.
struct sb_node {
  std::uint32_t start_byte, end_byte;
  std::uint32_t start_row, start_column;  // 0-based, column in bytes
  std::uint32_t parent;                   // index, or 0xffffffff for the root
  std::uint32_t next_sibling;             // index, or 0xffffffff
  std::uint32_t child_count;              // direct children; the first child, if any, is at own index + 1
  std::uint16_t kind;                     // index into the tree's kind table
  std::uint16_t field;                    // 0 = none, else index + 1 into the field table
  std::uint8_t is_named, is_error, is_missing, has_error;
};
struct sb_tree;
sb_tree* sb_tree_parse(sb_str language, sb_str source, sb_buf* error);
void sb_tree_free(sb_tree* tree);
std::size_t sb_tree_node_count(const sb_tree* tree);
const sb_node* sb_tree_nodes(const sb_tree* tree);
sb_str sb_tree_kind_name(const sb_tree* tree, std::uint16_t kind);
sb_str sb_tree_field_name(const sb_tree* tree, std::uint16_t field);  // takes sb_node::field

// ---- Jinja2 --------------------------------------------------------------------------------------------------------
// A template environment. `load` returns 1 and fills *text (which must stay valid until the next call of `load` on the
// same thread) when a template of that name exists, 0 when not. Undefined variables are errors (strict).
struct sb_templates;
typedef int (*sb_load)(void* user, sb_str name, sb_str* text);
sb_templates* sb_templates_new(sb_load load, void* user, std::uint64_t fuel);
void sb_templates_free(sb_templates* templates);
// Renders the named template with the JSON object `context`. 0 = ok, *out is the text; 1 = *out is a JSON error
// {"kind": "undefined|syntax|not_found|fuel|output|bad_json|other", "message", "template", "line", "column"(optional)}:
// "fuel" where steps, work or depth are used up, "output" where the text is larger than 4 MiB.
int sb_templates_render(sb_templates* templates, sb_str name, sb_str context_json, sb_buf* out);
// Renders a text that has no name in the environment; `name` is what errors call it.
int sb_templates_render_text(sb_templates* templates, sb_str name, sb_str text, sb_str context_json, sb_buf* out);
// JSON array of the names a template's text reads and does not define itself; same errors as render.
int sb_templates_variables(sb_templates* templates, sb_str name, sb_buf* out);
// Templates that stay parsed from one rendering to the next, at most 512 of them and 32 MiB. `load` gives each content a number
// of its own, which it never gives to another; 0 where there is no such template. What `heading_mark`, a digit
// and U+E001 are in a template's text is sb_reading::heading, the digit and U+E001 in what is rendered: no variable contains it.
typedef int (*sb_load_kept)(void* user, sb_str name, sb_str* text, std::uint64_t* version);
// Says which bytes of a part's text are kept: what a block of that name, or an included template of that short name, wrote. In
// the order in which they end; what stands within a part of the same name belongs to it.
typedef void (*sb_part)(void* user, sb_str name, sb_str text, std::size_t* from, std::size_t* to);
// Calls a function of the project that `granted` names: `positional` is a JSON array, `named` a JSON object. Returns 1 and fills
// *value with JSON (which must stay valid until the next call on the same thread), or 0, which ends the rendering.
typedef int (*sb_call)(void* user, sb_str name, sb_str positional, sb_str named, sb_str* value);
struct sb_reading {
  sb_load_kept load;
  sb_part part;  // may be null
  void* user;
  sb_str heading;
  sb_call call;    // may be null
  sb_str granted;  // names as the template writes them, a line each: "stats.mean\nslugify"
};
sb_templates* sb_templates_keeping(std::uint64_t fuel, sb_str heading_mark);
// `defaults_json` is a JSON object of what `context_json` may lack, or empty.
int sb_templates_render_kept(sb_templates* templates, const sb_reading* reading, sb_str name, sb_str context_json, sb_str defaults_json, sb_buf* out);
// As sb_templates_render_kept, with where each piece of the text comes from: *out is {"text", "spans": [{"from", "to", "template",
// "line", "column", "kind": "literal|value|derived|heading", "expression"}], "parts": [{"name", "from", "to", "template", "line",
// "column"}]}. Spans follow each other and are the whole text; parts are those that `part` was asked of, in the order in which they
// begin, with the place where they stand. It may use more than a rendering may, so that it ends where that does.
int sb_templates_explain_kept(sb_templates* templates, const sb_reading* reading, sb_str name, sb_str context_json, sb_str defaults_json, sb_buf* out);
// Parses the template alone.
int sb_templates_parse_kept(sb_templates* templates, const sb_reading* reading, sb_str name, sb_buf* error);
int sb_templates_variables_kept(sb_templates* templates, const sb_reading* reading, sb_str name, sb_buf* out);
// What a prompt reads, includes and never writes, found without rendering; `choices_json` is {variable: [values that it is one of]}, or
// empty. *out is {"reads": [{"name", "steps", "lacks", "purpose", …}], "uses": [names of templates], "unknown": [{"kind", "expression",
// …}], "problems": [{"code", "message", "known", …}], "parts": [names of blocks and included parts], "fixed": [{"text", "parts"}],
// "partial"}, where … is "template", "line" and "column". Of a read "steps" lead from the variable to what is read: a text to the member
// of that name, 0 to an element, true to any member, null to what is not known. "lacks" has the lengths at which the way may end in
// nothing, "purpose" is "", "iterate", "call" or a method as "items()". "fixed" is text that is there whatever the variables are, by
// the parts around it. "partial" says that the templates were too many to walk through.
int sb_templates_facts_kept(sb_templates* templates, const sb_reading* reading, sb_str name, sb_str choices_json, sb_buf* out);
// One rendering by a JSON request with settings that prompts do not have (bridge/src/templates/request.rs); *out is
// {"text"} or an error as above. For tests/jinja2.
void sb_templates_answer(sb_str request_json, sb_buf* out);

// ---- Tokens --------------------------------------------------------------------------------------------------------
// 0 = *out holds where each token of `text` ends, as uint32; 1 = no such encoding ("o200k_base", "cl100k_base"), or not UTF-8.
// The first use of an encoding reads its ranks, in some 0.2 s.
int sb_tokens(sb_str encoding, sb_str text, sb_buf* out);

// The tokenizer of a GGUF file from its first bytes, which are not kept: *out has {"tokenizer", "tokens", "chat_template"}, or why
// there is none: no GGUF file, cut off before the tokenizer ends, or one that llama.cpp cuts in a way that is not known here.
struct sb_tokenizer;
sb_tokenizer* sb_tokenizer_new(sb_str head, sb_buf* out);
void sb_tokenizer_free(sb_tokenizer* tokenizer);
// As sb_tokens. `control` != 0: what looks like one of its control tokens is one.
int sb_tokenizer_ends(const sb_tokenizer* tokenizer, sb_str text, int control, sb_buf* out);

// ---- Expressions ----------------------------------------------------------------------------------------------------
// One Jinja2 expression over the members of a JSON object: 1 = true, 0 = false, -1 = *error says why nobody can tell.
int sb_expression(sb_str expression, sb_str context_json, sb_buf* error);
// 0 = it is one; 1 = *error says why not.
int sb_expression_check(sb_str expression, sb_buf* error);

// ---- Regular expressions -------------------------------------------------------------------------------------------
// Null where it is none: *error says why. No look-around and no back-references, so that a search takes time in proportion to the text.
struct sb_pattern;
sb_pattern* sb_pattern_new(sb_str pattern, int ignore_case, sb_buf* error);
void sb_pattern_free(sb_pattern* pattern);
// How many groups, the whole match first, were found in UTF-8 `text`; of each begin and end stand in `bounds`, which has room for `most`.
// A group that took no part is empty at 0. 0 = no match.
size_t sb_pattern_search(const sb_pattern* pattern, sb_str text, size_t* bounds, size_t most);

// ---- JUnit XML -----------------------------------------------------------------------------------------------------
// 0 = ok, *out is {"cases": [{"name", "classname", "file", "line", "time", "outcome": "passed|failed|skipped", "message",
// "text"}]}, at most 100,000 of them; 1 = *out is {"message"}.
int sb_junit_read(sb_str xml, sb_buf* out);

// ---- XML -----------------------------------------------------------------------------------------------------------
// 0 = ok, *out is the root as {"n": name without prefix, "t": text, "c": [children]}, at most 64 inside each other and 200,000 in
// all; 1 = *out is {"message"}.
int sb_xml_read(sb_str xml, sb_buf* out);

// ---- Digest --------------------------------------------------------------------------------------------------------
// Streaming SHA-256; sb_sha256_finish frees the state and writes 64 lower-case hexadecimal digits.
struct sb_sha256;
sb_sha256* sb_sha256_new();
void sb_sha256_update(sb_sha256* state, sb_str bytes);
void sb_sha256_finish(sb_sha256* state, char out[64]);

// ---- Archives ------------------------------------------------------------------------------------------------------
// Each takes a JSON object and gives one: 0 = ok, 1 = *out is {"message"}.
// A gzipped tar whose bytes depend on names, contents and the executable bit alone. {"out": PATH, "entries": [{"path", and one of
// "source": PATH, "text" and "link": TARGET, "executable": bool}]}, in that order -> {"sha256": of the tar inside, "bytes"}.
int sb_archive_write(sb_str request, sb_buf* out);
// {"archive": PATH, "member": PATH} -> {"text"}: 64 MiB at most.
int sb_archive_member(sb_str request, sb_buf* out);
// {"archive": PATH, "folder": PATH, "most_bytes", "most_files"} -> {"sha256", "files"}. Refuses what would be written outside of the
// folder, which must be empty, and every kind of entry but files, folders and links that stay inside.
int sb_archive_unpack(sb_str request, sb_buf* out);

// ---- JSON Web Tokens -----------------------------------------------------------------------------------------------
// Checks `token` against a JWK set: signature (RS256 to ES384 and EdDSA; never a shared key), exp, nbf, and iss and aud, which must
// be there, by `options`: {"issuer", "audience": […]}. 0 = *out has its claims; 1 = it is refused, *out is {"message"}; 2 = the same,
// because none of the keys signed it.
int sb_jwt_verify(sb_str token, sb_str jwk_set, sb_str options, sb_buf* out);

}  // extern "C"

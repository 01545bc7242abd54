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
// Flat syntax tree, in preorder. Languages: "python", "ruby", "cpp". Bounded: 16 MiB of source, 2 M nodes, depth 1024.
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
// {"kind": "undefined|syntax|not_found|fuel|bad_json|other", "message", "template", "line", "column"(optional)}.
int sb_templates_render(sb_templates* templates, sb_str name, sb_str context_json, sb_buf* out);
// Renders a text that has no name in the environment; `name` is what errors call it.
int sb_templates_render_text(sb_templates* templates, sb_str name, sb_str text, sb_str context_json, sb_buf* out);
// JSON array of the names a template's text reads and does not define itself; same errors as render.
int sb_templates_variables(sb_templates* templates, sb_str name, sb_buf* out);

// ---- Digest --------------------------------------------------------------------------------------------------------
// Streaming SHA-256; sb_sha256_finish frees the state and writes 64 lower-case hexadecimal digits.
struct sb_sha256;
sb_sha256* sb_sha256_new();
void sb_sha256_update(sb_sha256* state, sb_str bytes);
void sb_sha256_finish(sb_sha256* state, char out[64]);

}  // extern "C"

//! tree-sitter's syntax tree, flattened in preorder so that C++ walks an array.

use crate::{guard, message_json, write_out, Buf, Str};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tree_sitter::{Language, ParseOptions, ParseState, Parser};

const MAX_SOURCE: usize = 16 << 20;
const MAX_NODES: usize = 2_000_000;
const MAX_DEPTH: usize = 1024;
const MAX_TIME: Duration = Duration::from_secs(10);
const NONE: u32 = u32::MAX;

#[repr(C)]
pub struct Node {
    start_byte: u32,
    end_byte: u32,
    start_row: u32,
    start_column: u32,
    parent: u32,
    next_sibling: u32,
    child_count: u32,
    kind: u16,
    field: u16,
    is_named: u8,
    is_error: u8,
    is_missing: u8,
    has_error: u8,
}

pub struct Tree {
    nodes: Vec<Node>,
    language: Language,
}

fn language_of(name: &str) -> Option<Language> {
    match name {
        "python" => Some(tree_sitter_python::LANGUAGE.into()),
        "ruby" => Some(crate::ruby_grammar::language()),
        "cpp" => Some(tree_sitter_cpp::LANGUAGE.into()),
        "java" => Some(tree_sitter_java::LANGUAGE.into()),
        _ => None,
    }
}

fn parse(name: &str, source: &[u8]) -> Result<Tree, String> {
    let language = language_of(name).ok_or_else(|| format!("no grammar is called '{name}'"))?;
    if source.len() > MAX_SOURCE {
        return Err(format!("the source has {} bytes; {MAX_SOURCE} is the most", source.len()));
    }
    let mut parser = Parser::new();
    parser.set_language(&language).map_err(|error| error.to_string())?;
    let start = Instant::now();
    let mut in_time = |_: &ParseState| {
        if start.elapsed() > MAX_TIME {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = ParseOptions::new().progress_callback(&mut in_time);
    let syntax = parser
        .parse_with_options(&mut |offset, _| source.get(offset..).unwrap_or(&[]), None, Some(options))
        .ok_or_else(|| format!("parsing took longer than {} s", MAX_TIME.as_secs()))?;
    flatten(&syntax).map(|nodes| Tree { nodes, language })
}

fn flatten(syntax: &tree_sitter::Tree) -> Result<Vec<Node>, String> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut path: Vec<u32> = Vec::new(); // indices of the open ancestors
    let mut cursor = syntax.walk();
    let mut previous = NONE; // the sibling just left
    loop {
        if nodes.len() >= MAX_NODES {
            return Err(format!("the syntax tree has more than {MAX_NODES} nodes"));
        }
        let node = cursor.node();
        let index = nodes.len() as u32;
        let parent = path.last().copied().unwrap_or(NONE);
        if previous != NONE {
            nodes[previous as usize].next_sibling = index;
        }
        if parent != NONE {
            nodes[parent as usize].child_count += 1;
        }
        let start = node.start_position();
        nodes.push(Node {
            start_byte: node.start_byte() as u32,
            end_byte: node.end_byte() as u32,
            start_row: start.row as u32,
            start_column: start.column as u32,
            parent,
            next_sibling: NONE,
            child_count: 0,
            kind: node.kind_id(),
            field: cursor.field_id().map_or(0, |id| id.get()),
            is_named: node.is_named().into(),
            is_error: node.is_error().into(),
            is_missing: node.is_missing().into(),
            has_error: node.has_error().into(),
        });
        if cursor.goto_first_child() {
            if path.len() >= MAX_DEPTH {
                return Err(format!("the syntax tree is nested deeper than {MAX_DEPTH}, near line {}", start.row + 1));
            }
            path.push(index);
            previous = NONE;
            continue;
        }
        previous = index;
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return Ok(nodes);
            }
            previous = path.pop().unwrap_or(NONE);
        }
    }
}

/// # Safety
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn sb_tree_parse(language: Str, source: Str, error: *mut Buf) -> *mut Tree {
    let outcome = guard(|| parse(unsafe { language.text() }?, unsafe { source.bytes() }));
    match outcome.and_then(|inner| inner) {
        Ok(tree) => Box::into_raw(Box::new(tree)),
        Err(message) => {
            unsafe { write_out(error, message_json(&message)) };
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// `tree` came from `sb_tree_parse` and was not freed before.
#[no_mangle]
pub unsafe extern "C" fn sb_tree_free(tree: *mut Tree) {
    if !tree.is_null() {
        let _ = guard(|| drop(unsafe { Box::from_raw(tree) }));
    }
}

/// # Safety
/// `tree` is alive.
#[no_mangle]
pub unsafe extern "C" fn sb_tree_node_count(tree: *const Tree) -> usize {
    unsafe { tree.as_ref() }.map_or(0, |tree| tree.nodes.len())
}

/// # Safety
/// `tree` is alive for as long as the nodes are used.
#[no_mangle]
pub unsafe extern "C" fn sb_tree_nodes(tree: *const Tree) -> *const Node {
    unsafe { tree.as_ref() }.map_or(std::ptr::null(), |tree| tree.nodes.as_ptr())
}

/// # Safety
/// `tree` is alive.
#[no_mangle]
pub unsafe extern "C" fn sb_tree_kind_name(tree: *const Tree, kind: u16) -> Str {
    let name = unsafe { tree.as_ref() }
        .and_then(|tree| guard(|| tree.language.node_kind_for_id(kind)).ok().flatten())
        .unwrap_or("");
    Str::from_static(name)
}

/// # Safety
/// `tree` is alive.
#[no_mangle]
pub unsafe extern "C" fn sb_tree_field_name(tree: *const Tree, field: u16) -> Str {
    let name = unsafe { tree.as_ref() }
        .filter(|_| field != 0)
        .and_then(|tree| guard(|| tree.language.field_name_for_id(field)).ok().flatten())
        .unwrap_or("");
    Str::from_static(name)
}

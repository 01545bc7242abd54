//! What a prompt reads, includes and never writes: found in the trees of its templates, without rendering. They are walked as they
//! would be rendered, through includes, imports and inheritance, each branch of them.

use super::map::Map;
use super::paths::{tested, truth, Binding, Path, Scopes, Step};
use super::reading::{self, part_name};
use super::syntax::{Expr, ExprKind, Macro, Node, NodeKind, Problem, Target};
use serde_json::{json, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// Nodes that are visited; templates within each other.
const MOST_NODES: usize = 200_000;
const MOST_DEPTH: usize = 40;

/// A block as one template defines it.
struct Block {
    body: Vec<Node>,
    at: usize,
    outer: Option<String>,
}

struct Template {
    name: String,
    text: String,
    map: Map,
    nodes: Vec<Node>,
    blocks: Vec<(String, Rc<Block>)>,
}

enum Loaded {
    There(Rc<Template>),
    /// Its problem has been told.
    Broken,
    Missing,
}

/// A template that others extend, and what they make of its blocks: the most derived first.
#[derive(Default)]
struct Inheritance {
    blocks: HashMap<String, Vec<(Rc<Template>, Rc<Block>)>>,
    /// Blocks that are written somewhere.
    written: HashSet<String>,
    /// The blocks around, and which of their definitions.
    open: Vec<(String, usize)>,
    is_unknown: bool,
}

pub struct Walker<'a> {
    parse: &'a dyn Fn(&str) -> (String, Result<Vec<Node>, Problem>),
    is_global: &'a dyn Fn(&str) -> bool,
    /// Values that a variable is one of.
    choices: HashMap<String, Vec<String>>,
    templates: HashMap<String, Rc<Loaded>>,
    here: Rc<Template>,
    scopes: Scopes,
    inheritance: Inheritance,
    /// What conditions around have asked whether it is there.
    guards: Vec<Path>,
    /// Branches and loops around, and what takes text in hand.
    conditions: usize,
    captures: usize,
    open_parts: Vec<String>,
    depth: usize,
    visited: usize,
    seen: HashSet<String>,
    reads: Vec<Value>,
    /// Names of the templates that it uses.
    uses: BTreeSet<String>,
    unknown: Vec<Value>,
    problems: Vec<Value>,
    parts: BTreeSet<String>,
    fixed: Vec<(String, Vec<String>)>,
}

fn blocks_of(nodes: &[Node], outer: Option<&str>, blocks: &mut Vec<(String, Rc<Block>)>) {
    for node in nodes {
        match &node.kind {
            NodeKind::Block { name, body, .. } => {
                let block = Block { body: body.clone(), at: node.span.start, outer: outer.map(str::to_string) };
                blocks.push((name.clone(), Rc::new(block)));
                blocks_of(body, Some(name), blocks);
            }
            NodeKind::If { branches, otherwise } => {
                branches.iter().for_each(|(_, body)| blocks_of(body, outer, blocks));
                blocks_of(otherwise, outer, blocks);
            }
            NodeKind::For { body, otherwise, .. } => {
                blocks_of(body, outer, blocks);
                blocks_of(otherwise, outer, blocks);
            }
            NodeKind::SetBlock { body, .. } | NodeKind::FilterBlock { body, .. } | NodeKind::With { body, .. } | NodeKind::AutoEscape { body, .. } => {
                blocks_of(body, outer, blocks);
            }
            _ => {}
        }
    }
}

/// The names that a template's top level binds.
fn exports(nodes: &[Node], names: &mut Vec<String>) {
    for node in nodes {
        match &node.kind {
            NodeKind::Set(target, _) | NodeKind::SetBlock { target, .. } => target_names(target, names),
            NodeKind::Macro(defined) => names.push(defined.name.clone()),
            NodeKind::Import { target, .. } => names.push(target.clone()),
            NodeKind::FromImport { names: imported, .. } => names.extend(imported.iter().map(|(_, alias)| alias.clone())),
            NodeKind::If { branches, otherwise } => {
                branches.iter().for_each(|(_, body)| exports(body, names));
                exports(otherwise, names);
            }
            _ => {}
        }
    }
}

fn target_names(target: &Target, names: &mut Vec<String>) {
    match target {
        Target::Name(name) => names.push(name.clone()),
        Target::Attr(..) => {}
        Target::Tuple(targets) => targets.iter().for_each(|target| target_names(target, names)),
    }
}

impl<'a> Walker<'a> {
    /// `parse` reads a text, and gives it back as the places of its nodes count it.
    pub fn new(
        parse: &'a dyn Fn(&str) -> (String, Result<Vec<Node>, Problem>),
        is_global: &'a dyn Fn(&str) -> bool,
        choices: HashMap<String, Vec<String>>,
    ) -> Self {
        let nothing = Template { name: String::new(), text: String::new(), map: Map::of(""), nodes: Vec::new(), blocks: Vec::new() };
        Walker {
            parse,
            is_global,
            choices,
            templates: HashMap::new(),
            here: Rc::new(nothing),
            scopes: Scopes::default(),
            inheritance: Inheritance::default(),
            guards: Vec::new(),
            conditions: 0,
            captures: 0,
            open_parts: Vec::new(),
            depth: 0,
            visited: 0,
            seen: HashSet::new(),
            reads: Vec::new(),
            uses: BTreeSet::new(),
            unknown: Vec::new(),
            problems: Vec::new(),
            parts: BTreeSet::new(),
            fixed: Vec::new(),
        }
    }

    /// All that is known of the prompt `name`; None where there is no such template.
    pub fn facts(mut self, name: &str) -> Option<String> {
        match &*self.load(name) {
            Loaded::Missing => return None,
            Loaded::Broken => {}
            Loaded::There(template) => self.template(template),
        }
        let fixed: Vec<Value> = self.fixed.iter().map(|(text, parts)| json!({"text": text, "parts": parts})).collect();
        Some(
            json!({"reads": self.reads, "uses": self.uses, "unknown": self.unknown, "problems": self.problems, "parts": self.parts,
                   "fixed": fixed, "partial": self.visited > MOST_NODES})
            .to_string(),
        )
    }

    fn load(&mut self, name: &str) -> Rc<Loaded> {
        if let Some(known) = self.templates.get(name) {
            return known.clone();
        }
        let loaded = match reading::text_of(name) {
            Ok(Some(text)) => {
                let (text, parsed) = (self.parse)(&text);
                let mut template =
                    Template { name: name.to_string(), map: Map::of(&text), text, nodes: Vec::new(), blocks: Vec::new() };
                match parsed {
                    Ok(nodes) => {
                        blocks_of(&nodes, None, &mut template.blocks);
                        template.nodes = nodes;
                        Loaded::There(Rc::new(template))
                    }
                    Err(problem) => {
                        self.problem_in(&template, "syntax", problem.message, problem.at, "", Vec::new());
                        Loaded::Broken
                    }
                }
            }
            _ => Loaded::Missing,
        };
        let loaded = Rc::new(loaded);
        self.templates.insert(name.to_string(), loaded.clone());
        loaded
    }

    // ---- What is told ----------------------------------------------------------------------------------------------------

    /// `name` is the one that is wrong, `known` those that would be right.
    fn problem_in(&mut self, template: &Template, code: &str, message: String, at: usize, name: &str, known: Vec<String>) {
        let (line, column) = template.map.place(at);
        if self.seen.insert(format!("{code} {} {at}", template.name)) {
            self.problems.push(json!({"code": code, "message": message, "template": template.name, "line": line, "column": column,
                                      "name": name, "known": known}));
        }
    }

    fn problem(&mut self, code: &str, message: impl Into<String>, at: usize) {
        let here = self.here.clone();
        self.problem_in(&here, code, message.into(), at, "", Vec::new());
    }

    /// A body that is never written, unless it is blank.
    fn unreachable(&mut self, nodes: &[Node], why: &str) {
        let here = self.here.clone();
        let blank = |node: &&Node| matches!(node.kind, NodeKind::Data) && here.text[node.span.start..node.span.end].trim().is_empty();
        if let Some(node) = nodes.iter().find(|node| !blank(node)) {
            let text = &here.text[node.span.start..node.span.end];
            let at = node.span.start + if matches!(node.kind, NodeKind::Data) { text.len() - text.trim_start().len() } else { 0 };
            self.problem("unreachable", format!("this is never written: {why}"), at);
        }
    }

    fn unknown_name(&mut self, kind: &str, name: &Expr) {
        let (line, column) = self.here.map.place(name.span.start);
        let expression = self.here.text[name.span.start..name.span.end].trim();
        if self.seen.insert(format!("unknown {} {}", self.here.name, name.span.start)) {
            self.unknown.push(json!({"kind": kind, "expression": expression, "template": self.here.name, "line": line, "column": column}));
        }
    }

    fn fix(&mut self, text: &str) {
        if self.conditions > 0 || self.captures > 0 {
            return;
        }
        match self.fixed.last_mut() {
            Some((last, parts)) if *parts == self.open_parts => last.push_str(text),
            _ => self.fixed.push((text.to_string(), self.open_parts.clone())),
        }
    }

    /// A read of `expr`, a path. `purpose` is "", "iterate", "call" or a method's name with brackets.
    fn read(&mut self, expr: &Expr, may_lack: bool, purpose: &str) {
        self.keys(expr);
        let Some(written) = Path::of(expr) else { return };
        if self.scopes.is_cut_off(&written.root) && !(self.is_global)(&written.root) {
            if !may_lack && !self.guards.contains(&Path { root: written.root.clone(), steps: Vec::new() }) {
                let message = format!("'{}' is not to be had here: the template is used without the context", written.root);
                self.problem("isolated", message, expr.span.start);
            }
            return;
        }
        let Some(path) = self.scopes.resolve(written) else { return };
        if self.scopes.is_free(&path.root) && (self.is_global)(&path.root) {
            return;
        }
        let whole = path.steps.len();
        let lacks: Vec<usize> =
            (0..=whole).filter(|length| (may_lack && *length == whole) || self.guards.iter().any(|guard| path.begins_with(guard, *length))).collect();
        let key = format!("read {} {} {path:?} {purpose} {lacks:?}", self.here.name, expr.span.start);
        if self.seen.insert(key) {
            let (line, column) = self.here.map.place(expr.span.start);
            let steps: Vec<Value> = path.steps.iter().map(Step::told).collect();
            self.reads.push(json!({"name": path.root, "steps": steps, "lacks": lacks, "purpose": purpose, "template": self.here.name,
                                   "line": line, "column": column}));
        }
    }

    /// What stands in the brackets of a path.
    fn keys(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Attr(of, _) => self.keys(of),
            ExprKind::Item(of, key) => {
                self.keys(of);
                self.expr(key);
            }
            ExprKind::Slice(of, parts) => {
                self.keys(of);
                parts.iter().flatten().for_each(|part| self.expr(part));
            }
            _ => {}
        }
    }

    // ---- Templates -------------------------------------------------------------------------------------------------------

    /// One that is rendered by itself or included: with what it extends.
    fn template(&mut self, top: &Rc<Template>) {
        if self.depth >= MOST_DEPTH {
            return;
        }
        self.depth += 1;
        let before = (std::mem::take(&mut self.inheritance), self.here.clone());
        let mut chain: Vec<Rc<Template>> = Vec::new();
        let mut next = Some(top.clone());
        while let Some(template) = next.take() {
            if chain.iter().any(|known| Rc::ptr_eq(known, &template)) {
                self.problem("cycle", "a template is extended multiple times, or extends itself", 0);
                break;
            }
            chain.push(template.clone());
            self.here = template.clone();
            for (name, block) in &template.blocks {
                self.inheritance.blocks.entry(name.clone()).or_default().push((template.clone(), block.clone()));
            }
            let extends = template.nodes.iter().enumerate().find_map(|(index, node)| match &node.kind {
                NodeKind::Extends(name) => Some((index, name)),
                _ => None,
            });
            match extends {
                None => self.nodes(&template.nodes),
                Some((index, name)) => next = self.child(&template, index, name),
            }
        }
        if !self.inheritance.is_unknown {
            self.unwritten_blocks(&chain);
        }
        (self.inheritance, self.here) = before;
        self.depth -= 1;
    }

    /// What a template does beside its blocks, and the one that it extends.
    fn child(&mut self, template: &Template, index: usize, name: &Expr) -> Option<Rc<Template>> {
        let outside = |node: &Node| !matches!(node.kind, NodeKind::Block { .. } | NodeKind::Extends(_));
        let before: Vec<Node> = template.nodes[..index].iter().filter(|node| outside(node)).cloned().collect();
        let after: Vec<Node> = template.nodes[index + 1..].iter().filter(|node| outside(node)).cloned().collect();
        self.nodes(&before);
        if let Some(node) = after.iter().find(|node| self.writes(node)) {
            self.unreachable(std::slice::from_ref(node), "it stands outside of the blocks of a template that extends another");
        }
        self.captures += 1;
        self.nodes(&after);
        self.captures -= 1;
        self.expr(name);
        let parents = self.found("extends", name, false);
        match parents.as_deref() {
            Some([parent]) => Some(parent.clone()),
            _ => {
                self.inheritance.is_unknown = true;
                template.blocks.iter().for_each(|(name, _)| self.block(name, 0));
                None
            }
        }
    }

    /// Whether a node writes text that is more than white space.
    fn writes(&self, node: &Node) -> bool {
        let any = |nodes: &[Node]| nodes.iter().any(|node| self.writes(node));
        match &node.kind {
            NodeKind::Data => !self.here.text[node.span.start..node.span.end].trim().is_empty(),
            NodeKind::Print(_) | NodeKind::Include { .. } | NodeKind::Call { .. } | NodeKind::FilterBlock { .. } => true,
            NodeKind::If { branches, otherwise } => branches.iter().any(|(_, body)| any(body)) || any(otherwise),
            NodeKind::For { body, otherwise, .. } => any(body) || any(otherwise),
            NodeKind::With { body, .. } | NodeKind::AutoEscape { body, .. } => any(body),
            _ => false,
        }
    }

    fn unwritten_blocks(&mut self, chain: &[Rc<Template>]) {
        for (index, template) in chain.iter().enumerate() {
            let Some(parent) = chain.get(index + 1) else { break };
            for (name, block) in &template.blocks {
                let is_written = |name: &String| self.inheritance.written.contains(name);
                let is_within = block.outer.as_ref().is_some_and(|outer| !is_written(outer));
                let above = chain[index + 1..].iter().flat_map(|parent| parent.blocks.iter().map(|(name, _)| name.clone()));
                let known: Vec<String> = above.collect();
                if is_within || is_written(name) || known.contains(name) {
                    continue;
                }
                let message = format!("this block is never written: '{}' has no block '{name}'", reading::bare_name(&parent.name));
                self.problem_in(template, "no_block", message, block.at, name, known);
            }
        }
    }

    /// The definition of a block that is the `level`th from below.
    fn block(&mut self, name: &str, level: usize) {
        self.inheritance.written.insert(name.to_string());
        let found = self.inheritance.blocks.get(name).and_then(|all| all.get(level)).cloned();
        let Some((template, block)) = found.filter(|_| self.depth < MOST_DEPTH) else { return };
        self.depth += 1;
        let before = std::mem::replace(&mut self.here, template);
        self.inheritance.open.push((name.to_string(), level));
        self.scoped(|walker| walker.nodes(&block.body));
        self.inheritance.open.pop();
        self.here = before;
        self.depth -= 1;
    }

    /// The templates that `name` may mean, of a list the first that is there; None where the name is not known before rendering.
    fn found(&mut self, kind: &str, name: &Expr, may_lack: bool) -> Option<Vec<Rc<Template>>> {
        let Some((names, is_choice)) = self.scopes.names(name, &self.choices) else {
            self.unknown_name(kind, name);
            return None;
        };
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            match &*self.load(&name) {
                Loaded::There(template) => found.push(template.clone()),
                Loaded::Broken => {}
                Loaded::Missing => {
                    missing.push(name);
                    continue;
                }
            }
            self.uses.insert(name);
            if is_choice {
                break;
            }
        }
        if !may_lack && !missing.is_empty() && !(is_choice && !found.is_empty()) {
            let here = self.here.clone();
            self.problem_in(&here, "missing", format!("there is no template '{}'", missing.join("', '")), name.span.start, "", missing);
        }
        Some(found)
    }

    fn include(&mut self, name: &Expr, may_lack: bool, with_context: bool) {
        self.expr(name);
        let Some(found) = self.found("include", name, may_lack) else { return };
        let is_list = matches!(name.kind, ExprKind::List(_) | ExprKind::Tuple(_));
        let is_sure = found.len() == 1 && !may_lack && !is_list;
        self.conditions += usize::from(!is_sure);
        for template in found {
            let part = part_name(&template.name).to_string();
            if !is_list {
                self.parts.insert(part.clone());
                self.open_parts.push(part);
            }
            self.scopes.push(!with_context);
            self.template(&template);
            self.scopes.pop();
            if !is_list {
                self.open_parts.pop();
            }
        }
        self.conditions -= usize::from(!is_sure);
    }

    /// Walks the modules, and gives the names that all of them export; None where they are not known.
    fn import(&mut self, name: &Expr, with_context: bool) -> Option<Vec<String>> {
        self.expr(name);
        let found = self.found("import", name, false)?;
        let mut names = Vec::new();
        for template in &found {
            self.scopes.push(!with_context);
            (self.captures, self.conditions) = (self.captures + 1, self.conditions + 1);
            self.template(template);
            (self.captures, self.conditions) = (self.captures - 1, self.conditions - 1);
            self.scopes.pop();
            exports(&template.nodes, &mut names);
        }
        (found.len() == 1).then_some(names)
    }

    // ---- Statements ------------------------------------------------------------------------------------------------------

    fn scoped(&mut self, body: impl FnOnce(&mut Self)) {
        self.scopes.push(false);
        body(self);
        self.scopes.pop();
    }

    fn within_condition(&mut self, body: impl FnOnce(&mut Self)) {
        self.conditions += 1;
        body(self);
        self.conditions -= 1;
    }

    fn captured(&mut self, body: impl FnOnce(&mut Self)) {
        self.captures += 1;
        self.scoped(body);
        self.captures -= 1;
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate() {
            self.visited += 1;
            if self.visited > MOST_NODES {
                return;
            }
            self.node(node);
            if matches!(node.kind, NodeKind::Break | NodeKind::Continue) {
                return self.unreachable(&nodes[index + 1..], "the loop is left before it");
            }
        }
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Data => {
                let here = self.here.clone();
                self.fix(&here.text[node.span.start..node.span.end]);
            }
            NodeKind::Print(values) => {
                for value in values {
                    if let ExprKind::Str(text) = &value.kind {
                        self.fix(text);
                    }
                    self.expr(value);
                }
            }
            NodeKind::If { branches, otherwise } => self.conditional(branches, otherwise),
            NodeKind::For { target, iter, filter, body, otherwise, .. } => {
                match Path::of(iter) {
                    Some(_) => self.read(iter, false, "iterate"),
                    None => self.expr(iter),
                }
                if matches!(&iter.kind, ExprKind::List(items) | ExprKind::Tuple(items) if items.is_empty()) {
                    self.unreachable(body, "the loop has nothing to go through");
                }
                let element = self.scopes.elements(iter, target);
                self.within_condition(|walker| {
                    walker.scoped(|walker| {
                        element.into_iter().for_each(|(name, binding)| walker.scopes.bind(&name, binding));
                        filter.iter().for_each(|filter| walker.expr(filter));
                        walker.nodes(body);
                    });
                    walker.nodes(otherwise);
                });
            }
            NodeKind::Set(target, value) => {
                self.expr(value);
                let binding = self.scopes.binding(value);
                self.bind(target, binding);
            }
            NodeKind::SetBlock { target, filter, body } => {
                filter.iter().for_each(|filter| self.expr(filter));
                self.captured(|walker| walker.nodes(body));
                self.bind(target, Binding::Unknown);
            }
            NodeKind::Macro(defined) => {
                self.scopes.bind(&defined.name, Binding::Unknown);
                self.macro_body(defined);
            }
            NodeKind::Call { call, caller } => {
                self.expr(call);
                self.macro_body(caller);
            }
            NodeKind::FilterBlock { filter, body } => {
                self.expr(filter);
                self.captured(|walker| walker.nodes(body));
            }
            NodeKind::With { values, body } => {
                let mut bindings = Vec::new();
                for (target, value) in values {
                    self.expr(value);
                    bindings.push((target, self.scopes.binding(value)));
                }
                self.scoped(|walker| {
                    bindings.into_iter().for_each(|(target, binding)| walker.bind(target, binding));
                    walker.nodes(body);
                });
            }
            NodeKind::Block { name, .. } => {
                self.parts.insert(name.clone());
                self.open_parts.push(name.clone());
                self.block(name, 0);
                self.open_parts.pop();
            }
            // Within a condition, where both may be.
            NodeKind::Extends(name) => {
                self.expr(name);
                self.inheritance.is_unknown = true;
                for template in self.found("extends", name, false).unwrap_or_default() {
                    self.template(&template);
                }
            }
            NodeKind::Include { name, ignore_missing, with_context } => self.include(name, *ignore_missing, *with_context),
            NodeKind::Import { name, target, with_context } => {
                self.import(name, *with_context);
                self.scopes.bind(target, Binding::Unknown);
            }
            NodeKind::FromImport { name, names, with_context } => {
                let exported = self.import(name, *with_context);
                for (imported, alias) in names {
                    if let Some(known) = exported.as_ref().filter(|known| !known.contains(imported)) {
                        let here = self.here.clone();
                        let message = format!("the template has no macro or name '{imported}'");
                        self.problem_in(&here, "not_exported", message, node.span.start, imported, known.clone());
                    }
                    self.scopes.bind(alias, Binding::Unknown);
                }
            }
            NodeKind::Do(value) => self.expr(value),
            NodeKind::AutoEscape { enabled, body } => {
                self.expr(enabled);
                self.scoped(|walker| walker.nodes(body));
            }
            NodeKind::Break | NodeKind::Continue | NodeKind::Helper(_) => {}
        }
    }

    fn conditional(&mut self, branches: &[(Expr, Vec<Node>)], otherwise: &[Node]) {
        let guards = self.guards.len();
        let mut is_decided = false;
        for (test, body) in branches {
            if is_decided {
                self.unreachable(body, "a condition before it always holds");
                continue;
            }
            self.expr(test);
            self.guard(test);
            match truth(test) {
                Some(false) => self.unreachable(body, "its condition never holds"),
                Some(true) => {
                    is_decided = true;
                    self.nodes(body);
                }
                None => self.within_condition(|walker| walker.nodes(body)),
            }
        }
        if is_decided {
            self.unreachable(otherwise, "a condition before it always holds");
        } else {
            self.within_condition(|walker| walker.nodes(otherwise));
        }
        self.guards.truncate(guards);
    }

    fn macro_body(&mut self, defined: &Macro) {
        let mut later = Vec::new();
        exports(&self.here.nodes, &mut later);
        self.within_condition(|walker| {
            walker.captured(|walker| {
                // Called where all of the template's own names are there.
                later.iter().filter(|name| walker.scopes.is_free(name)).cloned().collect::<Vec<_>>().iter().for_each(|name| {
                    walker.scopes.bind(name, Binding::Unknown);
                });
                for (name, default) in &defined.parameters {
                    default.iter().for_each(|default| walker.expr(default));
                    walker.scopes.bind(name, Binding::Unknown);
                }
                walker.nodes(&defined.body);
            });
        });
    }

    fn bind(&mut self, target: &Target, binding: Binding) {
        match target {
            Target::Name(name) => {
                // What may have been set otherwise is not known.
                let is_sure = self.conditions == 0 && !self.scopes.is_bound_here(name);
                self.scopes.bind(name, if is_sure { binding } else { Binding::Unknown });
            }
            Target::Attr(name, _, span) => self.read(&Expr { kind: ExprKind::Name(name.clone()), span: *span }, false, ""),
            Target::Tuple(targets) => targets.iter().for_each(|target| self.bind(target, Binding::Unknown)),
        }
    }

    // ---- Expressions -----------------------------------------------------------------------------------------------------

    fn guard(&mut self, test: &Expr) {
        let mut asked = Vec::new();
        tested(test, &mut asked);
        self.guards.extend(asked.into_iter().filter_map(|path| self.scopes.resolve(path)));
    }

    fn guarded(&mut self, tests: &[&Expr], body: impl FnOnce(&mut Self)) {
        let guards = self.guards.len();
        tests.iter().for_each(|test| self.guard(test));
        body(self);
        self.guards.truncate(guards);
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        exprs.into_iter().for_each(|expr| self.expr(expr));
    }

    fn args(&mut self, args: &super::syntax::Args) {
        self.exprs(&args.positional);
        self.exprs(args.named.iter().map(|(_, value)| value));
        self.exprs(args.star.as_deref());
        self.exprs(args.star_star.as_deref());
    }

    /// A value that may be undefined here.
    fn lenient(&mut self, expr: &Expr) {
        match Path::of(expr) {
            Some(_) => self.read(expr, true, ""),
            None => self.expr(expr),
        }
    }

    fn call(&mut self, of: &Expr) {
        match &of.kind {
            ExprKind::Name(name) if name == "super" => {
                if let Some((name, level)) = self.inheritance.open.last().cloned() {
                    self.block(&name, level + 1);
                }
            }
            ExprKind::Name(_) => self.read(of, false, "call"),
            ExprKind::Attr(base, name) => match &base.kind {
                ExprKind::Name(this) if this == "self" => self.block(name, 0),
                _ if Path::of(base).is_some() => self.read(base, false, &format!("{name}()")),
                _ => self.expr(base),
            },
            _ => self.expr(of),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if Path::of(expr).is_some() {
            return self.read(expr, false, "");
        }
        match &expr.kind {
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Concat(items) => self.exprs(items),
            ExprKind::Dict(entries) => entries.iter().for_each(|(key, value)| self.exprs([key, value])),
            ExprKind::Attr(of, _) => self.expr(of),
            ExprKind::Item(of, key) => self.exprs([of.as_ref(), key.as_ref()]),
            ExprKind::Slice(of, parts) => {
                self.expr(of);
                parts.iter().flatten().for_each(|part| self.expr(part));
            }
            ExprKind::Call(of, args) => {
                self.call(of);
                self.args(args);
            }
            ExprKind::Filter(value, name, args) => {
                match value {
                    Some(value) if matches!(name.as_str(), "default" | "d") => self.lenient(value),
                    Some(value) => self.expr(value),
                    None => {}
                }
                self.args(args);
            }
            ExprKind::Test(value, name, args) => {
                if matches!(name.as_str(), "defined" | "undefined") {
                    self.lenient(value);
                } else {
                    self.expr(value);
                }
                self.args(args);
            }
            ExprKind::Chain(first, rest) | ExprKind::Compare(first, rest) => {
                self.expr(first);
                self.exprs(rest.iter().map(|(_, term)| term));
            }
            ExprKind::All(terms) | ExprKind::Any(terms) => {
                let tests: Vec<&Expr> = terms.iter().collect();
                self.guarded(&tests, |walker| walker.exprs(terms));
            }
            ExprKind::Not(inner) | ExprKind::Sign(_, inner) | ExprKind::Quiet(inner) => self.expr(inner),
            ExprKind::Condition { test, then, otherwise } => self.guarded(&[test.as_ref()], |walker| {
                walker.exprs([test.as_ref(), then.as_ref()]);
                walker.exprs(otherwise.as_deref());
            }),
            ExprKind::Name(_) | ExprKind::Bool(_) | ExprKind::None | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) => {}
        }
    }
}

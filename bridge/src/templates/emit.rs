//! Writes a template's tree as what minijinja is to run: the same template, with a call of a helper (`__sb_…`, functions.rs)
//! wherever Python's values and Jinja2's scopes differ from minijinja's, and a map back to what the author wrote.

use std::collections::HashSet;

use super::map::{Map, Piece};
use super::names::{bind_all, includes, sets_names};
use super::reading::heading_in;
use super::syntax::{Args, Expr, ExprKind, Macro, Node, NodeKind, Span, Target};

/// A template name that ends so means the template without its caller's variables, as `import` gives it.
pub const ISOLATED: char = '\u{1}';
/// Text that stands in the template itself is charged from this length on; shorter texts are bounded by the steps.
const CHARGED_TEXT: usize = 64;

/// Operands that a helper takes as arguments; more come as one list.
const MOST_ARGUMENTS: usize = 100;

/// Ends the mark of a heading.
pub const HEADING_END: char = '\u{e001}';

pub struct Emitted {
    pub text: String,
    pub map: Map,
}

/// `source` has plain newlines. `isolated`: names that the template does not set itself are globals or undefined. `heading`
/// and a digit stand for a role's heading.
/// `parts`: what blocks and included templates write is handed over before it is written.
pub fn emit(source: &str, nodes: &[Node], isolated: bool, heading: Option<&str>, parts: bool) -> Emitted {
    let mut set = HashSet::new();
    bind_all(nodes, &mut set);
    let mut emitter = Emitter {
        map: Map::of(source),
        source,
        out: String::with_capacity(source.len() * 2),
        out_line: 1,
        isolated,
        heading,
        parts,
        set,
        loops: Vec::new(),
        temporaries: 0,
        depth: 0,
    };
    if isolated {
        emitter.hide();
    }
    emitter.nodes(nodes);
    Emitted { text: emitter.out, map: emitter.map }
}

/// What a helper of several operands is given.
enum Operand<'a> {
    Value(&'a Expr),
    Word(&'a str),
    None,
}

struct Emitter<'a> {
    source: &'a str,
    out: String,
    out_line: usize,
    map: Map,
    isolated: bool,
    heading: Option<&'a str>,
    parts: bool,
    /// All names that the template sets somewhere.
    set: HashSet<String>,
    /// Of each loop around, the macro that filters what it gives to itself.
    loops: Vec<Option<String>>,
    temporaries: usize,
    depth: usize,
}

impl Emitter<'_> {
    fn write(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Begins a tag on the line where the author's stands, so that an error without a place has a line at least.
    fn open(&mut self, delimiter: &str, at: usize) {
        self.write(delimiter);
        let line = self.map.line(at);
        while self.out_line < line {
            self.out.push('\n');
            self.out_line += 1;
        }
        self.out.push(' ');
    }

    fn tag(&mut self, at: usize, text: &str) {
        self.open("{%", at);
        self.write(text);
        self.write(" %}");
    }

    fn data(&mut self, span: Span) {
        let text = &self.source[span.start..span.end];
        if text.len() >= CHARGED_TEXT {
            self.tag(span.start, &format!("do __sb_spend({})", text.len()));
        }
        let mut rest = text;
        while let Some((before, role, after)) = heading_in(rest, self.heading) {
            self.plain(before);
            self.write(&format!("{{{{ __sb_heading({role}) }}}}"));
            rest = after;
        }
        self.plain(rest);
        self.out_line += text.bytes().filter(|byte| *byte == b'\n').count();
    }

    fn plain(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            self.write(before);
            rest = &after[1..];
            // What minijinja would take for a tag, alone or with a tag that follows.
            if rest.is_empty() || rest.starts_with(['{', '%', '#']) {
                self.write("{{ '{' }}");
            } else {
                self.out.push('{');
            }
        }
        self.write(rest);
    }

    /// Names that the template sets are its own from its first line on, whatever its caller has by the same name.
    fn hide(&mut self) {
        let mut names: Vec<String> = self.set.iter().cloned().collect();
        names.sort();
        for name in names {
            self.tag(0, &format!("set {name} = __sb_global(\"{name}\")"));
        }
    }

    fn temporary(&mut self) -> String {
        self.temporaries += 1;
        format!("__sb_t{}", self.temporaries)
    }

    // ---- Statements ------------------------------------------------------------------------------------------------------

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    /// A body in a scope of its own, where it sets names.
    fn scoped(&mut self, body: &[Node], at: usize) {
        if !sets_names(body) {
            return self.nodes(body);
        }
        self.tag(at, "with");
        self.nodes(body);
        self.tag(at, "endwith");
    }

    fn node(&mut self, node: &Node) {
        let at = node.span.start;
        match &node.kind {
            NodeKind::Data => self.data(node.span),
            NodeKind::Print(values) => {
                for value in values {
                    self.open("{{", at);
                    self.expr(value);
                    self.write(" }}");
                }
            }
            NodeKind::If { branches, otherwise } => {
                for (index, (test, body)) in branches.iter().enumerate() {
                    self.open("{%", if index == 0 { at } else { test.span.start });
                    self.write(if index == 0 { "if " } else { "elif " });
                    self.expr(test);
                    self.write(" %}");
                    self.nodes(body);
                }
                if !otherwise.is_empty() {
                    self.tag(at, "else");
                    self.nodes(otherwise);
                }
                self.tag(at, "endif");
            }
            NodeKind::For { target, iter, filter, recursive, body, otherwise } => {
                // minijinja filters no items that a loop gives to itself.
                let keeper = filter.as_ref().filter(|_| *recursive).map(|filter| self.keeper(target, filter, at));
                self.open("{%", at);
                self.write("for ");
                self.target(target);
                self.write(" in ");
                if let Some(keeper) = &keeper {
                    self.write("__sb_keep(");
                    self.helper("__sb_iter", iter);
                    self.write(&format!(", {keeper})"));
                } else {
                    self.helper("__sb_iter", iter);
                }
                if let (Some(filter), None) = (filter, &keeper) {
                    self.write(" if ");
                    self.expr(filter);
                }
                self.write(if *recursive { " recursive %}" } else { " %}" });
                self.loops.push(keeper);
                self.nodes(body);
                self.loops.pop();
                if !otherwise.is_empty() {
                    self.tag(at, "else");
                    self.nodes(otherwise);
                }
                self.tag(at, "endfor");
            }
            NodeKind::Set(target, value) => self.set(target, value, at),
            NodeKind::SetBlock { target, filter, body } => {
                let attribute = match target {
                    Target::Name(_) => None,
                    _ => Some(self.temporary()),
                };
                self.open("{%", at);
                self.write("set ");
                match &attribute {
                    None => self.target(target),
                    Some(temporary) => self.write(temporary),
                }
                if let Some(filter) = filter {
                    self.filter_chain(filter);
                }
                self.write(" %}");
                self.scoped(body, at);
                self.tag(at, "endset");
                if let (Some(temporary), Target::Attr(name, attribute, span)) = (attribute, target) {
                    self.set_attribute(name, attribute, *span, at, |emitter| emitter.write(&temporary));
                }
            }
            NodeKind::Macro(defined) => self.macro_statement(defined, at),
            NodeKind::Call { call, caller } => {
                self.open("{%", at);
                self.write("call");
                self.parameters(caller, &[]);
                self.out.push(' ');
                self.expr(call);
                self.write(" %}");
                self.defaults(caller, at);
                self.enclosed(&caller.body, at);
                self.loops.push(None);
                self.nodes(&caller.body);
                self.loops.pop();
                self.tag(at, "endcall");
            }
            NodeKind::FilterBlock { filter, body } => {
                self.open("{%", at);
                self.write("filter ");
                let before = self.out.len();
                self.filter_chain(filter);
                // The first bar belongs to a set block only.
                if self.out[before..].starts_with('|') {
                    self.out.replace_range(before..before + 1, " ");
                }
                self.write(" %}");
                self.scoped(body, at);
                self.tag(at, "endfilter");
            }
            NodeKind::With { values, body } => self.with(values, body, at),
            NodeKind::Block { name, required, body } => {
                self.tag(at, &format!("block {name}{}", if *required { " required" } else { "" }));
                if !*required {
                    self.loops.push(None);
                    if self.parts {
                        self.part(&format!("\"{name}\""), at, |emitter| emitter.nodes(body));
                    } else {
                        self.nodes(body);
                    }
                    self.loops.pop();
                }
                self.tag(at, "endblock");
            }
            NodeKind::Extends(name) => {
                self.open("{%", at);
                self.write("extends ");
                self.template_name(name, true);
                self.write(" %}");
            }
            NodeKind::Include { name, ignore_missing, with_context } => {
                self.tag(at, "with");
                let ending = if *ignore_missing { " ignore missing %}" } else { " %}" };
                if self.parts {
                    let asked = self.temporary();
                    self.open("{%", at);
                    self.write(&format!("set {asked} = "));
                    self.expr(name);
                    self.write(" %}");
                    let helper = if *with_context { "__sb_template" } else { "__sb_isolated" };
                    self.part(&asked, at, |emitter| {
                        emitter.open("{%", at);
                        emitter.write("include ");
                        emitter.recorded(name.span, |emitter| emitter.write(&format!("({asked}|{helper})")));
                        emitter.write(ending);
                    });
                } else {
                    self.open("{%", at);
                    self.write("include ");
                    self.template_name(name, *with_context);
                    self.write(ending);
                }
                self.tag(at, "endwith");
            }
            NodeKind::Import { name, target, with_context } => self.import(name, target, *with_context, at),
            NodeKind::FromImport { name, names, with_context } => {
                let module = self.temporary();
                self.import(name, &module, *with_context, at);
                for (imported, alias) in names {
                    self.open("{%", at);
                    self.write(&format!("set {alias} = __sb_export({module}, \"{imported}\", "));
                    self.expr(name);
                    self.write(") %}");
                }
            }
            NodeKind::Do(value) => {
                self.open("{%", at);
                self.write("do ");
                self.recorded(value.span, |emitter| {
                    emitter.write("__sb_do(");
                    emitter.expr(value);
                    emitter.out.push(')');
                });
                self.write(" %}");
            }
            NodeKind::AutoEscape { enabled, body } => {
                self.open("{%", at);
                self.write("autoescape ");
                self.helper("__sb_bool", enabled);
                self.write(" %}");
                self.scoped(body, at);
                self.tag(at, "endautoescape");
            }
            NodeKind::Break => self.tag(at, "break"),
            NodeKind::Continue => self.tag(at, "continue"),
            NodeKind::Helper(call) => self.write(&format!("{{{{ {call} }}}}")),
        }
    }

    /// Hands over what `body` writes as the part that the expression `name` names.
    fn part(&mut self, name: &str, at: usize, body: impl FnOnce(&mut Self)) {
        let text = self.temporary();
        self.tag(at, &format!("do __sb_open({name})"));
        self.tag(at, &format!("set {text}"));
        body(self);
        self.tag(at, "endset");
        self.open("{{", at);
        self.write(&format!("__sb_part({name}, {text}) }}}}"));
    }

    /// A macro that says of an item whether the loop's filter keeps it.
    fn keeper(&mut self, target: &Target, filter: &Expr, at: usize) -> String {
        let (name, item) = (self.temporary(), self.temporary());
        self.tag(at, &format!("macro {name}({item})"));
        self.open("{%", at);
        self.write("set ");
        self.target(target);
        self.write(&format!(" = {item} %}}"));
        self.open("{%", at);
        self.write("if ");
        self.expr(filter);
        self.write(" %}");
        self.write("1");
        self.tag(at, "endif");
        self.tag(at, "endmacro");
        name
    }

    /// Names all that the template sets, where it is never run: a template that is included here may read them.
    fn enclosed(&mut self, body: &[Node], at: usize) {
        if !includes(body) {
            return;
        }
        let mut names: Vec<&String> = self.set.iter().collect();
        names.sort();
        let names = names.into_iter().cloned().collect::<Vec<_>>().join(", ");
        self.tag(at, "if false");
        self.write(&format!("{{{{ [{names}] }}}}"));
        self.tag(at, "endif");
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.write(name),
            Target::Attr(name, ..) => self.write(name),
            Target::Tuple(targets) => {
                for (index, target) in targets.iter().enumerate() {
                    if index > 0 {
                        self.write(", ");
                    }
                    if matches!(target, Target::Tuple(_)) {
                        self.out.push('(');
                        self.target(target);
                        self.out.push(')');
                    } else {
                        self.target(target);
                    }
                }
                if targets.len() == 1 {
                    self.out.push(',');
                }
            }
        }
    }

    fn set(&mut self, target: &Target, value: &Expr, at: usize) {
        match target {
            Target::Attr(name, attribute, span) => {
                self.set_attribute(name, attribute, *span, at, |emitter| emitter.expr(value));
            }
            Target::Name(name) => {
                self.open("{%", at);
                self.write(&format!("set {name} = "));
                self.expr(value);
                self.write(" %}");
            }
            Target::Tuple(_) => {
                let mut attributes = Vec::new();
                let plain = self.without_attributes(target, &mut attributes);
                self.open("{%", at);
                self.write("set ");
                self.target(&plain);
                self.write(" = ");
                self.helper("__sb_unpack", value);
                self.write(" %}");
                for (temporary, name, attribute, span) in attributes {
                    self.set_attribute(&name, &attribute, span, at, |emitter| emitter.write(&temporary));
                }
            }
        }
    }

    fn without_attributes(&mut self, target: &Target, found: &mut Vec<(String, String, String, Span)>) -> Target {
        match target {
            Target::Name(name) => Target::Name(name.clone()),
            Target::Attr(name, attribute, span) => {
                let temporary = self.temporary();
                found.push((temporary.clone(), name.clone(), attribute.clone(), *span));
                Target::Name(temporary)
            }
            Target::Tuple(targets) => {
                Target::Tuple(targets.iter().map(|target| self.without_attributes(target, found)).collect())
            }
        }
    }

    fn set_attribute(&mut self, name: &str, attribute: &str, span: Span, at: usize, value: impl FnOnce(&mut Self)) {
        self.open("{%", at);
        self.write("do ");
        self.recorded(span, |emitter| {
            emitter.write("__sb_setattr(");
            emitter.name(name);
            emitter.write(&format!(", \"{attribute}\", "));
            value(emitter);
            emitter.out.push(')');
        });
        self.write(" %}");
    }

    fn parameters(&mut self, defined: &Macro, extra: &[&str]) {
        let names = defined.parameters.iter().map(|(name, _)| name.as_str()).chain(extra.iter().copied());
        let list = names.collect::<Vec<_>>().join(", ");
        self.write(&format!("({list})"));
    }

    /// Defaults are set in order, each seeing the parameters before it.
    fn defaults(&mut self, defined: &Macro, at: usize) {
        for (name, default) in &defined.parameters {
            let Some(default) = default else { continue };
            self.tag(at, &format!("if {name} is undefined"));
            self.open("{%", at);
            self.write(&format!("set {name} = "));
            self.expr(default);
            self.write(" %}");
            self.tag(at, "endif");
        }
    }

    fn macro_statement(&mut self, defined: &Macro, at: usize) {
        let name = &defined.name;
        let mut extra = Vec::new();
        if defined.uses_varargs {
            extra.push("varargs");
        }
        if defined.uses_kwargs {
            extra.push("kwargs");
        }
        self.open("{%", at);
        self.write(&format!("macro __sb_m_{name}"));
        self.parameters(defined, &extra);
        self.write(" %}");
        self.defaults(defined, at);
        self.enclosed(&defined.body, at);
        self.loops.push(None);
        self.nodes(&defined.body);
        self.loops.pop();
        self.tag(at, "endmacro");
        let names = defined.parameters.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let flags = [defined.uses_varargs, defined.uses_kwargs, defined.uses_caller];
        let flags = flags.into_iter().rev().fold(0, |bits, flag| bits * 2 + u8::from(flag));
        self.tag(at, &format!("set {name} = __sb_macro(__sb_m_{name}, \"{name}\", [{names}], {flags})"));
    }

    /// All values are those from outside of the block.
    fn with(&mut self, values: &[(Target, Expr)], body: &[Node], at: usize) {
        let temporaries: Vec<String> = values.iter().map(|_| self.temporary()).collect();
        self.tag(at, "with");
        for (temporary, (target, value)) in temporaries.iter().zip(values) {
            self.open("{%", at);
            self.write(&format!("set {temporary} = "));
            match target {
                Target::Tuple(_) => self.helper("__sb_unpack", value),
                _ => self.expr(value),
            }
            self.write(" %}");
        }
        for (temporary, (target, _)) in temporaries.iter().zip(values) {
            self.open("{%", at);
            self.write("set ");
            self.target(target);
            self.write(&format!(" = {temporary} %}}"));
        }
        self.nodes(body);
        self.tag(at, "endwith");
    }

    fn import(&mut self, name: &Expr, target: &str, with_context: bool, at: usize) {
        self.open("{%", at);
        self.write("import ");
        self.template_name(name, with_context);
        self.write(&format!(" as {target} %}}"));
    }

    fn template_name(&mut self, name: &Expr, with_context: bool) {
        self.helper(if with_context { "__sb_template" } else { "__sb_isolated" }, name);
    }

    /// `|upper|replace("a", "b")`, whose first filter has no value.
    fn filter_chain(&mut self, filter: &Expr) {
        let ExprKind::Filter(value, name, args) = &filter.kind else { return };
        if let Some(value) = value {
            self.filter_chain(value);
        }
        self.write(&format!("|{name}"));
        self.args(args);
    }

    // ---- Expressions -----------------------------------------------------------------------------------------------------

    fn recorded(&mut self, source: Span, body: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.depth += 1;
        body(self);
        self.depth -= 1;
        let out = Span { start, end: self.out.len() };
        self.map.pieces.push(Piece { out, source, depth: self.depth });
    }

    fn expr(&mut self, expr: &Expr) {
        self.recorded(expr.span, |emitter| emitter.bare(expr));
    }

    /// A helper of one value, written as a filter: minijinja finds it once and not by each call's name.
    fn helper(&mut self, name: &str, value: &Expr) {
        self.recorded(value.span, |emitter| {
            emitter.out.push('(');
            emitter.filtered(value);
            emitter.write(&format!("|{name})"));
        });
    }

    /// A helper of several operands: a filter of the first, or a function of their list where a call cannot take so many.
    fn applied(&mut self, name: &str, operands: Vec<Operand>) {
        let is_filter = (1..=MOST_ARGUMENTS).contains(&operands.len());
        self.write(&if is_filter { "(".to_string() } else { format!("{name}([") });
        for (index, operand) in operands.iter().enumerate() {
            if index > 1 || (index == 1 && !is_filter) {
                self.write(", ");
            }
            match operand {
                Operand::Value(value) if index == 0 && is_filter => self.filtered(value),
                Operand::Value(value) => self.expr(value),
                Operand::Word(word) => self.quoted(word),
                Operand::None => self.write("none"),
            }
            if index == 0 && is_filter {
                self.write(&format!("|{name}("));
            }
        }
        self.write(if is_filter { "))" } else { "])" });
    }

    /// A heading stands in a text that spans lines, too.
    fn string(&mut self, text: &str) {
        let Some((before, role, after)) = heading_in(text, self.heading) else { return self.quoted(text) };
        self.write("__sb_concat([");
        self.quoted(before);
        self.write(&format!(", __sb_heading({role}), "));
        self.string(after);
        self.write("])");
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.write("\\\""),
                '\\' => self.write("\\\\"),
                '\n' => self.write("\\n"),
                '\r' => self.write("\\r"),
                c if (c as u32) < 0x20 => self.write(&format!("\\u{:04x}", c as u32)),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn name(&mut self, name: &str) {
        let special = ["loop", "self", "super", "caller", "varargs", "kwargs"];
        if self.isolated && !self.set.contains(name) && !special.contains(&name) {
            self.write(&format!("__sb_global(\"{name}\")"));
        } else {
            self.write(name);
        }
    }

    /// What stands before a dot, a bracket or a bar.
    fn base(&mut self, expr: &Expr) {
        if matches!(expr.kind, ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Filter(..)) {
            self.out.push('(');
            self.expr(expr);
            self.out.push(')');
        } else {
            self.expr(expr);
        }
    }

    /// A filtered value takes its next filter without brackets, so that long chains are not deep.
    fn filtered(&mut self, expr: &Expr) {
        if matches!(expr.kind, ExprKind::Filter(..)) {
            self.expr(expr);
        } else {
            self.base(expr);
        }
    }

    /// Terms of `and` and `or`, as a tree that is not deep.
    fn joined(&mut self, terms: &[Expr], word: &str) {
        match terms {
            [term] => self.expr(term),
            _ => {
                let (left, right) = terms.split_at(terms.len() / 2);
                self.out.push('(');
                self.joined(left, word);
                self.write(word);
                self.joined(right, word);
                self.out.push(')');
            }
        }
    }

    fn operators(&mut self, helper: &str, first: &Expr, rest: &[(&'static str, Expr)]) {
        let terms = rest.iter().flat_map(|(operator, term)| [Operand::Word(operator), Operand::Value(term)]);
        self.applied(helper, std::iter::once(Operand::Value(first)).chain(terms).collect());
    }

    fn args(&mut self, args: &Args) {
        self.out.push('(');
        let mut first = true;
        let mut comma = |emitter: &mut Self| {
            if !std::mem::take(&mut first) {
                emitter.write(", ");
            }
        };
        for value in &args.positional {
            comma(self);
            self.expr(value);
        }
        if let Some(star) = &args.star {
            comma(self);
            self.out.push('*');
            self.helper("__sb_spread", star);
        }
        for (name, value) in &args.named {
            comma(self);
            self.write(&format!("{name}="));
            self.expr(value);
        }
        if let Some(star_star) = &args.star_star {
            comma(self);
            self.write("**");
            self.helper("__sb_named", star_star);
        }
        self.out.push(')');
    }

    fn bare(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => self.name(name),
            ExprKind::Bool(value) => self.write(if *value { "true" } else { "false" }),
            ExprKind::None => self.write("none"),
            ExprKind::Int(number) => self.write(&number.to_string()),
            ExprKind::Float(number) => self.write(&format!("{number:?}")),
            ExprKind::Str(text) => self.string(text),
            ExprKind::List(items) | ExprKind::Tuple(items) => {
                let helper = if matches!(expr.kind, ExprKind::List(_)) { "__sb_list" } else { "__sb_tuple" };
                self.applied(helper, items.iter().map(Operand::Value).collect());
            }
            ExprKind::Dict(entries) => {
                let members = entries.iter().flat_map(|(key, value)| [Operand::Value(key), Operand::Value(value)]);
                self.applied("__sb_dict", members.collect());
            }
            ExprKind::Attr(of, name) => {
                self.base(of);
                self.write(&format!(".{name}"));
            }
            ExprKind::Item(of, key) => {
                self.applied("__sb_item", vec![Operand::Value(of), Operand::Value(key)]);
            }
            ExprKind::Slice(of, parts) => {
                let bounds = parts.iter().map(|part| part.as_ref().map_or(Operand::None, |part| Operand::Value(part)));
                self.applied("__sb_slice", std::iter::once(Operand::Value(of)).chain(bounds).collect());
            }
            ExprKind::Call(of, args) => {
                // minijinja's own is not safe with no items.
                if let (ExprKind::Attr(base, name), true) = (&of.kind, args.star.is_some()) {
                    if name == "cycle" {
                        self.write("__sb_cycle(");
                        self.base(base);
                        self.write(".index0)");
                        return self.args(args);
                    }
                }
                self.base(of);
                let filter = self.loops.last().cloned().flatten();
                match (&of.kind, filter, args.positional.as_slice()) {
                    (ExprKind::Name(name), Some(filter), [items]) if name == "loop" => {
                        self.write("(__sb_keep(");
                        self.expr(items);
                        self.write(&format!(", {filter}))"));
                    }
                    _ => self.args(args),
                }
            }
            ExprKind::Filter(value, name, args) => {
                if let Some(value) = value {
                    self.filtered(value);
                }
                self.write(&format!("|{name}"));
                self.args(args);
            }
            ExprKind::Test(value, name, args) => {
                self.out.push('(');
                self.base(value);
                self.write(&format!(" is {name}"));
                self.args(args);
                self.out.push(')');
            }
            ExprKind::Chain(first, rest) => self.operators("__sb_arith", first, rest),
            ExprKind::Compare(first, rest) => self.operators("__sb_compare", first, rest),
            ExprKind::Concat(terms) => {
                self.applied("__sb_concat", terms.iter().map(Operand::Value).collect());
            }
            ExprKind::All(terms) => self.joined(terms, " and "),
            ExprKind::Any(terms) => self.joined(terms, " or "),
            ExprKind::Quiet(inner) => {
                self.write("__sb_aloud([__sb_quiet(true), ");
                self.expr(inner);
                self.write("])");
            }
            ExprKind::Not(inner) => {
                self.write("(not ");
                self.expr(inner);
                self.out.push(')');
            }
            ExprKind::Sign(sign, inner) => {
                self.applied("__sb_sign", vec![Operand::Word(sign), Operand::Value(inner)]);
            }
            ExprKind::Condition { test, then, otherwise } => {
                self.out.push('(');
                self.expr(then);
                self.write(" if ");
                self.expr(test);
                if let Some(otherwise) = otherwise {
                    self.write(" else ");
                    self.expr(otherwise);
                }
                self.out.push(')');
            }
        }
    }
}

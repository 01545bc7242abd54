//! Which text of a rendering comes from where. `marked` puts marks before all that writes text; they stand in the text with a
//! secret of the rendering, and `pieces` takes them out. What a template can take in hand (the text of a macro, of a captured
//! or a filtered block, of a call within an expression) is written without marks: it is one derived piece.

use super::emit::HEADING_END;
use super::map::Map;
use super::reading::{self, heading_in};
use super::syntax::{Args, Expr, ExprKind, Macro, Node, NodeKind, Span, Target};
use minijinja::Value;
use serde_json::json;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

const OPEN: char = '\u{e002}';
const CLOSE: char = '\u{e003}';
/// Bytes of an expression that are told.
const MOST_EXPRESSION: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Literal,
    Constant,
    Heading,
    Value,
    Derived,
    Part,
}

/// A place of a template that writes text.
#[derive(Debug)]
pub struct Site {
    /// As minijinja knows the template.
    template: Arc<str>,
    kind: Kind,
    at: usize,
    expression: String,
    /// Of a value the variable, where the template does not bind it itself.
    root: Option<String>,
}

/// The sites of all templates of one rendering.
pub type Sites = Arc<Mutex<Vec<Site>>>;

fn locked(sites: &Sites) -> std::sync::MutexGuard<'_, Vec<Site>> {
    sites.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---- Before a rendering --------------------------------------------------------------------------------------------------

/// `nodes` of `template`, whose text is `text`, with marks.
pub fn marked(nodes: &[Node], text: &str, template: &str, heading: Option<&str>, sites: &Sites) -> Vec<Node> {
    let mut marker = Marker { text, template: template.into(), heading, sites, bound: HashSet::new(), made: HashSet::new() };
    marker.names(nodes);
    marker.nodes(nodes)
}

struct Marker<'a> {
    text: &'a str,
    template: Arc<str>,
    heading: Option<&'a str>,
    sites: &'a Sites,
    /// Names that the template binds, and those of them that stand for a text that it makes.
    bound: HashSet<String>,
    made: HashSet<String>,
}

/// The variable at the beginning of `a`, `a.b` and `a[0].c`.
fn root_of(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name),
        ExprKind::Attr(of, _) | ExprKind::Item(of, _) | ExprKind::Slice(of, _) => root_of(of),
        _ => None,
    }
}

fn names_of(target: &Target, names: &mut Vec<String>) {
    match target {
        Target::Name(name) | Target::Attr(name, ..) => names.push(name.clone()),
        Target::Tuple(targets) => targets.iter().for_each(|target| names_of(target, names)),
    }
}

/// What minijinja writes out at once, in place of giving it back: `super()`, `self.block()` and `loop(items)`.
fn writes_itself(expr: &Expr) -> bool {
    let ExprKind::Call(of, args) = &expr.kind else { return false };
    let plain = args.named.is_empty() && args.star.is_none() && args.star_star.is_none();
    match &of.kind {
        ExprKind::Name(name) if name == "super" => args.is_empty(),
        ExprKind::Name(name) if name == "loop" => plain && args.positional.len() == 1,
        ExprKind::Attr(base, _) => matches!(&base.kind, ExprKind::Name(name) if name == "self"),
        _ => false,
    }
}

fn helper(call: String, span: Span) -> Node {
    Node { kind: NodeKind::Helper(call), span }
}

fn quiet(is_quiet: bool, span: Span) -> Node {
    helper(format!("__sb_quiet({is_quiet})"), span)
}

impl Marker<'_> {
    /// What the names of `nodes` stand for.
    fn names(&mut self, nodes: &[Node]) {
        for node in nodes {
            let mut names = Vec::new();
            let mut is_made = false;
            match &node.kind {
                NodeKind::If { branches, otherwise } => {
                    branches.iter().for_each(|(_, body)| self.names(body));
                    self.names(otherwise);
                }
                NodeKind::For { target, body, otherwise, .. } => {
                    names_of(target, &mut names);
                    self.names(body);
                    self.names(otherwise);
                }
                NodeKind::Set(target, value) => {
                    names_of(target, &mut names);
                    is_made = self.is_derived(value);
                }
                NodeKind::SetBlock { target, body, .. } => {
                    names_of(target, &mut names);
                    is_made = true;
                    self.names(body);
                }
                NodeKind::Macro(defined) | NodeKind::Call { caller: defined, .. } => {
                    names.extend(defined.parameters.iter().map(|(name, _)| name.clone()));
                    self.names(&defined.body);
                }
                NodeKind::With { values, body } => {
                    for (target, value) in values {
                        let mut targets = Vec::new();
                        names_of(target, &mut targets);
                        if self.is_derived(value) {
                            self.made.extend(targets.iter().cloned());
                        }
                        self.bound.extend(targets);
                    }
                    self.names(body);
                }
                NodeKind::FilterBlock { body, .. } | NodeKind::Block { body, .. } | NodeKind::AutoEscape { body, .. } => self.names(body),
                _ => {}
            }
            if is_made {
                self.made.extend(names.iter().cloned());
            }
            self.bound.extend(names);
        }
    }

    fn is_derived(&self, value: &Expr) -> bool {
        match &value.kind {
            ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::None => false,
            _ => root_of(value).map_or(true, |root| self.made.contains(root)),
        }
    }

    fn site(&self, kind: Kind, span: Span, root: Option<&str>) -> usize {
        let mut whole = self.text.get(span.start..span.end).unwrap_or_default().trim().to_string();
        // The mark of a heading is nobody's.
        while let Some((before, _, after)) = heading_in(&whole, self.heading) {
            whole = format!("{before}== … =={after}");
        }
        let mut end = whole.len().min(MOST_EXPRESSION);
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        let is_told = !matches!(kind, Kind::Literal | Kind::Heading | Kind::Part);
        let expression = if is_told { whole[..end].to_string() } else { String::new() };
        let mut sites = locked(self.sites);
        sites.push(Site { template: self.template.clone(), kind, at: span.start, expression, root: root.map(str::to_string) });
        sites.len() - 1
    }

    fn mark(&self, kind: Kind, span: Span, root: Option<&str>) -> Node {
        helper(format!("__sb_mark({})", self.site(kind, span, root)), span)
    }

    fn mark_print(&self, value: &Expr) -> Node {
        let kind = match &value.kind {
            ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::None => Kind::Constant,
            _ if self.is_derived(value) => Kind::Derived,
            _ => Kind::Value,
        };
        let root = root_of(value).filter(|root| kind == Kind::Value && !self.bound.contains(*root));
        self.mark(kind, value.span, root)
    }

    fn nodes(&self, nodes: &[Node]) -> Vec<Node> {
        let mut out = Vec::with_capacity(nodes.len() * 2);
        nodes.iter().for_each(|node| self.node(node, &mut out));
        out
    }

    /// A body whose text is taken in hand.
    fn quiet_nodes(&self, nodes: &[Node], span: Span) -> Vec<Node> {
        let mut out = vec![quiet(true, span)];
        nodes.iter().for_each(|node| self.node(node, &mut out));
        out.push(quiet(false, span));
        out
    }

    fn data(&self, span: Span, out: &mut Vec<Node>) {
        let mut piece = |kind: Kind, start: usize, end: usize| {
            let span = Span { start, end };
            if start < end {
                out.push(self.mark(kind, span, None));
                out.push(Node { kind: NodeKind::Data, span });
            }
        };
        let mut start = span.start;
        while let Some((before, _, after)) = heading_in(&self.text[start..span.end], self.heading) {
            piece(Kind::Literal, start, start + before.len());
            let end = span.end - after.len();
            piece(Kind::Heading, start + before.len(), end);
            start = end;
        }
        piece(Kind::Literal, start, span.end);
    }

    fn node(&self, node: &Node, out: &mut Vec<Node>) {
        let span = node.span;
        let mut push = |kind: NodeKind| out.push(Node { kind, span });
        match &node.kind {
            NodeKind::Data => self.data(span, out),
            NodeKind::Print(values) => {
                for value in values {
                    let written = if writes_itself(value) { self.inside(value) } else { self.expr(value) };
                    out.push(self.mark_print(value));
                    out.push(Node { kind: NodeKind::Print(vec![written]), span });
                }
            }
            NodeKind::If { branches, otherwise } => {
                let branches = branches.iter().map(|(test, body)| (self.expr(test), self.nodes(body))).collect();
                push(NodeKind::If { branches, otherwise: self.nodes(otherwise) });
            }
            NodeKind::For { target, iter, filter, recursive, body, otherwise } => push(NodeKind::For {
                target: target.clone(),
                iter: self.expr(iter),
                filter: filter.as_ref().map(|filter| self.expr(filter)),
                recursive: *recursive,
                body: self.nodes(body),
                otherwise: self.nodes(otherwise),
            }),
            NodeKind::Set(target, value) => {
                push(NodeKind::Set(target.clone(), self.expr(value)));
                if self.is_derived(value) {
                    self.note_made(target, span, out);
                }
            }
            NodeKind::SetBlock { target, filter, body } => {
                let filter = filter.as_ref().map(|filter| self.expr(filter));
                push(NodeKind::SetBlock { target: target.clone(), filter, body: self.quiet_nodes(body, span) });
                self.note_made(target, span, out);
            }
            NodeKind::Macro(defined) => push(NodeKind::Macro(self.quiet_macro(defined, span))),
            NodeKind::Call { call, caller } => {
                out.push(self.mark(Kind::Derived, call.span, None));
                out.push(quiet(true, span));
                let caller = self.quiet_macro(caller, span);
                out.push(Node { kind: NodeKind::Call { call: self.inside(call), caller }, span });
                out.push(quiet(false, span));
            }
            NodeKind::FilterBlock { filter, body } => {
                out.push(self.mark(Kind::Derived, filter.span, None));
                let body = self.quiet_nodes(body, span);
                out.push(Node { kind: NodeKind::FilterBlock { filter: self.expr(filter), body }, span });
            }
            NodeKind::With { values, body } => {
                let values = values.iter().map(|(target, value)| (target.clone(), self.expr(value))).collect();
                push(NodeKind::With { values, body: self.nodes(body) });
            }
            NodeKind::Block { name, required, body } => {
                out.push(self.place(span));
                out.push(Node { kind: NodeKind::Block { name: name.clone(), required: *required, body: self.nodes(body) }, span });
            }
            NodeKind::Extends(name) => push(NodeKind::Extends(self.expr(name))),
            NodeKind::Include { name, ignore_missing, with_context } => {
                out.push(self.place(span));
                let (ignore_missing, with_context) = (*ignore_missing, *with_context);
                out.push(Node { kind: NodeKind::Include { name: self.expr(name), ignore_missing, with_context }, span });
            }
            // A module's text is a value.
            NodeKind::Import { name, target, with_context } => {
                out.push(quiet(true, span));
                let (target, with_context) = (target.clone(), *with_context);
                out.push(Node { kind: NodeKind::Import { name: self.expr(name), target, with_context }, span });
                out.push(quiet(false, span));
            }
            NodeKind::FromImport { name, names, with_context } => {
                out.push(quiet(true, span));
                let (names, with_context) = (names.clone(), *with_context);
                out.push(Node { kind: NodeKind::FromImport { name: self.expr(name), names, with_context }, span });
                out.push(quiet(false, span));
            }
            NodeKind::Do(value) => push(NodeKind::Do(self.expr(value))),
            NodeKind::AutoEscape { enabled, body } => push(NodeKind::AutoEscape { enabled: self.expr(enabled), body: self.nodes(body) }),
            NodeKind::Break | NodeKind::Continue | NodeKind::Helper(_) => out.push(node.clone()),
        }
    }

    fn place(&self, span: Span) -> Node {
        helper(format!("__sb_place({})", self.site(Kind::Part, span, None)), span)
    }

    /// A template that is included may print the name.
    fn note_made(&self, target: &Target, span: Span, out: &mut Vec<Node>) {
        let mut names = Vec::new();
        names_of(target, &mut names);
        out.extend(names.into_iter().map(|name| helper(format!("__sb_made(\"{name}\")"), span)));
    }

    fn quiet_macro(&self, defined: &Macro, span: Span) -> Macro {
        let parameters = defined.parameters.iter().map(|(name, default)| (name.clone(), default.as_ref().map(|default| self.expr(default))));
        Macro { parameters: parameters.collect(), body: self.quiet_nodes(&defined.body, span), ..defined.clone() }
    }

    fn boxed(&self, expr: &Expr) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    fn exprs(&self, exprs: &[Expr]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn args(&self, args: &Args) -> Args {
        Args {
            positional: self.exprs(&args.positional),
            named: args.named.iter().map(|(name, value)| (name.clone(), self.expr(value))).collect(),
            star: args.star.as_ref().map(|star| self.boxed(star)),
            star_star: args.star_star.as_ref().map(|star| self.boxed(star)),
        }
    }

    /// What is called within an expression may write text that becomes a value.
    fn expr(&self, expr: &Expr) -> Expr {
        let inner = self.inside(expr);
        match inner.kind {
            ExprKind::Call(..) => Expr { kind: ExprKind::Quiet(Box::new(inner)), span: expr.span },
            _ => inner,
        }
    }

    fn inside(&self, expr: &Expr) -> Expr {
        let pairs = |pairs: &[(&'static str, Expr)]| pairs.iter().map(|(operator, term)| (*operator, self.expr(term))).collect::<Vec<_>>();
        let kind = match &expr.kind {
            ExprKind::List(items) => ExprKind::List(self.exprs(items)),
            ExprKind::Tuple(items) => ExprKind::Tuple(self.exprs(items)),
            ExprKind::Dict(entries) => ExprKind::Dict(entries.iter().map(|(key, value)| (self.expr(key), self.expr(value))).collect()),
            ExprKind::Attr(of, name) => ExprKind::Attr(self.boxed(of), name.clone()),
            ExprKind::Item(of, key) => ExprKind::Item(self.boxed(of), self.boxed(key)),
            ExprKind::Slice(of, parts) => {
                let part = |index: usize| parts[index].as_ref().map(|part| self.boxed(part));
                ExprKind::Slice(self.boxed(of), [part(0), part(1), part(2)])
            }
            ExprKind::Call(of, args) => ExprKind::Call(self.boxed(of), self.args(args)),
            ExprKind::Filter(value, name, args) => {
                ExprKind::Filter(value.as_ref().map(|value| self.boxed(value)), name.clone(), self.args(args))
            }
            ExprKind::Test(value, name, args) => ExprKind::Test(self.boxed(value), name.clone(), self.args(args)),
            ExprKind::Chain(first, rest) => ExprKind::Chain(self.boxed(first), pairs(rest)),
            ExprKind::Compare(first, rest) => ExprKind::Compare(self.boxed(first), pairs(rest)),
            ExprKind::Concat(terms) => ExprKind::Concat(self.exprs(terms)),
            ExprKind::All(terms) => ExprKind::All(self.exprs(terms)),
            ExprKind::Any(terms) => ExprKind::Any(self.exprs(terms)),
            ExprKind::Not(inner) => ExprKind::Not(self.boxed(inner)),
            ExprKind::Sign(sign, inner) => ExprKind::Sign(sign, self.boxed(inner)),
            ExprKind::Condition { test, then, otherwise } => ExprKind::Condition {
                test: self.boxed(test),
                then: self.boxed(then),
                otherwise: otherwise.as_ref().map(|otherwise| self.boxed(otherwise)),
            },
            other => other.clone(),
        };
        Expr { kind, span: expr.span }
    }
}

// ---- While rendering -----------------------------------------------------------------------------------------------------

/// What one rendering keeps of its marks; reading.rs has it.
pub struct Explained {
    sites: Sites,
    secret: String,
    /// How many of what takes text in hand are open.
    quiet: usize,
    /// Where the part that comes next stands.
    place: usize,
    open: Vec<usize>,
    /// The parts that were written: their names and where they stand.
    parts: Vec<(String, usize)>,
    made: HashSet<String>,
}

#[derive(Clone, Copy)]
enum Mark {
    /// Text of a site, from this byte of it on.
    Text { site: usize, skip: usize, is_made: bool },
    Open(usize),
    Close,
}

impl Explained {
    pub fn new(sites: Sites) -> Self {
        // Its keys are the system's; digits would do against chance, and this against everyone.
        let number = || RandomState::new().build_hasher().finish();
        let secret = format!("{OPEN}{:016x}{:016x}", number(), number());
        Explained { sites, secret, quiet: 0, place: 0, open: Vec::new(), parts: Vec::new(), made: HashSet::new() }
    }

    fn written(&self, mark: Mark) -> String {
        let secret = &self.secret;
        match mark {
            Mark::Text { site, skip, is_made } => format!("{secret}{} {site} {skip}{CLOSE}", if is_made { 'd' } else { 't' }),
            Mark::Open(part) => format!("{secret}o {part} 0{CLOSE}"),
            Mark::Close => format!("{secret}c 0 0{CLOSE}"),
        }
    }

    /// The text without its marks, and the marks by where they stand in it.
    fn taken_apart(&self, text: &str) -> (String, Vec<(usize, Mark)>) {
        let mut plain = String::with_capacity(text.len());
        let mut marks = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(self.secret.as_str()) {
            plain.push_str(before);
            let (mark, after) = after.split_once(CLOSE).unwrap_or((after, ""));
            rest = after;
            let mut words = mark.split(' ');
            let kind = words.next().unwrap_or_default();
            let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let (first, skip) = (number(), number());
            marks.push((plain.len(), match kind {
                "o" => Mark::Open(first),
                "c" => Mark::Close,
                _ => Mark::Text { site: first, skip, is_made: kind == "d" },
            }));
        }
        plain.push_str(rest);
        (plain, marks)
    }

    pub fn mark(&self, site: usize) -> String {
        if self.quiet > 0 {
            return String::new();
        }
        let is_made = locked(&self.sites).get(site).and_then(|site| site.root.as_ref()).is_some_and(|root| self.made.contains(root));
        self.written(Mark::Text { site, skip: 0, is_made })
    }

    pub fn quiet(&mut self, is_quiet: bool) {
        self.quiet = if is_quiet { self.quiet + 1 } else { self.quiet.saturating_sub(1) };
    }

    pub fn place(&mut self, site: usize) {
        if self.quiet == 0 {
            self.place = site;
        }
    }

    pub fn note_made(&mut self, name: &str) {
        self.made.insert(name.to_string());
    }

    pub fn open_part(&mut self) {
        self.open.push(self.place);
    }

    /// What is kept of a part's text, with the marks of what is kept. `keeps`: None of what is no part of its own.
    pub fn close_part(&mut self, name: &str, text: &str, keeps: Option<&dyn Fn(&str) -> (usize, usize)>) -> String {
        let place = self.open.pop().unwrap_or(0);
        let Some(keeps) = keeps else { return text.to_string() };
        let (plain, marks) = self.taken_apart(text);
        let (from, to) = keeps(&plain);
        if self.quiet > 0 {
            return plain.get(from..to).unwrap_or_default().to_string();
        }
        self.parts.push((name.to_string(), place));
        let mut out = self.written(Mark::Open(self.parts.len() - 1));
        let mut at = from;
        let mut last = None;
        let mut copy = |out: &mut String, until: usize| {
            let until = until.clamp(at, to.max(at));
            out.push_str(plain.get(at..until).unwrap_or_default());
            at = until;
        };
        for (place, mark) in marks {
            if let (Mark::Text { site, skip, is_made }, true) = (mark, place <= from) {
                last = Some(Mark::Text { site, skip: skip + (from - place), is_made });
                continue;
            }
            if place > from {
                if let Some(mark) = last.take() {
                    out.push_str(&self.written(mark));
                }
            }
            copy(&mut out, place);
            out.push_str(&self.written(mark));
        }
        if let Some(mark) = last {
            out.push_str(&self.written(mark));
        }
        copy(&mut out, plain.len());
        out + &self.written(Mark::Close)
    }

    /// {"text", "spans", "parts"} of what was rendered.
    pub fn told(&self, text: &str, map: impl Fn(&str) -> Option<Arc<Map>>) -> String {
        let (plain, marks) = self.taken_apart(text);
        let sites = locked(&self.sites);
        let place = |site: &Site, skip: usize| {
            let Some(map) = map(&site.template) else { return (0, 0) };
            let at = site.at + skip;
            // What follows a heading's line begins on the next one.
            let is_line_end = map.source[..at].ends_with(HEADING_END) && map.source[at..].starts_with('\n');
            map.place(at + usize::from(is_line_end))
        };
        let mut spans = Vec::new();
        let mut parts: Vec<serde_json::Value> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut now: Option<(usize, usize, bool)> = None;
        let mut from = 0;
        let ends = marks.into_iter().map(|(at, mark)| (at, Some(mark))).chain([(plain.len(), None)]);
        for (at, mark) in ends {
            if at > from {
                spans.push(match now.and_then(|(site, skip, is_made)| sites.get(site).map(|site| (site, skip, is_made))) {
                    Some((site, skip, is_made)) => {
                        let is_verbatim = matches!(site.kind, Kind::Literal | Kind::Heading);
                        let (line, column) = place(site, if is_verbatim { skip } else { 0 });
                        let kind = match site.kind {
                            Kind::Literal | Kind::Constant => "literal",
                            Kind::Heading => "heading",
                            Kind::Value if !is_made => "value",
                            _ => "derived",
                        };
                        json!({"from": from, "to": at, "template": reading::bare_name(&site.template), "line": line, "column": column,
                               "kind": kind, "expression": site.expression})
                    }
                    None => json!({"from": from, "to": at, "template": "", "line": 0, "column": 0, "kind": "derived", "expression": ""}),
                });
                from = at;
            }
            match mark {
                Some(Mark::Text { site, skip, is_made }) => now = Some((site, skip, is_made)),
                Some(Mark::Open(part)) => {
                    let Some((name, site)) = self.parts.get(part) else { continue };
                    let site = &sites[*site];
                    let (line, column) = place(site, 0);
                    open.push(parts.len());
                    parts.push(json!({"name": name, "from": at, "to": at, "template": reading::bare_name(&site.template),
                                      "line": line, "column": column}));
                }
                Some(Mark::Close) => {
                    if let Some(index) = open.pop() {
                        parts[index]["to"] = at.into();
                    }
                }
                None => {}
            }
        }
        json!({"text": plain, "spans": spans, "parts": parts}).to_string()
    }
}

/// Gives back what was called within an expression, quietly.
pub fn aloud(operands: &Value) -> Result<Value, minijinja::Error> {
    reading::explained(|explained| explained.quiet(false));
    operands.get_item_by_index(1)
}

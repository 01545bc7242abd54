//! Templates that write text and variables alone, with loops and conditions over them, as most chat prompts do: they are written from
//! the JSON text itself, without values of minijinja. What such a template meets that is not as simple is left to minijinja, which then
//! begins anew: an undefined name, a value that is no text, integer, bool or None, JSON that is refused, or a share of a limit used up.
//! So errors and limits are minijinja's alone. request.rs compares the two.

use super::reading::{self, heading_in};
use super::syntax::{Expr, ExprKind, Node, NodeKind, Span, Target};
use super::tape::{Entry, Tape};
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

/// Steps here are at most so many of minijinja's, with all that they are charged (limits.rs).
const STEPS: u64 = 16;
/// What is longer has its limits counted by minijinja.
const MOST_OUTPUT: u64 = 1 << 20;
/// Renderings that are left to minijinja after one was in vain.
const REST: u32 = 16;
const SPECIAL: [&str; 5] = ["self", "super", "caller", "varargs", "kwargs"];

// ---- Templates -----------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Counter {
    First,
    Last,
    Index,
    Index0,
    Length,
}

#[derive(Debug)]
enum Root {
    Variable(String),
    /// What the loop of that depth is at.
    Item(usize),
    Counter(usize, Counter),
}

#[derive(Debug)]
struct Path {
    root: Root,
    members: Vec<String>,
}

#[derive(Debug)]
enum Test {
    Value(Path),
    Equal(Path, String),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

#[derive(Debug)]
enum Step {
    Text { span: Span, cost: u64 },
    Heading(u32),
    Print(Path),
    If { branches: Vec<(Test, Vec<Step>)>, otherwise: Vec<Step> },
    For { over: Path, body: Vec<Step>, otherwise: Vec<Step> },
}

#[derive(Debug)]
pub struct Direct {
    steps: Vec<Step>,
    rest: AtomicU32,
}

struct Compiler<'t> {
    text: &'t str,
    heading: Option<&'t str>,
    /// The names that the loops around give to what they are at.
    loops: Vec<&'t str>,
}

impl<'t> Compiler<'t> {
    fn steps(&mut self, nodes: &'t [Node]) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        for node in nodes {
            match &node.kind {
                NodeKind::Data => self.data(node.span, &mut steps),
                NodeKind::Print(values) => {
                    for value in values {
                        steps.push(Step::Print(self.path(value)?));
                    }
                }
                NodeKind::If { branches, otherwise } => {
                    let branches = branches.iter().map(|(test, body)| Some((self.test(test)?, self.steps(body)?)));
                    let branches = branches.collect::<Option<_>>()?;
                    steps.push(Step::If { branches, otherwise: self.steps(otherwise)? });
                }
                NodeKind::For { target: Target::Name(name), iter, filter: None, recursive: false, body, otherwise } => {
                    let over = self.path(iter)?;
                    self.loops.push(name);
                    let body = self.steps(body);
                    self.loops.pop();
                    steps.push(Step::For { over, body: body?, otherwise: self.steps(otherwise)? });
                }
                _ => return None,
            }
        }
        Some(steps)
    }

    fn data(&self, span: Span, steps: &mut Vec<Step>) {
        let end = span.end;
        let mut start = span.start;
        let text = |start: usize, end: usize| Step::Text {
            span: Span { start, end },
            // emit.rs writes a tag for some of them.
            cost: 1 + self.text[start..end].bytes().filter(|byte| *byte == b'{').count() as u64,
        };
        while let Some((before, role, after)) = heading_in(&self.text[start..end], self.heading) {
            steps.push(text(start, start + before.len()));
            steps.push(Step::Heading(role));
            start = end - after.len();
        }
        steps.push(text(start, end));
    }

    fn path(&self, expr: &Expr) -> Option<Path> {
        match &expr.kind {
            ExprKind::Name(name) if name == "loop" || name.starts_with("__") || SPECIAL.contains(&name.as_str()) => None,
            ExprKind::Name(name) => {
                let item = self.loops.iter().rposition(|known| known == name);
                let root = item.map_or_else(|| Root::Variable(name.clone()), Root::Item);
                Some(Path { root, members: Vec::new() })
            }
            ExprKind::Attr(of, name) if matches!(&of.kind, ExprKind::Name(root) if root == "loop") => {
                let counter = match name.as_str() {
                    "first" => Counter::First,
                    "last" => Counter::Last,
                    "index" => Counter::Index,
                    "index0" => Counter::Index0,
                    "length" => Counter::Length,
                    _ => return None,
                };
                Some(Path { root: Root::Counter(self.loops.len().checked_sub(1)?, counter), members: Vec::new() })
            }
            ExprKind::Attr(of, name) if !name.starts_with("__") => {
                let mut path = self.path(of)?;
                path.members.push(name.clone());
                Some(path)
            }
            _ => None,
        }
    }

    fn test(&self, expr: &Expr) -> Option<Test> {
        let tests = |terms: &[Expr]| terms.iter().map(|term| self.test(term)).collect::<Option<Vec<_>>>();
        match &expr.kind {
            ExprKind::Not(inner) => Some(Test::Not(Box::new(self.test(inner)?))),
            ExprKind::All(terms) => Some(Test::All(tests(terms)?)),
            ExprKind::Any(terms) => Some(Test::Any(tests(terms)?)),
            ExprKind::Compare(left, rest) => {
                let [(operator, Expr { kind: ExprKind::Str(text), .. })] = rest.as_slice() else { return None };
                if heading_in(text, self.heading).is_some() {
                    return None;
                }
                let equal = Test::Equal(self.path(left)?, text.clone());
                match *operator {
                    "==" => Some(equal),
                    "!=" => Some(Test::Not(Box::new(equal))),
                    _ => None,
                }
            }
            _ => self.path(expr).map(Test::Value),
        }
    }
}

impl Direct {
    /// None where the template is not so simple. `text` is what it was parsed from.
    pub fn of(text: &str, nodes: &[Node], heading: Option<&str>) -> Option<Direct> {
        let steps = Compiler { text, heading, loops: Vec::new() }.steps(nodes)?;
        Some(Direct { steps, rest: AtomicU32::new(0) })
    }

    /// None where minijinja is to render it.
    pub fn render(&self, text: &str, variables: &[u8], defaults: &[u8], fuel: u64) -> Option<String> {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rest.store(rest - 1, Ordering::Relaxed);
            return None;
        }
        let rendered = self.rendered(text, variables, defaults, fuel);
        if rendered.is_none() {
            self.rest.store(REST, Ordering::Relaxed);
        }
        rendered
    }

    pub fn rendered(&self, text: &str, variables: &[u8], defaults: &[u8], fuel: u64) -> Option<String> {
        let mut known = Tape::with_room(variables.len());
        let mut roots = [known.read(variables), None];
        roots[0]?;
        if !defaults.is_empty() {
            roots[1] = Some(known.read(defaults)?);
        }
        let fuel = if fuel == 0 { u64::MAX } else { fuel };
        let mut writer = Writer {
            text,
            variables: &known,
            roots,
            loops: Vec::new(),
            steps: fuel / STEPS,
            most: usize::try_from(fuel.min(MOST_OUTPUT)).ok()?,
            out: String::with_capacity(variables.len() + text.len()),
        };
        writer.run(&self.steps)?;
        writer.spend(0)?;
        Some(writer.out)
    }
}

// ---- Rendering -----------------------------------------------------------------------------------------------------------

struct Loop {
    item: usize,
    index: usize,
    count: usize,
}

struct Writer<'r> {
    text: &'r str,
    variables: &'r Tape<'r>,
    /// Of what was given, and of the defaults.
    roots: [Option<usize>; 2],
    loops: Vec<Loop>,
    steps: u64,
    most: usize,
    out: String,
}

impl<'r> Writer<'r> {
    fn spend(&mut self, steps: u64) -> Option<()> {
        self.steps = self.steps.checked_sub(steps)?;
        (self.out.len() <= self.most).then_some(())
    }

    fn place(&mut self, path: &Path) -> Option<usize> {
        let mut at = match &path.root {
            Root::Item(depth) => self.loops.get(*depth)?.item,
            Root::Variable(name) => {
                let [given, defaults] = self.roots;
                given.and_then(|root| self.variables.member(root, name)).or_else(|| self.variables.member(defaults?, name))?
            }
            Root::Counter(..) => return None,
        };
        for member in &path.members {
            at = self.variables.member(at, member)?;
        }
        Some(at)
    }

    fn value(&mut self, path: &Path) -> Option<Entry<'r>> {
        self.spend(1 + path.members.len() as u64)?;
        let Root::Counter(depth, counter) = path.root else { return Some(self.variables.at(self.place(path)?)) };
        let around = self.loops.get(depth).filter(|_| path.members.is_empty())?;
        Some(match counter {
            Counter::First => Entry::Bool(around.index == 0),
            Counter::Last => Entry::Bool(around.index + 1 == around.count),
            Counter::Index => Entry::Natural(around.index as u64 + 1),
            Counter::Index0 => Entry::Natural(around.index as u64),
            Counter::Length => Entry::Natural(around.count as u64),
        })
    }

    fn test(&mut self, test: &Test) -> Option<bool> {
        Some(match test {
            Test::Value(path) => match self.value(path)? {
                Entry::None => false,
                Entry::Bool(value) => value,
                Entry::Int(number) => number != 0,
                Entry::Natural(number) => number != 0,
                Entry::Float(number) => number != 0.0,
                Entry::Text(text) => !text.is_empty(),
                Entry::Unescaped(from, to) => from != to,
                Entry::List { count, .. } | Entry::Dict { count, .. } => count > 0,
            },
            Test::Equal(path, text) => {
                let value = self.value(path)?;
                self.variables.text(value) == Some(text)
            }
            Test::Not(inner) => !self.test(inner)?,
            Test::All(terms) => {
                for term in terms {
                    if !self.test(term)? {
                        return Some(false);
                    }
                }
                true
            }
            Test::Any(terms) => {
                for term in terms {
                    if self.test(term)? {
                        return Some(true);
                    }
                }
                false
            }
        })
    }

    fn print(&mut self, path: &Path) -> Option<()> {
        let text = match self.value(path)? {
            Entry::None => "None",
            Entry::Bool(true) => "True",
            Entry::Bool(false) => "False",
            Entry::Int(number) => return write!(self.out, "{number}").ok(),
            Entry::Natural(number) => return write!(self.out, "{number}").ok(),
            text => self.variables.text(text)?,
        };
        self.out.push_str(text);
        Some(())
    }

    fn run(&mut self, steps: &[Step]) -> Option<()> {
        for step in steps {
            match step {
                Step::Text { span, cost } => {
                    self.spend(*cost)?;
                    self.out.push_str(self.text.get(span.start..span.end)?);
                }
                Step::Heading(role) => {
                    self.spend(1)?;
                    reading::write_heading(&mut self.out, *role);
                }
                Step::Print(path) => self.print(path)?,
                Step::If { branches, otherwise } => {
                    let mut chosen = otherwise;
                    for (test, body) in branches {
                        if self.test(test)? {
                            chosen = body;
                            break;
                        }
                    }
                    self.run(chosen)?;
                }
                Step::For { over, body, otherwise } => self.repeat(over, body, otherwise)?,
            }
        }
        Some(())
    }

    fn repeat(&mut self, over: &Path, body: &[Step], otherwise: &[Step]) -> Option<()> {
        self.spend(1 + over.members.len() as u64)?;
        let at = self.place(over)?;
        let Entry::List { count, end } = self.variables.at(at) else { return None };
        if count == 0 {
            return self.run(otherwise);
        }
        let mut item = at + 1;
        self.loops.push(Loop { item, index: 0, count });
        let around = self.loops.len() - 1;
        while item < end {
            self.spend(1)?;
            self.run(body)?;
            item = self.variables.after(item);
            self.loops[around].item = item;
            self.loops[around].index += 1;
        }
        self.loops.pop();
        Some(())
    }
}

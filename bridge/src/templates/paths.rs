//! Names and what they stand for: paths from a prompt's variables, and texts that are known before rendering (facts.rs).

use super::syntax::{Expr, ExprKind, Target};
use serde_json::{json, Value};
use std::collections::HashMap;

/// Names that no variable has.
const SPECIAL: [&str; 6] = ["loop", "self", "super", "caller", "varargs", "kwargs"];
/// Filters whose result has the items of what they take.
const PASSING: [&str; 9] = ["sort", "list", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "default"];
/// Names that one expression may mean.
const MOST_NAMES: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Member(String),
    /// Of a list.
    Element,
    /// Of a mapping, whatever its key.
    Value,
    Unknown,
}

impl Step {
    pub fn told(&self) -> Value {
        match self {
            Step::Member(name) => json!(name),
            Step::Element => json!(0),
            Step::Value => json!(true),
            Step::Unknown => Value::Null,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub root: String,
    pub steps: Vec<Step>,
}

impl Path {
    /// `a`, `a.b`, `a["b"]`, `a[0].c`, `a[1:]`.
    pub fn of(expr: &Expr) -> Option<Path> {
        let after = |of: &Expr, step: Option<Step>| {
            let mut path = Path::of(of)?;
            path.steps.extend(step);
            Some(path)
        };
        match &expr.kind {
            ExprKind::Name(name) => Some(Path { root: name.clone(), steps: Vec::new() }),
            ExprKind::Attr(of, name) => after(of, Some(Step::Member(name.clone()))),
            ExprKind::Item(of, key) => after(of, Some(match &key.kind {
                ExprKind::Str(name) => Step::Member(name.clone()),
                ExprKind::Int(_) => Step::Element,
                ExprKind::Sign(_, inner) if matches!(inner.kind, ExprKind::Int(_)) => Step::Element,
                _ => Step::Unknown,
            })),
            ExprKind::Slice(of, _) => after(of, None),
            _ => None,
        }
    }

    /// Whether the first `length` steps are those of `other`, and all of them.
    pub fn begins_with(&self, other: &Path, length: usize) -> bool {
        self.root == other.root && other.steps.len() == length && self.steps.starts_with(&other.steps)
    }
}

#[derive(Clone, Debug)]
pub enum Binding {
    Unknown,
    Path(Path),
    /// One of these texts.
    Texts(Vec<String>),
    /// A list of these.
    List(Vec<String>),
}

#[derive(Default)]
struct Scope {
    names: HashMap<String, Binding>,
    /// Nothing from outside is seen.
    is_cut: bool,
}

pub struct Scopes(Vec<Scope>);

impl Default for Scopes {
    fn default() -> Self {
        Scopes(vec![Scope::default()])
    }
}

impl Scopes {
    pub fn push(&mut self, is_cut: bool) {
        self.0.push(Scope { names: HashMap::new(), is_cut });
    }

    pub fn pop(&mut self) {
        self.0.pop();
    }

    pub fn bind(&mut self, name: &str, binding: Binding) {
        if let Some(scope) = self.0.last_mut() {
            scope.names.insert(name.to_string(), binding);
        }
    }

    pub fn is_bound_here(&self, name: &str) -> bool {
        self.0.last().is_some_and(|scope| scope.names.contains_key(name))
    }

    /// What a name is bound to, and whether it was looked for as far as the prompt's variables.
    fn lookup(&self, name: &str) -> (Option<&Binding>, bool) {
        for scope in self.0.iter().rev() {
            if let Some(binding) = scope.names.get(name) {
                return (Some(binding), false);
            }
            if scope.is_cut {
                return (None, false);
            }
        }
        (None, true)
    }

    /// Whether the name means a variable of the prompt.
    pub fn is_free(&self, name: &str) -> bool {
        !SPECIAL.contains(&name) && self.lookup(name).1
    }

    /// Whether the name is bound to nothing, and the prompt's variables are not seen.
    pub fn is_cut_off(&self, name: &str) -> bool {
        !SPECIAL.contains(&name) && matches!(self.lookup(name), (None, false))
    }

    /// The path from a variable of the prompt; None where the name stands for something else.
    pub fn resolve(&self, path: Path) -> Option<Path> {
        if SPECIAL.contains(&path.root.as_str()) {
            return None;
        }
        match self.lookup(&path.root) {
            (Some(Binding::Path(of)), _) => Some(Path { root: of.root.clone(), steps: of.steps.iter().chain(&path.steps).cloned().collect() }),
            (None, true) => Some(path),
            _ => None,
        }
    }

    pub fn binding(&self, value: &Expr) -> Binding {
        if let Some(path) = Path::of(value) {
            if let (true, Some(known)) = (path.steps.is_empty(), self.lookup(&path.root).0) {
                return known.clone();
            }
            return self.resolve(path).map_or(Binding::Unknown, Binding::Path);
        }
        match &value.kind {
            ExprKind::Str(text) => Binding::Texts(vec![text.clone()]),
            ExprKind::Filter(Some(of), name, _) if PASSING.contains(&name.as_str()) => match self.binding(of) {
                Binding::Texts(_) => Binding::Unknown,
                other => other,
            },
            ExprKind::List(items) | ExprKind::Tuple(items) => {
                let all: Option<Vec<Vec<String>>> = items.iter().map(|item| self.texts(item)).collect();
                all.map_or(Binding::Unknown, |all| Binding::List(all.concat()))
            }
            ExprKind::Condition { then, otherwise: Some(otherwise), .. } => match (self.texts(then), self.texts(otherwise)) {
                (Some(then), Some(otherwise)) => Binding::Texts([then, otherwise].concat()),
                _ => Binding::Unknown,
            },
            ExprKind::Concat(terms) => {
                let mut texts = vec![String::new()];
                for term in terms {
                    let Some(ends) = self.texts(term).filter(|ends| ends.len() * texts.len() <= MOST_NAMES) else { return Binding::Unknown };
                    texts = texts.iter().flat_map(|text| ends.iter().map(move |end| format!("{text}{end}"))).collect();
                }
                Binding::Texts(texts)
            }
            _ => Binding::Unknown,
        }
    }

    fn texts(&self, expr: &Expr) -> Option<Vec<String>> {
        match self.binding(expr) {
            Binding::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// The templates' names that `expr` may mean, and whether they are a list of which the first that is there counts.
    pub fn names(&self, expr: &Expr, choices: &HashMap<String, Vec<String>>) -> Option<(Vec<String>, bool)> {
        match self.binding(expr) {
            Binding::Texts(names) => Some((names, false)),
            Binding::List(names) => Some((names, true)),
            Binding::Path(path) if path.steps.is_empty() => choices.get(&path.root).map(|names| (names.clone(), false)),
            _ => None,
        }
    }

    /// What the names of a loop's target stand for.
    pub fn elements(&self, iter: &Expr, target: &Target) -> Vec<(String, Binding)> {
        let beneath = |of: &Expr, step: Step| match self.binding(of) {
            Binding::Path(mut path) => {
                path.steps.push(step);
                Binding::Path(path)
            }
            Binding::List(texts) if step == Step::Element => Binding::Texts(texts),
            _ => Binding::Unknown,
        };
        let pairs = match &iter.kind {
            ExprKind::Call(of, args) => match &of.kind {
                ExprKind::Attr(base, name) if name == "items" && args.is_empty() => Some(base.as_ref()),
                _ => None,
            },
            ExprKind::Filter(Some(of), name, _) if matches!(name.as_str(), "items" | "dictsort") => Some(of.as_ref()),
            _ => None,
        };
        match (target, pairs) {
            (Target::Name(name), None) => vec![(name.clone(), beneath(iter, Step::Element))],
            (Target::Tuple(targets), Some(of)) => match targets.as_slice() {
                [Target::Name(key), Target::Name(value)] => {
                    vec![(key.clone(), Binding::Unknown), (value.clone(), beneath(of, Step::Value))]
                }
                _ => unknown_all(target),
            },
            _ => unknown_all(target),
        }
    }
}

fn unknown_all(target: &Target) -> Vec<(String, Binding)> {
    match target {
        Target::Name(name) | Target::Attr(name, ..) => vec![(name.clone(), Binding::Unknown)],
        Target::Tuple(targets) => targets.iter().flat_map(unknown_all).collect(),
    }
}

/// The paths that a condition asks `is defined` or `is undefined` of.
pub fn tested(expr: &Expr, paths: &mut Vec<Path>) {
    match &expr.kind {
        ExprKind::Test(value, name, _) if matches!(name.as_str(), "defined" | "undefined") => paths.extend(Path::of(value)),
        ExprKind::Not(inner) => tested(inner, paths),
        ExprKind::All(terms) | ExprKind::Any(terms) => terms.iter().for_each(|term| tested(term, paths)),
        _ => {}
    }
}

/// Whether a condition holds, where that is known before rendering.
pub fn truth(expr: &Expr) -> Option<bool> {
    match &expr.kind {
        ExprKind::Bool(value) => Some(*value),
        ExprKind::None => Some(false),
        ExprKind::Int(number) => Some(*number != 0),
        ExprKind::Str(text) => Some(!text.is_empty()),
        ExprKind::List(items) | ExprKind::Tuple(items) => Some(!items.is_empty()),
        ExprKind::Not(inner) => truth(inner).map(|holds| !holds),
        ExprKind::All(terms) => {
            let known: Vec<Option<bool>> = terms.iter().map(truth).collect();
            if known.contains(&Some(false)) { Some(false) } else { known.into_iter().collect::<Option<Vec<_>>>().map(|_| true) }
        }
        ExprKind::Any(terms) => {
            let known: Vec<Option<bool>> = terms.iter().map(truth).collect();
            if known.contains(&Some(true)) { Some(true) } else { known.into_iter().collect::<Option<Vec<_>>>().map(|_| false) }
        }
        _ => None,
    }
}

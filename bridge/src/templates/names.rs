//! Which names a template sets.

use std::collections::HashSet;

use super::syntax::{Macro, Node, NodeKind, Target};

fn bind(target: &Target, bound: &mut HashSet<String>) {
    match target {
        Target::Name(name) => {
            bound.insert(name.clone());
        }
        Target::Attr(..) => {}
        Target::Tuple(targets) => targets.iter().for_each(|target| bind(target, bound)),
    }
}

fn bind_macro(defined: &Macro, bound: &mut HashSet<String>) {
    bound.extend(defined.parameters.iter().map(|(name, _)| name.clone()));
    bind_all(&defined.body, bound);
}

/// Every name that `nodes` set somewhere.
pub fn bind_all(nodes: &[Node], bound: &mut HashSet<String>) {
    for node in nodes {
        match &node.kind {
            NodeKind::If { branches, otherwise } => {
                branches.iter().for_each(|(_, body)| bind_all(body, bound));
                bind_all(otherwise, bound);
            }
            NodeKind::For { target, body, otherwise, .. } => {
                bind(target, bound);
                bind_all(body, bound);
                bind_all(otherwise, bound);
            }
            NodeKind::Set(target, _) => bind(target, bound),
            NodeKind::SetBlock { target, body, .. } => {
                bind(target, bound);
                bind_all(body, bound);
            }
            NodeKind::Macro(defined) => {
                bound.insert(defined.name.clone());
                bind_macro(defined, bound);
            }
            NodeKind::Call { caller, .. } => bind_macro(caller, bound),
            NodeKind::With { values, body } => {
                values.iter().for_each(|(target, _)| bind(target, bound));
                bind_all(body, bound);
            }
            NodeKind::FilterBlock { body, .. } | NodeKind::Block { body, .. } | NodeKind::AutoEscape { body, .. } => {
                bind_all(body, bound);
            }
            NodeKind::Import { target, .. } => {
                bound.insert(target.clone());
            }
            NodeKind::FromImport { names, .. } => bound.extend(names.iter().map(|(_, alias)| alias.clone())),
            _ => {}
        }
    }
}

/// Whether something in `nodes` sets a name that would be seen after them.
pub fn sets_names(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match &node.kind {
        NodeKind::Set(..)
        | NodeKind::SetBlock { .. }
        | NodeKind::Macro(_)
        | NodeKind::Import { .. }
        | NodeKind::FromImport { .. } => true,
        NodeKind::If { branches, otherwise } => branches.iter().any(|(_, body)| sets_names(body)) || sets_names(otherwise),
        NodeKind::AutoEscape { body, .. } => sets_names(body),
        _ => false,
    })
}

/// Whether another template is included somewhere in `nodes`.
pub fn includes(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match &node.kind {
        NodeKind::Include { .. } => true,
        NodeKind::If { branches, otherwise } => branches.iter().any(|(_, body)| includes(body)) || includes(otherwise),
        NodeKind::For { body, otherwise, .. } => includes(body) || includes(otherwise),
        NodeKind::Macro(Macro { body, .. })
        | NodeKind::Call { caller: Macro { body, .. }, .. }
        | NodeKind::SetBlock { body, .. }
        | NodeKind::FilterBlock { body, .. }
        | NodeKind::With { body, .. }
        | NodeKind::AutoEscape { body, .. } => includes(body),
        _ => false,
    })
}

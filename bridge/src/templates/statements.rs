//! Statements of Jinja2: blocks, loops, macros and what else stands between `{%` and `%}`.

use super::lexer::Token;
use super::parser::{described, Callable, Parsed, Parser};
use super::syntax::{Expr, ExprKind, Macro, Node, NodeKind, Problem, Span, Syntax, Target};

/// The template's nodes; `text` has plain newlines already.
pub fn parse(text: &str, syntax: &Syntax, knows: fn(Callable, &str) -> bool) -> Parsed<Vec<Node>> {
    let mut parser = Parser::new(text, syntax, knows)?;
    let nodes = parser.nodes(&[], text)?;
    match parser.unknown.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(nodes),
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" or ")
}

impl Parser {
    fn node(&self, kind: NodeKind, start: usize) -> Node {
        Node { kind, span: Span { start, end: self.end_before() } }
    }

    /// Nodes up to a tag of `ends`, whose name is the next token then; or all of the template.
    fn nodes(&mut self, ends: &[&str], text: &str) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            let start = self.start();
            match self.token() {
                Token::End if ends.is_empty() => return Ok(nodes),
                Token::End => return self.unclosed(None),
                Token::Data => {
                    self.advance();
                    nodes.push(self.node(NodeKind::Data, start));
                }
                Token::PrintBegin => {
                    self.advance();
                    let expr = self.tuple(true, &[])?;
                    self.expect(&Token::PrintEnd)?;
                    nodes.push(self.node(NodeKind::Print(vec![expr]), start));
                }
                Token::BlockBegin => {
                    self.advance();
                    if let Token::Name(name) = self.token() {
                        if ends.contains(&name.as_str()) {
                            return Ok(nodes);
                        }
                    }
                    let kind = self.deeper(|parser| parser.statement(text))?;
                    nodes.push(self.node(kind, start));
                }
                other => {
                    let message = format!("unexpected '{}'", described(other));
                    return self.fail(message);
                }
            }
        }
    }

    fn unclosed<T>(&self, unknown: Option<&str>) -> Parsed<T> {
        let mut message = match unknown {
            None => "Unexpected end of template.".to_string(),
            Some(name) => format!("Encountered unknown tag '{name}'."),
        };
        if let Some((tag, ends)) = self.open.last() {
            let tags = quoted(ends);
            message += &format!(
                " Jinja was looking for the following tags: {tags}. The innermost block that needs to be closed is '{tag}'."
            );
        }
        self.fail(message)
    }

    /// The body of `tag`, up to one of `ends`, which is left as the next token.
    fn body(&mut self, tag: &'static str, ends: &'static [&'static str], text: &str) -> Parsed<Vec<Node>> {
        if self.skip_op(":") {
            // A colon may end a statement, as Python's do.
        }
        self.expect(&Token::BlockEnd)?;
        self.open.push((tag, ends));
        let nodes = self.nodes(ends, text)?;
        self.open.pop();
        Ok(nodes)
    }

    /// As `body`, with the one end tag read.
    fn closed_body(&mut self, tag: &'static str, ends: &'static [&'static str], text: &str) -> Parsed<Vec<Node>> {
        let nodes = self.body(tag, ends, text)?;
        self.advance();
        Ok(nodes)
    }

    fn statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let start = self.start();
        let Token::Name(tag) = self.token().clone() else { return self.fail("tag name expected") };
        self.advance();
        let kind = match tag.as_str() {
            "if" => self.if_statement(text)?,
            "for" => self.for_statement(text)?,
            "set" => self.set_statement(text)?,
            "macro" => self.macro_statement(text)?,
            "call" => self.call_statement(text)?,
            "filter" => {
                let filter = self.filter_chain()?;
                NodeKind::FilterBlock { filter, body: self.closed_body("filter", &["endfilter"], text)? }
            }
            "with" => self.with_statement(text)?,
            "block" => self.block_statement(text)?,
            "extends" => NodeKind::Extends(self.expression()?),
            "include" => self.include_statement()?,
            "import" => {
                let name = self.expression()?;
                self.expect_name("as")?;
                let target = self.target_name()?;
                NodeKind::Import { name, target, with_context: self.context_marker(false) }
            }
            "from" => self.from_statement()?,
            "do" => NodeKind::Do(self.tuple(true, &[])?),
            "print" => {
                let mut values = Vec::new();
                while !matches!(self.token(), Token::BlockEnd) {
                    if !values.is_empty() {
                        self.expect_op(",")?;
                    }
                    values.push(self.expression()?);
                }
                NodeKind::Print(values)
            }
            "autoescape" => {
                let enabled = self.expression()?;
                NodeKind::AutoEscape { enabled, body: self.closed_body("autoescape", &["endautoescape"], text)? }
            }
            "break" | "continue" => {
                self.check_loop_control(&tag, start)?;
                if tag == "break" {
                    NodeKind::Break
                } else {
                    NodeKind::Continue
                }
            }
            _ => {
                return self.unclosed(Some(&tag)).map_err(|problem: Problem| Problem::new(problem.message, start));
            }
        };
        self.expect(&Token::BlockEnd)?;
        Ok(kind)
    }

    /// `break` and `continue` reach their loop through `if` alone.
    fn check_loop_control(&self, tag: &str, at: usize) -> Parsed<()> {
        for (open, ends) in self.open.iter().rev() {
            match *open {
                "if" => {}
                "for" if ends.contains(&"else") => return Ok(()),
                "for" => {}
                "macro" | "call" | "block" => break,
                other => return Err(Problem::new(format!("'{tag}' inside of '{other}' cannot leave the loop around it"), at)),
            }
        }
        Err(Problem::new(format!("'{tag}' outside of a loop"), at))
    }

    fn if_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        self.conditional += 1;
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            let body = self.body("if", &["elif", "else", "endif"], text)?;
            if branches.len() >= 1000 {
                return self.fail("more than 1000 branches of one 'if'");
            }
            branches.push((test, body));
            if self.skip_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                otherwise = self.body("if", &["endif"], text)?;
            }
            self.advance();
            break;
        }
        self.conditional -= 1;
        Ok(NodeKind::If { branches, otherwise })
    }

    fn for_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let at = self.start();
        let target = self.target(false)?;
        if matches!(&target, Target::Name(name) if name == "loop") {
            return Err(Problem::new("can't assign to special loop variable in for-loop", at));
        }
        self.expect_name("in")?;
        let iter = self.tuple(false, &["recursive", "if"])?;
        let filter = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let body = self.body("for", &["endfor", "else"], text)?;
        let otherwise = if self.skip_name("else") { self.body("for", &["endfor"], text)? } else { Vec::new() };
        self.advance();
        Ok(NodeKind::For { target, iter, filter, recursive, body, otherwise })
    }

    fn set_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let target = self.target(true)?;
        if self.skip_op("=") {
            return Ok(NodeKind::Set(target, self.tuple(true, &[])?));
        }
        let filter = if self.is_op("|") { Some(self.filter_chain()?) } else { None };
        let body = self.closed_body("set", &["endset"], text)?;
        Ok(NodeKind::SetBlock { target, filter, body })
    }

    fn parameters(&mut self) -> Parsed<Vec<(String, Option<Expr>)>> {
        let mut parameters: Vec<(String, Option<Expr>)> = Vec::new();
        self.expect_op("(")?;
        while !self.skip_op(")") {
            if !parameters.is_empty() {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            let name = self.target_name()?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return self.fail(format!("the parameter '{name}' stands twice"));
            }
            if parameters.len() >= 100 {
                return self.fail("more than 100 parameters");
            }
            let default = if self.skip_op("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|(_, default)| default.is_some()) {
                return self.fail("non-default argument follows default argument");
            }
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    fn macro_with_body(
        &mut self,
        name: String,
        parameters: Vec<(String, Option<Expr>)>,
        start: usize,
        tag: &'static str,
        ends: &'static [&'static str],
        text: &str,
    ) -> Parsed<Macro> {
        self.special_names.push([false; 3]);
        let body = self.closed_body(tag, ends, text)?;
        let [uses_varargs, uses_kwargs, uses_caller] = self.special_names.pop().unwrap_or_default();
        let has = |name: &str| parameters.iter().any(|(parameter, _)| parameter == name);
        let explicit_caller = parameters.iter().find(|(parameter, _)| parameter == "caller");
        if explicit_caller.is_some_and(|(_, default)| default.is_none()) {
            let message = "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.";
            return Err(Problem::new(message, start));
        }
        Ok(Macro {
            name,
            uses_varargs: uses_varargs && !has("varargs"),
            uses_kwargs: uses_kwargs && !has("kwargs"),
            uses_caller: uses_caller || has("caller"),
            parameters,
            body,
        })
    }

    fn macro_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let start = self.start();
        let name = self.target_name()?;
        let parameters = self.parameters()?;
        Ok(NodeKind::Macro(self.macro_with_body(name, parameters, start, "macro", &["endmacro"], text)?))
    }

    fn call_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let start = self.start();
        let parameters = if self.is_op("(") { self.parameters()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(Problem::new("expected call", call.span.start));
        }
        let caller = self.macro_with_body("caller".into(), parameters, start, "call", &["endcall"], text)?;
        // A block without a body has no caller of its own; `caller` inside is the enclosing macro's.
        if caller.uses_caller {
            if let Some(names) = self.special_names.last_mut() {
                names[2] = true;
            }
        }
        Ok(NodeKind::Call { call, caller })
    }

    fn with_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let mut values = Vec::new();
        while !matches!(self.token(), Token::BlockEnd) {
            if !values.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target_of_with()?;
            self.expect_op("=")?;
            values.push((target, self.expression()?));
        }
        Ok(NodeKind::With { values, body: self.closed_body("with", &["endwith"], text)? })
    }

    fn target_of_with(&mut self) -> Parsed<Target> {
        if self.skip_op("(") {
            let target = self.target(false)?;
            self.expect_op(")")?;
            return Ok(target);
        }
        Ok(Target::Name(self.target_name()?))
    }

    fn block_statement(&mut self, text: &str) -> Parsed<NodeKind> {
        let at = self.start();
        let name = self.identifier()?;
        self.skip_name("scoped");
        let required = self.skip_name("required");
        if self.is_op("-") {
            return self.fail(
                "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.",
            );
        }
        if !self.special_names.is_empty() {
            return Err(Problem::new("a block cannot stand inside of a macro or a call", at));
        }
        if !self.blocks.insert(name.clone()) {
            return Err(Problem::new(format!("block '{name}' defined twice"), at));
        }
        let body = self.closed_body("block", &["endblock"], text)?;
        let is_blank = |node: &Node| match node.kind {
            NodeKind::Data => text[node.span.start..node.span.end].trim().is_empty(),
            _ => false,
        };
        if required && !body.iter().all(is_blank) {
            return Err(Problem::new("Required blocks can only contain comments or whitespace", at));
        }
        if let Token::Name(end) = self.token().clone() {
            if end != name {
                return self.fail(format!("expected token '{name}', got '{end}'"));
            }
            self.advance();
        }
        Ok(NodeKind::Block { name, required, body })
    }

    /// `with context` and `without context`.
    fn context_marker(&mut self, default: bool) -> bool {
        for (word, with_context) in [("with", true), ("without", false)] {
            if self.is_name(word) && self.next_is_name("context") {
                self.advance();
                self.advance();
                return with_context;
            }
        }
        default
    }

    fn include_statement(&mut self) -> Parsed<NodeKind> {
        let name = self.expression()?;
        let ignore_missing = self.is_name("ignore") && self.next_is_name("missing");
        if ignore_missing {
            self.advance();
            self.advance();
        }
        let with_context = self.context_marker(true);
        Ok(NodeKind::Include { name, ignore_missing, with_context })
    }

    fn from_statement(&mut self) -> Parsed<NodeKind> {
        let name = self.expression()?;
        self.expect_name("import")?;
        let mut names = Vec::new();
        let mut with_context = None;
        let marker = |parser: &mut Self| {
            let found = (parser.is_name("with") || parser.is_name("without")) && parser.next_is_name("context");
            found.then(|| parser.context_marker(false))
        };
        loop {
            with_context = with_context.or_else(|| marker(self));
            if with_context.is_some() {
                break;
            }
            let at = self.start();
            let imported = self.target_name()?;
            if imported.starts_with("__") {
                return Err(Problem::new("names starting with an underline can not be imported", at));
            }
            let alias = if self.skip_name("as") { self.target_name()? } else { imported.clone() };
            names.push((imported, alias));
            with_context = marker(self);
            if with_context.is_some() || !self.is_op(",") {
                break;
            }
            self.advance();
        }
        if names.is_empty() {
            return self.fail("expected token 'name', got 'with'");
        }
        Ok(NodeKind::FromImport { name, names, with_context: with_context.unwrap_or(false) })
    }
}

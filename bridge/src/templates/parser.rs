//! Expressions of Jinja2, and what statements share with them.

use std::collections::HashSet;

use super::lexer::{tokens_of, Placed, Token};
use super::syntax::{Args, Expr, ExprKind, Problem, Span, Syntax, Target};

/// Expressions and blocks within each other.
const MAX_DEPTH: usize = 40;
/// Terms of one chain (`a + b + …`, `x|f|g…`), arguments of one call.
const MAX_TERMS: usize = 1000;
const MAX_POSTFIXES: usize = 100;

pub type Parsed<T> = Result<T, Problem>;

pub struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    /// What a body has to end with, for the message when it does not: the tag and the names that end it.
    pub open: Vec<(&'static str, &'static [&'static str])>,
    pub blocks: HashSet<String>,
    /// Names that macro bodies read, one set for each open macro.
    pub special_names: Vec<[bool; 3]>,
    /// Within a branch that may never run, an unknown filter is an error only when it does.
    pub conditional: usize,
    pub knows: fn(kind: Callable, name: &str) -> bool,
    /// Filters and tests that nobody knows and that run for certain.
    pub unknown: Vec<Problem>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Callable {
    Filter,
    Test,
}

/// A token as messages call it.
pub fn described(token: &Token) -> String {
    match token {
        Token::Data => "template data".into(),
        Token::PrintBegin => "begin of print statement".into(),
        Token::PrintEnd => "end of print statement".into(),
        Token::BlockBegin => "begin of statement block".into(),
        Token::BlockEnd => "end of statement block".into(),
        Token::Name(name) => name.clone(),
        Token::Str(text) => text.clone(),
        Token::Int(number) => number.to_string(),
        Token::Float(number) => number.to_string(),
        Token::Op(operator) => (*operator).into(),
        Token::End => "end of template".into(),
    }
}

impl Parser {
    pub fn new(text: &str, syntax: &Syntax, knows: fn(Callable, &str) -> bool) -> Parsed<Self> {
        Ok(Parser {
            tokens: tokens_of(text, syntax)?,
            at: 0,
            depth: 0,
            open: Vec::new(),
            blocks: HashSet::new(),
            special_names: Vec::new(),
            conditional: 0,
            knows,
            unknown: Vec::new(),
        })
    }

    pub fn token(&self) -> &Token {
        &self.tokens[self.at].token
    }

    fn token_after(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].token
    }

    pub fn start(&self) -> usize {
        self.tokens[self.at].start
    }

    pub fn end_before(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].end
    }

    pub fn advance(&mut self) -> Placed {
        let token = self.tokens[self.at].clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Problem::new(message, self.start()))
    }

    pub fn is_op(&self, operator: &str) -> bool {
        matches!(self.token(), Token::Op(found) if *found == operator)
    }

    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.token(), Token::Name(found) if found == name)
    }

    pub fn next_is_name(&self, name: &str) -> bool {
        matches!(self.token_after(), Token::Name(found) if found == name)
    }

    pub fn skip_op(&mut self, operator: &str) -> bool {
        let found = self.is_op(operator);
        if found {
            self.advance();
        }
        found
    }

    pub fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.advance();
        }
        found
    }

    pub fn expect_op(&mut self, operator: &str) -> Parsed<()> {
        if self.skip_op(operator) {
            return Ok(());
        }
        self.fail(format!("expected token '{operator}', got '{}'", described(self.token())))
    }

    pub fn expect_name(&mut self, name: &str) -> Parsed<()> {
        if self.skip_name(name) {
            return Ok(());
        }
        self.fail(format!("expected token '{name}', got '{}'", described(self.token())))
    }

    pub fn expect(&mut self, token: &Token) -> Parsed<Placed> {
        if self.token() == token {
            return Ok(self.advance());
        }
        self.fail(format!("expected token '{}', got '{}'", described(token), described(self.token())))
    }

    pub fn identifier(&mut self) -> Parsed<String> {
        match self.token().clone() {
            Token::Name(name) => {
                self.advance();
                Ok(name)
            }
            other => self.fail(format!("expected token 'name', got '{}'", described(&other))),
        }
    }

    /// One level deeper; refuses what would need too much of the stack.
    pub fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.fail(format!("more than {MAX_DEPTH} blocks, brackets or conditions within each other"));
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }

    fn expr(&self, kind: ExprKind, start: usize) -> Expr {
        Expr { kind, span: Span { start, end: self.end_before() } }
    }

    fn at_most(&self, count: usize, most: usize, what: &str) -> Parsed<()> {
        if count >= most {
            return self.fail(format!("more than {most} {what}"));
        }
        Ok(())
    }

    // ---- Expressions, the weakest binding first ------------------------------------------------------------------------

    /// `a, b` is a tuple here, as in `{{ a, b }}` and `{% for x in a, b %}`.
    pub fn tuple(&mut self, with_condition: bool, stop_at: &[&str]) -> Parsed<Expr> {
        let start = self.start();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() && !self.skip_op(",") {
                break;
            }
            is_tuple |= !items.is_empty();
            if self.ends_tuple(stop_at) {
                break;
            }
            items.push(if with_condition { self.expression()? } else { self.or_test()? });
        }
        if is_tuple {
            return Ok(self.expr(ExprKind::Tuple(items), start));
        }
        match items.pop() {
            Some(item) => Ok(item),
            None => self.fail(format!("Expected an expression, got '{}'", described(self.token()))),
        }
    }

    fn ends_tuple(&self, stop_at: &[&str]) -> bool {
        match self.token() {
            Token::PrintEnd | Token::BlockEnd | Token::Op(")") | Token::End => true,
            Token::Name(name) => stop_at.contains(&name.as_str()),
            _ => false,
        }
    }

    pub fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let start = parser.start();
            let mut expr = parser.or_test()?;
            let mut count = 0;
            while parser.skip_name("if") {
                parser.unknown.retain(|problem| problem.at < start);
                parser.at_most(count, MAX_POSTFIXES, "conditions after each other")?;
                count += 1;
                parser.conditional += 1;
                let test = parser.or_test()?;
                let otherwise = if parser.skip_name("else") { Some(Box::new(parser.expression()?)) } else { None };
                parser.conditional -= 1;
                expr = parser.expr(ExprKind::Condition { test: Box::new(test), then: Box::new(expr), otherwise }, start);
            }
            Ok(expr)
        })
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Parsed<Expr>,
        make: fn(Vec<Expr>) -> ExprKind,
    ) -> Parsed<Expr> {
        let start = self.start();
        let first = part(self)?;
        if !self.is_name(word) {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.skip_name(word) {
            self.at_most(terms.len(), MAX_TERMS, "terms after each other")?;
            terms.push(part(self)?);
        }
        Ok(self.expr(make(terms), start))
    }

    fn or_test(&mut self) -> Parsed<Expr> {
        self.joined("or", |parser| parser.joined("and", Self::not_test, ExprKind::All), ExprKind::Any)
    }

    fn not_test(&mut self) -> Parsed<Expr> {
        if !self.is_name("not") {
            return self.comparison();
        }
        let start = self.start();
        self.advance();
        let inner = self.deeper(Self::not_test)?;
        Ok(self.expr(ExprKind::Not(Box::new(inner)), start))
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let start = self.start();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let operator = match self.token() {
                Token::Op(op @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => *op,
                Token::Name(name) if name == "in" => "in",
                Token::Name(name) if name == "not" && matches!(self.token_after(), Token::Name(next) if next == "in") => {
                    self.advance();
                    "not in"
                }
                _ => break,
            };
            self.advance();
            self.at_most(rest.len(), MAX_TERMS, "comparisons after each other")?;
            rest.push((operator, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(self.expr(ExprKind::Compare(Box::new(first), rest), start))
    }

    fn chain(&mut self, operators: &[&'static str], part: fn(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        let start = self.start();
        let first = part(self)?;
        let mut rest = Vec::new();
        while let Token::Op(found) = self.token() {
            let Some(operator) = operators.iter().copied().find(|operator| operator == found) else { break };
            self.advance();
            self.at_most(rest.len(), MAX_TERMS, "terms after each other")?;
            rest.push((operator, part(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(self.expr(ExprKind::Chain(Box::new(first), rest), start))
    }

    fn sum(&mut self) -> Parsed<Expr> {
        self.chain(&["+", "-"], Self::concat)
    }

    fn concat(&mut self) -> Parsed<Expr> {
        let start = self.start();
        let mut terms = vec![self.product()?];
        while self.skip_op("~") {
            self.at_most(terms.len(), MAX_TERMS, "terms after each other")?;
            terms.push(self.product()?);
        }
        if terms.len() == 1 {
            return Ok(terms.remove(0));
        }
        Ok(self.expr(ExprKind::Concat(terms), start))
    }

    fn product(&mut self) -> Parsed<Expr> {
        self.chain(&["*", "/", "//", "%"], Self::power)
    }

    fn power(&mut self) -> Parsed<Expr> {
        self.chain(&["**"], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filter: bool) -> Parsed<Expr> {
        let start = self.start();
        let expr = match self.token() {
            Token::Op(sign @ ("-" | "+")) => {
                let sign = *sign;
                self.advance();
                let inner = self.deeper(|parser| parser.unary(false))?;
                self.expr(ExprKind::Sign(sign, Box::new(inner)), start)
            }
            _ => self.primary()?,
        };
        let expr = self.postfix(expr)?;
        if with_filter {
            return self.filters_and_tests(expr);
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.start();
        let kind = match self.token().clone() {
            Token::Name(name) => {
                self.advance();
                match name.as_str() {
                    "true" | "True" => ExprKind::Bool(true),
                    "false" | "False" => ExprKind::Bool(false),
                    "none" | "None" => ExprKind::None,
                    _ => {
                        self.note_name(&name, start)?;
                        ExprKind::Name(name)
                    }
                }
            }
            Token::Str(first) => {
                self.advance();
                let mut text = first;
                while let Token::Str(next) = self.token() {
                    text.push_str(next);
                    self.advance();
                }
                ExprKind::Str(text)
            }
            Token::Int(number) => {
                self.advance();
                ExprKind::Int(number)
            }
            Token::Float(number) => {
                self.advance();
                ExprKind::Float(number)
            }
            Token::Op("(") => return self.parenthesized(),
            Token::Op("[") => {
                self.advance();
                ExprKind::List(self.items("]")?)
            }
            Token::Op("{") => {
                self.advance();
                let mut entries = Vec::new();
                while !self.skip_op("}") {
                    if !entries.is_empty() {
                        self.expect_op(",")?;
                        if self.skip_op("}") {
                            break;
                        }
                    }
                    let key = self.expression()?;
                    self.expect_op(":")?;
                    entries.push((key, self.expression()?));
                }
                ExprKind::Dict(entries)
            }
            other => return self.fail(format!("unexpected '{}'", described(&other))),
        };
        Ok(self.expr(kind, start))
    }

    fn note_name(&mut self, name: &str, at: usize) -> Parsed<()> {
        if name.starts_with("__sb_") {
            return Err(Problem::new("names that begin with __sb_ are reserved", at));
        }
        let special = ["varargs", "kwargs", "caller"].iter().position(|special| *special == name);
        if let (Some(index), Some(names)) = (special, self.special_names.last_mut()) {
            names[index] = true;
        }
        Ok(())
    }

    fn parenthesized(&mut self) -> Parsed<Expr> {
        let start = self.start();
        self.advance();
        if self.skip_op(")") {
            return Ok(self.expr(ExprKind::Tuple(Vec::new()), start));
        }
        let mut inner = self.tuple(true, &[])?;
        self.expect_op(")")?;
        if matches!(inner.kind, ExprKind::Tuple(_)) {
            inner.span = Span { start, end: self.end_before() };
        }
        Ok(inner)
    }

    fn items(&mut self, end: &str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.skip_op(end) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.skip_op(end) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        let start = expr.span.start;
        for count in 0.. {
            let kind = match self.token() {
                Token::Op(".") => {
                    self.advance();
                    match self.token().clone() {
                        Token::Name(name) => {
                            self.advance();
                            ExprKind::Attr(Box::new(expr), name)
                        }
                        Token::Int(index) => {
                            let at = self.start();
                            self.advance();
                            let index = self.expr(ExprKind::Int(index), at);
                            ExprKind::Item(Box::new(expr), Box::new(index))
                        }
                        _ => return self.fail("expected name or number"),
                    }
                }
                Token::Op("[") => {
                    self.advance();
                    self.subscript(expr)?
                }
                Token::Op("(") => {
                    let args = self.call_args()?;
                    if args.is_empty() && matches!(&expr.kind, ExprKind::Attr(_, name) if name == "cycle") {
                        return Err(Problem::new("cycle() needs the items", start));
                    }
                    ExprKind::Call(Box::new(expr), args)
                }
                _ => return Ok(expr),
            };
            self.at_most(count, MAX_POSTFIXES, "attributes, subscripts and calls after each other")?;
            expr = self.expr(kind, start);
        }
        Ok(expr)
    }

    fn subscript(&mut self, of: Expr) -> Parsed<ExprKind> {
        let start = self.start();
        let mut parts: [Option<Box<Expr>>; 3] = [None, None, None];
        let mut index = 0;
        let mut is_slice = false;
        let mut items = Vec::new();
        let mut is_tuple = false;
        while !self.is_op("]") {
            if self.is_op(":") && index < 2 {
                self.advance();
                is_slice = true;
                index += 1;
            } else if self.is_op(",") && !is_slice && !items.is_empty() {
                self.advance();
                is_tuple = true;
            } else if parts[index].is_some() && !is_tuple {
                return self.fail(format!("expected token ']', got '{}'", described(self.token())));
            } else {
                let expr = self.expression()?;
                if !is_slice {
                    items.push(expr.clone());
                }
                parts[index] = Some(Box::new(expr));
            }
        }
        if is_slice && is_tuple {
            return self.fail("a slice within a tuple");
        }
        let whole = items.len() > 1 || is_tuple;
        let inner_end = self.end_before();
        self.expect_op("]")?;
        if is_slice {
            return Ok(ExprKind::Slice(Box::new(of), parts));
        }
        let key = if whole {
            Expr { kind: ExprKind::Tuple(items), span: Span { start, end: inner_end } }
        } else {
            match items.pop() {
                Some(key) => key,
                None => return Err(Problem::new("Expected subscript expression", start)),
            }
        };
        Ok(ExprKind::Item(Box::new(of), Box::new(key)))
    }

    fn call_args(&mut self) -> Parsed<Args> {
        self.expect_op("(")?;
        let mut args = Args::default();
        let mut count = 0;
        while !self.skip_op(")") {
            if count > 0 {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            self.at_most(count, MAX_TERMS, "arguments")?;
            count += 1;
            let invalid = "invalid syntax for function call expression";
            if self.skip_op("*") {
                if args.star.is_some() || args.star_star.is_some() {
                    return self.fail(invalid);
                }
                args.star = Some(Box::new(self.expression()?));
            } else if self.skip_op("**") {
                if args.star_star.is_some() {
                    return self.fail(invalid);
                }
                args.star_star = Some(Box::new(self.expression()?));
            } else if let (Token::Name(name), Token::Op("=")) = (self.token().clone(), self.token_after()) {
                if args.star_star.is_some() {
                    return self.fail(invalid);
                }
                self.advance();
                self.advance();
                args.named.push((name, self.expression()?));
            } else {
                if args.star.is_some() || args.star_star.is_some() || !args.named.is_empty() {
                    return self.fail(invalid);
                }
                args.positional.push(self.expression()?);
            }
        }
        Ok(args)
    }

    fn filters_and_tests(&mut self, mut expr: Expr) -> Parsed<Expr> {
        for count in 0.. {
            if self.is_op("|") {
                expr = self.filter(Some(expr))?;
            } else if self.is_name("is") {
                expr = self.test(expr)?;
            } else if self.is_op("(") {
                // What a filter gives is called: `x|attr("f")()`.
                expr = self.postfix(expr)?;
            } else {
                break;
            }
            self.at_most(count, MAX_POSTFIXES, "filters and tests after each other")?;
        }
        Ok(expr)
    }

    fn callable_name(&mut self, kind: Callable) -> Parsed<String> {
        let at = self.start();
        let mut name = self.identifier()?;
        while self.skip_op(".") {
            name.push('.');
            name.push_str(&self.identifier()?);
        }
        if self.conditional == 0 && !(self.knows)(kind, &name) {
            let what = if kind == Callable::Filter { "filter" } else { "test" };
            self.unknown.push(Problem::new(format!("No {what} named '{name}'."), at));
        }
        Ok(name)
    }

    fn filter(&mut self, value: Option<Expr>) -> Parsed<Expr> {
        let start = value.as_ref().map_or(self.start(), |value| value.span.start);
        self.expect_op("|")?;
        self.filter_after_bar(value, start)
    }

    fn filter_after_bar(&mut self, value: Option<Expr>, start: usize) -> Parsed<Expr> {
        let name = self.callable_name(Callable::Filter)?;
        let args = if self.is_op("(") { self.call_args()? } else { Args::default() };
        Ok(self.expr(ExprKind::Filter(value.map(Box::new), name, args), start))
    }

    /// `upper|replace("A", "B")` of a filter block; a bar comes before the first one in a set block.
    pub fn filter_chain(&mut self) -> Parsed<Expr> {
        self.skip_op("|");
        let start = self.start();
        let mut expr = self.filter_after_bar(None, start)?;
        for count in 0.. {
            if !self.is_op("|") {
                break;
            }
            self.at_most(count, MAX_POSTFIXES, "filters after each other")?;
            expr = self.filter(Some(expr))?;
        }
        Ok(expr)
    }

    fn test(&mut self, value: Expr) -> Parsed<Expr> {
        let start = value.span.start;
        self.expect_name("is")?;
        let negated = self.skip_name("not");
        let name = self.callable_name(Callable::Test)?;
        let mut args = Args::default();
        let takes_argument = match self.token() {
            Token::Op("(") => {
                args = self.call_args()?;
                false
            }
            Token::Name(next) => {
                if next == "is" {
                    return self.fail("You cannot chain multiple tests with is");
                }
                !matches!(next.as_str(), "else" | "or" | "and" | "if" | "in" | "not")
            }
            Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => true,
            _ => false,
        };
        if takes_argument {
            let argument = self.primary()?;
            args.positional.push(self.postfix(argument)?);
        }
        let expr = self.expr(ExprKind::Test(Box::new(value), name, args), start);
        Ok(if negated { self.expr(ExprKind::Not(Box::new(expr)), start) } else { expr })
    }

    // ---- Targets of assignments ------------------------------------------------------------------------------------------

    pub fn target_name(&mut self) -> Parsed<String> {
        let at = self.start();
        let name = self.identifier()?;
        if matches!(name.as_str(), "true" | "false" | "none" | "True" | "False" | "None") {
            return Err(Problem::new("can't assign to 'const'", at));
        }
        if name.starts_with("__sb_") {
            return Err(Problem::new("names that begin with __sb_ are reserved", at));
        }
        Ok(name)
    }

    pub fn target(&mut self, with_attributes: bool) -> Parsed<Target> {
        let first = self.single_target(with_attributes)?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut targets = vec![first];
        while self.skip_op(",") {
            if self.is_name("in") || self.is_op("=") || self.is_op(")") {
                break;
            }
            self.at_most(targets.len(), MAX_TERMS, "targets")?;
            targets.push(self.single_target(with_attributes)?);
        }
        Ok(Target::Tuple(targets))
    }

    fn single_target(&mut self, with_attributes: bool) -> Parsed<Target> {
        if self.skip_op("(") {
            let inner = self.deeper(|parser| parser.target(with_attributes))?;
            self.expect_op(")")?;
            return Ok(inner);
        }
        let start = self.start();
        let name = self.target_name()?;
        if with_attributes && self.skip_op(".") {
            let attribute = self.identifier()?;
            return Ok(Target::Attr(name, attribute, Span { start, end: self.end_before() }));
        }
        Ok(Target::Name(name))
    }
}

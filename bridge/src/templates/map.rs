//! From places in what minijinja runs back to places in what the author wrote.

use super::direct::Direct;
use super::syntax::Span;

/// A part of the template, and where emit.rs wrote it.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub out: Span,
    pub source: Span,
    pub depth: usize,
}

/// The parts of one template.
#[derive(Debug, Default)]
pub struct Map {
    pub source: String,
    lines: Vec<usize>,
    pub pieces: Vec<Piece>,
    /// Where the template is that simple.
    pub direct: Option<Direct>,
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1)).collect()
}

impl Map {
    pub fn of(source: &str) -> Self {
        Map { lines: line_starts(source), source: source.to_string(), ..Map::default() }
    }

    pub fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    /// Line and column, from 1, of a byte of the template.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let start = self.lines.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        let column = self.source.get(start..at).map_or(1, |text| text.chars().count() + 1);
        (line, column)
    }

    fn piece(&self, start: usize, end: usize) -> Option<Piece> {
        let covering = self.pieces.iter().filter(|piece| piece.out.start <= start && piece.out.end >= end);
        covering.min_by_key(|piece| piece.out.end - piece.out.start).copied()
    }

    /// The part of the template behind what minijinja ran at `start..end`; of a helper's call its operand `operand`.
    pub fn span(&self, start: usize, end: usize, operand: Option<usize>) -> Option<Span> {
        let whole = self.piece(start, end)?;
        let inside = |piece: &&Piece| {
            piece.depth == whole.depth + 1 && piece.out.start >= whole.out.start && piece.out.end <= whole.out.end
        };
        let part = operand.and_then(|operand| {
            let mut parts: Vec<&Piece> = self.pieces.iter().filter(inside).collect();
            parts.sort_by_key(|piece| piece.out.start);
            parts.get(operand).map(|piece| piece.source)
        });
        Some(part.unwrap_or(whole.source))
    }
}

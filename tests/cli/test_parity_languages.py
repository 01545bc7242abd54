"""Parity groups whose members are in all nine languages: they agree over generated inputs, and a bug that is planted in one of them is found,
shrunk to the smallest input, and told with the place of every member."""
import json
import os
import shutil
import xml.etree.ElementTree as xml

import pytest
from harness import write

pytestmark = pytest.mark.skipif(os.environ.get("CI") != "true", reason="every compiler at once: CI=true")

LANGUAGES = ["python", "ruby", "cpp", "node", "go", "php", "java", "rust", "shell"]


def group_of(item):
    return "parity_languages"


PYTHON = '''
from typing import Literal, TypedDict, NotRequired


class Shortened(TypedDict):
    text: str
    cut: bool


class Ranked(TypedDict):
    label: str | None
    values: list[int]


class Item(TypedDict):
    name: str
    price: float
    pieces: NotRequired[int]


class Line(TypedDict):
    name: str
    pieces: int


class Bill(TypedDict):
    level: Literal["plain", "rush"]
    lines: list[Line]
    total: float
    vouchers: dict[str, float]


def shorten(text: str, most: int) -> Shortened:
    """The first characters of a text.

    >>> shorten("Ünïcödé 😀", 3)

    Effect: read
    """
    if most < 0:
        raise ValueError("most is negative")
    return {"text": text[:most], "cut": len(text) > most}


def clock(hours: int, zone: int | None = None) -> int:
    """What a clock with twelve hours shows.

    Effect: read
    """
    return (hours + (zone or 0)) % 12


def ranked(values: list[int], label: str | None = None) -> Ranked:
    """Each value once, the least first.

    Effect: read
    """
    return {"label": label, "values": sorted(set(values))}


def scaled(values: list[float], factor: float = 2) -> list[float]:
    """Each value times the factor.

    Effect: read
    """
    return [value * factor for value in values]


def positive(values: list[int]) -> list[int]:
    """The values above zero.

    Effect: read
    """
    return [value for value in values if value > 0]


def framed(text: str) -> str:
    """The text between quotes.

    Effect: read
    """
    return "«" + text + "»"


def bill(items: list[Item], level: Literal["plain", "rush"], vouchers: dict[str, float]) -> Bill:
    """Adds up a bill.

    Effect: read
    """
    total = 0.0
    for item in items:
        total += item["price"]
    return {"level": level, "lines": [{"name": item["name"], "pieces": item.get("pieces", 1)} for item in items], "total": total,
            "vouchers": {name: value / 2 for name, value in vouchers.items()}}
'''

RUBY = '''
# The first characters of a text.
# @param text [String]
# @param most [Integer]
# @return [Hash]
# @effect read
def shorten(text, most)
  raise ArgumentError, "most is negative" if most.negative?

  {text: text[0, most], cut: text.length > most}
end

# What a clock with twelve hours shows.
# @param hours [Integer]
# @param zone [Integer, nil]
# @return [Integer]
# @effect read
def clock(hours, zone = nil)
  (hours + (zone || 0)) % 12
end

# Each value once, the least first.
# @param values [Array<Integer>]
# @param label [String, nil]
# @return [Hash]
# @effect read
def ranked(values, label = nil)
  {label: label, values: values.uniq.sort}
end

# Each value times the factor.
# @param values [Array<Float>]
# @param factor [Float]
# @return [Array<Float>]
# @effect read
def scaled(values, factor = 2.0)
  values.map { |value| value * factor }
end

# The values above zero.
# @param values [Array<Integer>]
# @return [Array<Integer>]
# @effect read
def positive(values)
  values.select(&:positive?)
end

# The text between quotes.
# @param text [String]
# @return [String]
# @effect read
def framed(text)
  "«#{text}»"
end

# Adds up a bill.
#: (Array[{ name: String, price: Float, ?pieces: Integer }], "plain" | "rush", Hash[String, Float]) -> Hash[Symbol, untyped]
# @effect read
def bill(items, level, vouchers)
  total = 0.0
  items.each { |item| total += item[:price] }
  {level: level, lines: items.map { |item| {name: item[:name], pieces: item.fetch(:pieces, 1)} }, total: total, vouchers: vouchers.transform_values { |value| value / 2 }}
end
'''

CPP = '''
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

struct Shortened {
  std::string text;
  bool cut;
};

struct Ranked {
  std::optional<std::string> label;
  std::vector<std::int64_t> values;
};

struct Item {
  std::string name;
  double price;
  std::int64_t pieces = 1;
};

struct Line {
  std::string name;
  std::int64_t pieces;
};

enum class Level { plain, rush };

struct Bill {
  Level level;
  std::vector<Line> lines;
  double total;
  std::map<std::string, double> vouchers;
};

/// The first characters of a text.
/// @effect read
Shortened shorten(const std::string& text, std::int64_t most) {
  if (most < 0) throw std::invalid_argument("most is negative");
  std::size_t end = 0;
  for (std::int64_t seen = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xc0U) != 0x80U && ++seen > most) break;
  }
  return {text.substr(0, end), end < text.size()};
}

/// What a clock with twelve hours shows.
/// @effect read
std::int64_t clock(std::int64_t hours, std::optional<std::int64_t> zone = std::nullopt) { return (hours % 12 + zone.value_or(0) % 12 + 24) % 12; }

/// Each value once, the least first.
/// @effect read
Ranked ranked(std::vector<std::int64_t> values, std::optional<std::string> label = std::nullopt) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return {label, values};
}

/// Each value times the factor.
/// @effect read
std::vector<double> scaled(std::vector<double> values, double factor = 2) {
  for (double& value : values) value *= factor;
  return values;
}

/// The values above zero.
/// @effect read
std::vector<std::int64_t> positive(std::vector<std::int64_t> values) {
  std::erase_if(values, [](std::int64_t value) { return value <= 0; });
  return values;
}

/// The text between quotes.
/// @effect read
std::string framed(const std::string& text) { return "«" + text + "»"; }

/// Adds up a bill.
/// @effect read
Bill bill(const std::vector<Item>& items, Level level, std::map<std::string, double> vouchers) {
  Bill out{level, {}, 0, {}};
  for (const auto& item : items) {
    out.total += item.price;
    out.lines.push_back({item.name, item.pieces});
  }
  for (auto& [name, value] : vouchers) value /= 2;
  out.vouchers = vouchers;
  return out;
}
'''

NODE = '''
interface Item {
  name: string;
  price: number;
  /** @asType integer */
  pieces?: number;
}

interface Bill {
  level: string;
  lines: {name: string, pieces: number}[];
  total: number;
  vouchers: Map<string, number>;
}

/**
 * The first characters of a text.
 *
 * Effect: read
 */
export function shorten(text: string, most: number): {text: string, cut: boolean} {
  if (most < 0) throw new RangeError("most is negative");
  const characters = [...text];
  return {text: characters.slice(0, most).join(""), cut: characters.length > most};
}

/**
 * What a clock with twelve hours shows.
 *
 * Effect: read
 */
export function clock(hours: number, zone?: number | null): number {
  return (hours % 12 + (zone ?? 0) % 12 + 24) % 12;
}

/**
 * Each value once, the least first.
 *
 * Effect: read
 */
export function ranked(values: number[], label: string | null = null): {label: string | null, values: number[]} {
  return {label, values: [...new Set(values)].sort((a, b) => a - b)};
}

/**
 * Each value times the factor.
 *
 * Effect: read
 */
export function scaled(values: number[], factor: number = 2): number[] {
  return values.map((value) => value * factor);
}

/**
 * The values above zero.
 *
 * Effect: read
 */
export function positive(values: number[]): number[] {
  return values.filter((value) => value > 0);
}

/**
 * The text between quotes.
 *
 * Effect: read
 */
export function framed(text: string): string {
  return `«${text}»`;
}

/**
 * Adds up a bill.
 *
 * Effect: read
 */
export function bill(items: Item[], level: "plain" | "rush", vouchers: Map<string, number>): Bill {
  const total = items.reduce((sum, item) => sum + item.price, 0);
  const lines = items.map((item) => ({name: item.name, pieces: item.pieces ?? 1}));
  return {level, lines, total, vouchers: new Map([...vouchers].map(([name, value]) => [name, value / 2]))};
}
'''

GO = '''package functions

import (
	"errors"
	"sort"
)

type Shortened struct {
	Text string `json:"text"`
	Cut  bool   `json:"cut"`
}

type RankedValues struct {
	Label  *string `json:"label"`
	Values []int64 `json:"values"`
}

type Item struct {
	Name   string  `json:"name"`
	Price  float64 `json:"price"`
	Pieces *int64  `json:"pieces,omitempty"`
}

type Line struct {
	Name   string `json:"name"`
	Pieces int64  `json:"pieces"`
}

type Level string

const (
	Plain Level = "plain"
	Rush  Level = "rush"
)

type Total struct {
	Level    Level              `json:"level"`
	Lines    []Line             `json:"lines"`
	Total    float64            `json:"total"`
	Vouchers map[string]float64 `json:"vouchers"`
}

// Shorten gives the first characters of a text.
//
// Effect: read
func Shorten(text string, most int64) (Shortened, error) {
	if most < 0 {
		return Shortened{}, errors.New("most is negative")
	}
	characters := []rune(text)
	if int64(len(characters)) <= most {
		return Shortened{text, false}, nil
	}
	return Shortened{string(characters[:most]), true}, nil
}

// Clock is what a clock with twelve hours shows.
//
// Effect: read
func Clock(hours int64, zone *int64) int64 {
	shown := hours % 12
	if zone != nil {
		shown += *zone % 12
	}
	return (shown + 24) % 12
}

// Ranked has each value once, the least first.
//
// Effect: read
func Ranked(values []int64, label *string) RankedValues {
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	out := RankedValues{label, []int64{}}
	for i, value := range values {
		if i == 0 || values[i-1] != value {
			out.Values = append(out.Values, value)
		}
	}
	return out
}

// Scaled is each value times the factor.
//
//   - factor: what by (default 2)
//
// Effect: read
func Scaled(values []float64, factor float64) []float64 {
	for i := range values {
		values[i] *= factor
	}
	return values
}

// Positive has the values above zero.
//
// Effect: read
func Positive(values []int64) []int64 {
	var out []int64
	for _, value := range values {
		if value > 0 {
			out = append(out, value)
		}
	}
	return out
}

// Framed puts the text between quotes.
//
// Effect: read
func Framed(text string) string {
	return "«" + text + "»"
}

// Bill adds up a bill.
//
// Effect: read
func Bill(items []Item, level Level, vouchers map[string]float64) Total {
	out := Total{level, []Line{}, 0, map[string]float64{}}
	for _, item := range items {
		out.Total += item.Price
		line := Line{item.Name, 1}
		if item.Pieces != nil {
			line.Pieces = *item.Pieces
		}
		out.Lines = append(out.Lines, line)
	}
	for name, value := range vouchers {
		out.Vouchers[name] = value / 2
	}
	return out
}
'''

PHP = '''<?php

declare(strict_types=1);

namespace Labels;

/**
 * The first characters of a text.
 *
 * @return array{text: string, cut: bool}
 * @effect read
 */
function shorten(string $text, int $most): array
{
    if ($most < 0) {
        throw new \\InvalidArgumentException('most is negative');
    }
    return ['text' => mb_substr($text, 0, $most), 'cut' => mb_strlen($text) > $most];
}

/**
 * What a clock with twelve hours shows.
 *
 * @effect read
 */
function clock(int $hours, ?int $zone = null): int
{
    return ($hours % 12 + ($zone ?? 0) % 12 + 24) % 12;
}

/**
 * Each value once, the least first.
 *
 * @param list<int> $values
 * @return array{label: ?string, values: list<int>}
 * @effect read
 */
function ranked(array $values, ?string $label = null): array
{
    $values = array_unique($values);
    sort($values);
    return ['label' => $label, 'values' => $values];
}

/**
 * Each value times the factor.
 *
 * @param list<float> $values
 * @return list<float>
 * @effect read
 */
function scaled(array $values, float $factor = 2): array
{
    return array_map(fn(float $value) => $value * $factor, $values);
}

/**
 * The values above zero.
 *
 * @param list<int> $values
 * @return list<int>
 * @effect read
 */
function positive(array $values): array
{
    $above = array_filter($values, fn(int $value) => $value > 0);
    return array_values($above);
}

/**
 * The text between quotes.
 *
 * @effect read
 */
function framed(string $text): string
{
    return "«{$text}»";
}

/**
 * Adds up a bill.
 *
 * @param list<array{name: string, price: float, pieces?: int}> $items
 * @param 'plain'|'rush' $level
 * @param array<string, float> $vouchers
 * @return array{level: string, lines: list<array{name: string, pieces: int}>, total: float, vouchers: array<string, float>}
 * @effect read
 */
function bill(array $items, string $level, array $vouchers): array
{
    $total = 0.0;
    $lines = [];
    foreach ($items as $item) {
        $total += $item['price'];
        $lines[] = ['name' => $item['name'], 'pieces' => $item['pieces'] ?? 1];
    }
    return ['level' => $level, 'lines' => $lines, 'total' => $total, 'vouchers' => array_map(fn(float $value) => $value / 2, $vouchers)];
}
'''

JAVA = '''
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

public class Labels {
    public record Shortened(String text, boolean cut) {
    }

    public record Ranked(Optional<String> label, List<Long> values) {
    }

    public record Item(String name, double price, OptionalLong pieces) {
    }

    public record Line(String name, long pieces) {
    }

    public enum Level { plain, rush }

    public record Bill(Level level, List<Line> lines, double total, Map<String, Double> vouchers) {
    }

    /**
     * The first characters of a text.
     *
     * @effect read
     */
    public static Shortened shorten(String text, long most) {
        if (most < 0) {
            throw new IllegalArgumentException("most is negative");
        }
        if (text.codePointCount(0, text.length()) <= most) {
            return new Shortened(text, false);
        }
        return new Shortened(text.substring(0, text.offsetByCodePoints(0, (int) most)), true);
    }

    /**
     * What a clock with twelve hours shows.
     *
     * @effect read
     */
    public static long clock(long hours, OptionalLong zone) {
        return Math.floorMod(hours % 12 + zone.orElse(0) % 12, 12);
    }

    /**
     * Each value once, the least first.
     *
     * @effect read
     */
    public static Ranked ranked(List<Long> values, Optional<String> label) {
        return new Ranked(label, values.stream().distinct().sorted().toList());
    }

    /**
     * Each value times the factor.
     *
     * @param factor what by (default 2)
     * @effect read
     */
    public static List<Double> scaled(List<Double> values, double factor) {
        List<Double> out = new ArrayList<>();
        for (double value : values) {
            out.add(value * factor);
        }
        return out;
    }

    /**
     * The values above zero.
     *
     * @effect read
     */
    public static List<Long> positive(List<Long> values) {
        return values.stream().filter(value -> value > 0).toList();
    }

    /**
     * The text between quotes.
     *
     * @effect read
     */
    public static String framed(String text) {
        return "«" + text + "»";
    }

    /**
     * Adds up a bill.
     *
     * @effect read
     */
    public static Bill bill(List<Item> items, Level level, Map<String, Double> vouchers) {
        double total = 0;
        List<Line> lines = new ArrayList<>();
        for (Item item : items) {
            total += item.price();
            lines.add(new Line(item.name(), item.pieces().orElse(1)));
        }
        Map<String, Double> halves = new TreeMap<>();
        vouchers.forEach((name, value) -> halves.put(name, value / 2));
        return new Bill(level, lines, total, halves);
    }
}
'''

RUST = '''
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize)]
pub struct Shortened {
    text: String,
    cut: bool,
}

#[derive(Serialize)]
pub struct Ranked {
    label: Option<String>,
    values: Vec<i64>,
}

#[derive(Deserialize)]
pub struct Item {
    name: String,
    price: f64,
    pieces: Option<i64>,
}

#[derive(Serialize)]
pub struct Line {
    name: String,
    pieces: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Plain,
    Rush,
}

#[derive(Serialize)]
pub struct Bill {
    level: Level,
    lines: Vec<Line>,
    total: f64,
    vouchers: BTreeMap<String, f64>,
}

/// The first characters of a text.
///
/// Effect: read
pub fn shorten(text: &str, most: i64) -> Result<Shortened, String> {
    let most = usize::try_from(most).map_err(|_| "most is negative")?;
    Ok(Shortened { text: text.chars().take(most).collect(), cut: text.chars().count() > most })
}

/// What a clock with twelve hours shows.
///
/// Effect: read
pub fn clock(hours: i64, zone: Option<i64>) -> i64 {
    (hours % 12 + zone.unwrap_or(0) % 12).rem_euclid(12)
}

/// Each value once, the least first.
///
/// Effect: read
pub fn ranked(mut values: Vec<i64>, label: Option<String>) -> Ranked {
    values.sort();
    values.dedup();
    Ranked { label, values }
}

/// Each value times the factor.
///
/// * `factor` - what by (default 2)
///
/// Effect: read
pub fn scaled(values: Vec<f64>, factor: f64) -> Vec<f64> {
    values.iter().map(|value| value * factor).collect()
}

/// The values above zero.
///
/// Effect: read
pub fn positive(values: Vec<i64>) -> Vec<i64> {
    values.into_iter().filter(|value| *value > 0).collect()
}

/// The text between quotes.
///
/// Effect: read
pub fn framed(text: &str) -> String {
    format!("«{text}»")
}

/// Adds up a bill.
///
/// Effect: read
pub fn bill(items: Vec<Item>, level: Level, vouchers: BTreeMap<String, f64>) -> Bill {
    let total = items.iter().fold(0.0, |sum, item| sum + item.price);
    let lines = items.into_iter().map(|item| Line { name: item.name, pieces: item.pieces.unwrap_or(1) }).collect();
    Bill { level, lines, total, vouchers: vouchers.into_iter().map(|(name, value)| (name, value / 2.0)).collect() }
}
'''

SHELL = r'''
# The first characters of a text.
#
# @arg text string
# @arg most integer
# @return {text: string, cut: boolean}
# @effect read
shorten() {
  local LC_ALL=C.UTF-8 cut=false
  if ((most < 0)); then sabir_fail "most is negative"; fi
  if ((${#text} > most)); then cut=true; fi
  sabir_json "text=${text:0:most}" "cut:=$cut"
}

# What a clock with twelve hours shows.
#
# @arg hours integer
# @arg zone? integer?
# @return integer
# @effect read
clock() { echo $(((hours % 12 + ${zone:-0} % 12 + 24) % 12)); }

# Each value once, the least first.
#
# @arg values integer[]
# @arg label? string?
# @return {label: string?, values: integer[]}
# @effect read
ranked() {
  local given='label:=null' sorted=
  if [[ -n ${label+set} ]]; then given="label=$label"; fi
  if ((${#values[@]} > 0)); then sorted=$(printf '%s\n' "${values[@]}" | sort -nu | paste -sd,); fi
  sabir_json "$given" "values:=[$sorted]"
}

# Each value times the factor.
#
# @arg values number[]
# @arg factor number=2
# @return number[]
# @effect read
scaled() {
  local times=
  if ((${#values[@]} > 0)); then times=$(printf '%s\n' "${values[@]}" | awk -v factor="$factor" '{ printf "%s%.17g", NR == 1 ? "" : ",", $1 * factor }'); fi
  echo "[$times]"
}

# The values above zero.
#
# @arg values integer[]
# @return integer[]
# @effect read
positive() {
  local value above=
  for value in "${values[@]}"; do
    if ((value > 0)); then above+=${above:+,}$value; fi
  done
  echo "[$above]"
}

# The text between quotes.
#
# @arg text string
# @effect read
framed() { printf '«%s»\n' "$text"; }
'''

FILES = {"python": ("functions/python/labels.py", PYTHON), "ruby": ("functions/ruby/labels.rb", RUBY), "cpp": ("functions/cpp/labels.cpp", CPP),
         "node": ("functions/node/labels.ts", NODE), "go": ("functions/go/labels.go", GO), "php": ("functions/php/labels.php", PHP),
         "java": ("functions/java/Labels.java", JAVA), "rust": ("functions/rust/labels.rs", RUST), "shell": ("functions/shell/labels.sh", SHELL)}

# How each begins the line that defines a function.
DEFINED = {"python": "def %s(", "ruby": "def %s(", "cpp": " %s(", "node": "export function %s(", "go": "func %s(", "php": "function %s(", "java": " %s(",
           "rust": "pub fn %s(", "shell": "%s() {"}

# PHP has these names as numbers, and a list of them where they count from zero.
DIGITS = '''
cases:
  - args: {items: [{name: "", price: 0.5}, {name: "Été", price: 1, pieces: 3}], level: rush, vouchers: {"0": 3, "1": 0.5}}
    gives: {level: rush, lines: [{name: "", pieces: 1}, {name: "Été", pieces: 3}], total: 1.5, vouchers: {"0": 1.5, "1": 0.25}}
'''

# The bugs that a language invites: the function, what stands there, what is put in its place, and which inputs are the smallest that show it.
PLANTED = {
    "go": ("clock", "return (shown + 24) % 12", "return shown % 12", lambda hours, zone=0: {hours, zone} == {0, -1}),
    "java": ("scaled", "out.add(value * factor)", "out.add((long) value * factor)", lambda values: len(values) == 1 and 0 < values[0] < 1 and len(str(values[0])) == 3),
    "rust": ("shorten", "text.chars().take(most).collect()", "text[..most.min(text.len())].to_string()", lambda text, most: len(text) == most <= 3 and not text.isascii()),
    "php": ("positive", "return array_values($above)", "return $above", lambda values: values == [0, 1]),
    "shell": ("framed", "printf '«%s»\\n' \"$text\"", "echo «$text»", lambda text: text in ("\n", "\t", "  ")),
    "node": ("ranked", ".sort((a, b) => a - b)", ".sort()", lambda values: len(values) == 2 and sorted(values) != sorted(values, key=str)),
}


@pytest.fixture
def labels(machine, made_projects):
    """A new project in every language, whose module `labels` is there in all of them."""
    machine.use_node()
    machine.use_rust()
    project = machine.folder / "shop"
    shutil.copytree(made_projects(",".join(LANGUAGES)), project, symlinks=True)
    for path, text in FILES.values():
        write(project / path, text)
    write(project / "tests/parity/labels.bill.yml", DIGITS)
    return project


def parity(machine, project, *words):
    return machine.sabir("parity", *words, "--runs", "60", "--json", "--junit", "parity.xml", cwd=project, timeout=400)


def groups(done):
    return {one["address"].removeprefix("labels."): one for one in done.json["groups"]}


def test_members_in_all_nine_languages_agree(machine, labels):
    done = parity(machine, labels, "labels")
    assert done.code == 0, done
    found = groups(done)
    assert set(found) == {"shorten", "clock", "ranked", "scaled", "positive", "framed", "bill"}
    for name, one in found.items():
        # Bash has lists of objects as JSON text.
        assert {member["language"] for member in one["members"]} == set(LANGUAGES) - ({"shell"} if name == "bill" else set()), one
        assert one["outcome"] == "passed" and one["inputs"] >= 40 and one["disagreeing"] == 0 and "out_of_time" not in one, one
        # Each member's first call does not count.
        assert [member["latency"]["calls"] for member in one["members"]] == [one["inputs"] - 1] * len(one["members"]), one


def test_a_bug_that_is_planted_in_one_language_is_found_and_shrunk(machine, labels):
    for language, (function, right, wrong, _) in PLANTED.items():
        path, text = FILES[language]
        assert text.count(right) == 1
        write(labels / path, text.replace(right, wrong))
    done = parity(machine, labels, *("labels." + planted[0] for planted in PLANTED.values()))
    assert done.code == 1, done
    found = groups(done)
    told = {case.get("name"): case.find("failure").text for case in xml.parse(labels / "parity.xml").getroot().iter("testcase")}
    assert len(found) == len(told) == len(PLANTED)
    for language, (function, _, _, is_smallest) in PLANTED.items():
        group = found[function]
        assert [member["language"] for member in group["members"]] == LANGUAGES and group["outcome"] == "failed" and 1 <= len(group["disagreements"]) <= 2, group
        for one in group["disagreements"]:
            assert one["what"].startswith(language + " ") and is_smallest(**one["input"]), one
            answers = dict(zip(LANGUAGES, one["answers"]))
            wrong = answers.pop(language)
            right = [answer["value"] for answer in answers.values()]
            assert all(value == right[0] for value in right) and ("error" in wrong or wrong["value"] != right[0]), one
            for name, answer in {**answers, language: wrong}.items():
                path, line = answer["place"].rsplit(":", 1)
                assert path == FILES[name][0], answer
                assert DEFINED[name] % (function.capitalize() if name == "go" else function) in (labels / path).read_text().splitlines()[int(line) - 1], answer
                assert answer["place"] in told["labels." + function] and answer["command"] in told["labels." + function], answer

    # The command repeats it, with its quotes and newlines.
    (framed,) = found["framed"]["disagreements"]
    wrong = framed["answers"][LANGUAGES.index("shell")]
    again = machine.run("sh", "-c", wrong["command"] + " --json", cwd=labels)
    assert again.code == 0 and wrong["value"] in json.dumps(again.json, ensure_ascii=False), again

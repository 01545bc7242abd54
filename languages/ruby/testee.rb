# frozen_string_literal: true

# What the conformance runner calls. conformance/README.md describes each function.

require "sabir"

Point = Struct.new(:x, :y)

class TesteeError < StandardError; end

# Its argument.
def echo(value)
  value
end

# a - b.
def subtract(a, b)
  a - b
end

# What arrived, by kind of parameter.
def describe(a, b = 10, *rest, scale: 1, **options)
  { a: a, b: b, rest: rest, scale: scale, options: options }
end

# greeting and the caller's user, joined by a space.
# @param context [Sabir::Context]
def context_user(greeting, context)
  "#{greeting} #{context.user}"
end

# The whole context.
# @param context [Sabir::Context]
def context_fields(context:)
  context.to_h
end

# Raises an error with that text.
def fail(message)
  raise TesteeError, message # conformance: fail
end

# NaN, which JSON cannot carry.
def not_a_number
  { list: [1, Float::NAN] }
end

# A value without any JSON form.
def unfit
  Object.new
end

# Yields 0 … n - 1.
def count(n)
  Enumerator.new do |values|
    n.times { |number| values << number }
  end
end

# `size` bytes of text.
def text_of(size)
  "é" * (size / 2) + "x" * (size % 2)
end

# `size` bytes, each its index modulo 256.
def bytes_of(size)
  ((0..255).to_a.pack("C*") * (size / 256 + 1)).byteslice(0, size)
end

# The argument's length: characters of a string, bytes of a byte sequence.
def length(value)
  value.length
end

# "bytes" for a byte sequence, "text" for a string, else "other".
def kind(value)
  return "other" unless value.is_a?(String)

  value.encoding == Encoding::BINARY ? "bytes" : "text"
end

# Writes to standard output and standard error, which are the log.
def print_line(text)
  puts text
  warn text
  text
end

# Waits, without talking to the engine.
def sleep(milliseconds)
  Kernel.sleep(milliseconds / 1000.0)
  milliseconds
end

# functions.call of the engine.
def call_engine(address, arguments)
  Sabir.call(address, **arguments.transform_keys(&:to_sym))
end

# The engine's error as a value.
def call_engine_caught(address)
  { value: Sabir.call(address) }
rescue Sabir::Error => e
  { type: e.type, message: e.plain_message }
end

# One progress and one log notification before the answer.
def report(message)
  Sabir.progress(1, 2, message)
  Sabir.log(message)
  message
end

# How often this function ran in this worker.
def count_run
  @runs = runs + 1
end

# How often count_run ran in this worker.
def runs
  @runs || 0
end

# Values of the language's own kinds as JSON: {"point": {"x": 1.5, "y": 2}, "colour": "red"}.
def structured
  { point: Point.new(1.5, 2), colour: :red }
end

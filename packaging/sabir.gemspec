# frozen_string_literal: true

# Built by script/package in a folder that holds lib/ (the SDK), lib/sabir/bin/sabir (the engine) and exe/sabir.
Gem::Specification.new do |spec|
  spec.name = "sabir"
  spec.version = File.read("VERSION").strip
  spec.platform = "x86_64-linux"
  spec.summary = "One native engine for AI projects whose parts are written in many languages"
  spec.description = "The command `sabir`, and `require \"sabir\"` for Ruby functions that call other languages, memory, prompts and models."
  spec.authors = ["The Sabir authors"]
  spec.license = "Apache-2.0"
  spec.required_ruby_version = ">= 2.7"
  spec.files = Dir["lib/**/*", "exe/*", "LICENSE", "VERSION"].select { |path| File.file?(path) }
  spec.bindir = "exe"
  spec.executables = ["sabir"]
end

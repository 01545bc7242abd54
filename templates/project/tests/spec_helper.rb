# frozen_string_literal: true

# Before any test: finds the engine and its Ruby SDK, and keeps tests away from the data you develop with.
require "open3"

# The tests' own store (.sabir/test/) and models that cost nothing; set these variables to test with others. A test that has a
# recording is replayed; recordings are made of the model that the project asks (sabir test --record).
ENV["SABIR_ENV"] ||= "test"
ENV["SABIR_PROJECT"] ||= File.expand_path("..", __dir__)
if ENV["SABIR_RECORD"].to_s.empty?
  ENV["SABIR_MODEL"] ||= "scripted"
  ENV["SABIR_LIVE_MODELS"] ||= "0"
  if ENV["SABIR_REPLAY"].to_s.empty? && File.directory?(File.join(ENV["SABIR_PROJECT"], "tests/recordings"))
    ENV.update("SABIR_REPLAY" => "tests/recordings", "SABIR_REPLAY_WHERE_PRESENT" => "1")
  end
end

# sabir depends: nothing
# (What is asked of the engine here is where its SDK lies, which no test's outcome depends on: docs/testing.md.)

# Ends the run at once, with nothing said but this.
def stop(why)
  warn why
  exit!(2)
end

begin
  require "sabir"
rescue LoadError
  # No installed gem: the SDK that the engine carries.
  given = ENV["SABIR_BIN"].to_s
  places = given.empty? ? ENV["PATH"].to_s.split(":").map { |folder| File.join(folder, "sabir") } : [given]
  engine = places.find { |path| File.file?(path) && File.executable?(path) }
  stop "These tests need the engine: put `sabir` on PATH or set SABIR_BIN to its path." unless engine
  path, problem, status = Open3.capture3(engine, "sdk", "path", "ruby")
  stop "The engine #{engine} offers no SDK: #{problem.strip}" unless status.success?
  $LOAD_PATH.unshift(path.strip)
  require "sabir"
end

require "sabir/client"
begin
  ENV["SABIR_BIN"] = Sabir::Client.find_engine
rescue Sabir::Error => e
  stop "These tests need the engine: #{e.message}."
end

# Helpers for examples: engine, sabir, memory, models, secrets, recording.
require "sabir/rspec"

RSpec.configure do |config|
  # A run that finds no test has not shown that anything works.
  config.fail_if_no_examples = true
end

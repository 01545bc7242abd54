# frozen_string_literal: true

# Helpers for RSpec examples of a Sabir project (docs/testing.md): engine, sabir, memory, models, secrets, recording, deployed.
#
# Each example that calls one of them has an engine of its own with an empty store, scripted models and placeholders for
# secrets; nothing of it is there for the next example. A project's tests/spec_helper.rb requires this file.
require "fileutils"
require "json"
require "open3"
require "tmpdir"
require "sabir"
require_relative "client"

module Sabir
  module Testing
    # The example's own engine.
    class Engine
      attr_reader :folder, :root

      def initialize
        @root = Client.find_project
        @folder = Dir.mktmpdir("sabir-test-")
        @before = {}
        @secrets = File.join(@folder, "secrets.json")
        set("SABIR_STATE_DIR", @folder)
        set("SABIR_ENGINE", nil)
        return unless ENV["SABIR_RECORD"].to_s.empty?

        set("SABIR_LIVE_MODELS", "0")
        # What the developer's own shell has set is none of the test's business.
        Testing.secret_names(@root).each { |name| set(name.upcase, nil) if ENV.key?(name.upcase) }
        set("SABIR_TEST_SECRETS", @secrets)
      end

      # Runs a command, for instance engine.run("functions"), and gives back what it printed as JSON.
      def run(*arguments)
        out, problem, status = Open3.capture3(Client.find_engine, *arguments.map(&:to_s), "--json", stdin_data: "")
        raise Error.new("failed", "sabir #{arguments.join(" ")}: exit code #{status.exitstatus}\n#{out}#{problem}") unless status.success?

        JSON.parse(out)
      end
      alias call run

      # An environment variable for the rest of the example; nil takes it away. The engine starts anew where one runs.
      def set(name, value)
        @before[name] = ENV.fetch(name, nil) unless @before.key?(name)
        ENV[name] = value
        restart
      end

      # The next request starts a new engine on the same store.
      def restart
        Channel.close
      end

      def set_secret(name, value)
        values = File.exist?(@secrets) ? JSON.parse(File.read(@secrets)) : {}
        File.open(@secrets, File::WRONLY | File::CREAT | File::TRUNC, 0o600) { |file| file.write(JSON.generate(values.merge(name.to_s => value))) }
        restart
      end

      def close
        Channel.close
        @before.each { |name, value| ENV[name] = value }
        FileUtils.rm_rf(@folder)
      end
    end

    # Scripted replies of the example's models; `reply` adds one, `script` takes a whole list as docs/models.md has it.
    class Models
      def initialize(engine)
        @replies = []
        @file = File.join(engine.folder, "replies.json")
        write
        engine.set("SABIR_SCRIPTED_REPLIES", @file)
        engine.set("SABIR_MODEL", "scripted")
        # What the example itself says is neither recorded nor replayed.
        %w[SABIR_RECORD SABIR_REPLAY].each { |name| engine.set(name, nil) }
      end

      # The model says `text` to what contains or matches something; without either, to whatever is asked next.
      def reply(text = nil, contains: nil, matches: nil, **more)
        @replies << more.merge({ text: text, contains: contains, matches: matches }.compact)
        write
      end

      def script(replies)
        @replies = replies.to_a
        write
      end

      private

      def write
        File.write("#{@file}.new", JSON.generate("replies" => @replies))
        File.rename("#{@file}.new", @file)
      end
    end

    # Values for the example's secrets; names that are not set have a placeholder.
    class Secrets
      def initialize(engine)
        @engine = engine
      end

      def set(name, value)
        @engine.set_secret(name, value)
      end
    end

    @names = {}

    # The names of the project's secrets, asked for once in a run.
    def self.secret_names(root)
      @names[root] ||= begin
        out, _problem, status = Open3.capture3({ "SABIR_TEST_SECRETS" => "-" }, Client.find_engine, "secrets", "list", "--json", stdin_data: "")
        listed = status.success? ? JSON.parse(out) : []
        listed = listed.fetch("secrets", []) if listed.is_a?(Hash)
        listed.filter_map { |one| one["name"] }
      rescue JSON::ParserError
        []
      end
    end

    # An engine of this example's own: engine.run("functions") runs a command and gives back its JSON.
    def engine
      @__sabir_engine ||= Engine.new
    end

    # The SDK, on this example's own engine.
    def sabir
      engine && ::Sabir
    end

    # The project's memory, empty at the example's beginning.
    def memory
      engine && ::Sabir::Memory
    end

    # Replies of this example's models: models.reply("I am here.", contains: "are you there").
    def models
      @__sabir_models ||= Models.new(engine)
    end

    # Secrets of this example: secrets.set("weather_api_key", "a key for tests").
    def secrets
      @__sabir_secrets ||= Secrets.new(engine)
    end

    # The SDK, on the engine that `sabir deploy` has just deployed, at SABIR_URL with the token in SABIR_TOKEN; skipped where nothing was.
    def deployed
      skip "runs after a deployment alone, against its address" if ENV["SABIR_URL"].to_s.empty?

      # What is asked elsewhere is neither recorded nor replayed.
      { "SABIR_RECORD" => nil, "SABIR_REPLAY" => nil, "SABIR_ENGINE" => ENV.fetch("SABIR_URL") }.each { |name, value| engine.set(name, value) }
      ::Sabir
    end

    # This example insists on its recording in tests/recordings: a question that is not in it fails. `sabir test --record` makes it.
    def recording
      return engine unless ENV["SABIR_RECORD"].to_s.empty?

      replay = ENV["SABIR_REPLAY"].to_s
      engine.set("SABIR_REPLAY_WHERE_PRESENT", nil)
      engine.set("SABIR_REPLAY", replay.empty? ? "tests/recordings" : replay)
      engine
    end
  end
end

RSpec.configure do |config|
  config.include Sabir::Testing
  config.after { @__sabir_engine&.close }
end

# frozen_string_literal: true

# Sabir's Ruby worker: serves the functions of a project to the engine (spec/worker-protocol.md).
#
# The main thread runs the calls, one at a time, in the order of their arrival. While one runs for long, another reads, and
# a cancellation is raised in the function as Sabir::Cancelled.

$LOAD_PATH.unshift(File.join(__dir__, "sdk"))
require "sabir"
require "sabir/load"
require "sabir/build"
require "sabir/watch"
require "sabir/existing"

module Sabir
  # The gems of a Gemfile.lock, in the versions it names.
  module Bundle
    # `folder` or the nearest one above it, up to `root`, that has a Gemfile.lock.
    def self.setup(folder, root)
      folder = File.dirname(folder) until File.exist?(File.join(folder, "Gemfile.lock")) || folder == root || folder == "/"
      return unless File.exist?(File.join(folder, "Gemfile.lock"))

      ENV["BUNDLE_GEMFILE"] ||= File.join(folder, "Gemfile")
      begin
        require "bundler"
        Bundler.setup
      rescue StandardError, LoadError => e
        warn("Gemfile: #{e.message}; run `sabir setup`")
      end
    end
  end

  class Worker
    # Answers wait for the others of the same read, unless the next call is known to take longer than this, in seconds.
    QUICK = 0.0002
    PLAIN_NAMES = %i[req opt].freeze
    MASKED = { Cancelled => :never }.freeze
    OPEN = { Cancelled => :immediate }.freeze

    # A call that cannot be run; becomes its error answer.
    class Refused < StandardError
      attr_reader :code, :type, :data

      def initialize(code, type, message, data = {})
        super(message)
        @code = code
        @type = type
        @data = data
      end
    end

    # A function as the worker calls it.
    class Entry
      attr_reader :method, :file, :order, :keywords, :space
      attr_accessor :quick

      def initialize(method, file, space)
        @method = method
        @file = file
        @space = space
        @quick = false
        @order = method.parameters.select { |kind, _| PLAIN_NAMES.include?(kind) }.map { |_, name| name.to_s }
        @keywords = method.parameters.any? { |kind, _| %i[key keyreq keyrest].include?(kind) }
      end
    end

    # `existing` is an application that a boot process has loaded; else `start` says what there is.
    def initialize(reader, writer, existing = nil)
      @existing = existing
      @forked = !existing.nil?
      @connection = Connection.new(reader, writer, method(:meanwhile))
      @queue = []
      @files = {}
      @entries = Hash.new { |modules, file| modules[file] = Hash.new { |receivers, name| receivers[name] = {} } }
      @root = ""
      @running = nil
      @main = Thread.current
      @watch = Watch.new(@connection)
    end

    attr_reader :connection

    # Runs until the connection ends or drains. Returns the exit status.
    def serve
      Thread.handle_interrupt(MASKED) { serve_masked }
    end

    private

    def serve_masked
      while true
        if @queue.empty?
          unless @connection.acquire
            @connection.wait_change { !@queue.empty? }
            return 0 if @connection.closed

            next
          end
          message = @connection.receive
          @connection.release
          return 0 if message.nil?
        else
          message = @queue.shift
        end
        case (method = message["method"])
        when "call" then called(message)
        when nil then @connection.take_answer(message)
        else
          status = other(method, message)
          return status if status
        end
        @connection.flush unless @queue.empty? || @connection.out.empty?
      end
    rescue FrameError
      1
    rescue Errno::EPIPE, Errno::ECONNRESET
      0
    end

    # Everything but calls. An exit status ends the worker.
    def other(method, message)
      params = message["params"]
      unless message.key?("id")
        cancel(params) if method == "cancel" && params.is_a?(Hash)
        return nil
      end
      id = message["id"]
      case method
      when "ping" then @connection.answer_result(id, {})
      when "hello" then return hello(id, params)
      when "start" then start(id, params)
      when "drain"
        @connection.answer_result(id, {})
        @connection.flush
        return 0
      else @connection.answer_error(id, -32_601, "unknown_method", "unknown method #{method}")
      end
      nil
    end

    def hello(id, params)
      versions = params["protocol"] if params.is_a?(Hash)
      least, most = versions.values_at("min", "max") if versions.is_a?(Hash)
      unless least.is_a?(Integer) && most.is_a?(Integer)
        @connection.answer_error(id, -32_602, "invalid_arguments", "hello needs protocol.min and protocol.max")
        return nil
      end
      if least > 1 || most < 1
        @connection.answer_error(id, -32_001, "protocol", "this worker speaks protocol 1, the engine #{least} to #{most}")
        @connection.flush
        return 1
      end
      @connection.answer_result(id, { "protocol" => 1, "language" => "ruby", "runtime" => RUBY_VERSION, "sdk" => VERSION,
                                      "capabilities" => { "blobs" => true, "chunks" => true, "cancel" => true } })
      nil
    end

    def start(id, params)
      project = params["project"] if params.is_a?(Hash)
      unless project.is_a?(String)
        return @connection.answer_error(id, -32_602, "invalid_arguments", "start needs the project's folder")
      end

      @root = File.expand_path(project)
      $LOAD_PATH.unshift(@root) unless $LOAD_PATH.include?(@root)
      ENV["SABIR_PROJECT"] ||= @root
      ENV["SABIR_ENV"] ||= params["environment"] if params["environment"].is_a?(String)
      sources = params["sources"]
      if sources.is_a?(Array) && !sources.empty?
        @existing ||= ExistingCode.new(params["boot"], @root)
        @existing.sources = sources.map { |path| File.expand_path(path) }
        @existing.on_reload = -> { @entries.clear }
      end
      @connection.answer_result(id, {})
    end

    # A message that arrives while a function waits for the engine.
    def meanwhile(message)
      if message["method"] == "call" || message["method"] == "drain"
        @queue << message
      else
        other(message["method"], message)
        @connection.flush
      end
    end

    def cancel(params)
      id = params["id"]
      return if id.nil?
      return interrupt if id.eql?(@running)

      index = @queue.index { |message| message["method"] == "call" && message["id"].eql?(id) }
      return if index.nil?

      @queue.delete_at(index)
      @connection.answer_error(id, -32_000, "cancelled", "the call was cancelled before it ran", reason: params["reason"])
    end

    # Ends the running call: a wait for the engine by itself, any other code by an exception.
    def interrupt
      @connection.cancelled = true
      return if Thread.current.equal?(@main)

      @connection.wake
      @main.raise(Cancelled)
    end

    # Whether a cancellation came too late for its function, and is left over.
    def forget_interrupt
      Thread.handle_interrupt(OPEN) { Thread.pass } if Thread.pending_interrupt?
    rescue Cancelled
      nil
    end

    def called(message)
      known = message[:known]
      return message.key?("id") && call(message["id"], message["params"]) unless known

      id = message["id"]
      arguments = message[:arguments]
      order = known.order || (known.order = plain_order(known.rest))
      positional = arguments.values_at(*order)
      if @existing || order.empty? || order.size != arguments.size || positional.include?(nil)
        return call(id, known.params(arguments, message[:context]))
      end

      begin
        entry = known.entry ||= lookup(known.rest)
      rescue Refused => e
        return @connection.answer_error(id, e.code, e.type, e.message, e.data)
      end
      @connection.flush unless entry.quick || @connection.out.empty?
      execute(id, entry, positional, nil, known.rest["function"])
    end

    # The names of a call's arguments where all are passed by position as they came; none where there is more to it.
    def plain_order(rest)
      given = rest["context_parameter"]
      order = rest["positional"]
      plain = (given.nil? || given.empty?) && Array === order && %w[variadic keyword_variadic build].none? { |name| rest.key?(name) }
      plain ? order : []
    end

    def call(id, params)
      return run(id, params) unless @existing

      begin
        bundle unless @forked
        @existing.boot
      rescue LoadFailed => e
        refused = load_failed(e)
        return @connection.answer_error(id, refused.code, refused.type, refused.message, refused.data)
      end
      begun = false
      begin
        @existing.around do
          begun = true
          run(id, params)
        end
      rescue StandardError, ScriptError => e
        # Of the application's own hooks: those before the call refuse it, those after it come too late.
        return warn("after #{params["function"]}: #{trace(e)}") if begun

        refused = load_failed(UserFile.failure(params["module"].to_s, @root, e))
        @connection.answer_error(id, refused.code, refused.type, refused.message, refused.data)
      end
    end

    def run(id, params)
      begin
        entry = lookup(params)
        @connection.flush unless entry.quick || @connection.out.empty?
        positional, named = arrange(entry, params)
      rescue Refused => e
        return @connection.answer_error(id, e.code, e.type, e.message, e.data)
      end
      execute(id, entry, positional, named, params["function"])
    end

    def execute(id, entry, positional, named, name)
      @running = @connection.parent = id
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      begin
        @watch.begin
        value = Thread.handle_interrupt(OPEN) do
          result = named ? entry.method.call(*positional, **named) : entry.method.call(*positional)
          Enumerator === result ? chunks(id, result) : result
        end
        @watch.finish
      rescue Exception => e
        @watch.finish
        forget_interrupt
        @connection.parent = @running = nil
        failure(id, entry, e, name)
        return @connection.cancelled = false
      end
      @connection.parent = @running = nil
      if @connection.cancelled
        forget_interrupt
        @connection.cancelled = false
      end
      entry.quick = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began < QUICK
      begin
        @connection.answer_value(id, value)
      rescue Plain::Unfit, SystemStackError => e
        @connection.answer_error(id, -32_000, "invalid_result",
                                 "#{name} returned a value that JSON cannot carry: #{e.message}",
                                 hint: "return strings, finite numbers, true, false, nil, arrays and hashes")
      end
    end

    def lookup(params)
      unless params.is_a?(Hash) && String === (file = params["module"]) && String === (name = params["function"])
        raise Refused.new(-32_602, "invalid_arguments", "a call needs `module` and `function`")
      end

      receiver = params["receiver"] || ""
      @entries[file][receiver][name] ||= resolve(file, receiver, name)
    end

    def resolve(file, receiver, name)
      path = File.expand_path(file)
      begin
        if @existing&.serves?(path)
          method = @existing.find(path, receiver.to_s, name)
          space = Object
        else
          bundle if @files.empty?
          loaded = (@files[path] ||= UserFile.new(path, @root))
          method = loaded.find(receiver.to_s, name)
          space = loaded.space
        end
      rescue LoadFailed => e
        raise load_failed(e)
      end
      return Entry.new(method, path, space) if method

      shown = UserFile.shown(path, @root)
      raise Refused.new(-32_000, "unknown_function", "#{shown} has no function #{[receiver, name].reject(&:empty?).join(".")}",
                        file: shown)
    end

    def load_failed(error)
      Refused.new(-32_000, "load_failed", error.message, hint: error.hint.empty? ? nil : error.hint, file: error.file, line: error.line,
                                                         error_class: error.error && Plain.class_name(error.error),
                                                         traceback: error.error && trace(error.error))
    end

    def bundle
      return if @bundled

      @bundled = true
      Bundle.setup(@root, @root)
    end

    # [positional values, named values or nil].
    def arrange(entry, params)
      arguments = params["arguments"] || {}
      order = params["positional"] || []
      raise Refused.new(-32_602, "invalid_arguments", "`arguments` is an object and `positional` an array") unless
        Hash === arguments && Array === order

      build(params["build"], arguments, entry) if params.key?("build")
      given = params["context_parameter"]
      plain = given.nil? || given.empty?
      if plain && order.size == arguments.size && !params.key?("variadic") && !params.key?("keyword_variadic")
        positional = arguments.values_at(*order)
        return positional, nil if !positional.include?(nil) || order.all? { |name| arguments.key?(name) }
      end
      unless plain
        arguments[given] = Context.from_wire(params["context"])
        order = entry.order if entry.order.include?(given) && !order.include?(given)
      end
      rest = params["variadic"]
      spread = params["keyword_variadic"]
      extra = rest ? arguments.delete(rest) || [] : nil
      more = spread ? arguments.delete(spread) || {} : nil
      positional = []
      missing = nil
      order.each do |name|
        if arguments.key?(name)
          raise Refused.new(-32_602, "invalid_arguments", "argument /#{missing} is missing: Ruby cannot pass /#{name} without it") if missing

          positional << arguments.delete(name)
        else
          missing ||= name
        end
      end
      if extra && !extra.empty?
        raise Refused.new(-32_602, "invalid_arguments", "argument /#{missing} is missing: Ruby cannot pass /#{rest} without it") if missing

        positional.concat(extra)
      end
      arguments.update(more) if more
      return positional, nil if arguments.empty?

      [positional, arguments.transform_keys(&:to_sym)]
    end

    # Makes the parameters' own values of what JSON carried.
    def build(ways, arguments, entry)
      return unless Hash === ways

      ways.each { |name, how| arguments[name] = Build.make(how, arguments[name], entry.space) if arguments.key?(name) }
    rescue Build::Misfit, ArgumentError, TypeError, KeyError => e
      raise Refused.new(-32_602, "invalid_arguments", e.message)
    end

    # Sends what an enumerator yields, and returns it all.
    def chunks(id, enumerator)
      values = []
      enumerator.each do |item|
        Thread.handle_interrupt(MASKED) { @connection.notify("chunk", { "id" => id, "value" => item }, "value") }
        values << item
      end
      values
    end

    def failure(id, entry, error, name)
      message = error.message.to_s
      case error
      when Cancelled
        return @connection.answer_error(id, -32_000, "cancelled", "the call was cancelled")
      when Plain::Unfit
        return @connection.answer_error(id, -32_000, "invalid_result", "#{name} yielded a value that JSON cannot carry: #{message}")
      when Error
        if error.type == "cancelled" && @connection.cancelled
          return @connection.answer_error(id, -32_000, "cancelled", "the call was cancelled")
        end
      when ArgumentError
        # Raised by the call itself: names or counts do not fit the signature.
        caller_frame = error.backtrace_locations && error.backtrace_locations[1]
        if caller_frame && [__FILE__, ExistingCode.instance_method(:find).source_location.first].include?(caller_frame.path) && message.match?(/number of arguments|missing keyword|unknown keyword/)
          return @connection.answer_error(id, -32_602, "invalid_arguments", message)
        end
      end
      file, line = UserFile.place_of(error, @root, entry.file)
      data = { error_class: Plain.class_name(error), traceback: trace(error), line: line,
               file: file && UserFile.shown(file, @root) }
      if error.is_a?(Error)
        message = error.plain_message
        data[:hint] = error.hint unless error.hint.empty?
        data[:cause] = { "type" => error.type, "data" => Plain.convert(error.data, "", [], []) }
      end
      @connection.answer_error(id, -32_000, "function_error", message.empty? ? Plain.class_name(error) : message, data)
    rescue Plain::Unfit, JSON::GeneratorError
      @connection.answer_error(id, -32_000, "function_error", message[0, 10_000], error_class: Plain.class_name(error))
    end

    def trace(error)
      text = error.full_message(highlight: false, order: :top).dup.force_encoding(Encoding::UTF_8).scrub
      text.size < 20_000 ? text : "#{text[0, 12_000]}\n…\n#{text[-4000..-1]}"
    rescue StandardError
      error.class.to_s
    end
  end
end

def (Sabir::Worker).descriptors
  given = ENV.delete("SABIR_FD").to_s
  unless given.match?(/\A\d+(?:,\d+)?\z/)
    abort "sabir's Ruby worker is started by the engine: SABIR_FD has to name its connection"
  end
  numbers = given.split(",").map(&:to_i)
  reader = IO.for_fd(numbers[0], "rb")
  writer = IO.for_fd(numbers[-1], "wb", autoclose: numbers.size > 1)
  writer.sync = true
  # Programs that a function starts must not hold the connection open.
  [reader, writer].each { |io| io.close_on_exec = true }
  [reader, writer]
rescue SystemCallError
  abort "sabir's Ruby worker: SABIR_FD names #{given}, which is not open"
end

# Serves until the connection ends; does not return.
def (Sabir::Worker).run(worker)
  Sabir::Channel.worker = worker.connection
  begin
    status = worker.serve
  rescue Interrupt
    status = 130
  end
  # The process ends soon, whatever threads and exit handlers of the user's do.
  Thread.new do
    sleep 0.7
    exit!(status)
  end
  exit(status)
end

if $PROGRAM_NAME == __FILE__
  $stdout.sync = true
  $stderr.sync = true
  Sabir::Worker.run(Sabir::Worker.new(*Sabir::Worker.descriptors))
end

# frozen_string_literal: true

# Sabir's Ruby worker: serves the functions of a project to the engine (spec/worker-protocol.md).
#
# The main thread runs the calls, one at a time, in the order of their arrival.

$LOAD_PATH.unshift(File.join(__dir__, "sdk"))
require "sabir"
require "sabir/load"

module Sabir
  class Worker
    # Answers wait for the others of the same read, unless the next call is known to take longer than this, in seconds.
    QUICK = 0.0002
    PLAIN_NAMES = %i[req opt].freeze

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
      attr_reader :method, :file, :order, :keywords
      attr_accessor :quick

      def initialize(method, file)
        @method = method
        @file = file
        @quick = false
        @order = method.parameters.select { |kind, _| PLAIN_NAMES.include?(kind) }.map { |_, name| name.to_s }
        @keywords = method.parameters.any? { |kind, _| %i[key keyreq keyrest].include?(kind) }
      end
    end

    def initialize(reader, writer)
      @connection = Connection.new(reader, writer, method(:meanwhile))
      @queue = []
      @files = {}
      @entries = Hash.new { |modules, file| modules[file] = Hash.new { |receivers, name| receivers[name] = {} } }
      @root = ""
      @running = nil
    end

    attr_reader :connection

    # Runs until the connection ends or drains. Returns the exit status.
    def serve
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
        when "call" then call(message["id"], message["params"]) if message.key?("id")
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

    private

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
                                      "capabilities" => { "blobs" => true, "chunks" => true, "cancel" => false } })
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
      @connection.answer_result(id, {})
    end

    # A message that arrives while a function waits for the engine.
    def meanwhile(message)
      if message["method"] == "call" || message["method"] == "drain"
        @queue << message
      else
        other(message["method"], message)
      end
    end

    def cancel(params)
      id = params["id"]
      return if id.nil?
      # Ends a wait for the engine; code that computes goes on.
      return @connection.cancelled = true if id.eql?(@running)

      index = @queue.index { |message| message["method"] == "call" && message["id"].eql?(id) }
      return if index.nil?

      @queue.delete_at(index)
      @connection.answer_error(id, -32_000, "cancelled", "the call was cancelled before it ran", reason: params["reason"])
    end

    def call(id, params)
      begin
        entry = lookup(params)
        @connection.flush unless entry.quick || @connection.out.empty?
        positional, named = arrange(entry, params)
      rescue Refused => e
        return @connection.answer_error(id, e.code, e.type, e.message, e.data)
      end
      @running = @connection.parent = id
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      begin
        value = named ? entry.method.call(*positional, **named) : entry.method.call(*positional)
        value = chunks(id, value) if Enumerator === value
      rescue Exception => e
        @connection.parent = @running = nil
        failure(id, entry, e, params["function"])
        return @connection.cancelled = false
      end
      @connection.parent = @running = nil
      @connection.cancelled = false
      entry.quick = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began < QUICK
      begin
        @connection.answer_value(id, value)
      rescue Plain::Unfit, SystemStackError => e
        @connection.answer_error(id, -32_000, "invalid_result",
                                 "#{params["function"]} returned a value that JSON cannot carry: #{e.message}",
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
        bundle if @files.empty?
        loaded = (@files[path] ||= UserFile.new(path, @root))
      rescue LoadFailed => e
        raise Refused.new(-32_000, "load_failed", e.message, hint: e.hint.empty? ? nil : e.hint, file: e.file, line: e.line,
                                                             error_class: e.error && Plain.class_name(e.error),
                                                             traceback: e.error && trace(e.error))
      end
      method = loaded.find(receiver.to_s, name)
      return Entry.new(method, path) if method

      shown = UserFile.shown(path, @root)
      raise Refused.new(-32_000, "unknown_function", "#{shown} has no function #{[receiver, name].reject(&:empty?).join(".")}",
                        file: shown)
    end

    # The gems of the project's Gemfile.lock, in the versions it names.
    def bundle
      return if @bundled || !File.exist?(File.join(@root, "Gemfile.lock"))

      @bundled = true
      ENV["BUNDLE_GEMFILE"] ||= File.join(@root, "Gemfile")
      begin
        require "bundler"
        Bundler.setup
      rescue StandardError, LoadError => e
        warn("Gemfile: #{e.message}; run `sabir setup`")
      end
    end

    # [positional values, named values or nil].
    def arrange(entry, params)
      arguments = params["arguments"] || {}
      order = params["positional"] || []
      raise Refused.new(-32_602, "invalid_arguments", "`arguments` is an object and `positional` an array") unless
        Hash === arguments && Array === order

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

    # Sends what an enumerator yields, and returns it all.
    def chunks(id, enumerator)
      values = []
      enumerator.each do |item|
        @connection.notify("chunk", { "id" => id, "value" => item }, "value")
        values << item
      end
      values
    end

    def failure(id, entry, error, name)
      message = error.message.to_s
      case error
      when Plain::Unfit
        return @connection.answer_error(id, -32_000, "invalid_result", "#{name} yielded a value that JSON cannot carry: #{message}")
      when Error
        if error.type == "cancelled" && @connection.cancelled
          return @connection.answer_error(id, -32_000, "cancelled", "the call was cancelled")
        end
      when ArgumentError
        # Raised by the call itself: names or counts do not fit the signature.
        caller_frame = error.backtrace_locations && error.backtrace_locations[1]
        if caller_frame && caller_frame.path == __FILE__ && message.match?(/number of arguments|missing keyword|unknown keyword/)
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

$stdout.sync = true
$stderr.sync = true
worker = Sabir::Worker.new(*Sabir::Worker.descriptors)
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

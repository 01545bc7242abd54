# frozen_string_literal: true

require "json"
require_relative "error"
require_relative "plain"

module Sabir
  # The peer's bytes are no frames; nothing after them can be read.
  class FrameError < StandardError; end

  # The connection has ended; `sent` tells whether the request had left.
  class Closed < StandardError
    attr_reader :sent

    def initialize(sent)
      @sent = sent
      super("the connection has ended")
    end
  end

  # One protocol connection (spec/worker-protocol.md): frames and messages over two descriptors.
  #
  # Threads: any thread may send. request() may run in several threads at once: one of them reads for all, the others
  # wait for their answers. Everything else belongs to the thread that reads.
  class Connection
    MAX_FRAME = 64 << 20
    MAX_BLOBS = 1024
    MAX_HEAD = 16_384
    ROOM = 65_536
    BLOB = Plain::BLOB
    PARSE = { max_nesting: 1000, create_additions: false }.freeze

    attr_accessor :parent, :cancelled, :closed, :on_message
    attr_reader :out, :reader

    def initialize(reader, writer, on_message = nil)
      @reader = reader
      @writer = writer
      @on_message = on_message || method(:refuse)
      @parent = nil
      @cancelled = false
      @closed = false
      @reading = false
      @waiters = 0
      @input = String.new(capacity: ROOM, encoding: Encoding::BINARY)
      @more = String.new(capacity: ROOM, encoding: Encoding::BINARY)
      @at = 0
      @out = []
      @lock = Mutex.new
      @write_lock = Mutex.new
      @changed = ConditionVariable.new
      @next_id = 1
      @answers = {}
      @expected = {}
      @streams = {} # chunks that have come, by request
      @generator = nil
      @rests = {}
      @contexts = {}
    end

    # The next message that is a JSON-RPC object, its blobs in place; nil at the connection's end. Unsent frames are
    # written before it blocks. Bad messages are answered here. Errors: FrameError, after it was answered.
    def receive
      while true
        text, blobs = take
        if text.nil?
          flush_quietly unless @out.empty?
          return nil unless fill

          next
        end
        message = opened(text, blobs)
        return message if message
      end
    rescue FrameError => e
      answer_error(nil, -32_600, "protocol", e.message)
      flush_quietly
      raise
    end

    # Hands over, without waiting, what has arrived whole; readable: first one read, which does not block. false at the
    # connection's end. For the thread that reads.
    def receive_available(readable)
      return false if readable && !fill

      while (frame = take)
        message = opened(*frame)
        next if message.nil?

        message.key?("method") ? @on_message.call(message) : take_answer(message)
      end
      true
    rescue FrameError
      false
    end

    # Wakes those who wait for an answer, so that they see `cancelled`.
    def wake
      @lock.synchronize { @changed.broadcast }
    end

    # Writes what is unsent. Errors: SystemCallError.
    def flush
      @write_lock.synchronize do
        frames = []
        while (frame = @out.shift)
          frames << frame
        end
        @writer.write(frames.size == 1 ? frames[0] : frames.join) unless frames.empty?
      end
    end

    # Queues {"value": value} as the answer to `id`. Errors: Plain::Unfit for what JSON cannot carry.
    def answer_value(id, value)
      if Integer === value || Plain.plain?(value)
        put("{\"jsonrpc\":\"2.0\",\"id\":#{Integer === id ? id : generate(id)},\"result\":{\"value\":#{
          Integer === value ? value : generate(value)}}}")
      else
        put_slowly({ "jsonrpc" => "2.0", "id" => id }, "result", { "value" => value }, ["value"])
      end
    end

    # Queues a result without large values.
    def answer_result(id, result)
      put(generate({ "jsonrpc" => "2.0", "id" => id, "result" => result }))
    end

    # Queues an error answer; nil in `data` is left out.
    def answer_error(id, code, type, message, data = {})
      fields = { "type" => type }
      data.each { |key, value| fields[key.to_s] = value.is_a?(String) ? text(value) : value unless value.nil? }
      put(generate({ "jsonrpc" => "2.0", "id" => id,
                     "error" => { "code" => code, "message" => text(message), "data" => fields } }))
    end

    # Sends a notification; params[large] may hold any size. Errors: Plain::Unfit.
    def notify(method, params, large = nil)
      put_slowly({ "jsonrpc" => "2.0", "method" => method }, "params", params, large ? [large] : params.keys)
      flush
    end

    # Sends a request and waits for its result. Errors: Error as the peer answered; Closed when the connection ends first.
    # Sends a request and yields each chunk that comes before its answer, or its value when none came.
    # Errors: as request().
    def stream(method, params, large = [])
      id = @lock.synchronize do
        raise Closed.new(false) if @closed

        @next_id += 1
        @expected[@next_id - 1] = true
        @next_id - 1
      end
      chunks = @streams[id] = []
      message = nil
      any = false
      begin
        params["parent"] = @parent unless @parent.nil?
        begin
          put_slowly({ "jsonrpc" => "2.0", "id" => id, "method" => method }, "params", params, large)
        rescue Plain::Unfit => e
          raise Error.new("invalid_arguments", "#{method} cannot be sent: #{e.message}")
        end
        begin
          flush
        rescue SystemCallError, IOError
          raise Closed.new(false)
        end
        until message
          message = await(id, chunks)
          until chunks.empty?
            any = true
            yield chunks.shift
          end
        end
      ensure
        @expected.delete(id)
        @streams.delete(id)
        leave(id) if message.nil? && !@closed
      end
      raise Error.from_wire(message["error"]) if message.key?("error")

      yield message["result"]["value"] unless any
    end

    def request(method, params, large = [])
      id = @lock.synchronize do
        raise Closed.new(false) if @closed

        @next_id += 1
        @expected[@next_id - 1] = true
        @next_id - 1
      end
      begin
        params["parent"] = @parent unless @parent.nil?
        begin
          put_slowly({ "jsonrpc" => "2.0", "id" => id, "method" => method }, "params", params, large)
        rescue Plain::Unfit => e
          raise Error.new("invalid_arguments", "#{method} cannot be sent: #{e.message}")
        end
        begin
          flush
        rescue SystemCallError, IOError
          raise Closed.new(false)
        end
        message = await(id)
      ensure
        @expected.delete(id)
      end
      raise Error.from_wire(message["error"]) if message.key?("error")

      message["result"]
    end

    # Keeps a response for the request that waits for it; others are dropped.
    def take_answer(message)
      id = message["id"]
      return unless @expected.key?(id)

      @answers[id] = message
      @lock.synchronize { @changed.broadcast } if @waiters.positive?
    end

    # Makes the calling thread the reader, or returns false when another thread reads now.
    def acquire
      @lock.lock
      free = !@reading
      @reading = true if free
      @lock.unlock
      free
    end

    # Lets another thread read.
    def release
      @lock.lock
      @reading = false
      @changed.broadcast if @waiters.positive?
      @lock.unlock
    end

    # Waits until the block is true or nobody reads.
    def wait_change
      @lock.synchronize do
        @waiters += 1
        @changed.wait(@lock) while @reading && !yield && !@closed
        @waiters -= 1
      end
    end

    # Closes the descriptors; a second close does nothing.
    def close
      @closed = true
      [@reader, @writer].each { |io| io.close unless io.closed? }
    rescue SystemCallError, IOError
      nil
    end

    private

    # How the engine begins a call: what differs from call to call, then its arguments. What follows them is the same for each
    # call of a function, and is parsed once.
    CALL = /\A\{"jsonrpc":"2\.0","id":([0-9]{1,15}),"method":"call","params":\{"deadline_ms":[0-9]{1,15},(?:"idempotency_key":"[ !#-\[\]-~]*",)?"context":(\{[ !-\[\]-z|~]*\}),"arguments":/n.freeze
    AFTER_ARGUMENTS = ',"module":'.b.freeze
    MOST_KNOWN = 1000

    # What is the same for each call of a function: the members of its params behind `arguments`, and what the worker keeps of them.
    class Known
      attr_reader :rest
      attr_accessor :entry, :order

      def initialize(rest)
        @rest = rest
      end

      # All of a call's params.
      def params(arguments, context)
        @rest.merge("arguments" => arguments, "context" => context)
      end
    end

    # A call whose function is known, with only its arguments parsed; nil: it is to be looked at as a whole. The split is right
    # if both sides are JSON by themselves, since an object ends where its brace does.
    def known_call(text)
      head = CALL.match(text)
      return nil unless head && (cut = text.rindex(AFTER_ARGUMENTS))

      start = head.end(0)
      rest = @rests[text.byteslice(cut, text.bytesize - cut)] || learn(text.byteslice(cut, text.bytesize - cut))
      return nil unless rest && cut > start

      given = text.byteslice(start, cut - start).force_encoding(Encoding::UTF_8)
      return nil if !given.valid_encoding? || (given.include?("\\") && given.match?(/\\u[dD]/))

      arguments = JSON::Parser.new(given).parse
      return nil unless Hash === arguments

      context = (@contexts[head[2]] ||= JSON.parse(head[2].force_encoding(Encoding::UTF_8)))
      { "id" => head[1].to_i, "method" => "call", known: rest, arguments: arguments, context: context }
    rescue JSON::ParserError, JSON::NestingError
      nil
    end

    # nil: it is no end of a call's parameters.
    def learn(text)
      return nil unless text.end_with?("}}")

      whole = "{#{text.byteslice(1, text.bytesize - 2)}".force_encoding(Encoding::UTF_8)
      return nil unless whole.valid_encoding? && !whole.match?(/\\u[dD]/)

      rest = JSON.parse(whole)
      return nil if rest.key?("arguments") || rest.key?("context") || rest.key?("blobs")

      @rests.clear if @rests.size >= MOST_KNOWN
      @contexts.clear if @contexts.size >= MOST_KNOWN
      @rests[text] = Known.new(rest)
    rescue JSON::ParserError
      nil
    end

    # A frame's message, its blobs in place; nil when it is none, which is answered here.
    def opened(text, blobs)
      if blobs.nil? && (known = known_call(text))
        return known
      end
      text.force_encoding(Encoding::UTF_8)
      unless text.valid_encoding?
        answer_error(nil, -32_700, "protocol", "a frame's JSON text is not UTF-8")
        return nil
      end
      begin
        message = parse(text)
        return refuse_surrogates(message) if @surrogates
      rescue JSON::ParserError, ArgumentError => e
        answer_error(nil, -32_700, "protocol", "a frame's JSON text does not parse: #{e.message[0, 200].scrub}")
        return nil
      end
      unless request?(message)
        answer_error(nil, -32_600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object")
        return nil
      end
      take_chunk(message) if !@streams.empty? && message["method"] == "chunk"
      return message if blobs.nil? && !lists_blobs?(message)

      place(message, blobs || [])
    end

    def lists_blobs?(message)
      content = message["params"] || message["result"]
      Hash === content && content.key?("blobs")
    end

    # An escaped backslash, a pair of surrogates, or one alone, which stands for no character.
    SURROGATES = /\\\\|\\u[dD][89abAB]\h\h\\u[dD][c-fC-F]\h\h|(\\u[dD][89a-fA-F]\h\h)/.freeze

    def parse(text)
      @surrogates = false
      if text.include?("\\") && (text.include?("\\ud") || text.include?("\\uD"))
        text = text.gsub(SURROGATES) { Regexp.last_match(1) ? (@surrogates = true) && "\\ufffd" : Regexp.last_match(0) }
      end
      JSON::Parser.new(text).parse
    rescue JSON::NestingError
      JSON.parse(text, PARSE)
    end

    def request?(message)
      return false unless message.is_a?(Hash) && message["jsonrpc"] == "2.0"

      message["method"].is_a?(String) ||
        (!message.key?("method") && message.key?("id") && (message.key?("result") || message.key?("error")))
    end

    # [text, blobs] of the next frame if it is here whole, else nil. Errors: FrameError.
    def take
      have = @input.bytesize - @at
      return nil if have.zero?

      cut = @input.index("\n", @at)
      if cut.nil? || cut - @at > MAX_HEAD
        raise FrameError, "frame head longer than #{MAX_HEAD} bytes" if have > MAX_HEAD
        raise FrameError, "malformed frame head" unless @input.getbyte(@at).between?(48, 57)

        return nil
      end
      head = @input.byteslice(@at, cut - @at)
      body = cut + 1
      sizes = sizes_of(head)
      total = sizes.is_a?(Integer) ? sizes : sizes.sum
      stop = body + total
      if stop <= @input.bytesize
        whole = @input
        @at = stop
      elsif total <= ROOM
        return nil
      else
        whole = @input.byteslice(body, total)
        @input.clear
        @at = 0
        flush_quietly unless @out.empty?
        rest = @reader.read(total - whole.bytesize)
        return nil if rest.nil? || rest.bytesize < total - whole.bytesize

        whole << rest
        body = 0
      end
      return [whole.byteslice(body, sizes), nil] if sizes.is_a?(Integer)

      at = body + sizes[0]
      blobs = sizes.drop(1).map do |size|
        at += size
        whole.byteslice(at - size, size)
      end
      [whole.byteslice(body, sizes[0]), blobs]
    end

    def sizes_of(head)
      size = head.to_i
      return size if head.bytesize < 8 && size.to_s == head && size >= 0
      raise FrameError, "malformed frame head" unless head.match?(/\A(?:0|[1-9][0-9]{0,7})(?: (?:0|[1-9][0-9]{0,7}))*\z/)

      sizes = head.split(" ").map(&:to_i)
      raise FrameError, "more than #{MAX_BLOBS} blobs in a frame" if sizes.size - 1 > MAX_BLOBS
      raise FrameError, "frame larger than #{MAX_FRAME} bytes" if sizes.sum > MAX_FRAME

      sizes
    end

    # One blocking read. false at the connection's end.
    def fill
      if @at == @input.bytesize
        @at = 0
        @reader.readpartial(ROOM, @input)
      else
        @reader.readpartial(ROOM, @more)
        @input = @input.byteslice(@at, @input.bytesize - @at) if @at.positive?
        @at = 0
        @input << @more
      end
      true
    rescue EOFError, SystemCallError, IOError
      false
    end

    # Moves a frame's blobs into params or result. nil when that was refused and answered.
    def place(message, blobs)
      content = message[message.key?("method") ? "params" : "result"]
      listed = content.is_a?(Hash) ? content["blobs"] : nil
      listed = [] if listed.nil?
      raise ArgumentError, "the frame has #{blobs.size} blobs, its JSON lists others" unless
        listed.is_a?(Array) && listed.size == blobs.size
      return message if listed.empty?

      content.delete("blobs")
      listed.zip(blobs) { |entry, blob| place_one(content, entry, blob) }
      message
    rescue ArgumentError => e
      unless message.key?("method")
        return { "id" => message["id"], "error" => { "code" => -32_602, "message" => e.message,
                                                     "data" => { "type" => "protocol" } } }
      end
      answer_error(message["id"], -32_602, "invalid_arguments", e.message) if message.key?("id")
      nil
    end

    def place_one(content, entry, blob)
      type = entry["type"] if entry.is_a?(Hash)
      raise ArgumentError, "a blob's entry has `at` and a `type` of string or bytes" unless %w[string bytes].include?(type)

      if type == "string"
        blob.force_encoding(Encoding::UTF_8)
        raise ArgumentError, "a string blob is not UTF-8" unless blob.valid_encoding?
      end
      at = entry["at"]
      raise ArgumentError, "a blob's place is a JSON Pointer" unless at.is_a?(String) && at.start_with?("/")

      keys = at[1..-1].split("/", -1).map { |key| key.gsub("~1", "/").gsub("~0", "~") }
      target = keys[0..-2].inject(content) { |level, key| level[index(level, key, at)] }
      last = index(target, keys[-1], at)
      raise ArgumentError, "the blob's place #{at} does not hold null" unless target[last].nil?

      target[last] = blob
    end

    # Nothing is changed in silence: the message was read for its id alone.
    def refuse_surrogates(message)
      return nil unless message.is_a?(Hash) && message.key?("id")

      why = "a string has a lone surrogate (\\ud800 to \\udfff), which is no character"
      unless message.key?("method")
        return { "id" => message["id"], "error" => { "code" => -32_602, "message" => why, "data" => { "type" => "protocol" } } }
      end
      answer_error(message["id"], -32_602, "invalid_arguments", why)
      nil
    end

    def index(level, key, at)
      case level
      when Hash
        return key if level.key?(key)
      when Array
        return key.to_i if key.match?(/\A(?:0|[1-9][0-9]{0,8})\z/) && key.to_i < level.size
      end
      raise ArgumentError, "no place #{at} for the blob"
    end

    def generate(value)
      @generator ||= JSON::State.new(max_nesting: 0)
      @generator.generate(value)
    rescue StandardError
      # A failed run leaves its depth behind.
      @generator = nil
      raise
    end

    # Frames are labelled UTF-8 whatever they hold, so that they can be joined.
    def put(body)
      size = body.bytesize
      raise Plain::Unfit.new("", "it is larger than #{MAX_FRAME} bytes") if size > MAX_FRAME

      @out << "#{size}\n#{body}"
    end

    def put_slowly(message, member, content, large)
      blobs = []
      listed = []
      content = content.dup
      large.each { |name| content[name] = Plain.convert(content[name], "/#{name}", blobs, listed) if content.key?(name) }
      content["blobs"] = listed unless listed.empty?
      message[member] = content
      body = generate(message)
      return put(body) if blobs.empty?

      size = body.bytesize + blobs.sum(&:bytesize)
      raise Plain::Unfit.new("", "it is larger than #{MAX_FRAME} bytes") if size > MAX_FRAME

      blobs.each { |blob| blob.force_encoding(Encoding::UTF_8) }
      @out << ["#{[body, *blobs].map(&:bytesize).join(" ")}\n", body, *blobs].join
    end

    def take_chunk(message)
      params = message["params"]
      chunks = params.is_a?(Hash) ? @streams[params["id"]] : nil
      return if chunks.nil?

      chunks << params["value"]
      @lock.synchronize { @changed.broadcast } if @waiters.positive?
    end

    # Nobody wants the rest of a stream.
    def leave(id)
      notify("cancel", { "id" => id, "reason" => "the stream was left" })
    rescue SystemCallError, IOError
      nil
    end

    # The answer to a request; nil when one of its chunks came first.
    def await(id, chunks = [])
      while true
        @lock.synchronize do
          @waiters += 1
          @changed.wait(@lock) while !@answers.key?(id) && chunks.empty? && @reading && !@closed && !@cancelled
          @waiters -= 1
          return nil unless chunks.empty?
          return @answers.delete(id) if @answers.key?(id)
          raise Closed.new(true) if @closed
          raise Error.new("cancelled", "the call was cancelled") if @cancelled

          @reading = true
        end
        begin
          read_until(id, chunks)
        rescue FrameError
          @closed = true
        ensure
          release
        end
      end
    end

    def read_until(id, chunks)
      until @answers.key?(id) || !chunks.empty?
        raise Error.new("cancelled", "the call was cancelled") if @cancelled

        message = receive
        return @closed = true if message.nil?

        message.key?("method") ? @on_message.call(message) : take_answer(message)
      end
    end

    def flush_quietly
      flush unless @out.empty?
    rescue SystemCallError, IOError
      # The peer is gone; the next read says so.
      nil
    end

    def text(value)
      value = value.encode(Encoding::UTF_8, invalid: :replace, undef: :replace) unless value.encoding == Encoding::UTF_8
      value.valid_encoding? ? value : value.scrub("?")
    end

    def refuse(message)
      return unless message.key?("id")

      if message["method"] == "ping"
        answer_result(message["id"], {})
      else
        answer_error(message["id"], -32_601, "unknown_method", "unknown method #{message["method"]}")
      end
      flush_quietly
    end
  end
end

# frozen_string_literal: true

# The Ruby worker beyond what the protocol's conformance checks ask: Ruby's own ways.

require "json"
require "rbconfig"
require "socket"
require "timeout"
require "tmpdir"
require "fileutils"

RSpec.describe "The Ruby worker" do
  around do |example|
    Dir.mktmpdir do |folder|
      @folder = File.realpath(folder)
      Timeout.timeout(60) { example.run }
    ensure
      @socket&.close
      if @pid
        Process.kill(:KILL, @pid) rescue nil
        Process.wait(@pid) rescue nil
      end
    end
  end

  def file(path, source)
    target = File.join(@folder, path)
    FileUtils.mkdir_p(File.dirname(target))
    File.write(target, source)
  end

  def start
    @socket, theirs = UNIXSocket.pair
    @pid = Process.spawn({ "SABIR_FD" => theirs.fileno.to_s }, RbConfig.ruby, File.expand_path("../worker.rb", __dir__),
                         theirs => theirs, :out => File.join(@folder, "log"), :err => %i[child out])
    theirs.close
    @id = 0
    request("hello", { protocol: { min: 1, max: 1 } })
    request("start", { project: @folder, environment: "test" })
  end

  def send_message(message)
    body = JSON.generate({ jsonrpc: "2.0" }.merge(message))
    @socket.write("#{body.bytesize}\n#{body}")
  end

  def receive
    sizes = @socket.gets.split.map(&:to_i)
    message = JSON.parse(@socket.read(sizes[0]))
    sizes.drop(1).each { |size| @socket.read(size) }
    message
  end

  def request(method, params)
    @id += 1
    send_message({ id: @id, method: method, params: params })
    @before = []
    loop do
      message = receive
      return message if !message.key?("method") && message["id"] == @id

      @before << message
    end
  end

  def call(function, arguments = {}, file: "functions/ruby/x.rb", **more)
    start unless @socket
    request("call", { module: File.join(@folder, file), receiver: "", function: function, arguments: arguments,
                      positional: arguments.keys, context: { user: "u" }, context_parameter: "" }.merge(more))
  end

  def value(*args, **more)
    answer = call(*args, **more)
    expect(answer).not_to have_key("error"), answer.to_s
    answer["result"]["value"]
  end

  def error(*args, **more)
    call(*args, **more)["error"]
  end

  it "keeps functions of one name in two files apart" do
    file("functions/ruby/x.rb", "def name = 'x'\ndef both = name\n")
    file("functions/ruby/y.rb", "def name = 'y'\ndef both = name\n")
    expect(value("both")).to eq("x")
    expect(value("both", file: "functions/ruby/y.rb")).to eq("y")
    expect(value("name")).to eq("x")
  end

  it "lets a file's classes call its functions, and files require each other" do
    file("functions/ruby/helper.rb", "def shout(text) = text.upcase\n")
    file("functions/ruby/x.rb", <<~RUBY)
      require_relative "helper"
      class Greeter
        def greet(name) = mark(shout(name))
      end
      def mark(text) = text + "!"
      def greet(name) = Greeter.new.greet(name)
    RUBY
    expect(value("greet", { name: "ada" })).to eq("ADA!")
  end

  it "calls methods of modules and classes by their receiver" do
    file("functions/ruby/x.rb", <<~RUBY)
      module Text
        module_function
        def up(value) = value.upcase
        module Deep
          def self.down(value) = value.downcase
        end
      end
      class Shop
        def self.named = name.split("::").last
      end
    RUBY
    expect(value("up", { value: "a" }, receiver: "Text")).to eq("A")
    expect(value("down", { value: "A" }, receiver: "Text::Deep")).to eq("a")
    expect(value("named", {}, receiver: "Shop")).to eq("Shop")
    expect(error("sideways", {}, receiver: "Text")["data"]["type"]).to eq("unknown_function")
    expect(error("puts", { text: "x" })["data"]["type"]).to eq("unknown_function")
  end

  it "keeps a file's instance variables and constants between calls" do
    file("functions/ruby/x.rb", "LIMIT = 2\ndef count = @count = (@count || 0) + LIMIT\n")
    expect([value("count"), value("count")]).to eq([2, 4])
  end

  it "turns results into JSON" do
    file("functions/ruby/x.rb", <<~RUBY)
      require "date"
      require "set"
      require "bigdecimal"
      require "pathname"
      Point = Struct.new(:x, :y)
      class Own
        def to_h = { own: true }
      end
      def all
        { a: :symbol, b: Point.new(1, :y), c: Date.new(2026, 1, 2), d: Time.utc(2026, 1, 2, 3, 4, 5), e: Set[1, 2], f: Own.new,
          g: BigDecimal("1.5"), h: Pathname("a/b"), i: { 1 => :one, nil => 2 }, j: "é".encode("ISO-8859-1"), k: "\\xFF".b, l: 3r / 2,
          m: "text".b }
      end
      def broken = { a: ["\\xFF"] }
      def unknown = { a: [1, -> {}] }
    RUBY
    expect(value("all")).to eq(
      "a" => "symbol", "b" => { "x" => 1, "y" => "y" }, "c" => "2026-01-02", "d" => "2026-01-02T03:04:05+00:00", "e" => [1, 2],
      "f" => { "own" => true }, "g" => 1.5, "h" => "a/b", "i" => { "1" => "one", "" => 2 }, "j" => "é", "k" => "/w==", "l" => 1.5,
      "m" => "text"
    )
    expect(error("broken")["message"]).to include("/value/a/0: the string is not valid UTF-8")
    expect(error("unknown")["message"]).to include("/value/a/1: a value of class Proc has no JSON form")
  end

  it "passes every kind of parameter" do
    file("functions/ruby/x.rb", "def f(a, b = 2, *rest, k:, o: 4, **more) = [a, b, rest, k, o, more]\n")
    expect(value("f", { a: 1, k: 3 }, positional: %w[a b])).to eq([1, 2, [], 3, 4, {}])
    expect(value("f", { a: 1, b: 5, rest: [6], k: 3, more: { x: 7 } }, positional: %w[a b], variadic: "rest", keyword_variadic: "more"))
      .to eq([1, 5, [6], 3, 4, { "x" => 7 }])
    expect(error("f", { b: 1, k: 3 }, positional: %w[a b])["message"]).to eq("argument /a is missing: Ruby cannot pass /b without it")
    expect(error("f", { a: 1 }, positional: %w[a b])["data"]["type"]).to eq("invalid_arguments")
  end

  it "blames misfitting arguments on the caller and an ArgumentError inside on the function" do
    file("functions/ruby/x.rb", "def one(a) = Integer(a)\n")
    expect(error("one", {})["data"]["type"]).to eq("invalid_arguments")
    data = error("one", { a: "x" })["data"]
    expect(data.values_at("type", "error_class", "file", "line")).to eq(["function_error", "ArgumentError", "functions/ruby/x.rb", 1])
  end

  it "survives exit, endless recursion and errors without a text" do
    file("functions/ruby/x.rb", "def leave = exit(3)\ndef deep = deep\ndef empty = raise('')\ndef odd = raise(\"\\xFF\")\ndef fine = 1\n")
    expect(error("leave")["data"]["error_class"]).to eq("SystemExit")
    expect(error("deep")["data"]["error_class"]).to eq("SystemStackError")
    expect(error("empty")["message"]).to eq("RuntimeError")
    expect(error("odd")["message"]).to eq("?")
    expect(value("fine")).to eq(1)
  end

  it "loads a corrected file at the next call and names a missing library" do
    file("functions/ruby/x.rb", "def f(\n")
    expect(error("f")["data"]["type"]).to eq("load_failed")
    file("functions/ruby/x.rb", "def f = 1\n")
    expect(value("f")).to eq(1)
    file("functions/ruby/y.rb", "\nrequire 'no_such_gem_here/api'\n")
    data = error("f", file: "functions/ruby/y.rb")["data"]
    expect([data["file"], data["line"]]).to eq(["functions/ruby/y.rb", 2])
    expect(data["hint"]).to include("no_such_gem_here")
  end

  it "lets a function's threads call the engine" do
    file("functions/ruby/x.rb", "require 'sabir'\ndef fan_out(n) = (0...n).map { |i| Thread.new { Sabir.call('f', i: i) } }.map(&:value)\n")
    start
    send_message({ id: "c", method: "call", params: { module: File.join(@folder, "functions/ruby/x.rb"), function: "fan_out",
                                                      arguments: { n: 4 }, positional: ["n"] } })
    requests = Array.new(4) { receive }
    expect(requests.map { |message| message["params"]["parent"] }).to all(eq("c"))
    requests.reverse.each { |message| send_message({ id: message["id"], result: { value: message["params"]["arguments"]["i"] * 10 } }) }
    expect(receive["result"]["value"]).to eq([0, 10, 20, 30])
  end

  it "ends a wait for the engine when the call is cancelled" do
    file("functions/ruby/x.rb", "def wait = Sabir.call('f')\n")
    start
    send_message({ id: 50, method: "call", params: { module: File.join(@folder, "functions/ruby/x.rb"), function: "wait" } })
    inner = receive
    send_message({ method: "cancel", params: { id: 50, reason: "deadline" } })
    answer = receive
    expect([answer["id"], answer["error"]["data"]["type"]]).to eq([50, "cancelled"])
    send_message({ id: inner["id"], result: { value: "late" } })
    expect(request("ping", {})["result"]).to eq({})
  end

  it "leaves its connection to the parent when a function forks" do
    file("functions/ruby/x.rb", <<~RUBY)
      def child
        reader, writer = IO.pipe
        pid = fork { writer.write("hi"); exit!(0) }
        writer.close
        Process.wait(pid)
        reader.read
      end
    RUBY
    expect(value("child")).to eq("hi")
    expect(value("child")).to eq("hi")
  end

  def begin_call(function, arguments = {})
    start unless @socket
    send_message({ id: "c", method: "call", params: { module: File.join(@folder, "functions/ruby/x.rb"), function: function,
                                                      arguments: arguments, positional: arguments.keys } })
  end

  def wait_for(path)
    sleep 0.01 until File.exist?(File.join(@folder, path))
  end

  it "raises Cancelled in a function that computes, and runs its ensure parts" do
    file("functions/ruby/x.rb", <<~RUBY)
      def spin(folder)
        File.write(folder + "/begun", "")
        loop { 1 + 1 }
      rescue StandardError
        "swallowed"
      ensure
        File.write(folder + "/cleaned", "")
      end
      def fine = 1
    RUBY
    begin_call("spin", { folder: @folder })
    wait_for("begun")
    send_message({ method: "cancel", params: { id: "c", reason: "client" } })
    expect(receive.dig("error", "data", "type")).to eq("cancelled")
    expect(File).to exist(File.join(@folder, "cleaned"))
    expect(value("fine")).to eq(1)
  end

  it "ends a stream that is cancelled, in the enumerator's own ensure" do
    file("functions/ruby/x.rb", <<~RUBY)
      def ticks(folder)
        Enumerator.new do |yielder|
          loop { yielder << 1; sleep 0.01 }
        ensure
          File.write(folder + "/cleaned", "")
        end
      end
    RUBY
    begin_call("ticks", { folder: @folder })
    expect(receive["method"]).to eq("chunk")
    send_message({ method: "cancel", params: { id: "c", reason: "client" } })
    answer = receive
    answer = receive while answer["method"] == "chunk"
    expect(answer.dig("error", "data", "type")).to eq("cancelled")
    expect(File).to exist(File.join(@folder, "cleaned"))
  end

  it "cancels a sleeping function whose wait for the engine is over, and answers calls that came meanwhile" do
    file("functions/ruby/x.rb", "require 'sabir'\ndef ask = Sabir.call('f') + sleep\ndef fine = 1\n")
    begin_call("ask")
    asked = receive
    send_message({ id: asked["id"], result: { value: 1 } })
    sleep 0.1
    send_message({ id: "d", method: "call", params: { module: File.join(@folder, "functions/ruby/x.rb"), function: "fine", arguments: {} } })
    send_message({ id: "p", method: "ping", params: {} })
    expect(receive["id"]).to eq("p")
    send_message({ method: "cancel", params: { id: "c", reason: "client" } })
    expect(receive.dig("error", "data", "type")).to eq("cancelled")
    expect(receive).to include("id" => "d", "result" => { "value" => 1 })
  end

  it "forgets a cancellation that comes when its call is over" do
    file("functions/ruby/x.rb", "def nap = sleep(0.1) && 1\ndef fine = 2\n")
    begin_call("nap")
    sleep 0.05
    send_message({ method: "cancel", params: { id: "other", reason: "client" } })
    expect(receive["result"]["value"]).to eq(1)
    send_message({ method: "cancel", params: { id: "c", reason: "client" } })
    expect(value("fine")).to eq(2)
  end

  it "makes the types' own values of arguments" do
    file("functions/ruby/x.rb", <<~RUBY)
      require "set"
      Item = Struct.new(:name, :price)
      module Shop
        class Order
          attr_reader :items, :note
          def initialize(items:, note: nil)
            @items = items
            @note = note
          end
        end
      end
      def classes(**values) = values.transform_values { |value| value.class.name.to_s.split("::").last }
      def order(order) = [order.class.name.split("::").last, order.items.map(&:price), order.items.first.class.name.split("::").last]
      def given(value) = value.inspect
      def back = Shop::Order.new(items: [Item.new("a", 1)], note: "n")
    RUBY
    ways = { a: "symbol", b: "time", c: "date", d: "datetime", e: { set: nil }, f: "rational", g: "decimal", h: "float", i: "path" }
    values = { a: "x", b: "2024-05-01T12:00:00Z", c: "2024-05-01", d: "2024-05-01T12:00:00Z", e: [1], f: 0.5, g: "1.10", h: 3, i: "a/b" }
    expect(value("classes", values, positional: [], build: ways)).to eq(
      "a" => "Symbol", "b" => "Time", "c" => "Date", "d" => "DateTime", "e" => "Set", "f" => "Rational", "g" => "BigDecimal", "h" => "Float",
      "i" => "Pathname"
    )
    item = { class: "Item", order: %w[name price], made: "positional" }
    whole = { class: "Shop::Order", order: %w[items note], made: "keywords", members: { items: { array: item } } }
    expect(value("order", { order: { items: [{ name: "a", price: 2 }] } }, build: { order: whole })).to eq(["Order", [2], "Item"])
    expect(value("given", { value: { a: "b" } }, build: { value: { record: { a: "symbol" } } })).to eq("{:a=>:b}")
    expect(value("given", { value: nil }, build: { value: { any: ["symbol", { array: "symbol" }] } })).to eq("nil")
    expect(value("given", { value: ["b"] }, build: { value: { any: ["symbol", { array: "symbol" }] } })).to eq("[:b]")
    expect(value("back")).to eq("items" => [{ "name" => "a", "price" => 1 }], "note" => "n")
    expect(error("given", { value: "never" }, build: { value: "date" })["data"]["type"]).to eq("invalid_arguments")
  end

  it "carries integers of any size and refuses what is no text" do
    file("functions/ruby/x.rb", "def same(value) = value\ndef power(n) = 2**n\ndef lone = [0xd800].pack('U')\n")
    expect(value("same", { value: 2**100 })).to eq(2**100)
    expect(value("power", { n: 64 })).to eq(2**64)
    expect(value("same", { value: "x" })).to eq("x")
    body = '{"jsonrpc":"2.0","id":"s","method":"call","params":{"module":"' + File.join(@folder, "functions/ruby/x.rb") +
           '","function":"same","arguments":{"value":["\\ud800a","\\udc00","\\ud83c\\udf89","\\\\ud800"]},"positional":["value"]}}'
    @socket.write("#{body.bytesize}\n#{body}")
    @socket.write((lone = body.sub(/"value":\[.*?\]/, '"value":"\\udc00"')) && "#{lone.bytesize}\n#{lone}")
    expect([receive, receive].map { |answer| answer.values_at("id").push(answer.dig("error", "data", "type")) }).to eq([%w[s invalid_arguments]] * 2)
    expect(value("same", { value: ["🎉", "\\ud800"] })).to eq(["🎉", "\\ud800"])
    expect(error("lone")["data"]["type"]).to eq("invalid_result")
  end
end

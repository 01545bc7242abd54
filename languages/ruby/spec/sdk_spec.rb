# frozen_string_literal: true

# The SDK in a process that is no worker. The engine is the stand-in that the Python SDK's tests use.

require "json"
require "tmpdir"
require "fileutils"
require_relative "../sdk/sabir"

RSpec.describe Sabir do
  fake = File.expand_path("../../python/tests/fake_engine.py", __dir__)

  around do |example|
    Dir.mktmpdir do |folder|
      @folder = File.realpath(folder)
      File.write(File.join(@folder, "sabir.yml"), "engine: 0.1.0\n")
      @engine = File.join(@folder, "sabir")
      File.write(@engine, "#!/bin/sh\nexec python3 #{fake} \"$@\"\n")
      File.chmod(0o755, @engine)
      @log = File.join(@folder, "engine.log")
      saved = ENV.to_h
      ENV.update("SABIR_BIN" => @engine, "FAKE_ENGINE_LOG" => @log)
      %w[SABIR_PROJECT SABIR_ENV SABIR_USER].each { |name| ENV.delete(name) }
      FileUtils.mkdir_p(File.join(@folder, "deep"))
      Sabir::Channel.close
      Dir.chdir(File.join(@folder, "deep")) { example.run }
      Sabir::Channel.close
      ENV.replace(saved)
    end
  end

  def lines(word)
    File.exist?(@log) ? File.readlines(@log, chomp: true).select { |line| line.start_with?(word) } : []
  end

  it "starts one private engine for the project and ends it on close" do
    expect(Sabir.call("slugify", text: "Été")["arguments"]).to eq("text" => "Été")
    Sabir.call("slugify", text: "again")
    expect(lines("start")).to eq(["start attach --project #{@folder} --env development"])
    Sabir::Channel.close
    expect(lines("end")).to eq(["end"])
  end

  it "keeps memory" do
    expect(Sabir.memory.put("colour", { name: :red })).to eq(1)
    expect(Sabir.memory.put("colour", { name: "blue" }, if_version: 1)).to eq(2)
    expect(Sabir.memory.get("colour")).to eq("name" => "blue")
    expect(Sabir.memory.get("absent", default: 7)).to eq(7)
    expect { Sabir.memory.put("colour", 1, if_version: 1) }.to raise_error(Sabir::Error) { |e| expect(e.type).to eq("conflict") }
    expect(Sabir.memory.delete("colour")).to be(true)
    expect(Sabir.memory.delete("colour")).to be(false)
  end

  it "reads every page of a list" do
    stub_const("Sabir::Memory::PAGE", 3)
    7.times { |number| Sabir.memory.put("n#{number}", number) }
    items = Sabir.memory.list("n")
    expect(items.keys).to eq((0..6).map { |number| "n#{number}" })
    expect(items["n4"]).to eq(4)
    expect(items[0].version).to eq(1)
    expect(items.to_h["n6"]).to eq(6)
  end

  it "keeps a conversation's log" do
    expect(Sabir.memory.append("c", { role: "user", content: "hi" })).to eq(1)
    expect(Sabir.memory.append("c", { role: "assistant", content: "hello" })).to eq(2)
    expect(Sabir.memory.messages("c").map { |message| message["role"] }).to eq(%w[user assistant])
  end

  it "renders prompts, asks models and assistants, and reads secrets" do
    expect(Sabir.render("greeting", name: "Ada")).to eq("Hello Ada")
    reply = Sabir.complete("hi", temperature: 0)
    expect(reply).to eq("HI")
    expect(reply.provider).to eq("scripted")
    answer = Sabir.ask("support", "a parcel")
    expect(answer).to eq("about a parcel")
    expect(answer.conversation).to eq("c1")
    expect(Sabir.secret("key")).to eq("s3cret")
  end

  it "keeps an error's type, hint, place and particulars" do
    expect { Sabir.call("fail") }.to raise_error(Sabir::Error) { |e|
      expect([e.type, e.plain_message, e.hint, e.file, e.line]).to eq(["function_error", "no such city", "try another", "functions/x.py", 3])
      expect(e.data["city"]).to eq("Ur")
      expect(e.message).to eq("functions/x.py:3: no such city (try another)")
    }
  end

  it "sends large arguments as blobs" do
    expect(Sabir.call("echo", text: "é" * 50_000)["arguments"]).to eq("text" => "é" * 50_000)
    expect(lines("functions.call")).to eq(["functions.call 1"])
  end

  it "says what JSON cannot carry before it sends it" do
    expect { Sabir.memory.put("k", { a: Float::NAN }) }.to raise_error(Sabir::Error, %r{/value/a: NaN is not a JSON number})
    expect { Sabir.call("echo", value: Object.new) }.to raise_error(Sabir::Error, /class Object has no JSON form/)
    expect(Sabir.call("echo", value: 1)["arguments"]).to eq("value" => 1)
  end

  it "shares its connection among threads" do
    results = Array.new(8) do |number|
      Thread.new { Array.new(20) { |turn| Sabir.call("f", n: number, turn: turn)["arguments"] == { "n" => number, "turn" => turn } } }
    end.map(&:value)
    expect(results.flatten).to all(be(true))
    expect(lines("start").size).to eq(1)
  end

  it "gives a forked child an engine of its own" do
    parent = Sabir.call("f")["pid"]
    reader, writer = IO.pipe
    child = fork do
      writer.write(Sabir.call("f")["pid"])
      writer.close
      Sabir::Channel.close
      exit!(0)
    end
    writer.close
    Process.wait(child)
    expect([0, parent]).not_to include(reader.read.to_i)
    expect(Sabir.call("f")["pid"]).to eq(parent)
  end

  it "calls the outcome unknown when the engine dies in a call" do
    expect { Sabir.call("die") }.to raise_error(Sabir::Error) { |e| expect(e.type).to eq("outcome_unknown") }
    expect(Sabir.call("f")["address"]).to eq("f")
  end

  it "joins a running engine and passes over a stale file" do
    path = File.join(@folder, "e.sock")
    engine = IO.popen(["python3", fake, "listen", path])
    pid = engine.pid
    begin
      expect(engine.gets).to eq("ready\n")
      FileUtils.mkdir_p(File.join(@folder, ".sabir/development"))
      File.write(File.join(@folder, ".sabir/development/engine.json"),
                 JSON.generate({ format: 1, socket: path, pid: engine.pid, engine: "0.1.0" }))
      expect(Sabir.call("f")["pid"]).to eq(engine.pid)
      Sabir::Channel.close
    ensure
      Process.kill(:KILL, engine.pid)
      engine.close
    end
    expect(Sabir.call("f")["pid"]).not_to eq(pid)
    expect(lines("start attach").size).to eq(1)
  end

  it "says in one line that the engine is missing" do
    ENV["SABIR_BIN"] = "/no/such/sabir"
    expect { Sabir.functions }.to raise_error(Sabir::Error, %r{\Athe engine `sabir` was not found: SABIR_BIN names /no/such/sabir.*\z})
    ENV.delete("SABIR_BIN")
    ENV["PATH"] = "/no/such"
    expect { Sabir.functions }.to raise_error(Sabir::Error, /\Athe engine `sabir` was not found \(install it.*\z/)
  end

  it "says that there is no project" do
    ENV["SABIR_PROJECT"] = File.join(@folder, "none")
    expect { Sabir.functions }.to raise_error(Sabir::Error, /none/) { |e| expect(e.type).to eq("no_project") }
  end
end

# frozen_string_literal: true

# What a connection makes of a call's frame, whichever way it is read.

require "json"
require "socket"
require_relative "../sdk/sabir"
require_relative "../sdk/sabir/wire"

RSpec.describe Sabir::Connection do
  first = '"deadline_ms":5,"context":{"user":"u"},'
  rest = ',"module":"a","receiver":"","function":"f","positional":["x"],"context_parameter":"","depth":1}'

  def received(*frames)
    theirs, ours = UNIXSocket.pair
    connection = described_class.new(ours, ours)
    frames.each { |text| theirs.write("#{text.bytesize}\n#{text}") }
    theirs.close_write
    Array.new(frames.size) { whole(connection.receive) }
  end

  def whole(message)
    known = message.delete(:known)
    return message unless known

    message.merge("jsonrpc" => "2.0", "params" => known.params(message.delete(:arguments), message.delete(:context)))
  end

  def known?(connection, text)
    !connection.send(:known_call, text.b).nil?
  end

  {
    "plain arguments" => ["{#{first}\"arguments\":{\"x\":1}#{rest}", true],
    "an idempotency key" => ["{\"deadline_ms\":5,\"idempotency_key\":\"k-1\",\"context\":{},\"arguments\":{}#{rest}", true],
    "a member of the arguments that is called module" => ["{#{first}\"arguments\":{\"x\":{\"y\":1,\"module\":\"b\"}}#{rest}", true],
    "arguments that look like the end" => ["{#{first}\"arguments\":{\"x\":\"},\\\"module\\\":\\\"a\\\"}}\"}#{rest}", true],
    "text that is not ASCII" => ["{#{first}\"arguments\":{\"x\":\"Été, مرحبا\"}#{rest}", true],
    "escapes of whole characters" => ["{#{first}\"arguments\":{\"x\":\"\\ud83d\\ude00 \\u00e9\"}#{rest}", false],
    "a user whose name has a brace" => ["{\"deadline_ms\":5,\"context\":{\"user\":\"a}b\"},\"arguments\":{\"x\":1}#{rest}", false],
    "another module in the end" => ["{#{first}\"arguments\":{\"x\":1},\"module\":\"a\",\"function\":\"f\",\"build\":{\"x\":1,\"module\":\"b\"}}", false],
    "arguments again in the end" => ["{#{first}\"arguments\":{\"x\":1},\"module\":\"a\",\"function\":\"f\",\"arguments\":{\"x\":2}}", false],
    "another order" => ["{\"module\":\"a\",\"function\":\"f\",\"arguments\":{\"x\":1},#{first.chomp(",")}}", false],
    "arguments that are no object" => ["{#{first}\"arguments\":[1]#{rest}", false]
  }.each do |name, (params, quick)|
    it "reads the same as JSON does: #{name}" do
      text = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"call\",\"params\":#{params}}"
      expected = JSON.parse(text)
      # These say nothing to a Ruby worker.
      messages = received(text, text)
      [expected, *messages].each { |message| %w[deadline_ms idempotency_key].each { |name| message["params"].delete(name) } }
      expect(messages).to eq([expected, expected])
      expect(known?(described_class.new($stdin, $stdout), text)).to be(quick)
    end
  end

  it "keeps one call's arguments from the next" do
    texts = [1, 2].map { |x| "{\"jsonrpc\":\"2.0\",\"id\":#{x},\"method\":\"call\",\"params\":{#{first}\"arguments\":{\"x\":#{x}}#{rest}}" }
    one, two = received(*texts)
    one["params"]["arguments"].clear
    one["params"].delete("positional")
    expect([two["id"], two["params"]["arguments"], two["params"]["positional"]]).to eq([2, { "x" => 2 }, ["x"]])
  end

  it "refuses what is not UTF-8 in the arguments" do
    theirs, ours = UNIXSocket.pair
    connection = described_class.new(ours, ours)
    text = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"call\",\"params\":{#{first}\"arguments\":{\"x\":\"\xff\"}#{rest}}".b
    theirs.write("#{text.bytesize}\n".b + text)
    theirs.close_write
    expect(connection.receive).to be_nil
    connection.close
    expect(theirs.read).to include("-32700")
  end
end

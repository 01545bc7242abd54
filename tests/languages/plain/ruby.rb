# frozen_string_literal: true

# Runs functions of the probe that argument 1 names in this plain process: lines of JSON in, lines of JSON out.
require "json"
require "sabir"

load ARGV[0]
$stdin.each_line do |line|
  name, arguments = JSON.parse(line)
  names = method(name).parameters.map { |_, parameter| parameter.to_s }.select { |parameter| arguments.key?(parameter) }
  answer = begin
    { "value" => send(name, *names.map { |parameter| arguments[parameter] }) }
  rescue Sabir::Error => e
    { "error" => { "type" => e.type, "message" => e.plain_message } }
  end
  $stdout.puts(JSON.generate(answer))
  $stdout.flush
end

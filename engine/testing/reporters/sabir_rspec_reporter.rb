# frozen_string_literal: true

require "json"

# An RSpec formatter that reports each example to `sabir test`: one JSON object per line on a descriptor of its own.
class SabirRspecReporter
  RSpec::Core::Formatters.register self, :start, :example_passed, :example_failed, :example_pending, :dump_summary

  MOST = 20_000

  def initialize(_output)
    @io = IO.for_fd(Integer(ENV.fetch("SABIR_TEST_REPORT_FD")), "w")
    @io.close_on_exec = true
    @io.sync = true
  end

  def start(notification)
    say(event: "collected", count: notification.count)
  end

  def example_passed(notification)
    report(notification.example, "passed")
  end

  def example_pending(notification)
    report(notification.example, "skipped", message: notification.example.execution_result.pending_message.to_s)
  end

  def example_failed(notification)
    message = notification.message_lines.join("\n")
    where = notification.formatted_backtrace.first.to_s[%r{\A#?\s*(?:\./)?([^:]+):(\d+)}] && [Regexp.last_match(1), Regexp.last_match(2).to_i]
    extra = { message: message[0, MOST], text: notification.fully_formatted(1)[0, MOST] }
    extra[:file], extra[:line] = where if where && !where[0].start_with?("/", "..")
    report(notification.example, "failed", **extra)
  end

  def dump_summary(summary)
    count = summary.errors_outside_of_examples_count
    say(event: "broken", file: "", text: "") if count.positive?
  end

  private

  def report(example, outcome, **extra)
    file, line = example.location.delete_prefix("./").split(":")
    say(**{ event: "case", id: example.full_description, outcome: outcome, seconds: example.execution_result.run_time.to_f,
            file: file, line: line.to_i, rerun: example.id, test_file: example.metadata[:rerun_file_path].to_s.delete_prefix("./") }.merge(extra))
  end

  def say(**event)
    @io.write("#{JSON.generate(event)}\n")
  rescue JSON::GeneratorError, EncodingError
    @io.write("#{JSON.generate(event.transform_values { |v| v.is_a?(String) ? v.b.scrub("?").encode("UTF-8", invalid: :replace, undef: :replace) : v })}\n")
  end
end

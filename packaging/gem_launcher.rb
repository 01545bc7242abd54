#!/usr/bin/env ruby
# frozen_string_literal: true

# The gem's command: hands over to the engine inside the gem.
exec(File.expand_path("../lib/sabir/bin/sabir", __dir__), *ARGV)

# frozen_string_literal: true

require_relative "../../memory/ruby/memory_management"

RSpec.describe "functions and memory together" do
  it "reads through the engine what this process stored" do
    result = Sabir.call("text_tools.word_lengths", text: "one three fifteen")
    store_result(result, "from rspec")
    expect(Sabir.call("ruby/memory_management.retrieve_result", name: "from rspec")).to eq([3, 5, 7])
  end
end

# frozen_string_literal: true

require_relative "../memory_management"

RSpec.describe "memory_management" do
  it "gives back what was stored" do
    result = { "words" => 3, "list" => [1, 2.5, nil], "text" => "Été" }
    store_result(result, "ruby test")
    expect(retrieve_result("ruby test")).to eq(result)
  end

  it "gives nil for a name without a result" do
    expect(retrieve_result("nothing was stored here")).to be_nil
  end
end

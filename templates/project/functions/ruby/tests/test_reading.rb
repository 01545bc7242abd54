# frozen_string_literal: true

require_relative "../reading"

RSpec.describe "reading" do
  it "asks C++ for the average" do
    expect(average_word_length("one three fifteen")).to eq(5.0)
  end

  it "passes on what C++ says of a text without words" do
    expect { average_word_length("") }.to raise_error(Sabir::Error, /no values/)
  end
end

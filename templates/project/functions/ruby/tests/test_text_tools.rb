# frozen_string_literal: true

require_relative "../text_tools"

RSpec.describe "text_tools" do
  it "finds the words of a text" do
    expect(words("L'été, enfin: it's here!")).to eq(["L'été", "enfin", "it's", "here"])
  end

  it "counts the letters of each word" do
    expect(word_lengths("one three, fifteen.")).to eq([3, 5, 7])
  end
end

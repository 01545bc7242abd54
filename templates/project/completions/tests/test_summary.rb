# frozen_string_literal: true

RSpec.describe "the prompt summary" do
  it "is rendered from Ruby too" do
    prompt = Sabir.render("summary", text: "Sabir was a tongue of sailors.", reader: "a child", sentences: 1)
    expect(prompt).to include("for a child, in at most 1 sentence.", "Sabir was a tongue of sailors.")
  end
end

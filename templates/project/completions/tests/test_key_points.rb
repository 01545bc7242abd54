# frozen_string_literal: true

RSpec.describe "the prompt key_points" do
  it "contains its text and its limit" do
    prompt = Sabir.render("key_points", text: "Sabir was a tongue of sailors.", most: 5)
    expect(prompt).to include("Name 5 at most.", "Sabir was a tongue of sailors.")
  end

  it "refuses variables that do not fit" do
    expect { Sabir.render("key_points", text: "") }.to raise_error(Sabir::Error, /input.schema/)
  end
end

# frozen_string_literal: true

require_relative "../slugify"

RSpec.describe "slugify" do
  it "turns a title into a part of a web address" do
    expect(slugify("Été à Paris")).to eq("ete-a-paris")
  end

  it "leaves no hyphen at either end" do
    expect(slugify("  Hello, world!  ")).to eq("hello-world")
  end

  it "gives an empty text for one without letters" do
    expect(slugify("…")).to eq("")
  end

  it "answers the same through the engine" do
    expect(Sabir.call("slugify", text: "Été à Paris")).to eq("ete-a-paris")
  end
end

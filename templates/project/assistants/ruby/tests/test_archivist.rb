# frozen_string_literal: true

RSpec.describe "archivist" do
  it "tells what is stored, without a model" do
    Sabir.memory.put("results/for the archivist", 42)
    expect(Sabir.ask("archivist", "for the archivist")).to eq("for the archivist: 42")
  end

  it "says so when there is nothing" do
    expect(Sabir.ask("archivist", "an empty shelf")).to eq("Nothing is stored under an empty shelf.")
  end
end

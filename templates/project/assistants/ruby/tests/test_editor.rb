# frozen_string_literal: true

# The model is played by tests/scripted_replies.json; the functions it calls are the real ones.
RSpec.describe "editor" do
  it "calls slugify for an address" do
    reply = Sabir.ask("editor", "Which address suits the title 'Été à Paris'?")
    expect(reply.calls.map { |call| [call["address"], call["value"]] }).to eq([["slugify", "ete-a-paris"]])
    expect(reply).to include("ete-a-paris")
  end
end

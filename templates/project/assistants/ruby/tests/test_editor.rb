# frozen_string_literal: true

# The model is played by tests/scripted_replies.json; the functions it calls are the real ones.
RSpec.describe "editor" do
  it "calls slugify for an address" do
    reply = Sabir.ask("editor", "Which address suits the title 'Été à Paris'?")
    expect(reply.calls.map { |call| call["address"] }).to eq(["ruby/slugify.slugify"])
    expect(reply).to eq("A good address is ete-a-paris.")
  end
end

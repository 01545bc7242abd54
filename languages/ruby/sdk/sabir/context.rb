# frozen_string_literal: true

module Sabir
  # Who is calling: set by the caller, never by a model and never by the called function. A parameter documented as
  # [Sabir::Context] is filled in by the engine and absent from the function's schema.
  # user, tenant, conversation, run: Strings, "" for nobody in particular.
  class Context
    attr_reader :user, :tenant, :conversation, :run

    def initialize(user: "", tenant: "", conversation: "", run: "")
      @user = user
      @tenant = tenant
      @conversation = conversation
      @run = run
    end

    def self.from_wire(fields)
      fields = {} unless fields.is_a?(Hash)
      new(user: fields["user"] || "", tenant: fields["tenant"] || "", conversation: fields["conversation"] || "",
          run: fields["run"] || "")
    end

    def to_h
      { user: user, tenant: tenant, conversation: conversation, run: run }
    end

    def ==(other)
      other.is_a?(Context) && other.to_h == to_h
    end
  end
end

module Billing
  # Numbers of invoices: an object that needs nothing to be made.
  class InvoiceNumbers
    # The number after the last one.
    #
    # @param last [Integer]
    # @return [String]
    # @effect read
    def following(last)
      @calls = (@calls || 0) + 1
      format("INV-%05d-%d", last + 1, @calls)
    end
  end
end

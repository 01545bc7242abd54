# Refunds of orders.
class RefundService
  # Writes a refund down.
  #
  # @param order_number [String] the order's number
  # @param cents [Integer] how much
  # @return [Hash]
  def self.call(order_number:, cents:)
    refund = Refund.create!(order_number: order_number, cents: cents)
    { "id" => refund.id, "order_number" => refund.order_number, "worker" => Process.pid, "boot" => Process.ppid }
  end

  # What has been refunded of an order.
  #
  # @param order_number [String]
  # @return [Integer] cents
  # @effect read
  def self.total(order_number)
    Refund.where(order_number: order_number).sum(:cents)
  end

  # @effect read
  def self.inside
    { "executor" => Rails.application.executor.active?, "token" => ENV["SHOP_TOKEN"], "environment" => Rails.env }
  end

  # Takes a while, so that several workers are wanted at once.
  #
  # @param seconds [Float]
  # @effect read
  def self.wait(seconds)
    sleep(seconds)
    Process.pid
  end

  def self.log_line(text)
    hidden_helper(text)
  end

  def self.hidden_helper(text)
    text.to_s.strip
  end
  private_class_method :hidden_helper
end

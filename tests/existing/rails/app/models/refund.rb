class Refund < ApplicationRecord
  validates :order_number, presence: true
  validates :cents, numericality: { greater_than: 0 }
end

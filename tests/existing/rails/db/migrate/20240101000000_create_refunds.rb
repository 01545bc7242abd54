class CreateRefunds < ActiveRecord::Migration[6.1]
  def change
    create_table :refunds do |t|
      t.string :order_number, null: false
      t.integer :cents, null: false
      t.timestamps
    end
  end
end

local sabir = require("sabir")
local carts = load_functions("functions/lua/carts.lua")

function test_totals_are_added_up()
  assert(carts.total({{name = "cup", price = 3.5, count = 2}, {name = "pot", price = 1.0}}) == 8.0)
end

function test_a_discount_is_taken_off()
  assert(carts.total({{name = "cup", price = 10.0}}, 0.25) == 7.5)
end

function test_the_engine_answers_the_same()
  assert(sabir.call("carts.total", {items = {{name = "cup", price = 3.5}}}) == 3.5)
end

function test_an_error_has_its_type()
  local good, why = pcall(sabir.call, "carts.total", {items = 3})
  assert(not good and why.type == "invalid_arguments", tostring(why))
end

-- Shopping carts.
local sabir = require("sabir")

---@class Item
---@field name string what it is
---@field price number of one
---@field count? integer how many; one, if it is not said

-- What an item costs.
local function cost(item)
  return item.price * (item.count or 1)
end

--- Adds up a cart.
---@param items Item[] what is in it
---@param discount? number between 0 and 1
---@return number
--- Effect: read
function total(items, discount)
  local sum = 0.0
  for _, item in ipairs(items) do sum = sum + cost(item) end
  return sum * (1 - (discount or 0))
end

--- Writes a receipt, by Python, which asks for the total in turn.
---@param items Item[]
---@return string
--- Effect: read
function receipt(items)
  return sabir.call("receipts.lines", {items = items})
end

--- Counts down.
---@param from integer
---@stream integer
--- Effect: read
function countdown(from)
  for number = from, 1, -1 do
    sabir.progress(from - number + 1, from)
    coroutine.yield(number)
  end
end

--- Keeps a cart for its owner.
---@param name string
---@param items Item[]
---@return integer version
function keep(name, items)
  return sabir.memory.put("carts/" .. name, items)
end

---@param name string
---@return Item[]?
--- Effect: read
function kept(name)
  return sabir.memory.get("carts/" .. name)
end

--- Takes an item out of stock.
---@param name string
---@return string
function take(name)
  if name == "cup" then sabir.error("OutOfStock", "no cups are left") end
  return "took " .. name .. " for " .. ("x"):rep(#name)
end

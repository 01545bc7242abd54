-- A syntax error.
function never()
  return (1 +
end

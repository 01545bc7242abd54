# The text.
#
# @param text [String]
# @return [String]
# @effect read
def echo(text)
  text
end

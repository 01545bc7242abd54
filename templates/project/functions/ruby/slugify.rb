# frozen_string_literal: true

# Turns a title into the last part of a web address: "Été à Paris" becomes "ete-a-paris".
#
# @param text [String] any text
# @return [String] lower-case letters a to z, digits and single hyphens
# @effect read
def slugify(text)
  text.unicode_normalize(:nfd).downcase.gsub(/\p{Mn}/, "").gsub(/[^a-z0-9]+/, "-").gsub(/\A-|-\z/, "")
end

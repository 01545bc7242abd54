not JavaScript at all (:

not python at all (:

layered in second

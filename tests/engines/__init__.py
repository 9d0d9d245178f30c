"""Every engine gives the numbers that the embedded one gives. `make spark` runs these; without Spark or chdb they skip and say so."""

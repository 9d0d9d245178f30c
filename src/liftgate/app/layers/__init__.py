"""What `liftgate layers` finds out: whole layers, one person, and whether the randomness is what it should be."""

"""Other people's servers, given the same decision over the same store, measured beside Liftgate in one run."""

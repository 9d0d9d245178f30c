"""Features that events keep fresh: definitions to state changes, state to values. Pure: no I/O, no clock."""

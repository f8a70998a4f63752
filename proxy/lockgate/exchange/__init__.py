"""One request's life as a state machine over typed events and commands. Pure: no I/O, no clock."""

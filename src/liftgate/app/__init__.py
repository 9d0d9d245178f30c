"""Settings, wiring, server and command line."""

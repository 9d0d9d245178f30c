"""Values to probability vectors to one draw; holdout layers. Pure."""

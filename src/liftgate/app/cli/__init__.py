"""One file a subcommand. Heavy imports happen inside the commands."""

"""The command line, one file a command: `HELP` (a key of languages/), `add_arguments(parser)`, `run(args) -> int`."""

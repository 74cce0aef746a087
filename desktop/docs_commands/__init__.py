"""`deskside docs ACTION`, one file an action: `HELP` (a key of words), `add_arguments(parser)`, `run(engine, args)`.

`args.collection` is a collection's name or id; every action has `--json`. A file's `_` is a `-` in the action's name.
"""

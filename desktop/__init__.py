"""The two faces of Deskside: the window and the command line. Knows `engine.api` only."""

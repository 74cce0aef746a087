"""The pages of the window: the file name is the page's id; each holds `PAGE` and maybe `ACTIONS`."""

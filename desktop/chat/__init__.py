"""The conversation page without its widgets: what is open, what is asked of the engine, what happens to a reply."""

"""The parts of the convert page."""

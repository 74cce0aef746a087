"""Documents: read, cut into chunks, found again, and quoted."""

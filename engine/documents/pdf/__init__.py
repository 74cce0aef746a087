"""PDF pages: what stands where, and what of it is a paragraph, a heading, a table, a running header."""

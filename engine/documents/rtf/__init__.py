"""RTF: its tokens, its encodings, its text."""

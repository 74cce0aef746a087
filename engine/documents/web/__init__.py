"""HTML as blocks, for web pages, books and mails alike."""

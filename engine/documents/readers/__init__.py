"""One file a format: SUFFIXES, and read(path, limits), which gives blocks in reading order.

Readers run in a process of their own (engine.documents.reading) and may take what `Limits` allows, no more. They raise
UserError `unreadable_document`, `protected_document`, `too_large_document`; whatever else comes out of a library on a
damaged file is told as `unreadable_document` by the process.
"""

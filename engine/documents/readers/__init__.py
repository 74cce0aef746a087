"""One file a format: SUFFIXES, and read(path, limits), which gives blocks in reading order.

Readers run in a process of their own (engine.documents.reading) and may take what `Limits` allows, no more. They raise
UserError `unreadable_document`, `protected_document`, `too_large_document`; whatever else comes out of a library on a
damaged file is told as `unreadable_document` by the process.

A part may name in SIGNATURES what its files begin with (it counts more than a suffix), may offer `picture(path, page,
width_px)`, and its generator may return {"title": …, "notes": [what could not be read …]}.
"""

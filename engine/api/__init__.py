"""What every other room may import: messages, settings, errors, folders, jobs and parts.

Standard library only, so that any process can import it without cost.
"""

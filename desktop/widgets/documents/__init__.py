"""Widgets about documents: lists, answers with their sources, pages with a marked passage."""

"""Lets tasks wait for what only knows how to block a thread."""

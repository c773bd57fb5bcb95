"""The rows of the table, as data: one module for each part of it."""

"""Measurements of outrider, each a number with the number that it is read against."""

"""A receiver behind an endpoint of your framework: one small file for each.

Each reads the raw body once, bounded, and sends what the receiver answers. None is imported unless
you import it, and none is installed for you.
"""

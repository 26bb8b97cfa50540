"""Calls between the processes of one data directory, for reverse tunnels."""

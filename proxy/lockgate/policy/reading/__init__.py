"""Reads a policy out of a text, or finds every problem that it has, with suggestions."""

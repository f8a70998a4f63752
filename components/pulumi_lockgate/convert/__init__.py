"""Converts other routers' configurations into Lockgate's, and lists every difference."""

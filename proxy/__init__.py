"""Lockgate's proxy: the policy's meaning, one request's life, and the data path."""

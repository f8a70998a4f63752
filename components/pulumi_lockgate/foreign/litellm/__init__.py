"""Proves a LiteLLM proxy's configuration as LiteLLM runs it."""

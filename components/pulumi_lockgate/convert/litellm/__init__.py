"""Imports a LiteLLM proxy's configuration."""

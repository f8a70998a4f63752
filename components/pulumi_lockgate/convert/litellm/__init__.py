"""LiteLLM's proxy configuration."""

"""Lockgate's proxy: one OpenAI-compatible endpoint over local and cloud models."""

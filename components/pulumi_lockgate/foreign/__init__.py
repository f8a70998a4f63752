"""Proves other routers' configurations, each as its own product runs it."""

"""JSON bodies as text: read as they come, spliced, never marshalled anew. Pure."""

"""Stack files and settings, the engine's view of a stack, and what is deployed."""

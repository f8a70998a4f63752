"""Evidence and credentials: pure parts beside thin stores."""

"""What a policy may say, as frozen types."""

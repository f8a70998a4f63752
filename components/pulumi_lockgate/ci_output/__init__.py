"""What a pipeline wants of a verdict: findings at their lines, and a text for a review."""

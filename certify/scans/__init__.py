"""From the original to its picture: captured, cleaned up, read, compared page by page."""

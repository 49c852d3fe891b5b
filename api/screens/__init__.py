"""The pages: for officials and citizens at their desk, and for anyone."""

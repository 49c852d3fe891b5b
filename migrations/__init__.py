"""Every change the tables have gone through, one revision per step, in one line."""

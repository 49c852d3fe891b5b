"""Time-stamps, and when the clock is believed."""

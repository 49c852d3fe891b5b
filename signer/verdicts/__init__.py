"""What a signed file is worth: the verdicts of EN 319 102-1, given in a confined child."""

"""Many originals in one job: one list, one authorisation, each with its outcome."""

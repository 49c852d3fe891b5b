"""HTTP, web pages, people and schedules: everything is wired here."""

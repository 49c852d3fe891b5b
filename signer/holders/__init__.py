"""Holders come, change and leave: enrolment one by one and in lists, life cycle, hand-overs."""

"""Thousands of documents under one authorisation, each with an outcome of its own."""

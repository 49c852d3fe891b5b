"""The command line. Each module is one command and exposes ``app``, a Typer application."""

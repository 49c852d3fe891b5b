"""Signatures on files that are no PDF: CAdES, XAdES, ASiC-E, built, raised and read."""

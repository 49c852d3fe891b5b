"""PDF files read and written: revisions, signature fields and bytes, the DSS, pages as pictures."""

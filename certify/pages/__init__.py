"""What the copy shows: statement, footers, QR codes, the PDF/A that will be signed."""

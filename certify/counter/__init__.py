"""People come with originals: appointments, visits, cases, refusals."""

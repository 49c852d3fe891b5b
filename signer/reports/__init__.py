"""The reports on a validation: simple, detailed, diagnostic, ETSI TS 119 102-2, SiVa's.

    papers = write_reports(examination, name="a.pdf", language="vi")
    papers["SimpleReport"], papers["DetailedReport"], papers["DiagnosticData"]

Their members are those of EU DSS's reports, so that whoever reads those reads these; DSS's own
classes and schemas judge that in the tests (tests/interop). They are made in the process that read
the file and travel as plain JSON; `xml_form` turns them into DSS's XML.
"""

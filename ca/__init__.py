"""Who is who, and since when: hierarchy, profiles, issuing, revocation, CRL, OCSP, time-stamps.

Begin with `authority` (which issuers there are), then the flow that interests you; docs/flows has
a page with the same steps for each:

- `ceremony`, `plan`, `root_side`: roots and issuing CAs, made from a reviewed file
- `issuance`, `profiles`, `lint`: one certificate, from the order to the row
- `enrolment`, `registration`, `identity`, `requests_again`: who asks, who agrees, who they are
- `revocation`, `revoked`, `crl`, `ocsp`: what is no longer good, and how everybody hears of it
- `tsa`, `clock`, `tsa_log`: this existed at this time
- `renewal`: what follows a certificate; `checks`: a second look that trusts none of the above

What ends in `_encoding` writes DER, in `_models` is tables, in `_store` or `_rows` reads and
writes them.
"""

"""Who is who, and since when: hierarchy, profiles, issuing, revocation, CRL, OCSP, time-stamps."""
